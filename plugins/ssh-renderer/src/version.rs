//! Gem versions, as far as `minimum_version` needs them.

use std::cmp::Ordering;

/// The Kamal whose configuration is understood.
pub const KAMAL: &str = "2.12.0";

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    /// Letters come before numbers: `2.0.alpha` is older than `2.0`.
    Letters(String),
    Number(u64),
}

/// Splits at dots and between letters and digits; trailing zeros do not count. `None` when it is no version.
fn segments(version: &str) -> Option<Vec<Segment>> {
    let version = version.trim().replace('-', ".pre.");
    let good = version.is_empty() || version.starts_with(|c: char| c.is_ascii_digit());
    if !good
        || version
            .split('.')
            .any(|part| !part.bytes().all(|b| b.is_ascii_alphanumeric()))
    {
        return None;
    }
    let mut segments = Vec::new();
    for part in version.split('.') {
        let mut rest = part;
        while let Some(first) = rest.chars().next() {
            let number = first.is_ascii_digit();
            let end = rest
                .find(|c: char| c.is_ascii_digit() != number)
                .unwrap_or(rest.len());
            let (segment, after) = rest.split_at(end);
            segments.push(if number {
                Segment::Number(segment.parse().unwrap_or(u64::MAX))
            } else {
                Segment::Letters(segment.to_owned())
            });
            rest = after;
        }
    }
    // Zeros before letters do not count either: `1.0.alpha` and `1.alpha` are the same.
    if let Some(letters) = segments
        .iter()
        .position(|s| matches!(s, Segment::Letters(_)))
    {
        let zeros = segments[..letters]
            .iter()
            .rev()
            .take_while(|s| **s == Segment::Number(0))
            .count();
        segments.drain(letters - zeros..letters);
    }
    while segments.last() == Some(&Segment::Number(0)) {
        segments.pop();
    }
    Some(segments)
}

/// Compares two versions; `None` when one of them is none.
pub fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (segments(a)?, segments(b)?);
    let zero = Segment::Number(0);
    let length = a.len().max(b.len());
    let pairs = (0..length).map(|i| a.get(i).unwrap_or(&zero).cmp(b.get(i).unwrap_or(&zero)));
    Some(pairs.fold(Ordering::Equal, Ordering::then))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_gems_do() {
        for (a, b, expected) in [
            ("2.12.0", "2.12", Some(Ordering::Equal)),
            ("2.9.1", "2.12.0", Some(Ordering::Less)),
            ("2.13.0.alpha", "2.12.0", Some(Ordering::Greater)),
            ("2.12.0.rc1", "2.12.0", Some(Ordering::Less)),
            ("2.12.0-beta", "2.12.0", Some(Ordering::Less)),
            ("1.0.alpha", "1.alpha", Some(Ordering::Equal)),
            ("v2", "2", None),
        ] {
            assert_eq!(compare(a, b), expected, "{a} {b}");
        }
    }
}
