//! What is told of stacks, in XML.

use serde_json::Value;

use super::api::{Asked, no_stack};
use super::change_set::{ChangeSet, Planned};
use super::evaluate::text_of;
use super::stack::{Event, Resource, Stack};
use super::template::Template;
use crate::id::timestamp;
use crate::wire::Refusal;
use crate::wire::xml::{Fields, Xml};
use crate::world::State;

type Done = Result<Fields, Refusal>;

/// Part of `all` from the page the client is at, and where the next begins.
fn page<'a, T>(asked: &Asked<'_>, all: &'a [T]) -> (&'a [T], Option<String>) {
    let size = asked.world.settings.page;
    let token = asked.fields.get("NextToken").unwrap_or_default();
    let begin = token.parse().unwrap_or(0).min(all.len());
    let end = (begin + size).min(all.len());
    (&all[begin..end], (end < all.len()).then(|| end.to_string()))
}

fn tags(tags: &[(String, String)]) -> Vec<Xml> {
    tags.iter()
        .map(|(key, value)| {
            Fields::default()
                .with("Key", key)
                .with("Value", value)
                .done()
        })
        .collect()
}

fn texts(texts: &[String]) -> Vec<Xml> {
    texts.iter().map(Xml::text).collect()
}

fn parameters(parameters: &[(String, String)]) -> Vec<Xml> {
    let field = |(key, value): &(String, String)| {
        Fields::default()
            .with("ParameterKey", key)
            .with("ParameterValue", value)
            .done()
    };
    parameters.iter().map(field).collect()
}

fn stack(stack: &Stack) -> Xml {
    let version = &stack.version;
    let outputs = version.outputs.iter().map(|output| {
        Fields::default()
            .with("OutputKey", &output.key)
            .with("OutputValue", &output.value)
            .maybe("Description", output.description.as_ref())
            .maybe("ExportName", output.export.as_ref())
            .done()
    });
    let description = version
        .template
        .as_ref()
        .and_then(|template| template.value["Description"].as_str());
    Fields::default()
        .with("StackId", &stack.id)
        .with("StackName", &stack.name)
        .maybe("Description", description)
        .with("CreationTime", timestamp(stack.created))
        .maybe("LastUpdatedTime", stack.updated.map(timestamp))
        .with("StackStatus", &stack.status)
        .maybe("StackStatusReason", stack.reason.as_ref())
        .with("DisableRollback", stack.is_rollback_disabled)
        .with("EnableTerminationProtection", stack.is_protected)
        .list("Parameters", parameters(&version.parameters))
        .list("Outputs", outputs.collect())
        .list("Tags", tags(&version.tags))
        .list("Capabilities", texts(&version.capabilities))
        .maybe("RoleARN", version.role.as_ref())
        .maybe("ParentId", stack.parent.as_ref())
        .maybe("RootId", stack.parent.as_ref())
        .done()
}

pub(super) fn stacks(asked: &Asked<'_>) -> Done {
    let state = asked.world.state();
    if let Some(name) = asked.fields.get("StackName") {
        let found = state
            .find_stack(asked.region, name)
            .ok_or_else(|| no_stack(name))?;
        return Ok(Fields::default().list("Stacks", vec![stack(found)]));
    }
    let all: Vec<&Stack> = state
        .stacks
        .iter()
        .filter(|stack| stack.region == asked.region && !stack.is_gone())
        .collect();
    let (some, next) = page(asked, &all);
    Ok(Fields::default()
        .list("Stacks", some.iter().map(|it| stack(it)).collect())
        .maybe("NextToken", next))
}

pub(super) fn list_stacks(asked: &Asked<'_>) -> Done {
    let state = asked.world.state();
    let wanted = asked.fields.list("StackStatusFilter");
    let all: Vec<&Stack> = state
        .stacks
        .iter()
        .filter(|stack| stack.region == asked.region)
        .filter(|stack| wanted.is_empty() || wanted.contains(&stack.status))
        .collect();
    let (some, next) = page(asked, &all);
    let summary = |stack: &&Stack| {
        Fields::default()
            .with("StackId", &stack.id)
            .with("StackName", &stack.name)
            .with("CreationTime", timestamp(stack.created))
            .with("StackStatus", &stack.status)
            .done()
    };
    Ok(Fields::default()
        .list("StackSummaries", some.iter().map(summary).collect())
        .maybe("NextToken", next))
}

pub(super) fn events(asked: &Asked<'_>) -> Done {
    let id = asked.stack()?;
    let state = asked.world.state();
    let stack = state.stack(&id);
    let newest_first: Vec<&Event> = stack.events.iter().rev().collect();
    let (some, next) = page(asked, &newest_first);
    let event = |event: &&Event| {
        Fields::default()
            .with("StackId", &stack.id)
            .with("EventId", &event.id)
            .with("StackName", &stack.name)
            .with("LogicalResourceId", &event.resource)
            .with("PhysicalResourceId", &event.physical)
            .with("ResourceType", &event.kind)
            .with("Timestamp", timestamp(event.at))
            .with("ResourceStatus", &event.status)
            .maybe("ResourceStatusReason", event.reason.as_ref())
            .maybe("ResourceProperties", event.properties.as_ref())
            .maybe("ClientRequestToken", event.token.as_ref())
            .done()
    };
    Ok(Fields::default()
        .list("StackEvents", some.iter().map(event).collect())
        .maybe("NextToken", next))
}

fn resource_fields(stack: &Stack, resource: &Resource) -> Fields {
    Fields::default()
        .with("StackId", &stack.id)
        .with("StackName", &stack.name)
        .with("LogicalResourceId", &resource.name)
        .with("PhysicalResourceId", &resource.physical)
        .with("ResourceType", &resource.kind)
        .with("ResourceStatus", &resource.status)
        .maybe("ResourceStatusReason", resource.reason.as_ref())
}

/// Resources of the stack, or the one that is asked for.
fn chosen<'a>(asked: &Asked<'_>, stack: &'a Stack) -> Vec<&'a Resource> {
    let wanted = asked.fields.get("LogicalResourceId");
    stack
        .version
        .resources
        .iter()
        .filter(|resource| wanted.is_none_or(|wanted| resource.name == wanted))
        .collect()
}

pub(super) fn resources(asked: &Asked<'_>) -> Done {
    let id = asked.stack()?;
    let state = asked.world.state();
    let stack = state.stack(&id);
    let all = chosen(asked, stack).into_iter().map(|resource| {
        resource_fields(stack, resource)
            .with("Timestamp", timestamp(resource.at))
            .done()
    });
    Ok(Fields::default().list("StackResources", all.collect()))
}

pub(super) fn resource(asked: &Asked<'_>) -> Done {
    let id = asked.stack()?;
    let wanted = asked.required("LogicalResourceId")?;
    let state = asked.world.state();
    let stack = state.stack(&id);
    let Some(resource) = chosen(asked, stack).into_iter().next() else {
        return Err(Refusal::validation(format!(
            "Resource {wanted} does not exist for stack {}",
            stack.name
        )));
    };
    let fields =
        resource_fields(stack, resource).with("LastUpdatedTimestamp", timestamp(resource.at));
    Ok(Fields::default().nested("StackResourceDetail", fields))
}

pub(super) fn list_resources(asked: &Asked<'_>) -> Done {
    let id = asked.stack()?;
    let state = asked.world.state();
    let stack = state.stack(&id);
    let all = chosen(asked, stack);
    let (some, next) = page(asked, &all);
    let summaries = some.iter().map(|resource| {
        Fields::default()
            .with("LogicalResourceId", &resource.name)
            .with("PhysicalResourceId", &resource.physical)
            .with("ResourceType", &resource.kind)
            .with("ResourceStatus", &resource.status)
            .maybe("ResourceStatusReason", resource.reason.as_ref())
            .with("LastUpdatedTimestamp", timestamp(resource.at))
            .done()
    });
    Ok(Fields::default()
        .list("StackResourceSummaries", summaries.collect())
        .maybe("NextToken", next))
}

pub(super) fn template(asked: &Asked<'_>) -> Done {
    let body = if asked.fields.get("ChangeSetName").is_some() {
        Some(asked.change_set()?.target.template.body)
    } else {
        let id = asked.stack()?;
        asked.world.read(&id, |stack| {
            stack.version.template.as_ref().map(|it| it.body.clone())
        })
    };
    // A stack whose first change set was not executed has none yet.
    let body = body.unwrap_or_else(|| "{}".to_owned());
    let stages = ["Original", "Processed"].map(Xml::text).into();
    Ok(Fields::default()
        .with("TemplateBody", body)
        .list("StagesAvailable", stages))
}

fn declared_parameters(template: &Template) -> Vec<Xml> {
    let parameter = |(name, declared): (&String, &Value)| {
        let default = declared.get("Default").map(text_of);
        Fields::default()
            .with("ParameterKey", name)
            .maybe("DefaultValue", default)
            .with(
                "ParameterType",
                declared["Type"].as_str().unwrap_or("String"),
            )
            .with("NoEcho", text_of(&declared["NoEcho"]) == "true")
            .maybe("Description", declared["Description"].as_str())
            .done()
    };
    template.section("Parameters").map(parameter).collect()
}

pub(super) fn template_summary(template: &Template) -> Fields {
    let mut kinds: Vec<&str> = template
        .section("Resources")
        .filter_map(|(_, resource)| resource["Type"].as_str())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let metadata = template.value.get("Metadata").map(Value::to_string);
    let capabilities = template.capabilities();
    let reason = (!capabilities.is_empty())
        .then_some("The following resource(s) require capabilities: [AWS::IAM::Role]");
    Fields::default()
        .list("Parameters", declared_parameters(template))
        .maybe("Description", template.value["Description"].as_str())
        .list(
            "Capabilities",
            capabilities.into_iter().map(Xml::text).collect(),
        )
        .maybe("CapabilitiesReason", reason)
        .list("ResourceTypes", kinds.into_iter().map(Xml::text).collect())
        .maybe(
            "Version",
            template.value["AWSTemplateFormatVersion"].as_str(),
        )
        .maybe("Metadata", metadata)
}

pub(super) fn validated(template: &Template) -> Fields {
    Fields::default()
        .list("Parameters", declared_parameters(template))
        .maybe("Description", template.value["Description"].as_str())
        .list(
            "Capabilities",
            template.capabilities().into_iter().map(Xml::text).collect(),
        )
}

pub(super) fn exports(asked: &Asked<'_>) -> Fields {
    let exports = asked.world.state().exports(asked.region);
    let (some, next) = page(asked, &exports);
    let export = some.iter().map(|export| {
        Fields::default()
            .with("ExportingStackId", &export.stack)
            .with("Name", &export.name)
            .with("Value", &export.value)
            .done()
    });
    Fields::default()
        .list("Exports", export.collect())
        .maybe("NextToken", next)
}

pub(super) fn imports(asked: &Asked<'_>) -> Done {
    let name = asked.required("ExportName")?;
    let users = asked.world.state().importers(asked.region, name);
    if users.is_empty() {
        return Err(Refusal::validation(format!(
            "Export '{name}' is not imported by any stack."
        )));
    }
    Ok(Fields::default().list("Imports", texts(&users)))
}

fn change_set_fields(state: &State, change_set: &ChangeSet) -> Fields {
    Fields::default()
        .with("ChangeSetName", &change_set.name)
        .with("ChangeSetId", &change_set.id)
        .with("StackId", &change_set.stack)
        .with("StackName", &state.stack(&change_set.stack).name)
        .maybe("Description", change_set.description.as_ref())
        .with("CreationTime", timestamp(change_set.created))
        .with("ExecutionStatus", &change_set.execution)
        .with("Status", change_set.status())
        .maybe("StatusReason", change_set.failure.as_ref())
        .with("IncludeNestedStacks", change_set.includes_nested)
        .maybe("ParentChangeSetId", change_set.parent.as_ref())
}

pub(super) fn change_set(asked: &Asked<'_>, change_set: &ChangeSet) -> Done {
    let state = asked.world.state();
    let (some, next) = page(asked, &change_set.changes);
    let target = &change_set.target;
    Ok(change_set_fields(&state, change_set)
        .list("Parameters", parameters(&target.parameters))
        .list("Capabilities", texts(&target.capabilities))
        .list("Tags", tags(&target.tags))
        .list("Changes", some.iter().map(planned).collect())
        .maybe("NextToken", next))
}

fn planned(change: &Planned) -> Xml {
    let details = change.properties.iter().map(|name| {
        let target = Fields::default()
            .with("Attribute", "Properties")
            .with("Name", name)
            .with(
                "RequiresRecreation",
                if change.replacement == Some("True") {
                    "Always"
                } else {
                    "Never"
                },
            );
        Fields::default()
            .nested("Target", target)
            .with("Evaluation", "Static")
            .with("ChangeSource", "DirectModification")
            .done()
    });
    let scope = if change.action == "Modify" {
        vec![Xml::text("Properties")]
    } else {
        Vec::new()
    };
    let resource = Fields::default()
        .with("Action", change.action)
        .with("LogicalResourceId", &change.resource)
        .maybe("PhysicalResourceId", change.physical.as_ref())
        .with("ResourceType", &change.kind)
        .maybe("Replacement", change.replacement)
        .maybe("ChangeSetId", change.nested.as_ref())
        .list("Scope", scope)
        .list("Details", details.collect());
    Fields::default()
        .with("Type", "Resource")
        .nested("ResourceChange", resource)
        .done()
}

pub(super) fn change_sets(state: &State, stack: &str) -> Fields {
    let of_stack = state.change_sets.iter().filter(|it| it.stack == stack);
    Fields::default().list(
        "Summaries",
        of_stack
            .map(|it| change_set_fields(state, it).done())
            .collect(),
    )
}
