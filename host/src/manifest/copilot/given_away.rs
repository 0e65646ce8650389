//! What of a workspace, and of the environment's variables, a manifest and its addons name, as the host itself reads them.
//! A renderer is told of nothing else, and nothing else is uploaded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::WorkloadFile;
use super::asset::Asset;
use crate::manifest::tree::Node;

/// Keys of a CloudFormation template below which `aws cloudformation package`, and Copilot with it, takes a path of this
/// machine for what has to be in S3. What is below such a key of another resource is a bound too, only a wider one.
const ASSETS: &[&str] = &[
    "BodyS3Location",
    "Code",
    "CodeUri",
    "Content",
    "ContentUri",
    "DefinitionS3Location",
    "DefinitionUri",
    "Location",
    "RequestMappingTemplateS3Location",
    "ResponseMappingTemplateS3Location",
    "S3",
    "ScriptLocation",
    "SourceBundle",
    "TemplateURL",
];

/// What a workload's own files name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenAway {
    /// Names that stand in its manifest as `${NAME}`.
    pub named: BTreeSet<String>,
    /// Those of them that are set.
    pub variables: BTreeMap<String, String>,
    /// Environment files, and what a static site serves: without `./` and a slash at the end. Folders with all that
    /// is in them.
    pub files: BTreeSet<String>,
    /// How images are built, of all containers.
    pub builds: Builds,
    /// What addons refer to, relative to the workspace. What is not there, or not in the workspace, is not given away.
    pub assets: BTreeSet<String>,
}

/// What `build` says, wherever it stands. Paths are without `./` and a slash at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Builds {
    /// Folders.
    pub contexts: BTreeSet<String>,
    /// Files.
    pub dockerfiles: BTreeSet<String>,
    /// Images, or whole values of `--cache-from`.
    pub caches: BTreeSet<String>,
}

impl GivenAway {
    /// Reads a workload's files: its manifest, then addons and overrides. `process` are all variables that are set.
    pub fn read(
        root: &Path,
        application: &str,
        environment: &str,
        files: &[WorkloadFile],
        process: &BTreeMap<String, String>,
    ) -> Self {
        let mut given = Self::default();
        let Some((manifest, others)) = files.split_first() else {
            return given;
        };
        let named = named_variables(&manifest.text);
        let told = named.iter().filter(|name| !CREDENTIALS.contains(*name));
        let set = told.filter_map(|name| {
            let value = process.get(*name)?;
            Some(((*name).to_owned(), value.clone()))
        });
        given.variables = set.collect();
        given.named = named.into_iter().map(str::to_owned).collect();
        let mut known = given.variables.clone();
        for (name, value) in [
            ("COPILOT_APPLICATION_NAME", application),
            ("COPILOT_ENVIRONMENT_NAME", environment),
        ] {
            known.insert(name.to_owned(), value.to_owned());
        }
        if let Ok(tree) = Node::parse(&manifest.path, &manifest.text) {
            collect_files(&tree, &known, &mut given.files);
            collect_builds(&tree, &known, &mut given.builds);
        }
        let addons = others.iter().filter(|file| file.path.contains("/addons/"));
        let mut names = Vec::new();
        for addon in addons {
            if let Ok(tree) = Node::parse(&addon.path, &addon.text) {
                collect_assets(&tree, &mut names);
            }
        }
        let assets = names.iter().filter_map(|name| Asset::find(root, name).ok());
        given.assets = assets.map(|asset| asset.path).collect();
        given
    }
}

/// Variables that no manifest gets, whatever it names: templates are read by many.
const CREDENTIALS: [&str; 3] = [
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
];

/// Names in `${…}`.
fn named_variables(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for behind in text.split("${").skip(1) {
        let Some((name, _)) = behind.split_once('}') else {
            continue;
        };
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_name && !name.starts_with(|c: char| c.is_ascii_digit()) {
            found.insert(name);
        }
    }
    found
}

/// A text of the manifest with its variables.
fn expanded(node: &Node, variables: &BTreeMap<String, String>) -> Option<String> {
    let mut text = node.text()?.to_owned();
    for (name, value) in variables {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    Some(text)
}

/// A path without `./` and a slash at the end; `.` for the project itself.
pub fn plain(path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let root = if path.starts_with('/') { "/" } else { "" };
    match parts.join("/").as_str() {
        "" if root.is_empty() => ".".to_owned(),
        joined => format!("{root}{joined}"),
    }
}

/// A file's folder is the context of a build that names none, and a context's `Dockerfile` its file.
fn collect_builds(node: &Node, variables: &BTreeMap<String, String>, to: &mut Builds) {
    let dockerfile = |path: &str, to: &mut Builds| {
        let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
        to.contexts.insert(plain(folder));
        to.dockerfiles.insert(plain(path));
    };
    for entry in node.entries() {
        let build = &entry.value;
        if entry.key == "build" {
            let text = |key: &str| expanded(build.get(key)?, variables);
            match expanded(build, variables) {
                Some(path) => dockerfile(&path, to),
                None => {
                    let (context, file) = (text("context"), text("dockerfile"));
                    // Without either it is the project's own.
                    let own = file.is_none().then(|| ".".to_owned());
                    if let Some(context) = context.or(own) {
                        to.contexts.insert(plain(&context));
                        to.dockerfiles
                            .insert(plain(&format!("{context}/Dockerfile")));
                    }
                    if let Some(path) = file {
                        dockerfile(&path, to);
                    }
                }
            }
            let caches = build.get("cache_from").into_iter();
            let caches = caches.flat_map(|list| list.items().to_vec());
            to.caches
                .extend(caches.filter_map(|cache| expanded(&cache, variables)));
        }
        collect_builds(build, variables, to);
    }
}

fn collect_files(node: &Node, variables: &BTreeMap<String, String>, to: &mut BTreeSet<String>) {
    let mut put = |node: &Node| to.extend(expanded(node, variables).map(|path| plain(&path)));
    for entry in node.entries() {
        match entry.key.as_str() {
            "env_file" => put(&entry.value),
            "files" => {
                let sources = entry.value.items().iter();
                sources
                    .filter_map(|file| file.get("source"))
                    .for_each(|source| put(source));
            }
            _ => {}
        }
    }
    for entry in node.entries() {
        collect_files(&entry.value, variables, to);
    }
}

fn collect_assets(node: &Node, found: &mut Vec<String>) {
    for entry in node.entries() {
        if ASSETS.contains(&entry.key.as_str()) {
            found.extend(entry.value.text().map(str::to_owned));
        }
        collect_assets(&entry.value, found);
    }
    for item in node.items() {
        collect_assets(item, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> WorkloadFile {
        WorkloadFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn set(of: &[&str]) -> BTreeSet<String> {
        of.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn only_what_the_manifest_names_is_given_away() {
        let manifest = "env_file: ${DIR}/a.env\nfiles: [{source: ./public/}]\n\
            sidecars: {x: {env_file: '${COPILOT_ENVIRONMENT_NAME}.env'}}\n\
            environments: {t: {files: [{source: extra}]}}\nvariables: {KEY: .ssh/id_rsa, A: '$B ${0C} ${D E} ${UNSET}'}\n";
        let variables =
            ["DIR", "B", "AWS_SECRET_ACCESS_KEY"].map(|name| (name.to_owned(), "conf".to_owned()));
        let read = |manifest| {
            let files = [file("copilot/api/manifest.yml", manifest)];
            let variables = BTreeMap::from(variables.clone());
            GivenAway::read(Path::new("/nowhere"), "shop", "test", &files, &variables)
        };
        let given = read(manifest);
        assert_eq!(
            given.files,
            set(&["conf/a.env", "extra", "public", "test.env"])
        );
        assert_eq!(given.variables.into_keys().collect::<Vec<_>>(), ["DIR"]);
        assert_eq!(read("["), GivenAway::default());
    }

    #[test]
    fn builds_are_what_the_manifest_says_of_them() {
        let manifest = "image: {build: {dockerfile: ./api/Dockerfile, cache_from: ['${COPILOT_APPLICATION_NAME}:1']}}\n\
            sidecars: {log: {image: {build: log/Dockerfile.log}}}\nenvironments: {t: {image: {build: {context: other/}}}}\n";
        let files = [file("copilot/api/manifest.yml", manifest)];
        let given = GivenAway::read(Path::new("/"), "shop", "test", &files, &BTreeMap::new());
        assert_eq!(given.builds.contexts, set(&["api", "log", "other"]));
        assert_eq!(
            given.builds.dockerfiles,
            set(&["api/Dockerfile", "log/Dockerfile.log", "other/Dockerfile"])
        );
        assert_eq!(given.builds.caches, set(&["shop:1"]));
        let plains = ["./a/./b/", ".", "/etc/", "a/../b"].map(plain);
        assert_eq!(plains, ["a/b", ".", "/etc", "a/../b"]);
    }

    #[test]
    fn an_addon_gives_away_what_it_names_where_an_object_of_s3_has_to_be() {
        let root = std::env::temp_dir().join(format!("plimsoll-given-{}", std::process::id()));
        for name in ["lambdas/a/index.js", "job.py", "api.yml", ".env"] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("creates");
            std::fs::write(path, "").expect("writes");
        }
        let addon = "Resources:\n  F: {Type: 'AWS::Lambda::Function', Properties: {Code: ./lambdas/a/, Handler: .env}}\n  \
            J: {Type: 'AWS::Glue::Job', Properties: {Command: {ScriptLocation: job.py}}}\n  \
            K: {Type: X, Properties: {Code: s3://b/k, CodeUri: ../, Content: gone}}\n\
            Outputs: {O: {'Fn::Transform': {Name: 'AWS::Include', Parameters: {Location: api.yml}}}}\n";
        let files = [
            file("copilot/api/manifest.yml", "variables: {Code: .env}\n"),
            file("copilot/api/addons/a.yml", addon),
            file(
                "copilot/api/overrides/cfn.patches.yml",
                "[{value: {Code: .env}}]",
            ),
        ];
        let given = GivenAway::read(&root, "shop", "test", &files, &BTreeMap::new());
        assert_eq!(given.assets, set(&["api.yml", "job.py", "lambdas/a"]));
        std::fs::remove_dir_all(&root).expect("removes");
    }
}
