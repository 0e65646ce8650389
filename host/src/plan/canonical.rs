//! Values with references as JSON: the form in which effects are promised and compared
//! (`plimsoll:deploy/types.value`).

use serde_json::{Map, Value as Json, json};

use crate::wit::types::{Encoding, Expansion, Part};

/// Canonical JSON of a value: text alone is a string, a lone reference an object, the rest a list of these.
/// Neighbouring texts are joined and empty ones left out, so that equal values are equal JSON.
pub fn value(parts: &[Part]) -> Json {
    let mut items: Vec<Json> = Vec::new();
    for part in parts {
        match (part, items.last_mut()) {
            (Part::Text(text), Some(Json::String(last))) => last.push_str(text),
            (Part::Text(text), _) if text.is_empty() => {}
            (Part::Text(text), _) => items.push(json!(text)),
            (Part::Secret(secret), _) => items.push(match secret.encoding {
                Encoding::Verbatim => json!({"secret": secret.name}),
                Encoding::EnvFile => json!({"secret": secret.name, "encoding": "env-file"}),
            }),
            (Part::Slot(name), _) => items.push(json!({"slot": name})),
            (Part::Remote(expansion), _) => items.push(remote(expansion)),
            (Part::Inherit(name), _) => items.push(json!({"inherit": name})),
            (Part::File(file), _) => items.push(match &file.accessory {
                None => json!({"file": file.path, "digest": file.digest}),
                Some(name) => {
                    json!({"file": file.path, "digest": file.digest, "accessory": name})
                }
            }),
        }
    }
    match items.len() {
        0 => json!(""),
        1 => items.swap_remove(0),
        _ => Json::Array(items),
    }
}

fn remote(expansion: &Expansion) -> Json {
    let mut object = match expansion.command {
        true => json!({"remote-command": expansion.text}),
        false => json!({"remote": expansion.text}),
    };
    if expansion.split {
        object["split"] = json!(true);
    }
    object
}

/// A list of pairs as a list of two-element lists, in the order given.
pub fn pairs<'a, T: 'a>(
    pairs: impl IntoIterator<Item = &'a (String, T)>,
    mut each: impl FnMut(&'a T) -> Json,
) -> Json {
    Json::Array(
        pairs
            .into_iter()
            .map(|(key, item)| json!([key, each(item)]))
            .collect(),
    )
}

/// A canonical value as people read it: secrets, slots and files in angle brackets, what a server's shell resolves as a
/// shell would write it.
pub fn shown(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(shown).collect(),
        Json::Object(object) => reference(object).unwrap_or_else(|| json.to_string()),
        Json::Null | Json::Bool(_) | Json::Number(_) => json.to_string(),
    }
}

fn reference(object: &Map<String, Json>) -> Option<String> {
    let text = |key: &str| object.get(key).and_then(Json::as_str);
    text("secret")
        .map(|name| format!("<secret {name}>"))
        .or_else(|| text("slot").map(|name| format!("<{name}>")))
        .or_else(|| text("remote").map(|what| format!("${{{what}}}")))
        .or_else(|| text("remote-command").map(|what| format!("$({what})")))
        .or_else(|| text("inherit").map(|name| format!("<{name} of the host>")))
        .or_else(|| text("file").map(|path| format!("<file {path}>")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wit::types::{FileRef, SecretRef};

    #[test]
    fn equal_values_are_equal_json_however_they_are_cut() {
        let text = |t: &str| Part::Text(t.to_owned());
        let secret = Part::Secret(SecretRef {
            name: "KEY".to_owned(),
            encoding: Encoding::EnvFile,
        });
        for (parts, expected) in [
            (vec![], json!("")),
            (vec![text("a"), text(""), text("b")], json!("ab")),
            (
                vec![secret.clone()],
                json!({"secret": "KEY", "encoding": "env-file"}),
            ),
            (
                vec![
                    text("--t="),
                    Part::Slot("created/x".into()),
                    text(":"),
                    text("80"),
                ],
                json!(["--t=", {"slot": "created/x"}, ":80"]),
            ),
        ] {
            assert_eq!(value(&parts), expected);
        }
        assert_eq!(shown(&value(&[text("u:"), secret])), "u:<secret KEY>");
    }

    #[test]
    fn what_the_host_resolves_is_named_in_full() {
        let remote = |text: &str, command, split| {
            Part::Remote(Expansion {
                text: text.to_owned(),
                command,
                split,
            })
        };
        let file = |accessory: Option<&str>| {
            Part::File(FileRef {
                path: "a.erb".to_owned(),
                digest: "00".to_owned(),
                accessory: accessory.map(str::to_owned),
            })
        };
        for (part, expected, words) in [
            (
                remote("X:-y", false, false),
                json!({"remote": "X:-y"}),
                "${X:-y}",
            ),
            (
                remote("id", true, true),
                json!({"remote-command": "id", "split": true}),
                "$(id)",
            ),
            (
                Part::Inherit("A".to_owned()),
                json!({"inherit": "A"}),
                "<A of the host>",
            ),
            (
                file(Some("db")),
                json!({"file": "a.erb", "digest": "00", "accessory": "db"}),
                "<file a.erb>",
            ),
        ] {
            assert_eq!(value(std::slice::from_ref(&part)), expected);
            assert_eq!(shown(&expected), words);
        }
    }
}
