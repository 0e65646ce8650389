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
    )
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

/// Errors that stay: rule, a part of the message, and why. `docs/copilot.md` lists them.
const KNOWN: [(&str, &str, &str); 4] = [
    (
        "E3601",
        "'arn:${Partition}:states:::ecs:runTask.sync'",
        "cfn-lint looks at a state machine's text before DefinitionSubstitutions are filled in",
    ),
    ("E115", ".Id' with pattern", "made-up ids in the manifests"),
    (
        "E3004",
        "[AddonsStack]",
        "a manifest whose addon needs the role that has the addon's policy",
    ),
    (
        "E3001",
        "'Alarm/extra'",
        "a patch of the project that adds a name with a slash",
    ),
];

/// Prints what is said, `FILE:LINE:COLUMN:LINE:COLUMN:RULE:MESSAGE` a line; fails for an error that is not known.
fn report(said: &str, templates: usize, out: &Path) -> Result<(), LabError> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut errors = 0;
    for line in said.lines() {
        let Some(rule) = line.split(':').nth(5) else {
            continue;
        };
        if !rule.starts_with('E') {
            *counts.entry(rule.to_owned()).or_default() += 1;
        } else if let Some(why) = known(rule, line) {
            *counts.entry(format!("{rule}, {why},")).or_default() += 1;
        } else {
            errors += 1;
            print(line.replace(&format!("{}/", out.display()), ""));
        }
    }
    for (what, count) in &counts {
        print(format!("{what} {count} times"));
    }
    print(format!("{templates} templates, {errors} errors to look at"));
    if errors > 0 {
        return Err(LabError::Step("render templates without errors".to_owned()));
    }
    Ok(())
}

fn known(rule: &str, line: &str) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|(of, part, _)| rule.starts_with(of) && line.contains(part))
        .map(|(_, _, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_errors_are_passed_over() {
        let line = |rule, message| format!("a.yml:1:2:3:4:{rule}:{message}");
        let table = [
            (
                "E1150",
                "'sg-own' is not a 'AWS::EC2::SecurityGroup.Id' with pattern '^sg-'",
                true,
            ),
            (
                "E1154",
                "'subnet-r1' is not a 'AWS::EC2::Subnet.Id' with pattern '^s'",
                true,
            ),
            (
                "E3601",
                "'arn:${Partition}:states:::ecs:runTask.sync' does not match",
                true,
            ),
            ("E3601", "'Type' is a required property", false),
            ("E3004", "Circular Dependencies for resource Service", false),
            ("E1010", "'Service.Arn' is not one of", false),
        ];
        for (rule, message, passes) in table {
            let line = line(rule, message);
            assert_eq!(known(rule, &line).is_some(), passes, "{line}");
            assert_eq!(report(&line, 1, Path::new("/")).is_ok(), passes, "{line}");
        }
    }
}
