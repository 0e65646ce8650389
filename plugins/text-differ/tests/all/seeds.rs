//! The example of the documents that plimsoll was made from, with a template of our own.

use crate::{collapsed, lines, tree};

const OLD: &str = "
Resources:
  TaskDefinition:
    Properties:
      ContainerDefinitions:
        - Name: web
          Environment:
            - {Name: A, Value: 1}
            - {Name: B, Value: 2}
            - {Name: C, Value: 3}
            - {Name: D, Value: 4}
";
const NEW: &str = r#"
Resources:
  TaskDefinition:
    Properties:
      ContainerDefinitions:
        - Name: web
          Environment:
            - {Name: A, Value: 1}
            - {Name: B, Value: 2}
            - {Name: C, Value: 3}
            - {Name: D, Value: 4}
            - Name: LOG_LEVEL
              Value: "info"
"#;

#[test]
fn the_default_style_has_every_parent_on_its_own_line() {
    let expected = lines(&[
        "~ Resources:",
        "    ~ TaskDefinition:",
        "        ~ Properties:",
        "            ~ ContainerDefinitions:",
        "                ~ - (changed item)",
        "                  ~ Environment:",
        "                      (4 unchanged items)",
        "                      + - Name: LOG_LEVEL",
        "                      +   Value: \"info\"",
    ]);
    assert_eq!(tree(OLD, NEW), expected);
}

#[test]
fn the_collapsed_style_joins_parents_with_one_child() {
    let expected = lines(&[
        "~ Resources/TaskDefinition/Properties/ContainerDefinitions:",
        "    ~ - (changed item)",
        "      ~ Environment:",
        "          (4 unchanged items)",
        "          + - Name: LOG_LEVEL",
        "          +   Value: \"info\"",
    ]);
    assert_eq!(collapsed(OLD, NEW), expected);
}
