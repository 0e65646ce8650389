//! As a renderer of Copilot's manifests: `settings.copilot` is what it wants of the host. `needs` are the questions it asks
//! (kind and name); with `tell` it says what it learned. Otherwise it deploys `stack/api` with the deployment document
//! `deployment`, an image that is built as `build` says, and runs the hook `hook`.

use serde_json::Value as Json;

use crate::exports::plimsoll::deploy::renderer::{Build, Builder, HookPoint, Image, Need, Output};
use crate::plimsoll::deploy::types::{Diagnostic, Document, Encoding, Part, SecretRef, Severity};

fn text(json: &Json, key: &str) -> String {
    json[key].as_str().unwrap_or_default().to_owned()
}

fn some(json: &Json, key: &str) -> Option<String> {
    json[key].as_str().map(str::to_owned)
}

fn texts(json: &Json) -> Vec<String> {
    let all = json.as_array().into_iter().flatten();
    all.filter_map(Json::as_str).map(str::to_owned).collect()
}

pub(crate) fn needs(settings: &Json) -> Vec<Need> {
    let asked = settings["copilot"]["needs"]
        .as_array()
        .into_iter()
        .flatten();
    let need = |pair: &Json| Need {
        kind: pair[0].as_str().unwrap_or_default().to_owned(),
        name: pair[1].as_str().unwrap_or_default().to_owned(),
    };
    asked.map(need).collect()
}

pub(crate) fn render(settings: &Json, facts: &str) -> Result<Output, Vec<Diagnostic>> {
    let wanted = &settings["copilot"];
    if wanted["tell"] == true {
        return Err(vec![Diagnostic {
            severity: Severity::Error,
            code: "told".to_owned(),
            message: format!("learned: {facts}"),
            at: None,
            help: None,
        }]);
    }
    let document = |address: &str, body: String| Document {
        address: address.to_owned(),
        media_type: "application/json".to_owned(),
        body,
    };
    let template = "Resources: {Topic: {Type: AWS::SNS::Topic}}\n".to_owned();
    let parameters = r#"{"Parameters": {}, "Tags": {}}"#.to_owned();
    let hook = some(wanted, "hook").map(|name| HookPoint {
        moment: "before-build".to_owned(),
        name,
        env: vec![],
    });
    Ok(Output {
        documents: vec![
            document("stack/api", template),
            document("parameters/api", parameters),
            document("deployment/api", wanted["deployment"].to_string()),
        ],
        images: image(&wanted["build"]).into_iter().collect(),
        hooks: hook.into_iter().collect(),
        sources: vec![],
        diagnostics: vec![],
    })
}

fn image(wanted: &Json) -> Option<Image> {
    let reference = some(wanted, "image")?;
    let argument = match (some(wanted, "secret"), some(wanted, "variable")) {
        (Some(name), _) => Some(Part::Secret(SecretRef {
            name,
            encoding: Encoding::Verbatim,
        })),
        (None, Some(name)) => Some(Part::Inherit(name)),
        (None, None) => None,
    };
    let builder = Builder {
        name: None,
        driver: "docker".to_owned(),
        local_platforms: vec![],
        remote_platforms: vec![],
        remote: some(wanted, "remote"),
        cache_from: texts(&wanted["cache-from"]),
        cache_to: texts(&wanted["cache-to"]),
        secrets: vec![],
        ssh: None,
        provenance: None,
        sbom: None,
        pack: None,
    };
    let build = Build {
        context: Some(text(wanted, "context")),
        dockerfile: text(wanted, "dockerfile"),
        target: None,
        args: argument
            .map(|part| ("A".to_owned(), vec![part]))
            .into_iter()
            .collect(),
        labels: vec![],
        platforms: vec![],
        tags: vec![reference.clone()],
        builder: Some(builder),
    };
    Some(Image {
        name: "api".to_owned(),
        reference,
        build: Some(build),
        registry: None,
        local_registry: None,
    })
}
