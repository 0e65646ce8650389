//! No manifest, addon or patch makes the renderer panic, and what it accepts is rendered as YAML, the same bytes every time.
//!
//! The input is up to three texts with a NUL between them: manifest, addon, patches.
#![no_main]

use ecs_renderer::{Facts, File, Request, package, yaml};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::sync::LazyLock;

static FACTS: LazyLock<Facts> = LazyLock::new(|| {
    Facts::parse(include_str!("facts.json")).expect("the facts beside this file are valid")
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut texts = text.splitn(3, '\0');
    let mut file = |path: &str| {
        texts.next().map(|text| File {
            path: path.to_owned(),
            text: text.to_owned(),
        })
    };
    let Some(manifest) = file("copilot/api/manifest.yml") else {
        return;
    };
    let addons: Vec<File> = file("copilot/api/addons/addon.yml").into_iter().collect();
    let overrides: Vec<File> = file("copilot/api/overrides/cfn.patches.yml")
        .into_iter()
        .collect();
    let variables = BTreeMap::from([("TAG".to_owned(), "[\"a\",\"b\"]".to_owned())]);
    let request = Request {
        workload: "api",
        environment: "test",
        manifest: &manifest,
        addons: &addons,
        overrides: &overrides,
        variables: &variables,
        paths: None,
        facts: &FACTS,
        strict: false,
    };
    match package(&request) {
        Ok(rendered) => {
            let again = package(&request).expect("accepted once, accepted twice");
            assert_eq!(rendered.template, again.template);
            yaml::parse(&rendered.template, 0).expect("templates are YAML");
        }
        Err(found) => {
            assert!(!found.is_empty());
            found
                .iter()
                .for_each(|diagnostic| drop(diagnostic.render()));
        }
    }
});
