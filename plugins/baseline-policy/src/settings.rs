//! What a project asks of the rules: `settings` in its `plimsoll.yml`.

use serde_json::Value as Json;

use crate::check::Enforcement;

/// What an image without tag and a secret in plain text do: `{"strict": true}` makes them stop the deploy. Without it
/// they are shown, as what Kamal and Copilot deploy is deployed.
///
/// # Errors
/// What is wrong with the settings.
pub fn serious(settings: &str) -> Result<Enforcement, String> {
    let settings: Json = serde_json::from_str(settings).unwrap_or_default();
    let mut serious = Enforcement::Advisory;
    for (name, value) in settings.as_object().into_iter().flatten() {
        serious = match (name.as_str(), value) {
            ("strict", Json::Bool(true)) => Enforcement::Mandatory,
            ("strict", Json::Bool(false)) => Enforcement::Advisory,
            ("strict", other) => {
                return Err(format!(
                    "setting strict is {other}: true or false was expected"
                ));
            }
            (other, _) => return Err(format!("there is no setting {other}: only strict")),
        };
    }
    Ok(serious)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strictness_is_asked_for_and_typing_errors_are_told() {
        for (settings, expected) in [
            ("{}", Ok(Enforcement::Advisory)),
            ("", Ok(Enforcement::Advisory)),
            (r#"{"strict": true}"#, Ok(Enforcement::Mandatory)),
            (r#"{"strict": false}"#, Ok(Enforcement::Advisory)),
            (
                r#"{"strict": "yes"}"#,
                Err("setting strict is \"yes\": true or false was expected".to_owned()),
            ),
            (
                r#"{"strickt": true}"#,
                Err("there is no setting strickt: only strict".to_owned()),
            ),
        ] {
            assert_eq!(serious(settings), expected, "{settings}");
        }
    }
}
