//! How a workload stands, without changing anything.

use super::bindings::exports::plimsoll::deploy::driver::Report;
use super::bindings::plimsoll::deploy::cloudformation::Stack;
use super::bindings::plimsoll::deploy::ecs::Service;
use super::bindings::plimsoll::deploy::types::CapError;
use super::watch::look_at_service;
use crate::deployment::Desired;
use crate::rollout::Table;
use crate::template::Template;

/// The stack's state, and its service's deployments.
pub(super) async fn show(desired: &Desired) -> Result<Vec<Report>, CapError> {
    let deployment = &desired.deployment;
    let stack = Stack::open(&deployment.stack)?;
    let mut lines = vec![match stack.describe().await? {
        Some(state) => format!("stack {} is {}", deployment.stack, state.status),
        None => format!("there is no stack {}", deployment.stack),
    }];
    if let Some(service) = Template::read(&desired.template).service() {
        let service = Service::of_stack(deployment.stack.clone(), service.to_owned()).await?;
        let rollout = look_at_service(service.as_ref(), 0).await;
        let tables = rollout.iter().flat_map(|rollout| rollout.tables());
        lines.extend(tables.flat_map(|table| text(&table)));
    }
    Ok(vec![Report {
        host: None,
        title: deployment.workload.clone(),
        lines,
    }])
}

fn text(table: &Table) -> Vec<String> {
    let row = |cells: &[String]| format!("  {}", cells.join("  ").trim());
    std::iter::once(table.title.clone())
        .chain((!table.columns.is_empty()).then(|| row(&table.columns)))
        .chain(table.rows.iter().map(|cells| row(cells)))
        .collect()
}
