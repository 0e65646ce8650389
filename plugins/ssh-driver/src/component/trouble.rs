//! Why a deploy stops.

use super::bindings::plimsoll::deploy::types::CapError;
use super::convert::words;
use super::world::{Ended, did_not_happen};
use crate::call::Promise;

/// Why a deploy stops.
pub(super) enum Trouble {
    /// The world is not as assumed.
    Refused(String),
    /// A call failed.
    Call(CapError),
    /// Something that was started does not do its work.
    Failed {
        message: String,
        details: Vec<String>,
    },
    /// Stopped because of another trouble.
    Halted,
}

impl Trouble {
    /// A call's failure with the container it was made for.
    pub(super) fn of(self, container: &str, host: &str) -> Self {
        match self {
            Self::Call(error) if !did_not_happen(&error) => Self::Failed {
                message: format!("{container} on {host}: {}", words(&error)),
                details: Vec::new(),
            },
            Self::Refused(_) | Self::Call(_) | Self::Failed { .. } | Self::Halted => self,
        }
    }
}

impl Trouble {
    /// In one line.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Refused(message) | Self::Failed { message, .. } => message.clone(),
            Self::Call(error) => words(error),
            Self::Halted => "halted".to_owned(),
        }
    }
}

impl Ended {
    /// Why a command that ended with another code than 0 is trouble: what it said, in its own words.
    pub(super) fn trouble(&self, promise: &Promise) -> Trouble {
        if promise.shown {
            // What it said is reported whole.
            let (host, code) = (&promise.subject, self.code);
            return Trouble::Failed {
                message: format!("the command on {host} ended with exit status {code}"),
                details: Vec::new(),
            };
        }
        let said = self.stderr.lines().chain(self.stdout.lines());
        let mut said = said.filter(|line| !line.trim().is_empty());
        let first = said.next().map_or_else(
            || format!("it ended with code {} and said nothing", self.code),
            str::to_owned,
        );
        Trouble::Failed {
            message: format!(
                "{} on {}: {first}",
                promise.call.operation(),
                promise.subject
            ),
            details: said.map(str::to_owned).collect(),
        }
    }
}

impl From<CapError> for Trouble {
    fn from(error: CapError) -> Self {
        Self::Call(error)
    }
}

/// Several troubles as one: those who halted only followed the others.
pub(super) fn together(done: Vec<Result<(), Trouble>>) -> Result<(), Trouble> {
    let mut troubles: Vec<Trouble> = done.into_iter().filter_map(Result::err).collect();
    if troubles.len() > 1 {
        troubles.retain(|trouble| !matches!(trouble, Trouble::Halted));
    }
    if troubles.len() < 2 {
        return troubles.pop().map_or(Ok(()), Err);
    }
    if troubles
        .iter()
        .all(|trouble| matches!(trouble, Trouble::Call(_) | Trouble::Refused(_)))
    {
        return Err(troubles.swap_remove(0));
    }
    let mut messages = Vec::new();
    let mut all_details = Vec::new();
    for trouble in troubles {
        match trouble {
            Trouble::Refused(message) => messages.push(message),
            Trouble::Call(error) => messages.push(words(&error)),
            Trouble::Failed { message, details } => {
                messages.push(message);
                all_details.extend(details);
            }
            Trouble::Halted => {}
        }
    }
    Err(Trouble::Failed {
        message: messages.join("\n"),
        details: all_details,
    })
}
