//! What the host answers by itself: `version`, `docs`, `init`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Face;
use crate::manifest::kamal::Builder;
use crate::pipeline::DeployError;

/// The Kamal whose command line and servers these are.
const KAMAL: &str = "2.12.0";

const REFERENCE: &str = include_str!("texts/reference.yml");
const DEPLOY: &str = include_str!("texts/deploy.yml");
const SECRETS: &str = include_str!("texts/secrets");
const HOOK: &str = include_str!("texts/hook.sample");

/// Hooks, and when they run.
const HOOKS: &[(&str, &str)] = &[
    ("docker-setup", "after Docker was set up on the servers"),
    (
        "pre-connect",
        "before the first connection to a server, with all secrets",
    ),
    ("pre-build", "before the image is built"),
    (
        "pre-deploy",
        "under the deploy lock, before anything is switched, with all secrets",
    ),
    ("pre-app-boot", "before each group of hosts boots"),
    ("post-app-boot", "after each group of hosts has booted"),
    (
        "post-deploy",
        "after the deploy (KAMAL_RUNTIME: seconds), with all secrets",
    ),
    ("pre-proxy-reboot", "before the proxy is replaced"),
    ("post-proxy-reboot", "after the proxy was replaced"),
];

pub(super) fn version(face: Face) -> String {
    match face {
        Face::Kamal => format!("{KAMAL}\n"),
        Face::Plimsoll => format!("plimsoll {}\n", env!("CARGO_PKG_VERSION")),
    }
}

/// The reference, or one section of it.
pub(super) fn docs(section: Option<&str>) -> Result<String, DeployError> {
    let wanted = section.unwrap_or("configuration").to_lowercase();
    let singular = match wanted.as_str() {
        "accessories" => "accessory",
        "aliases" => "alias",
        "roles" => "role",
        other => other,
    };
    let found = sections().find(|(name, _)| *name == singular);
    Ok(match found {
        Some((_, text)) => text.to_owned(),
        None => {
            let names: Vec<&str> = sections().map(|(name, _)| name).collect();
            format!(
                "No documentation found for {wanted}; there is: {}\n",
                names.join(", ")
            )
        }
    })
}

/// What builds: Docker Engines, which need no instance of buildx to be made.
pub(super) fn builder(builder: &Builder) -> String {
    match &builder.remote {
        Some(remote) => format!(
            "Builder: BuildKit of the Docker Engine at {remote}, and of this machine's for its own processor\n"
        ),
        None => "Builder: BuildKit of this machine's Docker Engine\n".to_owned(),
    }
}

/// Names and texts.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    let parts = REFERENCE.split("#: ").skip(1);
    parts.filter_map(|part| part.split_once('\n'))
}

/// Writes the first files of a project; what is there stays.
pub(super) fn init(folder: &Path, bundle: bool) -> Result<String, DeployError> {
    let mut told = String::new();
    let mut make = |path: &str, text: &str, there: &str, made: &str| {
        let path = folder.join(path);
        if path.exists() {
            told.push_str(there);
            return Ok(());
        }
        told.push_str(made);
        write(&path, text, 0o644)
    };
    make(
        "config/deploy.yml",
        DEPLOY,
        "Config file already exists in config/deploy.yml (remove first to create a new one)\n",
        "Created configuration file in config/deploy.yml\n",
    )?;
    make(
        ".kamal/secrets",
        SECRETS,
        "",
        "Created .kamal/secrets file\n",
    )?;
    let hooks = folder.join(".kamal/hooks");
    if !hooks.exists() {
        for (name, when) in HOOKS {
            let text = HOOK.replace("WHEN", when);
            write(&hooks.join(format!("{name}.sample")), &text, 0o755)?;
        }
        told.push_str("Created sample hooks in .kamal/hooks\n");
    }
    if bundle {
        // There is no gem to add: the binstub leads to the binary itself.
        let stub = folder.join("bin/kamal");
        if stub.exists() {
            told.push_str(
                "Binstub already exists in bin/kamal (remove first to create a new one)\n",
            );
        } else {
            write(&stub, "#!/bin/sh\nexec plimsoll kamal \"$@\"\n", 0o755)?;
            told.push_str("Created binstub file in bin/kamal\n");
        }
    }
    Ok(told)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), DeployError> {
    let written = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    };
    written().map_err(|error| {
        DeployError::Project(format!("failed to write {}: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Envelope;

    #[test]
    fn the_reference_and_the_first_files_are_configurations() {
        assert_eq!(sections().count(), 14);
        for (name, text) in sections() {
            Envelope::read(&[(name, text)], None).expect(name);
            assert_eq!(docs(Some(name)).expect("is there"), text);
        }
        assert!(docs(None).expect("is there").contains("service: app"));
        assert!(
            docs(Some("nope"))
                .expect("says so")
                .starts_with("No documentation found for nope")
        );
        let folder = std::env::temp_dir().join(format!("plimsoll-init-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("creates");
        let told = init(&folder, true).expect("writes");
        assert_eq!(told.lines().count(), 4, "{told}");
        let written = fs::read_to_string(folder.join("config/deploy.yml")).expect("is there");
        let envelope = Envelope::read(&[("config/deploy.yml", &written)], None).expect("reads");
        assert_eq!(envelope.service, "my-app");
        assert!(
            init(&folder, false)
                .expect("writes")
                .starts_with("Config file already exists")
        );
        fs::remove_dir_all(folder).expect("removes");
    }
}
