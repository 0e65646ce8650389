//! Cloud Native Buildpacks, by the `pack` program: the one way of building that no Docker Engine has in itself.

use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;

use crate::wire::{Hidden, WireError, process::outside};

/// What to pack.
#[derive(Debug, Clone)]
pub struct Packing<'a> {
    /// Name of the image, without a tag.
    pub image: &'a str,
    /// `linux/amd64`; pack's own when there is none.
    pub platform: Option<&'a str>,
    /// The image that builds.
    pub builder: &'a str,
    /// In order.
    pub buildpacks: &'a [String],
    /// Every name the image gets.
    pub tags: &'a [String],
    /// Build everything anew.
    pub clear_cache: bool,
    /// Variables of the build. Their values are in pack's environment, not on its command line.
    pub variables: Vec<(String, Hidden)>,
    /// Where pack is called.
    pub folder: &'a Path,
    /// The application's folder, from there.
    pub path: &'a str,
}

/// Builds the image into this machine's Docker Engine, and hands on what pack says.
///
/// # Errors
/// `NoTool` when there is no `pack`, `BuildFailed` with its last lines.
pub async fn build(
    packing: &Packing<'_>,
    hear: &mut (dyn FnMut(&str) + Send),
) -> Result<(), WireError> {
    let mut pack = Command::new("pack");
    pack.args(arguments(packing))
        .current_dir(packing.folder)
        .envs(
            packing
                .variables
                .iter()
                .map(|(name, value)| (name, value.reveal())),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = pack.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => WireError::NoTool {
            tool: "pack".to_owned(),
            what: "building with buildpacks".to_owned(),
        },
        _ => WireError::io("starting pack")(error),
    })?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let mut last = Vec::new();
    let work = async {
        let mut note = |line: &str| {
            hear(line);
            last.push(line.to_owned());
        };
        // pack writes what matters to one of them.
        lines(out, &mut note).await;
        lines(err, &mut note).await;
        child.wait().await
    };
    let status = outside(work).await.map_err(WireError::io("running pack"))?;
    if status.success() {
        return Ok(());
    }
    let from = last.len().saturating_sub(30);
    Err(WireError::BuildFailed {
        step: "pack build".into(),
        message: format!("exit status {}", status.code().unwrap_or(-1)),
        output: last.split_off(from),
    })
}

async fn lines<R: AsyncRead + Unpin>(stream: Option<R>, note: &mut impl FnMut(&str)) {
    let Some(stream) = stream else { return };
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        note(&line);
    }
}

fn arguments(packing: &Packing<'_>) -> Vec<String> {
    let mut words = vec!["build".to_owned(), packing.image.to_owned()];
    let mut add = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
    if let Some(platform) = packing.platform {
        add("--platform", platform);
    }
    add("--creation-time", "now");
    // Without one it is the default that `pack config` knows.
    if !packing.builder.is_empty() {
        add("--builder", packing.builder);
    }
    for buildpack in packing.buildpacks {
        add("--buildpack", buildpack);
    }
    for tag in packing.tags {
        add("-t", tag);
    }
    // pack takes a variable without a value from its own environment.
    for (name, _) in &packing.variables {
        add("--env", name);
    }
    add("--path", packing.path);
    if packing.clear_cache {
        words.push("--clear-cache".to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_on_the_command_line() {
        let packing = Packing {
            image: "r/app",
            platform: Some("linux/amd64"),
            builder: "heroku/builder:24",
            buildpacks: &["heroku/ruby".to_owned()],
            tags: &["r/app:1".to_owned()],
            clear_cache: true,
            variables: vec![("TOKEN".to_owned(), "hunter2".into())],
            folder: Path::new("/"),
            path: ".",
        };
        assert_eq!(
            arguments(&packing).join(" "),
            "build r/app --platform linux/amd64 --creation-time now --builder heroku/builder:24 --buildpack heroku/ruby -t r/app:1 --env TOKEN --path . --clear-cache"
        );
    }
}
