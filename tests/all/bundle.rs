//! The default components in the real sandbox: ordinary, small, and without powers they do not need.

use plimsoll::plugin::select::all_bundled;
use plimsoll::sandbox::Role;
use plimsoll::sandbox::inspect::Import;

use crate::support::{Folder, TestRun};

#[tokio::test]
async fn every_component_of_the_bundle_loads_in_its_role_and_imports_what_it_should() {
    let test = TestRun::new();
    let sandbox = test.sandbox();
    let mut roles = Vec::new();
    for plugin in all_bundled() {
        let component = sandbox
            .component(&plugin.name, &plugin.sha256, &plugin.bytes, plugin.origin)
            .unwrap();
        let surface = sandbox.surface(&component);
        assert_eq!(surface.role(), Some(plugin.role), "{}", plugin.name);
        let capabilities: Vec<&str> = surface.capabilities().collect();
        match plugin.role {
            Role::Driver => {
                let (own, others) = match plugin.name.as_str() {
                    "ecs-driver" => (
                        "cloudformation",
                        ["docker", "ssh", "lock", "hook", "secrets"],
                    ),
                    _ => (
                        "docker",
                        ["cloudformation", "s3", "ecs", "logs", "interruption"],
                    ),
                };
                assert!(capabilities.contains(&own), "{capabilities:?}");
                assert!(
                    capabilities
                        .iter()
                        .all(|capability| !others.contains(capability)),
                    "{}: {capabilities:?}",
                    plugin.name
                );
            }
            Role::Renderer | Role::Differ | Role::Policy => {
                assert!(
                    capabilities.iter().all(|capability| *capability == "log"),
                    "{}: {capabilities:?}",
                    plugin.name
                );
                let denied: Vec<&Import> = surface
                    .imports
                    .iter()
                    .filter(|import| matches!(import, Import::Denied(_) | Import::Unknown(_)))
                    .collect();
                assert!(denied.is_empty(), "{}: {denied:?}", plugin.name);
            }
        }
        assert!(
            plugin.bytes.len() < 1700 << 10,
            "{} has {} KiB",
            plugin.name,
            plugin.bytes.len() >> 10
        );
        plugin.link(&sandbox).unwrap();
        roles.push(plugin.role);
    }
    roles.sort();
    roles.dedup();
    assert_eq!(roles, Role::ALL);
}

#[test]
fn what_is_shipped_beside_the_binary_is_loaded_and_nothing_is_compiled() {
    let folder = Folder::new();
    let binary = folder.path().join("plimsoll");
    std::fs::copy(env!("CARGO_BIN_EXE_plimsoll"), &binary).unwrap();
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(&binary)
            .args(arguments)
            .env_clear()
            .env("HOME", folder.path())
            .env("XDG_CACHE_HOME", folder.path().join("cache"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let beside = folder.path().join("plimsoll-aot");
    run(&["plugin", "precompile", beside.to_str().unwrap()]);
    for plugin in all_bundled() {
        run(&["plugin", "inspect", &plugin.name]);
    }
    assert!(
        !folder.path().join("cache").exists(),
        "the private cache was not needed"
    );
}
