//! Finds the tags of a template, in ERB's trim mode `-`.

use super::ruby::Fault;

/// What is done with a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `<% … %>`
    Code,
    /// `<%= … %>`
    Output,
    /// `<%# … %>`
    Comment,
    /// `<%%`, which stands for `<%`.
    Literal,
}

/// One tag. Offsets are in bytes of the template.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub(super) kind: Kind,
    /// With the indentation that `<%-` takes away.
    pub(super) start: usize,
    /// With the line break that `-%>` takes away.
    pub(super) end: usize,
    pub(super) code: &'a str,
    pub(super) code_start: usize,
}

/// The first tag at or after a byte.
pub(super) fn next(text: &str, from: usize) -> Result<Option<Tag<'_>>, Fault> {
    let Some(found) = text[from..].find("<%") else {
        return Ok(None);
    };
    let opening = from + found;
    let inside = &text[opening + 2..];
    let (kind, sign) = match inside.bytes().next() {
        Some(b'%') => {
            return Ok(Some(Tag {
                kind: Kind::Literal,
                start: opening,
                end: opening + 3,
                code: "",
                code_start: opening + 3,
            }));
        }
        Some(b'=') => (Kind::Output, 1),
        Some(b'#') => (Kind::Comment, 1),
        Some(b'-') => (Kind::Code, 1),
        Some(_) | None => (Kind::Code, 0),
    };
    let trims_before = inside.starts_with('-');
    let code_start = opening + 2 + sign;
    let Some(length) = text[code_start..].find("%>") else {
        let fault = Fault::fails(opening, 2 + sign, "this tag has no end");
        return Err(fault.help("close it with `%>`"));
    };
    let closing = code_start + length;
    if text[..closing].ends_with('%') {
        let fault = Fault::unsupported(closing - 1, 3, "`%%>` inside a tag");
        return Err(fault);
    }
    let code = &text[code_start..closing];
    let mut end = closing + 2;
    let code = match code.strip_suffix('-') {
        Some(code) => {
            end += usize::from(text[end..].starts_with('\n'));
            code
        }
        None => code,
    };
    let indentation =
        text[from..opening].len() - text[from..opening].trim_end_matches([' ', '\t']).len();
    let at_line_start =
        text[..opening - indentation].is_empty() || text[..opening - indentation].ends_with('\n');
    let start = if trims_before && at_line_start {
        opening - indentation
    } else {
        opening
    };
    Ok(Some(Tag {
        kind,
        start,
        end,
        code,
        code_start,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_with_what_they_trim() {
        for (text, kind, start, end, code) in [
            ("a <%= x %> b", Kind::Output, 2, 10, " x "),
            ("<%x%>", Kind::Code, 0, 5, "x"),
            ("<%# c %>\n", Kind::Comment, 0, 8, " c "),
            ("<%# c -%>\n", Kind::Comment, 0, 10, " c "),
            ("<%= x -%>b", Kind::Output, 0, 9, " x "),
            ("a\n  <%- x %>", Kind::Code, 2, 12, " x "),
            ("a  <%- x %>", Kind::Code, 3, 11, " x "),
            ("a <%%= x %>", Kind::Literal, 2, 5, ""),
        ] {
            let tag = next(text, 0).ok().flatten().expect(text);
            assert_eq!(
                (tag.kind, tag.start, tag.end, tag.code),
                (kind, start, end, code),
                "{text}"
            );
        }
        assert!(matches!(next("a: 1 % >", 0), Ok(None)));
        assert!(next("<%= x", 0).is_err());
    }
}
