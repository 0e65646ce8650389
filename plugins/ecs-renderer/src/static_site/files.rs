//! `files`: which of the project's files the site serves, and under which names.

use crate::diagnostic::Findings;
use crate::package::{SiteFile, clean_path};
use crate::schema::{Object, Shape, TEXTS};
use crate::scope::Scope;
use crate::yaml::Node;
use std::collections::BTreeSet;

/// A list of files and folders.
pub(crate) const SHAPE: Shape = Shape::List(&Shape::Object(&Object {
    fields: &[
        ("source", Shape::Text),
        ("destination", Shape::Text),
        ("recursive", Shape::Boolean),
        ("exclude", TEXTS),
        ("reinclude", TEXTS),
    ],
    exclusive: &[],
}));

/// Reads and checks the section. Without the project's paths nothing is known to be missing, and nothing is selected.
pub(crate) fn read(
    root: &Node,
    paths: Option<&BTreeSet<String>>,
    scope: &Scope<'_>,
    findings: &mut Findings,
) -> Vec<SiteFile> {
    let mut selected = BTreeSet::new();
    for (i, entry) in root.items_at("files").iter().enumerate() {
        let Some(source) = entry.text_at("source") else {
            findings.error(
                entry.span,
                format!("`files[{i}].source` must be specified"),
                "name a file or folder of the project",
            );
            continue;
        };
        if let Some(paths) = paths {
            let exists = select(entry, &source.value, paths, &mut selected);
            if !exists && scope.full_checks() {
                findings.error(
                    source.span,
                    format!(
                        "`files[{i}].source` names `{}`, which does not exist in the project",
                        source.value
                    ),
                    "paths begin at the folder that holds `copilot/`",
                );
            }
        }
    }
    selected.into_iter().collect()
}

/// Adds what one entry selects; false if its source is not in the project.
fn select(
    entry: &Node,
    source: &str,
    paths: &BTreeSet<String>,
    selected: &mut BTreeSet<SiteFile>,
) -> bool {
    let filters = |key: &str| {
        entry
            .texts_at(key)
            .into_iter()
            .map(|t| t.value)
            .collect::<Vec<_>>()
    };
    let (exclude, reinclude) = (filters("exclude"), filters("reinclude"));
    let recursive = entry.boolean_at("recursive").is_some_and(|r| r.value);
    let destination = entry
        .text_at("destination")
        .map(|d| clean_path(&d.value))
        .unwrap_or_default();
    let origin = clean_path(source);
    let mut exists = origin.is_empty();
    for path in paths {
        let folder = path.ends_with('/');
        let path = clean_path(path);
        if path == origin {
            exists = true;
            if !folder {
                let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
                let to = if destination.is_empty() {
                    name
                } else {
                    destination.clone()
                };
                selected.insert(SiteFile::new(path, to));
            }
            continue;
        }
        let relative = match origin.as_str() {
            "" => Some(path.as_str()),
            origin => path
                .strip_prefix(origin)
                .and_then(|rest| rest.strip_prefix('/')),
        };
        let Some(relative) = relative else {
            continue;
        };
        exists = true;
        let reached = !folder && (recursive || !relative.contains('/'));
        let matches = |filters: &[String]| filters.iter().any(|f| matches_pattern(f, relative));
        if reached && (!matches(&exclude) || matches(&reinclude)) {
            let to = match destination.as_str() {
                "" => relative.to_owned(),
                destination => format!("{destination}/{relative}"),
            };
            selected.insert(SiteFile::new(path, to));
        }
    }
    exists
}

/// Go's path patterns: `*` and `?` stop at a slash, `[a-z]` and `[^a-z]` are one character, a backslash takes the next
/// character as it is.
fn matches_pattern(pattern: &str, path: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let path: Vec<char> = path.chars().collect();
    // The state after each pattern character is the set of path positions it can have reached.
    let mut reached = BTreeSet::from([0usize]);
    let mut at = 0;
    while at < pattern.len() {
        let mut next = BTreeSet::new();
        match pattern[at] {
            '*' => {
                for start in reached {
                    let run = path[start..].iter().take_while(|c| **c != '/').count();
                    next.extend(start..=start + run);
                }
                at += 1;
            }
            '[' => {
                let Some((class, length)) = Class::parse(&pattern[at..]) else {
                    return false;
                };
                let fits = |i: &usize| path.get(*i).is_some_and(|c| class.contains(*c));
                next.extend(reached.iter().filter(|i| fits(i)).map(|i| i + 1));
                at += length;
            }
            character => {
                let escaped = character == '\\' && at + 1 < pattern.len();
                let wanted = if escaped { pattern[at + 1] } else { character };
                let any = character == '?';
                let fits = |i: &usize| {
                    path.get(*i)
                        .is_some_and(|c| if any { *c != '/' } else { *c == wanted })
                };
                next.extend(reached.iter().filter(|i| fits(i)).map(|i| i + 1));
                at += if escaped { 2 } else { 1 };
            }
        }
        reached = next;
    }
    reached.contains(&path.len())
}

/// A `[…]` of a pattern.
struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    /// The class at the start of `pattern`, and how many characters it takes.
    fn parse(pattern: &[char]) -> Option<(Class, usize)> {
        let mut at = 1;
        let negated = pattern.get(at) == Some(&'^');
        at += usize::from(negated);
        let mut ranges = Vec::new();
        while ranges.is_empty() || pattern.get(at)? != &']' {
            let low = character(pattern, &mut at)?;
            let high = if pattern.get(at) == Some(&'-') {
                at += 1;
                character(pattern, &mut at)?
            } else {
                low
            };
            ranges.push((low, high));
        }
        Some((Class { negated, ranges }, at + 1))
    }

    fn contains(&self, c: char) -> bool {
        self.ranges
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&c))
            != self.negated
    }
}

fn character(pattern: &[char], at: &mut usize) -> Option<char> {
    if pattern.get(*at) == Some(&'\\') {
        *at += 1;
    }
    let found = *pattern.get(*at)?;
    *at += 1;
    Some(found)
}

/// Extension to media type.
const MEDIA_TYPES: [(&str, &str); 32] = [
    ("avif", "image/avif"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("eot", "application/vnd.ms-fontobject"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/vnd.microsoft.icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xml", "text/xml; charset=utf-8"),
    ("zip", "application/zip"),
];

impl SiteFile {
    fn new(path: String, destination: String) -> SiteFile {
        let extension = path
            .rsplit_once('.')
            .map(|(_, e)| e.to_lowercase())
            .unwrap_or_default();
        let known = MEDIA_TYPES.iter().find(|(e, _)| *e == extension);
        let content_type = known.map_or("", |(_, media_type)| media_type).to_owned();
        SiteFile {
            path,
            destination,
            content_type,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    #[test]
    fn patterns_match_like_go_does() {
        for (pattern, path, expected) in [
            ("*.map", "a.map", true),
            ("*.map", "b/a.map", false),
            ("drafts/*", "drafts/x.html", true),
            ("*", "a", true),
            ("?[a-c]", "xb", true),
            ("?[^a-c]", "xb", false),
            ("\\*", "*", true),
            ("a*b*c", "axxbyyc", true),
            ("[", "[", false),
        ] {
            assert_eq!(matches_pattern(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn files_are_selected_and_named() {
        let manifest = "files:\n\
            - {source: html, recursive: true, exclude: ['*.map', 'drafts/*'], reinclude: drafts/keep.html}\n\
            - {source: assets/logo.svg, destination: img/logo.svg}\n\
            - {source: ./assets, destination: static}\n";
        let root = yaml::parse(manifest, 0).expect("valid");
        let paths = [
            "html/",
            "html/index.html",
            "html/a.map",
            "html/drafts/x.html",
            "html/drafts/keep.html",
            "assets/logo.svg",
            "assets/deep/x.js",
            "other.txt",
        ];
        let paths = paths.into_iter().map(str::to_owned).collect();
        let mut found = BTreeSet::new();
        for entry in root.items_at("files") {
            let source = entry.text_at("source").expect("a source").value;
            assert!(select(entry, &source, &paths, &mut found));
        }
        let found: Vec<_> = found
            .iter()
            .map(|f| (f.path.as_str(), f.destination.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("assets/logo.svg", "img/logo.svg"),
                ("assets/logo.svg", "static/logo.svg"),
                ("html/drafts/keep.html", "drafts/keep.html"),
                ("html/index.html", "index.html"),
            ]
        );
    }
}
