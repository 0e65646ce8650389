//! What a renderer of a Copilot workload may know and may want: what the manifest names, images of the workload's own
//! repository built from the manifest's own folders, and a deployment to the workload's own stack and bucket. It is
//! refused before anybody is asked for approval, and before anything is built.

use serde_json::Value as Json;

use super::{is_inside, is_tag_of};
use crate::grant::{Denied, Grants};
use crate::manifest::copilot::given_away::{GivenAway, plain};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::{
    Build, Builder, Image, Need, Output,
};
use crate::wit::types::Part;

/// Refuses questions about the user's environment that the manifest does not raise. Files that it does not name, and
/// secrets, are told to nobody anyway.
///
/// # Errors
/// In words: what was asked.
pub fn check_needs(needs: &[Need], given: &GivenAway) -> Result<(), String> {
    let variables = needs.iter().filter(|need| need.kind == "variable");
    match variables
        .map(|need| &need.name)
        .find(|name| !given.named.contains(*name))
    {
        None => Ok(()),
        Some(name) => Err(format!(
            "tell it the variable `{name}`, which the manifest does not name"
        )),
    }
}

/// Refuses what goes beyond the manifest. `grants` are the driver's: what the renderer says of a deployment, it says to it.
///
/// # Errors
/// In words: what was asked, and what is allowed.
pub fn check(
    output: &Output,
    given: &GivenAway,
    repository: &str,
    grants: &Grants,
) -> Result<(), String> {
    if let Some(point) = output.hooks.first() {
        return Err(format!("run hook `{}`, and there are none", point.name));
    }
    output
        .images
        .iter()
        .try_for_each(|image| check_image(image, given, repository))?;
    let documents = output.documents.iter();
    documents
        .filter(|document| document.address.starts_with("deployment/"))
        .try_for_each(|document| check_deployment(&document.body, grants))
}

fn check_image(image: &Image, given: &GivenAway, repository: &str) -> Result<(), String> {
    if image.registry.is_some() || image.local_registry.is_some() {
        return Err(format!(
            "send image `{}` to a registry of its own choice",
            image.name
        ));
    }
    let Some(build) = &image.build else {
        return Err(format!("look up image `{}`", image.reference));
    };
    for reference in std::iter::once(&image.reference).chain(&build.tags) {
        if !is_tag_of(reference, repository) {
            return Err(format!(
                "make image `{reference}`, and the workload's repository is `{repository}`"
            ));
        }
    }
    check_build(build, given)
}

fn check_build(build: &Build, given: &GivenAway) -> Result<(), String> {
    // Whatever is more than text is the user's: secrets, variables, files of this machine.
    let is_text = |value: &[Part]| value.iter().all(|part| matches!(part, Part::Text(_)));
    if let Some((name, _)) = build.args.iter().find(|(_, value)| !is_text(value)) {
        return Err(format!(
            "put something of this machine into the build argument `{name}`"
        ));
    }
    let context = build.context.as_deref();
    let sources = [
        ("context", context, &given.builds.contexts),
        (
            "Dockerfile",
            Some(&*build.dockerfile),
            &given.builds.dockerfiles,
        ),
    ];
    for (what, path, named) in sources {
        let Some(path) = path else {
            return Err("build from the repository's last commit".to_owned());
        };
        if !is_inside(path) {
            return Err(format!(
                "build from {what} `{path}`, which is outside of the project"
            ));
        }
        if !named.contains(&plain(path)) {
            return Err(format!(
                "build from {what} `{path}`, which the manifest does not name"
            ));
        }
    }
    build
        .builder
        .iter()
        .try_for_each(|builder| check_builder(builder, given))
}

/// This machine's own Engine, with caches that the manifest names.
fn check_builder(builder: &Builder, given: &GivenAway) -> Result<(), String> {
    let Builder {
        name,
        driver,
        local_platforms,
        remote_platforms,
        remote,
        cache_from,
        cache_to,
        secrets,
        ssh,
        provenance: _,
        sbom: _,
        pack,
    } = builder;
    let elsewhere = name.is_some()
        || driver != "docker"
        || remote.is_some()
        || !local_platforms.is_empty()
        || !remote_platforms.is_empty()
        || pack.is_some();
    if elsewhere {
        return Err("build with something else than this machine's Docker Engine".to_owned());
    }
    if !secrets.is_empty() || ssh.is_some() {
        return Err("build with secrets, which no manifest of Copilot names".to_owned());
    }
    if let Some(cache) = cache_to.first() {
        return Err(format!("put layers into the cache `{cache}`"));
    }
    let is_named = |cache: &&String| {
        let image = cache.strip_prefix("type=registry,ref=");
        let names = &given.builds.caches;
        names.contains(*cache) || image.is_some_and(|image| names.contains(image))
    };
    match cache_from.iter().find(|cache| !is_named(cache)) {
        None => Ok(()),
        Some(cache) => Err(format!(
            "take layers from `{cache}`, which the manifest does not name"
        )),
    }
}

/// Where it is deployed, and what is uploaded: within what its driver may do.
fn check_deployment(text: &str, grants: &Grants) -> Result<(), String> {
    let document: Json = serde_json::from_str(text)
        .map_err(|error| format!("deploy what can't be read: {error}"))?;
    let text = |json: &Json, key: &str| json[key].as_str().unwrap_or_default().to_owned();
    let denied = |denied: Denied| format!("use {}, which is not the workload's", denied.request);
    let bucket = text(&document, "bucket");
    grants
        .covers_region(&text(&document, "region"))
        .and_then(|()| grants.covers_stack(&text(&document, "stack")))
        .and_then(|()| grants.covers_observed_stack(&text(&document, "environment-stack")))
        .map_err(denied)?;
    if let Json::String(role) = &document["execution-role"] {
        grants.covers_role(role).map_err(denied)?;
    }
    let uploads = document["uploads"].as_array().into_iter().flatten();
    for upload in uploads {
        let key = text(upload, "key");
        grants.covers_object(&bucket, &key).map_err(denied)?;
        let source = &upload["source"];
        for kind in ["file", "archive"] {
            if let Json::String(path) = &source[kind] {
                grants.covers_file(path).map_err(denied)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Workload;
    use crate::manifest::copilot::WorkloadFile;
    use crate::wit::types::{Document, Encoding, SecretRef};
    use serde_json::json;
    use std::collections::BTreeMap;
    use std::path::Path;

    const REPOSITORY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/api";
    const ROLE: &str = "arn:aws:iam::123456789012:role/shop-test-CFNExecutionRole";
    const MANIFEST: &str = "image: {build: {dockerfile: api/Dockerfile, cache_from: [shop:1]}}\nenv_file: api.env\nvariables: {A: '${TAG}'}\n";

    fn given() -> GivenAway {
        let manifest = WorkloadFile {
            path: "copilot/api/manifest.yml".to_owned(),
            text: MANIFEST.to_owned(),
        };
        GivenAway::read(
            Path::new("/nowhere"),
            "shop",
            "test",
            &[manifest],
            &BTreeMap::new(),
        )
    }

    fn grants() -> Grants {
        let files = ["api.env".to_owned()];
        Grants::from_workload(
            "ecs",
            &Workload {
                account: "123456789012",
                region: "eu-west-1",
                application: "shop",
                environment: "test",
                name: "api",
                bucket: "b",
                execution_role: Some(ROLE),
                files: &files,
            },
        )
    }

    fn deployment() -> Json {
        json!({
            "region": "eu-west-1", "stack": "shop-test-api", "environment-stack": "shop-test", "bucket": "b",
            "execution-role": ROLE,
            "uploads": [{"key": "manual/env-files/api.env/1.env", "source": {"file": "api.env"}}],
        })
    }

    fn honest() -> Output {
        let builder = Builder {
            name: None,
            driver: "docker".to_owned(),
            local_platforms: vec![],
            remote_platforms: vec![],
            remote: None,
            cache_from: vec!["type=registry,ref=shop:1".to_owned()],
            cache_to: vec![],
            secrets: vec![],
            ssh: None,
            provenance: None,
            sbom: None,
            pack: None,
        };
        let image = Image {
            name: "api".to_owned(),
            reference: format!("{REPOSITORY}:v1"),
            build: Some(Build {
                context: Some("./api".to_owned()),
                dockerfile: "api/Dockerfile".to_owned(),
                target: None,
                args: vec![("A".to_owned(), vec![Part::Text("a".to_owned())])],
                labels: vec![],
                platforms: vec![],
                tags: vec![format!("{REPOSITORY}:latest")],
                builder: Some(builder),
            }),
            registry: None,
            local_registry: None,
        };
        Output {
            documents: vec![Document {
                address: "deployment/api".to_owned(),
                media_type: "application/json".to_owned(),
                body: deployment().to_string(),
            }],
            images: vec![image],
            hooks: vec![],
            sources: vec![],
            diagnostics: vec![],
        }
    }

    fn built(output: &mut Output) -> &mut Build {
        output.images[0].build.as_mut().expect("has one")
    }

    fn builder(output: &mut Output) -> &mut Builder {
        built(output).builder.as_mut().expect("has one")
    }

    #[test]
    fn what_the_manifest_says_is_allowed_and_no_other_build() {
        let refusal = |output: &Output| check(output, &given(), REPOSITORY, &grants());
        assert_eq!(refusal(&honest()), Ok(()));
        type Twist = fn(&mut Output);
        let twists: [(Twist, &str); 13] = [
            (
                |o| o.images[0].reference = "evil.example.com/x:1".into(),
                "make image `evil",
            ),
            (
                |o| {
                    built(o)
                        .tags
                        .push("999999999999.dkr.ecr.eu-west-1.amazonaws.com/shop/api:1".into())
                },
                "make image `9999",
            ),
            (
                |o| o.images[0].local_registry = Some(5000),
                "registry of its own choice",
            ),
            (|o| o.images[0].build = None, "look up image"),
            (
                |o| built(o).context = Some("/etc".into()),
                "`/etc`, which is outside",
            ),
            (
                |o| built(o).context = Some(".".into()),
                "context `.`, which the manifest does not name",
            ),
            (
                |o| built(o).dockerfile = "web/Dockerfile".into(),
                "Dockerfile `web/Dockerfile`, which the manifest",
            ),
            (|o| built(o).context = None, "last commit"),
            (
                |o| built(o).args[0].1 = vec![Part::Inherit("AWS_SECRET_ACCESS_KEY".into())],
                "build argument `A`",
            ),
            (
                |o| {
                    let secret = SecretRef {
                        name: "S".into(),
                        encoding: Encoding::Verbatim,
                    };
                    built(o).args[0].1 = vec![Part::Secret(secret)];
                },
                "build argument `A`",
            ),
            (
                |o| builder(o).remote = Some("tcp://evil:2376".into()),
                "something else than this machine's",
            ),
            (
                |o| builder(o).cache_to.push("type=registry,ref=evil/x".into()),
                "put layers into",
            ),
            (
                |o| builder(o).cache_from.push("type=local,src=/".into()),
                "take layers from `type=local,src=/`",
            ),
        ];
        for (twist, why) in twists {
            let mut output = honest();
            twist(&mut output);
            let refused = refusal(&output).expect_err(why);
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn a_deployment_is_to_the_workloads_own_stack_and_of_its_own_files() {
        for (key, value, why) in [
            ("region", json!("us-east-1"), "region \"us-east-1\""),
            ("stack", json!("shop-test-web"), "stack \"shop-test-web\""),
            ("stack", json!("shop-test"), "stack \"shop-test\""),
            (
                "environment-stack",
                json!("shop-prod"),
                "stack \"shop-prod\"",
            ),
            ("bucket", json!("evil"), "object \"evil/manual"),
            (
                "execution-role",
                json!("arn:aws:iam::123456789012:role/Admin"),
                "passing role",
            ),
            (
                "uploads",
                json!([{"key": "manual/addons/web/x", "source": {"document": "stack/api"}}]),
                "manual/addons/web/x",
            ),
            (
                "uploads",
                json!([{"key": "manual/env-files/x/1.env", "source": {"file": ".env"}}]),
                "uploading file \".env\"",
            ),
            (
                "uploads",
                json!([{"key": "manual/addons/api/assets/1", "source": {"archive": "."}}]),
                "uploading file \".\"",
            ),
            (
                "uploads",
                json!([{"key": "manual/addons/api/assets/1", "source": {"archive": "../other"}}]),
                "uploading file \"../other\"",
            ),
        ] {
            let mut document = deployment();
            document[key] = value;
            let mut output = honest();
            output.documents[0].body = document.to_string();
            let refused = check(&output, &given(), REPOSITORY, &grants()).expect_err(why);
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn only_variables_of_the_manifest_are_told() {
        let need = |name: &str| Need {
            kind: "variable".to_owned(),
            name: name.to_owned(),
        };
        assert_eq!(check_needs(&[need("TAG")], &given()), Ok(()));
        let refused = check_needs(&[need("TAG"), need("AWS_SECRET_ACCESS_KEY")], &given());
        assert!(refused.is_err_and(|why| why.contains("`AWS_SECRET_ACCESS_KEY`")));
    }
}
