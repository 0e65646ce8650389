//! What Kamal hands to the remote shell without quotes: commands and volumes.

use crate::diagnostic::Findings;
use crate::shell::{Unsplit, words};
use crate::yaml::{Kind, Node};

/// Words of a command; what only a shell could make of it is refused.
pub fn split(node: &Node, path: &str, findings: &mut Findings) -> Vec<String> {
    words(&node.to_text()).unwrap_or_else(|unsplit| {
        let at = Some(node.at);
        match unsplit {
            Unsplit::Expansion(what) => findings
                .not_yet(
                    format!("{path}: `{what}`, which the server's shell would replace,"),
                    at,
                )
                .help("put it in single quotes, or run it in the container: sh -c '…'"),
            Unsplit::Operator(what) => {
                let what = if what == '\n' {
                    "a line break".to_owned()
                } else {
                    format!("`{what}`")
                };
                findings
                    .not_yet(
                        format!(
                            "{path}: {what}, which would end the command in the server's shell,"
                        ),
                        at,
                    )
                    .help("put it in quotes, or run it in the container: sh -c '…'")
            }
            Unsplit::OpenQuote(quote) => {
                findings
                    .error(
                        "open-quote",
                        format!("{path}: a {quote} is never closed"),
                        at,
                    )
                    .help("close it");
            }
        }
        Vec::new()
    })
}

/// A volume of the root: unquoted, so that `$PWD`, `$HOME` and `~` are the user's home directory.
pub fn volume(node: &Node, path: &str, findings: &mut Findings) -> Option<String> {
    let text = node.to_text();
    let text = text.trim();
    let home = ["$PWD", "${PWD}", "$HOME", "${HOME}", "~"]
        .iter()
        .find_map(|home| {
            let rest = text.strip_prefix(home)?;
            rest.starts_with(['/', ':']).then_some(rest)
        });
    if let Some(rest) = home {
        let relative = format!(".{rest}");
        let relative = Node {
            kind: Kind::Text(relative),
            at: node.at,
        };
        return single(&relative, path, findings).map(|text| below_home(&text));
    }
    single(node, path, findings)
}

/// `./data/x:/y` to `data/x:/y`; a single name keeps its dot, or it would be a volume's name.
fn below_home(text: &str) -> String {
    let source = text.split(':').next().unwrap_or(text);
    match text.strip_prefix("./") {
        Some(rest) if source.matches('/').count() > 1 => rest.to_owned(),
        _ => text.to_owned(),
    }
}

fn single(node: &Node, path: &str, findings: &mut Findings) -> Option<String> {
    let mut words = split(node, path, findings);
    if words.len() > 1 {
        findings
            .not_yet(format!("{path}: a volume with spaces in it"), Some(node.at))
            .help("give every volume its item");
    }
    words.pop()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Mark;

    #[test]
    fn volumes_below_the_home_directory_are_relative() {
        for (written, expected) in [
            ("/a:/b", Some("/a:/b")),
            ("data:/b:ro", Some("data:/b:ro")),
            ("$PWD/data:/b", Some("./data:/b")),
            ("~/x/y:/b", Some("x/y:/b")),
            ("${HOME}:/b", Some(".:/b")),
            ("$HOMES/x:/b", None),
            ("~other/x:/b", Some("~other/x:/b")),
            ("'/with space':/b", Some("/with space:/b")),
        ] {
            let node = Node {
                kind: Kind::Text(written.to_owned()),
                at: Mark::default(),
            };
            let mut findings = Findings::default();
            assert_eq!(
                volume(&node, "volumes/0", &mut findings).as_deref(),
                expected,
                "{written}"
            );
            assert_eq!(findings.has_errors(), expected.is_none(), "{written}");
        }
    }
}
