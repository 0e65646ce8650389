//! Error pages of the project's own, shown by the proxy.

use release::{ErrorPage, ErrorPages, FileRef, Value};

use crate::config::Config;
use crate::options::Facts;

/// The folder, as it is written.
pub fn folder(config: &Config) -> Option<String> {
    config.text("error_pages_path")
}

/// Its pages: `4??.html` and `5??.html`.
pub fn document(config: &Config, facts: &Facts) -> Option<ErrorPages> {
    let folder = folder(config)?;
    let files = facts.file.get(&folder).into_iter().flatten();
    let page = |(path, digest): (&String, &String)| {
        let name = path.rsplit('/').next().unwrap_or(path);
        let file = FileRef {
            path: path.clone(),
            digest: digest.clone(),
            accessory: None,
        };
        is_page(name).then(|| ErrorPage {
            name: name.to_owned(),
            content: Value::file(file),
        })
    };
    Some(ErrorPages {
        pages: files.filter_map(page).collect(),
    })
}

fn is_page(name: &str) -> bool {
    let status = name.strip_suffix(".html").unwrap_or_default();
    status.chars().count() == 3 && status.starts_with(['4', '5'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_named_after_their_status() {
        for (name, expected) in [
            ("404.html", true),
            ("5xx.html", true),
            ("500.htm", false),
            ("302.html", false),
            ("4040.html", false),
            ("x404.html", false),
            ("404.html.erb", false),
        ] {
            assert_eq!(is_page(name), expected, "{name}");
        }
    }
}
