//! Codecs: YAML, ERB, dotenv, quoting and their like, each a file of vectors.

pub mod hosting;
pub mod rendering;

use std::fs;
use std::path::Path;

use serde_json::{Map, Value as Json};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Runs every file of vectors of a folder; the name of the file says what they are.
///
/// # Errors
/// When one can't be read.
pub fn run(folder: &Path, out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(kind) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        let Some(answer) = codec(kind) else {
            eprintln!("nothing here answers {kind}");
            continue;
        };
        let vectors: Vec<Json> = serde_json::from_slice(&fs::read(&path)?)?;
        let answered = |vector: &Json| Some((vector["id"].as_str()?.to_owned(), answer(vector)));
        let answers: Map<String, Json> = vectors.iter().filter_map(answered).collect();
        let out = out.join(format!("{kind}.json"));
        fs::write(out, serde_json::to_vec_pretty(&Json::Object(answers))?)?;
    }
    Ok(())
}

type Codec = fn(&Json) -> Json;

fn codec(kind: &str) -> Option<Codec> {
    Some(match kind {
        "args" => rendering::arguments,
        "buildername" => rendering::builder_name,
        "dotenv" => hosting::secrets,
        "envfile" => hosting::env_file,
        "erb" => hosting::template,
        "glob" => rendering::glob_matches,
        "hostname" => rendering::hostname,
        "quoting" => rendering::quoting,
        "selection" => rendering::selection,
        "version_cmp" => rendering::version_order,
        "yaml" => rendering::scalar,
        "yamldoc" => rendering::document,
        _ => return None,
    })
}

fn text<'a>(vector: &'a Json, key: &str) -> &'a str {
    vector[key].as_str().unwrap_or_default()
}
