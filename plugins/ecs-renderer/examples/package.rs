//! The renderer as a native program with the command line of `plimsoll svc package`, for scoring and for debugging.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints"
)]

use ecs_renderer::{Facts, File, Package, Request, package};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |flag: &str, short: &str| {
        let at = arguments.iter().position(|a| a == flag || a == short)?;
        arguments.get(at + 1).cloned()
    };
    let name = value("--name", "-n").ok_or("--name is missing")?;
    let environment = value("--env", "-e").ok_or("--env is missing")?;
    let facts = value("--facts", "--facts").ok_or("--facts is missing")?;
    let facts = Facts::parse(&read(Path::new(&facts))?)
        .map_err(|e| format!("failed to read the facts: {e}"))?;
    let root = PathBuf::from(".");
    let directory = root.join("copilot").join(&name);
    let manifest = file(&root, &directory.join("manifest.yml"))?;
    let addons = files(&root, &directory.join("addons"))?;
    let overrides = files(&root, &directory.join("overrides"))?;
    let variables: BTreeMap<String, String> = std::env::vars().collect();
    let mut paths = BTreeSet::new();
    collect(&root, &root, &mut paths);
    let request = Request {
        workload: &name,
        environment: &environment,
        manifest: &manifest,
        addons: &addons,
        overrides: &overrides,
        variables: &variables,
        paths: Some(&paths),
        facts: &facts,
        strict: arguments.iter().any(|a| a == "--strict"),
    };
    let rendered = package(&request).map_err(|found| {
        found
            .iter()
            .map(|d| d.render())
            .collect::<Vec<_>>()
            .join("\n")
    })?;
    for warning in &rendered.warnings {
        eprintln!("{}", warning.render());
    }
    if let Some(query) = value("--explain", "--explain") {
        for origin in ecs_renderer::cfn::explain::lookup(&rendered.origins, &query) {
            println!(
                "{}\t{}:{}\t{}",
                origin.path,
                origin.place.path,
                origin.place.line,
                origin.place.source.trim()
            );
        }
        return Ok(());
    }
    match value("--output-dir", "--output-dir") {
        Some(out) => write(Path::new(&out), &name, &environment, &rendered),
        None => {
            print!("{}", rendered.template);
            Ok(())
        }
    }
}

fn write(out: &Path, name: &str, environment: &str, rendered: &Package) -> Result<(), String> {
    let put = |file: String, text: &str| {
        std::fs::write(out.join(&file), text).map_err(|e| format!("failed to write {file}: {e}"))
    };
    std::fs::create_dir_all(out).map_err(|e| format!("failed to create {}: {e}", out.display()))?;
    put(
        format!("{name}-{environment}.stack.yml"),
        &rendered.template,
    )?;
    put(
        format!("{name}-{environment}.params.json"),
        &rendered.parameters,
    )?;
    match &rendered.addons {
        Some(addons) => put(format!("{name}.addons.stack.yml"), addons),
        None => Ok(()),
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("failed to read {}: {e}", path.display()))
}

fn file(root: &Path, path: &Path) -> Result<File, String> {
    let shown = path
        .strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string();
    Ok(File {
        path: shown,
        text: read(path)?,
    })
}

fn files(root: &Path, directory: &Path) -> Result<Vec<File>, String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Ok(Vec::new());
    };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_file())
        .collect();
    paths.sort();
    paths.iter().map(|p| file(root, p)).collect()
}

fn collect(root: &Path, directory: &Path, paths: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let shown = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        if path.is_dir() {
            paths.insert(format!("{shown}/"));
            collect(root, &path, paths);
        } else {
            paths.insert(shown);
        }
    }
}
