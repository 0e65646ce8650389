//! The project's own scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lab::Engine;

use super::Stage;

const HOOKS: [&str; 6] = [
    "pre-connect",
    "pre-build",
    "pre-deploy",
    "pre-app-boot",
    "post-app-boot",
    "post-deploy",
];

pub(super) fn executable(stage: &Stage, name: &str) {
    let path = stage.project.folder.join(".kamal/hooks").join(name);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn write(stage: &Stage, name: &str, script: &str) {
    stage
        .project
        .write(
            &format!(".kamal/hooks/{name}"),
            &format!("#!/bin/sh\n{script}\n"),
        )
        .unwrap();
    executable(stage, name);
}

#[test]
fn hooks_run_in_kamals_order_with_their_environment_and_a_failing_one_stops_the_deploy() {
    let Some(stage) = Stage::new(1) else { return };
    let host = stage.host(0).clone();
    let record = stage.home.path().join("record");
    for hook in HOOKS {
        let line = "$KAMAL_COMMAND $KAMAL_HOSTS $KAMAL_SERVICE_VERSION $KAMAL_VERSION $KAMAL_PERFORMER ${KAMAL_RECORDED_AT:+at} ${KAMAL_RUNTIME:+runtime} canary=$CANARY lock=$KAMAL_LOCK";
        write(
            &stage,
            hook,
            &format!("echo \"{hook}: {line}\" >> {}", record.display()),
        );
    }
    let version = stage.project.commit("with hooks").unwrap();
    stage.deploys(&[]);
    let recorded = fs::read_to_string(&record).unwrap();
    let lines: Vec<&str> = recorded.lines().collect();
    let names: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split(':').next())
        .collect();
    assert_eq!(names, HOOKS, "{recorded}");
    for line in &lines {
        assert!(
            line.contains(&format!("deploy {} ", host.address)) && line.contains(&version),
            "{line}"
        );
    }
    assert!(lines[5].contains("runtime"), "{recorded}");
    // Kamal gives the secrets to these three.
    for (name, line) in names.iter().zip(&lines) {
        let given = line.contains(&format!("canary={}", super::CANARY));
        assert_eq!(
            given,
            ["pre-connect", "pre-deploy", "post-deploy"].contains(name),
            "{line}"
        );
    }

    write(&stage, "pre-deploy", "echo not on a Friday; exit 3");
    stage.project.commit("two").unwrap();
    let before = stage.containers(Engine::On(&host));
    let said = stage.fails(&[]);
    assert!(
        said.contains("Hook `pre-deploy` failed") && said.contains("not on a Friday"),
        "{said}"
    );
    assert_eq!(
        stage.containers(Engine::On(&host)),
        before,
        "nothing was changed"
    );

    fs::remove_file(&record).unwrap();
    stage.deploys(&["-H"]);
    assert!(!record.exists(), "-H runs no hook");
}
