//! Where the text after a template was resolved came from, so that findings point at what the author wrote.

use super::diagnostic::Position;

/// Which part of a source became which part of the result. Offsets are in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// In the order of the result, without gaps there.
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    result: usize,
    source: usize,
    /// Length in the source.
    length: usize,
    /// Copied as it is; else all of it stands for a tag.
    copied: bool,
}

impl Origins {
    /// `length` bytes of the source at `source` were copied to `result`.
    pub(super) fn copied(&mut self, result: usize, source: usize, length: usize) {
        self.push(result, source, length, true);
    }

    /// A tag of `length` bytes at `source` was replaced by what begins at `result`.
    pub(super) fn replaced(&mut self, result: usize, source: usize, length: usize) {
        self.push(result, source, length, false);
    }

    fn push(&mut self, result: usize, source: usize, length: usize, copied: bool) {
        self.pieces.push(Piece {
            result,
            source,
            length,
            copied,
        });
    }

    /// The place in `source` of a place in `result`. What a tag produced is shown as the tag.
    pub fn trace(&self, at: &Position, result: &str, source: &str) -> Position {
        let offset = offset(result, at.line, at.column);
        let next = self.pieces.partition_point(|piece| piece.result <= offset);
        let Some(piece) = next.checked_sub(1).and_then(|index| self.pieces.get(index)) else {
            return at.clone();
        };
        let (from, length) = if piece.copied {
            let within = (offset - piece.result).min(piece.length);
            let left = &source[piece.source + within..piece.source + piece.length];
            // An underline that would run into the next tag ends before it.
            let room = left.chars().take_while(|c| *c != '\n').count();
            let room = u32::try_from(room).unwrap_or(u32::MAX);
            (piece.source + within, at.length.min(room.max(1)))
        } else {
            let tag = &source[piece.source..piece.source + piece.length];
            let first_line = tag.lines().next().unwrap_or_default();
            let length = u32::try_from(first_line.chars().count()).unwrap_or(u32::MAX);
            (piece.source, length)
        };
        position(&at.path, source, from, length)
    }
}

/// The place of a byte of a text.
pub(super) fn position(path: &str, text: &str, offset: usize, length: u32) -> Position {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let number = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
    Position {
        path: path.to_owned(),
        line: number(before.matches('\n').count()),
        column: number(before[line_start..].chars().count()),
        length,
    }
}

/// The byte of a place in a text.
fn offset(text: &str, line: u32, column: u32) -> usize {
    let skipped = text.split_inclusive('\n').take(line.max(1) as usize - 1);
    let start: usize = skipped.map(str::len).sum();
    let columns = text[start..].char_indices().nth(column.max(1) as usize - 1);
    columns.map_or(text.len(), |(index, _)| start + index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_behind_tags_are_traced_to_the_source() {
        // `a: <%= x %> b\nc: d`, where the tag became two lines.
        let (source, result) = ("a: <%= x %> b\nc: d", "a: 1\n2 b\nc: d");
        let mut origins = Origins::default();
        origins.copied(0, 0, 3);
        origins.replaced(3, 3, 8);
        origins.copied(6, 11, 7);
        for ((line, column, length), expected) in [
            ((1, 1, 1), (1, 1, 1)),
            ((1, 4, 1), (1, 4, 8)),
            ((2, 1, 1), (1, 4, 8)),
            ((2, 3, 1), (1, 13, 1)),
            ((3, 4, 1), (2, 4, 1)),
            ((1, 1, 9), (1, 1, 3)),
            ((9, 9, 0), (2, 5, 0)),
        ] {
            let path = "f".to_owned();
            let at = Position {
                path,
                line,
                column,
                length,
            };
            let traced = origins.trace(&at, result, source);
            assert_eq!(
                (traced.line, traced.column, traced.length),
                expected,
                "{at:?}"
            );
        }
    }
}
