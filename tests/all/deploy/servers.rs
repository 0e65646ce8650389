//! Two servers at the other end of SSH, and a registry with a password.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use lab::prober::Prober;
use lab::{Engine, proxy_stand_in};

use super::{CANARY, Stage, answer, assert_none_failed, probe};

#[test]
fn two_servers_are_deployed_to_at_the_same_time_without_a_dropped_request() {
    let Some(stage) = Stage::new(2) else { return };
    stage.configure(&stage.manifest("env:\n  secret:\n    - CANARY\n"));
    stage.deploys(&[]);
    let probers: Vec<_> = stage
        .lab
        .hosts
        .iter()
        .map(|host| probe(&host.address))
        .collect();
    let mut versions = Vec::new();
    for greeting in ["two", "three"] {
        let version = stage.project.commit(greeting).unwrap();
        let verdict = stage.deploys(&[]);
        let hosts = format!("{}, {}", stage.host(0).address, stage.host(1).address);
        assert!(
            verdict.starts_with(&format!("deployed {version} to {hosts} in ")),
            "{verdict}"
        );
        versions.push(version);
    }
    for (host, prober) in stage.lab.hosts.iter().zip(probers) {
        let report = prober.stop();
        assert_none_failed(&report);
        assert_eq!(report.answers.len(), 3, "{:?}", report.answers);
        assert!(answer(&host.address).contains(&versions[1]));
        assert_eq!(
            stage.running(Engine::On(host)),
            [format!("hello-web-{}", versions[1])]
        );
    }
    stage.assert_no_lock();

    // Both hosts' calls are begun before either host's are over.
    let journals = stage.journals();
    let runs: Vec<(&str, usize)> = journals
        .iter()
        .enumerate()
        .filter(|(_, line)| {
            line["entry"]["operation"] == "docker.run"
                && line["entry"]["arguments"]["spec"]["name"]
                    == format!("hello-web-{}", versions[1])
        })
        .map(|(at, line)| (line["entry"]["subject"].as_str().unwrap(), at))
        .collect();
    assert_eq!(runs.len(), 2, "{runs:?}");
    let first_effect = &journals[runs[0].1]["entry"]["effect"];
    let first_over = journals[runs[0].1..]
        .iter()
        .position(|line| line["kind"] == "result" && line["entry"]["effect"] == *first_effect)
        .unwrap();
    assert!(runs[1].1 < runs[0].1 + first_over, "{runs:?} {first_over}");
}

#[test]
fn secrets_reach_the_container_and_nothing_else() {
    let Some(stage) = Stage::new(1) else { return };
    stage.configure(&stage.manifest("env:\n  secret:\n    - CANARY\n"));
    let host = stage.host(0).clone();
    let over = Arc::new(AtomicBool::new(false));
    // Whatever runs on the server meanwhile, with its arguments and environment.
    let watching = thread::spawn({
        let (host, over) = (host.clone(), over.clone());
        move || {
            let mut seen = String::new();
            while !over.load(Ordering::SeqCst) {
                seen += &host.ssh(&["ps", "axww", "-o", "args"]).unwrap();
            }
            seen
        }
    });
    stage.deploys(&["--verbose"]);
    stage.project.commit("two").unwrap();
    let json = stage.run(&["plan", "--json"]);
    assert_eq!(json.code, Some(0), "{}", json.stderr);
    stage.deploys(&["--json"]);
    over.store(true, Ordering::SeqCst);
    let seen = watching.join().unwrap();
    let password = stage.lab.registry.password.clone();
    assert!(seen.contains("kamal-proxy"), "processes were seen");

    let running = stage.running(Engine::On(&host));
    let env = host
        .docker(&["inspect", "--format", "{{json .Config.Env}}", &running[0]])
        .unwrap();
    assert!(env.contains(&format!("CANARY={CANARY}")), "{env}");

    let said = stage.said.lock().unwrap().clone();
    let journal: String = stage
        .journal_files()
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    assert!(journal.contains("docker.pull"), "{journal}");
    let files = host.ssh(&["sh", "-c", "find /root /tmp /home -type f -newer /proc/1 2>/dev/null | xargs -r cat 2>/dev/null; find /root/.docker /home/deploy/.docker 2>/dev/null; true"]).unwrap();
    for secret in [CANARY, &password] {
        for (place, text) in [
            ("output", &said),
            ("journal", &journal),
            ("processes", &seen),
            ("files", &files),
        ] {
            assert!(
                !text.contains(secret),
                "{secret} is in the {place}:\n{text}"
            );
        }
    }
    assert!(files.contains("Pulled image"), "files were seen: {files}");
    assert!(!files.contains(".docker"), "{files}");
}

#[test]
fn an_ordinary_user_who_may_use_docker_can_deploy() {
    let Some(stage) = Stage::new(1) else { return };
    let version = stage.configure(&stage.manifest("ssh:\n  user: deploy\n"));
    stage.deploys(&[]);
    let host = stage.host(0);
    assert!(answer(&host.address).contains(&version));
    let audit = host
        .as_user("deploy")
        .ssh(&["cat", ".kamal/hello-audit.log"])
        .unwrap();
    assert!(audit.contains(&version), "{audit}");
    let again = stage.deploys(&[]);
    assert!(again.starts_with("nothing to do: "), "{again}");
}

#[test]
fn nobody_on_three_servers_notices_a_deploy_and_what_was_begun_is_answered() {
    let Some(stage) = Stage::new(3) else { return };
    stage.deploys(&[]);
    let addresses: Vec<String> = stage
        .lab
        .hosts
        .iter()
        .map(|host| host.address.clone())
        .collect();
    let over = Arc::new(AtomicBool::new(false));
    let probers: Vec<Prober> = addresses
        .iter()
        .map(|address| Prober::start(&format!("http://{address}/"), 100, None).unwrap())
        .collect();
    // Requests that are under way whenever the old version is told to go.
    let patient: Vec<_> = addresses
        .iter()
        .map(|address| {
            let (over, url) = (over.clone(), format!("http://{address}/slow?ms=1500"));
            thread::spawn(move || {
                let mut answers = Vec::new();
                while !over.load(Ordering::SeqCst) {
                    answers.push(lab::http::get(&url, None, super::PATIENCE));
                }
                answers
            })
        })
        .collect();
    for greeting in ["two", "three"] {
        stage.project.commit(greeting).unwrap();
        stage.deploys(&[]);
    }
    over.store(true, Ordering::SeqCst);
    for prober in probers {
        assert_none_failed(&prober.stop());
    }
    for thread in patient {
        let answers = thread.join().unwrap();
        assert!(answers.len() > 3, "{answers:?}");
        for answer in answers {
            assert_eq!(answer.unwrap().status, 200);
        }
    }
    // The proxies' own logs say the same.
    for host in &stage.lab.hosts {
        let requests = proxy_stand_in::requests(Engine::On(host)).unwrap();
        let ours = requests
            .iter()
            .filter(|request| request.service == "hello-web");
        assert!(ours.clone().count() > 100);
        let failed: Vec<_> = ours
            .filter(|request| request.status != 200 || !request.complete)
            .collect();
        assert!(failed.is_empty(), "{failed:?}");
    }
}

#[test]
fn an_image_that_is_there_is_not_pulled_again_and_a_host_may_have_its_user_and_port() {
    let Some(stage) = Stage::new(1) else { return };
    let address = stage.host(0).address.clone();
    let named = stage.manifest("").replace(
        &format!("  - {address}\n"),
        &format!("  - root@{address}:22\n"),
    );
    let version = stage.configure(&named);
    stage.deploys(&[]);
    let pulls = || {
        let journals = stage.journals();
        let pulls = journals
            .iter()
            .filter(|line| line["kind"] == "intent" && line["entry"]["operation"] == "docker.pull");
        pulls
            .filter(|line| {
                line["entry"]["arguments"]["image"]
                    .as_str()
                    .is_some_and(|image| image.contains("hello"))
            })
            .count()
    };
    assert_eq!(pulls(), 1);
    // As Kamal, it boots what runs already.
    let said = stage.run(&["kamal", "deploy", "-P", "--version", &version]);
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    assert_eq!(pulls(), 1, "it was pulled again");
}
