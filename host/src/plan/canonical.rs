//! Values with references as JSON: the form in which effects are promised and compared
//! (`plimsoll:deploy/types.value`).

use serde_json::{Map, Value as Json, json};

use crate::wit::types::{Encoding, Part};

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
        }
    }
    match items.len() {
        0 => json!(""),
        1 => items.swap_remove(0),
        _ => Json::Array(items),
    }
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

/// A canonical value as people read it: secrets and slots in angle brackets.
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wit::types::SecretRef;

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
}
