//! What Kamal hands to the remote shell without quotes: commands and volumes.

use release::{Expansion, Part, Value};

use crate::diagnostic::Findings;
use crate::shell::line::Open;
use crate::shell::{Line, line};
use crate::yaml::Node;

/// A command with what follows it.
pub fn command(node: &Node, path: &str, findings: &mut Findings) -> Line {
    let line = read(node, path, findings);
    if let Some(tail) = &line.tail {
        let message = format!(
            "{path}: `{tail}` is not run: with Kamal it is the server's own shell that does, once the container is started"
        );
        findings
            .warn("shell-tail", message, Some(node.at))
            .help("have a shell in the container run all of it, `sh -c '…'`, or do it in a hook");
    }
    line
}

fn read(node: &Node, path: &str, findings: &mut Findings) -> Line {
    line(&node.to_text()).unwrap_or_else(|Open(what)| {
        findings
            .error(
                "open-quote",
                format!("{path}: `{what}` is never closed"),
                Some(node.at),
            )
            .help("close it");
        Line::default()
    })
}

/// A text of which Kamal makes an argument without quotes: a volume, a port, a network.
pub fn argument(node: &Node, path: &str, findings: &mut Findings) -> Option<Value> {
    let mut line = read(node, path, findings);
    if line.words.len() > 1 || line.tail.is_some() {
        let message = format!("{path}: should be one word, for Kamal does not quote it");
        findings
            .error("invalid-value", message, Some(node.at))
            .help("put spaces and what means something to a shell in quotes, and one item in each line");
    }
    line.words.truncate(1);
    line.words.pop()
}

/// A volume: the home directory in front of it is left out, for that is where relative sources begin.
pub fn volume(node: &Node, path: &str, findings: &mut Findings) -> Option<Value> {
    argument(node, path, findings).map(below_home)
}

/// `$PWD/data:/x` to `./data:/x`; `data/x:/x` needs no dot, but `data:/x` would be a volume's name.
pub fn below_home(value: Value) -> Value {
    let mut parts = value.parts().iter().cloned();
    let Some(Part::Remote(Expansion {
        text,
        command: false,
        ..
    })) = parts.next()
    else {
        return value;
    };
    let rest: Value = parts.collect();
    let first = match rest.parts().first() {
        Some(Part::Text(text)) => text.as_str(),
        Some(_) => return value,
        None => "",
    };
    if !["PWD", "HOME"].contains(&text.as_str())
        || !(first.is_empty() || first.starts_with(['/', ':']))
    {
        return value;
    }
    let source = first.split(':').next().unwrap_or_default();
    match source.matches('/').count() {
        2.. => without_slash(rest),
        _ => Value::text(".").and(rest),
    }
}

fn without_slash(value: Value) -> Value {
    let mut parts = value.parts().iter().cloned();
    let first = match parts.next() {
        Some(Part::Text(text)) => Value::text(text.strip_prefix('/').unwrap_or(&text)),
        Some(part) => Value::from_iter([part]),
        None => Value::default(),
    };
    first.and(parts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Mark;
    use crate::yaml::Kind;

    fn node(text: &str) -> Node {
        Node {
            kind: Kind::Text(text.to_owned()),
            at: Mark::default(),
        }
    }

    #[test]
    fn volumes_below_the_home_directory_are_relative() {
        for (written, expected) in [
            ("/a:/b", r#""/a:/b""#),
            ("data:/b:ro", r#""data:/b:ro""#),
            ("$PWD/data:/b", r#""./data:/b""#),
            ("~/x/y:/b", r#""x/y:/b""#),
            ("${HOME}:/b", r#"".:/b""#),
            (
                "$HOMES/x:/b",
                r#"[{"remote":"HOMES","split":true},"/x:/b"]"#,
            ),
            ("$PWD/$X:/b", r#"["./",{"remote":"X","split":true},":/b"]"#),
            (
                "$PWD/a/$X:/b",
                r#"["a/",{"remote":"X","split":true},":/b"]"#,
            ),
            ("~other/x:/b", r#""~other/x:/b""#),
            ("'/with space':/b", r#""/with space:/b""#),
        ] {
            let mut findings = Findings::default();
            let found = volume(&node(written), "volumes/0", &mut findings).expect(written);
            assert_eq!(found.to_json().to_string(), expected, "{written}");
            assert!(!findings.has_errors(), "{written}");
        }
    }

    #[test]
    fn what_is_no_single_word_is_refused() {
        for written in ["/a:/b /c:/d", "/a:/b; x", "'/a:/b", "${A:/b"] {
            let mut findings = Findings::default();
            volume(&node(written), "volumes/0", &mut findings);
            assert!(findings.has_errors(), "{written}");
        }
    }
}
