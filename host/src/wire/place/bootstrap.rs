//! Docker on a host that has none yet, as `kamal server bootstrap` puts it there (`kamal.md` §1.15).

use std::time::Duration;

use super::{Command, Place};
use crate::wire::WireError;

/// What a host has for running containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DockerState {
    /// The program `docker` is there.
    pub installed: bool,
    /// The user is root.
    pub root: bool,
    /// The user may change other users without a password.
    pub sudo: bool,
    /// The user is in the group `docker`.
    pub member: bool,
}

/// Downloading and installing packages.
const INSTALL: Duration = Duration::from_secs(20 * 60);

const STATE: &str = r#"docker -v >/dev/null 2>&1 && echo installed
[ "$(id -u)" = 0 ] && echo root
command -v sudo >/dev/null 2>&1 && sudo -nl usermod >/dev/null 2>&1 && echo sudo
id -nG | tr ' ' '\n' | grep -qx docker && echo member
:"#;

const INSTALL_DOCKER: &str = r#"if ! docker -v >/dev/null 2>&1; then
  script=$(curl -fsSL https://get.docker.com || wget -O - https://get.docker.com) || exit 1
  printf '%s\n' "$script" | sh || exit 1
fi
if [ "$(id -u)" != 0 ] && ! id -nG | tr ' ' '\n' | grep -qx docker; then
  sudo -n usermod -aG docker "$(id -un)" || exit 1
fi"#;

impl Place {
    /// What there is.
    pub async fn docker_state(&self) -> Result<DockerState, WireError> {
        let output = self.exec(Command::new(["sh", "-c", STATE])).await?;
        let said = output.text();
        let is = |word: &str| said.lines().any(|line| line == word);
        Ok(DockerState {
            installed: is("installed"),
            root: is("root"),
            sudo: is("sudo"),
            member: is("member"),
        })
    }

    /// Installs Docker unless it is there, and lets the user use it.
    pub async fn install_docker(&self) -> Result<(), WireError> {
        let command = Command::new(["sh", "-c", INSTALL_DOCKER]).timeout(INSTALL);
        let output = self.exec(command).await?;
        if output.code == 0 {
            return Ok(());
        }
        Err(WireError::CommandFailed {
            place: self.name(),
            what: "installing Docker".into(),
            code: output.code,
            stderr: output.error_text(),
        })
    }
}
