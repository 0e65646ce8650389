//! Which parts of a file are assignments: dotenv's line expression, matched by hand.

/// One match.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Assignment<'a> {
    /// Byte offset of the name.
    pub(super) at: usize,
    pub(super) export: bool,
    pub(super) name: &'a str,
    /// As written, with quotes; none when nothing stands behind the separator, or there is no separator.
    pub(super) value: Option<&'a str>,
}

/// All assignments of a text with Unix line ends. What matches nowhere is skipped, as dotenv does.
pub(super) fn assignments(text: &str) -> Vec<Assignment<'_>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = line_start(text, from) {
        match assignment(text, start) {
            Some((assignment, end)) => {
                found.push(assignment);
                from = end;
            }
            None => from = start + 1,
        }
    }
    found
}

/// The first start of a line at or after a byte.
fn line_start(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    (from..bytes.len()).find(|&at| at == 0 || bytes[at - 1] == b'\n')
}

fn assignment(text: &str, start: usize) -> Option<(Assignment<'_>, usize)> {
    let first = skip_space(text, start);
    let after_word = skip_name(text, first);
    let exported = skip_space(text, after_word);
    if &text[first..after_word] == "export" && exported > after_word {
        let name_end = skip_name(text, exported);
        if let Some((value, end)) = rest(text, exported, name_end) {
            return Some((
                Assignment {
                    at: exported,
                    export: true,
                    name: &text[exported..name_end],
                    value,
                },
                end,
            ));
        }
    }
    let (value, end) = rest(text, first, after_word)?;
    Some((
        Assignment {
            at: first,
            export: false,
            name: &text[first..after_word],
            value,
        },
        end,
    ))
}

/// What follows a name: separator and value, both optional, then the end of the line.
fn rest(text: &str, name: usize, name_end: usize) -> Option<(Option<&str>, usize)> {
    if name_end == name {
        return None;
    }
    if let Some(value) = separator(text, name_end) {
        for end in value_ends(text, value) {
            if let Some(line_end) = line_end(text, end) {
                return Some((Some(&text[value..end]), line_end));
            }
        }
        if let Some(end) = line_end(text, value) {
            return Some((None, end));
        }
    }
    Some((None, line_end(text, name_end)?))
}

/// `=` with space before it, or `:` with one space behind it; answers where a value would begin.
fn separator(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let equals = skip_space(text, at);
    if bytes.get(equals) == Some(&b'=') {
        return Some(equals + 1);
    }
    let colon = bytes.get(at) == Some(&b':') && bytes.get(at + 1).is_some_and(is_space);
    colon.then_some(at + 2)
}

/// Where a value could end, in the order of preference.
fn value_ends(text: &str, start: usize) -> Vec<usize> {
    let bytes = text.as_bytes();
    let opening = skip_space(text, start);
    let mut ends = Vec::new();
    if let Some(quote @ (b'\'' | b'"')) = bytes.get(opening) {
        // The first quote that is not escaped; failing that an escaped one, the last first.
        let mut escaped = Vec::new();
        for at in opening + 1..bytes.len() {
            if bytes[at] != *quote {
                continue;
            }
            if at > opening + 1 && bytes[at - 1] == b'\\' {
                escaped.push(at + 1);
            } else {
                ends.push(at + 1);
                break;
            }
        }
        ends.extend(escaped.into_iter().rev());
    }
    let unquoted = bytes[start..]
        .iter()
        .position(|b| matches!(b, b'#' | b'\n'));
    let unquoted = unquoted.map_or(bytes.len(), |length| start + length);
    if unquoted > start {
        ends.push(unquoted);
    }
    ends
}

/// Space, which may span lines, then a comment, up to the end of a line; answers where that is.
fn line_end(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let end = skip_space(text, at);
    match bytes.get(end) {
        None => Some(end),
        Some(b'#') => {
            let length = bytes[end..].iter().position(|byte| *byte == b'\n');
            Some(length.map_or(bytes.len(), |length| end + length))
        }
        // Not the end; then the last line break among the space is.
        Some(_) => (at..end).rev().find(|&at| bytes[at] == b'\n'),
    }
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn skip_space(text: &str, at: usize) -> usize {
    let space = text.as_bytes()[at..]
        .iter()
        .take_while(|byte| is_space(byte));
    at + space.count()
}

fn skip_name(text: &str, at: usize) -> usize {
    let name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    at + text.as_bytes()[at..].iter().take_while(name).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_dotenvs_expression_does() {
        let none: &[(bool, &str, Option<&str>)] = &[];
        for (text, expected) in [
            ("", none),
            ("# c\n\n", none),
            ("A-B=x", none),
            ("export A-B=x", none),
            (
                "A=1\nB = 2",
                &[(false, "A", Some("1")), (false, "B", Some(" 2"))],
            ),
            ("A", &[(false, "A", None)]),
            ("export", &[(false, "export", None)]),
            ("export A", &[(true, "A", None)]),
            ("export A=1", &[(true, "A", Some("1"))]),
            ("A:x", none),
            ("A: x", &[(false, "A", Some("x"))]),
            ("A:  x", &[(false, "A", Some(" x"))]),
            ("A=\nB=x", &[(false, "A", None), (false, "B", Some("x"))]),
            ("A=\n'x'", &[(false, "A", Some("\n'x'"))]),
            (
                "A='x' # c\nB=2",
                &[(false, "A", Some("'x'")), (false, "B", Some("2"))],
            ),
            ("A=\"x\"y", &[(false, "A", Some("\"x\"y"))]),
            ("A='a\\'b'", &[(false, "A", Some("'a\\'b'"))]),
            ("A='a\\'", &[(false, "A", Some("'a\\'"))]),
            ("A=#c", &[(false, "A", None)]),
            ("A\n# c\nB", &[(false, "A", None), (false, "B", None)]),
            ("é=1\nA=é", &[(false, "A", Some("é"))]),
        ] {
            let found: Vec<_> = assignments(text)
                .into_iter()
                .map(|found| (found.export, found.name, found.value))
                .collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
