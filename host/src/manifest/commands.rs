//! The commands that templates may run, word for word: `commands` of `plimsoll.yml`.

use super::{
    diagnostic::Diagnostic,
    tree::{Data, Node},
};

/// The allowed command lines of the text of a `plimsoll.yml`. Other keys are not looked at.
pub fn allowed(path: &str, text: &str) -> Result<Vec<String>, Diagnostic> {
    match Node::parse(path, text)?.get("commands") {
        Some(node) => read(node),
        None => Ok(Vec::new()),
    }
}

/// The command lines of a list.
pub fn read(node: &Node) -> Result<Vec<String>, Diagnostic> {
    let wrong = |at: &Node, what: &str| {
        let message = format!("{what}, this is {}", at.kind());
        Diagnostic::error("commands", message)
            .at(at.at.clone())
            .help("write one line a command: `- aws ecr get-login-password`")
    };
    match &node.data {
        Data::Sequence(items) => items
            .iter()
            .map(|item| match item.text() {
                Some(line) => Ok(line.trim().to_owned()),
                None => Err(wrong(item, "a command is a line of text")),
            })
            .collect(),
        Data::Scalar { .. } if node.is_null() => Ok(Vec::new()),
        Data::Scalar { .. } | Data::Mapping(_) => Err(wrong(node, "`commands` is a list")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_a_list_of_lines() {
        let lines = allowed("p", "commands: [\"a b\", ' c ']\nplugins: 3").expect("a list");
        assert_eq!(lines, ["a b", "c"]);
        assert_eq!(allowed("p", ""), Ok(vec![]));
        for text in ["commands: a", "commands: [[a, b]]", "commands: {a: b}"] {
            let error = allowed("p", text).expect_err(text);
            assert!(error.at.is_some() && error.help.is_some(), "{text}");
        }
    }
}
