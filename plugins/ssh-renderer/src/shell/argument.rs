//! The text that Kamal writes into its lines (`kamal.md` §1.1).

use std::fmt::Write as _;

use crate::shell::quoted::escaped;
use crate::yaml::{Kind, Node};

/// A quoted value: ASCII in double quotes, everything else between them as it is.
pub fn argument(value: &str) -> String {
    let mut whole = String::new();
    let mut run = String::new();
    let end_run = |run: &mut String, whole: &mut String| {
        if !run.is_empty() {
            // Writing to a text can't fail.
            let _ = write!(whole, "\"{}\"", escaped(run));
            run.clear();
        }
    };
    for c in value.chars() {
        if c.is_ascii() {
            run.push(c);
        } else {
            end_run(&mut run, &mut whole);
            whole.push(c);
        }
    }
    end_run(&mut run, &mut whole);
    whole
}

/// `flag k="v"` for every pair of a mapping; `flag k` without a value; `flag item` for every item of a list.
pub fn argumentize(flag: &str, values: &Node) -> Vec<String> {
    let items = values.items().iter().map(Node::to_text);
    let pairs = values.entries().iter().map(|entry| {
        let name = entry.key.to_text();
        match &entry.value.kind {
            Kind::Bool(false) => format!("{name}=false"),
            _ if entry.value.is_present() => {
                format!("{name}={}", argument(&entry.value.to_text()))
            }
            _ => name,
        }
    });
    let words = items.chain(pairs);
    words.flat_map(|word| [flag.to_owned(), word]).collect()
}

/// `--k "v"` for every pair, lists repeated, `--k` for true; with `with`, that stands between the two.
pub fn optionize(options: &Node, with: Option<&str>) -> Vec<String> {
    let one = |name: &str, value: &Node| {
        let name = format!("--{name}");
        match (&value.kind, with) {
            (Kind::Bool(true), _) => vec![name],
            (_, Some(with)) => vec![format!("{name}{with}{}", argument(&value.to_text()))],
            (_, None) => vec![name, argument(&value.to_text())],
        }
    };
    let pairs = options.entries().iter().flat_map(|entry| {
        let name = entry.key.to_text();
        match entry.value.as_list() {
            Some(items) => items.iter().flat_map(|item| one(&name, item)).collect(),
            None => one(&name, &entry.value),
        }
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Node {
        crate::yaml::read(text, 0, &mut Default::default()).expect("valid")
    }

    #[test]
    fn arguments_are_quoted_as_kamal_quotes_them() {
        for (value, written) in [
            ("x y", "\"x y\""),
            ("$X ${X} $(x) `x`", "\"\\$X ${X} \\$(x) \\`x\\`\""),
            ("é$X", "é\"\\$X\""),
            ("a\nb#{c}", "\"a\\nb\\#{c}\""),
            ("", ""),
        ] {
            assert_eq!(argument(value), written, "{value}");
        }
    }

    #[test]
    fn mappings_and_lists_become_flags() {
        let env = read("{A: '', B: ~, C: false, D: true, E: 0}");
        assert_eq!(
            argumentize("--env", &env).join(" "),
            "--env A --env B --env C=false --env D=\"true\" --env E=\"0\""
        );
        assert_eq!(argumentize("-v", &read("[a:b]")), ["-v", "a:b"]);
        let options = read("{a: [1, 2], b: false, c: true}");
        assert_eq!(
            optionize(&options, None).join(" "),
            "--a \"1\" --a \"2\" --b \"false\" --c"
        );
        assert_eq!(
            optionize(&options, Some("=")).join(" "),
            "--a=\"1\" --a=\"2\" --b=\"false\" --c"
        );
    }
}
