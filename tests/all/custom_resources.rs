//! The Lambda functions of stacks: their JavaScript with node, the AWS SDK that Lambda brings, and moto behind the wire.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use lab::node::Node;

use crate::support::Folder;

/// Node and moto, or none after saying why. Under `CI=true` they have to be there.
fn needed() -> Option<(Node, SocketAddr)> {
    let found = lab::node::node().and_then(|node| Ok((node, lab::aws::moto()?)));
    found
        .inspect_err(|error| {
            let missing = format!("skipped: failed to {error}");
            assert!(!lab::checks::is_ci(), "{missing}");
            println!("{missing}");
        })
        .ok()
}

fn sources() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../plugins/custom-resources"
    ))
}

#[test]
fn each_function_does_on_the_wire_what_its_template_relies_on() {
    let Some((node, moto)) = needed() else { return };
    let mut tests: Vec<_> = std::fs::read_dir(sources().join("tests"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".test.js"))
        .collect();
    tests.sort();
    let ran = Command::new(&node.program)
        .args(["--test", "--test-reporter=tap"])
        .args(&tests)
        .env("NODE_PATH", &node.modules)
        .env("AWS_ENDPOINT_URL", format!("http://{moto}"))
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    println!("{said}");
    assert!(ran.status.success());
    let passed = said.lines().find_map(|line| line.strip_prefix("# pass "));
    let passed: usize = passed.and_then(|count| count.trim().parse().ok()).unwrap();
    assert!(passed > 30 && !said.contains("# SKIP"), "{passed}");
}

#[test]
fn an_archive_is_a_zip_file_whose_handler_node_can_load() {
    let Some((node, _)) = needed() else { return };
    let folder = Folder::new();
    for kind in [
        "Load Balanced Web Service",
        "Worker Service",
        "Static Site",
        "Request-Driven Web Service",
    ] {
        for function in custom_resources::functions(kind) {
            let place = format!("{kind}/{}", function.id).replace(' ', "-");
            folder.write(&format!("{place}.zip"), "");
            let archive = folder.path().join(format!("{place}.zip"));
            std::fs::write(&archive, function.archive().bytes).unwrap();
            let unpacked = folder.path().join(&place);
            let unzip = Command::new("python3")
                .args(["-m", "zipfile", "-e"])
                .args([&archive, &unpacked])
                .status()
                .unwrap();
            assert!(unzip.success(), "{place}");
            let handler = function.handler().trim_start_matches("index.");
            let load =
                format!("if (typeof require('./index').{handler} !== 'function') process.exit(1)");
            let loaded = Command::new(&node.program)
                .args(["-e", &load])
                .current_dir(&unpacked)
                .env("NODE_PATH", &node.modules)
                .env("AWS_REGION", "eu-west-1")
                .status()
                .unwrap();
            assert!(loaded.success(), "{place}");
        }
    }
}
