//! Text with references in it. Secrets and slots are named here and filled in by the host.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value as Json};

/// How a secret's bytes are written at their sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// The bytes as they are.
    Verbatim,
    /// As a container sees them after Kamal's env file (`kamal.md` §4.3).
    EnvFile,
}

/// One piece of a [`Value`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Literal text.
    Text(String),
    /// A secret by name.
    Secret(String, Encoding),
    /// Something known only later: `image/NAME`, `created/EFFECT`, `now`, `performer`, `runtime`.
    Slot(String),
}

/// Parts joined without a separator.
///
/// Its JSON is the canonical form of `plimsoll:deploy/types.value`: a string when there is only text, a lone
/// reference as an object, everything else as a list of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(Vec<Part>);

impl Value {
    /// Literal text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::default().and_text(text)
    }

    /// A secret, written verbatim.
    pub fn secret(name: impl Into<String>) -> Self {
        Self(vec![Part::Secret(name.into(), Encoding::Verbatim)])
    }

    /// A secret as Kamal's env file would give it to a container.
    pub fn env_file_secret(name: impl Into<String>) -> Self {
        Self(vec![Part::Secret(name.into(), Encoding::EnvFile)])
    }

    /// A slot.
    pub fn slot(name: impl Into<String>) -> Self {
        Self(vec![Part::Slot(name.into())])
    }

    /// Adds literal text; neighbouring texts become one part.
    #[must_use]
    pub fn and_text(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        match self.0.last_mut() {
            Some(Part::Text(last)) => last.push_str(&text),
            _ if text.is_empty() => {}
            _ => self.0.push(Part::Text(text)),
        }
        self
    }

    /// Adds a slot.
    #[must_use]
    pub fn and_slot(mut self, name: impl Into<String>) -> Self {
        self.0.push(Part::Slot(name.into()));
        self
    }

    /// The parts in order; none is the empty text.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The text, when there is nothing but text.
    pub fn as_text(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Names of the secrets in it.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Secret(name, _) => Some(name.as_str()),
            Part::Text(_) | Part::Slot(_) => None,
        })
    }

    /// The canonical JSON.
    pub fn to_json(&self) -> Json {
        match self.0.as_slice() {
            [] => Json::String(String::new()),
            [only] => part_to_json(only),
            many => Json::Array(many.iter().map(part_to_json).collect()),
        }
    }
}

fn part_to_json(part: &Part) -> Json {
    let object = |pairs: &[(&str, &str)]| {
        Json::Object(
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), Json::String((*v).to_owned())))
                .collect::<Map<_, _>>(),
        )
    };
    match part {
        Part::Text(text) => Json::String(text.clone()),
        Part::Secret(name, Encoding::Verbatim) => object(&[("secret", name)]),
        Part::Secret(name, Encoding::EnvFile) => {
            object(&[("secret", name), ("encoding", "env-file")])
        }
        Part::Slot(name) => object(&[("slot", name)]),
    }
}

fn part_from_json(json: &Json) -> Option<Part> {
    let object = match json {
        Json::String(text) => return Some(Part::Text(text.clone())),
        Json::Object(object) => object,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => return None,
    };
    let text = |key: &str| object.get(key).and_then(Json::as_str).map(str::to_owned);
    match (
        text("secret"),
        text("slot"),
        object.get("encoding").map(|e| e.as_str()),
    ) {
        (Some(name), None, None) => Some(Part::Secret(name, Encoding::Verbatim)),
        (Some(name), None, Some(Some("env-file"))) => Some(Part::Secret(name, Encoding::EnvFile)),
        (None, Some(name), None) => Some(Part::Slot(name)),
        _ => None,
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        let parts = match &json {
            Json::Array(items) => items.iter().map(part_from_json).collect::<Option<Vec<_>>>(),
            Json::String(text) if text.is_empty() => Some(Vec::new()),
            Json::String(_) | Json::Object(_) => part_from_json(&json).map(|part| vec![part]),
            Json::Null | Json::Bool(_) | Json::Number(_) => None,
        };
        let expected = "expected text, {\"secret\": NAME}, {\"slot\": NAME} or a list of these";
        parts
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_its_canonical_json_and_back() {
        for (value, json) in [
            (Value::text(""), r#""""#),
            (Value::text("a").and_text("b"), r#""ab""#),
            (Value::secret("KEY"), r#"{"secret":"KEY"}"#),
            (
                Value::env_file_secret("KEY"),
                r#"{"secret":"KEY","encoding":"env-file"}"#,
            ),
            (
                Value::text("--target=")
                    .and_slot("created/x")
                    .and_text(":80"),
                r#"["--target=",{"slot":"created/x"},":80"]"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&value).expect("serialises"), json);
            assert_eq!(serde_json::from_str::<Value>(json).expect("parses"), value);
        }
    }

    #[test]
    fn what_is_not_a_value_is_refused() {
        for json in [
            "null",
            "1",
            r#"{"secret":"A","slot":"B"}"#,
            r#"{"secret":"A","encoding":"rot13"}"#,
            "[[]]",
        ] {
            assert!(serde_json::from_str::<Value>(json).is_err(), "{json}");
        }
    }
}
