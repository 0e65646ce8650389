//! Image references.

/// It says which image is meant, by a tag or a digest. A colon before the last slash is a registry's port.
pub fn is_pinned(reference: &str) -> bool {
    let name = reference
        .rsplit_once('/')
        .map_or(reference, |(_, name)| name);
    name.contains(':') || reference.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_or_a_digest_pins_an_image() {
        for (reference, pinned) in [
            ("app", false),
            ("team/app", false),
            ("localhost:5000/app", false),
            ("registry.example.com:443/team/app", false),
            ("app:1", true),
            ("localhost:5000/app:latest", true),
            ("registry.example.com/team/app@sha256:0a1b", true),
            ("registry.example.com:443/team/app:1@sha256:0a1b", true),
        ] {
            assert_eq!(is_pinned(reference), pinned, "{reference}");
        }
    }
}
