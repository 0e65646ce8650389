//! Who builds the image, and with what.

use std::collections::BTreeMap;

use release::{Expansion, Value};
use ssh_renderer::options::{Facts, Options};
use ssh_renderer::render::build::Build;
use ssh_renderer::render::{File, Image};
use ssh_renderer::{Input, render};

fn image(registry: &str, builder: &str) -> Image {
    let text = format!(
        "service: app\nimage: acme/app\nregistry: {registry}\nbuilder: {builder}\nservers: [h]\n"
    );
    let input = Input {
        version: "v1".into(),
        manifest: vec![File {
            path: "config/deploy.yml".into(),
            text: text.clone(),
        }],
        options: Options {
            secrets: Some(vec!["TOKEN".into()]),
            ..Options::default()
        },
        facts: Facts {
            docker_arch: BTreeMap::from([(String::new(), "amd64".into())]),
            ..Facts::default()
        },
        ..Input::default()
    };
    let mut output = render(&input).unwrap_or_else(|found| panic!("{text}: {found:#?}"));
    output.images.remove(0)
}

fn build(builder: &str) -> Build {
    image("{username: u, password: p}", builder)
        .build
        .expect("is built")
}

#[test]
fn the_builder_follows_from_architectures_driver_and_registry() {
    let remote = "ssh://root@arm.example.com:2200";
    for (registry, builder, name, local, other) in [
        (
            "hub",
            "arch: amd64",
            Some("kamal-local-docker-container"),
            "linux/amd64",
            "",
        ),
        (
            "hub",
            "arch: [amd64, arm64]",
            Some("kamal-local-docker-container"),
            "linux/amd64 linux/arm64",
            "",
        ),
        (
            "hub",
            "arch: amd64, driver: docker",
            None,
            "linux/amd64",
            "",
        ),
        (
            "hub",
            "arch: amd64, driver: cloud a/b",
            Some("cloud-a-b"),
            "linux/amd64",
            "",
        ),
        (
            "local",
            "arch: amd64",
            Some("kamal-local-registry-docker-container"),
            "linux/amd64",
            "",
        ),
        (
            "hub",
            "arch: amd64, remote: URL",
            Some("kamal-local-docker-container"),
            "linux/amd64",
            "",
        ),
        (
            "hub",
            "arch: arm64, remote: URL",
            Some("kamal-remote-ssh---root-arm-example-com-2200"),
            "",
            "linux/arm64",
        ),
        (
            "local",
            "arch: [arm64, amd64], remote: URL",
            Some("kamal-hybrid-docker-container-ssh---root-arm-example-com-2200-local-registry"),
            "linux/amd64",
            "linux/arm64",
        ),
        (
            "hub",
            "arch: amd64, remote: URL, local: false",
            Some("kamal-remote-ssh---root-arm-example-com-2200"),
            "",
            "linux/amd64",
        ),
        (
            "hub",
            "arch: amd64, pack: {builder: b, buildpacks: [x]}",
            None,
            "linux/amd64",
            "",
        ),
    ] {
        let registry = match registry {
            "local" => "{server: 'localhost:5000'}",
            _ => "{username: u, password: p}",
        };
        let builder = format!("{{{}}}", builder.replace("URL", remote));
        let found = image(registry, &builder)
            .build
            .expect("is built")
            .builder
            .expect("is said");
        assert_eq!(found.name.as_deref(), name, "{builder}");
        assert_eq!(found.local_platforms.join(" "), local, "{builder}");
        assert_eq!(found.remote_platforms.join(" "), other, "{builder}");
        assert_eq!(found.remote.is_some(), !other.is_empty(), "{builder}");
    }
}

#[test]
fn caches_are_read_and_written() {
    for (cache, from, to) in [
        ("{type: gha}", "type=gha", "type=gha"),
        (
            "{type: gha, options: 'mode=max,scope=x,timeout=5m'}",
            "type=gha,scope=x,timeout=5m",
            "type=gha,mode=max,scope=x,timeout=5m",
        ),
        (
            "{type: registry, options: mode=max}",
            "type=registry,ref=acme/app-build-cache",
            "type=registry,ref=acme/app-build-cache,mode=max",
        ),
        (
            "{type: registry, image: acme/cache}",
            "type=registry,ref=acme/cache",
            "type=registry,ref=acme/cache",
        ),
    ] {
        let builder = build(&format!("{{arch: amd64, cache: {cache}}}"))
            .builder
            .expect("is said");
        assert_eq!(
            (builder.cache_from, builder.cache_to),
            (vec![from.to_owned()], vec![to.to_owned()])
        );
    }
    let own = image(
        "{server: r.io, username: u, password: p}",
        "{arch: amd64, cache: {type: registry}}",
    );
    let builder = own.build.and_then(|build| build.builder).expect("is said");
    assert_eq!(
        builder.cache_from,
        ["type=registry,ref=r.io/acme/app-build-cache"]
    );
}

#[test]
fn everything_else_arrives_as_buildx_would_get_it() {
    let build = build(
        "{arch: amd64, context: ., dockerfile: docker/Dockerfile, target: prod, secrets: [TOKEN], sbom: true, \
         provenance: false, ssh: 'default=$SSH_AUTH_SOCK', args: {A: 1, B: 'x ${Y}', EMPTY: ''}}",
    );
    let expansion = |text: &str, split| Expansion {
        text: text.into(),
        command: false,
        split,
    };
    assert_eq!(
        build.args,
        [
            ("A".to_owned(), Value::text("1")),
            (
                "B".to_owned(),
                Value::text("x ").and_remote(expansion("Y", false))
            ),
            ("EMPTY".to_owned(), Value::inherit("EMPTY")),
        ]
    );
    let builder = build.builder.expect("is said");
    assert_eq!(builder.secrets, ["TOKEN"]);
    assert_eq!(
        (builder.provenance.as_deref(), builder.sbom.as_deref()),
        (Some("false"), Some("true"))
    );
    let ssh = Value::text("default=").and_remote(expansion("SSH_AUTH_SOCK", true));
    assert_eq!(builder.ssh, Some(ssh));
    assert_eq!(build.target.as_deref(), Some("prod"));
}

#[test]
fn buildpacks_label_the_image_last() {
    let pack = build("{arch: amd64, pack: {builder: heroku/builder, buildpacks: [heroku/ruby]}}")
        .builder
        .and_then(|builder| builder.pack)
        .expect("is said");
    assert_eq!(pack.builder, "heroku/builder");
    assert_eq!(
        pack.buildpacks,
        ["heroku/ruby", "paketo-buildpacks/image-labels"]
    );
}

#[test]
fn the_registry_on_this_machine_needs_no_login() {
    let image = image("{server: 'localhost:5555'}", "{arch: amd64}");
    assert_eq!((image.registry, image.local_registry), (None, Some(5555)));
    assert_eq!(image.reference, "localhost:5555/acme/app:v1");
}
