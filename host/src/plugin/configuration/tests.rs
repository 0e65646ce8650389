use super::*;
use crate::{grant::Sink, manifest::render_diagnostic};

const BUNDLE: [Bundled; 5] = [
    Bundled {
        name: "ecs-renderer",
        role: Role::Renderer,
    },
    Bundled {
        name: "ssh-renderer",
        role: Role::Renderer,
    },
    Bundled {
        name: "text-differ",
        role: Role::Differ,
    },
    Bundled {
        name: "ssh-driver",
        role: Role::Driver,
    },
    Bundled {
        name: "baseline-policy",
        role: Role::Policy,
    },
];

fn parse(text: &str) -> Result<Configuration, Findings> {
    Configuration::parse("plimsoll.yml", text, &BUNDLE)
}

#[test]
fn a_configuration_is_read_whole() {
    let configuration = parse(
        "
plugins:
  my-driver:
    from: file:plugins/my-driver.wasm
    role: driver
    settings: {batch: 2}
    grants:
      docker:
        hosts: [\"web-*\", local]
        containers: \"app-*\"
        labels: {service: app}
        images: [\"ghcr.io/acme/*\"]
        networks: [kamal]
        mounts: [\".kamal/**\"]
        exec: {kamal-proxy: [\"kamal-proxy **\", [sh, -c, \"a | b\"]]}
        read-files: {kamal-proxy: [/state]}
        options: [cap-add=NET_ADMIN]
      ssh: {hosts: [web-1], run: [\"systemctl restart web\"], write: [\".kamal/**\"]}
      lock: [.kamal/lock-app]
      hook: [\"pre-*\"]
      secrets: {DB: [container-env, file]}
  no-fridays: {from: file:policies/no-fridays.wasm, role: policy}
  baseline-policy: {settings: {strict: true}}
commands: [\"aws ecr get-login-password\"]
",
    )
    .expect("it is right");
    let driver = configuration
        .of_role(Role::Driver)
        .expect("there is a driver");
    assert_eq!(driver.source, Source::File("plugins/my-driver.wasm".into()));
    assert_eq!(driver.settings.to_string(), r#"{"batch":2}"#);
    assert!(
        !driver.grants.derived,
        "a third party gets what is written and no more"
    );
    let grants = &driver.grants.written;
    for answer in [
        grants.covers_docker_host("web-7"),
        grants.covers_container("app-web-1"),
        grants.covers_exec("kamal-proxy", &["sh", "-c", "a | b"]),
        grants.covers_read_file("kamal-proxy", "/state"),
        grants.covers_command(&["systemctl", "restart", "web"]),
        grants.covers_lock(".kamal/lock-app"),
        grants.covers_hook("pre-deploy"),
        grants.covers_secret("DB", Sink::File),
    ] {
        assert_eq!(answer, Ok(()));
    }
    let policies: Vec<&str> = configuration.policies().map(|p| p.name.as_str()).collect();
    assert_eq!(policies, ["no-fridays", "baseline-policy"]);
    assert!(configuration.allows_command(" aws ecr get-login-password\n"));
    assert!(!configuration.allows_command("aws ecr get-login-password; id"));
}

#[test]
fn lines_for_a_bundled_plugin_add_to_what_its_manifest_grants() {
    for (text, derived) in [
        ("plugins: {ssh-driver: {grants: {hook: [x]}}}", true),
        ("plugins: {ssh-driver: {grants: {derived: false}}}", false),
        ("plugins: {ssh-driver: {}}", true),
        ("plugins: {ssh-driver: }", true),
        ("plugins: {d: {from: 'file:d.wasm', role: driver}}", false),
        (
            "plugins: {d: {from: 'file:d.wasm', role: driver, grants: {derived: true}}}",
            true,
        ),
        (
            "plugins: {ssh-driver: {from: 'file:d.wasm', role: driver}}",
            false,
        ),
    ] {
        let configuration = parse(text).expect(text);
        assert_eq!(configuration.plugins[0].grants.derived, derived, "{text}");
    }
    assert_eq!(parse(""), Ok(Configuration::default()));
}

/// Every refusal has a place, a caret and a cure.
#[test]
fn what_is_wrong_is_shown_with_its_place_and_the_fix() {
    for (text, message, line, column, length, help) in [
        (
            "plugin: {}",
            "unknown key \"plugin\"",
            1,
            1,
            6,
            "did you mean \"plugins\"?",
        ),
        (
            "colour: red",
            "unknown key \"colour\"",
            1,
            1,
            6,
            "keys of plimsoll.yml: plugins, commands",
        ),
        (
            "- x",
            "plimsoll.yml is a map, this is a list",
            1,
            1,
            0,
            "key: value",
        ),
        (
            "plugins: [a]",
            "`plugins` is a map, this is a list",
            1,
            10,
            1,
            "key: value",
        ),
        (
            "plugins:\n  ssh-drivr: {}",
            "no plugin \"ssh-drivr\" in the bundle",
            2,
            3,
            9,
            "did you mean \"ssh-driver\"?",
        ),
        (
            "plugins:\n  mine: {role: driver}",
            "no plugin \"mine\"",
            2,
            3,
            4,
            "from: file:",
        ),
        (
            "plugins:\n  Mine: {from: 'file:x', role: policy}",
            "can't be the name",
            2,
            3,
            4,
            "lower-case",
        ),
        (
            "plugins:\n  m: {from: 'file:x'}",
            "plugin \"m\" has no role",
            2,
            3,
            1,
            "renderer, differ, policy, driver",
        ),
        (
            "plugins:\n  m: {from: 'file:x', role: drivr}",
            "unknown role \"drivr\"",
            2,
            29,
            5,
            "did you mean \"driver\"?",
        ),
        (
            "plugins:\n  m: {from: plugins/x.wasm, role: policy}",
            "is not a place",
            2,
            13,
            14,
            "file:plugins",
        ),
        (
            "plugins:\n  m: {from: 'file:', role: policy}",
            "names no file",
            2,
            13,
            7,
            "file:plugins",
        ),
        (
            "plugins:\n  m: {from: 'oci://x/y', role: policy}",
            "from a registry yet",
            2,
            13,
            11,
            "download",
        ),
        (
            "plugins:\n  m: {form: 'file:x', role: policy}",
            "unknown key \"form\"",
            2,
            7,
            4,
            "did you mean \"from\"?",
        ),
        (
            "plugins:\n  ssh-driver: {role: policy}",
            "is a driver, not a policy",
            2,
            22,
            6,
            "leave the line out",
        ),
        (
            "plugins:\n  a: {from: 'file:x', role: driver}\n  b: {from: 'file:y', role: driver}",
            "\"b\" is a second driver beside \"a\"",
            3,
            3,
            1,
            "keep one driver",
        ),
        (
            "plugins:\n  m: {from: 'file:x', role: policy, grants: {}}",
            "a policy has no powers",
            2,
            37,
            6,
            "only drivers",
        ),
        (
            "plugins:\n  ssh-driver: {settings: 3}",
            "`settings` is a map",
            2,
            26,
            1,
            "key: value",
        ),
        (
            "plugins:\n  ssh-driver: {grants: {dokcer: {}}}",
            "unknown key \"dokcer\"",
            2,
            25,
            6,
            "did you mean \"docker\"?",
        ),
        (
            "plugins:\n  ssh-driver: {grants: {docker: {host: a}}}",
            "unknown key \"host\"",
            2,
            34,
            4,
            "did you mean \"hosts\"?",
        ),
        (
            "plugins:\n  ssh-driver: {grants: {docker: {containers: ['a*b']}}}",
            "wildcard stands only at the end",
            2,
            47,
            5,
            "prefix*",
        ),
        (
            "plugins:\n  ssh-driver: {grants: {docker: {containers: {a: b}}}}",
            "are a list, this is a map",
            2,
            46,
            1,
            "write",
        ),
        (
            "plugins:\n  ssh-driver: {grants: {docker: {exec: {'a*b': [x]}}}}",
            "wildcard",
            2,
            41,
            5,
            "prefix*",
        ),
        (
            "plugins:\n  ssh-driver: {grants: {ssh: {run: ['sh -c \"x\"']}}}",
            "words, not a shell line",
            2,
            37,
            11,
            "as a list",
        ),
        (
            "plugins:\n  ssh-driver: {grants: {ssh: {write: [../x]}}}",
            "never allowed in a path",
            2,
            39,
            4,
            "home directory",
        ),
        (
            "plugins:\n  ssh-driver: {grants: {secrets: {A: [env]}}}",
            "unknown sink \"env\"",
            2,
            39,
            3,
            "container-env",
        ),
        (
            "plugins:\n  ssh-driver: {grants: {derived: maybe}}",
            "true or false",
            2,
            34,
            5,
            "derived: true",
        ),
        (
            "commands: x",
            "`commands` is a list",
            1,
            11,
            1,
            "one line a command",
        ),
        ("a: [", "not YAML", 1, 5, 0, "quotes"),
    ] {
        let findings = parse(text).expect_err(text);
        let finding = &findings[0];
        let at = finding.at.as_ref().expect("it has a place");
        assert!(
            finding.message.contains(message),
            "{text}\n{}",
            finding.message
        );
        assert_eq!(
            (at.line, at.column, at.length),
            (line, column, length),
            "{text}"
        );
        let shown = render_diagnostic(finding, |_| Some(text));
        assert!(shown.contains('^') && shown.contains(help), "{shown}");
    }
}

#[test]
fn all_findings_come_at_once() {
    let findings =
        parse("a: 1\nplugins:\n  x: {}\n  ssh-driver: {b: 2, grants: {c: 3}}\ncommands: 4\n");
    let lines: Vec<u32> = findings
        .expect_err("nearly everything is wrong")
        .iter()
        .filter_map(|finding| finding.at.as_ref().map(|at| at.line))
        .collect();
    assert_eq!(lines, [1, 3, 4, 4, 5]);
}
