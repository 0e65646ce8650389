//! Several documents at once.

use text_differ::{Action, Document, Style, diff_documents};

use crate::lines;

const ROLE: &str = "application/vnd.plimsoll.role+json";
const TEMPLATE: &str = "application/vnd.aws.cloudformation+yaml";

fn document<'a>(address: &'a str, media_type: &'a str, body: &'a str) -> Document<'a> {
    Document {
        address,
        media_type,
        body,
    }
}

#[test]
fn documents_of_servers_stand_below_their_address() {
    let observed = [
        document(
            "host/web-1/role/web",
            ROLE,
            r#"{"image": "app:1", "env": {"A": "1", "B": "2"}}"#,
        ),
        document("host/web-2/role/web", ROLE, r#"{"image": "app:1"}"#),
        document("host/web-3/role/web", ROLE, r#"{"image": "app:1"}"#),
    ];
    let desired = [
        document("host/web-2/role/web", ROLE, r#"{"image": "app:1"}"#),
        document(
            "host/web-1/role/web",
            ROLE,
            r#"{"image": "app:2", "env": {"B": "2", "C": {"secret": "KEY"}}}"#,
        ),
        document(
            "host/web-4/role/web",
            ROLE,
            r#"{"image": "app:2", "labels": {"service": "app"}}"#,
        ),
    ];
    let difference = diff_documents(&observed, &desired, Style::Tree).unwrap();
    let expected = lines(&[
        "~ host/web-1/role/web:",
        "    ~ env:",
        "        - A: \"1\"",
        "        + C:",
        "        +     secret: KEY",
        "    ~ image: app:1 -> app:2",
        "+ host/web-4/role/web:",
        "+     image: app:2",
        "+     labels:",
        "+         service: app",
        "- host/web-3/role/web:",
        "-     image: app:1",
    ]);
    assert_eq!(difference.text, expected);
    let found: Vec<_> = difference
        .changes
        .iter()
        .map(|(address, change)| (address.as_str(), change.action, change.pointer.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("host/web-1/role/web", Action::Delete, "/env/A"),
            ("host/web-1/role/web", Action::Create, "/env/C"),
            ("host/web-1/role/web", Action::Update, "/image"),
            ("host/web-4/role/web", Action::Create, ""),
            ("host/web-3/role/web", Action::Delete, ""),
        ]
    );
}

#[test]
fn an_address_is_never_joined_with_keys() {
    let role = |port| format!(r#"{{"proxy": {{"app": {{"port": {port}}}}}}}"#);
    let (old, new) = (role(1), role(2));
    let text = diff_documents(
        &[document("h", ROLE, &old)],
        &[document("h", ROLE, &new)],
        Style::Collapsed,
    );
    assert_eq!(
        text.unwrap().text,
        lines(&["~ h:", "    ~ proxy/app:", "        ~ port: 1 -> 2"])
    );
}

#[test]
fn a_template_that_alone_differs_is_bare() {
    let same = document("stack/db", TEMPLATE, "B: 1");
    let template = |body| document("stack/web", TEMPLATE, body);
    let text = |observed: &[Document<'_>], desired: &[Document<'_>]| {
        diff_documents(observed, desired, Style::Tree).unwrap().text
    };
    assert_eq!(
        text(&[same, template("A: 1")], &[same, template("A: 2")]),
        "~ A: 1 -> 2\n"
    );
    assert_eq!(text(&[same], &[same, template("A: [x]")]), "+ A: [x]\n");
    let other = document("stack/db", TEMPLATE, "B: 2");
    assert_eq!(
        text(&[same, template("A: 1")], &[other, template("A: 2")]),
        lines(&[
            "~ stack/db:",
            "    ~ B: 1 -> 2",
            "~ stack/web:",
            "    ~ A: 1 -> 2"
        ])
    );
}

#[test]
fn the_collapsed_style_prints_templates_as_copilot_and_still_lists_every_change() {
    let template = |body| [document("stack/web", TEMPLATE, body)];
    let (old, new) = ("A: {B: {C: !Ref X, D: ~}}", "A: {B: {C: X, D: null}}");
    let difference = diff_documents(&template(old), &template(new), Style::Collapsed).unwrap();
    assert_eq!(difference.text, lines(&["~ A/B:", "    ~ D: ~ -> null"]));
    let pointers: Vec<_> = difference
        .changes
        .iter()
        .map(|(_, change)| change.pointer.as_str())
        .collect();
    assert_eq!(pointers, ["/A/B/C"]);
}

#[test]
fn a_text_is_one_value() {
    let text = |body| [document("file", "text/plain", body)];
    let difference = diff_documents(&text("a: b: c\n"), &text("[\n"), Style::Tree).unwrap();
    assert_eq!(
        difference.text,
        lines(&["~ |", "~     a: b: c -> |", "~     ["])
    );
    let (_, change) = &difference.changes[0];
    assert_eq!(
        (change.before.as_deref(), change.after.as_deref()),
        (Some("\"a: b: c\\n\""), Some("\"[\\n\""))
    );
}

#[test]
fn every_document_that_can_not_be_compared_is_named() {
    let observed = [
        document("a", ROLE, "{"),
        document("b", ROLE, "{}"),
        document("b", ROLE, "{}"),
    ];
    let desired = [
        document("a", ROLE, "{}"),
        document("b", ROLE, "[1]"),
        document("c", TEMPLATE, "x: 1\nx: 2"),
    ];
    let problems = diff_documents(&observed, &desired, Style::Tree).unwrap_err();
    let messages: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(messages.len(), 4, "{messages:#?}");
    for (message, start) in messages.iter().zip([
        "observed document `b` is there twice",
        "observed document `a`: line 2, column 1",
        "desired document `b`: line 1: the outermost value is not a mapping",
        "desired document `c`: line 2: key `x` is there twice",
    ]) {
        assert!(message.starts_with(start), "{message}");
    }
}

#[test]
fn equal_documents_in_any_order_differ_in_nothing() {
    let (a, b) = (
        document("a", ROLE, r#"{"x": 1}"#),
        document("b", TEMPLATE, "A: !Ref B"),
    );
    let b_again = document("b", TEMPLATE, "A: {Ref: B}");
    for style in [Style::Tree, Style::Collapsed] {
        let difference = diff_documents(&[a, b], &[b_again, a], style).unwrap();
        assert_eq!(
            (difference.text.as_str(), difference.changes.len()),
            ("", 0)
        );
    }
}
