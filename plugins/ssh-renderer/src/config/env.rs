//! `env`: clear values and secrets, of the root, of a role, of a host's tag.

use crate::diagnostic::{Findings, Mark};
use crate::schema::check::{join, say, unknown_keys};
use crate::schema::{self, Shape};
use crate::yaml::{Entry, Node};

/// An environment as written; values are not resolved yet.
#[derive(Clone, Debug, Default)]
pub struct Env {
    /// Clear values by name.
    pub clear: Vec<Clear>,
    /// Secrets.
    pub secret: Vec<Secret>,
}

/// A clear value.
#[derive(Clone, Debug)]
pub struct Clear {
    /// Name of the variable.
    pub name: String,
    /// How messages name it: `env/clear/NAME`.
    pub path: String,
    /// Its value.
    pub value: Node,
    /// Where the name is written.
    pub at: Mark,
}

/// `NAME`, or `NAME:SECRET_KEY`.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Name of the variable.
    pub name: String,
    /// Name of the secret.
    pub key: String,
    /// Where it is written.
    pub at: Mark,
}

const SPECIAL: [&str; 3] = ["clear", "secret", "tags"];

impl Env {
    /// Reads what can be read of a section.
    pub fn read(node: Option<&Node>, path: &str) -> Self {
        let Some(node) = node else {
            return Self::default();
        };
        let (clear, path) = match SPECIAL.iter().any(|key| node.get(key).is_some()) {
            true => (
                node.get("clear").map(Node::entries).unwrap_or_default(),
                join(path, "clear"),
            ),
            false => (node.entries(), path.to_owned()),
        };
        let clear = clear.iter().map(|Entry { key, value }| Clear {
            name: key.to_text(),
            path: join(&path, &key.to_text()),
            value: value.clone(),
            at: key.at,
        });
        let secret = node.get("secret").map(Node::items).unwrap_or_default();
        let secret = secret.iter().filter_map(|item| {
            let text = item.as_stringish()?;
            let (name, key) = text.split_once(':').unwrap_or((&text, &text));
            Some(Secret {
                name: name.to_owned(),
                key: key.to_owned(),
                at: item.at,
            })
        });
        Self {
            clear: clear.collect(),
            secret: secret.collect(),
        }
    }

    /// Lays another environment over this one.
    pub fn merge(&mut self, over: &Self) {
        for clear in &over.clear {
            match self.clear.iter_mut().find(|known| known.name == clear.name) {
                Some(known) => *known = clear.clone(),
                None => self.clear.push(clear.clone()),
            }
        }
        for secret in &over.secret {
            if !self
                .secret
                .iter()
                .any(|known| known.name == secret.name && known.key == secret.key)
            {
                self.secret.push(secret.clone());
            }
        }
    }
}

/// Either a flat mapping of clear values, or exactly the keys `clear`, `secret` and, at the root, `tags`.
pub fn check(node: &Node, path: &str, root: bool, findings: &mut Findings) {
    if !SPECIAL.iter().any(|key| node.get(key).is_some()) {
        schema::check(node, &Shape::MapOf(&Shape::Text), path, findings);
        return;
    }
    unknown_keys(node, SPECIAL.into_iter(), path, findings);
    if let Some(clear) = node.get("clear") {
        schema::check(
            clear,
            &Shape::MapOf(&Shape::Text),
            &join(path, "clear"),
            findings,
        );
    }
    if let Some(secret) = node.get("secret") {
        schema::check(
            secret,
            &Shape::List(&Shape::Text),
            &join(path, "secret"),
            findings,
        );
    }
    let Some(tags) = node.get("tags") else { return };
    if !root {
        findings
            .error(
                "misplaced-tags",
                say(path, "tags are only allowed in the root env"),
                node.key_at("tags"),
            )
            .help("move them to `env/tags` at the top level");
        return;
    }
    let path = join(path, "tags");
    if schema::check(tags, &Shape::MapOf(&Shape::AnyMap), &path, findings) {
        for Entry { key, value } in tags.entries() {
            check(value, &join(&path, &key.to_text()), false, findings);
        }
    }
}
