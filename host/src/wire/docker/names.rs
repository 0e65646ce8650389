//! Names before they become part of a request's path.
//!
//! A name with `..`, `?` or `#` in it would turn one call into another: `../images/x` after `/containers/` is an image.

use crate::wire::WireError;

/// A container, network or exec: a name as Docker allows it, or an id.
pub(super) fn plain<'a>(kind: &str, name: &'a str) -> Result<&'a str, WireError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts && name.chars().all(allowed) {
        Ok(name)
    } else {
        Err(invalid(
            kind,
            name,
            "letters, digits, `_`, `.` and `-` make a name, and the first is a letter or digit",
        ))
    }
}

/// An image: `[registry/]repository[:tag][@digest]`, or an id.
pub(crate) fn image(reference: &str) -> Result<&str, WireError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-/:@".contains(c);
    let parts = || reference.split('/');
    if reference.chars().all(allowed) && !parts().any(|part| matches!(part, "" | "." | "..")) {
        Ok(reference)
    } else {
        Err(invalid(
            "image",
            reference,
            "`[registry/]repository[:tag][@digest]` is expected",
        ))
    }
}

/// `repository` and `tag` of a reference without a digest; the tag is `latest` when there is none.
pub(super) fn repository_and_tag(reference: &str) -> Result<(&str, &str), WireError> {
    let reference = image(reference)?;
    if reference.contains('@') {
        return Err(invalid(
            "image",
            reference,
            "a tag is expected, not a digest",
        ));
    }
    Ok(match reference.rsplit_once(':') {
        // A colon before a slash belongs to the registry's port.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (reference, "latest"),
    })
}

fn invalid(kind: &str, name: &str, why: &str) -> WireError {
    WireError::Invalid {
        what: format!("{kind} `{}`", name.escape_debug()),
        why: why.into(),
    }
}

/// `?key=value&…`, with everything escaped that isn't a plain character.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let mut query = String::new();
    for (key, value) in pairs {
        query.push(if query.is_empty() { '?' } else { '&' });
        query += &format!("{key}=");
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    query.push(byte.into())
                }
                _ => query += &format!("%{byte:02X}"),
            }
        }
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_reach_something_else_is_refused() {
        for name in ["web", "web-1_a.b", "0a1b"] {
            assert!(plain("container", name).is_ok(), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "../images/x",
            "a/b",
            "a?force=1",
            "a#b",
            "a%2fb",
            "-a",
            "a b",
            "é",
            "a\n",
        ] {
            assert!(plain("container", name).is_err(), "{name}");
        }
    }

    #[test]
    fn image_references_are_kept_inside_their_path() {
        for name in ["a", "r:5000/a/b:1", "a@sha256:0f", "sha256:0f", "a/b.c_d-e"] {
            assert!(image(name).is_ok(), "{name}");
        }
        for name in [
            "", "../a", "a/../b", "a//b", "/a", "a/", "a?x", "a b", "a%2e", "./a",
        ] {
            assert!(image(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_reference_is_split_at_its_tag() {
        for (reference, expected) in [
            ("a", ("a", "latest")),
            ("a:1", ("a", "1")),
            ("r:5000/a", ("r:5000/a", "latest")),
            ("r:5000/a:1", ("r:5000/a", "1")),
        ] {
            assert_eq!(repository_and_tag(reference).unwrap(), expected);
        }
        assert!(repository_and_tag("a@sha256:00").is_err());
    }

    #[test]
    fn queries_are_escaped() {
        assert_eq!(query(&[]), "");
        assert_eq!(
            query(&[("a", "x y&z=é"), ("b", "r:1/a")]),
            "?a=x%20y%26z%3D%C3%A9&b=r%3A1%2Fa"
        );
    }
}
