//! Text from elsewhere, made safe for a terminal.

/// Replaces control characters, which could move the cursor, recolour or rewrite what was shown before, by U+FFFD.
/// Line ends and tabs stay. Also replaced: the marks that turn the direction of writing.
///
/// Stops a component, a log line or a server's answer from forging what the user approves.
pub fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| {
            if (c.is_control() && c != '\n' && c != '\t') || turns(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_could_drive_a_terminal_is_replaced() {
        assert_eq!(
            printable("a\u{1b}[2Jb\rc\r\nd\te\u{202e}f"),
            "a\u{fffd}[2Jb\u{fffd}c\nd\te\u{fffd}f"
        );
    }
}
