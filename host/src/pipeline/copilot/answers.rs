//! What a renderer of Copilot manifests asks for, answered.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};

use crate::manifest::copilot::Workspace;
use crate::manifest::copilot::asset::{Asset, AssetError};
use crate::manifest::copilot::given_away::{GivenAway, plain};
use crate::wit::renderer::exports::plimsoll::deploy::renderer::Need;

/// Everything that is known of a workload besides its files.
#[derive(Clone, Debug)]
pub struct Known {
    /// The workspace.
    pub workspace: Workspace,
    /// What its manifest and addons name: nothing else is told.
    pub given: GivenAway,
    /// What would come from AWS, or came from there; an empty object before it did.
    pub facts: Json,
    /// What was found of secrets.
    pub secrets: Map<String, Json>,
    /// Warnings are errors.
    pub strict: bool,
    /// `svc` or `job`, when only that will do.
    pub kind: Option<&'static str>,
}

impl Known {
    /// The options of a render.
    pub fn options(&self) -> Json {
        json!({"application": self.workspace.application, "strict": self.strict, "kind": self.kind})
    }

    /// Answers to needs: kind, then name, then value. What is not known is left out.
    pub fn answers(&self, needs: &[Need]) -> Json {
        let mut all: Map<String, Json> = Map::new();
        for need in needs {
            let answers = all.entry(&need.kind).or_insert_with(|| json!({}));
            let answer = match need.kind.as_str() {
                "copilot" => Some(self.facts.clone()),
                "variable" => self
                    .given
                    .variables
                    .get(&need.name)
                    .map(|value| json!(value)),
                "path" => Some(json!(self.paths(&need.name))),
                "digest" => Some(Json::Object(self.digests(&need.name))),
                "asset" => Some(self.asset(&need.name)),
                "secret" => self.secrets.get(&need.name).cloned(),
                _ => None,
            };
            if let (Some(answer), Some(answers)) = (answer, answers.as_object_mut()) {
                answers.insert(need.name.clone(), answer);
            }
        }
        Json::Object(all)
    }

    /// A file of the workspace, or a folder and all that is in it, if the manifest names it.
    fn paths(&self, name: &str) -> Vec<String> {
        match self.given.files.contains(&plain(name)) {
            true => self.workspace.paths(name),
            false => Vec::new(),
        }
    }

    /// What an addon refers to, as it would be uploaded.
    fn asset(&self, name: &str) -> Json {
        let read = || -> Result<Json, AssetError> {
            let asset = Asset::find(&self.workspace.root, name)?;
            if !self.given.assets.contains(&asset.path) {
                return Err(AssetError::Unnamed);
            }
            let mut answer = json!({"archive": asset.sha256()?, "path": asset.path});
            if asset.is_file() {
                answer["file"] = json!(digest(&self.workspace.root.join(&asset.path))?);
            }
            Ok(answer)
        };
        read().unwrap_or_else(|error| json!({"problem": error.to_string()}))
    }

    /// Digests of a file of the workspace, or of all files in a folder of it. What can't be read is not there.
    fn digests(&self, name: &str) -> Map<String, Json> {
        let paths = self.paths(name);
        let files = paths.iter().filter(|path| !path.ends_with('/'));
        files
            .filter_map(|path| {
                let digest = digest(&self.workspace.root.join(path)).ok()?;
                Some((path.clone(), json!(digest)))
            })
            .collect()
    }
}

/// SHA-256 of a file, in hexadecimal.
pub fn digest(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut piece) = (File::open(path)?, Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => hash.update(&piece[..read]),
        }
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
