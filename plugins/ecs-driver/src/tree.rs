//! A stack under way, as a tree of resources in human words. Fed with events; what it shows is worked out anew each time.

use std::collections::BTreeMap;

use crate::template::Template;

/// The type of a stack.
const STACK: &str = "AWS::CloudFormation::Stack";
/// What only follows from another failure.
const CONSEQUENCES: &[&str] = &["cancelled", "canceled"];

/// Something that happened to a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Unique.
    pub id: String,
    /// Milliseconds since 1970.
    pub time: u64,
    /// Logical id.
    pub resource: String,
    /// Physical id.
    pub physical: Option<String>,
    /// `AWS::ECS::Service`
    pub kind: String,
    /// `CREATE_FAILED`
    pub status: String,
    /// In AWS's words.
    pub reason: Option<String>,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was not begun.
    Waiting,
    /// It is under way.
    Running,
    /// It is as wanted.
    Succeeded,
    /// It could not be done.
    Failed,
    /// It is as it was before.
    Undone,
}

/// A line of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Unique.
    pub id: String,
    /// Id of the line it is below.
    pub parent: Option<String>,
    /// What it is, for people.
    pub text: String,
    /// How it stands.
    pub state: State,
    /// In CloudFormation's words: `update in progress`.
    pub status: String,
    /// Milliseconds.
    pub elapsed: Option<u32>,
    /// Why it failed.
    pub reasons: Vec<String>,
    /// Logical id; none for the stack itself.
    pub resource: Option<String>,
}

/// The first thing that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Logical id.
    pub resource: String,
    /// `AWS::ECS::Service`
    pub kind: String,
    /// In AWS's words.
    pub reason: String,
    /// `CREATE_FAILED`
    pub status: String,
    /// Milliseconds since 1970.
    pub time: u64,
    /// For a nested stack its ARN.
    pub physical: Option<String>,
}

/// A stack that is followed.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Prefix of the ids of its lines.
    prefix: String,
    parent: Option<String>,
    title: String,
    /// ARN, when it is known.
    stack: String,
    root: Node,
    /// In the order in which they were announced or came up.
    resources: Vec<(String, Node)>,
    descriptions: BTreeMap<String, String>,
    failures: Vec<Failure>,
    last: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    kind: String,
    status: String,
    begun: Option<u64>,
    ended: Option<u64>,
    failed: bool,
    /// Its status when it failed: what is rolled back has another one in the end.
    failure: Option<String>,
    reasons: Vec<String>,
    physical: Option<String>,
}

impl Tree {
    /// Nothing has happened yet. `template` gives the words.
    pub fn new(title: String, template: &Template) -> Self {
        let words = template
            .resources
            .iter()
            .filter_map(|(id, resource)| Some((id.clone(), resource.description.clone()?)));
        Self {
            prefix: String::new(),
            parent: None,
            title,
            stack: String::new(),
            root: Node::default(),
            resources: Vec::new(),
            descriptions: words.collect(),
            failures: Vec::new(),
            last: None,
        }
    }

    /// Puts it below a line of another tree.
    #[must_use]
    pub fn below(mut self, parent: &str) -> Self {
        self.prefix = format!("{parent}/");
        self.parent = Some(parent.to_owned());
        self
    }

    /// Says which stack it is, so that its own events are told from a resource's of the same name.
    #[must_use]
    pub fn of(mut self, stack: &str) -> Self {
        stack.clone_into(&mut self.stack);
        self
    }

    /// Leaves out what happened up to an event, and with it.
    #[must_use]
    pub fn after(mut self, event: &str) -> Self {
        self.last = Some(event.to_owned());
        self
    }

    /// Gives it another title: what is under way has turned.
    pub fn retitle(&mut self, title: String) {
        self.title = title;
    }

    /// Whether an event is of the stack itself.
    pub fn is_own(&self, event: &Event) -> bool {
        event.kind == STACK && event.physical.as_deref() == Some(self.stack.as_str())
    }

    /// A resource will be changed.
    pub fn announce(&mut self, resource: &str, kind: &str) {
        if self.find(resource).is_none() {
            let node = Node {
                kind: kind.to_owned(),
                ..Node::default()
            };
            self.resources.push((resource.to_owned(), node));
        }
    }

    fn find(&self, resource: &str) -> Option<usize> {
        self.resources.iter().position(|(id, _)| id == resource)
    }

    /// Takes in what happened, oldest first. Whether it was anything.
    pub fn take(&mut self, events: &[Event]) -> bool {
        for event in events {
            self.last = Some(event.id.clone());
            let own =
                event.kind == STACK && event.physical.as_deref().is_some_and(|id| id == self.stack);
            if own {
                self.root.take(event);
                continue;
            }
            let index = self.find(&event.resource).unwrap_or_else(|| {
                self.resources
                    .push((event.resource.clone(), Node::default()));
                self.resources.len() - 1
            });
            self.resources[index].1.take(event);
            if let Some(failure) = failure(event) {
                self.failures.push(failure);
            }
        }
        !events.is_empty()
    }

    /// Id of the last event that was taken in.
    pub fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// What failed first.
    pub fn failure(&self) -> Option<&Failure> {
        self.failures.first()
    }

    /// Failures that did not follow from others.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Nested stacks that have begun: logical id and ARN.
    pub fn nested(&self) -> impl Iterator<Item = (&str, &str)> {
        self.resources.iter().filter_map(|(id, node)| {
            let stack = node.physical.as_deref()?;
            (node.kind == STACK && stack.starts_with("arn:")).then_some((id.as_str(), stack))
        })
    }

    /// A resource of a type that has begun, and not ended.
    pub fn running_of(&self, kind: &str) -> Option<&str> {
        let mut found = self.resources.iter();
        found
            .find(|(_, node)| node.kind == kind && node.state() == State::Running)
            .map(|(id, _)| id.as_str())
    }

    /// Whether a resource has begun.
    pub fn has_begun(&self, resource: &str) -> bool {
        let found = self.find(resource).map(|index| &self.resources[index].1);
        found.is_some_and(|node| node.begun.is_some())
    }

    /// Id of a resource's line.
    pub fn line_id(&self, resource: &str) -> String {
        format!("{}{resource}", self.prefix)
    }

    /// How everything stands at a time (milliseconds since 1970). Resources without a name in words are shown once they
    /// failed.
    pub fn lines(&self, now: u64) -> Vec<Line> {
        let root = format!("{}stack", self.prefix);
        let mut lines = vec![Line {
            id: root.clone(),
            parent: self.parent.clone(),
            text: self.title.clone(),
            state: self.root.state(),
            status: words(&self.root.status),
            elapsed: self.root.elapsed(now),
            reasons: self.root_reasons(),
            resource: None,
        }];
        for (id, node) in &self.resources {
            let described = self.descriptions.get(id);
            if described.is_none() && !node.failed {
                continue;
            }
            let text = match described {
                Some(text) => text.clone(),
                None => format!("{id} ({})", node.kind),
            };
            lines.push(Line {
                id: self.line_id(id),
                parent: Some(root.clone()),
                text,
                state: node.state(),
                status: words(node.failure.as_ref().unwrap_or(&node.status)),
                elapsed: node.elapsed(now),
                reasons: node.reasons.clone(),
                resource: Some(id.clone()),
            });
        }
        lines
    }

    /// Of the stack itself only what no resource explains.
    fn root_reasons(&self) -> Vec<String> {
        match self.failures.is_empty() {
            true => self.root.reasons.clone(),
            false => Vec::new(),
        }
    }
}

impl Node {
    fn take(&mut self, event: &Event) {
        self.kind.clone_from(&event.kind);
        self.status.clone_from(&event.status);
        if event.physical.is_some() {
            self.physical.clone_from(&event.physical);
        }
        self.begun.get_or_insert(event.time);
        self.ended = (!event.status.ends_with("_IN_PROGRESS")).then_some(event.time);
        if event.status.ends_with("_FAILED") {
            let reason = event.reason.as_deref().unwrap_or_default();
            if !is_consequence(reason) {
                self.failed = true;
                self.failure.get_or_insert(event.status.clone());
            }
            let reason = plain(reason);
            if !reason.is_empty() && !self.reasons.contains(&reason) {
                self.reasons.push(reason);
            }
        }
    }

    fn state(&self) -> State {
        let status = self.status.as_str();
        match () {
            () if status.is_empty() => State::Waiting,
            () if status.ends_with("_IN_PROGRESS") => State::Running,
            () if status.ends_with("_FAILED") => State::Failed,
            () if self.failed => State::Failed,
            () if status.contains("ROLLBACK") => State::Undone,
            () => State::Succeeded,
        }
    }

    fn elapsed(&self, now: u64) -> Option<u32> {
        let begun = self.begun?;
        let end = self.ended.unwrap_or(now);
        u32::try_from(end.saturating_sub(begun)).ok()
    }
}

fn failure(event: &Event) -> Option<Failure> {
    let reason = event.reason.as_deref().unwrap_or_default();
    if !event.status.ends_with("_FAILED") || is_consequence(reason) {
        return None;
    }
    Some(Failure {
        resource: event.resource.clone(),
        kind: event.kind.clone(),
        reason: plain(reason),
        status: event.status.clone(),
        time: event.time,
        physical: event.physical.clone(),
    })
}

/// `Resource creation cancelled`: another resource is to blame.
fn is_consequence(reason: &str) -> bool {
    let reason = reason.trim_end_matches('.').to_lowercase();
    reason.starts_with("resource ") && CONSEQUENCES.iter().any(|word| reason.ends_with(word))
}

/// `UPDATE_IN_PROGRESS` as `update in progress`.
fn words(status: &str) -> String {
    match status {
        "" => "not started".to_owned(),
        status => status.to_lowercase().replace('_', " "),
    }
}

/// A reason without what only AWS's support needs: `Resource handler returned message: "…" (RequestToken: …)` is what
/// it says between the quotes, and all ends before `. (Service`.
pub fn plain(reason: &str) -> String {
    let mut text = reason.trim();
    for prefix in [
        "Resource handler returned message: ",
        "Received response status [FAILED] from custom resource. Message returned: ",
    ] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    for end in [
        " (RequestToken:",
        ". (Service",
        " (Service:",
        " (RequestId:",
    ] {
        text = text.split_once(end).map_or(text, |(before, _)| before);
    }
    text.trim()
        .trim_matches('"')
        .trim_end_matches('.')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Template {
        Template::read(
            "Resources:\n  Service:\n    Type: AWS::ECS::Service\n    Metadata: {'aws:copilot:description': 'An ECS service'}\n  AddonsStack:\n    Type: AWS::CloudFormation::Stack\n    Metadata: {'aws:copilot:description': 'Additional resources'}\n  Role:\n    Type: AWS::IAM::Role\n",
        )
    }

    fn event(number: u64, resource: &str, kind: &str, status: &str, reason: Option<&str>) -> Event {
        Event {
            id: format!("e{number}"),
            time: number * 1000,
            resource: resource.to_owned(),
            physical: (resource == "app-test-api").then(|| "arn:s".to_owned()),
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
        }
    }

    fn shown(tree: &Tree) -> Vec<(String, State, String, Option<u32>)> {
        tree.lines(10_000)
            .into_iter()
            .map(|line| (line.text, line.state, line.status, line.elapsed))
            .collect()
    }

    #[test]
    fn a_stack_is_followed_from_announcement_to_failure() {
        let mut tree = Tree::new("Creating app-test-api".to_owned(), &template()).of("arn:s");
        tree.announce("Service", "AWS::ECS::Service");
        tree.announce("Role", "AWS::IAM::Role");
        assert_eq!(
            shown(&tree),
            [
                (
                    "Creating app-test-api".to_owned(),
                    State::Waiting,
                    "not started".to_owned(),
                    None
                ),
                (
                    "An ECS service".to_owned(),
                    State::Waiting,
                    "not started".to_owned(),
                    None
                ),
            ],
            "what has no name in words is not shown"
        );
        tree.take(&[
            event(1, "app-test-api", STACK, "CREATE_IN_PROGRESS", None),
            event(2, "Service", "AWS::ECS::Service", "CREATE_IN_PROGRESS", None),
            event(3, "Role", "AWS::IAM::Role", "CREATE_FAILED", Some("Resource handler returned message: \"No more roles\" (RequestToken: 1, HandlerErrorCode: X)")),
            event(4, "Service", "AWS::ECS::Service", "CREATE_FAILED", Some("Resource creation cancelled")),
            event(5, "app-test-api", STACK, "ROLLBACK_COMPLETE", None),
        ]);
        assert_eq!(
            shown(&tree),
            [
                (
                    "Creating app-test-api".to_owned(),
                    State::Undone,
                    "rollback complete".to_owned(),
                    Some(4000)
                ),
                (
                    "An ECS service".to_owned(),
                    State::Failed,
                    "create failed".to_owned(),
                    Some(2000)
                ),
                (
                    "Role (AWS::IAM::Role)".to_owned(),
                    State::Failed,
                    "create failed".to_owned(),
                    Some(0)
                ),
            ]
        );
        let failure = tree.failure().expect("one failed");
        assert_eq!(
            (failure.resource.as_str(), failure.reason.as_str()),
            ("Role", "No more roles")
        );
        assert_eq!(tree.failures().len(), 1, "a cancellation is no cause");
        assert_eq!(tree.last(), Some("e5"));
    }

    #[test]
    fn a_nested_stack_is_below_its_resource() {
        let mut tree = Tree::new("t".to_owned(), &template()).of("arn:s");
        let mut nested = event(1, "AddonsStack", STACK, "CREATE_IN_PROGRESS", None);
        nested.physical = Some("arn:nested".to_owned());
        tree.take(&[nested]);
        assert_eq!(
            tree.nested().collect::<Vec<_>>(),
            [("AddonsStack", "arn:nested")]
        );
        let inner = Tree::new("Addons".to_owned(), &template()).below(&tree.line_id("AddonsStack"));
        let line = &inner.lines(0)[0];
        assert_eq!(
            (line.id.as_str(), line.parent.as_deref()),
            ("AddonsStack/stack", Some("AddonsStack"))
        );
    }

    #[test]
    fn a_reason_is_told_without_its_packing() {
        for (reason, expected) in [
            (
                "Resource handler returned message: \"Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'.\" (RequestToken: 1, HandlerErrorCode: GeneralServiceException)",
                "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'",
            ),
            (
                "The role is invalid. (Service: Ecs, Status Code: 400)",
                "The role is invalid",
            ),
            (
                "Received response status [FAILED] from custom resource. Message returned: no listener (RequestId: 1)",
                "no listener",
            ),
            ("plain", "plain"),
        ] {
            assert_eq!(plain(reason), expected);
        }
    }
}
