//! The real clients against real servers: sshd, dockerd, a registry behind TLS and a password.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests start ssh-keygen, ssh-agent, openssl and docker"
)]

mod build;
mod engine;
mod host;
mod login;
mod registry;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command as Process,
    sync::atomic::{AtomicUsize, Ordering},
};

use lab::{Host, Lab};
use plimsoll::wire::{
    Credentials, Engine, Ssh, SshConfig, Target, WireError, build::Build, context::Context,
    ssh::ConfigFiles,
};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!(
            "plimsoll-wire-{name}-{}-{number}",
            std::process::id()
        ));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A home of its own: nothing of the user's configuration, keys or known hosts.
fn config(home: &Folder, host: &Host) -> SshConfig {
    SshConfig {
        user: Some(host.user.clone()),
        port: Some(host.port),
        keys: vec![host.key_path.clone()],
        keys_only: true,
        files: ConfigFiles::None,
        home: Some(home.0.clone()),
        ..SshConfig::default()
    }
}

fn target(host: &Host) -> Target {
    host.address.parse().unwrap()
}

async fn connect(home: &Folder, host: &Host) -> Ssh {
    Ssh::connect(&target(host), &config(home, host))
        .await
        .unwrap()
}

fn known_hosts(home: &Folder) -> String {
    fs::read_to_string(home.0.join(".ssh/known_hosts")).unwrap_or_default()
}

fn keygen(path: &Path, passphrase: &str, kind: &str) {
    let done = Process::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(done.success());
}

#[track_caller]
fn unwrap_err<T>(result: Result<T, WireError>) -> WireError {
    match result {
        Ok(_) => panic!("it worked"),
        Err(error) => error,
    }
}

/// This machine's Engine, or the one at `PLIMSOLL_TEST_ENGINE`: for trying other versions.
async fn engine_here() -> Engine {
    match std::env::var("PLIMSOLL_TEST_ENGINE") {
        Ok(address) => Engine::at(&address).await.unwrap(),
        Err(_) => Engine::local().await.unwrap(),
    }
}

/// A folder with this machine's own shell, as an image without a base.
fn shell_context(name: &str) -> Folder {
    let folder = Folder::new(name);
    for program in [
        "/bin/sh",
        "/bin/cat",
        "/bin/sleep",
        "/bin/echo",
        "/usr/bin/env",
    ] {
        let real = fs::canonicalize(program).unwrap();
        folder.write(&format!("root{program}"), fs::read(real).unwrap());
        let needs = Process::new("ldd").arg(program).output().unwrap();
        for word in String::from_utf8(needs.stdout)
            .unwrap()
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
        {
            folder.write(&format!("root{word}"), fs::read(word).unwrap());
        }
    }
    for file in Process::new("find")
        .arg(&folder.0)
        .args(["-type", "f"])
        .output()
        .unwrap()
        .stdout
        .split(|b| *b == b'\n')
    {
        if !file.is_empty() {
            use std::os::unix::fs::PermissionsExt;
            let path = String::from_utf8(file.to_vec()).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    folder
}

fn build(folder: &Folder, dockerfile: &str, tags: &[String]) -> Build {
    let dockerfile = folder.write("Dockerfile", dockerfile);
    Build {
        context: Context {
            folder: folder.0.clone(),
            dockerfile,
            ignore: vec![],
        },
        arguments: vec![],
        target: None,
        labels: vec![],
        tags: tags.to_vec(),
        platforms: vec![],
        no_cache: false,
        pull: false,
        cache_from: vec![],
        cache_to: vec![],
        provenance: None,
        sbom: None,
        builder: None,
    }
}

const SHELL: &str = "FROM scratch\nCOPY root /\nENV PATH=/bin:/usr/bin\n";

fn credentials(lab: &Lab, password: &str) -> Credentials {
    Credentials {
        server: lab.registry.address.clone(),
        username: lab.registry.username.as_str().into(),
        password: password.into(),
    }
}

/// An image with a shell in it, on the engine under the name that is returned.
async fn shell_image(engine: &Engine, name: &str) -> String {
    let folder = shell_context(name);
    let tag = format!("plimsoll-wire-{name}:{}", std::process::id());
    let request = Build {
        labels: vec![("wire".into(), name.into())],
        ..build(&folder, SHELL, std::slice::from_ref(&tag))
    };
    engine.build(&request, &mut |_| {}).await.unwrap();
    tag
}
