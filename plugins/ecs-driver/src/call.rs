//! The calls that change something. `plan` promises them, `apply` makes them, and both read the same value.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::deployment::Source;

/// One mutating call, as the host knows it: operation and arguments, keyed as in the WIT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "operation",
    content = "arguments",
    rename_all_fields = "kebab-case"
)]
pub enum Call {
    /// Uploads something.
    #[serde(rename = "s3.put")]
    Put {
        /// What and where.
        object: Object,
    },
    /// Proposes changes to a stack.
    #[serde(rename = "cloudformation.create-change-set")]
    Propose {
        /// The change set.
        input: ChangeSet,
    },
    /// Carries out proposed changes.
    #[serde(rename = "cloudformation.execute-change-set")]
    Execute {
        /// The change set.
        name: String,
        /// A failure is undone.
        rollback: bool,
    },
    /// Drops a change set.
    #[serde(rename = "cloudformation.delete-change-set")]
    Drop {
        /// The change set.
        name: String,
    },
    /// Cancels an update.
    #[serde(rename = "cloudformation.cancel-update")]
    Cancel {},
    /// Deletes a stack that never worked.
    #[serde(rename = "cloudformation.delete")]
    Delete {
        /// Who deletes.
        role: Option<String>,
    },
    /// Deploys a service again.
    #[serde(rename = "ecs.force-deployment")]
    Force {},
}

/// An upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Object {
    /// Bucket.
    pub bucket: String,
    /// Key.
    pub key: String,
    /// Where its bytes come from.
    pub source: Source,
    /// Media type, when the extension doesn't tell.
    pub content_type: Option<String>,
}

/// A change set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChangeSet {
    /// Its name.
    pub name: String,
    /// The stack is created or updated.
    pub kind: Kind,
    /// The upload of the template.
    pub template: Uploaded,
    /// Address of the document with parameters and tags.
    pub inputs: String,
    /// What the template may do.
    pub capabilities: Vec<String>,
    /// Who acts.
    pub role: Option<String>,
}

/// What a change set does with its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Creates it.
    Create,
    /// Updates it.
    Update,
}

/// The URL of what an effect uploads: `{"slot": "uploaded/EFFECT-ID"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uploaded {
    /// `uploaded/EFFECT-ID`
    pub slot: String,
}

/// When a promised call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// When everything goes well.
    Always,
    /// Only when it is needed.
    OnFailure,
}

/// A call with the name under which it is promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// Unique in the plan.
    pub id: String,
    /// Stack or bucket.
    pub subject: String,
    /// When it is made.
    pub moment: Moment,
    /// What is done.
    #[serde(flatten)]
    pub call: Call,
}

impl Call {
    fn json(&self) -> Json {
        // Text, lists and maps with text keys always serialise.
        serde_json::to_value(self).unwrap_or_else(|_| json!({}))
    }

    /// Interface and function: `s3.put`.
    pub fn operation(&self) -> String {
        self.json()["operation"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The call's own arguments in canonical form.
    pub fn arguments(&self) -> Json {
        self.json()["arguments"].take()
    }

    /// Removes or stops something that is there.
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::Delete { .. } => true,
            Self::Put { .. }
            | Self::Propose { .. }
            | Self::Execute { .. }
            | Self::Drop { .. }
            | Self::Cancel {}
            | Self::Force {} => false,
        }
    }
}

impl Promise {
    /// A call that is made when everything goes well.
    pub fn always(id: impl Into<String>, subject: &str, call: Call) -> Self {
        Self {
            id: id.into(),
            subject: subject.to_owned(),
            moment: Moment::Always,
            call,
        }
    }

    /// A call that is made when it is needed.
    pub fn on_failure(id: impl Into<String>, subject: &str, call: Call) -> Self {
        Self {
            moment: Moment::OnFailure,
            ..Self::always(id, subject, call)
        }
    }

    /// Removes or stops something that was there before the deploy.
    pub fn is_destructive(&self) -> bool {
        self.moment == Moment::Always && self.call.is_destructive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_its_operation_and_its_arguments() {
        let text = || "x".to_owned();
        for (call, operation, arguments) in [
            (
                Call::Put {
                    object: Object {
                        bucket: text(),
                        key: text(),
                        source: Source::Document(text()),
                        content_type: None,
                    },
                },
                "s3.put",
                json!({"object": {"bucket": "x", "key": "x", "source": {"document": "x"}, "content-type": null}}),
            ),
            (
                Call::Propose {
                    input: ChangeSet {
                        name: text(),
                        kind: Kind::Create,
                        template: Uploaded {
                            slot: "uploaded/t".to_owned(),
                        },
                        inputs: text(),
                        capabilities: vec![text()],
                        role: None,
                    },
                },
                "cloudformation.create-change-set",
                json!({"input": {"name": "x", "kind": "create", "template": {"slot": "uploaded/t"}, "inputs": "x", "capabilities": ["x"], "role": null}}),
            ),
            (
                Call::Execute {
                    name: text(),
                    rollback: true,
                },
                "cloudformation.execute-change-set",
                json!({"name": "x", "rollback": true}),
            ),
            (
                Call::Drop { name: text() },
                "cloudformation.delete-change-set",
                json!({"name": "x"}),
            ),
            (Call::Cancel {}, "cloudformation.cancel-update", json!({})),
            (
                Call::Delete { role: None },
                "cloudformation.delete",
                json!({"role": null}),
            ),
            (Call::Force {}, "ecs.force-deployment", json!({})),
        ] {
            assert_eq!(call.operation(), operation);
            assert_eq!(call.arguments(), arguments, "{operation}");
            let promise = Promise::always("id", "stack", call);
            let stored = serde_json::to_string(&promise).expect("serialises");
            assert_eq!(
                serde_json::from_str::<Promise>(&stored).expect("reads"),
                promise
            );
        }
    }
}
