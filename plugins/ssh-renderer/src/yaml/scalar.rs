//! What a plain scalar means to Psych, the YAML reader of Ruby 3.1 (YAML 1.1): `yes` is true, `0755` is 493,
//! `22:22` is 80520, `1e3` is a string. Measured, not derived: the order of the tests below is the order in which
//! Psych asks.

use super::node::Kind;

/// Resolves a plain scalar.
pub fn resolve(text: &str) -> Kind {
    let string = || Kind::Text(text.to_owned());
    if text.is_empty() {
        return Kind::Null;
    }
    if is_word(text) {
        return match text.to_ascii_lowercase().as_str() {
            "~" | "null" => Kind::Null,
            "yes" | "true" | "on" => Kind::Bool(true),
            "no" | "false" | "off" => Kind::Bool(false),
            _ => string(),
        };
    }
    if let Some(time) = time(text) {
        return Kind::Time(time);
    }
    if let Some(date) = date(text) {
        return Kind::Date(date);
    }
    match text.to_ascii_lowercase().as_str() {
        ".inf" | "+.inf" => return Kind::Float(f64::INFINITY),
        "-.inf" => return Kind::Float(f64::NEG_INFINITY),
        ".nan" => return Kind::Float(f64::NAN),
        _ => {}
    }
    if let Some(name) = text.strip_prefix(':').filter(|name| !name.is_empty()) {
        let unquoted = ['"', '\'']
            .iter()
            .find_map(|q| name.strip_prefix(*q)?.strip_suffix(*q));
        return Kind::Symbol(unquoted.unwrap_or(name).to_owned());
    }
    sexagesimal(text)
        .or_else(|| float(text))
        .or_else(|| integer(text))
        .unwrap_or_else(string)
}

/// Psych's quick test for "this can only be a word".
fn is_word(text: &str) -> bool {
    let class =
        |c: char| c.is_alphabetic() || c.is_whitespace() || "_!@#$%^&*(){}<>|/\\~;=".contains(c);
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return false;
    };
    if class(first) || text.contains('\n') {
        return true;
    }
    !first.is_ascii_digit() && !".:-".contains(first) && chars.next().is_some_and(class)
}

fn digits(text: &str, least: usize, most: usize) -> Option<u32> {
    let good = (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    good.then(|| text.parse().ok()).flatten()
}

/// `YYYY-M-D` that exists, written out.
fn date(text: &str) -> Option<String> {
    let mut parts = text.splitn(3, '-');
    let year = digits(parts.next()?, 4, 4)?;
    let (month, day) = (digits(parts.next()?, 1, 2)?, digits(parts.next()?, 1, 2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    (1..=days)
        .contains(&day)
        .then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// A date, `T` or blanks, a time, maybe a fraction and a zone: written as Ruby prints it, without the fraction.
fn time(text: &str) -> Option<String> {
    let cut = text.find(['T', 't', ' ', '\t'])?;
    let day = date(&text[..cut])?;
    let rest = text[cut..].trim_start_matches([' ', '\t']);
    let rest = if rest.len() == text.len() - cut {
        rest.strip_prefix(['T', 't'])?
    } else {
        rest
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != ':')
        .unwrap_or(rest.len());
    let (clock, rest) = rest.split_at(end);
    let mut parts = clock.splitn(3, ':');
    let hour = digits(parts.next()?, 1, 2)?;
    let (minute, second) = (digits(parts.next()?, 2, 2)?, digits(parts.next()?, 2, 2)?);
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let zone = match rest.trim_start() {
        "" => "+0000".to_owned(),
        "Z" => "UTC".to_owned(),
        zone => {
            let sign = zone.chars().next().filter(|c| ['+', '-'].contains(c))?;
            let offset = &zone[1..];
            digits(&offset.replace(':', ""), 1, 4)?;
            let (hours, minutes) = offset
                .split_once(':')
                .unwrap_or_else(|| offset.split_at(offset.len().min(2)));
            format!("{sign}{hours:0>2}{minutes:0<2}")
        }
    };
    let good = hour < 24 && minute < 60 && second < 60;
    good.then(|| format!("{day} {hour:02}:{minute:02}:{second:02} {zone}"))
}

/// `[-+]D:D` and `[-+]D:D:D` in base 60. The first of two counts as hours: Psych's own arithmetic.
fn sexagesimal(text: &str) -> Option<Kind> {
    let parts: Vec<&str> = text.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let head = parts[0].trim_start_matches(['-', '+']);
    let plain = parts[0].len() - head.len() <= 1
        && head.starts_with(|c: char| c.is_ascii_digit())
        && head.chars().all(|c| c.is_ascii_digit() || c == '_');
    let sixty = |part: &str| digits(part, 1, 2).is_some_and(|n| n < 60);
    let whole = parts[0].replace('_', "");
    let tail = parts[parts.len() - 1];
    if plain && parts[1..].iter().all(|part| sixty(part)) {
        let mut sum = 0i128;
        for (part, unit) in std::iter::once(whole.as_str())
            .chain(parts[1..].iter().copied())
            .zip([3600, 60, 1])
        {
            sum = sum.checked_add(part.parse::<i128>().ok()?.checked_mul(unit)?)?;
        }
        return Some(Kind::Int(sum));
    }
    let (seconds, fraction) = tail.split_once('.')?;
    let middle = &parts[1..parts.len() - 1];
    let fine = fraction.chars().all(|c| c.is_ascii_digit() || c == '_');
    if !(plain && fine && sixty(seconds) && middle.iter().all(|part| sixty(part))) {
        return None;
    }
    let number = |part: &str| {
        part.replace('_', "")
            .trim_end_matches('.')
            .parse::<f64>()
            .ok()
    };
    let all = std::iter::once(parts[0]).chain(parts[1..].iter().copied());
    let sum = all
        .zip([3600.0, 60.0, 1.0])
        .map(|(part, unit)| Some(number(part)? * unit))
        .sum::<Option<f64>>()?;
    Some(Kind::Float(sum))
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

/// A decimal point, and an exponent only with a sign.
fn float(text: &str) -> Option<Kind> {
    let (whole, fraction) = unsigned(text).split_once('.')?;
    let whole_good = whole.is_empty()
        || whole.starts_with(|c: char| c.is_ascii_digit()) && whole.chars().all(is_grouped_digit);
    let end = fraction
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(fraction.len());
    let (decimals, exponent) = fraction.split_at(end);
    let exponent_good = exponent.is_empty()
        || exponent
            .strip_prefix(['e', 'E'])
            .and_then(|e| e.strip_prefix(['-', '+']))
            .is_some_and(|e| !e.is_empty() && e.bytes().all(|b| b.is_ascii_digit()));
    let some_digit = !whole.is_empty() || !decimals.is_empty();
    if !(whole_good && exponent_good && some_digit) {
        return None;
    }
    text.replace([',', '_'], "").parse().ok().map(Kind::Float)
}

fn is_grouped_digit(c: char) -> bool {
    c.is_ascii_digit() || c == '_' || c == ','
}

fn integer(text: &str) -> Option<Kind> {
    let body = unsigned(text);
    let (radix, digits) = match body.get(..2) {
        Some("0x" | "0X") => (16, &body[2..]),
        Some("0b" | "0B") => (2, &body[2..]),
        _ if body.starts_with('0') && body.len() > 1 => (8, &body[1..]),
        _ => (10, body),
    };
    let grouping = |c: char| c == '_' || c == ',';
    let good = match radix {
        // Groups are single: `1_000` is a number, `1__0` is not.
        10 => {
            digits == "0"
                || digits.starts_with(|c: char| ('1'..='9').contains(&c))
                    && digits
                        .split(grouping)
                        .all(|g| !g.is_empty() && g.bytes().all(|b| b.is_ascii_digit()))
        }
        _ => {
            digits.chars().all(|c| c.is_digit(radix) || grouping(c))
                && digits.chars().any(|c| c.is_digit(radix))
        }
    };
    if !good {
        return None;
    }
    let number = i128::from_str_radix(&digits.replace(grouping, ""), radix).ok()?;
    Some(Kind::Int(if text.starts_with('-') {
        -number
    } else {
        number
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_mean_what_psych_makes_of_them() {
        let text = |s: &str| Kind::Text(s.to_owned());
        for (written, meant) in [
            ("Yes", Kind::Bool(true)),
            ("OFF", Kind::Bool(false)),
            ("y", text("y")),
            ("nULL", Kind::Null),
            ("0755", Kind::Int(493)),
            ("0o17", text("0o17")),
            ("-0x1f", Kind::Int(-31)),
            ("08", text("08")),
            ("1__0", text("1__0")),
            ("1,000_000", Kind::Int(1_000_000)),
            ("22:22", Kind::Int(80520)),
            ("12:30:45", Kind::Int(45045)),
            ("1:60", text("1:60")),
            ("3306:3306", text("3306:3306")),
            ("1:30.5", Kind::Float(3600.0 + 30.5 * 60.0)),
            ("1e3", text("1e3")),
            ("1.5e+3", Kind::Float(1500.0)),
            (".", text(".")),
            ("-.", text("-.")),
            ("5.", Kind::Float(5.0)),
            ("2024-2-30", text("2024-2-30")),
            ("2024-2-29", Kind::Date("2024-02-29".into())),
            (
                "2024-01-01t10:00:00Z",
                Kind::Time("2024-01-01 10:00:00 UTC".into()),
            ),
            (
                "2024-01-01 10:00:00.5 +2",
                Kind::Time("2024-01-01 10:00:00 +0200".into()),
            ),
            (":quiet", Kind::Symbol("quiet".into())),
            (":'a b'", Kind::Symbol("a b".into())),
            (":", text(":")),
            ("-foo", text("-foo")),
            ("é", text("é")),
            ("-é.", text("-é.")),
        ] {
            assert_eq!(resolve(written), meant, "{written}");
        }
    }
}
