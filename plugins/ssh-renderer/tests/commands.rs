//! What a command renders, and what it demands.

use std::collections::BTreeMap;

use release::{Expansion, Part, Role, Value};
use ssh_renderer::command::Request;
use ssh_renderer::diagnostic::{Diagnostic, Severity};
use ssh_renderer::options::{Facts, Options};
use ssh_renderer::render::{Body, File, Output};
use ssh_renderer::{Input, needs, render};

const FULL: &str = r#"
service: app
image: acme/app
registry: {server: reg.example.com, username: u, password: [REGISTRY]}
builder: {arch: amd64, secrets: [BUILD]}
servers:
  web: [h1, h2]
  jobs: {hosts: [h2], cmd: 'bin/jobs --on $(hostname) "$QUEUE" && date'}
env: {clear: {FROM: "x ${HOST}", EMPTY: ""}, secret: [TOKEN]}
labels: {note: "${NOTE}"}
volumes: ["~/data:/data", "$DISK/x:/x"]
asset_path: /app/public:ro
error_pages_path: public
proxy: {host: a.example.com, ssl: {certificate_pem: CERT, private_key_pem: KEY}}
accessories: {db: {image: mysql, host: h3}, cache: {image: redis, role: web}}
"#;

fn input(command: &str) -> Input {
    let mut words = command.split(' ');
    let mut name = None;
    if words.clone().count() == 3 {
        name = words.next_back().map(str::to_owned);
    }
    let pages = ["public/404.html", "public/index.html"].map(|path| (path.into(), "ab".into()));
    Input {
        version: "v1".into(),
        request: Request {
            command: words.collect::<Vec<_>>().join(" "),
            name,
            ..Request::default()
        },
        manifest: vec![File {
            path: "config/deploy.yml".into(),
            text: FULL.into(),
        }],
        options: Options {
            secrets: Some(
                ["REGISTRY", "BUILD", "TOKEN", "CERT", "KEY"]
                    .map(str::to_owned)
                    .into(),
            ),
            ..Options::default()
        },
        facts: Facts {
            file: BTreeMap::from([("public".into(), BTreeMap::from(pages))]),
            ..Facts::default()
        },
        ..Input::default()
    }
}

fn rendered(command: &str) -> Output {
    render(&input(command)).unwrap_or_else(|found| panic!("{command}: {found:#?}"))
}

fn release(output: &Output) -> &release::Release {
    match &output.documents[0].body {
        Body::Release(release) => release,
        other => panic!("{other:?}"),
    }
}

fn role<'o>(output: &'o Output, address: &str) -> &'o Role {
    match &output
        .documents
        .iter()
        .find(|d| d.address == address)
        .expect(address)
        .body
    {
        Body::Role(role) => role,
        other => panic!("{other:?}"),
    }
}

fn addresses(output: &Output) -> String {
    let short = |address: &String| address.replace("host/", "").replace("accessory", "acc");
    let all: Vec<String> = output.documents.iter().map(|d| short(&d.address)).collect();
    all.join(" ")
}

#[test]
fn documents_are_those_the_command_has_to_do_with() {
    for (command, expected) in [
        (
            "deploy",
            "release h2/role/web h2/role/jobs h2/proxy h1/role/web h1/proxy",
        ),
        ("redeploy", "release h2/role/web h2/role/jobs h1/role/web"),
        ("accessory boot db", "release h3/acc/db"),
        (
            "accessory stop all",
            "release h2/acc/cache h1/acc/cache h3/acc/db",
        ),
        ("proxy reboot", "release h2/proxy h1/proxy"),
        ("prune all", "release"),
        ("app stop", "release h2/role/web h2/role/jobs h1/role/web"),
        (
            "setup",
            "release h2/role/web h2/role/jobs h2/proxy h2/acc/cache h1/role/web h1/proxy h1/acc/cache h3/acc/db",
        ),
    ] {
        assert_eq!(addresses(&rendered(command)), expected, "{command}");
    }
    let images = |command| rendered(command).images.len();
    assert_eq!(
        [
            images("deploy"),
            images("rollback"),
            images("app stop"),
            images("build push")
        ],
        [1, 0, 0, 1]
    );
}

#[test]
fn a_command_demands_no_more_than_it_uses() {
    let missing = |command: &str| {
        let mut input = input(command);
        input.version.clear();
        input.options.secrets = Some(Vec::new());
        let mut codes: Vec<String> = match render(&input) {
            Ok(_) => Vec::new(),
            Err(found) => {
                let errors = found
                    .iter()
                    .filter(|found| found.severity == Severity::Error);
                errors.map(name).collect()
            }
        };
        codes.sort();
        codes.dedup();
        codes.join(" ")
    };
    fn name(finding: &Diagnostic) -> String {
        match finding.message.split('\'').nth(1) {
            Some(secret) if finding.code == "missing-secret" => secret.to_owned(),
            _ => finding.code.to_owned(),
        }
    }
    for (command, expected) in [
        ("deploy", "BUILD CERT KEY REGISTRY TOKEN missing-version"),
        ("rollback", "CERT KEY TOKEN missing-version"),
        ("app boot", "CERT KEY TOKEN"),
        ("accessory boot db", "REGISTRY"),
        ("app stop", ""),
        ("proxy reboot", "REGISTRY"),
        ("lock release", ""),
        ("remove", ""),
    ] {
        assert_eq!(missing(command), expected, "{command}");
    }
    let mut skipping = input("deploy");
    skipping.options.skip_push = true;
    skipping.options.secrets = Some(
        ["REGISTRY", "TOKEN", "CERT", "KEY"]
            .map(str::to_owned)
            .into(),
    );
    assert!(render(&skipping).is_ok(), "nothing is built");
}

#[test]
fn what_only_the_server_s_shell_knows_is_left_to_it() {
    let output = rendered("deploy");
    let jobs = role(&output, "host/h2/role/jobs");
    let remote = |text: &str, command, split| {
        Value::default().and_remote(Expansion {
            text: text.into(),
            command,
            split,
        })
    };
    assert_eq!(
        jobs.command,
        Some(vec![
            Value::text("bin/jobs"),
            Value::text("--on"),
            remote("hostname", true, true),
            remote("QUEUE", false, false),
        ])
    );
    assert_eq!(jobs.shell_tail.as_deref(), Some("&& date"));
    assert_eq!(
        jobs.env["FROM"],
        Value::text("x ").and(remote("HOST", false, false))
    );
    assert_eq!(jobs.env["EMPTY"], Value::inherit("EMPTY"));
    assert_eq!(jobs.labels["note"], remote("NOTE", false, false));
    assert_eq!(
        jobs.volumes,
        [
            Value::text("./data:/data"),
            remote("DISK", false, true).and_text("/x:/x")
        ]
    );
}

#[test]
fn assets_certificates_and_error_pages_belong_to_what_is_routed_to() {
    let output = rendered("deploy");
    let web = role(&output, "host/h1/role/web");
    let assets = web.assets.as_ref().expect("has assets");
    assert_eq!(
        (assets.path.as_str(), assets.options.as_deref()),
        ("/app/public", Some("ro"))
    );
    let route = web.proxy.as_ref().expect("is routed to");
    let tls = route.tls.as_ref().expect("has a certificate");
    assert_eq!(
        (&tls.certificate, &tls.private_key),
        (&Value::secret("CERT"), &Value::secret("KEY"))
    );
    let flags: Vec<_> = route.flags.iter().map(Value::shown).collect();
    assert_eq!(
        flags[..4],
        [
            "--host=a.example.com",
            "--tls",
            "--tls-certificate-path=/home/kamal-proxy/.apps-config/app/tls/web/cert.pem",
            "--tls-private-key-path=/home/kamal-proxy/.apps-config/app/tls/web/key.pem",
        ]
    );
    assert!(route.error_pages);
    let pages = &release(&output)
        .error_pages
        .as_ref()
        .expect("has pages")
        .pages;
    let [page] = pages.as_slice() else {
        panic!("{pages:?}")
    };
    assert_eq!(page.name, "404.html");
    assert!(matches!(page.content.parts(), [Part::File(file)] if file.path == "public/404.html"));
    let jobs = role(&output, "host/h2/role/jobs");
    assert_eq!((&jobs.assets, &jobs.proxy), (&None, &None));
}

#[test]
fn the_release_tells_who_is_meant() {
    let mut input = input("setup");
    input.options.roles = Some(vec!["jobs".into()]);
    let output = render(&input).expect("renders");
    let release = release(&output);
    assert_eq!(
        release.unselected_roles,
        BTreeMap::from([("h2".to_owned(), vec!["web".to_owned()])])
    );
    assert_eq!(release.accessories, ["cache"]);
    assert_eq!(
        (
            &release.app_hosts[..],
            &release.proxy_hosts[..],
            &release.accessory_hosts[..]
        ),
        (
            &["h2".to_owned()][..],
            &["h2".to_owned()][..],
            &["h2".to_owned()][..]
        )
    );
}

#[test]
fn the_version_is_the_one_the_command_means() {
    let version = |command: &str, said: Option<&str>| {
        let mut input = input(command);
        input.request.version = said.map(str::to_owned);
        let output = render(&input).expect("renders");
        let release = release(&output);
        let locked = release.lock.details.shown().contains("Version: v1");
        (release.version.clone().unwrap_or_default(), locked)
    };
    assert_eq!(version("rollback", Some("v0")), ("v0".into(), true));
    assert_eq!(version("app boot", None), ("latest".into(), true));
    assert_eq!(version("deploy", None), ("v1".into(), true));
}

#[test]
fn needs_are_asked_for_when_they_count() {
    let asked = |command: &str| {
        let needs = needs(&input(command)).expect("readable").into_iter();
        let names = needs.filter(|need| !need.name.contains("traefik"));
        names.map(|need| need.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        asked("deploy"),
        "pre-connect pre-build pre-deploy post-deploy pre-app-boot post-app-boot public"
    );
    assert_eq!(
        asked("proxy reboot"),
        "pre-connect pre-proxy-reboot post-proxy-reboot"
    );
    assert_eq!(asked("app stop"), "pre-connect");
}

#[test]
fn an_accessory_nobody_knows_is_named_with_those_there_are() {
    let output = rendered("accessory boot nope");
    let messages: Vec<&str> = output
        .diagnostics
        .iter()
        .map(|d| d.message.as_str())
        .collect();
    assert_eq!(
        messages,
        ["No accessory by the name of 'nope' (options: db and cache)"]
    );
    assert_eq!(addresses(&output), "release");
}

#[test]
fn kamal_config_shows_the_merged_settings() {
    let output = rendered("config");
    let settings = output
        .documents
        .iter()
        .find(|d| d.address == "settings")
        .expect("is there");
    let text = settings.body.to_text();
    for line in [
        ":roles:\n- jobs\n- web\n",
        ":primary_host: h1\n",
        ":absolute_image: reg.example.com/acme/app:v1\n",
        ":volume_args:\n- \"--volume\"\n",
        ":ssh_options:\n  :user: root\n  :port: 22\n  :keepalive: true\n",
        ":builder:\n  arch: amd64\n",
        ":accessories:\n  db:\n    image: mysql\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
