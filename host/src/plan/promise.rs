//! What an approved plan allows at apply: each promised effect, with exactly its arguments, once.

use std::collections::HashMap;

use serde_json::Value as Json;

use crate::wit::types::{Effect, Moment};

/// The promised effects of one apply, and which of them are used up.
#[derive(Debug, Default)]
pub struct Promises {
    promised: HashMap<String, Promise>,
}

#[derive(Debug)]
struct Promise {
    operation: String,
    subject: String,
    arguments: Json,
    moment: Moment,
    used: bool,
}

impl Promises {
    /// The promises of a plan.
    ///
    /// # Errors
    /// Names an effect whose id is there twice, or whose arguments are not a JSON object.
    pub fn of<'a>(effects: impl IntoIterator<Item = &'a Effect>) -> Result<Self, String> {
        let mut promised = HashMap::new();
        for effect in effects {
            let arguments: Json = serde_json::from_str(&effect.arguments)
                .ok()
                .filter(Json::is_object)
                .ok_or_else(|| {
                    format!(
                        "the arguments of effect `{}` are not a JSON object",
                        effect.id
                    )
                })?;
            let promise = Promise {
                operation: effect.operation.clone(),
                subject: effect.subject.clone(),
                arguments,
                moment: effect.moment,
                used: false,
            };
            if promised.insert(effect.id.clone(), promise).is_some() {
                return Err(format!("effect `{}` is promised twice", effect.id));
            }
        }
        Ok(Self { promised })
    }

    /// When a promised effect is meant to happen.
    pub fn moment(&self, id: &str) -> Option<Moment> {
        self.promised.get(id).map(|promise| promise.moment)
    }

    /// Uses a promise up.
    ///
    /// # Errors
    /// In words: not promised, promised otherwise, or used before. A refused attempt uses nothing up.
    pub fn redeem(
        &mut self,
        id: &str,
        operation: &str,
        subject: &str,
        arguments: &Json,
    ) -> Result<(), String> {
        let Some(promise) = self.promised.get_mut(id) else {
            return Err(format!("effect `{id}` is not in the approved plan"));
        };
        if (promise.operation.as_str(), promise.subject.as_str()) != (operation, subject) {
            return Err(format!(
                "effect `{id}` was approved as {} on {}, not as {operation} on {subject}",
                promise.operation, promise.subject
            ));
        }
        if promise.arguments != *arguments {
            let where_ = first_difference(&promise.arguments, arguments, String::new());
            return Err(format!(
                "effect `{id}` ({operation} on {subject}) was approved with other arguments: {where_}"
            ));
        }
        if promise.used {
            return Err(format!("effect `{id}` was used before"));
        }
        promise.used = true;
        Ok(())
    }
}

/// The first place where two JSON trees differ, in words.
fn first_difference(approved: &Json, asked: &Json, at: String) -> String {
    match (approved, asked) {
        (Json::Object(a), Json::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            for key in keys {
                let (left, right) = (
                    a.get(key).unwrap_or(&Json::Null),
                    b.get(key).unwrap_or(&Json::Null),
                );
                if left != right || a.contains_key(key) != b.contains_key(key) {
                    return first_difference(left, right, format!("{at}/{key}"));
                }
            }
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            if let Some(index) = (0..a.len()).find(|i| a[*i] != b[*i]) {
                return first_difference(&a[index], &b[index], format!("{at}/{index}"));
            }
        }
        _ => {}
    }
    format!("{at} was {approved}, asked for {asked}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stop(id: &str) -> Effect {
        Effect {
            id: id.to_owned(),
            operation: "docker.stop".to_owned(),
            subject: "web-1".to_owned(),
            arguments: json!({"name": "app-web-1", "timeout": null}).to_string(),
            destructive: true,
            moment: Moment::Always,
        }
    }

    #[test]
    fn only_the_promised_call_is_allowed_and_only_once() {
        let mut promises = Promises::of(&[stop("a")]).expect("valid");
        let promised = json!({"timeout": null, "name": "app-web-1"});
        for (id, operation, subject, arguments, why) in [
            (
                "b",
                "docker.stop",
                "web-1",
                &promised,
                "not in the approved plan",
            ),
            (
                "a",
                "docker.remove",
                "web-1",
                &promised,
                "approved as docker.stop on web-1",
            ),
            (
                "a",
                "docker.stop",
                "web-2",
                &promised,
                "not as docker.stop on web-2",
            ),
            (
                "a",
                "docker.stop",
                "web-1",
                &json!({"name": "db", "timeout": null}),
                "/name was \"app-web-1\", asked for \"db\"",
            ),
            (
                "a",
                "docker.stop",
                "web-1",
                &json!({"name": "app-web-1"}),
                "approved with other arguments",
            ),
        ] {
            let error = promises
                .redeem(id, operation, subject, arguments)
                .expect_err("refused");
            assert!(error.contains(why), "{error}");
        }
        promises
            .redeem("a", "docker.stop", "web-1", &promised)
            .expect("as promised");
        assert_eq!(
            promises.redeem("a", "docker.stop", "web-1", &promised),
            Err("effect `a` was used before".to_owned())
        );
    }

    #[test]
    fn an_effect_promised_twice_or_with_rubbish_is_no_plan() {
        assert!(
            Promises::of(&[stop("a"), stop("a")])
                .expect_err("twice")
                .contains("twice")
        );
        assert!(
            Promises::of(&[Effect {
                arguments: "[]".into(),
                ..stop("a")
            }])
            .is_err()
        );
    }
}
