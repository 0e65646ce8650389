//! What a renderer says that the host should do itself (hooks to run, images to build and push) is held to what the
//! user's own manifest says. A renderer has no powers, and must not get any by asking the host to use its own.

use crate::manifest::Envelope;
use crate::wit::renderer::exports::plimsoll::deploy::renderer::{
    Build, Builder, Credentials, HookPoint, Image, Output,
};
use crate::wit::types::Part;

/// Moments at which the host runs hooks.
const MOMENTS: &[&str] = &["before-observe", "before-build"];

/// Refuses what goes beyond the manifest. `hooks` are the names of the hooks that exist.
///
/// # Errors
/// In words: what was asked, and what the manifest allows.
pub fn check(output: &Output, envelope: &Envelope, hooks: &[String]) -> Result<(), String> {
    output
        .hooks
        .iter()
        .try_for_each(|point| check_hook(point, hooks))?;
    output
        .images
        .iter()
        .try_for_each(|image| check_image(image, envelope))
}

fn check_hook(point: &HookPoint, hooks: &[String]) -> Result<(), String> {
    if !MOMENTS.contains(&point.moment.as_str()) {
        return Err(format!(
            "run a hook at `{}`, a moment that there is not",
            point.moment
        ));
    }
    if !hooks.contains(&point.name) {
        return Err(format!(
            "run `{}`, which is not a hook of this project",
            point.name
        ));
    }
    Ok(())
}

fn check_image(image: &Image, envelope: &Envelope) -> Result<(), String> {
    let repository = envelope
        .repository()
        .unwrap_or_else(|| envelope.service.clone());
    let tags = image.build.iter().flat_map(|build| &build.tags);
    for reference in std::iter::once(&image.reference).chain(tags) {
        let tag = reference
            .strip_prefix(&repository)
            .and_then(|rest| rest.strip_prefix(':'));
        if tag.is_none_or(|tag| tag.is_empty() || tag.contains(['/', ':', '@'])) {
            return Err(format!(
                "make image `{reference}`, and the manifest's own is `{repository}`"
            ));
        }
    }
    if let Some(login) = &image.registry {
        check_login(login, envelope)?;
    }
    if let Some(port) = image.local_registry {
        let own = envelope.registry.server.as_deref().unwrap_or_default();
        if own != format!("localhost:{port}") {
            return Err(format!(
                "start a registry on port {port} of this machine, and the manifest's own is `{own}`"
            ));
        }
    }
    image
        .build
        .iter()
        .try_for_each(|build| check_build(build, envelope))
}

fn check_login(login: &Credentials, envelope: &Envelope) -> Result<(), String> {
    let hub = |server: &Option<String>| server.clone().unwrap_or_else(|| "docker.io".to_owned());
    let (asked, own) = (hub(&login.server), hub(&envelope.registry.server));
    if asked != own {
        return Err(format!(
            "log in at registry `{asked}`, and the manifest's own is `{own}`"
        ));
    }
    let own = envelope.registry_secrets();
    let secrets = login
        .username
        .iter()
        .chain(&login.password)
        .filter_map(secret);
    match secrets.into_iter().find(|name| !own.contains(name)) {
        Some(name) => Err(format!(
            "send secret `{name}` to registry `{asked}`, which the manifest does not"
        )),
        None => Ok(()),
    }
}

fn check_build(build: &Build, envelope: &Envelope) -> Result<(), String> {
    if let Some(name) = build
        .args
        .iter()
        .flat_map(|(_, value)| value)
        .find_map(secret)
    {
        return Err(format!(
            "put secret `{name}` into a build argument, where everybody who has the image reads it"
        ));
    }
    for (what, asked, own) in [
        ("context", build.context.as_ref(), &envelope.builder.context),
        (
            "Dockerfile",
            Some(&build.dockerfile),
            &envelope.builder.dockerfile,
        ),
    ] {
        if let Some(path) = asked.filter(|path| own.as_ref() != Some(path) && !is_inside(path)) {
            return Err(format!(
                "build with the {what} `{path}`, which is outside of the project"
            ));
        }
    }
    let arguments = build.args.iter().map(|(_, value)| value);
    check_expansions(arguments, &envelope.builder.arguments, "a build argument")?;
    match &build.builder {
        Some(builder) => check_builder(builder, envelope),
        None => Ok(()),
    }
}

fn check_builder(builder: &Builder, envelope: &Envelope) -> Result<(), String> {
    let own = &envelope.builder;
    if let Some(remote) = builder
        .remote
        .as_ref()
        .filter(|remote| own.remote.as_ref() != Some(remote))
    {
        return Err(format!(
            "build on `{remote}`, which the manifest does not name"
        ));
    }
    if let Some(name) = builder
        .secrets
        .iter()
        .find(|name| !own.secrets.contains(name))
    {
        return Err(format!(
            "give secret `{name}` to the build, which the manifest does not"
        ));
    }
    if let Some(agents) = &builder.ssh {
        let Some(written) = &own.ssh else {
            return Err("give the build an SSH agent, which the manifest does not".to_owned());
        };
        check_expansions(
            std::iter::once(agents),
            std::slice::from_ref(written),
            "builder/ssh",
        )?;
    }
    builder
        .cache_from
        .iter()
        .chain(&builder.cache_to)
        .try_for_each(|entry| check_cache(entry, envelope))
}

fn check_cache(entry: &str, envelope: &Envelope) -> Result<(), String> {
    let refused = || format!("keep layers at `{entry}`, which the manifest does not name");
    let cache = envelope.builder.cache.as_ref().ok_or_else(refused)?;
    let image = envelope.image.as_deref().unwrap_or(&envelope.service);
    let image = cache
        .image
        .clone()
        .unwrap_or_else(|| format!("{image}-build-cache"));
    let reference = match &envelope.registry.server {
        Some(server) => format!("{server}/{image}"),
        None => image,
    };
    let known = |part: &str| match part.split_once('=') {
        Some(("type", _)) => true,
        Some(("ref", text)) => text == reference,
        Some(_) | None => cache.options.iter().any(|option| option == part),
    };
    entry
        .split(',')
        .all(known)
        .then_some(())
        .ok_or_else(refused)
}

/// What the deployer's shell would put in must stand so in the manifest: variables of this machine are nobody else's.
fn check_expansions<'v>(
    mut values: impl Iterator<Item = &'v Vec<Part>>,
    written: &[String],
    what: &str,
) -> Result<(), String> {
    values.try_for_each(|value| {
        value.iter().try_for_each(|part| {
            let text = match part {
                Part::Remote(expansion) => &expansion.text,
                Part::Inherit(name) => name,
                Part::File(file) => return Err(format!("put file `{}` into {what}", file.path)),
                Part::Text(_) | Part::Secret(_) | Part::Slot(_) => return Ok(()),
            };
            let forms = [
                format!("${{{text}}}"),
                format!("${text}"),
                format!("$({text})"),
            ];
            let stands = |written: &String| forms.iter().any(|form| written.contains(form));
            match written.iter().any(stands) {
                true => Ok(()),
                false => Err(format!(
                    "put `{text}` of this machine into {what}, which the manifest does not"
                )),
            }
        })
    })
}

fn secret(part: &Part) -> Option<&str> {
    match part {
        Part::Secret(secret) => Some(&secret.name),
        Part::Text(_) | Part::Slot(_) | Part::Remote(_) | Part::Inherit(_) | Part::File(_) => None,
    }
}

/// Relative, and never upwards.
fn is_inside(path: &str) -> bool {
    use std::path::{Component, Path};
    Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wit::types::{Encoding, Expansion, SecretRef};

    const MANIFEST: &str = "service: app\nimage: team/app\nregistry:\n  server: reg.example.com\n  username: [USER]\n  password: [PASSWORD]\nservers: [web-1]\nbuilder: {arch: amd64, context: ../shared, remote: 'ssh://b', secrets: [TOKEN], args: {A: '${HOST_A}'}, ssh: default=$SSH_AUTH_SOCK, cache: {type: registry, options: mode=max}}\n";

    fn secret_value(name: &str) -> Vec<Part> {
        vec![Part::Secret(SecretRef {
            name: name.to_owned(),
            encoding: Encoding::Verbatim,
        })]
    }

    fn expansion(text: &str) -> Part {
        Part::Remote(Expansion {
            text: text.into(),
            command: false,
            split: false,
        })
    }

    fn builder(output: &mut Output) -> &mut Builder {
        let build = output.images[0].build.as_mut().expect("has one");
        build.builder.as_mut().expect("has one")
    }

    fn honest() -> Output {
        let build = Build {
            context: Some("../shared".into()),
            dockerfile: "docker/Dockerfile".into(),
            target: None,
            args: vec![("A".into(), vec![expansion("HOST_A")])],
            labels: vec![],
            platforms: vec![],
            tags: vec![
                "reg.example.com/team/app:1".into(),
                "reg.example.com/team/app:latest".into(),
            ],
            builder: Some(Builder {
                name: None,
                driver: "docker-container".into(),
                local_platforms: vec![],
                remote_platforms: vec!["linux/amd64".into()],
                remote: Some("ssh://b".into()),
                cache_from: vec!["type=registry,ref=reg.example.com/team/app-build-cache".into()],
                cache_to: vec![
                    "type=registry,ref=reg.example.com/team/app-build-cache,mode=max".into(),
                ],
                secrets: vec!["TOKEN".into()],
                ssh: Some(vec![
                    Part::Text("default=".into()),
                    expansion("SSH_AUTH_SOCK"),
                ]),
                provenance: None,
                sbom: None,
                pack: None,
            }),
        };
        let login = Credentials {
            server: Some("reg.example.com".into()),
            username: secret_value("USER"),
            password: secret_value("PASSWORD"),
        };
        let image = Image {
            name: "app".into(),
            reference: "reg.example.com/team/app:1".into(),
            build: Some(build),
            registry: Some(login),
            local_registry: None,
        };
        let hook = HookPoint {
            moment: "before-build".into(),
            name: "pre-build".into(),
            env: vec![],
        };
        Output {
            documents: vec![],
            images: vec![image],
            hooks: vec![hook],
            sources: vec![],
            diagnostics: vec![],
        }
    }

    #[test]
    fn what_the_manifest_says_is_allowed_and_nothing_beyond_it() {
        let envelope = Envelope::read(&[("config/deploy.yml", MANIFEST)], None).expect("read");
        let hooks = ["pre-build".to_owned()];
        assert_eq!(check(&honest(), &envelope, &hooks), Ok(()));
        type Twist = fn(&mut Output);
        let twists: [(Twist, &str); 16] = [
            (|o| o.hooks[0].name = "/bin/bash".into(), "run `/bin/bash`"),
            (
                |o| o.hooks[0].name = "../../evil".into(),
                "not a hook of this project",
            ),
            (
                |o| o.hooks[0].moment = "always".into(),
                "a moment that there is not",
            ),
            (
                |o| o.images[0].reference = "evil.example.com/x:1".into(),
                "make image `evil.example.com/x:1`",
            ),
            (
                |o| {
                    o.images[0].build.as_mut().expect("has one").tags[1] =
                        "reg.example.com/team/app-other:1".into()
                },
                "app-other",
            ),
            (
                |o| {
                    o.images[0].registry.as_mut().expect("has one").server =
                        Some("evil.example.com".into())
                },
                "log in at registry `evil.example.com`",
            ),
            (
                |o| {
                    o.images[0].registry.as_mut().expect("has one").password =
                        secret_value("DATABASE_URL")
                },
                "send secret `DATABASE_URL`",
            ),
            (
                |o| {
                    o.images[0].build.as_mut().expect("has one").args[0].1 =
                        secret_value("PASSWORD")
                },
                "into a build argument",
            ),
            (
                |o| o.images[0].build.as_mut().expect("has one").context = Some("/".into()),
                "context `/`, which is outside",
            ),
            (
                |o| o.images[0].build.as_mut().expect("has one").dockerfile = "a/../../b".into(),
                "Dockerfile `a/../../b`",
            ),
            (
                |o| builder(o).remote = Some("ssh://evil".into()),
                "build on `ssh://evil`",
            ),
            (
                |o| builder(o).secrets.push("PASSWORD".into()),
                "give secret `PASSWORD` to the build",
            ),
            (
                |o| builder(o).ssh = Some(vec![expansion("AWS_SECRET_ACCESS_KEY")]),
                "`AWS_SECRET_ACCESS_KEY` of this machine",
            ),
            (
                |o| {
                    builder(o)
                        .cache_to
                        .push("type=registry,ref=evil.example.com/x".into())
                },
                "keep layers at",
            ),
            (
                |o| {
                    o.images[0].build.as_mut().expect("has one").args[0].1 = vec![expansion("HOME")]
                },
                "`HOME` of this machine into a build argument",
            ),
            (
                |o| o.images[0].local_registry = Some(22),
                "start a registry on port 22",
            ),
        ];
        for (twist, why) in twists {
            let mut output = honest();
            twist(&mut output);
            let refused = check(&output, &envelope, &hooks).expect_err(why);
            assert!(refused.contains(why), "{refused}");
        }
    }
}
