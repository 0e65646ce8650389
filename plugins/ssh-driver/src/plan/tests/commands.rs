//! Every command but `deploy`.

use super::*;

/// Steps of a request on one host with the role web, as [`told`].
fn calls(request: Json, facts: HostFacts) -> Vec<String> {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    told_of(request, &desired, facts)
}

fn told_of(request: Json, desired: &Desired, facts: HostFacts) -> Vec<String> {
    let proposal = asked(&request, desired, &[("web-1", facts)], &[]).expect("a plan");
    told(&proposal.steps)
}

fn words(desired: &Desired, request: Json, facts: HostFacts, id: &str) -> Vec<String> {
    let proposal = asked(&request, desired, &[("web-1", facts)], &[]).expect("a plan");
    let command = find(&proposal.steps, id).call.arguments()["command"].clone();
    let words = command.as_array().expect("words").iter();
    words
        .map(|word| word.as_str().unwrap_or_default().to_owned())
        .collect()
}

fn lines(steps: &[Step]) -> Vec<String> {
    let line = |line: &Json| {
        let text = line[4].as_str().unwrap_or_default();
        text.trim_start_matches("] ").to_owned()
    };
    steps
        .iter()
        .flat_map(Step::promises)
        .filter(|promise| matches!(promise.call, Call::Append { .. }))
        .flat_map(|promise| {
            let lines = promise.call.arguments()["lines"].clone();
            lines
                .as_array()
                .expect("lines")
                .iter()
                .map(line)
                .collect::<Vec<_>>()
        })
        .collect()
}

fn two_versions() -> HostFacts {
    used(vec![
        container("app-web-old", "web", "running", 20),
        container("app-web-123", "web", "exited", 10),
    ])
}

const LOCK: &str = "lock.acquire web-1 .kamal/lock-app";
const UNLOCK: &str = "lock.release web-1";

#[test]
fn a_rollback_runs_a_copy_of_the_kept_container() {
    let mut facts = two_versions();
    facts.restorable = ["app-web-123".to_owned()].into();
    let kept = replaced("app-web-123");
    assert_eq!(
        calls(json!({"command": "rollback", "version": "123"}), facts),
        [
            LOCK,
            &format!("docker.rename web-1 app-web-123 {kept}"),
            "docker.run-like web-1 app-web-123",
            "docker.exec web-1 kamal-proxy",
            "docker.stop web-1 app-web-old!",
            "docker.stop web-1 app-web-123?",
            "docker.tag web-1 r.io/app:123 r.io/app:latest",
            UNLOCK,
        ]
    );
}

fn replaced(name: &str) -> String {
    boot::replaced_name(&container(name, "web", "exited", 10))
}

#[test]
fn a_rollback_to_what_does_not_say_what_it_ran_with_uses_todays_configuration_and_says_so() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let request = json!({"command": "rollback", "version": "123"});
    let facts = [("web-1", two_versions())];
    let proposal = asked(&request, &desired, &facts, &[]).expect("a plan");
    assert_eq!(proposal.notes[0].code, "rollback-reconfigures");
    let spec = &find(&proposal.steps, "web-1/app-web/run").call.arguments()["spec"];
    assert_eq!(spec["image"], "r.io/app:123");
    assert_eq!(spec["env"][1], json!(["KAMAL_VERSION", "123"]));
}

#[test]
fn a_rollback_to_a_version_that_is_not_there_is_refused() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let request = json!({"command": "rollback", "version": "zzz"});
    let refusal = asked(&request, &desired, &[("web-1", two_versions())], &[]);
    let refusal = refusal.expect_err("refused").to_string();
    assert!(
        refusal.starts_with("The app version 'zzz' is not available as a container"),
        "{refusal}"
    );
}

#[test]
fn a_redeploy_boots_what_is_in_place_and_neither_sees_to_the_proxy_nor_prunes() {
    let facts = used(vec![container("app-web-2", "web", "running", 10)]);
    let name = boot::replaced_name(&facts.containers[0]);
    assert_eq!(
        calls(json!({"command": "redeploy"}), facts),
        [
            LOCK,
            "ssh.make-directory web-1 .kamal/apps/app/env/roles",
            "docker.pull web-1 r.io/app:2",
            &format!("docker.rename web-1 app-web-2 {name}"),
            "docker.run web-1 app-web-2",
            "docker.exec web-1 kamal-proxy",
            &format!("docker.stop web-1 {name}!"),
            "docker.stop web-1 app-web-2?",
            "docker.tag web-1 r.io/app:2 r.io/app:latest",
            UNLOCK,
        ]
    );
}

#[test]
fn app_boot_boots_the_latest_image_or_the_version_that_was_given() {
    for (version, expected) in [(Json::Null, "latest"), (json!("7"), "7")] {
        let request = json!({"command": "app boot", "version": version});
        let mut facts = two_versions();
        facts.images = vec![Image {
            id: "sha256:1".into(),
            references: vec![format!("r.io/app:{expected}")],
        }];
        let calls = calls(request, facts);
        assert_eq!(
            calls,
            [
                LOCK.to_owned(),
                format!("docker.run web-1 app-web-{expected}"),
                "docker.exec web-1 kamal-proxy".into(),
                "docker.stop web-1 app-web-old!".into(),
                format!("docker.stop web-1 app-web-{expected}?"),
                match expected {
                    "latest" => "docker.tag web-1 r.io/app:latest".into(),
                    other => format!("docker.tag web-1 r.io/app:{other} r.io/app:latest"),
                },
                UNLOCK.into(),
            ]
        );
    }
}

#[test]
fn app_boot_pulls_an_image_that_is_not_there() {
    let request = json!({"command": "app boot", "version": "7"});
    let calls = calls(request, two_versions());
    assert_eq!(calls[..2], [LOCK, "docker.pull web-1 r.io/app:7"]);
}

#[test]
fn app_start_starts_the_version_and_routes_to_it() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let facts = used(vec![container("app-web-2", "web", "exited", 10)]);
    let request = json!({"command": "app start"});
    assert_eq!(
        told_of(request.clone(), &desired, facts.clone()),
        [
            LOCK,
            "docker.start web-1 app-web-2",
            "docker.exec web-1 kamal-proxy",
            UNLOCK
        ]
    );
    let words = words(&desired, request, facts, "web-1/app-web/route");
    assert_eq!(
        words[..4],
        [
            "kamal-proxy",
            "deploy",
            "app-web",
            "--target=app-web-2-01:80"
        ]
    );
}

#[test]
fn app_start_without_a_container_fails_with_the_lock_given_back() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let facts = [("web-1", used(Vec::new()))];
    let proposal = asked(&json!({"command": "app start"}), &desired, &facts, &[]).expect("a plan");
    let why = "Failed to get endpoint for web on web-1, did the container boot?";
    assert_eq!(proposal.steps[2].task, Task::Impossible { why: why.into() });
    assert_eq!(lines(&proposal.steps), ["Started app version 2"]);
}

#[test]
fn app_stop_takes_the_application_out_of_the_proxy_first() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let request = json!({"command": "app stop"});
    assert_eq!(
        told_of(request.clone(), &desired, two_versions()),
        [
            LOCK,
            "docker.exec web-1 kamal-proxy",
            "docker.stop web-1 app-web-old!",
            UNLOCK
        ]
    );
    let words = words(
        &desired,
        request,
        two_versions(),
        "web-1/app-web/remove-route",
    );
    assert_eq!(words, ["kamal-proxy", "remove", "app-web"]);
}

#[test]
fn maintenance_and_live_are_the_proxys() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let maintenance = json!({"command": "app maintenance", "message": "back \"soon\" $HOME"});
    assert_eq!(
        words(&desired, maintenance, two_versions(), "web-1/app-web/stop"),
        [
            "kamal-proxy",
            "stop",
            "app-web",
            "--drain-timeout=25s",
            "--message=back \"soon\" $HOME"
        ]
    );
    let live = json!({"command": "app live"});
    assert_eq!(
        words(&desired, live, two_versions(), "web-1/app-web/resume"),
        ["kamal-proxy", "resume", "app-web"]
    );
}

#[test]
fn stale_containers_are_stopped_when_asked() {
    let facts = used(vec![
        container("app-web-1", "web", "running", 10),
        container("app-web-0", "web", "running", 5),
    ]);
    let request = json!({"command": "app stale_containers", "stop": true});
    assert_eq!(
        calls(request, facts),
        [LOCK, "docker.stop web-1 app-web-0!", UNLOCK]
    );
}

#[test]
fn app_remove_leaves_images_and_directories_to_roles_that_are_not_meant() {
    let removed = |unselected: Json| {
        let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |release| {
            release["unselected_roles"] = unselected;
        });
        let mut facts = two_versions();
        facts.images = vec![Image {
            id: "a".into(),
            references: vec!["r.io/app:old".into()],
        }];
        told_of(json!({"command": "app remove"}), &desired, facts)
    };
    let containers = [
        LOCK,
        "docker.exec web-1 kamal-proxy",
        "docker.stop web-1 app-web-old!",
        "docker.remove web-1 app-web-old!",
        "docker.remove web-1 app-web-123!",
    ];
    let whole = [
        "docker.remove-image web-1 r.io/app:old!",
        "docker.prune-images web-1!",
        "ssh.remove web-1 .kamal/apps/app!",
        "ssh.remove web-1 .kamal/proxy/apps-config/app!",
    ];
    assert_eq!(
        removed(json!({"web-1": ["job"]})),
        [&containers[..], &[UNLOCK]].concat()
    );
    assert_eq!(
        removed(json!({})),
        [&containers[..], &whole, &[UNLOCK]].concat()
    );
}

#[test]
fn prune_keeps_as_many_as_asked_and_what_runs() {
    let facts = || {
        used(vec![
            container("app-web-9", "web", "running", 90),
            container("app-web-8", "web", "exited", 80),
            container("app-web-7", "web", "exited", 70),
            container("app-web-6", "web", "exited", 60),
        ])
    };
    let dangling = "docker.prune-images web-1!";
    for (request, expected) in [
        (
            json!({"command": "prune all"}),
            vec!["docker.remove web-1 app-web-6!", dangling],
        ),
        (json!({"command": "prune images"}), vec![dangling]),
        (
            json!({"command": "prune containers", "retain": 1}),
            vec![
                "docker.remove web-1 app-web-7!",
                "docker.remove web-1 app-web-6!",
            ],
        ),
    ] {
        let expected = [vec![LOCK], expected, vec![UNLOCK]].concat();
        assert_eq!(calls(request.clone(), facts()), expected, "{request}");
    }
}

#[test]
fn the_lock_is_left_for_a_person_and_broken_for_anybody() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |release| {
        release["lock"]["details"] =
            json!(["By: ", {"slot": "performer"}, "\nMessage: Automatic deploy lock"]);
    });
    let request = json!({"command": "lock acquire", "message": "hands off"});
    let proposal = asked(&request, &desired, &[], &[]).expect("a plan");
    let leave = find(&proposal.steps, "lock/leave").call;
    assert_eq!(leave.operation(), "lock.leave");
    assert_eq!(
        leave.arguments()["details"],
        json!(["By: ", {"slot": "performer"}, "\nMessage: hands off"])
    );
    let request = json!({"command": "lock release"});
    assert_eq!(
        calls(request, HostFacts::default()),
        ["lock.break web-1 .kamal/lock-app!"]
    );
}

#[test]
fn the_lock_is_waited_for_when_asked() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let request = json!({"command": "deploy", "lock-wait": true, "lock-wait-timeout": 60});
    let proposal = asked(&request, &desired, &[("web-1", two_versions())], &[]).expect("a plan");
    assert_eq!(
        find(&proposal.steps, "lock/acquire").call.arguments()["wait"],
        json!({"timeout": 60, "interval": 15})
    );
}

#[test]
fn a_lock_that_the_caller_holds_is_left_alone() {
    let request = json!({"command": "app stop", "lock-held": true});
    let calls = calls(request, two_versions());
    assert!(
        !calls.iter().any(|call| call.starts_with("lock.")),
        "{calls:?}"
    );
}

#[test]
fn what_runs_as_configured_boots_when_asked() {
    let facts = || used(vec![container("app-web-2", "web", "running", 10)]);
    assert_eq!(calls(json!({"command": "deploy"}), facts()), [""; 0]);
    let again = calls(json!({"command": "deploy", "reboot": true}), facts());
    assert!(
        again.contains(&"docker.run web-1 app-web-2".into()),
        "{again:?}"
    );
}

#[test]
fn a_proxy_is_rebooted_group_by_group_with_hooks_around() {
    let desired = desired(
        &[&["web-1", "web-2"]],
        &[("web", &["web-1", "web-2"])],
        |release| {
            for hook in ["pre-proxy-reboot", "post-proxy-reboot"] {
                release["hooks"][hook] = json!({"env": {"KAMAL_HOSTS": "web-1,web-2"}});
            }
        },
    );
    let facts = ["web-1", "web-2"].map(|host| (host, used(Vec::new())));
    for (rolling, groups) in [(false, &["web-1,web-2"][..]), (true, &["web-1", "web-2"])] {
        let request = json!({"command": "proxy reboot", "rolling": rolling});
        let steps = asked(&request, &desired, &facts, &[])
            .expect("a plan")
            .steps;
        let told_hosts: Vec<String> = steps
            .iter()
            .filter(|step| step.id.starts_with("hook/pre-proxy-reboot"))
            .map(|step| step.promises()[0].call.arguments()["env"][0][1].to_string())
            .collect();
        let expected: Vec<String> = groups.iter().map(|hosts| format!("\"{hosts}\"")).collect();
        assert_eq!(told_hosts, expected);
        let of_first: Vec<String> = told(&steps)
            .into_iter()
            .filter(|call| call.contains(" web-1 ") && !call.starts_with("lock"))
            .collect();
        assert_eq!(
            of_first,
            [
                "ssh.make-directory web-1 .kamal/proxy/apps-config",
                "docker.stop web-1 kamal-proxy!",
                "docker.remove web-1 kamal-proxy!",
                "docker.run web-1 kamal-proxy",
            ]
        );
    }
}

#[test]
fn a_proxy_stays_while_others_need_it() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let mut facts = used(Vec::new());
    facts.apps = vec!["other".into()];
    for (force, removes) in [(false, false), (true, true)] {
        let request = json!({"command": "proxy remove", "force": force});
        let there = [("web-1", facts.clone())];
        let proposal = asked(&request, &desired, &there, &[]).expect("a plan");
        let removed = told(&proposal.steps).contains(&"docker.remove web-1 kamal-proxy!".into());
        assert_eq!((removed, proposal.notes.is_empty()), (removes, removes));
    }
}

fn with_accessory(change: impl FnOnce(&mut Json)) -> Desired {
    let mut accessory = json!({
        "container": "app-db", "image": "mysql:8", "credentials": null, "command": null,
        "env": {"KAMAL_HOST": "web-1", "PASSWORD": {"secret": "PASSWORD", "encoding": "env-file"}},
        "labels": {"service": "app-db"}, "volumes": ["./app-db/data:/var/lib/mysql"], "networks": ["kamal"],
        "restart": "unless-stopped", "log": {"driver": null, "options": {"max-size": "10m"}},
        "options": [["publish", "3306:3306"]],
        "directories": [{"path": "app-db/data", "mode": "0700", "owner": "999:999"}],
        "files": [{"path": "app-db/etc/my.cnf", "mode": "755", "owner": null, "content": "[mysqld]"}],
        "proxy": null,
    });
    change(&mut accessory);
    let mut desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |release| {
        release["accessories"] = json!(["db", "redis"]);
    });
    let accessory = serde_json::from_value(accessory).expect("an accessory");
    desired
        .accessories
        .insert(("web-1".into(), "db".into()), accessory);
    desired
}

fn accessory(action: &str) -> Json {
    json!({"command": format!("accessory {action}"), "name": "db"})
}

#[test]
fn an_accessory_is_booted_where_it_is_not() {
    let desired = with_accessory(|_| {});
    let prepared = [
        LOCK,
        "ssh.make-directory web-1 app-db/data",
        "docker.pull web-1 mysql:8",
        "ssh.set-access web-1 app-db/data",
        "ssh.put web-1 app-db/etc/my.cnf",
    ];
    let booted = [&prepared[..], &["docker.run web-1 app-db", UNLOCK]].concat();
    assert_eq!(
        told_of(accessory("boot"), &desired, used(Vec::new())),
        booted
    );

    let mut there = used(Vec::new());
    there.accessories = [("db".into(), vec![container("app-db", "", "exited", 1)])].into();
    let proposal = asked(&accessory("boot"), &desired, &[("web-1", there)], &[]).expect("a plan");
    let told = told(&proposal.steps);
    assert!(
        !told.contains(&"docker.run web-1 app-db".into()),
        "{told:?}"
    );
    assert_eq!(
        proposal.notes[0].message,
        "Skipping booting `db` on web-1, a container already exists"
    );
}

#[test]
fn an_accessory_behind_the_proxy_is_routed_to() {
    let desired = with_accessory(|accessory| {
        accessory["proxy"] = json!({"port": 8080, "flags": ["--host=db.example.com"]});
    });
    let steps = asked(
        &accessory("boot"),
        &desired,
        &[("web-1", used(Vec::new()))],
        &[],
    );
    let route = find(&steps.expect("a plan").steps, "web-1/app-db/route");
    assert_eq!(
        route.call.arguments()["command"],
        json!([
            "kamal-proxy", "deploy", "app-db",
            ["--target=", {"slot": "created/web-1/app-db/run"}, ":8080"], "--host=db.example.com"
        ])
    );
}

#[test]
fn an_accessory_is_rebooted_stopped_and_removed() {
    let desired = with_accessory(|_| {});
    let mut facts = used(Vec::new());
    facts.accessories = [("db".into(), vec![container("app-db", "", "running", 1)])].into();
    facts.accessory_images = ["mysql:8".to_owned()].into();
    for (action, expected) in [
        ("start", &["docker.start web-1 app-db"][..]),
        ("stop", &["docker.stop web-1 app-db!"]),
        (
            "restart",
            &["docker.stop web-1 app-db!", "docker.start web-1 app-db"],
        ),
        (
            "reboot",
            &[
                "docker.pull web-1 mysql:8",
                "docker.stop web-1 app-db!",
                "docker.remove web-1 app-db!",
                "ssh.make-directory web-1 app-db/data",
                "ssh.set-access web-1 app-db/data",
                "ssh.put web-1 app-db/etc/my.cnf",
                "docker.run web-1 app-db",
            ],
        ),
        (
            "remove",
            &[
                "docker.stop web-1 app-db!",
                "docker.remove web-1 app-db!",
                "docker.remove-image web-1 mysql:8!",
                "ssh.remove web-1 app-db!",
            ],
        ),
    ] {
        let expected = [&[LOCK], expected, &[UNLOCK]].concat();
        assert_eq!(
            told_of(accessory(action), &desired, facts.clone()),
            expected,
            "{action}"
        );
    }
}

#[test]
fn an_accessory_that_there_is_not_is_named_with_those_there_are() {
    let desired = with_accessory(|_| {});
    let request = json!({"command": "accessory boot", "name": "nope"});
    assert_eq!(
        asked(&request, &desired, &[], &[])
            .expect_err("refused")
            .to_string(),
        "No accessory by the name of 'nope' (options: db and redis)"
    );
    let request = json!({"command": "accessory boot", "name": "nope", "reboot": true});
    let proposal = asked(&request, &desired, &[], &[]).expect("as Kamal");
    assert_eq!(told(&proposal.steps), [LOCK, UNLOCK]);
}

/// An application on `web-1`, and its database on a host of its own.
fn with_a_database_host() -> (Desired, [(&'static str, HostFacts); 2]) {
    let mut desired = with_accessory(|_| {});
    let accessory = desired.accessories.remove(&("web-1".into(), "db".into()));
    let accessory = accessory.expect("an accessory");
    desired
        .accessories
        .insert(("db-1".into(), "db".into()), accessory);
    desired.release.hosts.push("db-1".into());
    let mut beside = used(Vec::new());
    beside.accessories = [("db".into(), vec![container("app-db", "", "running", 1)])].into();
    let mut app = used(vec![container("app-web-1", "web", "running", 10)]);
    for facts in [&mut app, &mut beside] {
        facts.docker = Some(crate::facts::DockerState {
            installed: true,
            root: true,
            ..Default::default()
        });
    }
    (desired, [("web-1", app), ("db-1", beside)])
}

#[test]
fn hosts_of_accessories_alone_are_pruned_by_setup_and_prune_and_left_alone_by_deploy() {
    let (mut desired, facts) = with_a_database_host();
    // Something of it is behind the proxy, or not.
    let proxy = desired.proxies["web-1"].clone();
    for proxied in [false, true] {
        if proxied {
            desired.proxies.insert("db-1".into(), proxy.clone());
        }
        for (command, pruned) in [("setup", true), ("prune all", true), ("deploy", false)] {
            let request = json!({ "command": command });
            let proposal = asked(&request, &desired, &facts, &[WEB]).expect("a plan");
            let calls = told(&proposal.steps);
            let there = calls.contains(&"docker.prune-images db-1!".to_owned());
            assert_eq!(there, pruned, "{command}: {calls:?}");
            let touched = calls.iter().any(|call| call.contains("db-1"));
            assert_eq!(touched, pruned, "{command}: {calls:?}");
        }
    }
}

#[test]
fn bootstrap_has_nothing_to_do_where_docker_is_but_takes_the_lock_as_kamal() {
    let (desired, facts) = with_a_database_host();
    for (reboot, expected) in [(false, vec![]), (true, vec![LOCK, UNLOCK])] {
        let request = json!({"command": "server bootstrap", "reboot": reboot});
        let proposal = asked(&request, &desired, &facts, &[]).expect("a plan");
        assert_eq!(told(&proposal.steps), expected);
    }
}

#[test]
fn setup_installs_docker_and_boots_accessories() {
    let desired = with_accessory(|_| {});
    let without = |root: bool| HostFacts {
        docker: Some(crate::facts::DockerState {
            root,
            ..Default::default()
        }),
        ..HostFacts::default()
    };
    let facts = [("web-1", without(true))];
    let changed = ["host/web-1/role/web"];
    let steps = asked(&json!({"command": "setup"}), &desired, &facts, &changed);
    let calls = told(&steps.expect("a plan").steps);
    let place = |call: &str| {
        let mut calls = calls.iter();
        calls
            .position(|one| one == call)
            .unwrap_or_else(|| panic!("{call}: {calls:?}"))
    };
    let order = [
        "ssh.install-docker web-1",
        "docker.pull web-1 r.io/app:2",
        "docker.run web-1 kamal-proxy",
        "docker.run web-1 app-db",
        "docker.run web-1 app-web-2",
    ];
    assert!(order.map(place).is_sorted(), "{calls:?}");
    let refused = asked(
        &json!({"command": "setup"}),
        &desired,
        &[("web-1", without(false))],
        &changed,
    );
    assert_eq!(refused, Err(Refusal::NoDocker("web-1".into())));
}

#[test]
fn files_come_before_the_boot_and_old_ones_go_after_it() {
    let mut desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |release| {
        release["error_pages"] = json!({"pages": [{"name": "404.html", "content": "gone"}]});
    });
    let role = desired.roles.values_mut().next().expect("a role");
    role.assets = serde_json::from_value(json!({"path": "/public/assets", "options": "ro"})).ok();
    let route = role.proxy.as_mut().expect("a route");
    route.error_pages = true;
    route.tls = serde_json::from_value(
        json!({"certificate": {"secret": "C"}, "private_key": {"secret": "K"}}),
    )
    .ok();
    let facts = used(vec![container("app-web-1", "web", "running", 10)]);
    let steps = steps(&desired, &[("web-1", facts)], &[WEB]);
    assert_eq!(
        told(&steps),
        [
            LOCK,
            "ssh.make-directory web-1 .kamal/apps/app/env/roles",
            "docker.pull web-1 r.io/app:2",
            "ssh.put web-1 .kamal/proxy/apps-config/app/error_pages/2/404.html",
            "ssh.put web-1 .kamal/proxy/apps-config/app/tls/web/cert.pem",
            "ssh.put web-1 .kamal/proxy/apps-config/app/tls/web/key.pem",
            "docker.extract web-1 r.io/app:2",
            "docker.exec web-1 kamal-proxy",
            "ssh.merge web-1",
            "ssh.merge web-1",
            "ssh.merge web-1",
            "docker.run web-1 app-web-2",
            "docker.exec web-1 kamal-proxy",
            "docker.stop web-1 app-web-1!",
            "ssh.keep-only web-1!",
            "ssh.keep-only web-1!",
            "ssh.keep-only web-1!",
            "docker.stop web-1 app-web-2?",
            "docker.tag web-1 r.io/app:2 r.io/app:latest",
            "docker.prune-images web-1!",
            UNLOCK,
        ]
    );
    let key = find(&steps, "web-1/tls/web/key.pem").call.arguments();
    assert_eq!(key["mode"], 0o600);
    let run = find(&steps, "web-1/app-web/run").call.arguments();
    assert_eq!(
        run["spec"]["volumes"][1],
        ".kamal/apps/app/assets/volumes/web-2:/public/assets:ro"
    );
    let route = find(&steps, "web-1/app-web/route").call.arguments();
    assert_eq!(
        route["command"].as_array().and_then(|words| words.last()),
        Some(&json!(
            "--error-pages=/home/kamal-proxy/.apps-config/app/error_pages/2"
        ))
    );
    for (id, expected) in [
        ("assets-to-old", ["extracted/web-2", "volumes/web-1"]),
        ("assets-from-old", ["extracted/web-1", "volumes/web-2"]),
    ] {
        let merge = find(&steps, &format!("web-1/app-web/{id}"))
            .call
            .arguments();
        let expected = expected.map(|path| format!(".kamal/apps/app/assets/{path}"));
        assert_eq!(
            [&merge["source"], &merge["target"]],
            expected.each_ref().map(String::as_str)
        );
    }
}

#[test]
fn error_pages_are_where_something_boots_routed_or_not() {
    let roles: [(&str, &[&str]); 2] = [("web", &["web-1"]), ("job", &["job-1"])];
    let desired = desired(&[&["web-1", "job-1"]], &roles, |release| {
        release["error_pages"] = json!({"pages": [{"name": "404.html", "content": "gone"}]});
    });
    let facts = ["web", "job"].map(|role| {
        let name = format!("app-{role}-1");
        used(vec![container(&name, role, "running", 10)])
    });
    let [web, job] = facts;
    let changed = [WEB, "host/job-1/role/job"];
    let calls = told(&steps(
        &desired,
        &[("web-1", web), ("job-1", job)],
        &changed,
    ));
    for host in ["web-1", "job-1"] {
        let page = ".kamal/proxy/apps-config/app/error_pages/2/404.html";
        for call in [
            format!("ssh.put {host} {page}"),
            format!("ssh.keep-only {host}!"),
        ] {
            assert!(calls.contains(&call), "{call}: {calls:?}");
        }
    }
}

#[test]
fn a_command_runs_in_a_container_of_its_own_or_in_the_one_that_works() {
    let desired = desired(&[&["web-1"]], &[("web", &["web-1"])], |_| {});
    let new = json!({"command": "app exec", "cmd": "bin/rails about", "env": {"X": "1"}});
    let steps = asked(&new, &desired, &[("web-1", two_versions())], &[]);
    let steps = steps.expect("a plan").steps;
    assert_eq!(told(&steps)[0], "docker.pull web-1 r.io/app:latest");
    let run = find(&steps, "web-1/exec/web");
    let spec = &run.call.arguments()["spec"];
    assert!(run.shown && run.call.operation() == "docker.run-once");
    assert_eq!(spec["command"], json!(["bin/rails", "about"]));
    assert_eq!(
        spec["env"].as_array().and_then(|env| env.last()),
        Some(&json!(["X", "1"]))
    );
    let name = spec["name"].as_str().expect("a name");
    assert!(name.starts_with("app-web-exec-latest-"), "{name}");

    let reuse = json!({"command": "app exec", "cmd": "ls", "reuse": true, "env": {"X": "1"}});
    assert_eq!(
        words(&desired, reuse, two_versions(), "web-1/exec/web"),
        ["env", "X=1", "ls"]
    );
}

#[test]
fn remove_takes_an_accessorys_route_out_of_the_proxy_before_it_goes() {
    let desired = with_accessory(|accessory| {
        accessory["proxy"] = json!({"port": 80, "flags": []});
    });
    let mut facts = two_versions();
    facts.apps = vec!["app".into()];
    facts.accessories = [("db".into(), vec![container("app-db", "", "running", 1)])].into();
    let request = json!({"command": "remove"});
    let steps = asked(&request, &desired, &[("web-1", facts)], &[]).expect("a plan");
    let ids: Vec<String> = steps
        .steps
        .iter()
        .flat_map(Step::promises)
        .map(|promise| promise.id.clone())
        .collect();
    let place = |id: &str| ids.iter().position(|one| one == id);
    let route = place("web-1/app-db/remove-route").expect("a route");
    assert!(
        place("web-1/proxy/stop").is_some_and(|stop| route < stop),
        "{ids:?}"
    );
}

#[test]
fn remove_takes_everything_but_a_proxy_that_others_need() {
    let desired = with_accessory(|_| {});
    let mut facts = two_versions();
    facts.apps = vec!["app".into()];
    facts.accessories = [("db".into(), vec![container("app-db", "", "running", 1)])].into();
    let calls = told_of(json!({"command": "remove"}), &desired, facts.clone());
    for call in [
        "docker.remove web-1 app-web-old!",
        "ssh.remove web-1 .kamal/apps/app!",
        "docker.remove web-1 kamal-proxy!",
        "ssh.remove web-1 .kamal/proxy!",
        "ssh.remove web-1 app-db!",
    ] {
        assert!(calls.contains(&call.to_owned()), "{call}: {calls:?}");
    }
    facts.apps.push("other".into());
    let calls = told_of(json!({"command": "remove"}), &desired, facts);
    assert!(
        !calls.contains(&"docker.remove web-1 kamal-proxy!".into()),
        "{calls:?}"
    );
}
