//! The pattern language of grants, as in Kubewarden: small enough that what a pattern covers is plain to see.
//!
//! * Text matches itself.
//! * `*` stands only at the end, and covers the rest of one segment: `app-*`, `ghcr.io/acme/*`, `/srv/web/*`.
//! * `**` stands only at the end, alone or as a last segment, and covers whatever follows: `/srv/web/**`.
//!
//! Anything else with a `*` is an error when the grants are read, not a surprise when they are used. Requests are
//! normalised before they are matched, and a request that is not a proper name of its kind is covered by nothing.

mod argv;
mod image;
mod name;
mod path;

pub use argv::ArgvPattern;
pub use image::{ImagePattern, is_reference};
pub use name::{HostPattern, NamePattern, OptionPattern};
pub use path::{MountPattern, PathPattern};

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct PatternError {
    /// `"a*b": a wildcard stands only at the end`
    pub problem: String,
    /// What to write instead.
    pub help: String,
}

impl PatternError {
    fn new(pattern: &str, problem: &str, help: &str) -> Self {
        Self {
            problem: format!("{pattern:?}: {problem}"),
            help: help.to_owned(),
        }
    }
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tail {
    /// As written.
    Exact,
    /// `*`
    Any,
}

/// A text with its wildcard taken off.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Segment {
    text: String,
    tail: Tail,
}

impl Segment {
    fn exact(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tail: Tail::Exact,
        }
    }

    fn prefix(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tail: Tail::Any,
        }
    }

    fn parse(whole: &str, segment: &str) -> Result<Self, PatternError> {
        let (text, tail) = match segment.strip_suffix('*') {
            Some(text) => (text, Tail::Any),
            None => (segment, Tail::Exact),
        };
        if text.contains('*') {
            let problem = "a wildcard stands only at the end";
            let help = "write `prefix*` for one segment, or `folder/**` for everything below";
            return Err(PatternError::new(whole, problem, help));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            let problem = "there is space or a control character in it";
            return Err(PatternError::new(whole, problem, "take it out"));
        }
        Ok(Self {
            text: text.to_owned(),
            tail,
        })
    }

    fn covers(&self, request: &str) -> bool {
        match self.tail {
            Tail::Exact => request == self.text,
            // `app-*` does not cover `app-`: a wildcard stands for something.
            Tail::Any => request.len() > self.text.len() && request.starts_with(&self.text),
        }
    }
}

impl std::fmt::Display for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)?;
        match self.tail {
            Tail::Exact => Ok(()),
            Tail::Any => f.write_str("*"),
        }
    }
}

fn not_empty(pattern: &str) -> Result<(), PatternError> {
    match pattern.is_empty() {
        true => Err(PatternError::new(
            pattern,
            "a pattern is not empty",
            "write what to allow, or leave the line out",
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
