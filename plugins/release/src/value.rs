//! Text with references in it. Secrets, slots, files and what only a server's shell knows are named here and filled in
//! by the host.

use std::borrow::Cow;

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

/// What the shell of the host that a value goes to puts in its place; in a build, the deployer's shell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expansion {
    /// What stands between `${` and `}`, or between `$(` and `)` when it is a command.
    pub text: String,
    /// The output of a command, without the line breaks at its end.
    pub command: bool,
    /// It stands outside of quotes: among the words of a command, the result becomes as many words as it has between
    /// spaces, tabs and line breaks, and none when it is empty.
    pub split: bool,
}

/// A file of the project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileRef {
    /// Where the manifest says it is, relative to the project.
    pub path: String,
    /// SHA-256 of the file as it is on disk, in hexadecimal: what was planned is what arrives.
    pub digest: String,
    /// The accessory that it belongs to. A name that ends in `erb` is then a template, resolved with that accessory's
    /// environment on top of the deployer's.
    pub accessory: Option<String>,
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
    /// Something only the host's shell knows.
    Remote(Expansion),
    /// Stands alone, as the value of an environment variable: what the host's shell has under this name; when it has
    /// none, there is no such variable (`docker run --env NAME`).
    Inherit(String),
    /// The content of a file.
    File(FileRef),
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

    /// A variable of the host's shell, or nothing at all.
    pub fn inherit(name: impl Into<String>) -> Self {
        Self(vec![Part::Inherit(name.into())])
    }

    /// A file's content.
    pub fn file(file: FileRef) -> Self {
        Self(vec![Part::File(file)])
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

    /// Adds what the host's shell knows.
    #[must_use]
    pub fn and_remote(mut self, expansion: Expansion) -> Self {
        self.0.push(Part::Remote(expansion));
        self
    }

    /// Adds another value.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        other
            .0
            .into_iter()
            .fold(self, |mut whole, part| match part {
                Part::Text(text) => whole.and_text(text),
                part => {
                    whole.0.push(part);
                    whole
                }
            })
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

    /// For people, and for looking at how it begins: references in angle brackets.
    pub fn shown(&self) -> Cow<'_, str> {
        match self.as_text() {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.0.iter().map(part_shown).collect()),
        }
    }

    /// Names of the secrets in it.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Secret(name, _) => Some(name.as_str()),
            Part::Text(_) | Part::Slot(_) | Part::Remote(_) | Part::Inherit(_) | Part::File(_) => {
                None
            }
        })
    }

    /// Whether the host's shell has to be asked for some of it.
    pub fn is_remote(&self) -> bool {
        self.0
            .iter()
            .any(|part| matches!(part, Part::Remote(_) | Part::Inherit(_)))
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

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

/// A value that is nothing but this text.
impl PartialEq<&str> for Value {
    fn eq(&self, text: &&str) -> bool {
        self.as_text() == Some(text)
    }
}

impl FromIterator<Part> for Value {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Self {
        parts
            .into_iter()
            .fold(Self::default(), |whole, part| whole.and(Self(vec![part])))
    }
}

fn part_shown(part: &Part) -> String {
    match part {
        Part::Text(text) => text.clone(),
        Part::Secret(name, _) => format!("<secret {name}>"),
        Part::Slot(name) => format!("<{name}>"),
        Part::Remote(Expansion { text, command, .. }) => match command {
            true => format!("$({text})"),
            false => format!("${{{text}}}"),
        },
        Part::Inherit(name) => format!("<{name} of the host>"),
        Part::File(file) => format!("<file {}>", file.path),
    }
}

fn part_to_json(part: &Part) -> Json {
    let object = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), Json::String((*v).to_owned())))
            .collect::<Map<_, _>>()
    };
    Json::Object(match part {
        Part::Text(text) => return Json::String(text.clone()),
        Part::Secret(name, Encoding::Verbatim) => object(&[("secret", name)]),
        Part::Secret(name, Encoding::EnvFile) => {
            object(&[("secret", name), ("encoding", "env-file")])
        }
        Part::Slot(name) => object(&[("slot", name)]),
        Part::Remote(expansion) => {
            let key = match expansion.command {
                true => "remote-command",
                false => "remote",
            };
            let mut object = object(&[(key, &expansion.text)]);
            if expansion.split {
                object.insert("split".to_owned(), Json::Bool(true));
            }
            object
        }
        Part::Inherit(name) => object(&[("inherit", name)]),
        Part::File(file) => {
            let accessory = file
                .accessory
                .iter()
                .map(|name| ("accessory", name.as_str()));
            let own = [("file", file.path.as_str()), ("digest", &file.digest)];
            object(&own.into_iter().chain(accessory).collect::<Vec<_>>())
        }
    })
}

fn part_from_json(json: &Json) -> Option<Part> {
    let object = match json {
        Json::String(text) => return Some(Part::Text(text.clone())),
        Json::Object(object) => object,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => return None,
    };
    let text = |key: &str| object.get(key).and_then(Json::as_str).map(str::to_owned);
    let expansion = |text: String, command: bool| {
        let split = match object.get("split") {
            None => false,
            Some(split) => split.as_bool()?,
        };
        Some(Part::Remote(Expansion {
            text,
            command,
            split,
        }))
    };
    let allowed = |keys: &[&str]| object.keys().all(|key| keys.contains(&key.as_str()));
    if let Some(name) = text("secret").filter(|_| allowed(&["secret", "encoding"])) {
        return match object.get("encoding").map(|e| e.as_str()) {
            None => Some(Part::Secret(name, Encoding::Verbatim)),
            Some(Some("env-file")) => Some(Part::Secret(name, Encoding::EnvFile)),
            Some(_) => None,
        };
    }
    if let Some(name) = text("slot").filter(|_| allowed(&["slot"])) {
        return Some(Part::Slot(name));
    }
    if let Some(name) = text("inherit").filter(|_| allowed(&["inherit"])) {
        return Some(Part::Inherit(name));
    }
    if let Some(what) = text("remote").filter(|_| allowed(&["remote", "split"])) {
        return expansion(what, false);
    }
    if let Some(what) = text("remote-command").filter(|_| allowed(&["remote-command", "split"])) {
        return expansion(what, true);
    }
    let path = text("file").filter(|_| allowed(&["file", "digest", "accessory"]))?;
    let digest = text("digest")?;
    let accessory = match object.get("accessory") {
        None => None,
        Some(name) => Some(name.as_str()?.to_owned()),
    };
    Some(Part::File(FileRef {
        path,
        digest,
        accessory,
    }))
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
        let expected = "expected text, {\"secret\": NAME}, {\"slot\": NAME}, {\"remote\": VARIABLE}, \
                        {\"inherit\": VARIABLE}, {\"file\": PATH, \"digest\": SHA256} or a list of these";
        parts
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(text: &str, command: bool, split: bool) -> Value {
        Value::default().and_remote(Expansion {
            text: text.into(),
            command,
            split,
        })
    }

    #[test]
    fn a_value_is_its_canonical_json_and_back() {
        let file = |accessory: Option<&str>| {
            Value::file(FileRef {
                path: "a.erb".into(),
                digest: "00".into(),
                accessory: accessory.map(str::to_owned),
            })
        };
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
            (remote("X:-y", false, false), r#"{"remote":"X:-y"}"#),
            (
                Value::text("--n=").and(remote("hostname", true, true)),
                r#"["--n=",{"remote-command":"hostname","split":true}]"#,
            ),
            (Value::inherit("A"), r#"{"inherit":"A"}"#),
            (file(None), r#"{"file":"a.erb","digest":"00"}"#),
            (
                file(Some("db")),
                r#"{"file":"a.erb","digest":"00","accessory":"db"}"#,
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
            r#"{"remote":"A","split":1}"#,
            r#"{"remote":"A","remote-command":"B"}"#,
            r#"{"file":"A"}"#,
            r#"{"inherit":"A","split":true}"#,
            "[[]]",
        ] {
            assert!(serde_json::from_str::<Value>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn texts_that_meet_become_one() {
        let value: Value = ["a", "b"]
            .map(|t| Part::Text(t.into()))
            .into_iter()
            .collect();
        assert_eq!(value, Value::text("ab"));
        assert_eq!(Value::text("a").and(Value::text("b")).as_text(), Some("ab"));
        assert_eq!(
            Value::text("a ").and(remote("B", false, false)).shown(),
            "a ${B}"
        );
    }
}
