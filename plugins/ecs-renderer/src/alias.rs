//! `alias`: the host names a workload answers to, and whether certificates and zones allow them.

use crate::diagnostic::Findings;
use crate::facts::Facts;
use crate::schema::{Object, Shape};
use crate::scope::Scope;
use crate::yaml::{Node, Span};

const NAMED: Object = Object {
    fields: &[("name", Shape::Text), ("hosted_zone", Shape::Text)],
    exclusive: &[],
};

/// One name, several, or names with their hosted zones.
pub(crate) const SHAPE: Shape = Shape::Either(
    &[
        Shape::Text,
        Shape::List(&Shape::Either(
            &[Shape::Text, Shape::Object(&NAMED)],
            "a name or a map with `name`",
        )),
    ],
    "a name or a list of names",
);

/// A host name.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    /// The name.
    pub(crate) name: String,
    /// The hosted zone its record goes to.
    pub(crate) hosted_zone: Option<String>,
    /// Where it was said.
    pub(crate) span: Span,
}

/// Reads `alias`; `hosted_zone` applies to names without their own.
pub(crate) fn read(rule: &Node, path: &str, findings: &mut Findings) -> Vec<Alias> {
    let zone = rule.text_at("hosted_zone");
    let Some(node) = rule.get("alias") else {
        if let Some(zone) = zone {
            findings.error(
                zone.span,
                format!("`{path}.hosted_zone` needs `{path}.alias`"),
                "say which name the record in the zone is for",
            );
        }
        return Vec::new();
    };
    let items: &[Node] = node.items().unwrap_or(std::slice::from_ref(node));
    let maps = items.iter().filter(|i| i.entries().is_some()).count();
    if maps > 0 && maps < items.len() {
        findings.error(
            node.span,
            format!("`{path}.alias` mixes names and maps"),
            "write all of them as names, or all as maps with `name`",
        );
    }
    let mut aliases = Vec::new();
    for item in items {
        if item.entries().is_none() {
            if let Some(name) = item.text() {
                aliases.push(Alias {
                    name: name.to_owned(),
                    hosted_zone: zone.as_ref().map(|z| z.value.clone()),
                    span: item.span,
                });
            }
            continue;
        }
        match item.text_at("name") {
            Some(name) => aliases.push(Alias {
                name: name.value,
                hosted_zone: item
                    .text_at("hosted_zone")
                    .or(zone.clone())
                    .map(|z| z.value),
                span: name.span,
            }),
            None => findings.error(
                item.span,
                format!("`{path}.alias` has an entry without `name`"),
                "write `name: <host name>` beside `hosted_zone`",
            ),
        }
    }
    aliases
}

/// True if a certificate name covers a host name; `*.` stands for exactly one label.
pub(crate) fn covers(certificate: &str, name: &str) -> bool {
    let (certificate, name) = (certificate.to_lowercase(), name.to_lowercase());
    match certificate.strip_prefix("*.") {
        Some(rest) => name
            .split_once('.')
            .is_some_and(|(label, tail)| !label.is_empty() && tail == rest),
        None => certificate == name,
    }
}

/// Checks that one of the certificates covers every alias.
pub(crate) fn check_certificates(
    aliases: &[Alias],
    certificates: &[&str],
    facts: &Facts,
    findings: &mut Findings,
) {
    for alias in aliases {
        let covered = certificates.iter().any(|arn| {
            facts
                .certificates
                .get(*arn)
                .is_some_and(|c| c.names.iter().any(|n| covers(n, &alias.name)))
        });
        if !covered {
            findings.error(
                alias.span,
                format!(
                    "no certificate of the environment covers the alias `{}`",
                    alias.name
                ),
                format!(
                    "import a certificate for {} in the environment manifest",
                    alias.name
                ),
            );
        }
    }
}

/// Checks that every alias lies in the root, application or environment zone of the application's domain.
pub(crate) fn check_zones(aliases: &[Alias], scope: &Scope<'_>, findings: &mut Findings) {
    let Some(domain) = scope.facts.domain() else {
        return;
    };
    let app = format!("{}.{domain}", scope.app());
    let environment = format!("{}.{app}", scope.environment());
    for alias in aliases {
        let inside = [domain, app.as_str(), environment.as_str()]
            .iter()
            .any(|zone| is_in_zone(&alias.name, zone));
        if !inside {
            findings.error(
                alias.span,
                format!(
                    "alias `{}` lies in none of the hosted zones {domain}, {app}, {environment}",
                    alias.name
                ),
                format!(
                    "use a name directly below one of them, for example {}.{environment}",
                    scope.name
                ),
            );
        }
    }
}

/// True for the zone itself and for names one label below it.
pub(crate) fn is_in_zone(name: &str, zone: &str) -> bool {
    let (name, zone) = (name.to_lowercase(), zone.to_lowercase());
    name == zone
        || name
            .strip_suffix(&zone)
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|label| !label.is_empty() && !label.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_label() {
        for (certificate, name, expected) in [
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("example.com", "EXAMPLE.com", true),
            ("*.example.com", "*.example.com", true),
        ] {
            assert_eq!(covers(certificate, name), expected, "{certificate} {name}");
        }
    }

    #[test]
    fn zones_hold_names_one_label_below_them() {
        assert!(is_in_zone("example.com", "example.com"));
        assert!(is_in_zone("a.example.com", "example.com"));
        assert!(!is_in_zone("a.b.example.com", "example.com"));
        assert!(!is_in_zone("badexample.com", "example.com"));
    }
}
