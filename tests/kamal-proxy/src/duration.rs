//! Durations as Go reads and writes them: `30s`, `1m30s`, `1.5h`, `100ms`.

use std::time::Duration;

/// Units from long to short, in nanoseconds; `ms` stands before `m` so that it is tried first.
const UNITS: [(&str, f64); 7] = [
    ("h", 3.6e12),
    ("ms", 1e6),
    ("m", 6e10),
    ("us", 1e3),
    ("µs", 1e3),
    ("ns", 1.0),
    ("s", 1e9),
];

/// Reads a duration; `None` for what Go refuses, and for a negative one.
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut nanoseconds = 0.0;
    while !rest.is_empty() || nanoseconds == 0.0 && rest.len() == text.len() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let (unit, scale) = UNITS
            .into_iter()
            .find(|(unit, _)| rest[end..].starts_with(unit))?;
        nanoseconds += number * scale;
        rest = &rest[end + unit.len()..];
    }
    (nanoseconds < 9.2e18).then(|| Duration::from_nanos(nanoseconds as u64))
}

/// Writes a duration as Go prints it.
pub fn format(duration: Duration) -> String {
    let fraction = |value: f64| format!("{value}");
    if duration.is_zero() {
        return "0s".to_owned();
    }
    if duration < Duration::from_secs(1) {
        let nanoseconds = duration.as_nanos() as f64;
        return match duration.as_nanos() {
            ..1_000 => format!("{nanoseconds}ns"),
            1_000..1_000_000 => format!("{}µs", fraction(nanoseconds / 1e3)),
            1_000_000.. => format!("{}ms", fraction(nanoseconds / 1e6)),
        };
    }
    let (minutes, seconds) = (duration.as_secs() / 60, duration.as_secs_f64() % 60.0);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{}s", fraction(seconds)),
        (0, minutes) => format!("{minutes}m{}s", fraction(seconds)),
        (hours, minutes) => format!("{hours}h{minutes}m{}s", fraction(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_reads_them() {
        let table = [
            ("30s", Some(30_000)),
            ("1m30s", Some(90_000)),
            ("1.5h", Some(5_400_000)),
            ("100ms", Some(100)),
            ("2h45m", Some(9_900_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("+5s", Some(5_000)),
            ("30", None),
            ("", None),
            ("s", None),
            ("-5s", None),
            ("5 s", None),
            ("\"30s\"", None),
            ("1d", None),
        ];
        for (text, milliseconds) in table {
            assert_eq!(
                parse(text),
                milliseconds.map(Duration::from_millis),
                "{text:?}"
            );
        }
    }

    #[test]
    fn durations_print_as_go_prints_them() {
        for text in [
            "0s", "30s", "1m0s", "1m30s", "1h0m0s", "1.5s", "100ms", "1.5ms", "20µs", "7ns",
        ] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
    }
}
