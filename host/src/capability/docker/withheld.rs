//! Descriptions without what may be secret.

use serde_json::{Map, Value as Json, json};

use crate::capability::run::Run;
use crate::secret::store::fingerprint;

/// An Engine's description with the environment withheld: a variable that is declared secret, looks like one, or
/// has a secret's value is a fingerprint.
pub(super) fn withheld(run: &Run, mut description: Json) -> String {
    let mut env = Map::new();
    for pair in description["Config"]["Env"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
    {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let declared = run.secret_variables.iter().any(|declared| declared == name);
        // What stands in a desired document is no news to anybody.
        let secret = declared
            || run.redactor().redact(value) != value
            || (looks_secret(name) && !run.is_known(value));
        let shown = if secret {
            json!({"fingerprint": fingerprint(value.as_bytes(), &run.fingerprint_key)})
        } else {
            json!(value)
        };
        env.insert(name.to_owned(), shown);
    }
    if let Some(config) = description["Config"].as_object_mut() {
        config.insert("Env".to_owned(), Json::Object(env));
    }
    description.to_string()
}

/// Names that hold secrets in most projects, declared or not.
fn looks_secret(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "PASSWORD",
        "PASSWD",
        "SECRET",
        "TOKEN",
        "CREDENTIAL",
        "CREDENTIALS",
        "PRIVATE",
        "APIKEY",
    ];
    let upper = name.to_ascii_uppercase();
    upper
        .split(['_', '-', '.'])
        .any(|word| WORDS.contains(&word))
        || upper.ends_with("_KEY")
        || upper.ends_with("_URL") && upper.contains("DATABASE")
}
