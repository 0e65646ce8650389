//! The parts of `builder` that reach outside the project.

use std::rc::Rc;

use super::{text, texts};
use crate::manifest::tree::Node;

/// How images are built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Builder {
    /// Folder of the build context; none builds a clone of HEAD.
    pub context: Option<String>,
    /// The Dockerfile, when it is named.
    pub dockerfile: Option<String>,
    /// URL of a remote builder: `ssh://docker@builder`.
    pub remote: Option<String>,
    /// Driver of buildx: `docker`, `cloud org/name`.
    pub driver: Option<String>,
    /// Names of secrets that the build gets.
    pub secrets: Vec<String>,
    /// Texts in which the deployer's shell may be asked for variables: build arguments by name, and `ssh`.
    pub args: Vec<(String, String)>,
    /// `ssh`: `default=$SSH_AUTH_SOCK`.
    pub ssh: Option<String>,
    /// Where layers are kept between builds.
    pub cache: Option<Cache>,
    /// The builder image and the buildpacks of `pack`.
    pub pack: Vec<String>,
}

/// `builder.cache`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cache {
    /// `gha` or `registry`.
    pub kind: Option<String>,
    /// Image without its registry, when it is named.
    pub image: Option<String>,
    /// `mode=max,…`.
    pub options: Option<String>,
}

impl Builder {
    pub(super) fn read(node: Option<&Rc<Node>>) -> Self {
        let below = |key: &str| node.and_then(|node| node.get(key));
        let args = below("args").map(|args| args.entries()).unwrap_or_default();
        let pack = below("pack");
        Self {
            context: text(node, "context"),
            dockerfile: text(node, "dockerfile"),
            remote: text(node, "remote"),
            driver: text(node, "driver"),
            secrets: texts(below("secrets")),
            args: args
                .iter()
                .map(|entry| {
                    let value = entry.value.text().unwrap_or_default();
                    (entry.key.clone(), value.to_owned())
                })
                .collect(),
            ssh: text(node, "ssh"),
            cache: below("cache").map(|cache| Cache {
                kind: text(Some(cache), "type"),
                image: text(Some(cache), "image"),
                options: text(Some(cache), "options"),
            }),
            pack: text(pack, "builder")
                .into_iter()
                .chain(texts(pack.and_then(|pack| pack.get("buildpacks"))))
                .collect(),
        }
    }
}
