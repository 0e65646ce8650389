use super::*;
use crate::grant::{
    ArgvPattern, ExecGrant, HostPattern, ImagePattern, MountPattern, NamePattern, OptionPattern,
    PathPattern, ReadGrant,
};

fn grants() -> Grants {
    let name = |text| NamePattern::parse(text).expect(text);
    let path = |text| PathPattern::parse(text).expect(text);
    let mut grants = Grants::none("ssh-driver");
    grants.docker.hosts = vec![HostPattern::parse("web-*").expect("a host")];
    grants.docker.containers = vec![name("app-*"), name("kamal-proxy"), name("app-db")];
    grants.docker.labels = vec![("service".into(), "app".into())];
    grants.docker.images = vec![ImagePattern::parse("ghcr.io/acme/*").expect("an image")];
    grants.docker.networks = vec![name("kamal"), name("*")];
    grants.docker.mounts = vec![MountPattern::parse(".kamal/**").expect("a mount")];
    grants.docker.exec = vec![ExecGrant {
        container: name("kamal-proxy"),
        command: ArgvPattern::parse("kamal-proxy **").expect("a command"),
    }];
    grants.docker.read_files = vec![ReadGrant {
        container: name("kamal-proxy"),
        path: path("/state/*"),
    }];
    grants.docker.options = vec![OptionPattern::parse("cap-add=NET_ADMIN").expect("an option")];
    grants.ssh.hosts = vec![HostPattern::parse("web-1").expect("a host")];
    grants.ssh.run = vec![ArgvPattern::parse("systemctl restart web").expect("a command")];
    grants.ssh.write = vec![path(".kamal/**")];
    grants.lock = vec![path(".kamal/lock-app")];
    grants.hook = vec![name("pre-deploy")];
    grants
        .secrets
        .insert("DB".into(), [Sink::ContainerEnv].into());
    grants
}

#[test]
fn what_is_granted_is_covered() {
    let grants = grants();
    for answer in [
        grants.covers_docker_host("web-1"),
        grants.covers_container("app-web-1"),
        grants.covers_image("ghcr.io/acme/app:1"),
        grants.covers_network("kamal"),
        grants.covers_network("other"),
        grants.covers_mount(".kamal/proxy"),
        grants.covers_option("cap_add", "NET_ADMIN"),
        grants.covers_option("memory", "1g"),
        grants.covers_exec("kamal-proxy", &["kamal-proxy", "list"]),
        grants.covers_read_file("kamal-proxy", "/state/x"),
        grants.covers_ssh_host("WEB-1"),
        grants.covers_command(&["systemctl", "restart", "web"]),
        grants.covers_write(".kamal/x"),
        grants.covers_lock(".kamal/lock-app"),
        grants.covers_hook("pre-deploy"),
        grants.covers_secret("DB", Sink::ContainerEnv),
        grants.covers_fingerprint("DB"),
    ] {
        assert_eq!(answer, Ok(()));
    }
}

#[test]
fn what_is_not_granted_is_refused_with_the_rule_that_would_allow_it() {
    let grants = grants();
    for (answer, capability, request, rule) in [
        (
            grants.covers_docker_host("db-1"),
            "docker",
            "Docker Engine of \"db-1\"",
            "docker.hosts += \"db-1\"",
        ),
        (
            grants.covers_container("db"),
            "docker",
            "container \"db\"",
            "docker.containers += \"db\"",
        ),
        (
            grants.covers_image("ghcr.io/acme-evil/x:1"),
            "docker",
            "image \"ghcr.io/acme-evil/x:1\"",
            "docker.images += \"ghcr.io/acme-evil/x:*\"",
        ),
        (
            grants.covers_image("localhost:5000/x"),
            "docker",
            "image \"localhost:5000/x\"",
            "docker.images += \"localhost:5000/x:*\"",
        ),
        (
            grants.covers_network("host"),
            "docker",
            "network \"host\"",
            "docker.networks += \"host\"",
        ),
        (
            grants.covers_network("container:app-1"),
            "docker",
            "network \"container:app-1\"",
            "docker.networks += \"container:app-1\"",
        ),
        (
            grants.covers_mount("/var/run/docker.sock"),
            "docker",
            "mount of \"/var/run/docker.sock\"",
            "docker.mounts += \"/var/run/docker.sock\"",
        ),
        (
            grants.covers_mount(".kamal/../.ssh"),
            "docker",
            "mount of \".kamal/../.ssh\"",
            "docker.mounts += \".kamal/../.ssh\"",
        ),
        (
            grants.covers_option("privileged", "true"),
            "docker",
            "option \"privileged\"",
            "docker.options += \"privileged\"",
        ),
        (
            grants.covers_option("cap_add", "ALL"),
            "docker",
            "option \"cap-add=ALL\"",
            "docker.options += \"cap-add=ALL\"",
        ),
        (
            grants.covers_option("pid", "host"),
            "docker",
            "option \"pid=host\"",
            "docker.options += \"pid=host\"",
        ),
        (
            grants.covers_option("volume", "/etc:/x"),
            "docker",
            "mount of \"/etc\"",
            "docker.mounts += \"/etc\"",
        ),
        (
            grants.covers_option("network", "host"),
            "docker",
            "network \"host\"",
            "docker.networks += \"host\"",
        ),
        (
            grants.covers_option("mount", "type=tmpfs,target=/x"),
            "docker",
            "option \"mount=type=tmpfs,target=/x\"",
            "docker.options += \"mount=type=tmpfs,target=/x\"",
        ),
        (
            grants.covers_exec("kamal-proxy", &["sh", "-c", "x y"]),
            "docker",
            "command [\"sh\", \"-c\", \"x y\"] in container \"kamal-proxy\"",
            "docker.exec.kamal-proxy += [\"sh\", \"-c\", \"x y\"]",
        ),
        (
            grants.covers_exec("app.1", &["kamal-proxy", "list"]),
            "docker",
            "command [\"kamal-proxy\", \"list\"] in container \"app.1\"",
            "docker.exec.\"app.1\" += \"kamal-proxy list\"",
        ),
        (
            grants.covers_read_file("kamal-proxy", "/state/../etc/passwd"),
            "docker",
            "file \"/state/../etc/passwd\" of container \"kamal-proxy\"",
            "docker.read-files.kamal-proxy += \"/state/../etc/passwd\"",
        ),
        (
            grants.covers_ssh_host("web-2"),
            "ssh",
            "connection to \"web-2\"",
            "ssh.hosts += \"web-2\"",
        ),
        (
            grants.covers_command(&["systemctl", "restart", "database"]),
            "ssh",
            "command [\"systemctl\", \"restart\", \"database\"]",
            "ssh.run += \"systemctl restart database\"",
        ),
        (
            grants.covers_command(&["find", "-name", "*.log"]),
            "ssh",
            "command [\"find\", \"-name\", \"*.log\"]",
            "ssh.run += \"find -name *\"",
        ),
        (
            grants.covers_command(&["systemctl restart web"]),
            "ssh",
            "command [\"systemctl restart web\"]",
            "ssh.run += [\"systemctl restart web\"]",
        ),
        (
            grants.covers_command(&[]),
            "ssh",
            "command []",
            "ssh.run += \"\"",
        ),
        (
            grants.covers_write(".ssh/authorized_keys"),
            "ssh",
            "writing \".ssh/authorized_keys\"",
            "ssh.write += \".ssh/authorized_keys\"",
        ),
        (
            grants.covers_lock(".kamal/lock-app2"),
            "lock",
            "lock \".kamal/lock-app2\"",
            "lock += \".kamal/lock-app2\"",
        ),
        (
            grants.covers_hook("post-deploy"),
            "hook",
            "hook \"post-deploy\"",
            "hook += \"post-deploy\"",
        ),
        (
            grants.covers_hook("../../bin/sh"),
            "hook",
            "hook \"../../bin/sh\"",
            "hook += \"../../bin/sh\"",
        ),
        (
            grants.covers_secret("DB", Sink::File),
            "secrets",
            "secret \"DB\" in file",
            "secrets.DB += \"file\"",
        ),
        (
            grants.covers_secret("db", Sink::ContainerEnv),
            "secrets",
            "secret \"db\" in container-env",
            "secrets.db += \"container-env\"",
        ),
        (
            grants.covers_fingerprint("X"),
            "secrets",
            "fingerprint of secret \"X\"",
            "secrets.X += \"container-env\"",
        ),
    ] {
        let rule = format!("plugins.ssh-driver.grants.{rule}");
        let request = request.to_owned();
        assert_eq!(
            answer,
            Err(Denied {
                capability,
                request,
                rule
            })
        );
    }
}

#[test]
fn a_container_of_another_service_is_not_ours_by_prefix() {
    let grants = grants();
    let labelled = |name: &str, service: Option<&str>| {
        let labels = service.map(|service| ("service".to_owned(), service.to_owned()));
        grants
            .covers_labelled_container(name, &labels.into_iter().collect())
            .is_ok()
    };
    for (name, service, covered) in [
        ("app-web-1", Some("app"), true),
        ("app-web-1", None, true),
        ("app-web-web-1", Some("app-web"), false),
        ("app-web-1", Some(""), false),
        ("kamal-proxy", Some("other"), true),
        ("app-db", Some("app-db"), true),
        ("db", Some("app"), false),
    ] {
        assert_eq!(labelled(name, service), covered, "{name} {service:?}");
    }
}

#[test]
fn a_request_is_shown_without_what_could_mislead() {
    let grants = Grants::none("my plugin");
    let long = "x".repeat(500);
    for (name, shown) in [
        ("a\u{1b}[31m\n", "container \"a\\u001b[31m\\n\""),
        ("\u{202e}gpj", "container \"\\u202egpj\""),
        ("\"\\", "container \"\\\"\\\\\""),
        ("", "container \"\""),
        ("é", "container \"é\""),
    ] {
        let denied = grants
            .covers_container(name)
            .expect_err("nothing is granted");
        assert_eq!(denied.request, shown);
        assert!(
            denied
                .rule
                .starts_with("plugins.\"my plugin\".grants.docker.containers += ")
        );
    }
    let denied = grants
        .covers_container(&long)
        .expect_err("nothing is granted");
    assert!(denied.request.chars().count() < 230);
    let denied = denied.while_doing("run").on("web-1");
    assert!(
        denied.request.starts_with("run container \"xxx") && denied.request.ends_with(" on web-1")
    );
}
