//! Lists: which items are the same one, and how the rest is shown.

use crate::{collapsed, lines};

#[test]
fn items_are_aligned_by_the_longest_common_subsequence() {
    for (old, new, expected) in [
        ("[p, q]", "[p, q]", &[][..]),
        ("[p]", "[]", &["- - p"]),
        ("[]", "[p, q]", &["+ - p", "+ - q"]),
        ("[p, q, r]", "[q, r]", &["- - p", "(2 unchanged items)"]),
        (
            "[p, q]",
            "[p, z, q]",
            &["(1 unchanged item)", "+ - z", "(1 unchanged item)"],
        ),
        (
            "[p, q, r]",
            "[p, z, r]",
            &["(1 unchanged item)", "~ - q -> z", "(1 unchanged item)"],
        ),
        ("[p, q, r]", "[z]", &["~ - p -> z", "- - q", "- - r"]),
        ("[p]", "[y, z]", &["~ - p -> y", "+ - z"]),
        // Of equally long alignments, the one that leaves out old items first.
        (
            "[p, q]",
            "[q, p]",
            &["- - p", "(1 unchanged item)", "+ - p"],
        ),
        (
            "[z, p, p]",
            "[p]",
            &["- - z", "(1 unchanged item)", "- - p"],
        ),
        (
            "[p, z]",
            "[z, z, p]",
            &["- - p", "(1 unchanged item)", "+ - z", "+ - p"],
        ),
    ] {
        let text = collapsed(&format!("A: {old}\n"), &format!("A: {new}\n"));
        let mut wanted = lines(
            &expected
                .iter()
                .map(|line| format!("    {line}"))
                .collect::<Vec<_>>()
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>(),
        );
        if !expected.is_empty() {
            wanted.insert_str(0, "~ A:\n");
        }
        assert_eq!(text, wanted, "{old} -> {new}");
    }
}

#[test]
fn an_item_that_changed_inside_is_opened() {
    let old = "A:\n- {n: 1, v: [x, {k: 1}]}\n- [1, 2]\n- t\n";
    let new = "A:\n- {n: 1, v: [x, {k: 2}]}\n- [1, 3]\n- t\n";
    let expected = lines(&[
        "~ A:",
        "    ~ - (changed item)",
        "      ~ v:",
        "          (1 unchanged item)",
        "          ~ - (changed item)",
        "            ~ k: 1 -> 2",
        "    ~ - (changed item)",
        "      (1 unchanged item)",
        "      ~ - 2 -> 3",
        "    (1 unchanged item)",
    ]);
    assert_eq!(collapsed(old, new), expected);
}

#[test]
fn an_item_of_another_kind_is_removed_and_added() {
    let expected = lines(&[
        "~ A:",
        "    - - {k: 1}",
        "    + - [k]",
        "    (1 unchanged item)",
    ]);
    assert_eq!(collapsed("A: [{k: 1}, e]\n", "A: [[k], e]\n"), expected);
}

#[test]
fn long_runs_are_counted_with_commas() {
    let list = |last: &str| format!("A:\n{}- {last}\n", "- x\n".repeat(1_500));
    let expected = lines(&["~ A:", "    (1,500 unchanged items)", "    ~ - y -> z"]);
    assert_eq!(collapsed(&list("y"), &list("z")), expected);
}
