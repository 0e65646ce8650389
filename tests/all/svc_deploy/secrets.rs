//! Credentials reach nobody: neither the output in any form, nor a file, nor another program. Everything that the double gives has
//! the same word in it.

use aws_double::Rule;

use super::{CANARY, Said, Stage, service};

const SVC: [&str; 7] = ["svc", "deploy", "-n", "api", "-e", "test", "--yes"];

/// Runs it with everything that makes programs talk, and `git` replaced by one that writes down what it is given.
fn talk(stage: &Stage, words: &[&str]) -> Said {
    let spy = "#!/bin/sh\nenv >> \"$HOME/git.env\"\nPATH=\"${PATH#*:}\"\nexec git \"$@\"\n";
    stage.write("../bin/git", spy);
    let git = stage.home.path().join("bin/git");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&git, executable).unwrap();
    let mut path = git.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let mut command = stage.command(words);
    command
        .env("PATH", path)
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        .env("AWS_SESSION_TOKEN", "")
        .env("SMITHY_LOG", "trace");
    let said = super::said(command);
    stage.shows_no_secret(&said);
    let given = std::fs::read_to_string(stage.home.path().join("git.env")).unwrap_or_default();
    assert!(
        !given.contains(CANARY),
        "another program was given a secret"
    );
    said
}

#[test]
fn nothing_shows_them_when_all_goes_well() {
    let stage = Stage::new();
    for words in [
        &[
            "svc", "deploy", "-n", "api", "-e", "test", "--yes", "--json",
        ][..],
        &[
            "svc", "deploy", "-n", "api", "-e", "test", "--yes", "--force",
        ],
        &[
            "svc", "package", "-n", "api", "-e", "test", "--diff", "--json",
        ],
        &[
            "svc",
            "package",
            "-n",
            "api",
            "-e",
            "test",
            "--output-dir",
            "out",
        ],
        &["deploy", "--all", "-e", "test", "--yes", "--json"],
    ] {
        let said = talk(&stage, words);
        assert_eq!(said.code, Some(0), "{words:?}: {said}");
    }
    // They were used: the double gives them to nobody who does not ask.
    let requests = stage.double.requests();
    let assumed = requests.iter().any(|it| it.access_key.starts_with("ASIA"));
    assert!(assumed, "nobody assumed a role");
}

#[test]
fn nothing_shows_them_when_something_fails() {
    let stage = Stage::new();
    assert_eq!(talk(&stage, &SVC).code, Some(0));
    stage.write("copilot/api/manifest.yml", &service("two"));
    let told = "User: arn:aws:sts::1:assumed-role/x may not do that";
    for (service, action, code) in [
        ("sts", "GetCallerIdentity", "SignatureDoesNotMatch"),
        ("sts", "AssumeRole", "AccessDenied"),
        ("cloudformation", "DescribeStacks", "ValidationError"),
        (
            "cloudformation",
            "CreateChangeSet",
            "InsufficientCapabilitiesException",
        ),
        ("cloudformation", "DescribeStackEvents", "AccessDenied"),
    ] {
        stage.double.forget_rules();
        stage
            .double
            .rule(Rule::request(service, action).refused(403, code, told));
        let said = talk(&stage, &SVC);
        assert_eq!(said.code, Some(1), "{service} {action}: {said}");
        stage.double.forget_rules();
        let _ = stage.double.wait("shop-test-api", super::PATIENCE);
    }
}

#[test]
fn a_manifest_that_names_them_does_not_get_them() {
    let stage = Stage::new();
    for variable in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        let manifest = service(&format!("${{{variable}}}"));
        stage.write("copilot/api/manifest.yml", &manifest);
        let mut command = stage.command(&["svc", "package", "-n", "api", "-e", "test"]);
        command.env("AWS_SESSION_TOKEN", "canary-of-a-session");
        let said = super::said(command);
        stage.shows_no_secret(&said);
        assert_eq!(said.code, Some(1), "{said}");
        said.holds(&[variable, "copilot/api/manifest.yml:"]);
    }
}
