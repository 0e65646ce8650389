//! Texts that try to take the differ down, and large ones.

use std::fmt::Write as _;

use text_differ::{LoadError, Paint, Rules, Style, changes, diff, render};

const BOTH: [Rules; 2] = [Rules::Copilot, Rules::Semantic];

fn refused(text: &str) -> LoadError {
    for rules in BOTH {
        assert!(diff("a: 1", text, rules).is_err(), "{text:.40}");
    }
    diff(text, "a: 1", Rules::Semantic).unwrap_err().error
}

#[test]
fn deep_nesting_is_refused() {
    let brackets = format!("A: {}", "[".repeat(200_000));
    let braces = "{\"a\":".repeat(100_000);
    let dashes = format!("A:\n{}x", "- ".repeat(5_000));
    let blocks = (0..500).fold(String::new(), |mut text, level| {
        let _ = writeln!(text, "{:level$}a:", "");
        text
    });
    for text in [brackets, braces, dashes, blocks] {
        let error = refused(&text);
        assert!(
            matches!(error, LoadError::TooDeep { .. } | LoadError::Syntax { .. }),
            "{error}"
        );
    }
    // Through aliases, each level shallow.
    let ladder = (1..200).fold("a0: &a0 [x]\n".to_owned(), |mut text, level| {
        let _ = writeln!(text, "a{level}: &a{level} [*a{}]", level - 1);
        text
    });
    assert!(matches!(refused(&ladder), LoadError::TooDeep { .. }));
}

#[test]
fn the_deepest_allowed_document_is_compared() {
    let nested = |inner: &str| format!("A: {}{inner}{}", "[".repeat(94), "]".repeat(94));
    for rules in BOTH {
        let tree = diff(&nested("1"), &nested("2"), rules).unwrap();
        assert!(render(&tree, Style::Tree, Paint::Plain).ends_with("~ - 1 -> 2\n"));
        assert_eq!(changes(&tree).len(), 1);
    }
}

#[test]
fn aliases_that_multiply_are_refused() {
    let bomb = (1..12).fold(
        "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(),
        |mut text, level| {
            let _ = writeln!(
                text,
                "a{level}: &a{level} [{}]",
                vec![format!("*a{}", level - 1); 9].join(", ")
            );
            text
        },
    );
    assert!(matches!(refused(&bomb), LoadError::TooMany { .. }));
    let keys = (0..1_000)
        .map(|key| format!("k{key}: 1"))
        .collect::<Vec<_>>()
        .join(", ");
    let merges = (0..1_000).fold(format!("a: &a {{{keys}}}\n"), |mut text, level| {
        let _ = writeln!(text, "b{level}: {{<<: [*a, *a, *a]}}");
        text
    });
    assert!(matches!(refused(&merges), LoadError::TooMany { .. }));
    assert_eq!(
        refused("a: &a [*a]"),
        LoadError::SelfReference {
            line: 1,
            name: "a".to_owned()
        }
    );
}

#[test]
fn what_is_no_document_is_refused_with_its_line() {
    for (text, error) in [
        ("- 1", LoadError::NotAMapping { line: 1 }),
        ("\n\"x\"", LoadError::NotAMapping { line: 2 }),
        ("a: 1\n---\nb: 1", LoadError::SecondDocument { line: 2 }),
        (
            "a:\n  b: 1\n  b: 2",
            LoadError::DuplicateKey {
                line: 3,
                key: "b".to_owned(),
            },
        ),
        ("? [x]\n: 1", LoadError::ComplexKey { line: 1 }),
        ("a: 1\n<<: [1]", LoadError::BadMerge { line: 2 }),
        (
            "<<: {}\n<<: {}",
            LoadError::DuplicateKey {
                line: 2,
                key: "<<".to_owned(),
            },
        ),
    ] {
        assert_eq!(refused(text), error, "{text}");
    }
    for text in [
        "a: [",
        "a: b: c",
        "a: *nobody",
        "a: \"",
        "{a: 1",
        "%",
        "a: !u!x 1",
        "\0",
    ] {
        assert!(
            matches!(refused(text), LoadError::Syntax { .. }),
            "{text:?}"
        );
    }
    assert!(matches!(
        refused(&"a".repeat(5 << 20)),
        LoadError::TooLarge { .. }
    ));
}

#[test]
fn no_cut_of_a_document_makes_it_panic() {
    let text = "a: &x !Sub [\"q\\n\", 'é''', {b: *x2, c: |\n   l\n  }]\nd: >-\n  f\n\n  g\n? k\n: !<t:u> {<<: {m: 1}}\ne: !GetAtt A.B\n";
    let boundaries = (0..=text.len()).filter(|index| text.is_char_boundary(*index));
    for cut in boundaries {
        for rules in BOTH {
            for (old, new) in [(&text[..cut], "a: 1"), ("a: 1", &text[cut..])] {
                if let Ok(tree) = diff(old, new, rules) {
                    let _ = (
                        render(&tree, Style::Collapsed, Paint::Plain),
                        changes(&tree),
                    );
                }
            }
        }
    }
}

#[test]
fn lists_with_nothing_in_common_end_in_time() {
    let list = |letter: char| {
        (0..6_000).fold("A:\n".to_owned(), |mut text, item| {
            let _ = writeln!(text, "- {letter}{item}");
            text
        })
    };
    for rules in BOTH {
        let tree = diff(&list('x'), &list('y'), rules).unwrap();
        assert_eq!(changes(&tree).len(), 6_000);
    }
    // Calls in two forms are compared piece by piece, which is bounded as well.
    let calls = |old: bool| {
        (0..600).fold("A:\n".to_owned(), |mut text, item| {
            let zs = "z, ".repeat(40);
            let _ = if old {
                writeln!(text, "- !Join [{zs}a{item}]")
            } else {
                writeln!(text, "- {{Fn::Join: [{zs}b{item}]}}")
            };
            text
        })
    };
    let tree = diff(&calls(true), &calls(false), Rules::Copilot).unwrap();
    assert_eq!(changes(&tree).len(), 600);
}
