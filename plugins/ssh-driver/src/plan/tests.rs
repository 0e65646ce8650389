use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::*;
use crate::call::Moment;
use crate::facts::{Container, Image, ProxyFacts};

mod commands;

/// A release of `app` in version `2` on the hosts of these groups, every host with the roles named.
pub(crate) fn desired(
    groups: &[&[&str]],
    roles: &[(&str, &[&str])],
    change: impl FnOnce(&mut Json),
) -> Desired {
    let hosts: Vec<&str> = groups.iter().copied().flatten().copied().collect();
    let names: Vec<&str> = roles.iter().map(|(name, _)| *name).collect();
    let mut release = json!({
        "service": "app", "destination": null, "version": "2",
        "image": {"name": "app", "repository": "r.io/app", "latest": "r.io/app:latest"},
        "credentials": {"server": "r.io", "username": "me", "password": {"secret": "KEY"}},
        "hosts": hosts, "primary_host": hosts[0], "primary_role": names[0], "roles": names,
        "lock": {"path": ".kamal/lock-app", "details": ["Locked by: ", {"slot": "performer"}]},
        "audit_log": ".kamal/app-audit.log", "network": "kamal", "retain_containers": 2,
        "deploy_timeout": 30, "drain_timeout": 25, "readiness_delay": 7,
        "boot": {"groups": groups, "wait": 0, "parallel_roles": false}, "hooks": {}
    });
    change(&mut release);
    let mut documents = vec![("release".to_owned(), release.to_string())];
    for (name, on) in roles {
        for host in *on {
            let proxied = *name == "web";
            let route = json!({"port": 80, "flags": ["--deploy-timeout=30s", "--buffer-requests"]});
            let role = json!({
                "image": "r.io/app:2", "command": null,
                "env": {"A": "b", "KAMAL_HOST": host, "S": {"secret": "S", "encoding": "env-file"}},
                "labels": {"service": "app", "role": name, "destination": ""}, "volumes": ["data:/data"],
                "networks": ["kamal"], "restart": "unless-stopped",
                "log": {"driver": null, "options": {"max-size": "10m"}}, "options": [["cpus", "2"]],
                "stop_timeout": null, "proxy": if proxied { route } else { Json::Null },
            });
            documents.push((Role::address(host, name), role.to_string()));
            if proxied {
                let proxy = json!({
                    "image": "basecamp/kamal-proxy:v0.9.2", "command": null,
                    "ports": [{"host_ip": null, "host_port": 80, "container_port": 80}],
                    "volumes": ["kamal-proxy-config:/config", ".kamal/proxy/apps-config:/apps"],
                    "networks": ["kamal"], "restart": "unless-stopped",
                    "log": {"driver": null, "options": {"max-size": "10m"}}, "options": []
                });
                documents.push((Proxy::address(host), proxy.to_string()));
            }
        }
    }
    Desired::parse(
        documents
            .iter()
            .map(|(address, body)| (&**address, &**body)),
    )
    .expect("documents parse")
}

fn container(name: &str, role: &str, state: &str, created: i64) -> Container {
    let labels = [("service", "app"), ("role", role), ("destination", "")];
    Container {
        id: format!("{name}-0123456789abcdef"),
        name: name.into(),
        image: format!("r.io/app:{}", name.rsplit('-').next().unwrap_or_default()),
        image_id: format!("sha256:{name}"),
        state: state.into(),
        labels: labels
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        created,
    }
}

/// A host that was deployed to before.
fn used(containers: Vec<Container>) -> HostFacts {
    let proxy = ProxyFacts {
        image: "basecamp/kamal-proxy:v0.9.2".into(),
        running: true,
        routes: BTreeMap::new(),
    };
    HostFacts {
        containers,
        images: Vec::new(),
        network: true,
        proxy: Some(proxy),
        proxy_image: true,
        ..HostFacts::default()
    }
}

fn proposal(
    desired: &Desired,
    facts: &[(&str, HostFacts)],
    changed: &[&str],
) -> Result<Proposal, Refusal> {
    asked(&json!({"command": "deploy"}), desired, facts, changed)
}

fn asked(
    request: &Json,
    desired: &Desired,
    facts: &[(&str, HostFacts)],
    changed: &[&str],
) -> Result<Proposal, Refusal> {
    let request = Request::parse(&request.to_string()).expect("a request");
    let desired = match request.version(desired.latest_version()) {
        Some(version) => &desired.clone().at_version(&version),
        None => desired,
    };
    let facts = facts
        .iter()
        .map(|(host, facts)| ((*host).to_owned(), facts.clone()))
        .collect();
    let changed: BTreeSet<String> = changed
        .iter()
        .map(|address| (*address).to_owned())
        .collect();
    let input = Input {
        request: &request,
        desired,
        facts: &facts,
        changed: &changed,
        deployment_id: "0123456789ab",
    };
    let proposal = plan(&input)?;
    let ids: Vec<&str> = proposal
        .steps
        .iter()
        .flat_map(Step::promises)
        .map(|promise| &*promise.id)
        .collect();
    assert_eq!(
        ids.len(),
        ids.iter().collect::<BTreeSet<_>>().len(),
        "effect ids are unique: {ids:?}"
    );
    for step in &proposal.steps {
        let payload = serde_json::to_string(&step.task).expect("serialises");
        assert_eq!(
            serde_json::from_str::<Task>(&payload).expect("parses"),
            step.task,
            "{payload}"
        );
    }
    Ok(proposal)
}

fn steps(desired: &Desired, facts: &[(&str, HostFacts)], changed: &[&str]) -> Vec<Step> {
    proposal(desired, facts, changed).expect("a plan").steps
}

/// `docker.stop web-1 app-web-1`, marked where destructive (`!`) or only on failure (`?`). Audit lines are left out.
fn told(steps: &[Step]) -> Vec<String> {
    let promises = steps.iter().flat_map(Step::promises);
    promises
        .filter(|promise| !matches!(promise.call, Call::Append { .. }))
        .map(tell)
        .collect()
}

fn tell(promise: &Promise) -> String {
    let arguments = promise.call.arguments();
    let what = ["name", "image", "reference", "path", "container"]
        .iter()
        .find_map(|key| arguments[key].as_str());
    let what = what
        .or(arguments["spec"]["name"].as_str())
        .unwrap_or_default();
    let to = ["to", "reference"]
        .iter()
        .find_map(|key| arguments[key].as_str())
        .filter(|to| *to != what);
    let mark = match (promise.is_destructive(), promise.moment) {
        (true, _) => "!",
        (false, Moment::OnFailure) => "?",
        (false, Moment::Always) => "",
    };
    let words = [
        &*promise.call.operation(),
        &*promise.subject,
        what,
        to.unwrap_or_default(),
    ];
    format!("{}{mark}", words.join(" ").trim_end())
}

fn boots(steps: &[Step]) -> Vec<(String, String, bool)> {
    let boot = |step: &Step| match &step.task {
        Task::Boot(boot) => Some((
            step.host.clone().unwrap_or_default(),
            boot.container.clone(),
            boot.waits,
        )),
        Task::Lock { .. }
        | Task::Image { .. }
        | Task::Hook { .. }
        | Task::Work { .. }
        | Task::Impossible { .. }
        | Task::Wait { .. }
        | Task::Unlock { .. } => None,
    };
    steps.iter().filter_map(boot).collect()
}

fn find(steps: &[Step], id: &str) -> Promise {
    let found = steps
        .iter()
        .flat_map(Step::promises)
        .find(|promise| promise.id == id);
    found.unwrap_or_else(|| panic!("{id} is promised")).clone()
}

const WEB: &str = "host/web-1/role/web";

#[test]
fn a_first_deploy_makes_everything() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let steps = steps(
        &desired,
        &[("web-1", HostFacts::default())],
        &[WEB, "host/web-1/proxy"],
    );
    assert_eq!(
        told(&steps),
        [
            "lock.acquire web-1 .kamal/lock-app",
            "ssh.make-directory web-1 .kamal/apps/app/env/roles",
            "docker.pull web-1 r.io/app:2",
            "docker.create-network web-1 kamal",
            "ssh.make-directory web-1 .kamal/proxy/apps-config",
            "docker.pull web-1 basecamp/kamal-proxy:v0.9.2",
            "docker.run web-1 kamal-proxy",
            "docker.run web-1 app-web-2",
            "docker.exec web-1 kamal-proxy",
            "docker.stop web-1 app-web-2?",
            "docker.tag web-1 r.io/app:2 r.io/app:latest",
            "docker.prune-images web-1!",
            "lock.release web-1",
        ]
    );
}

#[test]
fn a_new_version_replaces_the_running_one() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let facts = used(vec![container("app-web-1", "web", "running", 10)]);
    let steps = steps(&desired, &[("web-1", facts)], &["release", WEB]);
    assert_eq!(
        told(&steps),
        [
            "lock.acquire web-1 .kamal/lock-app",
            "ssh.make-directory web-1 .kamal/apps/app/env/roles",
            "docker.pull web-1 r.io/app:2",
            "docker.run web-1 app-web-2",
            "docker.exec web-1 kamal-proxy",
            "docker.stop web-1 app-web-1!",
            "docker.stop web-1 app-web-2?",
            "docker.tag web-1 r.io/app:2 r.io/app:latest",
            "docker.prune-images web-1!",
            "lock.release web-1",
        ]
    );
    let titles: Vec<&str> = steps.iter().map(|step| &*step.title).collect();
    assert_eq!(
        titles,
        [
            "take the deploy lock on web-1",
            "pull r.io/app:2 on web-1",
            "start app-web-2 on web-1",
            "tag and prune on web-1",
            "remove old images from web-1",
            "give the deploy lock on web-1 back",
        ]
    );
}

#[test]
fn an_unchanged_deployment_has_no_steps() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let facts = used(vec![container("app-web-2", "web", "running", 10)]);
    assert_eq!(steps(&desired, &[("web-1", facts)], &[]), []);
}

#[test]
fn the_calls_of_a_boot_say_everything() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let facts = used(vec![container("app-web-1", "web", "running", 10)]);
    let steps = steps(&desired, &[("web-1", facts)], &[WEB]);
    let mut spec = find(&steps, "web-1/app-web/run").call.arguments();
    let hostname = spec["spec"]["hostname"].take();
    let hostname = hostname
        .as_str()
        .and_then(|name| name.strip_prefix("web-1-"))
        .expect("begins with the host");
    assert!(
        hostname.len() == 12 && hostname.chars().all(|c| c.is_ascii_hexdigit()),
        "{hostname}"
    );
    assert_eq!(
        spec,
        json!({"spec": {
            "name": "app-web-2", "image": "r.io/app:2", "hostname": null, "command": null,
            "env": [["KAMAL_CONTAINER_NAME", "app-web-2"], ["KAMAL_VERSION", "2"], ["A", "b"],
                ["KAMAL_HOST", "web-1"], ["S", {"secret": "S", "encoding": "env-file"}]],
            "labels": [["destination", ""], ["role", "web"], ["service", "app"]],
            "ports": [], "volumes": ["data:/data"], "networks": ["kamal"], "restart": "unless-stopped",
            "log": {"driver": null, "options": [["max-size", "10m"]]}, "options": [["cpus", "2"]],
        }})
    );
    for (id, arguments) in [
        (
            "lock/acquire",
            json!({
                "host": "web-1", "path": ".kamal/lock-app", "details": ["Locked by: ", {"slot": "performer"}],
                "wait": null,
            }),
        ),
        (
            "web-1/image/pull",
            json!({
                "image": "r.io/app:2", "digest": {"slot": "image/app"},
                "credentials": {"server": "r.io", "username": "me", "password": {"secret": "KEY"}},
            }),
        ),
        (
            "web-1/app-web/route",
            json!({
                "container": "kamal-proxy", "user": null,
                "command": ["kamal-proxy", "deploy", "app-web",
                    ["--target=", {"slot": "created/web-1/app-web/run"}, ":80"],
                    "--deploy-timeout=30s", "--buffer-requests"],
            }),
        ),
        (
            "web-1/app-web/stop",
            json!({"name": "app-web-1", "timeout": null}),
        ),
        (
            "web-1/app-web/audit-boot",
            json!({
                "path": ".kamal/app-audit.log",
                "lines": [["[", {"slot": "now"}, "] [", {"slot": "performer"}, "] [web] Booted app version 2"]],
            }),
        ),
        (
            "web-1/prune/dangling",
            json!({"labels": [["service", "app"]]}),
        ),
        ("lock/release", json!({})),
    ] {
        assert_eq!(find(&steps, id).call.arguments(), arguments, "{id}");
    }
}

#[test]
fn the_proxy_is_run_as_configured() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let steps = steps(&desired, &[("web-1", HostFacts::default())], &[WEB]);
    assert_eq!(
        find(&steps, "web-1/proxy/run").call.arguments(),
        json!({"spec": {
            "name": "kamal-proxy", "image": "basecamp/kamal-proxy:v0.9.2", "hostname": null, "command": null,
            "env": [], "labels": [],
            "ports": [{"host-ip": null, "host-port": 80, "container-port": 80, "protocol": "tcp"}],
            "volumes": ["kamal-proxy-config:/config", ".kamal/proxy/apps-config:/apps"],
            "networks": ["kamal"], "restart": "unless-stopped",
            "log": {"driver": null, "options": [["max-size", "10m"]]}, "options": [],
        }})
    );
    let credentials = &find(&steps, "web-1/proxy/pull").call.arguments()["credentials"];
    assert_eq!(
        *credentials,
        Json::Null,
        "r.io's credentials are not sent to Docker Hub"
    );
}

#[test]
fn a_stopped_proxy_is_started_and_nothing_else() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let mut facts = used(vec![container("app-web-2", "web", "running", 10)]);
    facts.proxy = Some(ProxyFacts {
        running: false,
        ..facts.proxy.unwrap_or_default()
    });
    let steps = steps(&desired, &[("web-1", facts)], &["host/web-1/proxy"]);
    assert_eq!(
        told(&steps),
        [
            "lock.acquire web-1 .kamal/lock-app",
            "docker.start web-1 kamal-proxy",
            "lock.release web-1"
        ]
    );
}

#[test]
fn a_differing_proxy_is_left_alone_and_named() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let facts = used(vec![container("app-web-2", "web", "running", 10)]);
    let proposal = proposal(&desired, &[("web-1", facts)], &["host/web-1/proxy"]).expect("a plan");
    assert_eq!(
        (proposal.steps.len(), proposal.notes[0].code),
        (0, "proxy-differs")
    );
}

#[test]
fn an_old_proxy_is_refused() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    for (image, refused) in [
        ("basecamp/kamal-proxy:v0.8.7", true),
        ("basecamp/kamal-proxy:v0.9", true),
        ("localhost:5000/kamal-proxy:v0.9.2", false),
        ("basecamp/kamal-proxy:v0.10.0", false),
        ("basecamp/kamal-proxy:v1", false),
        ("basecamp/kamal-proxy:latest", false),
        ("localhost:5000/kamal-proxy", false),
    ] {
        let mut facts = used(Vec::new());
        facts.proxy = Some(ProxyFacts {
            image: image.into(),
            ..facts.proxy.unwrap_or_default()
        });
        assert_eq!(
            proposal(&desired, &[("web-1", facts)], &[WEB]).is_err(),
            refused,
            "{image}"
        );
    }
}

#[test]
fn the_same_version_again_gives_way_under_another_name() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    for (state, stopped) in [("running", true), ("exited", false)] {
        let facts = used(vec![container("app-web-2", "web", state, 10)]);
        let steps = steps(&desired, &[("web-1", facts)], &[WEB]);
        let rename = find(&steps, "web-1/app-web/rename").call.arguments();
        let to = rename["to"].as_str().expect("a name").to_owned();
        let digits = to
            .strip_prefix("app-web-2_replaced_")
            .expect("Kamal's form");
        assert!(
            digits.len() == 16 && digits.chars().all(|c| c.is_ascii_hexdigit()),
            "{to}"
        );
        let stops = told(&steps).contains(&format!("docker.stop web-1 {to}!"));
        assert_eq!(stops, stopped, "{state}");
        let line = &find(&steps, "web-1/app-web/audit-rename").call.arguments()["lines"][0];
        assert_eq!(
            line[4],
            format!("] [web] Renaming container 2 to 2_replaced_{digits}")
        );
    }
}

#[test]
fn stale_containers_are_stopped_before_anything_boots() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let facts = used(vec![
        container("app-web-1", "web", "running", 10),
        container("app-web-0", "web", "running", 5),
    ]);
    let steps = steps(&desired, &[("web-1", facts)], &[WEB]);
    let stops: Vec<String> = told(&steps)
        .into_iter()
        .filter(|call| call.starts_with("docker.stop"))
        .collect();
    assert_eq!(
        stops,
        [
            "docker.stop web-1 app-web-0!",
            "docker.stop web-1 app-web-1!",
            "docker.stop web-1 app-web-2?"
        ]
    );
}

#[test]
fn a_stale_container_is_reason_enough() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let facts = used(vec![
        container("app-web-2", "web", "running", 10),
        container("app-web-0", "web", "running", 5),
    ]);
    let steps = steps(
        &desired,
        &[("web-1", facts)],
        &["host/web-1/stale/app-web-0"],
    );
    assert_eq!(
        told(&steps),
        [
            "lock.acquire web-1 .kamal/lock-app",
            "docker.stop web-1 app-web-0!",
            "lock.release web-1"
        ]
    );
}

#[test]
fn what_serves_is_current_even_if_another_is_newer() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let release = &desired.release;
    let (new, old) = (
        container("app-web-1", "web", "running", 10),
        container("app-web-0", "web", "restarting", 5),
    );
    let mut facts = used(vec![new.clone(), old.clone()]);
    assert_eq!(facts.current(release, "web"), Some(&new), "the newest");
    let latest = Image {
        id: old.image_id.clone(),
        references: vec!["r.io/app:latest".into()],
    };
    facts.images = vec![latest];
    assert_eq!(
        facts.current(release, "web"),
        Some(&old),
        "the one of the latest image"
    );
    let target = format!("{}:80", &new.id[..12]);
    facts.proxy.as_mut().expect("a proxy").routes = [("app-web".to_owned(), vec![target])].into();
    assert_eq!(
        facts.current(release, "web"),
        Some(&new),
        "the one the proxy routes to"
    );
}

#[test]
fn destinations_do_not_touch_each_other() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |release| {
        release["destination"] = json!("blue");
    });
    let mut other = container("app-web-green-1", "web", "running", 10);
    other.labels.insert("destination".into(), "green".into());
    let mut stopped = other.clone();
    (stopped.name, stopped.id, stopped.state) =
        ("app-web-green-0".into(), "green-0".into(), "exited".into());
    let mut facts = used(vec![other, stopped]);
    facts.images = vec![Image {
        id: "sha256:0".into(),
        references: ["r.io/app:latest-green", "r.io/app:1", "r.io/app:0"]
            .map(str::to_owned)
            .into(),
    }];
    let steps = steps(&desired, &[("web-1", facts)], &[WEB]);
    let calls = told(&steps);
    assert!(
        calls.contains(&"docker.run web-1 app-web-blue-2".to_owned()),
        "{calls:?}"
    );
    assert!(
        !calls.iter().any(|call| call.contains("green")),
        "{calls:?}"
    );
    let line = &find(&steps, "web-1/app-web-blue/audit-boot")
        .call
        .arguments()["lines"][0];
    assert_eq!(line[4], "] [blue] [web] Booted app version 2");
}

#[test]
fn other_roles_wait_for_the_primary_one() {
    let desired = desired(
        &[&["web-1", "web-2", "job-1"]],
        &[("web", &["web-1", "web-2"]), ("job", &["web-1", "job-1"])],
        |_| {},
    );
    let hosts = ["web-1", "web-2", "job-1"];
    let facts = hosts.map(|host| (host, used(Vec::new())));
    let steps = steps(&desired, &facts, &[]);
    let expected = [
        ("web-1", "app-web-2", false),
        ("web-1", "app-job-2", true),
        ("web-2", "app-web-2", false),
        ("job-1", "app-job-2", true),
    ];
    assert_eq!(
        boots(&steps),
        expected.map(|(host, name, waits)| (host.into(), name.into(), waits))
    );
}

#[test]
fn nothing_waits_for_a_primary_role_that_is_in_place_or_comes_later() {
    let roles: &[(&str, &[&str])] = &[("web", &["web-1", "web-2"]), ("job", &["web-1"])];
    let desired = desired(&[&["web-1"], &["web-2"]], roles, |_| {});
    let settled = used(vec![container("app-web-2", "web", "running", 10)]);
    let one = steps(
        &desired,
        &[("web-1", settled.clone()), ("web-2", settled.clone())],
        &[],
    );
    assert_eq!(boots(&one), [("web-1".into(), "app-job-2".into(), false)]);
    let later = steps(
        &desired,
        &[("web-1", settled), ("web-2", used(Vec::new()))],
        &[],
    );
    assert_eq!(
        boots(&later),
        [
            ("web-1".into(), "app-job-2".into(), false),
            ("web-2".into(), "app-web-2".into(), false)
        ]
    );
}

#[test]
fn groups_follow_each_other_with_hooks_around_and_waits_after() {
    let desired = desired(
        &[&["web-1", "web-2"], &["web-3"]],
        &[("web", &["web-1", "web-2", "web-3"])],
        |release| {
            release["boot"]["wait"] = json!(5);
            let env = json!({"env": {"KAMAL_HOSTS": "web-1,web-2,web-3", "KAMAL_VERSION": "2"}});
            for hook in ["pre-deploy", "pre-app-boot", "post-app-boot", "post-deploy"] {
                release["hooks"][hook] = env.clone();
            }
        },
    );
    let facts = ["web-1", "web-2", "web-3"].map(|host| (host, used(Vec::new())));
    let steps = steps(&desired, &facts, &[]);
    let ids: Vec<&str> = steps.iter().map(|step| &*step.id).collect();
    assert_eq!(
        ids,
        [
            "lock",
            "web-1/image",
            "web-2/image",
            "web-3/image",
            "hook/pre-deploy",
            "hook/pre-app-boot/1",
            "web-1/boot/web",
            "web-2/boot/web",
            "hook/post-app-boot/1",
            "wait/1",
            "hook/pre-app-boot/2",
            "web-3/boot/web",
            "hook/post-app-boot/2",
            "wait/2",
            "web-1/finish",
            "web-2/finish",
            "web-3/finish",
            "web-1/images",
            "web-2/images",
            "web-3/images",
            "unlock",
            "hook/post-deploy",
        ]
    );
    for (id, hosts) in [
        ("hook/pre-app-boot/1", "web-1,web-2"),
        ("hook/post-app-boot/2", "web-3"),
        ("hook/pre-deploy", "web-1,web-2,web-3"),
    ] {
        let promise = find(&steps, id);
        assert_eq!(
            promise.call.arguments()["env"],
            json!([["KAMAL_HOSTS", hosts], ["KAMAL_VERSION", "2"]]),
            "{id}"
        );
        assert_eq!(promise.call.arguments()["name"], promise.subject, "{id}");
    }
    let phases: Vec<usize> = steps
        .chunk_by(|before, step| step.task.joins(&before.task))
        .map(<[Step]>::len)
        .collect();
    // The lock is given back while the images go that nobody uses.
    assert_eq!(phases, [1, 3, 1, 1, 2, 1, 1, 1, 1, 1, 1, 3, 4, 1]);
}

#[test]
fn only_what_differs_is_done() {
    let desired = desired(
        &[&["web-1", "web-2"]],
        &[("web", &["web-1", "web-2"])],
        |_| {},
    );
    let done = used(vec![container("app-web-2", "web", "running", 10)]);
    let open = used(vec![container("app-web-1", "web", "running", 10)]);
    let steps = steps(
        &desired,
        &[("web-1", done), ("web-2", open)],
        &["host/web-2/role/web"],
    );
    let ids: Vec<&str> = steps.iter().map(|step| &*step.id).collect();
    assert_eq!(
        ids,
        [
            "lock",
            "web-2/image",
            "web-2/boot/web",
            "web-1/finish",
            "web-2/finish",
            "web-1/images",
            "web-2/images",
            "unlock"
        ]
    );
}

#[test]
fn the_newest_stopped_containers_are_kept_for_each_destination() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let facts = used(vec![
        container("app-web-9", "web", "running", 90),
        container("app-web-8", "web", "exited", 80),
        container("app-job-7", "job", "dead", 70),
        container("app-web-6", "web", "created", 60),
        container("app-web-5", "web", "paused", 50),
    ]);
    let steps = steps(&desired, &[("web-1", facts)], &[WEB]);
    let removed: Vec<String> = told(&steps)
        .into_iter()
        .filter(|call| call.starts_with("docker.remove"))
        .collect();
    // Kept are two: 9, which the deploy stops, and 8.
    assert_eq!(
        removed,
        [
            "docker.remove web-1 app-job-7!",
            "docker.remove web-1 app-web-6!"
        ]
    );
}

#[test]
fn what_served_until_now_is_kept_however_old_it_is() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |release| {
        release["retain_containers"] = json!(1);
    });
    let facts = used(vec![
        container("app-web-9", "web", "exited", 90),
        container("app-web-1", "web", "running", 10),
    ]);
    let steps = steps(&desired, &[("web-1", facts)], &[WEB]);
    let removed = told(&steps)
        .into_iter()
        .find(|call| call.starts_with("docker.remove"));
    assert_eq!(removed.as_deref(), Some("docker.remove web-1 app-web-9!"));
}

#[test]
fn a_replaced_container_beyond_the_kept_ones_is_removed_under_its_new_name() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let failed = container("app-web-2", "web", "exited", 1);
    let kept = [("app-web-9", 90), ("app-web-8", 80)]
        .map(|(name, at)| container(name, "web", "exited", at));
    let facts = used(kept.into_iter().chain([failed.clone()]).collect());
    let steps = steps(&desired, &[("web-1", facts)], &[WEB]);
    let name = boot::replaced_name(&failed);
    assert!(
        told(&steps).contains(&format!("docker.remove web-1 {name}!")),
        "{:?}",
        told(&steps)
    );
}

#[test]
fn images_without_container_lose_their_names_but_latest_ones() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let mut facts = used(vec![
        container("app-web-1", "web", "running", 10),
        container("app-web-0", "web", "exited", 5),
    ]);
    let image = |id: &str, references: &[&str]| Image {
        id: id.into(),
        references: references
            .iter()
            .map(|reference| (*reference).to_owned())
            .collect(),
    };
    facts.images = vec![
        image("a", &["r.io/app:2", "r.io/app:latest"]),
        image("b", &["r.io/app:1", "r.io/app:latest-blue"]),
        image("c", &["r.io/app:0"]),
        image("d", &["r.io/app:old", "r.io/app:older"]),
        image("e", &[]),
    ];
    let steps = steps(&desired, &[("web-1", facts)], &[WEB]);
    let removed: Vec<String> = told(&steps)
        .into_iter()
        .filter(|call| call.starts_with("docker.remove"))
        .collect();
    assert_eq!(
        removed,
        [
            "docker.remove-image web-1 r.io/app:old!",
            "docker.remove-image web-1 r.io/app:older!"
        ]
    );
}

#[test]
fn without_credentials_nothing_is_pulled_but_the_image_is_checked() {
    let desired = desired(&[&["local"]], &[("web", &["local"])], |release| {
        release["credentials"] = Json::Null
    });
    let steps = steps(&desired, &[("local", used(Vec::new()))], &[]);
    let image = steps
        .iter()
        .find(|step| step.id == "local/image")
        .expect("a step");
    let Task::Image { rounds, references } = &image.task else {
        panic!("{image:?}")
    };
    let pulls = |promise: &Promise| matches!(promise.call, Call::Pull { .. });
    assert!(!rounds.iter().flatten().any(pulls));
    assert_eq!(references, &["r.io/app:2"]);
}

#[test]
fn stopping_takes_the_roles_time_or_that_of_draining() {
    for (role, timeout, expected) in [
        ("web", Json::Null, Json::Null),
        ("job", Json::Null, json!(25)),
        ("web", json!(3), json!(3)),
        ("job", json!(3), json!(3)),
    ] {
        let mut desired = desired(&[&["web-1"]], &[(role, &["web-1"])], |_| {});
        let key = ("web-1".to_owned(), role.to_owned());
        desired.roles.get_mut(&key).expect("a role").stop_timeout = timeout
            .as_u64()
            .map(|seconds| u32::try_from(seconds).expect("small"));
        let facts = used(vec![container(
            &format!("app-{role}-1"),
            role,
            "running",
            10,
        )]);
        let steps = steps(&desired, &[("web-1", facts)], &[]);
        for what in ["stop", "undo"] {
            let arguments = find(&steps, &format!("web-1/app-{role}/{what}"))
                .call
                .arguments();
            assert_eq!(arguments["timeout"], expected, "{role} {timeout} {what}");
        }
    }
}

#[test]
fn facts_of_every_host_are_needed() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    assert_eq!(
        proposal(&desired, &[], &[]),
        Err(Refusal::NotObserved("web-1".into()))
    );
}

#[test]
fn apply_notices_what_changed_since_the_plan() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let before = container("app-web-1", "web", "running", 10);
    let of = |containers: Vec<Container>| Assumed::of(&used(containers), &desired.release);
    let other_id = Container {
        id: "another".into(),
        ..before.clone()
    };
    let stopped = Container {
        state: "exited".into(),
        ..before.clone()
    };
    let restarting = Container {
        state: "restarting".into(),
        ..before.clone()
    };
    let mut other_destination = container("app-web-blue-1", "web", "running", 10);
    other_destination
        .labels
        .insert("destination".into(), "blue".into());
    for (found, drift) in [
        (vec![before.clone()], None),
        (vec![restarting], None),
        (vec![before.clone(), other_destination], None),
        (Vec::new(), Some("container app-web-1 is gone")),
        (
            vec![before.clone(), container("app-web-3", "web", "created", 20)],
            Some("container app-web-3 is new"),
        ),
        (vec![stopped], Some("container app-web-1 was stopped")),
        (vec![other_id], Some("container app-web-1 is another one")),
    ] {
        let told = Assumed::drift("web-1", &of(vec![before.clone()]), &of(found));
        let expected = drift.map(|drift| {
            format!("web-1 changed since the plan was made: {drift}\nhint: make a new plan")
        });
        assert_eq!(told, expected);
    }
}

#[test]
fn what_to_go_back_to_is_the_one_version_that_everything_replaces() {
    let desired = desired(
        &[&["web-1", "web-2"]],
        &[("web", &["web-1", "web-2"])],
        |_| {},
    );
    let running = |version: &str| {
        used(vec![container(
            &format!("app-web-{version}"),
            "web",
            "running",
            1,
        )])
    };
    for (first, second, expected) in [
        (running("1"), running("1"), Some("1")),
        (running("1"), used(Vec::new()), Some("1")),
        (running("1"), running("0"), None),
        (used(Vec::new()), used(Vec::new()), None),
        // The same version with another configuration.
        (running("2"), running("2"), None),
    ] {
        let changed = ["host/web-1/role/web", "host/web-2/role/web"];
        let steps = steps(&desired, &[("web-1", first), ("web-2", second)], &changed);
        let previous = crate::step::previous_version(&steps, &desired.release);
        assert_eq!(previous.as_deref(), expected);
    }
}

#[test]
fn one_host_of_each_mirror_pulls_first() {
    let hosts = ["web-1", "web-2", "web-3", "web-4"];
    let desired = desired(&[&hosts], &[("web", &hosts)], |_| {});
    let facts = hosts.map(|host| (host, used(Vec::new())));
    let steps = steps(&desired, &facts, &[]);
    let images: Vec<crate::step::Step> = steps
        .into_iter()
        .filter(|step| matches!(step.task, Task::Image { .. }))
        .collect();
    let on = |mirrors: [Option<&'static str>; 4]| {
        let mirror = move |host: &str| {
            let at = hosts.iter().position(|one| *one == host)?;
            mirrors[at].map(str::to_owned)
        };
        let (first, _) = crate::step::first_of_mirrors(&images, mirror);
        let hosts = first.into_iter().filter_map(|step| step.host.clone());
        hosts.collect::<Vec<_>>()
    };
    assert_eq!(on([None; 4]), Vec::<String>::new());
    assert_eq!(
        on([Some("a"), Some("a"), None, Some("b")]),
        ["web-1", "web-4"]
    );
}

#[test]
fn what_a_boot_stops_is_not_removed_at_the_same_time() {
    let of = |retain: u32, roles: &[(&str, &[&str])]| {
        let desired = desired(&[&["web-1"]], roles, |release| {
            release["retain_containers"] = json!(retain);
        });
        let running = |role: &str| container(&format!("app-{role}-1"), role, "running", 10);
        let facts = used(roles.iter().map(|(role, _)| running(role)).collect());
        let changed: Vec<String> = roles
            .iter()
            .map(|(role, _)| format!("host/web-1/role/{role}"))
            .collect();
        let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
        let steps = steps(&desired, &[("web-1", facts)], &changed);
        let phases: Vec<_> = steps
            .chunk_by(|before, step| step.task.joins(&before.task))
            .collect();
        let boots = phases
            .iter()
            .position(|phase| matches!(phase[0].task, Task::Boot(_)))
            .expect("boots");
        crate::step::beside_the_last_boots(phases[boots], phases[boots + 1]).len()
    };
    let (web, job): (&[&str], &[&str]) = (&["web-1"], &["web-1"]);
    assert_eq!(of(1, &[("web", web)]), 1, "what was replaced is kept");
    assert_eq!(
        of(1, &[("web", web), ("job", job)]),
        0,
        "one of two that are stopped goes"
    );
}
