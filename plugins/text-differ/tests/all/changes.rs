//! Changes as data.

use text_differ::{Action, Change, Rules, changes, diff};

fn found(old: &str, new: &str) -> Vec<Change> {
    changes(&diff(old, new, Rules::Semantic).unwrap())
}

fn change(action: Action, pointer: &str, before: &str, after: &str) -> Change {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Change {
        action,
        pointer: pointer.to_owned(),
        before: some(before),
        after: some(after),
    }
}

#[test]
fn every_place_has_a_pointer_and_both_values_as_json() {
    use Action::{Create, Delete, Update};
    for (old, new, expected) in [
        ("a: 1", "a: 1", vec![]),
        ("a: 1", "a: two", vec![change(Update, "/a", "1", "\"two\"")]),
        ("a: {b: 1}", "a: {}", vec![change(Delete, "/a/b", "1", "")]),
        (
            "a: {}",
            "a: {b: [x, ~]}",
            vec![change(Create, "/a/b", "", "[\"x\",null]")],
        ),
        (
            "'a/b': {'c~d': 1}",
            "'a/b': {'c~d': 2}",
            vec![change(Update, "/a~1b/c~0d", "1", "2")],
        ),
        (
            "",
            "a: {c: 1, b: 'yes'}",
            vec![change(Create, "", "", "{\"a\":{\"b\":\"yes\",\"c\":1}}")],
        ),
        ("a: 1", "", vec![change(Delete, "", "{\"a\":1}", "")]),
        (
            "a: !GetAtt R.Arn",
            "a: !GetAtt R.Id",
            vec![change(Update, "/a/Fn::GetAtt", "\"R.Arn\"", "\"R.Id\"")],
        ),
        (
            "a: !Sub x",
            "a: !GetAtt R.Arn",
            vec![change(
                Update,
                "/a",
                "{\"Fn::Sub\":\"x\"}",
                "{\"Fn::GetAtt\":[\"R\",\"Arn\"]}",
            )],
        ),
        (
            "a: !Foo x",
            "a: x",
            vec![change(Update, "/a", "{\"!Foo\":\"x\"}", "\"x\"")],
        ),
        (
            "z: &z {k: 1}\na: 1",
            "z: &z {k: 1}\na: *z",
            vec![change(Update, "/a", "1", "{\"k\":1}")],
        ),
        (
            "a: 1",
            "a: \"q\\\"\\\\\\n\\t\\x01é\"",
            vec![change(Update, "/a", "1", "\"q\\\"\\\\\\n\\t\\u0001é\"")],
        ),
        (
            "a: 1",
            "a: 0x1F",
            vec![change(Update, "/a", "1", "\"0x1F\"")],
        ),
    ] {
        assert_eq!(found(old, new), expected, "{old} -> {new}");
    }
}

#[test]
fn a_list_item_is_found_in_the_document_that_has_it() {
    // `p` is first of the old list, `z` second of the new one; `{k: …}` moves from 3 to 2.
    let old = "a: [p, q, r, {k: 1}]";
    let new = "a: [q, z, {k: 2}]";
    let expected = [
        change(Action::Delete, "/a/0", "\"p\"", ""),
        change(Action::Update, "/a/1", "\"r\"", "\"z\""),
        change(Action::Update, "/a/2/k", "1", "2"),
    ];
    assert_eq!(found(old, new), expected);
    let expected = [
        change(Action::Create, "/a/1", "", "\"n\""),
        change(Action::Delete, "/a/2/1", "2", ""),
    ];
    assert_eq!(found("a: [p, s, [1, 2]]", "a: [p, n, s, [1]]"), expected);
}
