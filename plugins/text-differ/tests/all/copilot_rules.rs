//! What Copilot's engine takes for equal, and what it doesn't.

use crate::{collapsed, lines};

#[track_caller]
fn check(cases: &[(&str, &str, &[&str])]) {
    for (old, new, expected) in cases {
        assert_eq!(collapsed(old, new), lines(expected), "{old} -> {new}");
    }
}

#[test]
fn quotes_tags_layout_and_key_order_are_no_difference() {
    check(&[
        ("A: '7'", "A: 7", &[]),
        ("A: \"x\"", "A: |-\n  x", &[]),
        ("A: !Ref X", "A: X", &[]),
        ("A: !Sub [x]", "A: !Join [x]", &[]),
        ("A: {x: 1, y: [2]}", "A:\n  y:\n    - 2\n  x: 1", &[]),
        ("A: 1 # one", "# head\nA: 1", &[]),
        ("{\"A\": {\"b\": [1, \"c\"]}}", "A:\n  b: [1, c]", &[]),
        ("A: !Ref X", "A: !Ref Y", &["~ A: !Ref X -> !Ref Y"]),
        ("A: ~", "A: null", &["~ A: ~ -> null"]),
        ("A: False", "A: false", &["~ A: False -> false"]),
        ("A: {}", "A: []", &["- A: {}", "+ A: []"]),
        ("A: {}", "A: {x: 1}", &["~ A:", "    + x: 1"]),
    ]);
}

#[test]
fn keys_are_ordered_by_their_bytes() {
    check(&[(
        "{b: 1, _: 1, Z: 1, \"10\": 1, \"9\": 1, é: 1}",
        "{b: 2, _: 2, Z: 2, \"10\": 2, \"9\": 2, é: 2}",
        &[
            "~ 10: 1 -> 2",
            "~ 9: 1 -> 2",
            "~ Z: 1 -> 2",
            "~ _: 1 -> 2",
            "~ b: 1 -> 2",
            "~ é: 1 -> 2",
        ],
    )]);
}

#[test]
fn short_and_long_intrinsics_are_one_call() {
    let bodies = [
        ("Ref", "X"),
        ("Condition", "X"),
        ("Fn::Base64", "x"),
        ("Fn::Cidr", "[a, 1]"),
        ("Fn::FindInMap", "[a, b]"),
        ("Fn::GetAtt", "A.B"),
        ("Fn::GetAtt", "[A, B]"),
        ("Fn::GetAZs", "\"\""),
        ("Fn::ImportValue", "x"),
        ("Fn::Join", "[\"\", [a, !Ref B]]"),
        ("Fn::Select", "[0, [a]]"),
        ("Fn::Split", "[\",\", a]"),
        ("Fn::Sub", "\"${X}\""),
        ("Fn::And", "[a, b]"),
        ("Fn::Equals", "[a, b]"),
        ("Fn::If", "[a, b, c]"),
        ("Fn::Not", "[a]"),
        ("Fn::Or", "[a, b]"),
    ];
    for (long, body) in bodies {
        let short = format!("A: !{} {body}\n", long.trim_start_matches("Fn::"));
        let long = format!("A: {{\"{long}\": {body}}}\n");
        assert_eq!(collapsed(&short, &long), "", "{short}");
        assert_eq!(collapsed(&long, &short), "", "{short}");
    }
}

#[test]
fn arguments_of_two_forms_are_compared_below_the_long_name() {
    check(&[
        (
            "A: !Sub x",
            "A: {Fn::Sub: y}",
            &["~ A:", "    ~ Fn::Sub: x -> y"],
        ),
        ("A: {Ref: x}", "A: !Ref y", &["~ A:", "    ~ Ref: x -> y"]),
        (
            "A: {B: !If [c, 1, 2]}",
            "A: {B: {Fn::If: [c, 1, 3]}}",
            &["~ A/B/Fn::If:", "    (2 unchanged items)", "    ~ - 2 -> 3"],
        ),
        (
            "A: !Sub x",
            "A: {Fn::Join: x}",
            &["- A: !Sub x", "+ A: {'Fn::Join': x}"],
        ),
        (
            "A: !Sub x",
            "A: {Fn::Sub: x, B: 1}",
            &["- A: !Sub x", "+ A: {'Fn::Sub': x, B: 1}"],
        ),
        (
            "A: !Magic x",
            "A: {Fn::Magic: x}",
            &["- A: !Magic x", "+ A: {'Fn::Magic': x}"],
        ),
        ("A: X", "A: {Ref: X}", &["- A: X", "+ A: {Ref: X}"]),
        // Copilot's engine does not know `!Transform`.
        (
            "A: !Transform {N: x}",
            "A: {Fn::Transform: {N: x}}",
            &["~ A:", "    + Fn::Transform: {N: x}", "    - N: x"],
        ),
    ]);
}

#[test]
fn an_attribute_is_a_text_with_a_dot_or_a_list() {
    check(&[
        ("A: !GetAtt R.Arn", "A: !GetAtt [R, Arn]", &[]),
        (
            "A: {Fn::GetAtt: R.Endpoint.Port}",
            "A: !GetAtt [R, Endpoint.Port]",
            &[],
        ),
        (
            "A: !GetAtt R.Arn",
            "A: !GetAtt R.Name",
            &["~ A:", "    ~ Fn::GetAtt: R.Arn -> R.Name"],
        ),
        (
            "A: !GetAtt R.Arn",
            "A: {Fn::GetAtt: [Q, Arn]}",
            &[
                "~ A/Fn::GetAtt:",
                "    ~ - R -> Q",
                "    (1 unchanged item)",
            ],
        ),
        (
            "A: [!GetAtt R.Arn]",
            "A: [!GetAtt R.Name]",
            &[
                "~ A:",
                "    ~ - (changed item)",
                "      ~ Fn::GetAtt: R.Arn -> R.Name",
            ],
        ),
    ]);
}

#[test]
fn inside_one_special_comparison_the_others_are_off() {
    check(&[(
        "A: !Join [\"\", [{Fn::GetAtt: R.Arn}]]",
        "A: {Fn::Join: [\"\", [{Fn::GetAtt: [R, Arn]}]]}",
        &[
            "~ A/Fn::Join:",
            "    (1 unchanged item)",
            "    ~ - (changed item)",
            "      ~ - (changed item)",
            "        - Fn::GetAtt: R.Arn",
            "        + Fn::GetAtt: [R, Arn]",
        ],
    )]);
}

#[test]
fn manifests_are_passed_over_once_a_metadata_key_was_met() {
    check(&[
        (
            "Metadata: {Manifest: 1, Version: 1}",
            "Metadata: {Manifest: 2, Version: 2}",
            &["~ Metadata:", "    ~ Version: 1 -> 2"],
        ),
        ("Metadata: {Manifest: 1}", "Metadata: {}", &[]),
        (
            "A: {Manifest: 1}\nMetadata: {}",
            "A: {Manifest: 2}\nMetadata: {}",
            &["~ A:", "    ~ Manifest: 1 -> 2"],
        ),
        (
            "Metadata: {V: 1}\nR: {Manifest: 1}",
            "Metadata: {V: 1}\nR: {Manifest: 2}",
            &[],
        ),
        (
            "R: {A: {Metadata: 1}, B: {Manifest: 1}}",
            "R: {A: {Metadata: 1}, B: {Manifest: 2}}",
            &[],
        ),
        (
            "R: {Manifest: 1}",
            "R: {Manifest: 2}",
            &["~ R:", "    ~ Manifest: 1 -> 2"],
        ),
    ]);
}

#[test]
fn aliases_are_compared_by_name_and_merge_keys_by_value() {
    check(&[
        (
            "a: &a {x: 1}\nb: *a",
            "a: &a {x: 2}\nb: *a",
            &["~ a:", "    ~ x: 1 -> 2"],
        ),
        (
            "a: &a {x: 1}\nb: *a",
            "a: &a {x: 1}\nb: {x: 1}",
            &["- b: *a", "+ b: {x: 1}"],
        ),
        (
            "a: &a {x: 1}\nb: {<<: *a, y: 1}",
            "a: &a {x: 2}\nb: {<<: *a, y: 1}",
            &["~ a:", "    ~ x: 1 -> 2", "~ b:", "    ~ x: 1 -> 2"],
        ),
        (
            "a: &a {x: 1}\nb: {<<: *a, x: 3}",
            "a: &a {x: 1}\nb: {x: 3}",
            &[],
        ),
        (
            "a: &a {x: 1}\nb: &b {x: 2}\nc: {<<: [*a, *b]}",
            "a: &a {x: 1}\nb: &b {x: 2}\nc: {x: 1}",
            &[],
        ),
        (
            "a: &a {x: 1}",
            "a: &a {x: 1}\nb: {<<: *a}",
            &["+ b: {!!merge <<: *a}"],
        ),
    ]);
}

#[test]
fn a_document_that_is_not_there_makes_the_other_one_whole() {
    check(&[
        ("", "", &[]),
        (" \n# nothing\n", "", &[]),
        ("", "b: 1\na: [x]", &["+ b: 1", "+ a: [x]"]),
        ("b: 1\na: {}", "", &["- b: 1", "- a: {}"]),
        ("b: 1\na: {}", "{}", &["- a: {}", "- b: 1"]),
        ("null", "a: 1", &["+ a: 1"]),
    ]);
}

#[test]
fn chains_end_at_lists_and_at_values() {
    check(&[
        (
            "A: {B: {C: 1}}",
            "A: {B: {C: 2}}",
            &["~ A/B:", "    ~ C: 1 -> 2"],
        ),
        (
            "A: {B: {C: [1]}}",
            "A: {B: {C: [2]}}",
            &["~ A/B/C:", "    ~ - 1 -> 2"],
        ),
        (
            "A: {B: {C: 1}, D: 1}",
            "A: {B: {C: 2}, D: 2}",
            &["~ A:", "    ~ B:", "        ~ C: 1 -> 2", "    ~ D: 1 -> 2"],
        ),
        (
            "A: {B: {}}",
            "A: {B: {C: {D: 1}}}",
            &["~ A/B:", "    + C: {D: 1}"],
        ),
        (
            "A: [{B: {C: {D: 1}}}]",
            "A: [{B: {C: {D: 2}}}]",
            &[
                "~ A:",
                "    ~ - (changed item)",
                "      ~ B/C:",
                "          ~ D: 1 -> 2",
            ],
        ),
    ]);
}
