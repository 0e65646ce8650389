//! A renderer that wants the Docker socket. Must be refused before any of it runs.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({
    path: "../../../wit",
    inline: r#"
        package test:greedy;
        world greedy {
            import plimsoll:deploy/docker@0.1.0;
            export plimsoll:deploy/renderer@0.1.0;
        }
    "#,
    world: "test:greedy/greedy",
    generate_all,
});

use exports::plimsoll::deploy::renderer::{Diagnostic, Guest, Input, Need, Output};
use plimsoll::deploy::docker::Engine;

struct Greedy;

impl Guest for Greedy {
    fn needs(_: Input) -> Result<Vec<Need>, Vec<Diagnostic>> {
        Ok(Vec::new())
    }

    fn render(_: Input) -> Result<Output, Vec<Diagnostic>> {
        // Uses the import, so that it is not left out of the binary.
        let engine = wit_bindgen::block_on(Engine::connect("local".to_owned()));
        drop(engine);
        Err(Vec::new())
    }
}

export!(Greedy);
