//! What a plain scalar means, by the rules of the library Copilot prints with (YAML 1.2 with dates and old octals).

/// Whether the plain scalar is a text, so that it needs no quotes to stay one.
pub(crate) fn is_text(text: &str) -> bool {
    let Some(first) = text.bytes().next() else {
        return false;
    };
    match first {
        b'+' | b'-' | b'0'..=b'9' => {
            let digits = text.replace('_', "");
            !(is_infinity(text) || is_timestamp(text) || is_integer(&digits) || is_float(&digits))
        }
        b'.' => !(is_infinity(text) || matches!(text, ".nan" | ".NaN" | ".NAN") || is_float(text)),
        _ => !(is_null(text) || boolean(text).is_some()),
    }
}

/// Whether the plain scalar is a null.
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The truth value of a plain scalar that is one.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Whether the text is a number as JSON writes numbers.
pub(crate) fn is_json_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let whole = text.bytes().take_while(u8::is_ascii_digit).count();
    if whole == 0 || (whole > 1 && text.starts_with('0')) {
        return false;
    }
    let mut rest = &text[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return false;
        }
        rest = &fraction[digits..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        return !exponent.is_empty() && exponent.bytes().all(|byte| byte.is_ascii_digit());
    }
    rest.is_empty()
}

fn is_infinity(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF")
}

fn is_integer(text: &str) -> bool {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefixed = |lower: &str, upper: &str| {
        unsigned
            .strip_prefix(lower)
            .or_else(|| unsigned.strip_prefix(upper))
    };
    let (digits, radix) = if let Some(digits) = prefixed("0x", "0X") {
        (digits, 16)
    } else if let Some(digits) = prefixed("0b", "0B") {
        (digits, 2)
    } else if let Some(digits) = prefixed("0o", "0O") {
        (digits, 8)
    } else if unsigned.len() > 1 && unsigned.starts_with('0') {
        (&unsigned[1..], 8)
    } else {
        (unsigned, 10)
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
    let Ok(value) = u64::from_str_radix(digits, radix) else {
        return false;
    };
    // A sign makes it a signed number of 64 bits.
    !text.starts_with(['+', '-'])
        || value <= i64::MAX as u64
        || (negative && value == i64::MIN.unsigned_abs())
}

fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut mantissa = unsigned;
    if let Some(at) = unsigned.find(['e', 'E']) {
        let exponent = &unsigned[at + 1..];
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if exponent.is_empty() || !exponent.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
        mantissa = &unsigned[..at];
    }
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let dots = mantissa.bytes().filter(|byte| *byte == b'.').count();
    digits > 0
        && dots <= 1
        && digits + dots == mantissa.len()
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// `2012-10-17`, `2012-10-17T04:05:06.7Z`, `2012-10-17 4:5:6`.
fn is_timestamp(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at..])),
        None => (text, None),
    };
    is_date(date) && time.is_none_or(is_time)
}

fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let (4, Some(year)) = (year.len(), number(year, 4)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match number(month, 2) {
        Some(1 | 3 | 5 | 7 | 8 | 10 | 12) => 31,
        Some(4 | 6 | 9 | 11) => 30,
        Some(2) if leap => 29,
        Some(2) => 28,
        _ => return false,
    };
    number(day, 2).is_some_and(|day| (1..=days).contains(&day))
}

/// The separator, then `15:4:5.999`, then after a `T` the zone.
fn is_time(text: &str) -> bool {
    let zoned = !text.starts_with(' ');
    let mut clock = &text[1..];
    if zoned {
        clock = match clock.strip_suffix('Z') {
            Some(clock) => clock,
            None => match clock.rfind(['+', '-']) {
                Some(at) if is_offset(&clock[at + 1..]) => &clock[..at],
                _ => return false,
            },
        };
    }
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, "0"));
    let mut parts = clock.split(':');
    let below = |part: Option<&str>, limit| {
        part.and_then(|part| number(part, 2))
            .is_some_and(|value| value < limit)
    };
    below(parts.next(), 24)
        && below(parts.next(), 60)
        && below(parts.next(), 60)
        && parts.next().is_none()
        && !fraction.is_empty()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_offset(text: &str) -> bool {
    text.split_once(':').is_some_and(|(hours, minutes)| {
        hours.len() == 2
            && minutes.len() == 2
            && number(hours, 2).is_some_and(|hours| hours <= 24)
            && number(minutes, 2).is_some_and(|minutes| minutes < 60)
    })
}

/// One to `width` digits.
fn number(text: &str, width: usize) -> Option<u32> {
    let digits =
        !text.is_empty() && text.len() <= width && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_scalar_is_a_text_unless_it_looks_like_something_else() {
        let texts = [
            "a",
            "yes",
            "on",
            "nul",
            "-",
            "+",
            ".",
            "..",
            "1.2.3",
            "0x",
            "0xg",
            "1e",
            "10.0.0.0/16",
            "2012-13-01",
            "2012-02-30",
            "12-10-17",
            "2012-10-17T1:2",
            "80:80",
            "1,5",
            "-.",
            "1-2",
            ".infinity",
            "0o8x",
            "é",
            "<<",
            "0xffffffffffffffffff",
            "arn:aws:x",
        ];
        for text in texts {
            assert!(is_text(text), "{text} is a text");
        }
        let others = [
            "",
            "~",
            "null",
            "Null",
            "true",
            "FALSE",
            "0",
            "1",
            "-1",
            "+1",
            "1_000",
            "0x1F",
            "-0x1f",
            "0o17",
            "017",
            "08",
            "0b11",
            "1.",
            "1.5",
            ".5",
            "-.5",
            "1e3",
            "1.5E-3",
            ".inf",
            "-.Inf",
            "+.INF",
            ".nan",
            "2012-10-17",
            "2012-1-7",
            "2012-10-17T04:05:06Z",
            "2012-10-17t4:5:6.7+01:00",
            "2012-10-17 4:5:6",
            "18446744073709551616",
            "9223372036854775808",
        ];
        for text in others {
            assert!(!is_text(text), "{text} is not a text");
        }
    }

    #[test]
    fn json_numbers_are_written_as_json_writes_them() {
        for text in ["0", "-0", "10", "1.5", "-1.5e10", "1E+2"] {
            assert!(is_json_number(text), "{text}");
        }
        for text in ["", "-", "01", "+1", ".5", "1.", "1e", "0x1", "1_0", "1.5x"] {
            assert!(!is_json_number(text), "{text}");
        }
    }
}
