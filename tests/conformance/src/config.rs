//! Small configurations: accepted or rejected, in which words, and which containers were booted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::batch;
use crate::case::{Case, Git};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Deserialize)]
struct Entry {
    id: String,
    files: BTreeMap<String, String>,
    argv: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    git_repo: bool,
    #[serde(default)]
    executable: Vec<String>,
}

/// Runs every configuration of a file.
///
/// # Errors
/// When it can't be read, or one can't be set up.
pub fn run(cases: &Path, out: &Path) -> Result<()> {
    let entries: Vec<Entry> = serde_json::from_slice(&fs::read(cases)?)?;
    let verdicts: Mutex<BTreeMap<String, Json>> = Mutex::default();
    let folder = std::env::temp_dir().join(format!("conformance-config-{}", std::process::id()));
    batch::each(&entries, |bench, entry| {
        let project = folder.join(&entry.id);
        for (name, text) in &entry.files {
            let path = project.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&project))?;
            fs::write(path, text)?;
        }
        if !entry.files.contains_key("Dockerfile") {
            fs::write(project.join("Dockerfile"), "FROM scratch\n")?;
        }
        let case = Case {
            id: entry.id.clone(),
            argv: entry.argv.clone(),
            env: entry.env.clone(),
            git: Git {
                repo: entry.git_repo,
                user_name: Some("Alice Test".to_owned()),
                user_email: Some("a@b.c".to_owned()),
                ..Git::default()
            },
            executable: entry.executable.clone(),
            ..Case::default()
        };
        let verdict = verdict(&bench.run(&case, &project)?);
        if let Ok(mut verdicts) = verdicts.lock() {
            verdicts.insert(entry.id.clone(), verdict);
        }
        Ok(())
    })?;
    let _ = fs::remove_dir_all(&folder);
    let verdicts = verdicts.into_inner().unwrap_or_default();
    Ok(fs::write(out, serde_json::to_vec_pretty(&verdicts)?)?)
}

fn verdict(document: &Json) -> Json {
    let accepted = document["exit_code"] == 0;
    let hosts = document["hosts"].as_object().into_iter().flatten();
    let runs = hosts.flat_map(|(_, host)| host["run"].as_array().cloned().unwrap_or_default());
    let mut boots: Vec<String> = runs
        .filter_map(|run| run["name"].as_str().map(str::to_owned))
        .collect();
    boots.sort();
    json!({
        "verdict": if accepted { "accept" } else { "reject" },
        "message": document["error"],
        "boots": boots,
    })
}
