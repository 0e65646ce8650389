//! Options of `docker run`, and where volumes come from.

use std::rc::Rc;

use crate::manifest::tree::{Data, Node};

/// One long option.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DockerOption {
    /// With dashes, as on the command line: `cap-add`.
    pub name: String,
    /// As text; a flag has the value `true`.
    pub value: String,
}

impl DockerOption {
    /// What the option mounts of the host, if it does: `volume`, `mount`.
    pub fn mounted(&self) -> Option<&str> {
        match self.name.as_str() {
            "volume" | "v" => source(&self.value),
            "mount" => self.value.split(',').find_map(|part| {
                let (key, value) = part.split_once('=')?;
                let key = key.to_ascii_lowercase();
                matches!(key.as_str(), "source" | "src").then_some(value)
            }),
            _ => None,
        }
    }
}

/// The options of a map: a list gives the option once an item, a map once a `KEY=VALUE`.
pub(super) fn read(node: Option<&Rc<Node>>) -> Vec<DockerOption> {
    let mut options = Vec::new();
    for entry in node.map(|node| node.entries()).unwrap_or_default() {
        let name = entry.key.replace('_', "-");
        let mut give = |value: String| {
            options.push(DockerOption {
                name: name.clone(),
                value,
            });
        };
        match &entry.value.data {
            Data::Scalar { text, .. } => give(match entry.value.boolean() {
                Some(value) => value.to_string(),
                None => text.clone(),
            }),
            Data::Sequence(items) => {
                let texts = items.iter().filter_map(|item| item.text());
                texts.for_each(|text| give(text.to_owned()));
            }
            Data::Mapping(entries) => {
                for inner in entries {
                    give(format!(
                        "{}={}",
                        inner.key,
                        inner.value.text().unwrap_or_default()
                    ));
                }
            }
        }
    }
    options
}

/// Host side of `SOURCE:TARGET[:OPTIONS]` items. An anonymous volume has none.
pub(super) fn volume_sources(node: Option<&Rc<Node>>) -> Vec<String> {
    let items = node.map(|node| node.items()).unwrap_or_default();
    let sources = items.iter().filter_map(|item| source(item.text()?));
    sources.map(ToOwned::to_owned).collect()
}

fn source(volume: &str) -> Option<&str> {
    // The operator of `${VAR:-default}` is not the colon between source and target.
    let from = match volume.find('}') {
        Some(brace) if volume.starts_with("${") => brace,
        _ => 0,
    };
    let colon = volume[from..].find(':')?;
    Some(&volume[..from + colon])
}
