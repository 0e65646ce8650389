//! Image references.

use std::fmt;

use super::{PatternError, Segment, Tail, not_empty};

/// Images of a repository: `ghcr.io/acme/app` and `ghcr.io/acme/app:*` (any tag or digest), `ghcr.io/acme/app:v1`,
/// `ghcr.io/acme/*` (repositories directly below), `ghcr.io/acme/**` (any below), `ghcr.io/acme/*@sha256:*` (only by
/// digest), `**` (any image).
///
/// Names are completed as Docker does: `nginx` is `docker.io/library/nginx`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImagePattern {
    /// None is any.
    registry: Option<String>,
    path: Vec<Segment>,
    /// `**` at the end of the path.
    below: bool,
    version: Version,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    Any,
    Tag(Segment),
    Digest(Segment),
}

/// A reference in its parts.
struct Reference<'a> {
    registry: String,
    path: Vec<&'a str>,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// Takes a reference apart without judging its characters.
    fn split(text: &'a str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon after the last slash is a tag, one before it a port.
        let name_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[name_start..].split_once(':') {
            Some((name, tag)) => (&rest[..name_start + name.len()], Some(tag)),
            None => (rest, None),
        };
        let (registry, path) = match name.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => {
                (first.to_ascii_lowercase(), path)
            }
            Some(_) | None => ("docker.io".to_owned(), name),
        };
        let registry = match registry.as_str() {
            "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
            _ => registry,
        };
        let mut path: Vec<&str> = path.split('/').collect();
        if registry == "docker.io" && path.len() == 1 {
            path.insert(0, "library");
        }
        Self {
            registry,
            path,
            tag,
            digest,
        }
    }

    /// A reference of a request: only what the grammar of references allows.
    fn of(text: &'a str) -> Option<Self> {
        let reference = Self::split(text);
        let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        let component = |part: &&str| {
            let inner = |c: char| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-')
            };
            let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            part.chars().all(inner) && part.starts_with(edge) && part.ends_with(edge)
        };
        let tag = |tag: &str| {
            let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            let start = |c: char| c.is_ascii_alphanumeric() || c == '_';
            tag.starts_with(start) && tag.chars().all(inner) && tag.len() <= 128
        };
        let digest = |digest: &str| {
            let hash = digest.strip_prefix("sha256:");
            hash.is_some_and(|hash| {
                hash.len() == 64 && hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
            })
        };
        let proper = reference.registry.chars().all(host)
            && reference.path.iter().all(component)
            && reference.tag.is_none_or(tag)
            && reference.digest.is_none_or(digest);
        proper.then_some(reference)
    }
}

/// Whether a text is an image reference.
pub fn is_reference(text: &str) -> bool {
    Reference::of(text).is_some()
}

impl ImagePattern {
    /// Every version of a repository; none when it is no repository.
    pub fn repository(repository: &str) -> Option<Self> {
        let reference = Reference::of(repository)?;
        Some(Self {
            path: reference.path.into_iter().map(Segment::exact).collect(),
            registry: Some(reference.registry),
            below: false,
            version: Version::Any,
        })
    }

    /// Exactly this reference; none when it is no reference. Without tag and digest it is every version.
    pub fn exact(text: &str) -> Option<Self> {
        let reference = Reference::of(text)?;
        let version = match (reference.digest, reference.tag) {
            (Some(digest), _) => Version::Digest(Segment::exact(digest)),
            (None, Some(tag)) => Version::Tag(Segment::exact(tag)),
            (None, None) => Version::Any,
        };
        Some(Self {
            path: reference.path.into_iter().map(Segment::exact).collect(),
            registry: Some(reference.registry),
            below: false,
            version,
        })
    }

    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        not_empty(text)?;
        if text == "**" {
            return Ok(Self {
                registry: None,
                path: Vec::new(),
                below: true,
                version: Version::Any,
            });
        }
        let wrong = |problem: &str, help: &str| PatternError::new(text, problem, help);
        let reference = Reference::split(text);
        if text.starts_with('*') {
            return Err(wrong(
                "a pattern begins with a name",
                "write `**` for any image",
            ));
        }
        if reference.registry.contains('*') {
            return Err(wrong(
                "a registry has no wildcard",
                "name the registry: `ghcr.io/acme/*`",
            ));
        }
        let mut path = reference.path;
        let below = path.last() == Some(&"**");
        if below {
            path.pop();
        }
        let last = path.len().saturating_sub(1);
        let mut segments = Vec::new();
        for (index, part) in path.into_iter().enumerate() {
            let segment = Segment::parse(text, part)?;
            if segment.tail == Tail::Any && (index < last || below) {
                let help = "write `ghcr.io/acme/*` or `ghcr.io/acme/**`";
                return Err(wrong("a wildcard stands only at the end", help));
            }
            if segment.text.is_empty() && segment.tail == Tail::Exact {
                return Err(wrong(
                    "there is an empty part in it",
                    "take the extra slash out",
                ));
            }
            if segment.text.chars().any(|c| c.is_uppercase()) {
                return Err(wrong(
                    "names of images are lower-case",
                    "write it in lower case",
                ));
            }
            segments.push(segment);
        }
        let version = match (reference.digest, reference.tag) {
            (Some(_), Some(_)) => {
                return Err(wrong("a tag and a digest at once", "write one of them"));
            }
            (Some(digest), None) if digest.starts_with("sha256:") => {
                Version::Digest(Segment::parse(text, digest)?)
            }
            (Some(_), None) => {
                return Err(wrong(
                    "a digest begins with `sha256:`",
                    "write `@sha256:*` for any",
                ));
            }
            (None, Some("*") | None) => Version::Any,
            (None, Some("")) => return Err(wrong("the tag is empty", "write `:*` for any tag")),
            (None, Some(tag)) => Version::Tag(Segment::parse(text, tag)?),
        };
        Ok(Self {
            registry: Some(reference.registry),
            path: segments,
            below,
            version,
        })
    }

    /// Whether it covers a reference. One without tag and digest has the tag `latest`.
    pub fn covers(&self, text: &str) -> bool {
        let Some(reference) = Reference::of(text) else {
            return false;
        };
        let registry = self
            .registry
            .as_ref()
            .is_none_or(|registry| *registry == reference.registry);
        let length = reference.path.len();
        let fits = match self.below {
            true => length > self.path.len(),
            false => length == self.path.len(),
        };
        let path = || {
            let pairs = self.path.iter().zip(&reference.path);
            pairs
                .into_iter()
                .all(|(pattern, part)| pattern.covers(part))
        };
        let version = match &self.version {
            Version::Any => true,
            Version::Digest(digest) => reference.digest.is_some_and(|given| digest.covers(given)),
            // With a digest beside it the tag says nothing about what is pulled.
            Version::Tag(tag) => {
                reference.digest.is_none() && tag.covers(reference.tag.unwrap_or("latest"))
            }
        };
        registry && fits && path() && version
    }
}

impl fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.path.iter().map(ToString::to_string).collect();
        if self.below {
            parts.push("**".to_owned());
        }
        let path = parts.join("/");
        match self.registry.as_deref() {
            None => f.write_str(&path)?,
            Some("docker.io") => f.write_str(path.strip_prefix("library/").unwrap_or(&path))?,
            Some(registry) => write!(f, "{registry}/{path}")?,
        }
        match &self.version {
            Version::Any => Ok(()),
            Version::Tag(tag) => write!(f, ":{tag}"),
            Version::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}
