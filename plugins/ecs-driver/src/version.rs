//! Which of two template versions is newer.

/// A version as `Metadata.Version` of a template has it: `v1.34.0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    numbers: [u64; 3],
    /// A version before the release comes earlier than the release.
    released: bool,
    before: String,
}

impl Version {
    /// Reads one; none when it is no version.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let text = text.split('+').next().unwrap_or(text);
        let (numbers, before) = text.split_once('-').unwrap_or((text, ""));
        let mut found = [0; 3];
        let mut parts = numbers.split('.');
        for number in &mut found {
            *number = parts.next()?.parse().ok()?;
        }
        parts.next().is_none().then(|| Self {
            numbers: found,
            released: before.is_empty(),
            before: before.to_owned(),
        })
    }
}

/// Why a deploy would go back to an older version of the template.
///
/// A template without a version is older than any; versions that can't be read are not compared.
pub fn downgrade(workload: &str, deployed: Option<&str>, desired: Option<&str>) -> Option<String> {
    let (deployed, desired) = (deployed?, desired?);
    let newer = Version::parse(deployed)? > Version::parse(desired)?;
    newer.then(|| {
        format!(
            "cannot downgrade workload \"{workload}\" (currently in version {deployed}) to version {desired}\nhint: use a newer plimsoll, or pass --allow-downgrade if you know that nothing it made is needed"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newer_deployed_version_is_a_downgrade() {
        for (deployed, desired, is) in [
            (Some("v1.34.0"), Some("v1.33.2"), true),
            (Some("v1.34.0"), Some("v1.34.0-rc1"), true),
            (Some("v1.34.0-5-gabc"), Some("v1.34.0"), false),
            (Some("v1.33.2"), Some("v1.33.10"), false),
            (Some("v2.0.0"), Some("v1.99.99"), true),
            (None, Some("v1.0.0"), false),
            (Some("bootstrap"), Some("v1.0.0"), false),
            (Some("v1.0"), Some("v0.1.0"), false),
        ] {
            assert_eq!(
                downgrade("api", deployed, desired).is_some(),
                is,
                "{deployed:?} to {desired:?}"
            );
        }
    }
}
