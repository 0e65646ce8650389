use super::*;
use crate::call::Moment;
use crate::deployment::{Deployment, Inputs, Upload};

const TEMPLATE_TEXT: &str =
    "Metadata:\n  Version: v1.34.0\nResources:\n  Service:\n    Type: AWS::ECS::Service\n";

fn desired(kind: &str) -> Desired {
    Desired {
        deployment: Deployment {
            application: "app".to_owned(),
            environment: "test".to_owned(),
            workload: "api".to_owned(),
            kind: kind.to_owned(),
            region: "eu-west-1".to_owned(),
            stack: "app-test-api".to_owned(),
            environment_stack: "app-test".to_owned(),
            bucket: "bucket".to_owned(),
            execution_role: Some("arn:role".to_owned()),
            uploads: vec![Upload {
                key: "manual/env-files/a.env/1.env".to_owned(),
                source: Source::File("a.env".to_owned()),
                content_type: None,
            }],
        },
        template: TEMPLATE_TEXT.to_owned(),
        inputs: Inputs::default(),
        addons: None,
    }
}

fn stack(status: &str) -> Stack {
    Stack {
        id: "arn".to_owned(),
        status: status.to_owned(),
        reason: None,
        changed: 5,
    }
}

struct Case {
    kind: &'static str,
    stack: Option<Stack>,
    deployed: Option<&'static str>,
    changes: Vec<(&'static str, &'static str)>,
    request: Request,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            kind: "Backend Service",
            stack: Some(stack("UPDATE_COMPLETE")),
            deployed: Some(TEMPLATE_TEXT),
            changes: vec![("stack/api", "/Resources/Service/Properties/DesiredCount")],
            request: Request::default(),
        }
    }
}

impl Case {
    fn plan(&self) -> Result<Proposal, String> {
        let changes: Vec<(String, String)> = self
            .changes
            .iter()
            .map(|(address, pointer)| ((*address).to_owned(), (*pointer).to_owned()))
            .collect();
        plan(&Input {
            desired: &desired(self.kind),
            stack: self.stack.as_ref(),
            deployed: self.deployed,
            changes: &changes,
            request: &self.request,
            deployment_id: "0123456789ab",
        })
    }

    fn ids(&self) -> Vec<String> {
        let steps = self.plan().expect("a plan").steps;
        steps.into_iter().map(|step| step.id).collect()
    }
}

#[test]
fn a_changed_workload_is_uploaded_proposed_and_executed() {
    let steps = Case::default().plan().expect("a plan").steps;
    let calls: Vec<(String, String, String, bool)> = steps
        .iter()
        .flat_map(|step| step.task.promises())
        .map(|promise| {
            (
                promise.call.operation(),
                promise.subject.clone(),
                promise.call.arguments().to_string(),
                promise.moment == Moment::Always,
            )
        })
        .collect();
    let calls: Vec<(&str, &str, &str, bool)> = calls
        .iter()
        .map(|(a, b, c, d)| (a.as_str(), b.as_str(), c.as_str(), *d))
        .collect();
    assert_eq!(
        calls,
        [
            (
                "s3.put",
                "bucket",
                r#"{"object":{"bucket":"bucket","key":"manual/env-files/a.env/1.env","source":{"file":"a.env"},"content-type":null}}"#,
                true
            ),
            (
                "s3.put",
                "bucket",
                r#"{"object":{"bucket":"bucket","key":"manual/templates/app-test-api/{sha256}.yml","source":{"document":"stack/api"},"content-type":null}}"#,
                true
            ),
            (
                "cloudformation.create-change-set",
                "app-test-api",
                r#"{"input":{"name":"plimsoll-0123456789ab","kind":"update","template":{"slot":"uploaded/template"},"inputs":"parameters/api","capabilities":["CAPABILITY_IAM","CAPABILITY_NAMED_IAM","CAPABILITY_AUTO_EXPAND"],"role":"arn:role"}}"#,
                true
            ),
            (
                "cloudformation.delete-change-set",
                "app-test-api",
                r#"{"name":"plimsoll-0123456789ab"}"#,
                false
            ),
            (
                "cloudformation.execute-change-set",
                "app-test-api",
                r#"{"name":"plimsoll-0123456789ab","rollback":true}"#,
                true
            ),
            ("cloudformation.cancel-update", "app-test-api", "{}", false),
        ]
    );
}

#[test]
fn an_unchanged_workload_is_left_alone_and_says_why() {
    for changes in [
        vec![],
        vec![
            ("stack/api", "/Metadata/Manifest"),
            ("stack/api", "/Metadata/Version"),
        ],
        vec![("deployment/api", "/uploads")],
    ] {
        let case = Case {
            changes,
            ..Case::default()
        };
        let proposal = case.plan().expect("a plan");
        assert!(proposal.steps.is_empty());
        let (message, help) = proposal.note.expect("it says why");
        assert!(
            message.contains("app-test-api has this template"),
            "{message}"
        );
        assert!(help.expect("it can be forced").contains("--force"));
    }
}

#[test]
fn what_failed_to_be_created_is_deleted_first_and_shown_as_such() {
    let case = Case {
        stack: Some(stack("ROLLBACK_COMPLETE")),
        deployed: None,
        ..Case::default()
    };
    let steps = case.plan().expect("a plan").steps;
    let ids: Vec<&str> = steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["upload", "clear", "propose", "execute"]);
    assert!(steps[1].title.contains("delete stack app-test-api"));
    let promises = steps[1].task.promises();
    assert!(promises[0].is_destructive());
    assert_eq!(
        promises[0].call,
        Call::Delete {
            role: Some("arn:role".to_owned())
        }
    );
    // Undoing a creation deletes it, which is nobody's loss.
    let undo = steps[3].task.promises()[1];
    assert_eq!(
        (undo.call.operation().as_str(), undo.is_destructive()),
        ("cloudformation.delete", false)
    );
}

#[test]
fn force_starts_tasks_anew_whether_or_not_something_changed() {
    let force = || Request {
        force: true,
        ..Request::default()
    };
    let unchanged = Case {
        changes: vec![],
        request: force(),
        ..Case::default()
    };
    assert_eq!(unchanged.ids(), ["force"]);
    let changed = Case {
        request: force(),
        ..Case::default()
    };
    assert_eq!(changed.ids(), ["upload", "propose", "execute", "force"]);
    let job = Case {
        kind: "Scheduled Job",
        changes: vec![],
        request: force(),
        ..Case::default()
    };
    let steps = job.plan().expect("a plan").steps;
    assert!(
        steps[0].task.promises().is_empty(),
        "its image is pushed, and that is all"
    );
    let site = Case {
        kind: "Static Site",
        request: force(),
        ..Case::default()
    };
    assert!(site.plan().expect_err("refused").contains("Static Site"));
}

#[test]
fn what_is_half_done_is_deployed_again_without_a_difference() {
    let case = Case {
        stack: Some(stack("UPDATE_FAILED")),
        changes: vec![],
        request: Request {
            no_rollback: true,
            ..Request::default()
        },
        ..Case::default()
    };
    let steps = case.plan().expect("a plan").steps;
    let execute = steps[2].task.promises()[0].call.arguments();
    assert_eq!(execute["rollback"], false);
}

#[test]
fn an_older_template_is_refused_unless_it_is_allowed() {
    let newer = "Metadata:\n  Version: v99.0.0\n";
    let case = |allow_downgrade| Case {
        deployed: Some(newer),
        request: Request {
            allow_downgrade,
            ..Request::default()
        },
        ..Case::default()
    };
    assert!(case(false).plan().expect_err("refused").contains("v99.0.0"));
    assert!(case(true).plan().is_ok());
}

#[test]
fn tasks_survive_the_plan_file() {
    for step in Case::default().plan().expect("a plan").steps {
        let stored = serde_json::to_string(&step.task).expect("serialises");
        assert_eq!(
            serde_json::from_str::<Task>(&stored).expect("reads"),
            step.task
        );
    }
}

#[test]
fn packaging_uploads_what_the_template_refers_to_and_touches_no_stack() {
    let case = Case {
        stack: Some(stack("UPDATE_IN_PROGRESS")),
        changes: Vec::new(),
        request: Request::parse(r#"{"command": "svc package"}"#).expect("valid"),
        ..Case::default()
    };
    let steps = case.plan().expect("a plan").steps;
    let [step] = steps.as_slice() else {
        panic!("{steps:?}")
    };
    let operations: Vec<String> = step
        .task
        .promises()
        .iter()
        .map(|promise| promise.call.operation())
        .collect();
    assert_eq!(operations, ["s3.put"]);
}
