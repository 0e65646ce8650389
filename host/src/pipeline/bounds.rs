//! What a renderer says that the host should do itself (hooks to run, images to build and push) is held to what the
//! user's own manifest says. A renderer has no powers, and must not get any by asking the host to use its own.
//!
//! * [`copilot`]: the same for a Copilot workload.

pub mod copilot;

use crate::manifest::Envelope;
use crate::plan::canonical;
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

fn is_tag_of(reference: &str, repository: &str) -> bool {
    let tag = reference
        .strip_prefix(repository)
        .and_then(|rest| rest.strip_prefix(':'));
    tag.is_some_and(|tag| !tag.is_empty() && !tag.contains(['/', ':', '@']))
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
        if !is_tag_of(reference, &repository) {
            return Err(format!(
                "make image `{reference}`, and the manifest's own is `{repository}`"
            ));
        }
    }
    if let Some(login) = &image.registry {
        check_login(login, envelope)?;
    }
    if image.local_registry.is_some() && image.local_registry != envelope.registry.local_port() {
        return Err("start a registry on this machine that the manifest does not name".to_owned());
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
    for (name, value) in &build.args {
        let own = envelope.builder.args.iter().find(|(own, _)| own == name);
        let own = own.map(|(_, text)| text.as_str());
        check_variables(&format!("build argument `{name}`"), name, value, own)?;
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
    build
        .builder
        .iter()
        .try_for_each(|builder| check_builder(builder, envelope))
}

/// What a value takes from the deployer's own environment must stand in the text of the manifest.
fn check_variables(
    what: &str,
    name: &str,
    value: &[Part],
    own: Option<&str>,
) -> Result<(), String> {
    let stands = |part: &&Part| match part {
        Part::Text(_) | Part::Slot(_) => true,
        // Without a value of its own, the argument is the variable of its name.
        Part::Inherit(inherited) => {
            inherited == name && own.is_some_and(|own| own.trim().is_empty())
        }
        Part::Remote(expansion) => {
            let plain = expansion.text.replace('\\', "");
            let written = match expansion.command {
                true => [format!("$({plain})"), format!("`{plain}`")],
                false => [format!("${{{plain}}}"), format!("${plain}")],
            };
            let own = own.unwrap_or_default().replace('\\', "");
            written.iter().any(|written| own.contains(written))
        }
        Part::Secret(_) | Part::File(_) => false,
    };
    match value.iter().find(|part| !stands(part)) {
        None => Ok(()),
        Some(part) => Err(format!(
            "put `{}` into the {what}, which the manifest does not",
            canonical::shown(&canonical::value(std::slice::from_ref(part)))
        )),
    }
}

/// Who builds: instances of buildx that Kamal makes, Engines and images that the manifest names.
fn check_builder(builder: &Builder, envelope: &Envelope) -> Result<(), String> {
    let own = &envelope.builder;
    let beyond = |what: &str, asked: &str| {
        Err(format!(
            "build with the {what} `{asked}`, which the manifest does not name"
        ))
    };
    let driver = own.driver.as_deref().unwrap_or("docker-container");
    if builder.driver != driver {
        return beyond("driver", &builder.driver);
    }
    let cloud = driver.replace([' ', '/'], "-");
    if let Some(name) = builder
        .name
        .as_deref()
        .filter(|name| !name.starts_with("kamal-") && *name != cloud)
    {
        return beyond("builder", name);
    }
    if let Some(url) = builder
        .remote
        .as_ref()
        .filter(|url| own.remote.as_ref() != Some(url))
    {
        return beyond("Engine", url);
    }
    if let Some(name) = builder
        .secrets
        .iter()
        .find(|name| !own.secrets.contains(name))
    {
        return beyond("secret", name);
    }
    if let Some(ssh) = &builder.ssh {
        check_variables("SSH sockets of the build", "", ssh, own.ssh.as_deref())?;
    }
    if builder.pack.is_some() == own.pack.is_empty() {
        return beyond("tool", "pack");
    }
    if let Some(pack) = &builder.pack {
        let labels = "paketo-buildpacks/image-labels".to_owned();
        // Without a builder it is pack's own.
        let builder = Some(&pack.builder).filter(|builder| !builder.is_empty());
        let mut images = builder.into_iter().chain(&pack.buildpacks);
        if let Some(image) = images.find(|image| !own.pack.contains(image) && **image != labels) {
            return beyond("buildpack", image);
        }
    }
    let mut caches = builder.cache_from.iter().chain(&builder.cache_to);
    match caches.find(|cache| !is_own_cache(cache, envelope)) {
        Some(cache) => beyond("cache", cache),
        None => Ok(()),
    }
}

/// `type=registry,ref=IMAGE[,OPTIONS]` or `type=gha[,OPTIONS]`, all of it from the manifest.
fn is_own_cache(asked: &str, envelope: &Envelope) -> bool {
    let Some(own) = &envelope.builder.cache else {
        return false;
    };
    let image = own.image.clone().or_else(|| {
        let image = envelope.image.as_deref()?;
        Some(format!("{image}-build-cache"))
    });
    let server = envelope.registry.server.as_deref();
    let reference = match (server, image.unwrap_or_default()) {
        (Some(server), image) => format!("ref={server}/{image}"),
        (None, image) => format!("ref={image}"),
    };
    let kind = format!("type={}", own.kind.as_deref().unwrap_or_default());
    let options: Vec<&str> = own.options.iter().flat_map(|all| all.split(',')).collect();
    asked
        .split(',')
        .all(|item| item == kind || item == reference || options.contains(&item))
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
    use crate::wit::renderer::exports::plimsoll::deploy::renderer::Pack;
    use crate::wit::types::{Encoding, Expansion, SecretRef};

    const MANIFEST: &str = r#"
service: app
image: team/app
registry: {server: reg.example.com, username: [USER], password: [PASSWORD]}
servers: [web-1]
builder:
  arch: amd64
  context: ../shared
  remote: ssh://arm
  secrets: [TOKEN]
  args: {B: "x ${HOST}", EMPTY: ""}
  ssh: default=$SSH_AUTH_SOCK
  cache: {type: registry, options: mode=max}
"#;

    fn secret_value(name: &str) -> Vec<Part> {
        vec![Part::Secret(SecretRef {
            name: name.to_owned(),
            encoding: Encoding::Verbatim,
        })]
    }

    fn remote(text: &str) -> Part {
        Part::Remote(Expansion {
            text: text.to_owned(),
            command: false,
            split: false,
        })
    }

    fn built(output: &mut Output) -> &mut Build {
        output.images[0].build.as_mut().expect("has one")
    }

    fn built_by(output: &mut Output) -> &mut Builder {
        built(output).builder.as_mut().expect("has one")
    }

    fn honest() -> Output {
        let build = Build {
            context: Some("../shared".into()),
            dockerfile: "docker/Dockerfile".into(),
            target: None,
            args: vec![
                ("A".into(), vec![Part::Text("b".into())]),
                ("B".into(), vec![remote("HOST")]),
                ("EMPTY".into(), vec![Part::Inherit("EMPTY".into())]),
            ],
            labels: vec![],
            platforms: vec![],
            tags: vec![
                "reg.example.com/team/app:1".into(),
                "reg.example.com/team/app:latest".into(),
            ],
            builder: Some(Builder {
                name: Some("kamal-remote-ssh---arm".into()),
                driver: "docker-container".into(),
                local_platforms: vec![],
                remote_platforms: vec!["linux/arm64".into()],
                remote: Some("ssh://arm".into()),
                cache_from: vec!["type=registry,ref=reg.example.com/team/app-build-cache".into()],
                cache_to: vec![
                    "type=registry,ref=reg.example.com/team/app-build-cache,mode=max".into(),
                ],
                secrets: vec!["TOKEN".into()],
                ssh: Some(vec![Part::Text("default=".into()), remote("SSH_AUTH_SOCK")]),
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
        let twists: [(Twist, &str); 20] = [
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
                |o| built(o).args[1].1 = vec![remote("AWS_SECRET_ACCESS_KEY")],
                "put `${AWS_SECRET_ACCESS_KEY}` into the build argument `B`",
            ),
            (
                |o| built(o).args[0].1 = vec![Part::Inherit("A".into())],
                "put `<A of the host>` into the build argument `A`",
            ),
            (
                |o| built_by(o).ssh = Some(vec![remote("HOME")]),
                "put `${HOME}` into the SSH sockets",
            ),
            (
                |o| built_by(o).remote = Some("ssh://evil".into()),
                "with the Engine `ssh://evil`",
            ),
            (
                |o| built_by(o).name = Some("mine".into()),
                "with the builder `mine`",
            ),
            (
                |o| built_by(o).driver = "remote".into(),
                "with the driver `remote`",
            ),
            (
                |o| built_by(o).secrets.push("PASSWORD".into()),
                "with the secret `PASSWORD`",
            ),
            (
                |o| built_by(o).cache_to[0] = "type=registry,ref=evil.example.com/x".into(),
                "with the cache `type=registry,ref=evil.example.com/x`",
            ),
            (
                |o| {
                    built_by(o).pack = Some(Pack {
                        builder: "evil".into(),
                        buildpacks: vec![],
                    })
                },
                "with the tool `pack`",
            ),
            (
                |o| o.images[0].local_registry = Some(5000),
                "start a registry on this machine",
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
