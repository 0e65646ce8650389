//! What the default rules take for equal: what CloudFormation and Docker would.

use crate::{lines, tree};

#[test]
fn what_means_the_same_is_no_difference() {
    for (old, new) in [
        ("A: ~", "A: null"),
        ("A:", "A: ~"),
        ("A: True", "A: true"),
        ("A: '7'", "A: 7"),
        ("A: !Ref X", "A: {Ref: X}"),
        ("A: !Transform {N: x}", "A: {Fn::Transform: {N: x}}"),
        (
            "A: !Join [\"\", [{Fn::GetAtt: R.Arn}]]",
            "A: {Fn::Join: [\"\", [!GetAtt [R, Arn]]]}",
        ),
        (
            "A: !If [c, {Ref: X}, {Fn::Sub: y}]",
            "A: {Fn::If: [c, !Ref X, !Sub y]}",
        ),
        ("A: [{Ref: X}, !Sub y]", "A: [!Ref X, {Fn::Sub: y}]"),
        ("a: &a {x: 1}\nb: *a", "a: {x: 1}\nb: {x: 1}"),
        (
            "a: &a {x: 1}\nb: {<<: *a, y: !!str 2}",
            "a: {x: 1}\nb: {y: 2, x: 1}",
        ),
        ("Metadata: {Manifest: 1}", "Metadata: {Manifest: 2}"),
        (
            "U: {UpdateID: 0f3c8a52-61d7-4be9-8a10-5d2f7c9e4b36}",
            "U: {UpdateID: 7d90b1c4-2e85-4f3a-9c67-0a1b2c3d4e5f}",
        ),
    ] {
        assert_eq!(tree(old, new), "", "{old} -> {new}");
    }
}

#[test]
fn what_copilot_overlooks_is_shown() {
    for (old, new, expected) in [
        ("A: !Ref X", "A: X", &["~ A: !Ref X -> X"][..]),
        ("A: !Ref X", "A: !Sub X", &["~ A: !Ref X -> !Sub X"]),
        (
            "A: !Sub [x]",
            "A: !Join [x]",
            &["- A: !Sub [x]", "+ A: !Join [x]"],
        ),
        (
            "A: [!Ref X, y]",
            "A: [X, y]",
            &["~ A:", "    ~ - !Ref X -> X", "    (1 unchanged item)"],
        ),
        ("A: ~", "A: 'null'", &["~ A: ~ -> 'null'"]),
        (
            "Metadata: {}\nR: {Manifest: 1}",
            "Metadata: {}\nR: {Manifest: 2}",
            &["~ R:", "    ~ Manifest: 1 -> 2"],
        ),
        (
            "R: {Metadata: {Manifest: 1}}",
            "R: {Metadata: {Manifest: 2}}",
            &["~ R:", "    ~ Metadata:", "        ~ Manifest: 1 -> 2"],
        ),
        (
            "a: &a {x: 1}\nb: *a",
            "a: {x: 1}\nb: {x: 2}",
            &["~ b:", "    ~ x: 1 -> 2"],
        ),
        (
            "a: &a 1\nb: &b 2\nc: *a",
            "a: &a 1\nb: &b 2\nc: *b",
            &["~ c: *a -> *b"],
        ),
        (
            "U: {UpdateID: 1}",
            "U: {UpdateID: 2}",
            &["~ U:", "    ~ UpdateID: 1 -> 2"],
        ),
    ] {
        assert_eq!(tree(old, new), lines(expected), "{old} -> {new}");
    }
}

#[test]
fn json_is_printed_as_yaml() {
    let new = r#"{"image": "web:2", "env": {"PORT": "80", "T": "a\nb\n"}, "ports": [80, {"a": null}], "x": []}"#;
    let expected = lines(&[
        "+ env:",
        "+     PORT: \"80\"",
        "+     T: |",
        "+         a",
        "+         b",
        "~ image: web:1 -> web:2",
        "+ ports:",
        "+     - 80",
        "+     - a: null",
        "+ x: []",
    ]);
    assert_eq!(tree(r#"{"image": "web:1"}"#, new), expected);
}
