//! Names without structure: containers, networks, volumes, hooks; hosts; options of `docker run`.

use std::fmt;

use super::{PatternError, Segment, Tail, not_empty};

/// A name of Docker's kind (`[a-zA-Z0-9][a-zA-Z0-9_.-]*`): `app-*`, `kamal-proxy`, `*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamePattern(Segment);

impl NamePattern {
    /// Exactly this name.
    pub fn exact(name: impl Into<String>) -> Self {
        Self(Segment::exact(name))
    }

    /// All longer names that begin with this.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self(Segment::prefix(prefix))
    }

    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        not_empty(text)?;
        let segment = Segment::parse(text, text)?;
        if !segment.text.is_empty() && !is_name(&segment.text) {
            let help = "names are of letters, digits, `_`, `.` and `-`";
            return Err(PatternError::new(text, "this can't be a name", help));
        }
        Ok(Self(segment))
    }

    /// Whether it covers a name.
    pub fn covers(&self, name: &str) -> bool {
        is_name(name) && self.0.covers(name)
    }

    /// Whether it covers more than one name.
    pub fn is_wild(&self) -> bool {
        self.0.tail == Tail::Any
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Docker's rule for names. ASCII only, so that no look-alike passes.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain)
}

/// A host: `web-1.example.com`, `10.0.0.*`, `web-*` (no dots after it), `**` (any). Case does not matter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPattern(Option<Segment>);

impl HostPattern {
    /// Exactly this host, as the manifest names it: `root@web-1:2222` with its user, too.
    pub fn exact(host: &str) -> Self {
        Self(Some(Segment::exact(lowered(host))))
    }

    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        not_empty(text)?;
        if text == "**" {
            return Ok(Self(None));
        }
        let segment = Segment::parse(text, text)?;
        if !segment.text.chars().all(in_host) {
            let help = "name the host as the manifest does, without user and port";
            return Err(PatternError::new(text, "this can't be a host", help));
        }
        Ok(Self(Some(Segment {
            text: segment.text.to_ascii_lowercase(),
            tail: segment.tail,
        })))
    }

    /// Whether it covers a host.
    pub fn covers(&self, host: &str) -> bool {
        let host = lowered(host);
        // Another user is only covered where the manifest names it.
        let without_user = !host.is_empty() && host.chars().all(in_host);
        match &self.0 {
            Some(segment) if segment.tail == Tail::Exact => {
                !host.is_empty() && segment.text == host
            }
            _ if !without_user => false,
            None => true,
            Some(segment) => {
                // `web-*` must not cover `web-1.attacker.example`.
                let within = host
                    .strip_prefix(&segment.text)
                    .is_some_and(|rest| !rest.contains(['.', ':']));
                segment.covers(&host) && within
            }
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(segment) => segment.fmt(f),
            None => f.write_str("**"),
        }
    }
}

/// A host's name is the same in small letters; a user's is not.
fn lowered(host: &str) -> String {
    match host.rsplit_once('@') {
        Some((user, host)) => format!("{user}@{}", host.to_ascii_lowercase()),
        None => host.to_ascii_lowercase(),
    }
}

/// Names, IPv4 and IPv6 addresses.
fn in_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '[' | ']' | '%')
}

/// An option of `docker run`: `privileged`, `cap-add=NET_ADMIN`, `device=/dev/tty*`, `sysctl=*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OptionPattern {
    name: String,
    value: Segment,
}

impl OptionPattern {
    /// Exactly this option with this value.
    pub fn exact(name: &str, value: &str) -> Self {
        Self {
            name: dashed(name),
            value: Segment::exact(value),
        }
    }

    /// Reads a pattern. A name alone is a flag: its value is `true`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        not_empty(text)?;
        let (name, value) = text.split_once('=').unwrap_or((text, "true"));
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let name = dashed(name);
        if name.is_empty() || name.starts_with('-') || !name.chars().all(letter) {
            let help = "write NAME or NAME=VALUE, as in `docker run` without the dashes before it";
            return Err(PatternError::new(text, "this can't be an option", help));
        }
        Ok(Self {
            name,
            value: Segment::parse(text, value)?,
        })
    }

    /// Whether it covers an option.
    pub fn covers(&self, name: &str, value: &str) -> bool {
        dashed(name) == self.name && self.value.covers(value)
    }
}

impl fmt::Display for OptionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            value if *value == Segment::exact("true") => f.write_str(&self.name),
            value => write!(f, "{}={value}", self.name),
        }
    }
}

fn dashed(name: &str) -> String {
    name.replace('_', "-")
}
