//! Names for what is different every time, and marks of what only the remote shell knows.

use serde_json::{Value as Json, json};

use super::Facts;

/// What has a name of its own in this run.
#[derive(Default)]
pub(crate) struct Names {
    /// The commit, when it is the version.
    commit: Option<String>,
    /// Who deploys.
    performer: Option<String>,
}

impl Names {
    pub(super) fn of(facts: &Facts<'_>) -> Self {
        let case = &facts.inner.case;
        let flags = crate::given::parse(&case.argv).1;
        let given = flags.contains_key("--version")
            || case
                .env
                .get("VERSION")
                .is_some_and(|version| !version.is_empty());
        let commit = (!given && case.git.repo)
            .then(|| commit(&facts.inner.folder.join("project")))
            .flatten();
        Self {
            commit,
            performer: case.git.user_email.clone(),
        }
    }

    /// Takes them out of a document that carries them.
    pub(super) fn read(document: &Json) -> Self {
        let text = |key: &str| document["names"][key].as_str().map(str::to_owned);
        Self {
            commit: text("commit"),
            performer: text("performer"),
        }
    }

    fn write(&self) -> Json {
        json!({"commit": self.commit, "performer": self.performer})
    }

    /// A text with the names.
    pub(super) fn in_text(&self, text: &str) -> String {
        let mut text = replaced(text);
        if let Some(commit) = &self.commit {
            text = text.replace(commit.as_str(), "<GITSHA>");
            text = text.replace(&commit[..7], "<GITSHA7>");
            text = hexadecimal(&text, "_uncommitted_");
        }
        times(&text)
    }

    pub(super) fn performer(&self, value: &str) -> bool {
        self.performer.as_deref() == Some(value) || value == "deployer"
    }
}

fn commit(project: &std::path::Path) -> Option<String> {
    let head = std::fs::read_to_string(project.join(".git/HEAD")).ok()?;
    let reference = head.trim().strip_prefix("ref: ")?;
    let commit = std::fs::read_to_string(project.join(".git").join(reference)).ok()?;
    Some(commit.trim().to_owned()).filter(|commit| commit.len() == 40)
}

/// `_replaced_` and 16 hexadecimal digits.
fn replaced(text: &str) -> String {
    hexadecimal(text, "_replaced_")
}

fn hexadecimal(text: &str, after: &str) -> String {
    let mut pieces = text.split(after);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str(after);
        let digits = piece
            .chars()
            .take(16)
            .filter(char::is_ascii_hexdigit)
            .count();
        if digits == 16 {
            out.push_str("<HEX16>");
            out.push_str(&piece[16..]);
        } else {
            out.push_str(piece);
        }
    }
    out
}

/// `2026-01-02T03:04:05Z`.
fn times(text: &str) -> String {
    let bytes = text.as_bytes();
    let is_time = |at: usize| {
        let Some(found) = bytes.get(at..at + 20) else {
            return false;
        };
        b"dddd-dd-ddTdd:dd:ddZ"
            .iter()
            .zip(found)
            .all(|(form, byte)| match form {
                b'd' => byte.is_ascii_digit(),
                other => other == byte,
            })
    };
    let (mut out, mut from) = (String::new(), 0);
    for (at, _) in text.char_indices() {
        if at >= from && is_time(at) {
            out.push_str(&text[from..at]);
            out.push_str("<TIME>");
            from = at + 20;
        }
    }
    out.push_str(&text[from..]);
    out
}

/// A document with the names everywhere, and the names themselves for what comes later.
pub(super) fn placed(mut document: Json, names: &Names) -> Json {
    walk(&mut document, names);
    if let Some(top) = document.as_object_mut() {
        top.insert("names".into(), names.write());
    }
    document
}

fn walk(value: &mut Json, names: &Names) {
    match value {
        Json::String(text) => *text = names.in_text(text),
        Json::Array(items) => items.iter_mut().for_each(|item| walk(item, names)),
        Json::Object(map) => map.values_mut().for_each(|value| walk(value, names)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// A value with its marks: what the remote shell has put there.
pub(super) fn marked(text: &str) -> Json {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, kind, inside, after)) = mark(rest) {
        if !before.is_empty() {
            parts.push(json!(before));
        }
        parts.push(match kind {
            "command" => json!({"remote_cmd": inside}),
            "inherit" if before.is_empty() && after.is_empty() => json!({"inherit": inside}),
            _ => json!({"remote": inside}),
        });
        rest = after;
    }
    if parts.is_empty() {
        return json!(text);
    }
    if !rest.is_empty() {
        parts.push(json!(rest));
    }
    match parts.as_slice() {
        [only] => only.clone(),
        _ => json!({"concat": parts}),
    }
}

/// The first mark of a text: what is before it, its kind, what is in it, what comes after.
fn mark(text: &str) -> Option<(&str, &str, &str, &str)> {
    let kinds = ["remote", "inherit", "command"];
    let found = kinds
        .iter()
        .filter_map(|kind| Some((text.find(&format!("__{kind}."))?, *kind)));
    let (at, kind) = found.min()?;
    let (before, rest) = text.split_at(at);
    let rest = &rest[kind.len() + 3..];
    let (inside, after) = rest.split_once(".__")?;
    Some((before, kind, inside, after))
}
