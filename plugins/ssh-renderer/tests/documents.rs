//! What is rendered, key by key.

use std::collections::BTreeMap;

use release::{Port, Proxy, Release, Role, Value};
use ssh_renderer::options::{Facts, Options};
use ssh_renderer::render::{Body, File, Output};
use ssh_renderer::{Input, needs, render};

const RICH: &str = include_str!("fixtures/rich.yml");
const STAGING: &str = include_str!("fixtures/rich.staging.yml");

fn input(text: &str) -> Input {
    Input {
        version: "3f2a91c0".into(),
        manifest: vec![File {
            path: "config/deploy.yml".into(),
            text: text.into(),
        }],
        ..Input::default()
    }
}

fn rendered(input: &Input) -> Output {
    render(input).unwrap_or_else(|found| panic!("{found:#?}"))
}

fn release(output: &Output) -> &Release {
    match &output.documents[0].body {
        Body::Release(release) => release,
        other => panic!("{other:?}"),
    }
}

fn role<'a>(output: &'a Output, host: &str, role: &str) -> &'a Role {
    let address = Role::address(host, role);
    match output
        .documents
        .iter()
        .find(|d| d.address == address)
        .map(|d| &d.body)
    {
        Some(Body::Role(role)) => role,
        other => panic!("{address}: {other:?}"),
    }
}

fn proxy<'a>(output: &'a Output, host: &str) -> &'a Proxy {
    let address = Proxy::address(host);
    match output
        .documents
        .iter()
        .find(|d| d.address == address)
        .map(|d| &d.body)
    {
        Some(Body::Proxy(proxy)) => proxy,
        other => panic!("{address}: {other:?}"),
    }
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, Value> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), Value::text(*v)))
        .collect()
}

#[test]
fn the_release_says_who_where_and_in_which_order() {
    let output = rendered(&input(RICH));
    let release = release(&output);
    assert_eq!(
        release.hosts,
        ["10.0.0.2", "10.0.0.1", "10.0.0.3", "10.0.0.4"]
    );
    assert_eq!(
        (release.primary_host.as_str(), release.primary_role.as_str()),
        ("10.0.0.1", "web")
    );
    assert_eq!(release.roles, ["web", "jobs"]);
    // Half of four hosts, the accessory's included.
    assert_eq!(
        release.boot.groups,
        [vec!["10.0.0.2", "10.0.0.1"], vec!["10.0.0.3"]]
    );
    assert_eq!((release.boot.wait, release.boot.parallel_roles), (5, true));
    assert_eq!(release.image.repository, "registry.example.com/acme/shop");
    assert_eq!(
        release.image.latest,
        "registry.example.com/acme/shop:latest"
    );
    assert_eq!(release.lock.path, ".kamal/lock-shop");
    let details = Value::text("Locked by: ")
        .and_slot("performer")
        .and_text(" at ")
        .and_slot("now");
    let details = details.and_text("\nVersion: 3f2a91c0\nMessage: Automatic deploy lock");
    assert_eq!(release.lock.details, details);
    assert_eq!(release.audit_log, ".kamal/shop-audit.log");
    assert_eq!(
        (
            release.retain_containers,
            release.deploy_timeout,
            release.drain_timeout
        ),
        (3, 45, 20)
    );
    let credentials = release.credentials.as_ref().expect("has credentials");
    assert_eq!(credentials.username, Value::text("deployer"));
    assert_eq!(credentials.password, Value::secret("REGISTRY_PASSWORD"));
}

#[test]
fn environments_merge_from_root_over_role_to_tags() {
    let output = rendered(&input(RICH));
    let web = role(&output, "10.0.0.2", "web");
    for (name, value) in [
        ("RAILS_ENV", Value::text("production")),
        ("PORT", Value::text("3000")),
        ("LISTEN", Value::text("80520")),
        ("WEB_ONLY", Value::text("true")),
        ("CANARY", Value::text("1")),
        ("REGION", Value::text("eu")),
        ("INLINE", Value::text("yes")),
        ("KAMAL_HOST", Value::text("10.0.0.2")),
        ("EU_KEY", Value::env_file_secret("EU_KEY")),
        (
            "DATABASE_PASSWORD",
            Value::env_file_secret("DATABASE_PASSWORD"),
        ),
    ] {
        assert_eq!(web.env.get(name), Some(&value), "{name}");
    }
    assert!(!role(&output, "10.0.0.1", "web").env.contains_key("CANARY"));
    let jobs = role(&output, "10.0.0.2", "jobs");
    assert_eq!(
        jobs.env["DATABASE_PASSWORD"],
        Value::env_file_secret("JOBS_DATABASE_PASSWORD")
    );
    assert_eq!(
        (&jobs.env["WEB_ONLY"], &jobs.env["QUEUES"]),
        (&Value::text("false"), &Value::text("*"))
    );
    assert!(
        !jobs.env.contains_key("CANARY"),
        "tags belong to the role's own host entries"
    );
}

#[test]
fn containers_get_what_docker_run_would_have_got() {
    let output = rendered(&input(RICH));
    let web = role(&output, "10.0.0.1", "web");
    assert_eq!(web.image, "registry.example.com/acme/shop:3f2a91c0");
    let labels = [
        ("service", "shop"),
        ("role", "web"),
        ("destination", ""),
        ("team", "storefront"),
        ("tier", "1"),
    ];
    assert_eq!(
        web.labels,
        texts(&[&labels[..], &[("public", "true"), ("a", "b")]].concat())
    );
    assert_eq!(
        web.volumes,
        [
            "/var/lib/shop:/data",
            "./uploads:/uploads",
            "shared/cache:/cache:ro"
        ]
    );
    assert_eq!(web.networks, ["kamal", "backend"]);
    assert_eq!(web.restart, "unless-stopped");
    assert_eq!(
        (web.log.driver.clone(), &web.log.options),
        (Some("local".into()), &texts(&[("max-file", "3")]))
    );
    let options = [
        ("memory", "512m"),
        ("ulimit", "nofile=1024"),
        ("ulimit", "nproc=64"),
        ("init", "true"),
    ];
    assert_eq!(
        web.options,
        options.map(|(k, v)| (k.to_owned(), Value::text(v)))
    );
    assert_eq!((web.command.as_ref(), web.stop_timeout), (None, None));

    let jobs = role(&output, "10.0.0.3", "jobs");
    assert_eq!(
        jobs.command.as_deref(),
        Some(&["bin/jobs", "--queue", "high priority"].map(Value::text)[..])
    );
    assert_eq!(
        (jobs.restart.as_str(), jobs.stop_timeout),
        ("on-failure:3", Some(90))
    );
    assert_eq!(
        jobs.log.options,
        texts(&[("max-file", "3"), ("max-size", "50m")])
    );
    assert_eq!(jobs.proxy, None);
}

#[test]
fn routes_carry_the_proxy_s_flags_in_order() {
    let output = rendered(&input(RICH));
    let route = role(&output, "10.0.0.1", "web")
        .proxy
        .as_ref()
        .expect("the primary role is routed to");
    assert_eq!(route.port, 3000);
    assert_eq!(
        route.flags,
        [
            "--host=shop.example.com",
            "--host=www.example.com",
            "--deploy-timeout=45s",
            "--drain-timeout=20s",
            "--health-check-interval=2s",
            "--health-check-path=/healthz",
            "--target-timeout=20s",
            "--buffer-requests",
            "--buffer-responses=false",
            "--max-request-body=40000000",
            "--forward-headers",
            "--log-request-header=X-Request-ID",
        ]
    );
    let plain = rendered(&input(
        "service: a\nimage: a\nregistry: {username: u, password: p}\nbuilder: {arch: amd64}\nservers: [h]\nproxy: {ssl: true, host: 'a.b,c.d', path_prefix: '/x,/y', ssl_redirect: false}\n",
    ));
    let route = role(&plain, "h", "web").proxy.as_ref().expect("routed");
    assert_eq!(
        route.flags,
        [
            "--host=a.b",
            "--host=c.d",
            "--tls",
            "--deploy-timeout=30s",
            "--drain-timeout=30s",
            "--buffer-requests",
            "--buffer-responses",
            "--path-prefix=/x",
            "--path-prefix=/y",
            "--tls-redirect=false",
            "--log-request-header=Cache-Control",
            "--log-request-header=Last-Modified",
            "--log-request-header=User-Agent",
        ]
    );
}

#[test]
fn the_proxy_runs_as_its_run_section_says() {
    let output = rendered(&input(RICH));
    let special = proxy(&output, "10.0.0.1");
    assert_eq!(special.image, "basecamp/kamal-proxy:v0.9.2");
    let command = ["kamal-proxy", "run", "--debug", "--metrics-port", "9090"].map(Value::text);
    assert_eq!(special.command.as_deref(), Some(&command[..]));
    let port = |host_port, container_port| Port {
        host_ip: Some("10.0.0.9".into()),
        host_port,
        container_port,
    };
    assert_eq!(special.ports, [port(8080, 80), port(8443, 443)]);
    let options =
        [("expose", "9090"), ("memory", "256m")].map(|(k, v)| (k.to_owned(), Value::text(v)));
    assert_eq!(special.options, options);
    assert!(
        !output
            .documents
            .iter()
            .any(|d| d.address == Proxy::address("10.0.0.4")),
        "nothing is routed there"
    );
}

#[test]
fn a_destination_overlays_the_base_and_names_everything() {
    let mut input = input(RICH);
    input.environment = "staging".into();
    input.manifest.push(File {
        path: "config/deploy.staging.yml".into(),
        text: STAGING.into(),
    });
    let output = rendered(&input);
    let release = release(&output);
    assert_eq!(release.destination.as_deref(), Some("staging"));
    assert_eq!(
        release.image.latest,
        "registry.example.com/acme/shop:latest-staging"
    );
    assert_eq!(release.lock.path, ".kamal/lock-shop-staging");
    assert_eq!(release.audit_log, ".kamal/shop-staging-audit.log");
    let web = role(&output, "10.1.0.1", "web");
    assert_eq!(web.labels["destination"], "staging");
    assert_eq!(web.env["KAMAL_DESTINATION"], Value::text("staging"));
    assert_eq!(web.env["RAILS_ENV"], Value::text("staging"));
    assert_eq!(
        web.env["PORT"],
        Value::text("3000"),
        "the rest of the environment stays"
    );
    let command = ["kamal-proxy", "run", "--metrics-port", "9090"].map(Value::text);
    assert_eq!(
        proxy(&output, "10.1.0.1").command.as_deref(),
        Some(&command[..])
    );
}

#[test]
fn images_are_built_unless_they_are_there() {
    let mut input = input(RICH);
    let output = rendered(&input);
    let build = output.images[0].build.as_ref().expect("is built");
    assert_eq!(build.context.as_deref(), Some("."));
    assert_eq!(
        (build.dockerfile.as_str(), build.target.as_deref()),
        ("Dockerfile", Some("production"))
    );
    assert_eq!(build.platforms, ["linux/amd64"]);
    assert_eq!(
        build.args,
        [("RUBY_VERSION".to_owned(), Value::text("3.4.1"))]
    );
    assert_eq!(build.labels, [("service".to_owned(), "shop".to_owned())]);
    assert_eq!(
        build.tags,
        [
            "registry.example.com/acme/shop:3f2a91c0",
            "registry.example.com/acme/shop:latest"
        ]
    );
    input.options.skip_push = true;
    assert_eq!(rendered(&input).images[0].build, None);
}

#[test]
fn hooks_that_exist_are_told_what_kamal_tells_them() {
    let mut input = input(RICH);
    let needs = needs(&input).expect("readable").into_iter();
    let hooks = needs.filter(|need| need.kind == "hook");
    let asked: Vec<String> = hooks.map(|need| need.name).collect();
    let expected = [
        "pre-connect",
        "pre-build",
        "pre-deploy",
        "pre-app-boot",
        "post-app-boot",
        "post-deploy",
    ];
    assert!(
        expected
            .iter()
            .all(|name| asked.iter().any(|own| own == name)),
        "{asked:?}"
    );
    input.facts = Facts {
        hook: asked
            .iter()
            .filter(|n| !n.contains("traefik"))
            .map(|n| (n.clone(), true))
            .collect(),
        ..Facts::default()
    };
    input.options.secrets = Some(
        [
            "REGISTRY_PASSWORD",
            "DATABASE_PASSWORD",
            "SECRET_KEY",
            "EU_KEY",
            "JOBS_DATABASE_PASSWORD",
        ]
        .map(str::to_owned)
        .to_vec(),
    );
    input.options.roles = Some(vec!["web".into()]);
    let output = rendered(&input);
    let points: Vec<_> = output
        .hooks
        .iter()
        .map(|hook| (hook.moment, hook.name))
        .collect();
    assert_eq!(
        points,
        [
            ("before-observe", "pre-connect"),
            ("before-build", "pre-build")
        ]
    );
    let release = release(&output);
    assert_eq!(release.hooks.len(), 4);
    let env = &release.hooks["post-deploy"].env;
    for (name, value) in [
        ("KAMAL_RECORDED_AT", Value::slot("now")),
        ("KAMAL_PERFORMER", Value::slot("performer")),
        ("KAMAL_RUNTIME", Value::slot("runtime")),
        ("KAMAL_SERVICE_VERSION", Value::text("shop@3f2a91c")),
        ("KAMAL_HOSTS", Value::text("10.0.0.2,10.0.0.1")),
        ("KAMAL_ROLES", Value::text("web")),
        ("KAMAL_LOCK", Value::text("false")),
        ("KAMAL_COMMAND", Value::text("deploy")),
        ("SECRET_KEY", Value::secret("SECRET_KEY")),
    ] {
        assert_eq!(env.get(name), Some(&value), "{name}");
    }
    let boot = &release.hooks["pre-app-boot"].env;
    assert_eq!(boot["KAMAL_LOCK"], Value::text("true"));
    assert!(!boot.contains_key("SECRET_KEY") && !boot.contains_key("KAMAL_RUNTIME"));

    // Whoever started this holds the lock.
    input.request.lock_held = true;
    let output = rendered(&input);
    assert_eq!(
        output.hooks[0]
            .env
            .iter()
            .find(|(name, _)| name == "KAMAL_LOCK")
            .map(|(_, v)| v),
        Some(&Value::text("true"))
    );
    let env = &self::release(&output).hooks["post-deploy"].env;
    assert_eq!(env["KAMAL_LOCK"], Value::text("true"));

    input.options.skip_hooks = true;
    let output = rendered(&input);
    assert!(output.hooks.is_empty() && self::release(&output).hooks.is_empty());
}

#[test]
fn this_machine_needs_neither_registry_nor_architecture() {
    let output = rendered(&input("service: demo\nservers: [local]\n"));
    let release = release(&output);
    assert_eq!(release.credentials, None);
    assert_eq!(
        (
            release.image.repository.as_str(),
            release.primary_host.as_str()
        ),
        ("demo", "local")
    );
    let image = &output.images[0];
    assert!(image.registry.is_none());
    assert_eq!(image.reference, "demo:3f2a91c0");
    assert!(
        image
            .build
            .as_ref()
            .is_some_and(|build| build.platforms.is_empty())
    );
    let default = proxy(&output, "local");
    assert_eq!(
        default
            .ports
            .iter()
            .map(|p| (p.host_port, p.container_port))
            .collect::<Vec<_>>(),
        [(80, 80), (443, 443)]
    );
    assert_eq!(
        (default.command.as_ref(), &default.log.options),
        (None, &texts(&[("max-size", "10m")]))
    );
    assert_eq!(
        default.volumes,
        [
            "kamal-proxy-config:/home/kamal-proxy/.config/kamal-proxy",
            ".kamal/proxy/apps-config:/home/kamal-proxy/.apps-config"
        ]
    );
}

#[test]
fn properties_know_their_line() {
    let output = rendered(&input(RICH));
    let line_of = |text: &str| {
        let index = RICH
            .lines()
            .position(|line| line.contains(text))
            .expect("is there");
        u32::try_from(index + 1).expect("short")
    };
    for (address, pointer, text) in [
        ("host/10.0.0.1/role/web", "", "- 10.0.0.1"),
        ("host/10.0.0.1/role/web", "/image", "image: acme/shop"),
        ("host/10.0.0.1/role/web", "/env/RAILS_ENV", "RAILS_ENV"),
        ("host/10.0.0.2/role/web", "/env/REGION", "REGION"),
        ("host/10.0.0.1/role/web", "/labels/team", "team:"),
        ("host/10.0.0.1/role/web", "/volumes/1", "$PWD/uploads"),
        ("host/10.0.0.1/role/web", "/options/1", "ulimit"),
        ("host/10.0.0.1/role/web", "/proxy/flags/5", "healthcheck"),
        ("host/10.0.0.3/role/jobs", "/command", "cmd:"),
        ("host/10.0.0.3/role/jobs", "/restart", "restart:"),
        ("host/10.0.0.1/proxy", "/ports", "bind_ips"),
        ("release", "/boot", "boot:"),
    ] {
        let source = output
            .sources
            .iter()
            .find(|s| s.address == address && s.pointer == pointer);
        assert_eq!(
            source.map(|s| s.at.line),
            Some(line_of(text)),
            "{address}#{pointer}"
        );
    }
}

#[test]
fn options_of_the_command_line_select() {
    let mut input = input(RICH);
    input.options = Options {
        primary: true,
        ..Options::default()
    };
    let output = rendered(&input);
    assert_eq!(release(&output).hosts, ["10.0.0.1"]);
    assert_eq!(output.documents.len(), 3);
}
