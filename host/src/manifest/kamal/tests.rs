use super::*;

fn envelope(text: &str) -> Envelope {
    Envelope::read(&[("config/deploy.yml", text)], None).expect("it is a map")
}

#[test]
fn hosts_are_found_in_every_form() {
    for (text, expected) in [
        ("servers: [a, b, a]", &["a", "b"][..]),
        ("servers: [a: tag, b: [x, y]]", &["a", "b"]),
        (
            "servers: {web: [a], jobs: {hosts: [b, {c: t}], cmd: x}}",
            &["a", "b", "c"],
        ),
        (
            "accessories: {db: {host: d}, r: {hosts: [e, d]}, l: {role: web}}",
            &["d", "e"],
        ),
        ("servers: [a]\naccessories: {db: {host: a}}", &["a"]),
        (
            "x: &h [a, b]\nservers:\n  web: *h\n  jobs:\n    <<: {cmd: x}\n    hosts: *h",
            &["a", "b"],
        ),
        ("servers: 1.1.1.1", &[]),
        ("servers: {web: ~, jobs: {hosts: {a: b}}}", &[]),
        ("servers: [[a], ~, 10.0.0.1, 7]", &["10.0.0.1", "7"]),
    ] {
        assert_eq!(envelope(text).hosts, expected, "{text}");
    }
}

#[test]
fn a_destination_is_laid_over() {
    let base = "service: app\nservers: [a]\nssh: {user: deploy, port: 2222}\nhooks_path: hooks";
    let over = "servers: [b]\nssh: {port: 22}";
    let files = [("deploy.yml", base), ("deploy.eu.yml", over)];
    let merged = Envelope::read(&files, Some("eu")).expect("both are maps");
    assert_eq!(merged.hosts, ["b"]);
    assert_eq!((merged.ssh.user.as_str(), merged.ssh.port), ("deploy", 22));
    assert_eq!(merged.hooks_path, "hooks");
    assert_eq!(merged.service_and_destination(), "app-eu");
    assert_eq!(
        merged.secret_paths(),
        [".kamal/secrets-common", ".kamal/secrets.eu"]
    );
}

#[test]
fn the_repository_has_its_registry() {
    for (text, repository, local) in [
        ("image: acme/app", Some("acme/app"), false),
        (
            "image: acme/app\nregistry: {server: ghcr.io}",
            Some("ghcr.io/acme/app"),
            false,
        ),
        (
            "service: app\nregistry: {server: 'localhost:5000'}",
            Some("localhost:5000/app"),
            true,
        ),
        (
            "service: app\nregistry: {server: localhosted.io}",
            None,
            false,
        ),
        ("service: app", None, false),
    ] {
        let envelope = envelope(text);
        assert_eq!(envelope.repository().as_deref(), repository, "{text}");
        assert_eq!(envelope.registry.is_local(), local, "{text}");
    }
}

#[test]
fn credentials_are_literals_or_secrets_and_do_not_print() {
    let registry = envelope("registry: {username: bob, password: [TOKEN]}").registry;
    assert_eq!(
        registry.username,
        Some(Credential::Literal(Secret::new("bob")))
    );
    assert_eq!(registry.password, Some(Credential::Secret("TOKEN".into())));
    assert!(!format!("{registry:?}").contains("bob"));
}

#[test]
fn the_ssh_section_has_kamals_defaults() {
    let ssh = |text: &str| envelope(text).ssh;
    let default = ssh("service: app");
    assert_eq!((default.user.as_str(), default.port), ("root", 22));
    assert_eq!(default.config, SshConfigFiles::Default);
    assert!(!default.keys_only && default.forward_agent);
    let full = ssh(
        "ssh: {user: app, port: '2222', proxy: jump, proxy_command: x, keys: [~/.ssh/id], keys_only: yes, \
         key_data: [KEY], config: [a, b], forward_agent: false}",
    );
    assert_eq!(full.proxy.as_deref(), Some("root@jump"));
    assert_eq!(
        (full.port, full.keys_only, full.forward_agent),
        (2222, true, false)
    );
    assert_eq!(
        (full.keys, full.key_data),
        (vec!["~/.ssh/id".into()], vec!["KEY".into()])
    );
    assert_eq!(
        full.config,
        SshConfigFiles::Files(vec!["a".into(), "b".into()])
    );
    assert_eq!(ssh("ssh: {config: false}").config, SshConfigFiles::None);
    assert_eq!(ssh("ssh: {config: true}").config, SshConfigFiles::Default);
    assert_eq!(
        ssh("ssh: {config: f}").config,
        SshConfigFiles::Files(vec!["f".into()])
    );
    assert_eq!(ssh("ssh: {port: many}").port, 22);
}

#[test]
fn options_and_volumes_are_listed_by_role() {
    let envelope = envelope(
        "volumes: ['/data:/data', 'store:/x:ro', '/anonymous', '${DIR:-/d}:/e']\n\
         servers:\n  web:\n    hosts: [a]\n    options: {privileged: true, cap_add: [A, B], label: {k: v}}\n\
         accessories:\n  db:\n    image: mysql:8\n    host: d\n    directories: [data:/var/lib/mysql, /srv/x:/y]\n    \
         volumes: ['/v:/v']\n    network: other\n",
    );
    assert_eq!(envelope.volumes, ["/data", "store", "${DIR:-/d}"]);
    let options: Vec<String> = envelope.roles[0]
        .options
        .iter()
        .map(|option| format!("{}={}", option.name, option.value))
        .collect();
    assert_eq!(
        options,
        ["privileged=true", "cap-add=A", "cap-add=B", "label=k=v"]
    );
    let accessory = &envelope.accessories[0];
    assert_eq!(accessory.volumes, ["/v", "/srv/x"]);
    assert_eq!(accessory.container, "-db");
    assert_eq!(accessory.network.as_deref(), Some("other"));
}

#[test]
fn secrets_are_found_wherever_they_are_named() {
    let envelope = envelope(
        "env: {secret: [A, B:C], tags: {t: {secret: [D]}}}\n\
         servers: {web: {hosts: [a], env: {secret: [E]}, proxy: {ssl: {certificate_pem: PEM}}}}\n\
         accessories: {db: {env: {secret: [F]}, registry: {password: [G]}}}\n\
         registry: {username: [H], password: [H]}\n\
         ssh: {key_data: [I, \"-----BEGIN\\nx\"]}\n\
         builder: {secrets: [J]}\n",
    );
    let uses: Vec<(&str, &Use)> = envelope
        .secrets
        .iter()
        .map(|used| (used.name.as_str(), &used.used))
        .collect();
    let env = |name: &str| Use::ContainerEnv(name.to_owned());
    assert_eq!(
        uses,
        [
            ("A", &env("A")),
            ("C", &env("B")),
            ("D", &env("D")),
            ("E", &env("E")),
            ("F", &env("F")),
            ("G", &Use::Registry),
            ("H", &Use::Registry),
            ("PEM", &Use::Certificate),
            ("I", &Use::SshKey),
            ("J", &Use::Build),
        ]
    );
}

#[test]
fn proxy_images_come_from_every_run_section() {
    let images = |text: &str| envelope(text).proxy_images;
    let default = "basecamp/kamal-proxy";
    assert_eq!(images("service: a"), [default]);
    assert_eq!(
        images("proxy: {run: {registry: r.io}}"),
        ["r.io/basecamp/kamal-proxy", default]
    );
    let role = "servers: {web: {hosts: [a], proxy: {run: {repository: acme/proxy}}}}";
    assert_eq!(images(role), ["acme/proxy", default]);
}

#[test]
fn what_builds_and_servers_are_given_is_read_for_bounds() {
    let envelope = envelope(
        "service: app\n\
         servers: {web: {hosts: [a], cmd: 'x $(hostname) && date'}}\n\
         volumes: ['`echo /d`:/d']\n\
         registry: {server: 'localhost:5555'}\n\
         error_pages_path: public\n\
         builder: {driver: cloud a/b, args: {A: 1, B: ''}, ssh: default, secrets: [S], cache: {type: gha},\n  \
           pack: {builder: p, buildpacks: [q]}}\n\
         accessories:\n  db:\n    env: {clear: {A: b}, secret: [C, 'D:E']}\n    \
           files: [my.cnf:/etc/my.cnf, {local: init.erb, remote: /i}]\n    cmd: y > $(z)\n\
         hooks_output: {pre-build: :quiet}\n\
         output: {file: {path: log}, otel: {endpoint: 'http://o'}}\n",
    );
    assert_eq!(
        envelope.commands,
        ["hostname", ": && date", ": > $(z)", "echo /d"]
    );
    assert_eq!(envelope.registry.local_port(), Some(5555));
    assert_eq!(envelope.error_pages.as_deref(), Some("public"));
    let builder = &envelope.builder;
    assert_eq!(builder.driver.as_deref(), Some("cloud a/b"));
    let args = [("A", "1"), ("B", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(builder.args, args);
    assert_eq!(
        (&builder.secrets[..], &builder.pack[..]),
        (&["S".to_owned()][..], &["p".to_owned(), "q".to_owned()][..])
    );
    let kind = builder
        .cache
        .as_ref()
        .and_then(|cache| cache.kind.as_deref());
    assert_eq!(kind, Some("gha"));
    let db = &envelope.accessories[0];
    assert_eq!(db.files, ["my.cnf", "init.erb"]);
    let secret = |name: &str| Variable::Secret(name.to_owned());
    assert_eq!(
        db.env,
        [
            ("A".to_owned(), Variable::Clear("b".to_owned())),
            ("C".to_owned(), secret("C")),
            ("D".to_owned(), secret("E")),
        ]
    );
    let quiet = (Some("pre-build".to_owned()), "quiet".to_owned());
    assert_eq!(envelope.hooks_output, [quiet]);
    assert_eq!(
        (
            envelope.log_folder.as_deref(),
            envelope.telemetry.as_deref()
        ),
        (Some("log"), Some("http://o"))
    );
}

#[test]
fn what_is_not_a_configuration_is_refused_with_its_place() {
    for (text, line, column, part) in [
        ("", 1, 1, "this is nothing"),
        ("- a\n", 1, 1, "this is a list"),
        ("just text", 1, 1, "this is a single value"),
        ("a: [\n", 1, 5, "not YAML"),
    ] {
        let error = Envelope::read(&[("f.yml", text)], None).expect_err(text);
        let at = error.at.expect("it has a place");
        assert_eq!((at.line, at.column), (line, column), "{text}");
        assert!(error.message.contains(part), "{}", error.message);
    }
}
