//! What the main container and sidecars have in common: commands, labels, dependencies, health checks, environment files.

use crate::cfn;
use crate::cfn::{Value, reference, when};
use crate::diagnostic::Findings;
use crate::schema::{Object, Shape};
use crate::yaml::{At, Key, Node, Span};

/// `healthcheck` of a container.
pub(crate) const HEALTH_CHECK: Shape = Shape::Object(&Object {
    fields: &[
        ("command", Shape::List(&Shape::Text)),
        ("interval", Shape::Duration),
        ("retries", Shape::Integer),
        ("timeout", Shape::Duration),
        ("start_period", Shape::Duration),
    ],
    exclusive: &[],
});

/// `depends_on`: container to state.
pub(crate) const DEPENDS_ON: Shape = Shape::Map(&Shape::Text);
/// `labels`.
pub(crate) const LABELS: Shape = Shape::Map(&Shape::Text);

/// The health check under `healthcheck`; once one key is set the others have defaults.
pub(crate) fn health_check(node: &Node) -> Value {
    let Some(check) = node
        .get("healthcheck")
        .filter(|c| c.entries().is_some_and(|e| !e.is_empty()))
    else {
        return Value::Absent;
    };
    let command = if check.get("command").is_some() {
        check.texts_at("command").iter().map(Value::from).collect()
    } else {
        vec![
            "CMD-SHELL".into(),
            "curl -f http://localhost/ || exit 1".into(),
        ]
    };
    let seconds = |key: &str, default: i64| match check.seconds_at(key) {
        Some(found) => Value::from(found),
        None => default.into(),
    };
    cfn!({
        "Command": (Value::List(command)),
        "Interval": (seconds("interval", 10)),
        "Retries": (check.integer_at("retries").map_or_else(|| 2.into(), Value::from)),
        "StartPeriod": (seconds("start_period", 0)),
        "Timeout": (seconds("timeout", 5)),
    })
    .at(check.span)
}

/// A command given as a list, or as a text that is split like a shell does.
pub(crate) fn command(node: &Node, key: &str, findings: &mut Findings) -> Value {
    let Some(value) = node.get(key) else {
        return Value::Absent;
    };
    let words = match value.text() {
        Some(text) => match split_words(text) {
            Some(words) => words,
            None => {
                findings.error(
                    value.span,
                    format!("`{key}` has a quote that is never closed"),
                    "close the quote, or write the command as a list",
                );
                return Value::Absent;
            }
        },
        None => value.texts().into_iter().map(|t| t.value).collect(),
    };
    if words.is_empty() {
        return Value::Absent;
    }
    // Unquoted where YAML allows: an existing stack has it so, and ECS takes numbers for texts.
    Value::List(words.iter().map(|w| Value::raw(w)).collect()).at(value.span)
}

/// Splits at white space outside of quotes; a backslash keeps the next character.
fn split_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '#' if word.is_none() => {
                characters.by_ref().find(|c| *c == '\n');
            }
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => word.push(characters.next()?),
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(characters.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

/// `DockerLabels`, sorted.
pub(crate) fn labels(node: &Node) -> Value {
    let labels = node.sorted_at("labels");
    if labels.is_empty() {
        return Value::Absent;
    }
    let entries = labels
        .into_iter()
        .map(|(key, value)| {
            let text: Value = value.text().unwrap_or_default().to_owned().into();
            (key.text.clone().into(), text.at(key.span))
        })
        .collect();
    Value::Map(entries)
}

/// `DependsOn`, sorted by container.
pub(crate) fn depends_on(node: &Node) -> Value {
    let items: Vec<Value> = node
        .sorted_at("depends_on")
        .into_iter()
        .filter_map(|(container, state)| {
            let state = state.text()?.to_uppercase();
            Some(
                cfn!({ "ContainerName": (Value::raw(&container.text)), "Condition": (state) })
                    .at(container.span),
            )
        })
        .collect();
    if items.is_empty() {
        Value::Absent
    } else {
        Value::List(items)
    }
}

/// `EnvironmentFiles`: present if the parameter names a file.
pub(crate) fn environment_files(condition: String, parameter: String) -> Value {
    cfn!([(when(
        condition,
        cfn!({ "Value": (reference(parameter)), "Type": "s3" })
    ))])
}

/// Checks the path of an environment file.
pub(crate) fn check_env_file(node: &Node, path: &str, findings: &mut Findings) {
    if let Some(file) = node.text_at("env_file")
        && !file.value.ends_with(".env")
    {
        findings.error(
            file.span,
            format!(
                "environment file `{}` of `{path}` does not end in .env",
                file.value
            ),
            "rename the file; ECS reads no others",
        );
    }
}

/// A container as dependencies see it.
pub(crate) struct Link<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Whether the task stops with it.
    pub(crate) essential: bool,
    /// `depends_on`.
    pub(crate) depends_on: Vec<(&'a Key, &'a Node)>,
}

/// Checks who waits for whom.
pub(crate) fn check_dependencies(containers: &[Link<'_>], findings: &mut Findings) {
    const STATES: [&str; 4] = ["start", "complete", "success", "healthy"];
    for container in containers {
        for (key, state) in &container.depends_on {
            let target = key.text.as_str();
            let text = state.text().unwrap_or_default();
            if !STATES.contains(&text.to_lowercase().as_str()) {
                findings.error(
                    state.span,
                    format!(
                        "`depends_on.{target}` of container `{}` cannot be `{text}`",
                        container.name
                    ),
                    format!(
                        "a container can be waited for until it is at {}",
                        STATES.join(", ")
                    ),
                );
                continue;
            }
            if target == container.name {
                findings.error(
                    key.span,
                    format!("container `{target}` cannot wait for itself in `depends_on`"),
                    "remove the line",
                );
                continue;
            }
            let Some(found) = containers.iter().find(|c| c.name == target) else {
                let names: Vec<&str> = containers.iter().map(|c| c.name).collect();
                findings.error(
                    key.span,
                    format!(
                        "`depends_on` of container `{}` names `{target}`, which does not exist",
                        container.name
                    ),
                    format!("the containers are {}", names.join(", ")),
                );
                continue;
            };
            if found.essential && !matches!(text.to_lowercase().as_str(), "start" | "healthy") {
                findings.error(
                    state.span,
                    format!("`depends_on.{target}` waits for `{text}`, but an essential container has no such status: it never ends"),
                    format!("wait for start or healthy, or set `essential: false` on `{target}`"),
                );
            }
        }
    }
    if let Some((name, span)) = cycle(containers) {
        findings.error(
            span,
            format!("`depends_on` makes container `{name}` wait for itself through others"),
            "break the circle",
        );
    }
}

/// A container on a circle of dependencies, if there is one.
fn cycle<'a>(containers: &[Link<'a>]) -> Option<(&'a str, Span)> {
    let mut settled: Vec<&str> = Vec::new();
    loop {
        let before = settled.len();
        for container in containers {
            let waits = container.depends_on.iter().any(|(k, _)| {
                k.text != container.name
                    && containers.iter().any(|c| c.name == k.text)
                    && !settled.contains(&k.text.as_str())
            });
            if !waits && !settled.contains(&container.name) {
                settled.push(container.name);
            }
        }
        if settled.len() == before {
            break;
        }
    }
    containers
        .iter()
        .find(|c| !settled.contains(&c.name))
        .map(|c| {
            (
                c.name,
                c.depends_on
                    .first()
                    .map(|(k, _)| k.span)
                    .unwrap_or_default(),
            )
        })
}

/// `RepositoryCredentials`.
pub(crate) fn credentials(secret: Option<At<String>>) -> Value {
    match secret {
        Some(arn) => cfn!({ "CredentialsParameter": (arn) }),
        None => Value::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_split_like_a_shell_does() {
        for (text, words) in [
            (
                "/bin/run --mode 'two words'",
                Some(vec!["/bin/run", "--mode", "two words"]),
            ),
            ("a \"b c\"d e\\ f", Some(vec!["a", "b cd", "e f"])),
            ("  ", Some(vec![])),
            ("x ''", Some(vec!["x", ""])),
            ("open 'quote", None),
        ] {
            let wanted = words.map(|w| w.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(split_words(text), wanted, "{text}");
        }
    }
}
