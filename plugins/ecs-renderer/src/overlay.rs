//! An environment's section laid over the manifest's base.

use crate::schema::{Object, Shape};
use crate::yaml::{Data, Key, Node};

/// Lays `over` on `base`; `shape` says which maps merge and which values are replaced as a whole.
pub fn overlay(base: Node, over: &Node, shape: &Shape) -> Node {
    if over.is_null() {
        return base;
    }
    if base.is_null() {
        return over.clone();
    }
    match shape {
        Shape::Object(object) => merge_object(base, over, object),
        Shape::Map(value) => merge_map(base, over, value),
        Shape::Either(forms, _) => {
            let both_maps = base.entries().is_some() && over.entries().is_some();
            let form = forms
                .iter()
                .find(|f| matches!(f, Shape::Object(_) | Shape::Map(_)))
                .filter(|_| both_maps);
            match form {
                Some(form) => overlay(base, over, form),
                None => over.clone(),
            }
        }
        Shape::Text
        | Shape::Integer
        | Shape::Port
        | Shape::Number
        | Shape::Boolean
        | Shape::Duration
        | Shape::Any
        | Shape::List(_) => over.clone(),
    }
}

fn merge_object(base: Node, over: &Node, object: &Object) -> Node {
    let (span, tag) = (base.span, base.tag.clone());
    let (Data::Map(mut entries), Some(changes)) = (base.data, over.entries()) else {
        return over.clone();
    };
    for (key, change) in changes.iter().filter(|(_, v)| !v.is_null()) {
        if let Some(chosen) = object
            .exclusive
            .iter()
            .find(|g| g.contains(&key.text.as_str()))
        {
            let cleared = |k: &str| {
                object
                    .exclusive
                    .iter()
                    .any(|g| g != chosen && g.contains(&k))
            };
            entries.retain(|(k, _)| {
                !cleared(&k.text)
                    || changes
                        .iter()
                        .any(|(c, v)| c.text == k.text && !v.is_null())
            });
        }
        let shape = object.field(&key.text).unwrap_or(&Shape::Any);
        place(&mut entries, key, |old| overlay(old, change, shape), change);
    }
    Node {
        span,
        tag,
        data: Data::Map(entries),
    }
}

fn merge_map(base: Node, over: &Node, value: &Shape) -> Node {
    let (span, tag) = (base.span, base.tag.clone());
    let (Data::Map(mut entries), Some(changes)) = (base.data, over.entries()) else {
        return over.clone();
    };
    for (key, change) in changes {
        if matches!(value, Shape::Object(_)) {
            place(&mut entries, key, |old| overlay(old, change, value), change);
        } else {
            // Plain values, also null ones, replace what was there.
            place(&mut entries, key, |_| change.clone(), change);
        }
    }
    Node {
        span,
        tag,
        data: Data::Map(entries),
    }
}

fn place(
    entries: &mut Vec<(Key, Node)>,
    key: &Key,
    merge: impl FnOnce(Node) -> Node,
    change: &Node,
) {
    match entries.iter_mut().find(|(k, _)| k.text == key.text) {
        Some((k, old)) => {
            let taken = std::mem::replace(old, Node::null(old.span));
            *old = merge(taken);
            k.span = key.span;
        }
        None => entries.push((key.clone(), change.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::WorkloadType;
    use crate::yaml;

    /// Both texts are Backend Service manifests; the result is read back by path.
    fn merged(base: &str, over: &str) -> Node {
        let base = yaml::parse(base, 0).expect("base");
        let over = yaml::parse(over, 0).expect("over");
        overlay(
            base,
            &over,
            &Shape::Object(WorkloadType::LoadBalancedWebService.shape()),
        )
    }

    #[test]
    fn the_other_form_of_a_field_is_cleared() {
        let node = merged(
            "image: {build: a, port: 1}\ncount: {range: 1-2, cpu_percentage: 5}\n",
            "image: {location: x}\ncount: {spot: 3}\n",
        );
        assert!(node.dig("image.build").is_none());
        assert!(node.dig("image.port").is_some());
        assert!(node.dig("count.range").is_none() && node.dig("count.cpu_percentage").is_none());
        assert_eq!(
            merged("count: {range: 1-2}\n", "count: 3\n")
                .get("count")
                .and_then(Node::integer),
            Some(3)
        );
    }

    #[test]
    fn lists_are_replaced_and_maps_are_merged() {
        let node = merged(
            "variables: {A: x, B: y}\ncommand: [a, b]\nsidecars: {s: {port: 1, image: i}}\n",
            "variables: {B: null, C: {from_cfn: e}}\ncommand: [c]\nsidecars: {s: {port: 2}}\n",
        );
        assert_eq!(node.dig("variables.A").and_then(Node::text), Some("x"));
        assert!(node.dig("variables.B").is_none());
        assert_eq!(
            node.dig("variables.C.from_cfn").and_then(Node::text),
            Some("e")
        );
        assert_eq!(
            node.get("command").and_then(Node::items).map(<[Node]>::len),
            Some(1)
        );
        assert_eq!(node.dig("sidecars.s.port").and_then(Node::integer), Some(2));
        assert_eq!(node.dig("sidecars.s.image").and_then(Node::text), Some("i"));
    }

    #[test]
    fn null_in_an_environment_changes_nothing() {
        assert_eq!(
            merged("cpu: 512\n", "cpu: null\n")
                .get("cpu")
                .and_then(Node::integer),
            Some(512)
        );
    }
}
