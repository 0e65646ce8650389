//! Durations as Go writes them: `2m30s`, `250ms`, `1.5h`.

/// Nanoseconds of a duration text, or nothing if it is not one.
pub fn parse(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) if text.starts_with('-') => (-1, rest),
        Some(rest) => (1, rest),
        None => (1, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: f64 = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|n| *n > 0)?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_length = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let scale: f64 = match &rest[..unit_length] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number * scale;
        rest = &rest[unit_length..];
    }
    (total < 9.2e18).then_some(sign * total.round() as i64)
}

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

/// Whole seconds, cut off.
pub fn seconds(nanoseconds: i64) -> i64 {
    nanoseconds / SECOND
}

/// Seconds with their fraction, as short as possible: `2`, `0.25`.
pub fn exact_seconds(nanoseconds: i64) -> String {
    (nanoseconds as f64 / SECOND as f64).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_like_go_does() {
        for (text, value) in [
            ("10s", Some(10 * SECOND)),
            ("2m30s", Some(150 * SECOND)),
            ("1h30m", Some(5400 * SECOND)),
            ("250ms", Some(SECOND / 4)),
            ("1.5h", Some(5400 * SECOND)),
            ("0", Some(0)),
            ("30 parsecs", None),
            ("30", None),
            ("s", None),
            ("", None),
        ] {
            assert_eq!(parse(text), value, "{text}");
        }
        assert_eq!(exact_seconds(SECOND / 4), "0.25");
    }
}
