//! `template diff`: two templates, compared without AWS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::copilot::package::{Ended, finish, plugin, quiet_runtime, show};
use super::copilot::start::pure;
use crate::pipeline::DeployError;
use crate::sandbox::Role;
use crate::wit::differ::exports::plimsoll::deploy::differ::Style as WitStyle;
use crate::wit::types::Document;

/// `template`.
#[derive(Debug, Subcommand)]
pub enum Template {
    /// Prints the difference of two templates. Exit code 0: none, 1: some, 2: they can't be compared.
    Diff {
        /// How parents are shown.
        #[arg(long, value_enum, default_value_t = Style::Tree)]
        style: Style,
        /// The changes as one JSON document.
        #[arg(long)]
        json: bool,
        /// The template before.
        old: PathBuf,
        /// The template after.
        new: PathBuf,
    },
}

/// How parents are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Style {
    /// Every parent on its own line.
    Tree,
    /// Chains of single children joined by a slash.
    Collapsed,
}

/// `template diff`.
pub(super) fn template(command: &Template) -> ExitCode {
    let Template::Diff {
        style,
        json,
        old,
        new,
    } = command;
    finish(quiet_runtime, true, |environment, reporter, runtime| {
        let read = |path: &Path| {
            let body = fs::read_to_string(path).map_err(|error| {
                DeployError::Project(format!("failed to read {}: {error}", path.display()))
            })?;
            Ok::<_, DeployError>(vec![Document {
                address: "template".to_owned(),
                media_type: "application/vnd.aws.cloudformation+yaml".to_owned(),
                body,
            }])
        };
        let style = match style {
            Style::Tree => WitStyle::Tree,
            Style::Collapsed => WitStyle::Collapsed,
        };
        let pure = pure(environment, reporter)?;
        let difference =
            runtime.block_on(pure.diff(&plugin(Role::Differ), read(old)?, read(new)?, style))?;
        if *json || !difference.text.is_empty() {
            return Ok(show(reporter, &difference, *json));
        }
        Ok(Ended::Fine)
    })
}
