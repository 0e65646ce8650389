//! A shell and a few programs for images, from this machine's own: nothing can be pulled everywhere.

use std::fs;
use std::path::Path;

use crate::command::{command, run};
use crate::sample::Project;
use crate::{Engine, LabError, Registry, image, state};

/// Copies the programs, and the libraries they need, from `/` to the folder that is the first argument.
const COPY: &str = r#"set -e
cd /
for program in bin/sh usr/bin/cat usr/bin/env usr/bin/ls usr/bin/sleep usr/bin/stat; do
  [ -e "$program" ] || program=${program#usr/}
  echo "$program"
  ldd "$program" | sed -n -e 's,.*=> /\([^ ]*\).*,\1,p' -e 's,^[[:space:]]*/\([^ ]*\).*,\1,p'
done | sort -u | tar -chf - -T - | tar -xf - -C "$1""#;

/// What an image of a project with tools is built of.
const DOCKERFILE: &str = "FROM scratch\nENV PATH=/usr/bin:/bin\nCOPY tools/ /\nCOPY bin/hello greeting.txt /\nCOPY public/ /public/\nEXPOSE 3000\nCMD [\"/hello\"]\n";

/// Gives a project's image a shell, and a folder `/public` of the project's `public`.
pub fn add(project: &Project) -> Result<(), LabError> {
    copy(&project.folder.join("tools"))?;
    project.write("Dockerfile", DOCKERFILE)?;
    project.write("public/same.txt", "same\n")?;
    project.write(
        ".dockerignore",
        "*\n!bin/hello\n!greeting.txt\n!tools\n!public\n",
    )
}

/// Pushes an image with nothing but the programs, for accessories; returns its name.
pub fn push(registry: &Registry) -> Result<String, LabError> {
    let name = format!("{}/tools:1", registry.address);
    let folder = state::folder()?.join("tools");
    copy(&folder)?;
    let mut pack = command("tar", ["--owner=0", "--group=0", "-C"]);
    pack.arg(&folder).args(["-c", "."]);
    image::import(pack, Engine::Local, &["ENV PATH=/usr/bin:/bin"], &name)?;
    registry.push(&name)?;
    Engine::Local.docker(&["rmi", &name])?;
    Ok(name)
}

fn copy(folder: &Path) -> Result<(), LabError> {
    fs::create_dir_all(folder).map_err(LabError::file(folder))?;
    run(command("sh", ["-c", COPY, "sh"]).arg(folder)).map(drop)
}
