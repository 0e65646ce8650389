//! What is wrong, where, and the cure.

use ssh_renderer::diagnostic::{Diagnostic, Severity};
use ssh_renderer::options::Options;
use ssh_renderer::render::{Body, File, Output};
use ssh_renderer::{Input, render};

const GOOD: &str = "\
service: app
image: acme/app
registry: {username: u, password: [TOKEN]}
builder: {arch: amd64}
";

fn rendered(text: &str, options: Options) -> Result<Output, Vec<Diagnostic>> {
    render(&Input {
        version: "v1".into(),
        manifest: vec![File {
            path: "config/deploy.yml".into(),
            text: text.into(),
        }],
        options,
        ..Input::default()
    })
}

fn errors(text: &str) -> Vec<(u32, u32, &'static str, String)> {
    let options = Options {
        secrets: Some(vec!["TOKEN".into()]),
        ..Options::default()
    };
    let found = rendered(text, options).err().unwrap_or_default();
    let errors = found.into_iter().filter(|d| d.severity == Severity::Error);
    errors
        .map(|d| {
            let at = d.at.unwrap_or_default();
            (at.line, at.column, d.code, d.message)
        })
        .collect()
}

/// One line after [`GOOD`] with a list of servers, so it stands on line 6.
fn only_error(line: &str) -> (u32, u32, &'static str, String) {
    let mut found = errors(&format!("{GOOD}servers: [h1, h2]\n{line}\n"));
    assert_eq!(found.len(), 1, "{line}: {found:?}");
    found.remove(0)
}

#[test]
fn every_finding_names_its_path_and_its_place() {
    for (line, column, code, message) in [
        ("bogus: 1", 1, "unknown-key", "unknown key: bogus"),
        (
            "labels: {a: [b]}",
            13,
            "wrong-type",
            "labels/a: should be a string",
        ),
        (
            "volumes: /a:/b",
            10,
            "wrong-type",
            "volumes: should be an array",
        ),
        (
            "deploy_timeout: '30'",
            17,
            "wrong-type",
            "deploy_timeout: should be an integer",
        ),
        (
            "retain_containers: 0",
            20,
            "invalid-value",
            "Must retain at least 1 container",
        ),
        (
            "env: {A: 2024-01-01}",
            10,
            "wrong-type",
            "env/A: should be a string",
        ),
        (
            "env: {clear: {A: b}, C: d}",
            22,
            "unknown-key",
            "env: unknown key: C",
        ),
        (
            "env: {secret: [{A: B}]}",
            16,
            "wrong-type",
            "env/secret/0: should be a string",
        ),
        (
            "env: {secret: [NOPE]}",
            16,
            "missing-secret",
            "Secret 'NOPE' not found in .kamal/secrets",
        ),
        (
            "env: {tags: {t: {tags: {}}}}",
            18,
            "misplaced-tags",
            "env/tags/t: tags are only allowed in the root env",
        ),
        (
            "proxy: {app_port: 70000}",
            19,
            "invalid-value",
            "proxy/app_port: 70000 is not a port",
        ),
        (
            "proxy: {host: a, hosts: [b]}",
            18,
            "conflicting-keys",
            "proxy: Specify one of 'host' or 'hosts', not both",
        ),
        (
            "proxy: {ssl: true, host: a}",
            14,
            "ssl-on-several-servers",
            "SSL is only supported on a single server unless you provide custom certificates, found 2 servers for role \
             web",
        ),
        (
            "boot: {limit: 0}",
            15,
            "invalid-value",
            "boot/limit: should be a number of hosts above 0, or a percentage",
        ),
        (
            "ssh: {config: {a: b}}",
            15,
            "wrong-type",
            "ssh/config: should be a boolean or a string or an array",
        ),
        (
            "accessories: {db: {host: h, role: web}}",
            15,
            "missing-key",
            "accessories/db: specify one of `host`, `hosts`, `role`, `roles`, `tag` or `tags`",
        ),
        (
            "accessories: {db: {roles: [web, x]}}",
            33,
            "unknown-role",
            "accessories/db: unknown roles x",
        ),
        (
            "aliases: {deploy: x}",
            11,
            "invalid-name",
            "aliases/deploy: Alias 'deploy' conflicts with a built-in command.",
        ),
        (
            "minimum_version: 3.0",
            18,
            "kamal-too-old",
            "Current version is 2.12.0, minimum required is 3.0",
        ),
        (
            "env: {A: b",
            11,
            "invalid-yaml",
            "invalid YAML: while parsing a flow mapping, did not find expected ',' or '}'",
        ),
    ] {
        let (found_line, found_column, found_code, found_message) = only_error(line);
        assert_eq!(
            (found_code, found_message.as_str()),
            (code, message),
            "{line}"
        );
        if code != "invalid-yaml" {
            assert_eq!((found_line, found_column), (6, column), "{line}");
        }
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_in_order() {
    let found = errors(
        "service: a b\nimage: 1\nservers: {web: {hosts: [h], x: 1, cmd: a 'b}, jobs: 5}\nproxy: {ssl: true}\n",
    );
    let codes: Vec<(u32, &str)> = found
        .iter()
        .map(|(line, _, code, _)| (*line, *code))
        .collect();
    assert_eq!(
        codes,
        [
            (0, "missing-key"),
            (0, "missing-key"),
            (1, "invalid-name"),
            (3, "unknown-key"),
            (3, "open-quote"),
            (3, "wrong-type"),
            (4, "missing-key"),
        ],
        "{found:#?}"
    );
}

#[test]
fn a_misspelt_key_is_not_missing_as_well() {
    let text = GOOD
        .replace("service", "servcie")
        .replace("arch", "arhc")
        .replace("password", "pasword");
    let found =
        rendered(&format!("{text}servers: [h]\n"), Options::default()).expect_err("refused");
    let help: Vec<_> = found
        .iter()
        .map(|d| (d.code, d.help.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(
        help,
        [
            ("unknown-key", "did you mean `service`?"),
            ("unknown-key", "did you mean `password`?"),
            ("unknown-key", "did you mean `arch`?"),
        ]
    );
}

#[test]
fn findings_in_the_overlay_point_at_the_overlay() {
    let found = render(&Input {
        environment: "staging".into(),
        version: "v1".into(),
        manifest: vec![
            File {
                path: "config/deploy.yml".into(),
                text: format!("{GOOD}servers: [h]\nenv: {{A: b}}\n"),
            },
            File {
                path: "config/deploy.staging.yml".into(),
                text: "\nenv: {clear: {C: d}}\n".into(),
            },
        ],
        ..Input::default()
    })
    .expect_err("a flat environment can't be merged with a sorted one");
    let at = found[0].at.expect("has a place");
    assert_eq!(
        (found[0].message.as_str(), at.file, at.line),
        ("env: unknown key: A", 0, 6)
    );
}

#[test]
fn filters_that_match_nothing_are_told() {
    let text = format!("{GOOD}servers: [h1]\n");
    for (options, message) in [
        (
            Options {
                hosts: Some(vec!["x".into(), "H1".into()]),
                ..Options::default()
            },
            "No --hosts match for x,H1",
        ),
        (
            Options {
                roles: Some(vec!["j*".into()]),
                ..Options::default()
            },
            "No --roles match for j*",
        ),
    ] {
        let found = rendered(&text, options).expect_err("no match");
        assert_eq!(found[0].message, message);
    }
}

#[test]
fn doubtful_things_are_warned_about_and_still_rendered() {
    let text = format!(
        "{GOOD}servers: [h1, 12]\nlabels: {{a: b}}\nlabels: {{c: d}}\noutput: {{otel: {{endpoint: 'http://o'}}}}\n"
    );
    let output = rendered(&text, Options::default()).expect("renders");
    let codes: Vec<&str> = output.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, ["host-ignored", "duplicate-key", "without-effect"]);
}

#[test]
fn a_reserved_label_at_the_top_keeps_its_value_and_is_warned_of() {
    let text = format!("{GOOD}servers: [h1]\nlabels: {{service: x, team: y}}\n");
    let options = Options {
        secrets: Some(vec!["TOKEN".into()]),
        ..Options::default()
    };
    let output = rendered(&text, options).expect("renders");
    let mut documents = output.documents.iter();
    let role = documents.find_map(|document| match &document.body {
        Body::Role(role) => Some(role),
        Body::Release(_) | Body::Proxy(_) | Body::Accessory(_) | Body::Settings(_) => None,
    });
    let labels = &role.expect("a role").labels;
    assert_eq!(labels["service"].as_text(), Some("app"));
    assert_eq!(labels["team"].as_text(), Some("y"));
    let warned = |found: &&Diagnostic| found.code == "reserved-label";
    assert_eq!(output.diagnostics.iter().filter(warned).count(), 1);
}
