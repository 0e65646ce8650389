//! What is deployed, in the shape of the desired documents: what is equal in effect is equal in text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::deployment::{Desired, Inputs, sha256};
use crate::stack::{Stack, Way};
use crate::template::Template;

/// What AWS has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// The stack, if there is one.
    pub stack: Option<Stack>,
    /// As they are in use.
    pub parameters: BTreeMap<String, String>,
    /// With AWS's own.
    pub tags: BTreeMap<String, String>,
    /// As it was submitted.
    pub template: Option<String>,
    /// The template of its addons, if it could be read.
    pub addons: Option<String>,
}

/// `observed/WORKLOAD`, for the plan: never compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Facts {
    /// The stack, if there is one.
    pub stack: Option<Stack>,
}

impl Facts {
    /// `observed/`
    pub const PREFIX: &str = "observed/";
}

/// The parameter that says where the addons are.
pub const ADDONS: &str = "AddonsTemplateURL";

/// Whether a deploy of this stack changes what is there, rather than making it anew.
pub fn is_deployed(stack: Option<&Stack>) -> bool {
    stack.is_some_and(|stack| {
        !matches!(
            stack.status.as_str(),
            "REVIEW_IN_PROGRESS" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "DELETE_COMPLETE"
        )
    })
}

/// Whether its last deploy was left half done: it is deployed again although nothing differs.
pub fn is_half_done(stack: Option<&Stack>, way: Way) -> bool {
    way != Way::Update || stack.is_some_and(|stack| stack.status.ends_with("_FAILED"))
}

/// The deployed template as it is compared: with the mark of the desired one, which is new every time and means nothing.
pub fn template(desired: &Desired, deployed: &str) -> String {
    let (old, new) = (Template::read(deployed), Template::read(&desired.template));
    match (old.update_id, new.update_id) {
        (Some(old), Some(new)) => remark(deployed, &old, &new),
        (_, _) => deployed.to_owned(),
    }
}

/// Puts another value after the first `UpdateID`.
fn remark(text: &str, old: &str, new: &str) -> String {
    const KEY: &str = "UpdateID";
    let Some(key) = text.find(KEY) else {
        return text.to_owned();
    };
    let after = key + KEY.len();
    match text[after..].find(old) {
        Some(at) => {
            let at = after + at;
            format!("{}{new}{}", &text[..at], &text[at + old.len()..])
        }
        None => text.to_owned(),
    }
}

/// Parameters and tags as they are compared. CloudFormation also tells parameters that nobody gave it, with their
/// defaults, and adds tags of its own.
pub fn inputs(desired: &Desired, live: &Live) -> Inputs {
    let known = |name: &String| desired.inputs.parameters.contains_key(name);
    Inputs {
        parameters: live
            .parameters
            .iter()
            .filter(|(name, _)| known(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        tags: live
            .tags
            .iter()
            .filter(|(name, _)| !name.starts_with("aws:"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    }
}

/// The deployed addons are the desired ones: the address says so, and nothing has to be fetched.
pub fn has_same_addons(desired: &Desired, parameters: &BTreeMap<String, String>) -> bool {
    match (&desired.addons, parameters.get(ADDONS)) {
        (Some(wanted), Some(url)) => url.contains(&sha256(wanted)),
        (_, _) => false,
    }
}

/// There are deployed addons.
pub fn has_addons(parameters: &BTreeMap<String, String>) -> bool {
    parameters.get(ADDONS).is_some_and(|url| !url.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::Deployment;

    fn desired() -> Desired {
        let deployment: Deployment = serde_json::from_str(
            r#"{"application":"app","environment":"test","workload":"api","type":"Backend Service","region":"r","stack":"app-test-api","environment-stack":"app-test","bucket":"b","execution-role":null,"uploads":[]}"#,
        )
        .expect("it is one");
        Desired {
            deployment,
            template: "Resources:\n  DynamicDesiredCountAction:\n    Properties:\n      UpdateID: new-one\n"
                .to_owned(),
            inputs: Inputs {
                parameters: BTreeMap::from([("TaskCount".to_owned(), "1".to_owned())]),
                tags: BTreeMap::new(),
            },
            addons: Some("Resources: {}\n".to_owned()),
        }
    }

    #[test]
    fn what_is_new_every_time_is_not_compared() {
        let text = "# UpdateID\nResources:\n  DynamicDesiredCountAction:\n    Properties:\n      UpdateID: 'old-1'\n  Other: old-1\n";
        assert_eq!(
            template(&desired(), &text.replace("# UpdateID\n", "")),
            text.replace("# UpdateID\n", "")
                .replacen("old-1", "new-one", 1)
        );
        assert_eq!(template(&desired(), "Resources: {}"), "Resources: {}");
    }

    #[test]
    fn defaults_and_tags_of_aws_are_not_compared() {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect()
        };
        let live = Live {
            parameters: pairs(&[("TaskCount", "2"), ("SomeDefault", "x")]),
            tags: pairs(&[("aws:x", "1"), ("team", "a")]),
            ..Live::default()
        };
        let found = inputs(&desired(), &live);
        assert_eq!(found.parameters, pairs(&[("TaskCount", "2")]));
        assert_eq!(found.tags, pairs(&[("team", "a")]));
    }

    #[test]
    fn unchanged_addons_are_known_by_their_address() {
        let url = |key: &str| BTreeMap::from([(ADDONS.to_owned(), key.to_owned())]);
        let digest = sha256("Resources: {}\n");
        assert!(has_same_addons(
            &desired(),
            &url(&format!("https://b/{digest}.yml"))
        ));
        assert!(!has_same_addons(&desired(), &url("https://b/other.yml")));
        assert!(!has_same_addons(&desired(), &BTreeMap::new()));
        assert!(!has_addons(&url("")));
    }
}
