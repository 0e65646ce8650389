//! Paths on hosts and in containers, and what can be mounted.

use std::fmt;

use super::{NamePattern, PatternError, Segment, not_empty};

/// A path: `/srv/web/**` (the folder and all below it), `/srv/web/*`, `.kamal/lock-app*`, `/etc/hosts`.
///
/// Relative paths are below the user's home directory. They never cover absolute ones, nor the other way round.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathPattern {
    absolute: bool,
    segments: Vec<Segment>,
    /// `**` at the end.
    below: bool,
}

/// A path without `.`, empty segments and `..`.
struct Plain<'a> {
    absolute: bool,
    segments: Vec<&'a str>,
}

impl<'a> Plain<'a> {
    /// None when the path can't be judged by its text alone.
    fn of(path: &'a str) -> Option<Self> {
        // A shell or a tool on the way might expand these.
        if path.is_empty() || path.starts_with('~') || path.contains(char::is_control) {
            return None;
        }
        let segments: Vec<&str> = path
            .split('/')
            .filter(|s| !matches!(*s, "" | "."))
            .collect();
        if segments.contains(&"..") {
            return None;
        }
        Some(Self {
            absolute: path.starts_with('/'),
            segments,
        })
    }
}

impl PathPattern {
    /// Exactly this path; none for one that can't be judged by its text (`..`, `~`).
    pub fn exact(path: &str) -> Option<Self> {
        let plain = Plain::of(path)?;
        Some(Self {
            absolute: plain.absolute,
            segments: plain.segments.into_iter().map(Segment::exact).collect(),
            below: false,
        })
    }

    /// A folder and everything below it.
    pub fn below(path: &str) -> Option<Self> {
        let exact = Self::exact(path)?;
        Some(Self {
            below: true,
            ..exact
        })
    }

    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        not_empty(text)?;
        let plain = Plain::of(text).ok_or_else(|| {
            let help = "write the path itself; relative ones are below the user's home directory";
            PatternError::new(
                text,
                "`..`, `~` and control characters are never allowed in a path",
                help,
            )
        })?;
        let mut segments = plain.segments;
        let below = segments.last() == Some(&"**");
        if below {
            segments.pop();
        }
        let (folders, last) = match segments.split_last() {
            Some((last, folders)) => (folders, Some(*last)),
            None => (&[][..], None),
        };
        let mut parsed = Vec::new();
        for folder in folders {
            parsed.push(literal(text, folder)?);
        }
        if let Some(last) = last {
            parsed.push(match below {
                true => literal(text, last)?,
                false => Segment::parse(text, last)?,
            });
        }
        Ok(Self {
            absolute: plain.absolute,
            segments: parsed,
            below,
        })
    }

    /// Whether it covers a path, after normalising it.
    pub fn covers(&self, path: &str) -> bool {
        let Some(plain) = Plain::of(path) else {
            return false;
        };
        let length = plain.segments.len();
        let fits = length == self.segments.len() || (self.below && length > self.segments.len());
        let pairs = || self.segments.iter().zip(&plain.segments);
        self.absolute == plain.absolute
            && fits
            && pairs().all(|(pattern, given)| pattern.covers(given))
    }
}

fn literal(whole: &str, segment: &str) -> Result<Segment, PatternError> {
    match segment.contains('*') {
        true => {
            let problem = "a wildcard stands only at the end";
            let help = "write `folder/prefix*`, `folder/*` or `folder/**`";
            Err(PatternError::new(whole, problem, help))
        }
        false => Segment::parse(whole, segment),
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut segments: Vec<String> = self.segments.iter().map(ToString::to_string).collect();
        if self.below {
            segments.push("**".to_owned());
        }
        let path = segments.join("/");
        match (self.absolute, path.is_empty()) {
            (true, _) => write!(f, "/{path}"),
            (false, true) => f.write_str("."),
            (false, false) if path.starts_with('~') => write!(f, "./{path}"),
            (false, false) => f.write_str(&path),
        }
    }
}

/// What may stand before the first colon of a volume: a named volume, or a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MountPattern {
    /// `kamal-proxy-config`
    Volume(NamePattern),
    /// `/srv/web/**`, `.kamal/**`
    Path(PathPattern),
}

impl MountPattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        match is_path(text) {
            true => PathPattern::parse(text).map(Self::Path),
            false => NamePattern::parse(text).map(Self::Volume),
        }
    }

    /// Exactly this source, as a manifest writes it: there `~`, `$HOME` and `$PWD` are the home directory.
    pub fn exact(source: &str) -> Option<Self> {
        let homes = ["~/", "$HOME/", "${HOME}/", "$PWD/", "${PWD}/"];
        let below_home = homes.iter().find_map(|home| source.strip_prefix(home));
        let home = ["~", "$HOME", "${HOME}", "$PWD", "${PWD}"].contains(&source);
        match (home, below_home) {
            (true, _) => PathPattern::exact(".").map(Self::Path),
            // Not the root when it begins with another slash.
            (false, Some(rest)) => PathPattern::exact(&format!("./{rest}")).map(Self::Path),
            (false, None) if is_path(source) => PathPattern::exact(source).map(Self::Path),
            (false, None) => Some(Self::Volume(NamePattern::exact(source))),
        }
    }

    /// Whether it covers a source.
    pub fn covers(&self, source: &str) -> bool {
        match self {
            Self::Volume(name) => !is_path(source) && name.covers(source),
            Self::Path(path) => is_path(source) && path.covers(source),
        }
    }
}

/// Docker's own distinction: a source without a slash is a volume, unless it begins with a dot.
fn is_path(source: &str) -> bool {
    source.contains('/') || source.starts_with(['.', '~']) || source == "**"
}

impl fmt::Display for MountPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume(name) => name.fmt(f),
            Self::Path(path) => {
                let written = path.to_string();
                let dot = if is_path(&written) { "" } else { "./" };
                write!(f, "{dot}{written}")
            }
        }
    }
}
