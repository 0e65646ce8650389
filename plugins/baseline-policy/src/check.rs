//! All rules over all documents. The same finding on several hosts is told once.

use std::collections::BTreeSet;

use crate::content::{Container, containers};
use crate::image;
use crate::secret::{Suspicion, suspicion};

/// What a finding does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// It is shown.
    Advisory,
    /// It stops the deploy.
    Mandatory,
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What it does.
    pub enforcement: Enforcement,
    /// Stable, kebab-case.
    pub rule: &'static str,
    /// What is the matter, without the host.
    pub message: String,
    /// The first document it was found in.
    pub address: String,
    /// JSON pointer into it.
    pub pointer: String,
    /// The cure.
    pub help: String,
}

/// Checks documents given as address and body. `serious` is what an image without tag and a secret in plain text do.
pub fn check<'a>(
    documents: impl IntoIterator<Item = (&'a str, &'a str)>,
    serious: Enforcement,
) -> Vec<Violation> {
    let found = documents.into_iter().flat_map(|(address, body)| {
        containers(address, body)
            .into_iter()
            .flat_map(|container| violations(address, &container, serious))
    });
    let mut told = BTreeSet::new();
    found
        .filter(|violation| told.insert((violation.rule, violation.message.clone())))
        .collect()
}

fn violations(address: &str, container: &Container, serious: Enforcement) -> Vec<Violation> {
    let Container {
        name,
        image,
        variables,
        privileged,
    } = container;
    let violation = |enforcement, rule, message, pointer: &str, help: String| Violation {
        enforcement,
        rule,
        message,
        address: address.to_owned(),
        pointer: pointer.to_owned(),
        help,
    };
    let untagged = image
        .iter()
        .filter(|(reference, _)| !image::is_pinned(reference))
        .map(|(reference, pointer)| {
            let message = format!("image {reference} of {name} has neither tag nor digest");
            let help = format!("name a version: `{reference}:1.2.3`");
            violation(serious, "image-without-tag", message, pointer, help)
        });
    let plain = variables.iter().filter_map(|(variable, value, pointer)| {
        let message = match suspicion(variable, value)? {
            Suspicion::Name => {
                format!("variable {variable} of {name} looks like a secret in plain text")
            }
            Suspicion::Url => {
                format!("variable {variable} of {name} is a URL with a password in plain text")
            }
        };
        let help =
            format!("keep the value as a secret and name {variable} under the manifest's secrets");
        Some(violation(serious, "plain-secret", message, pointer, help))
    });
    let privileged = privileged.iter().map(|pointer| {
        let message = format!("{name} is privileged: who breaks out of it owns the host");
        let help = "add the one capability it needs instead (`cap-add`)".to_owned();
        violation(
            Enforcement::Advisory,
            "privileged-container",
            message,
            pointer,
            help,
        )
    });
    untagged.chain(plain).chain(privileged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strictly<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Violation> {
        check(documents, Enforcement::Mandatory)
    }

    #[test]
    fn a_good_deploy_has_no_finding() {
        let role = r#"{"image": "localhost:5000/app:1", "env": {"LOG": "info", "DB_PASSWORD": {"secret": "P"}}, "options": []}"#;
        let proxy = r#"{"image": "basecamp/kamal-proxy:v0.9.2", "options": []}"#;
        assert_eq!(
            strictly([("host/web-1/role/web", role), ("host/web-1/proxy", proxy)]),
            []
        );
    }

    #[test]
    fn every_rule_names_its_place_and_its_cure_once_for_all_hosts() {
        let role = r#"{"image": "localhost:5000/app", "env": {"DB_PASSWORD": "hunter2", "DATABASE_URL": "pg://a:b@c"},
            "options": [["privileged", "true"]]}"#;
        let found = strictly([("host/web-1/role/web", role), ("host/web-2/role/web", role)]);
        let found: Vec<_> = found
            .iter()
            .map(|v| {
                (
                    v.enforcement,
                    v.rule,
                    v.address.as_str(),
                    v.pointer.as_str(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                (
                    Enforcement::Mandatory,
                    "image-without-tag",
                    "host/web-1/role/web",
                    "/image"
                ),
                (
                    Enforcement::Mandatory,
                    "plain-secret",
                    "host/web-1/role/web",
                    "/env/DB_PASSWORD"
                ),
                (
                    Enforcement::Mandatory,
                    "plain-secret",
                    "host/web-1/role/web",
                    "/env/DATABASE_URL"
                ),
                (
                    Enforcement::Advisory,
                    "privileged-container",
                    "host/web-1/role/web",
                    "/options/0"
                ),
            ]
        );
    }

    #[test]
    fn what_is_serious_is_for_the_project_to_say() {
        let role =
            r#"{"image": "app", "env": {"API_TOKEN": "abc"}, "options": [["privileged", "true"]]}"#;
        let enforcements = |serious| -> Vec<Enforcement> {
            let found = check([("host/web-1/role/web", role)], serious).into_iter();
            found.map(|violation| violation.enforcement).collect()
        };
        let (shown, stops) = (Enforcement::Advisory, Enforcement::Mandatory);
        assert_eq!(enforcements(shown), [shown, shown, shown]);
        assert_eq!(enforcements(stops), [stops, stops, shown]);
        let template = r#"{"Resources": {"T": {"Type": "AWS::ECS::TaskDefinition",
            "Properties": {"ContainerDefinitions": [{"Name": "log", "Image": "fluent"}]}}}}"#;
        for serious in [shown, stops] {
            let found = check([("stack/api", template)], serious);
            let found: Vec<_> = found.iter().map(|it| (it.enforcement, it.rule)).collect();
            assert_eq!(found, [(serious, "image-without-tag")]);
        }
    }

    #[test]
    fn findings_of_different_roles_are_different() {
        let role = r#"{"image": "app:1", "env": {"API_TOKEN": "abc"}}"#;
        let found = strictly([("host/web-1/role/web", role), ("host/web-1/role/job", role)]);
        let messages: Vec<_> = found
            .into_iter()
            .map(|violation| violation.message)
            .collect();
        assert_eq!(
            messages,
            [
                "variable API_TOKEN of role web looks like a secret in plain text",
                "variable API_TOKEN of role job looks like a secret in plain text",
            ]
        );
    }

    #[test]
    fn a_value_is_never_repeated() {
        let role =
            r#"{"image": "app:1", "env": {"API_TOKEN": "hunter2", "U": "pg://a:hunter2@c"}}"#;
        for violation in strictly([("host/web-1/role/web", role)]) {
            assert!(
                !format!("{violation:?}").contains("hunter2"),
                "{violation:?}"
            );
        }
    }
}
