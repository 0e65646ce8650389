//! Every visible Copilot case, rendered and looked through by cfn-lint: errors line by line, warnings counted by rule.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{command, run};
use crate::report::{print, say};
use crate::{LabError, cargo, state};

/// Released in 2026; newer ones may find more.
const CFN_LINT: &str = "cfn-lint==1.*";

/// Prints what cfn-lint says of the templates that plimsoll renders.
pub fn lint() -> Result<(), LabError> {
    let cases = cargo::workspace().join("../shared/conformance/copilot/cases/visible");
    if !cases.is_dir() {
        say(format!(
            "skipped: no conformance data at {}",
            cases.display()
        ));
        return Ok(());
    }
    let lint = install()?;
    say("building plimsoll");
    let plimsoll = cargo::build(cargo::workspace(), &["--package", "plimsoll"])?;
    let out = state::folder()?.join("templates");
    if out.exists() {
        fs::remove_dir_all(&out).map_err(LabError::file(&out))?;
    }
    let mut templates = Vec::new();
    for entry in fs::read_dir(&cases)
        .map_err(LabError::file(&cases))?
        .flatten()
    {
        templates.push(render(&plimsoll, &entry.path(), &out)?);
    }
    templates.sort();
    // Its exit code says that there are findings, which is what is asked.
    let mut findings = command(&lint.to_string_lossy(), ["--format", "parseable"]);
    let said = findings
        .args(&templates)
        .output()
        .map_err(LabError::file(&lint))?;
    report(
        &String::from_utf8_lossy(&said.stdout),
        templates.len(),
        &out,
    );
    Ok(())
}

fn install() -> Result<PathBuf, LabError> {
    let folder = state::cache()?.join("plimsoll-cfn-lint");
    let program = folder.join("bin/cfn-lint");
    if !program.exists() {
        say("installing cfn-lint");
        run(command("python3", ["-m", "venv"]).arg(&folder))?;
        run(&mut command(
            &folder.join("bin/pip").to_string_lossy(),
            ["install", "--quiet", CFN_LINT],
        ))?;
    }
    Ok(program)
}

/// Renders a case and answers where its template is.
fn render(plimsoll: &Path, case: &Path, out: &Path) -> Result<PathBuf, LabError> {
    let file = case.join("case.json");
    let text = fs::read_to_string(&file).map_err(LabError::file(&file))?;
    let told: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    let (name, environment) = (text("name"), text("env"));
    let folder = out.join(case.file_name().unwrap_or_default());
    let mut package = command(
        &plimsoll.to_string_lossy(),
        [
            text("kind").as_str(),
            "package",
            "-n",
            &name,
            "-e",
            &environment,
        ],
    );
    package
        .args(["--facts", "facts.json", "--output-dir"])
        .arg(&folder);
    for (key, value) in told["os_env"].as_object().into_iter().flatten() {
        package.env(key, value.as_str().unwrap_or_default());
    }
    run(package.current_dir(case))?;
    Ok(folder.join(format!("{name}-{environment}.stack.yml")))
}

/// `FILE:LINE:COLUMN:LINE:COLUMN:RULE:MESSAGE` a line.
fn report(said: &str, templates: usize, out: &Path) {
    let mut warnings: BTreeMap<&str, usize> = BTreeMap::new();
    let mut errors = 0;
    for line in said.lines() {
        let Some(rule) = line.split(':').nth(5) else {
            continue;
        };
        if rule.starts_with('E') {
            errors += 1;
            print(line.replace(&format!("{}/", out.display()), ""));
        } else {
            *warnings.entry(rule).or_default() += 1;
        }
    }
    for (rule, count) in &warnings {
        print(format!("{rule} {count} times"));
    }
    print(format!(
        "{templates} templates, {errors} errors, {} kinds of warnings",
        warnings.len()
    ));
}
