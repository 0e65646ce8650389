//! Which manifest line made which property: kept beside the template, never in it.

use super::Value;
use crate::diagnostic::{Place, Sources};
use crate::yaml::Span;

/// One remembered origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// JSON pointer into the template: `/Resources/Service/Properties/DesiredCount`.
    pub path: String,
    /// The manifest line.
    pub place: Place,
}

/// Every origin in the template, in printing order.
pub fn origins(template: &Value, sources: &Sources) -> Vec<Origin> {
    let mut found = Vec::new();
    walk(template, &mut String::new(), &mut found);
    found
        .into_iter()
        .filter_map(|(path, span)| sources.place(span).map(|place| Origin { path, place }))
        .collect()
}

fn walk(value: &Value, path: &mut String, found: &mut Vec<(String, Span)>) {
    match value {
        Value::From(span, inner) => {
            found.push((path.clone(), *span));
            walk(inner, path, found);
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                let length = path.len();
                path.push('/');
                for c in key.chars() {
                    match c {
                        '~' => path.push_str("~0"),
                        '/' => path.push_str("~1"),
                        c => path.push(c),
                    }
                }
                walk(value, path, found);
                path.truncate(length);
            }
        }
        Value::List(items) => {
            for (i, value) in items.iter().enumerate() {
                let length = path.len();
                path.push('/');
                path.push_str(&i.to_string());
                walk(value, path, found);
                path.truncate(length);
            }
        }
        Value::Call(_, argument) => walk(argument, path, found),
        Value::Absent | Value::Raw(_) | Value::Text(_) => {}
    }
}

/// The lines behind `query`: a logical id (`Service`), a path below `Resources`, or a whole pointer.
///
/// Exact and deeper origins come first; if there are none, the nearest one above.
pub fn lookup<'a>(origins: &'a [Origin], query: &str) -> Vec<&'a Origin> {
    let pointer = if query.starts_with('/') {
        query.to_owned()
    } else {
        format!("/Resources/{}", query.replace('.', "/"))
    };
    let below: Vec<&Origin> = origins
        .iter()
        .filter(|o| {
            o.path
                .strip_prefix(&pointer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
        .collect();
    if !below.is_empty() {
        return below;
    }
    origins
        .iter()
        .filter(|o| {
            pointer
                .strip_prefix(&o.path)
                .is_some_and(|rest| rest.starts_with('/'))
        })
        .max_by_key(|o| o.path.len())
        .into_iter()
        .collect()
}
