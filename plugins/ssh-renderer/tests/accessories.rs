//! Containers beside the application.

use std::collections::BTreeMap;

use release::{Accessory, Part, Value};
use ssh_renderer::command::Request;
use ssh_renderer::diagnostic::Severity;
use ssh_renderer::options::Facts;
use ssh_renderer::render::{Body, File, Output};
use ssh_renderer::{Input, render};

const ACCESSORIES: &str = r#"
service: app
image: acme/app
registry: {server: reg.example.com, username: u, password: p}
builder: {arch: amd64}
servers: [h1, {h2: green}]
logging: {options: {max-size: 5m}}
accessories:
  db:
    image: reg.example.com/acme/mysql:8
    host: h3
    port: 3306
    cmd: mysqld --port 3306
    env: {clear: {A: 1}, secret: ["PASSWORD:ROOT"]}
    labels: {x: y}
    files:
      - config/my.cnf:/etc/my.cnf:ro
      - {local: config/init.sql.erb, remote: /init.sql, mode: "0640", owner: "999:999"}
    directories:
      - data:/var/lib/mysql
      - {local: /srv/logs, remote: /logs, mode: "0700", owner: mysql}
    volumes: ["cache:/c"]
    options: {cpus: 2, restart: always, network: other}
  search:
    service: finder
    image: search
    registry: {server: own.example.com, username: v, password: [OWN]}
    hosts: [h1, h3]
    port: "127.0.0.1:7700:7700"
    network: elsewhere
    proxy: {host: search.example.com, app_port: 7700, ssl: {certificate_pem: C, private_key_pem: K}}
"#;

fn input(there: &[&str]) -> Input {
    let file = |path: &&str| {
        (
            (*path).to_owned(),
            BTreeMap::from([((*path).to_owned(), "ab".to_owned())]),
        )
    };
    Input {
        version: "v1".into(),
        request: Request {
            command: "accessory boot".into(),
            name: Some("all".into()),
            ..Request::default()
        },
        manifest: vec![File {
            path: "config/deploy.yml".into(),
            text: ACCESSORIES.into(),
        }],
        facts: Facts {
            file: there.iter().map(file).collect(),
            ..Facts::default()
        },
        ..Input::default()
    }
}

const FILES: [&str; 2] = ["config/my.cnf", "config/init.sql.erb"];

fn accessory<'o>(output: &'o Output, address: &str) -> &'o Accessory {
    let found = output.documents.iter().find(|d| d.address == address);
    match &found.expect(address).body {
        Body::Accessory(accessory) => accessory,
        other => panic!("{other:?}"),
    }
}

fn texts(values: &[Value]) -> Vec<String> {
    values
        .iter()
        .map(|value| value.shown().into_owned())
        .collect()
}

#[test]
fn an_accessory_gets_what_docker_run_would_have_got() {
    let output = render(&input(&FILES)).expect("renders");
    let db = accessory(&output, "host/h3/accessory/db");
    assert_eq!(
        (db.container.as_str(), db.image.as_str()),
        ("app-db", "reg.example.com/acme/mysql:8")
    );
    assert_eq!(
        db.credentials.as_ref().map(|own| &own.username),
        Some(&Value::text("u")),
        "the image is from the application's registry"
    );
    assert_eq!(
        texts(db.command.as_deref().expect("given")),
        ["mysqld", "--port", "3306"]
    );
    let env = ["A", "KAMAL_HOST", "PASSWORD"].map(|name| db.env[name].clone());
    assert_eq!(
        env,
        [
            Value::text("1"),
            Value::text("h3"),
            Value::env_file_secret("ROOT")
        ]
    );
    assert_eq!(db.env.len(), 3);
    assert_eq!(
        db.labels
            .iter()
            .map(|(k, v)| format!("{k}={}", v.shown()))
            .collect::<Vec<_>>(),
        ["service=app-db", "x=y"]
    );
    assert_eq!(
        texts(&db.volumes),
        [
            "cache:/c",
            "app-db/etc/my.cnf:/etc/my.cnf:ro",
            "app-db/init.sql:/init.sql",
            "app-db/data:/var/lib/mysql",
            "/srv/logs:/logs"
        ]
    );
    assert_eq!(db.networks, ["kamal", "other"]);
    assert_eq!(db.restart, "always");
    assert_eq!(db.log.options["max-size"], "5m");
    let options: Vec<_> = db
        .options
        .iter()
        .map(|(k, v)| (k.as_str(), v.shown()))
        .collect();
    assert_eq!(
        options,
        [("publish", "3306:3306".into()), ("cpus", "2".into())]
    );
    let directories: Vec<_> = db
        .directories
        .iter()
        .map(|d| (d.path.shown(), d.mode.as_deref(), d.owner.as_deref()))
        .collect();
    assert_eq!(
        directories,
        [
            ("app-db/data".into(), None, None),
            ("/srv/logs".into(), Some("0700"), Some("mysql"))
        ]
    );
    let files: Vec<_> = db
        .files
        .iter()
        .map(|f| (f.path.shown(), f.mode.as_str(), f.owner.as_deref()))
        .collect();
    assert_eq!(
        files,
        [
            ("app-db/etc/my.cnf".into(), "755", None),
            ("app-db/init.sql".into(), "0640", Some("999:999"))
        ]
    );
    assert!(matches!(db.files[1].content.parts(), [Part::File(file)]
        if file.path == "config/init.sql.erb" && file.digest == "ab" && file.accessory.as_deref() == Some("db")));
    assert_eq!(db.proxy, None);
}

#[test]
fn an_accessory_has_its_own_name_registry_network_and_route() {
    let output = render(&input(&FILES)).expect("renders");
    for host in ["h1", "h3"] {
        let search = accessory(&output, &Accessory::address(host, "search"));
        assert_eq!(
            (search.container.as_str(), search.image.as_str()),
            ("finder", "own.example.com/search")
        );
        let login = search.credentials.as_ref().expect("its own");
        assert_eq!(
            (login.server.as_deref(), &login.password),
            (Some("own.example.com"), &Value::secret("OWN"))
        );
        assert_eq!(search.networks, ["elsewhere"]);
        assert_eq!(
            search.options,
            [("publish".to_owned(), Value::text("127.0.0.1:7700:7700"))]
        );
        let route = search.proxy.as_ref().expect("is routed to");
        assert_eq!(route.port, 7700);
        assert_eq!(route.flags[0], "--host=search.example.com");
        assert_eq!(
            route.flags[2],
            "--tls-certificate-path=/home/kamal-proxy/.apps-config/app/tls/search/cert.pem"
        );
        assert!(route.tls.is_some());
    }
}

#[test]
fn accessories_can_be_all_there_is() {
    let alone = "service: app\nimage: a\nregistry: {username: u, password: p}\nbuilder: {arch: amd64}\n\
                 accessories: {db: {image: m, host: h}, cache: {image: r, hosts: [i, h]}}\n";
    let mut input = input(&[]);
    input.manifest[0].text = alone.into();
    let output = render(&input).expect("renders");
    let Body::Release(release) = &output.documents[0].body else {
        panic!("{:?}", output.documents[0])
    };
    assert_eq!(
        (release.primary_host.as_str(), &release.accessory_hosts[..]),
        ("h", &["h".to_owned(), "i".to_owned()][..])
    );
    input.request = Request::default();
    let found = render(&input).expect_err("there is nothing to deploy to");
    assert_eq!(found[0].code, "no-servers");
}

#[test]
fn a_file_that_is_missing_is_told_when_it_is_needed() {
    let found = render(&input(&["config/my.cnf"])).expect_err("refused");
    let errors = found.iter().filter(|d| d.severity == Severity::Error);
    let errors: Vec<&str> = errors.map(|d| d.message.as_str()).collect();
    assert_eq!(
        errors,
        ["accessories/db/files: Missing file: config/init.sql.erb"]
    );
    let mut stopping = input(&[]);
    stopping.request.command = "accessory stop".into();
    assert!(render(&stopping).is_ok());
}
