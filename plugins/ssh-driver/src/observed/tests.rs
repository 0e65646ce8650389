use std::collections::BTreeMap;

use release::{Encoding, Value};
use serde_json::json;

use super::*;
use crate::facts::Container;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const ASSETS: &str = ".kamal/apps/app/assets/volumes/web-";

fn desired() -> Role {
    let role = json!({
        "image": "r.io/app:2", "command": null,
        "env": {"A": "b", "KAMAL_HOST": "web-1", "S": {"secret": "S", "encoding": "env-file"}},
        "labels": {"service": "app", "role": "web", "destination": "", "team": "x"},
        "volumes": ["data:/data", ".kamal/app:/app:ro", "/srv:/srv", "/cache"],
        "networks": ["kamal", "extra"], "restart": "on-failure:3",
        "log": {"driver": null, "options": {"max-size": "10m"}},
        "options": [["cpus", "1.50"], ["memory", "512m"], ["cap-add", "NET_ADMIN"], ["publish", "0.0.0.0:3000:3000/tcp"],
            ["add-host", "db:10.0.0.2"], ["init", "true"], ["ulimit", "nofile=1024"]],
        "stop_timeout": 9, "proxy": {"port": 3000, "flags": ["--host=a.example.com", "--deploy-timeout=30s"]},
    });
    serde_json::from_value(role).expect("a role")
}

/// `docker inspect` of a container that was made from [`desired`].
fn inspected() -> Inspected {
    let container = json!({
        "Id": ID, "Image": "sha256:aa", "Name": "/app-web-2",
        "Config": {
            "Image": "r.io/app:2", "Cmd": ["serve"], "Hostname": "web-1-0123456789ab",
            "Env": {"A": "b", "KAMAL_HOST": "web-1", "S": {"fingerprint": "f1"}, "PATH": "/bin", "TOKEN": {"fingerprint": "f2"},
                "KAMAL_CONTAINER_NAME": "app-web-2", "KAMAL_VERSION": "2"},
            "Labels": {"service": "app", "role": "web", "destination": "", "team": "x", "maintainer": "me"},
            "Volumes": {"/cache": {}},
        },
        "HostConfig": {
            "Binds": ["/srv:/srv", "/home/me/.kamal/app:/app:ro", "data:/data"],
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
            "NanoCpus": 1_500_000_000_u64, "Memory": 536_870_912_u64, "CapAdd": ["CAP_NET_ADMIN"], "Init": true,
            "ExtraHosts": ["db:10.0.0.2"],
            "PortBindings": {"3000/tcp": [{"HostIp": "", "HostPort": "3000"}]},
        },
        "NetworkSettings": {"Networks": {"extra": {}, "kamal": {}}},
    });
    let image = json!({
        "Id": "sha256:aa",
        "Config": {
            "Cmd": ["serve"], "Env": {"PATH": "/bin", "TOKEN": {"fingerprint": "f2"}, "A": "image"},
            "Labels": {"service": "app", "maintainer": "me"},
        },
    });
    Inspected {
        container,
        image: Some(image),
    }
}

fn fingerprints() -> Fingerprints {
    [(("S".to_owned(), Encoding::EnvFile), "f1".to_owned())].into()
}

#[test]
fn an_unchanged_container_reads_as_desired() {
    let desired = desired();
    assert_eq!(
        role(
            &desired,
            &inspected(),
            &fingerprints(),
            ASSETS,
            desired.proxy.clone()
        ),
        desired
    );
}

/// What the observed role says at a place after the Engine's description was changed at another.
fn after(place: &str, value: Json, read: &str) -> Json {
    let mut inspected = inspected();
    let (parent, key) = place.rsplit_once('/').expect("a pointer");
    inspected.container.pointer_mut(parent).expect("a place")[key] = value;
    let role = serde_json::to_value(role(&desired(), &inspected, &fingerprints(), ASSETS, None))
        .expect("serialises");
    role.pointer(read).cloned().unwrap_or_default()
}

#[test]
fn what_differs_is_told_as_it_is() {
    for (place, value, read, expected) in [
        (
            "/Config/Image",
            json!("r.io/app:1"),
            "/image",
            json!("r.io/app:1"),
        ),
        (
            "/Config/Cmd",
            json!(["work", "hard"]),
            "/command",
            json!(["work", "hard"]),
        ),
        ("/Config/Env/A", json!("c"), "/env/A", json!("c")),
        ("/Config/Env/OLD", json!("1"), "/env/OLD", json!("1")),
        (
            "/Config/Env/PATH",
            json!("/usr/bin"),
            "/env/PATH",
            json!("/usr/bin"),
        ),
        (
            "/Config/Env/S",
            json!({"fingerprint": "f9"}),
            "/env/S",
            json!("another value than secret S"),
        ),
        (
            "/Config/Env/S",
            json!("shown by mistake"),
            "/env/S",
            json!("another value than secret S"),
        ),
        (
            "/Config/Env/A",
            json!({"fingerprint": "f9"}),
            "/env/A",
            json!("a withheld value"),
        ),
        (
            "/Config/Labels/team",
            json!("y"),
            "/labels/team",
            json!("y"),
        ),
        ("/Config/Labels/old", json!("1"), "/labels/old", json!("1")),
        (
            "/HostConfig/Binds",
            json!(["data:/data"]),
            "/volumes",
            json!(["data:/data", "/cache"]),
        ),
        (
            "/HostConfig/Binds",
            json!(["/x:/y"]),
            "/volumes",
            json!(["/cache", "/x:/y"]),
        ),
        (
            "/HostConfig/RestartPolicy",
            json!({"Name": ""}),
            "/restart",
            json!("no"),
        ),
        (
            "/HostConfig/RestartPolicy",
            json!({"Name": "always", "MaximumRetryCount": 0}),
            "/restart",
            json!("always"),
        ),
        (
            "/HostConfig/LogConfig",
            json!({"Type": "local", "Config": {}}),
            "/log",
            json!({"driver": null, "options": {}}),
        ),
        (
            "/NetworkSettings/Networks",
            json!({"kamal": {}, "other": {}}),
            "/networks",
            json!(["kamal", "other"]),
        ),
        (
            "/HostConfig/NanoCpus",
            json!(2_000_000_000_u64),
            "/options/0",
            json!(["cpus", "2"]),
        ),
        (
            "/HostConfig/Memory",
            json!(0),
            "/options/1",
            json!(["cap-add", "NET_ADMIN"]),
        ),
        (
            "/HostConfig/Init",
            Json::Null,
            "/options/5",
            json!(["init", "false"]),
        ),
    ] {
        assert_eq!(
            after(place, value.clone(), read),
            expected,
            "{place} {value}"
        );
    }
}

#[test]
fn derived_variables_are_read_when_they_are_desired() {
    let mut desired = desired();
    desired
        .env
        .insert("KAMAL_VERSION".into(), Value::text("mine"));
    let observed = role(&desired, &inspected(), &fingerprints(), ASSETS, None);
    assert_eq!(observed.env.get("KAMAL_VERSION"), Some(&Value::text("2")));
    assert_eq!(observed.env.get("KAMAL_CONTAINER_NAME"), None);
}

#[test]
fn a_desired_command_is_read_even_if_it_is_the_images() {
    let mut desired = desired();
    desired.command = Some(vec!["serve".into()]);
    assert_eq!(
        role(&desired, &inspected(), &fingerprints(), ASSETS, None).command,
        desired.command
    );
}

#[test]
fn an_unchanged_proxy_reads_as_desired() {
    let desired = json!({
        "image": "basecamp/kamal-proxy:v0.9.2", "command": null,
        "ports": [{"host_ip": null, "host_port": 80, "container_port": 80}, {"host_ip": "::1", "host_port": 443, "container_port": 443}],
        "volumes": ["kamal-proxy-config:/config", ".kamal/proxy/apps-config:/apps"], "networks": ["kamal"],
        "restart": "unless-stopped", "log": {"driver": null, "options": {"max-size": "10m"}}, "options": []
    });
    let desired: Proxy = serde_json::from_value(desired).expect("a proxy");
    let container = json!({
        "Config": {"Image": "basecamp/kamal-proxy:v0.9.2", "Cmd": ["kamal-proxy", "run"]},
        "HostConfig": {
            "Binds": ["kamal-proxy-config:/config", "/root/.kamal/proxy/apps-config:/apps"],
            "PortBindings": {"443/tcp": [{"HostIp": "::1", "HostPort": "443"}], "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}]},
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
        },
        "NetworkSettings": {"Networks": {"kamal": {}}},
    });
    let image = json!({"Config": {"Cmd": ["kamal-proxy", "run"]}});
    assert_eq!(
        proxy(
            &desired,
            &Inspected {
                container,
                image: Some(image)
            }
        ),
        desired
    );
}

#[test]
fn a_version_is_a_name_without_its_prefix() {
    let release = json!({
        "service": "app", "destination": "blue", "version": "2", "image": {"name": "app", "repository": "app", "latest": "app:latest"},
        "credentials": null, "hosts": [], "primary_host": "", "primary_role": "web", "roles": [],
        "lock": {"path": "", "details": ""}, "audit_log": "", "network": "", "retain_containers": 5,
        "deploy_timeout": 0, "drain_timeout": 0, "readiness_delay": 0,
        "boot": {"groups": [], "wait": 0, "parallel_roles": false}, "hooks": {}
    });
    let release: Release = serde_json::from_value(release).expect("a release");
    assert_eq!(
        version(&release, "web", "app-web-blue-3f2a"),
        Some("3f2a".into())
    );
    assert_eq!(version(&release, "web", "app-web-green-3f2a"), None);
}

/// The state file of kamal-proxy 0.9.2 after `kamal-proxy deploy app-web --target=0123456789ab:3000` with the flags
/// of [`route_flags`].
fn state() -> Json {
    json!([{
        "name": "app-web",
        "options": {
            "hosts": ["a.example.com", "b.example.com"], "path_prefixes": ["/"], "tls_enabled": true,
            "tls_certificate_path": "", "tls_private_key_path": "", "tls_redirect": true, "canonical_host": "",
            "acme_directory": "", "acme_cache_path": "/home/kamal-proxy/.config/kamal-proxy/certs",
            "error_page_path": "", "strip_prefix": true, "writer_affinity_timeout": 1_000_000_000_u64,
            "read_targets_accept_websockets": false
        },
        "target_options": {
            "health_check_config":
                {"path": "/up", "port": 0, "interval": 2_000_000_000_u64, "timeout": 5_000_000_000_u64, "host": ""},
            "response_timeout": 90_000_000_000_u64, "buffer_requests": true, "buffer_responses": true,
            "max_memory_buffer_size": 1_048_576, "max_request_body_size": 0, "max_response_body_size": 0,
            "log_request_headers": ["Cache-Control", "X-Request-Id"], "log_response_headers": null,
            "forward_headers": false, "scope_cookie_paths": false
        },
        "active_targets": ["0123456789ab:3000"], "active_readers": [], "rollout_targets": null, "rollout_readers": null,
        "pause_controller": {"state": 0, "stop_message": "", "fail_after": 0}, "rollout_controller": null
    }])
}

fn route_flags() -> Vec<String> {
    [
        "--host=a.example.com",
        "--host=b.example.com",
        "--tls",
        "--deploy-timeout=30s",
        "--drain-timeout=30s",
        "--health-check-interval=2s",
        "--target-timeout=1m30s",
        "--buffer-requests",
        "--buffer-responses",
        "--log-request-header=Cache-Control",
        "--log-request-header=X-Request-ID",
    ]
    .map(str::to_owned)
    .into()
}

fn values(texts: Vec<String>) -> Vec<Value> {
    texts.into_iter().map(Value::text).collect()
}

fn observed_route(desired: Vec<String>, state: &Json) -> Option<Route> {
    let container = Container {
        id: ID.into(),
        name: "app-web-2".into(),
        ..Container::default()
    };
    route::route(
        &Route {
            port: 3000,
            flags: values(desired),
            tls: None,
            error_pages: false,
        },
        "app-web",
        state,
        &container,
    )
}

#[test]
fn an_unchanged_route_reads_as_desired() {
    let expected = Route {
        port: 3000,
        flags: values(route_flags()),
        tls: None,
        error_pages: false,
    };
    assert_eq!(observed_route(route_flags(), &state()), Some(expected));
}

#[test]
fn only_a_route_to_the_container_counts() {
    for targets in [
        json!(["ba9876543210:3000"]),
        json!([]),
        json!(["0123456789ab:3000", "ba9876543210:3000"]),
    ] {
        let mut state = state();
        state[0]["active_targets"] = targets.clone();
        assert_eq!(observed_route(route_flags(), &state), None, "{targets}");
    }
    assert_eq!(observed_route(route_flags(), &Json::Null), None);
    let mut state = state();
    state[0]["active_targets"] = json!(["0123456789ab:80"]);
    assert_eq!(
        observed_route(route_flags(), &state).map(|route| route.port),
        Some(80)
    );
}

#[test]
fn flags_differ_where_the_state_does() {
    for (place, value, gone, new) in [
        (
            "/options/hosts",
            json!(["a.example.com"]),
            &["--host="][..],
            &["--host=a.example.com"][..],
        ),
        ("/options/hosts", json!([""]), &["--host="], &[]),
        (
            "/options/tls_redirect",
            json!(false),
            &[],
            &["--tls-redirect=false"],
        ),
        (
            "/options/path_prefixes",
            json!(["/api"]),
            &[],
            &["--path-prefix=/api"],
        ),
        (
            "/options/error_page_path",
            json!("/x"),
            &[],
            &["--error-pages=/x"],
        ),
        (
            "/target_options/health_check_config/interval",
            json!(1_000_000_000_u64),
            &["--health-check-interval="],
            &[],
        ),
        (
            "/target_options/health_check_config/path",
            json!("/ok"),
            &[],
            &["--health-check-path=/ok"],
        ),
        (
            "/target_options/response_timeout",
            json!(1_500_000_000_u64),
            &["--target-timeout="],
            &["--target-timeout=1500000000ns"],
        ),
        (
            "/target_options/response_timeout",
            json!(60_000_000_000_u64),
            &["--target-timeout="],
            &["--target-timeout=60s"],
        ),
        (
            "/target_options/buffer_requests",
            json!(false),
            &["--buffer-requests"],
            &[],
        ),
        (
            "/target_options/max_request_body_size",
            json!(9),
            &[],
            &["--max-request-body=9"],
        ),
        (
            "/target_options/forward_headers",
            json!(true),
            &[],
            &["--forward-headers"],
        ),
        (
            "/target_options/log_request_headers",
            Json::Null,
            &["--log-request-header="],
            &[],
        ),
    ] {
        let mut state = state();
        *state[0].pointer_mut(place).expect("a place") = value.clone();
        let kept = route_flags()
            .into_iter()
            .filter(|flag| !gone.iter().any(|gone| flag.starts_with(gone)));
        let expected: Vec<String> = kept
            .chain(new.iter().map(|flag| (*flag).to_owned()))
            .collect();
        assert_eq!(
            observed_route(route_flags(), &state).map(|route| route.flags),
            Some(values(expected)),
            "{place} {value}"
        );
    }
}

#[test]
fn flags_that_say_the_same_in_other_words_are_the_same() {
    let words = |flags: &[&str]| -> Vec<String> {
        let other = route_flags()
            .into_iter()
            .filter(|flag| !flag.starts_with("--host="));
        other
            .chain(flags.iter().map(|flag| (*flag).to_owned()))
            .collect()
    };
    for flags in [
        words(&["--host=b.example.com,a.example.com"]),
        words(&[
            "--host=a.example.com",
            "--host=b.example.com",
            "--path-prefix=/",
            "--strip-path-prefix",
        ]),
        words(&[
            "--host=a.example.com",
            "--host=b.example.com",
            "--forward-headers=false",
            "--tls-redirect=true",
        ]),
        words(&[
            "--host=a.example.com",
            "--host=b.example.com",
            "--buffer-memory=1048576",
            "--force",
        ]),
    ] {
        assert_eq!(
            observed_route(flags.clone(), &state()).map(|route| route.flags),
            Some(values(flags))
        );
    }
}

#[test]
fn a_setting_an_older_proxy_does_not_know_is_unchanged() {
    let mut state = state();
    state[0]["options"]
        .as_object_mut()
        .expect("an object")
        .remove("canonical_host");
    assert_eq!(
        observed_route(route_flags(), &state).map(|route| route.flags),
        Some(values(route_flags()))
    );
}

#[test]
fn all_targets_of_all_routes_are_known() {
    assert_eq!(
        route::targets(&state()),
        BTreeMap::from([("app-web".to_owned(), vec!["0123456789ab:3000".to_owned()])])
    );
}

#[test]
fn what_the_hosts_shell_put_in_counts_as_unchanged() {
    let desired: Role = {
        let mut desired = serde_json::to_value(desired()).expect("serialises");
        let remote = |name: &str| json!({"remote": name});
        desired["env"] = json!({
            "A": ["b-", remote("X")], "KAMAL_HOST": "web-1", "S": {"secret": "S", "encoding": "env-file"},
            "TOKEN": remote("TOKEN"), "GONE": {"inherit": "GONE"},
        });
        desired["labels"]["team"] = json!([remote("X"), "-", remote("Y")]);
        desired["volumes"] = json!([[remote("SRV"), "/data:/data"], "/cache"]);
        desired["command"] = json!(["serve", {"remote": "X", "split": true}]);
        desired["options"] = json!([["memory", remote("MEMORY")]]);
        desired["assets"] = json!({"path": "/public", "options": "ro"});
        serde_json::from_value(desired).expect("a role")
    };
    let mut inspected = inspected();
    let config = &mut inspected.container["Config"];
    config["Env"]["A"] = json!("b-");
    config["Labels"]["team"] = json!("x-y");
    config["Cmd"] = json!(["serve", "this", "well"]);
    inspected.container["HostConfig"]["Binds"] = json!([
        "/srv/data:/data",
        "/home/me/.kamal/apps/app/assets/volumes/web-2:/public:ro"
    ]);
    let observed = |inspected: &Inspected| {
        role(
            &desired,
            inspected,
            &fingerprints(),
            ASSETS,
            desired.proxy.clone(),
        )
    };
    assert_eq!(observed(&inspected), desired);

    let config = &mut inspected.container["Config"];
    config["Env"]["A"] = json!("c");
    config["Labels"]["team"] = json!("xy");
    inspected.container["HostConfig"]["Binds"] = json!(["/srv/other:/data"]);
    let changed = observed(&inspected);
    assert_eq!(changed.env["A"], Value::text("c"));
    assert_eq!(changed.labels["team"], Value::text("xy"));
    assert!(changed.volumes.contains(&Value::text("/srv/other:/data")));
    assert_eq!(changed.assets, None);
}
