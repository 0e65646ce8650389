//! Finding and changing a value inside a template by its path.

use super::Value;

/// The places a value can be stepped into by `segment`: a key, an index, or the long name of a short intrinsic.
pub fn step<'a>(value: &'a mut Value, segment: &str) -> Option<&'a mut Value> {
    match value.bare_mut() {
        Value::Map(entries) => entries
            .iter_mut()
            .find(|(k, _)| k == segment)
            .map(|(_, v)| v),
        Value::List(items) => segment.parse::<usize>().ok().and_then(|i| items.get_mut(i)),
        Value::Call(name, argument) => {
            let long = segment.strip_prefix("Fn::").unwrap_or(segment);
            if long == name {
                Some(argument)
            } else {
                step(argument, segment)
            }
        }
        Value::Absent | Value::Raw(_) | Value::Text(_) | Value::From(..) => None,
    }
}

/// The list behind a value: itself, or the arguments of an intrinsic.
pub fn list_mut(value: &mut Value) -> Option<&mut Vec<Value>> {
    match value.bare_mut() {
        Value::List(items) => Some(items),
        Value::Call(_, argument) => list_mut(argument),
        Value::Absent | Value::Raw(_) | Value::Text(_) | Value::Map(_) | Value::From(..) => None,
    }
}
