//! The component: glue between the contract and the renderer.
#![expect(unsafe_code, reason = "wit-bindgen's generated exports")]

use crate::diagnostic::{Diagnostic, Mark, Severity};
use crate::render::build::Builder;
use crate::render::{self, Document, HookPoint, Image};
use release::{Encoding, Part, Value};

mod bindings {
    wit_bindgen::generate!({ world: "renderer-plugin", path: "../../wit" });
}

use bindings::exports::plimsoll::deploy::renderer as wit;
use bindings::plimsoll::deploy::types;

struct Component;

bindings::export!(Component with_types_in bindings);

impl wit::Guest for Component {
    fn needs(input: wit::Input) -> Result<Vec<wit::Need>, Vec<types::Diagnostic>> {
        let input = read(input)?;
        let needs = render::needs(&input).map_err(|found| diagnostics(&input, found))?;
        Ok(needs
            .into_iter()
            .map(|need| wit::Need {
                kind: need.kind.to_owned(),
                name: need.name,
            })
            .collect())
    }

    fn render(input: wit::Input) -> Result<wit::Output, Vec<types::Diagnostic>> {
        let input = read(input)?;
        let output = render::render(&input).map_err(|found| diagnostics(&input, found))?;
        Ok(wit::Output {
            documents: output.documents.iter().map(document).collect(),
            images: output.images.into_iter().map(image).collect(),
            hooks: output.hooks.into_iter().map(hook_point).collect(),
            sources: output
                .sources
                .into_iter()
                .map(|source| wit::Source {
                    address: source.address,
                    pointer: source.pointer,
                    at: position(&input, source.at),
                })
                .collect(),
            diagnostics: diagnostics(&input, output.diagnostics),
        })
    }
}

/// The host's JSON is the host's business: when it does not fit, the user is told, without a place.
fn read(input: wit::Input) -> Result<render::Input, Vec<types::Diagnostic>> {
    let wrong = |what: &str, error: serde_json::Error| {
        vec![types::Diagnostic {
            severity: types::Severity::Error,
            code: "invalid-input".to_owned(),
            message: format!("{what} from the host can't be read: {error}"),
            at: None,
            help: None,
        }]
    };
    Ok(render::Input {
        environment: input.context.environment,
        version: input.context.version,
        request: serde_json::from_str(&input.context.request)
            .map_err(|error| wrong("the request", error))?,
        manifest: input
            .manifest
            .into_iter()
            .map(|file| render::File {
                path: file.path,
                text: file.text,
            })
            .collect(),
        options: serde_json::from_str(&input.options).map_err(|error| wrong("options", error))?,
        facts: serde_json::from_str(&input.facts).map_err(|error| wrong("facts", error))?,
    })
}

fn position(input: &render::Input, mark: Mark) -> types::Position {
    let path = input
        .manifest
        .get(mark.file)
        .map(|file| file.path.clone())
        .unwrap_or_default();
    types::Position {
        path,
        line: mark.line,
        column: mark.column,
        length: mark.length,
    }
}

fn diagnostics(input: &render::Input, found: Vec<Diagnostic>) -> Vec<types::Diagnostic> {
    found
        .into_iter()
        .map(|diagnostic| types::Diagnostic {
            severity: match diagnostic.severity {
                Severity::Note => types::Severity::Note,
                Severity::Warning => types::Severity::Warning,
                Severity::Error => types::Severity::Error,
            },
            code: diagnostic.code.to_owned(),
            message: diagnostic.message,
            at: diagnostic.at.map(|mark| position(input, mark)),
            help: diagnostic.help,
        })
        .collect()
}

fn document(document: &Document) -> types::Document {
    types::Document {
        address: document.address.clone(),
        media_type: document.body.media_type().to_owned(),
        body: document.body.to_text(),
    }
}

fn value(value: &Value) -> types::Value {
    let part = |part: &Part| match part {
        Part::Text(text) => types::Part::Text(text.clone()),
        Part::Secret(name, encoding) => types::Part::Secret(types::SecretRef {
            name: name.clone(),
            encoding: match encoding {
                Encoding::Verbatim => types::Encoding::Verbatim,
                Encoding::EnvFile => types::Encoding::EnvFile,
            },
        }),
        Part::Slot(name) => types::Part::Slot(name.clone()),
        Part::Remote(expansion) => types::Part::Remote(types::Expansion {
            text: expansion.text.clone(),
            command: expansion.command,
            split: expansion.split,
        }),
        Part::Inherit(name) => types::Part::Inherit(name.clone()),
        Part::File(file) => types::Part::File(types::FileRef {
            path: file.path.clone(),
            digest: file.digest.clone(),
            accessory: file.accessory.clone(),
        }),
    };
    value.parts().iter().map(part).collect()
}

fn named(pairs: Vec<(String, Value)>) -> Vec<(String, types::Value)> {
    pairs
        .into_iter()
        .map(|(name, text)| (name, value(&text)))
        .collect()
}

fn image(image: Image) -> wit::Image {
    wit::Image {
        name: image.name,
        reference: image.reference,
        build: image.build.map(|build| wit::Build {
            context: build.context,
            dockerfile: build.dockerfile,
            target: build.target,
            args: named(build.args),
            labels: build.labels,
            platforms: build.platforms,
            tags: build.tags,
            builder: build.builder.map(builder),
        }),
        registry: image.registry.map(|registry| wit::Credentials {
            server: registry.server,
            username: value(&registry.username),
            password: value(&registry.password),
        }),
        local_registry: image.local_registry,
    }
}

fn builder(builder: Builder) -> wit::Builder {
    wit::Builder {
        name: builder.name,
        driver: builder.driver,
        local_platforms: builder.local_platforms,
        remote_platforms: builder.remote_platforms,
        remote: builder.remote,
        cache_from: builder.cache_from,
        cache_to: builder.cache_to,
        secrets: builder.secrets,
        ssh: builder.ssh.as_ref().map(value),
        provenance: builder.provenance,
        sbom: builder.sbom,
        pack: builder.pack.map(|pack| wit::Pack {
            builder: pack.builder,
            buildpacks: pack.buildpacks,
        }),
    }
}

fn hook_point(hook: HookPoint) -> wit::HookPoint {
    wit::HookPoint {
        moment: hook.moment.to_owned(),
        name: hook.name.to_owned(),
        env: named(hook.env),
    }
}
