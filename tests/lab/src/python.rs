//! The Python that the scorers of `../shared/conformance` are written in.

use std::path::PathBuf;

use crate::command::{command, succeeds};
use crate::{LabError, setup, state};

/// Debian's own, for which the package below is.
const DEBIANS: &str = "/usr/bin/python3";

/// A Python that has PyYAML; Debian's, with the package installed, when the one on PATH has not.
pub fn with_yaml() -> Result<PathBuf, LabError> {
    let has_yaml = |python: &str| succeeds(&mut command(python, ["-c", "import yaml"]));
    let known = || {
        ["python3", DEBIANS]
            .into_iter()
            .find(|python| has_yaml(python))
    };
    if let Some(python) = known() {
        return Ok(python.into());
    }
    let _lock = state::lock("lock")?;
    setup::install(&["python3-yaml"])?;
    known().map(PathBuf::from).ok_or_else(|| LabError::Machine {
        problem: "find a Python with PyYAML".to_owned(),
        hint: "run `pip install pyyaml`".to_owned(),
    })
}
