//! What Copilot's manifests cost: a template, a manifest of 5,000 lines, a difference of 1 MB.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::Row;
use crate::{LabError, cargo, state};

/// Facts of a made-up environment.
const FACTS: &str = r#"{"schema": 1, "application": {"name": "shop"},
  "environment": {"name": "test", "account_id": "111122223333", "region": "eu-west-1", "version": "v1.42.0",
    "features": ["ALBWorkloads"], "service_discovery_endpoint": "test.shop.local", "manifest": {"name": "test", "type": "Environment"}},
  "artifacts": {"bucket": "b", "kms_key_arn": "arn:aws:kms:eu-west-1:111122223333:key/1"},
  "template_version": "v1.29.0", "unique_id": "5a1f0c3e-7b52-4d1c-9a6e-2f4b8c0d1e37", "images": {},
  "custom_resources": {}}"#;

const MANIFEST: &str = "name: api\ntype: Load Balanced Web Service\nimage:\n  location: nginx:1\n  port: 80\nhttp:\n  path: /\ncpu: 256\nmemory: 512\nvariables:\n  A: b\n";

/// The rows; `plimsoll` makes a command in the folder it is given.
pub(super) fn rows(
    home: &Path,
    plimsoll: impl Fn(&Path, &[&str]) -> std::process::Command,
) -> Result<Vec<Row>, LabError> {
    let mut rows = Vec::new();
    let package = |name: &'static str, folder: &Path, workload: &str, environment: &str| {
        let words = [
            "svc",
            "package",
            "-n",
            workload,
            "-e",
            environment,
            "--facts",
            "facts.json",
        ];
        Row::new(name, plimsoll(folder, &words))
    };
    if let Some((folder, workload, environment)) = largest_golden() {
        let name = "svc package, largest golden";
        rows.push(package(name, &folder, &workload, &environment));
    }
    let small = workspace(&home.join("shop"), MANIFEST)?;
    rows.push(package("svc package, 11 lines", &small, "api", "test"));
    let mut long = MANIFEST.to_owned();
    for number in 0..4_990 {
        // Writing to a string does not fail.
        let _ = writeln!(long, "  VARIABLE_{number}: value {number}");
    }
    let long = workspace(&home.join("long"), &long)?;
    rows.push(package("svc package, 5,000 lines", &long, "api", "test"));
    for (name, every) in [("old.yml", 0), ("new.yml", 97)] {
        state::write(&small.join(name), 0o644, template(every))?;
    }
    let diff = plimsoll(&small, &["template", "diff", "old.yml", "new.yml"]);
    rows.push(Row::new("template diff, 1 MB", diff).ending_with(1));
    Ok(rows)
}

/// A workspace with one service and the facts.
fn workspace(root: &Path, manifest: &str) -> Result<PathBuf, LabError> {
    for (name, text) in [
        ("copilot/.workspace", "application: shop\n"),
        ("copilot/api/manifest.yml", manifest),
        ("facts.json", FACTS),
    ] {
        let path = root.join(name);
        let parent = path.parent().unwrap_or(root);
        fs::create_dir_all(parent).map_err(LabError::file(parent))?;
        state::write(&path, 0o644, text)?;
    }
    Ok(root.to_owned())
}

/// A template of about 1 MB; every so many resources differ.
fn template(every: usize) -> String {
    let mut text = "Resources:\n".to_owned();
    for number in 0..8_000 {
        let changed = every > 0 && number % every == 0;
        let mode = if changed {
            "PROVISIONED"
        } else {
            "PAY_PER_REQUEST"
        };
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "  Table{number}:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      TableName: !Sub '${{App}}-{number}'\n      BillingMode: {mode}\n"
        );
    }
    text
}

/// The visible golden case with the longest template, where the conformance data is.
fn largest_golden() -> Option<(PathBuf, String, String)> {
    let cases = cargo::workspace().join("../shared/conformance/copilot/cases/visible");
    let case = |folder: PathBuf| {
        let text = fs::read_to_string(folder.join("case.json")).ok()?;
        let case: serde_json::Value = serde_json::from_str(&text).ok()?;
        let size = fs::metadata(folder.join("expected.template.json"))
            .ok()?
            .len();
        let told = |key: &str| case[key].as_str().map(str::to_owned);
        let is_ours = case["source"] == "golden"
            && case["kind"] == "svc"
            && case["os_env"].as_object().is_none_or(|env| env.is_empty());
        is_ours.then_some(())?;
        Some((size, (folder, told("name")?, told("env")?)))
    };
    let all = fs::read_dir(cases)
        .ok()?
        .flatten()
        .filter_map(|entry| case(entry.path()));
    all.max_by_key(|(size, _)| *size).map(|(_, found)| found)
}
