//! Session policies: what a role's keys were cut down to when it was assumed holds here as it does at AWS.

use hyper::Method;
use serde_json::Value;

use crate::cloudformation::evaluate::{partition, text_of};
use crate::rule::Pattern;
use crate::wire::query::Fields;
use crate::wire::{Call, Refusal};
use crate::world::World;

/// An action on a resource, as policies name them.
struct Wanted {
    action: String,
    /// `*` where the action has no resource, or this double does not know it.
    resource: String,
}

/// Refuses what the policy of a signer's session does not allow.
pub(crate) fn check(world: &World, call: &Call, policy: &str, who: &str) -> Result<(), Refusal> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    for wanted in wanted(world, call) {
        if !allows(&policy, &wanted) {
            let (action, resource) = (&wanted.action, &wanted.resource);
            let is_json = !call.header("x-amz-target").is_empty();
            let code = if is_json {
                "AccessDeniedException"
            } else {
                "AccessDenied"
            };
            let why = format!(
                "User: {who} is not authorized to perform: {action} on resource: {resource} because no session policy allows the {action} action"
            );
            return Err(Refusal::new(code, why).status(if is_json { 400 } else { 403 }));
        }
    }
    Ok(())
}

fn allows(policy: &Value, wanted: &Wanted) -> bool {
    let statements = match &policy["Statement"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    let applies = |statement: &&Value| {
        matches_any(&statement["Action"], &wanted.action)
            && (matches_any(&statement["Resource"], &wanted.resource))
    };
    let effects: Vec<String> = statements
        .iter()
        .filter(applies)
        .map(|statement| text_of(&statement["Effect"]))
        .collect();
    effects.iter().any(|it| it == "Allow") && !effects.iter().any(|it| it == "Deny")
}

fn matches_any(patterns: &Value, text: &str) -> bool {
    let is_it = |pattern: &Value| Pattern::from(text_of(pattern).as_str()).matches(text);
    match patterns {
        Value::Array(all) => all.iter().any(is_it),
        Value::Null => false,
        one => is_it(one),
    }
}

/// What a request does, as far as policies are concerned.
fn wanted(world: &World, call: &Call) -> Vec<Wanted> {
    let region = &call.region;
    let account = &world.settings.account;
    let partition = partition(region);
    let action = call.action();
    let arn =
        |service: &str, rest: &str| format!("arn:{partition}:{service}:{region}:{account}:{rest}");
    let one = |action: String, resource: String| vec![Wanted { action, resource }];
    let json = call.json();
    let text = |name: &str| text_of(&json[name]);
    match call.service.as_str() {
        // Everybody may.
        "sts" => Vec::new(),
        "cloudformation" => {
            let fields = Fields::read(&call.body);
            let stack = stack(world, call, &fields).unwrap_or_else(|| "*".to_owned());
            let mut wanted = one(format!("cloudformation:{action}"), stack);
            if let Some(role) = fields.get("RoleARN") {
                wanted.extend(one("iam:PassRole".to_owned(), role.to_owned()));
            }
            wanted
        }
        "s3" => {
            let path = call.head.uri.path().trim_start_matches('/');
            let object = format!("arn:{partition}:s3:::{path}");
            let is_object = path.split_once('/').is_some_and(|(_, key)| !key.is_empty());
            let action = match (&call.head.method, is_object) {
                (&Method::PUT, true) => "PutObject",
                (&Method::DELETE, true) => "DeleteObject",
                (_, true) => "GetObject",
                (_, false) => "ListBucket",
            };
            let mut wanted = one(format!("s3:{action}"), object.clone());
            if !call.header("x-amz-acl").is_empty() {
                wanted.extend(one("s3:PutObjectAcl".to_owned(), object));
            }
            wanted
        }
        "ssm" => {
            let names = json["Names"].as_array().cloned().unwrap_or_else(|| {
                vec![if json["Name"].is_null() {
                    json["Path"].clone()
                } else {
                    json["Name"].clone()
                }]
            });
            let parameter = |name: &Value| {
                arn(
                    "ssm",
                    &format!("parameter/{}", text_of(name).trim_start_matches('/')),
                )
            };
            names
                .iter()
                .map(|name| Wanted {
                    action: format!("ssm:{action}"),
                    resource: parameter(name),
                })
                .collect()
        }
        "ecr" => {
            let resource = match text("repositoryName") {
                name if name.is_empty() => "*".to_owned(),
                name => arn("ecr", &format!("repository/{name}")),
            };
            one(format!("ecr:{action}"), resource)
        }
        "ecs" if action == "UpdateService" => {
            let (cluster, service) = (text("cluster"), text("service"));
            let resource = match service.starts_with("arn:") {
                true => service,
                false => arn(
                    "ecs",
                    &format!(
                        "service/{}/{service}",
                        cluster.rsplit('/').next().unwrap_or_default()
                    ),
                ),
            };
            one(format!("ecs:{action}"), resource)
        }
        "tagging" => one(format!("tag:{action}"), "*".to_owned()),
        "monitoring" => one(format!("cloudwatch:{action}"), "*".to_owned()),
        service => one(format!("{service}:{action}"), "*".to_owned()),
    }
}

/// The stack, or the stack set, that a request is about.
fn stack(world: &World, call: &Call, fields: &Fields) -> Option<String> {
    let state = world.state();
    let account = &world.settings.account;
    let prefix = format!(
        "arn:{}:cloudformation:{}:{account}",
        partition(&call.region),
        call.region
    );
    if let Some(set) = fields.get("StackSetName") {
        return Some(format!("{prefix}:stackset/{set}:1"));
    }
    let of_change_set = || {
        let id = fields.get("ChangeSetName")?;
        let found = state.change_sets.iter().find(|it| it.id == id)?;
        Some(found.stack.clone())
    };
    match fields.get("StackName") {
        None => of_change_set(),
        Some(name) if name.starts_with("arn:") => Some(name.to_owned()),
        Some(name) => Some(match state.find_stack(&call.region, name) {
            Some(stack) => stack.id.clone(),
            None => format!("{prefix}:stack/{name}/new"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn statements_allow_and_deny() {
        let policy = json!({ "Statement": [
            { "Effect": "Allow", "Action": ["s3:Get*"], "Resource": "arn:aws:s3:::*/manual/*" },
            { "Effect": "Allow", "Action": "tag:GetResources", "Resource": "*" },
            { "Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::b/manual/secret" },
        ] });
        for (action, resource, expected) in [
            ("s3:GetObject", "arn:aws:s3:::b/manual/x", true),
            ("s3:PutObject", "arn:aws:s3:::b/manual/x", false),
            ("s3:GetObject", "arn:aws:s3:::b/other/x", false),
            ("s3:GetObject", "arn:aws:s3:::b/manual/secret", false),
            ("tag:GetResources", "*", true),
        ] {
            let wanted = Wanted {
                action: action.to_owned(),
                resource: resource.to_owned(),
            };
            assert_eq!(allows(&policy, &wanted), expected, "{action} {resource}");
        }
    }
}
