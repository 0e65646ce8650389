//! Names nobody has used yet, and times as AWS writes them.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `count` random bytes in hexadecimal.
pub(crate) fn hex(count: usize) -> String {
    let mut bytes = vec![0; count];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .expect("Linux has /dev/urandom");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `count` random capital letters and digits, as CloudFormation ends the names it makes up.
pub(crate) fn suffix(count: usize) -> String {
    hex(count)[..count].to_uppercase()
}

/// A random UUID.
pub(crate) fn uuid() -> String {
    let text = hex(16);
    format!(
        "{}-{}-4{}-a{}-{}",
        &text[..8],
        &text[8..12],
        &text[13..16],
        &text[17..20],
        &text[20..]
    )
}

/// `2026-11-20T13:14:15.678Z`.
pub(crate) fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// Seconds since 1970, as the JSON protocols write times.
pub(crate) fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since.as_millis() as f64 / 1000.0
}
