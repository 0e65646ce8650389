//! Putting the stand-in for kamal-proxy where the real image can't be pulled, and reading its log.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::Value;

use crate::command::{command, run};
use crate::{Engine, LabError, cargo, image};

/// The name Kamal 2.12 runs its proxy under.
pub const IMAGE: &str = "basecamp/kamal-proxy:v0.9.2";
/// Name of the proxy's container.
pub const CONTAINER: &str = "kamal-proxy";
/// Says that an image is the stand-in, and which build of it.
const LABEL: &str = "plimsoll.stand-in";

/// Builds the stand-in (once) and makes it the image [`IMAGE`] of `engine`, unless it is already.
///
/// A container that runs keeps the image it was started with.
pub fn load(engine: Engine) -> Result<(), LabError> {
    let program = build()?;
    let bytes = fs::read(&program).map_err(LabError::file(&program))?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let build = format!("{:016x}", hasher.finish());
    let format = format!("{{{{index .Config.Labels {LABEL:?}}}}}");
    if engine
        .docker(&["image", "inspect", "--format", &format, IMAGE])
        .is_ok_and(|loaded| loaded == build)
    {
        return Ok(());
    }
    let folder = program.parent().map_or_else(PathBuf::new, PathBuf::from);
    let mut pack = command(
        "tar",
        ["--owner=0", "--group=0", "--transform=s,^,usr/local/bin/,"],
    );
    pack.arg("-C").arg(folder).args(["-c", CONTAINER]);
    let changes = [
        "CMD [\"kamal-proxy\", \"run\"]",
        "ENV HOME=/home/kamal-proxy",
        "ENV PATH=/usr/local/bin",
        "EXPOSE 80 443",
        "LABEL org.opencontainers.image.title=kamal-proxy",
        &format!("LABEL {LABEL}={build}"),
    ];
    image::import(pack, engine, &changes, IMAGE)
}

/// Whether the image [`IMAGE`] of `engine` is the stand-in; false if it is the real one or none.
pub fn is_loaded(engine: Engine) -> bool {
    let format = format!("{{{{index .Config.Labels {LABEL:?}}}}}");
    let label = engine.docker(&["image", "inspect", "--format", &format, IMAGE]);
    label.is_ok_and(|label| !label.is_empty() && label != "<no value>")
}

fn build() -> Result<PathBuf, LabError> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut built = BUILT.lock().expect("nothing panics with this lock");
    if let Some(program) = &*built {
        return Ok(program.clone());
    }
    let program = cargo::build(
        cargo::workspace(),
        &[
            "--package",
            "kamal-proxy-stand-in",
            "--target",
            cargo::STATIC_TARGET,
        ],
    )?;
    Ok(built.insert(program).clone())
}

/// A request as the stand-in logged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// When it arrived, in nanoseconds since 1970 by the proxy's clock.
    pub arrived: u64,
    /// When its answer was sent whole, or given up.
    pub completed: u64,
    /// The service it was for; empty if none.
    pub service: String,
    /// The target that had it, as `container id:port`; empty if none.
    pub target: String,
    /// Its path.
    pub path: String,
    /// The status of the answer; 499 if the client went away before.
    pub status: u16,
    /// Whether the whole answer was sent.
    pub complete: bool,
}

/// All requests that the stand-in on `engine` has completed since its container was made.
pub fn requests(engine: Engine) -> Result<Vec<Request>, LabError> {
    let log = run(&mut engine.command(&["logs", CONTAINER]))?;
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let requests = lines
        .filter(|line| line["msg"] == "Request")
        .map(|line| Request {
            arrived: line["arrived"].as_u64().unwrap_or_default(),
            completed: line["completed"].as_u64().unwrap_or_default(),
            service: text(&line, "service"),
            target: text(&line, "target"),
            path: text(&line, "path"),
            status: line["status"]
                .as_u64()
                .and_then(|status| status.try_into().ok())
                .unwrap_or_default(),
            complete: line["complete"] == true,
        });
    Ok(requests.collect())
}
