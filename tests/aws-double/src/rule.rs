//! What goes wrong on purpose: where, what, and how often.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One thing that goes wrong, or takes longer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Where.
    pub at: Place,
    /// What.
    #[serde(default)]
    pub then: Effect,
    /// How much longer it takes, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// How often; always when not said.
    #[serde(default)]
    pub times: Option<u32>,
    /// How many times it goes well before.
    #[serde(default)]
    pub skip: u32,
}

/// Where a rule applies. Names may have `*` in them; what is not said matches everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// A request of a client, whichever part of the double would answer.
    Request {
        /// As in the signature's scope: `cloudformation`, `s3`, `ssm`.
        #[serde(default)]
        service: Pattern,
        /// `DescribeStacks`; `PUT /bucket/key` where the protocol has no names.
        #[serde(default)]
        action: Pattern,
        /// Text the body must hold.
        #[serde(default)]
        holding: String,
    },
    /// A resource of a stack.
    Resource {
        /// The stack's name.
        #[serde(default)]
        stack: Pattern,
        /// The logical name.
        #[serde(default)]
        resource: Pattern,
        /// `CREATE`, `UPDATE`, `DELETE`, or `ROLLBACK` for an update that is undone.
        #[serde(default)]
        operation: Pattern,
    },
    /// Tasks of an ECS service.
    Tasks {
        /// The service's name.
        #[serde(default)]
        service: Pattern,
        /// The task definition, `family:revision`.
        #[serde(default)]
        task_definition: Pattern,
    },
}

/// What a rule does.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Nothing but the delay.
    #[default]
    Pass,
    /// The resource fails.
    Fail {
        /// What the event says.
        reason: String,
    },
    /// The request is refused.
    Refuse {
        /// `Throttling`, `ExpiredToken`.
        code: String,
        /// The sentence.
        message: String,
        /// The HTTP status.
        status: u16,
    },
    /// The request is answered with this, whatever there is.
    Answer {
        /// XML or JSON.
        body: String,
    },
    /// The connection is closed without an answer.
    Drop,
    /// Tasks do not come to run.
    Tasks(Trouble),
}

/// Why a task stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The image is not there.
    CannotPull,
    /// The program ends, with this code.
    Exits(i32),
    /// The container's own check fails.
    Unhealthy,
    /// The load balancer's check fails, with this reason.
    FailsTargetCheck(String),
    /// A secret is not there.
    SecretMissing(String),
    /// The execution role may not read a secret.
    SecretDenied(String),
    /// The account has no more capacity of this kind.
    Quota(String),
    /// Tasks stay pending for ever.
    Pending,
    /// An alarm goes off that ends the deployment.
    Alarm,
}

/// A name, or a name with `*` in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// Whether `text` is meant.
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        if self.0.is_empty() {
            return true;
        }
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let parts: Vec<&str> = parts.collect();
        let Some((last, middle)) = parts.split_last() else {
            return rest.is_empty();
        };
        for part in middle {
            match rest.split_once(part) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Rule {
    fn at(at: Place) -> Self {
        Self {
            at,
            then: Effect::Pass,
            delay_ms: 0,
            times: None,
            skip: 0,
        }
    }

    /// For requests to a service: `Rule::request("cloudformation", "DescribeStacks")`.
    pub fn request(service: &str, action: &str) -> Self {
        Self::at(Place::Request {
            service: service.into(),
            action: action.into(),
            holding: String::new(),
        })
    }

    /// For a resource of a stack: `Rule::resource("demo-test-api", "Service", "CREATE")`.
    pub fn resource(stack: &str, resource: &str, operation: &str) -> Self {
        Self::at(Place::Resource {
            stack: stack.into(),
            resource: resource.into(),
            operation: operation.into(),
        })
    }

    /// For tasks of an ECS service, by a pattern of its name: `Rule::tasks("demo-test-api-*")`.
    pub fn tasks(service: &str, trouble: Trouble) -> Self {
        let mut rule = Self::at(Place::Tasks {
            service: service.into(),
            task_definition: Pattern::default(),
        });
        rule.then = Effect::Tasks(trouble);
        rule
    }

    /// Only tasks of this revision, by a pattern of `family:revision`.
    pub fn of(mut self, revision: &str) -> Self {
        if let Place::Tasks {
            task_definition, ..
        } = &mut self.at
        {
            *task_definition = revision.into();
        }
        self
    }

    /// The resource fails with this reason.
    pub fn fails(mut self, reason: &str) -> Self {
        self.then = Effect::Fail {
            reason: reason.to_owned(),
        };
        self
    }

    /// The request is refused.
    pub fn refused(mut self, status: u16, code: &str, message: &str) -> Self {
        self.then = Effect::Refuse {
            code: code.to_owned(),
            message: message.to_owned(),
            status,
        };
        self
    }

    /// The request is refused as too many are: `Rate exceeded`.
    pub fn throttled(self) -> Self {
        self.refused(400, "Throttling", "Rate exceeded")
    }

    /// The request is answered with this XML or JSON: something is there that nobody has made.
    pub fn answered(mut self, body: impl Into<String>) -> Self {
        self.then = Effect::Answer { body: body.into() };
        self
    }

    /// Only requests that hold this text.
    pub fn holding(mut self, text: &str) -> Self {
        if let Place::Request { holding, .. } = &mut self.at {
            text.clone_into(holding);
        }
        self
    }

    /// The connection is closed without an answer.
    pub fn dropped(mut self) -> Self {
        self.then = Effect::Drop;
        self
    }

    /// It takes longer.
    pub fn delayed(mut self, by: Duration) -> Self {
        self.delay_ms = crate::world::milliseconds(by);
        self
    }

    /// Only this often.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only after it went well this often.
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, text, expected) in [
            ("", "anything", true),
            ("*", "anything", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*-api-*", "demo-api-service", true),
            ("*-api", "demo-api-service", false),
            ("PUT /b/*", "PUT /b/c/d", true),
        ] {
            assert_eq!(
                Pattern::from(pattern).matches(text),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_rule_can_be_sent_as_json() {
        let rule: Rule = serde_json::from_str(
            r#"{"at":{"request":{"service":"ssm"}},"then":{"refuse":{"code":"ThrottlingException","message":"m","status":400}},"times":2}"#,
        )
        .unwrap();
        assert_eq!(rule.times, Some(2));
        let rule: Rule = serde_json::from_str(
            r#"{"at":{"tasks":{"service":"api-*"}},"then":{"tasks":{"exits":1}}}"#,
        )
        .unwrap();
        assert!(matches!(rule.then, Effect::Tasks(Trouble::Exits(1))));
    }
}
