//! Load balancers of stacks, as far as functions and people look at them. Others are moto's.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::StatusCode;
use serde_json::Value;

use crate::cloudformation::evaluate::text_of;
use crate::id;
use crate::wire::Call;
use crate::wire::http::{Answer, answer};
use crate::wire::query::Fields;
use crate::wire::xml::{self, Xml};
use crate::world::World;

const RULE: &str = "AWS::ElasticLoadBalancingV2::ListenerRule";
const LISTENER: &str = "AWS::ElasticLoadBalancingV2::Listener";

/// Answers about rules and listeners that stacks have made.
pub(crate) fn handle(world: &Arc<World>, call: &Call) -> Option<Answer> {
    let fields = Fields::read(&call.body);
    let action = fields.get("Action")?;
    let result = match action {
        "DescribeRules" => rules(world, fields.get("ListenerArn")?)?,
        "DescribeListeners" => listeners(world, fields.get("LoadBalancerArn")?)?,
        _ => return None,
    };
    let text = format!(
        "<{action}Response xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><{action}Result>{}</{action}Result><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>",
        result.done().inner(),
        id::uuid()
    );
    Some(answer(StatusCode::OK, "text/xml", text))
}

/// Resources of all stacks of a type, by physical id.
fn made(world: &World, kind: &str) -> BTreeMap<String, Value> {
    let state = world.state();
    let stacks = state.stacks.iter().filter(|stack| !stack.is_gone());
    let resources = stacks.flat_map(|stack| &stack.version.resources);
    resources
        .filter(|it| it.kind == kind && !it.physical.is_empty())
        .map(|it| (it.physical.clone(), it.properties.clone()))
        .collect()
}

fn rules(world: &World, listener: &str) -> Option<xml::Fields> {
    made(world, LISTENER).get(listener)?;
    let own = made(world, RULE)
        .into_iter()
        .filter(|(_, it)| it["ListenerArn"] == listener);
    let mut rules: Vec<Xml> = own
        .map(|(arn, it)| {
            xml::Fields::default()
                .with("RuleArn", arn)
                .with("Priority", text_of(&it["Priority"]))
                .with("IsDefault", false)
                .done()
        })
        .collect();
    rules.push(
        xml::Fields::default()
            .with(
                "RuleArn",
                listener.replace(":listener/", ":listener-rule/") + "/default",
            )
            .with("Priority", "default")
            .with("IsDefault", true)
            .done(),
    );
    Some(xml::Fields::default().list("Rules", rules))
}

fn listeners(world: &World, balancer: &str) -> Option<xml::Fields> {
    let own: Vec<Xml> = made(world, LISTENER)
        .into_iter()
        .filter(|(_, it)| it["LoadBalancerArn"] == balancer)
        .map(|(arn, it)| {
            xml::Fields::default()
                .with("ListenerArn", arn)
                .with("LoadBalancerArn", balancer)
                .with("Port", text_of(&it["Port"]))
                .with("Protocol", text_of(&it["Protocol"]))
                .done()
        })
        .collect();
    (!own.is_empty()).then(|| xml::Fields::default().list("Listeners", own))
}
