//! How values are written: indentation, quotes, blocks.

use text_differ::{Paint, Rules, Style, diff, render};

use crate::{collapsed, lines};

#[test]
fn an_added_value_keeps_its_style_at_four_columns_a_level() {
    let new = concat!(
        "A:\n  m:\n   k: 'q'\n   l:\n   - a\n   - - b\n     - c\n   - d: {e: [1, \"2\"], f: ''}\n     g:\n       h: i\n",
        "  t: !Foo\n  - x\n  n: !Sub\n    k: v\n  e: []\n"
    );
    let expected = lines(&[
        "~ A:",
        "    + e: []",
        "    + m:",
        "    +     k: 'q'",
        "    +     l:",
        "    +         - a",
        "    +         - - b",
        "    +           - c",
        "    +         - d: {e: [1, \"2\"], f: ''}",
        "    +           g:",
        "    +             h: i",
        "    + n: !Sub",
        "    +     k: v",
        "    + t: !Foo",
        "    +     - x",
    ]);
    assert_eq!(collapsed("A: {}\n", new), expected);
}

#[test]
fn blocks_keep_their_hints() {
    for (value, expected) in [
        ("|\n  a\n  b\n", &["+ A: |", "+     a", "+     b"][..]),
        ("|-\n  a\n\n  b", &["+ A: |-", "+     a", "+ ", "+     b"]),
        ("|+\n  a\n\n", &["+ A: |+", "+     a"]),
        (
            ">\n  a\n  b\n\n  c\n",
            &["+ A: >", "+     a b", "+ ", "+     c"],
        ),
        ("|1\n   a\n  b\n", &["+ A: |4", "+       a", "+      b"]),
        // A block can't end in a space.
        ("|-\n  a \n", &["+ A: \"a \""]),
    ] {
        assert_eq!(
            collapsed("{}", &format!("A: {value}")),
            lines(expected),
            "{value}"
        );
    }
}

#[test]
fn a_changed_block_has_the_sign_on_every_line() {
    let expected = lines(&["~ A: |", "~     x", "~     y -> |-", "~     x", "~     z"]);
    assert_eq!(collapsed("A: |\n  x\n  y\n", "A: |-\n  x\n  z\n"), expected);
    let expected = lines(&["~ A:", "    ~ - |", "    ~     x -> y"]);
    assert_eq!(collapsed("A:\n- |\n  x\n", "A:\n- y\n"), expected);
}

#[test]
fn quotes_are_kept_unless_they_can_not_hold_the_text() {
    for (value, expected) in [
        ("plain text", "plain text"),
        ("'it''s'", "'it''s'"),
        (r#""a\tb\"c\\""#, r#""a\tb\"c\\""#),
        (r#""\u00e9\x07\U0001F600""#, r#""é\a\U0001F600""#),
        ("\"a\\nb\"", "\"a\\nb\""),
        ("é", "é"),
        ("😀", "\"\\U0001F600\""),
        ("a\tb", "\"a\\tb\""),
        ("http://x:80/?a=b#c", "http://x:80/?a=b#c"),
        ("[http://x, '', ~]", "['http://x', '', ~]"),
        ("{a: , b: !Ref c}", "{a: '', b: !Ref c}"),
        ("!Ref ''", "!Ref ''"),
        ("&x [1, *x2]", "&x [1, *x2]"),
    ] {
        let anchor = if value.contains('*') {
            "Z: &x2 1\n"
        } else {
            ""
        };
        let text = collapsed(
            &format!("{anchor}B: 1"),
            &format!("{anchor}B: 1\nA: {value}\n"),
        );
        assert_eq!(text, format!("+ A: {expected}\n"), "{value}");
    }
}

#[test]
fn keys_are_quoted_where_they_would_not_be_texts() {
    for (key, expected) in [
        ("a b", "a b"),
        ("sns:Protocol", "sns:Protocol"),
        ("'80'", "\"80\""),
        ("'true'", "\"true\""),
        ("'2012-10-17'", "\"2012-10-17\""),
        ("yes", "yes"),
        ("'k: v'", "'k: v'"),
        ("'#'", "'#'"),
    ] {
        assert_eq!(
            collapsed("{}", &format!("{key}: 1")),
            format!("+ {expected}: 1\n"),
            "{key}"
        );
    }
    let long = "k".repeat(129);
    assert_eq!(
        collapsed("{}", &format!("? {long}\n: 1")),
        format!("+ ? {long}\n+ : 1\n")
    );
}

#[test]
fn brackets_decide_the_style_wherever_spaces_and_tags_are() {
    for value in [
        "[ a ]",
        "!Join [ a ]",
        "&x  [ a, # one\n b ]",
        "{ a: [ b ] }",
        "!Foo\n  { a: 1 }",
    ] {
        let text = collapsed("{}", &format!("A: {value}"));
        assert_eq!(text.lines().count(), 1, "{value}: {text}");
    }
    for value in ["!Join\n- a", "!Foo # [\n  a: 1"] {
        let text = collapsed("{}", &format!("A: {value}"));
        assert_eq!(text.lines().count(), 2, "{value}: {text}");
    }
}

#[test]
fn colours_are_only_there_when_asked_for() {
    let tree = diff(
        "A: [1, 2, {k: 1}]\nB: 1",
        "A: [1, 3, {k: 2}]\nC: 1",
        Rules::Semantic,
    )
    .unwrap();
    assert!(!render(&tree, Style::Tree, Paint::Plain).contains('\x1b'));
    let expected = lines(&[
        "~ A:",
        "    \x1b[2m(1 unchanged item)\x1b[0m",
        "\x1b[93m    ~ - 2 -> 3\x1b[0m",
        "    ~ \x1b[2m- (changed item)\x1b[0m",
        "\x1b[93m      ~ k: 1 -> 2\x1b[0m",
        "\x1b[91m- B: 1\x1b[0m",
        "\x1b[92m+ C: 1\x1b[0m",
    ]);
    assert_eq!(render(&tree, Style::Tree, Paint::Ansi), expected);
}
