//! The registry gives images to those who have the password.

use lab::sample::stage;
use lab::{Engine, Lab, image};

#[test]
fn an_image_is_pushed_and_pulled_with_credentials_and_not_without() {
    let Some(lab) = Lab::for_test(1).unwrap() else {
        return;
    };
    let (host, registry) = (&lab.hosts[0], &lab.registry);
    let repository = format!("{}/lab-test", registry.address);
    host.reset(&[&repository]).unwrap();
    let folder = std::env::temp_dir().join(format!("plimsoll-registry-{}", std::process::id()));
    let project = stage(&folder, "Hello").unwrap();
    let pack = lab::command::command(
        "tar",
        [
            "-C",
            &*project.folder.join("bin").to_string_lossy(),
            "-c",
            "hello",
        ],
    );
    let name = format!("{repository}:1");
    image::import(pack, Engine::Local, &["CMD [\"/hello\"]"], &name).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let refused = Engine::Local
        .docker(&["push", &name])
        .unwrap_err()
        .to_string();
    assert!(refused.contains("no basic auth credentials"), "{refused}");
    registry.push(&name).unwrap();
    Engine::Local.docker(&["rmi", &name]).unwrap();

    let refused = host.docker(&["pull", &name]).unwrap_err().to_string();
    assert!(refused.contains("no basic auth credentials"), "{refused}");
    host.docker(&[
        "login",
        "-u",
        &registry.username,
        "-p",
        &registry.password,
        &registry.address,
    ])
    .unwrap();
    host.docker(&["pull", &name]).unwrap();
    host.reset(&[&repository]).unwrap();
    assert_eq!(host.docker(&["images", "-q", &repository]).unwrap(), "");
    assert!(
        host.docker(&["pull", &name]).is_err(),
        "a reset host has no credentials"
    );
}
