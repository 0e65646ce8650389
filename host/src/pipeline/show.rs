//! Looking, for requests that change nothing: the driver with powers to read, and what it says.

use super::observe::run_hooks;
use super::render::render;
use super::version::context;
use super::{DeployError, Host, Request};
use crate::capability::Stage;
use crate::report::Event;
use crate::wit::driver::exports::plimsoll::deploy::driver::Report;

/// Shows what the request asks for.
///
/// # Errors
/// When the project is wrong, or a server does not answer.
pub async fn show(request: &Request, host: &Host) -> Result<(), DeployError> {
    let context = context(request, host).await?;
    let rendered = render(request, host, &context).await?;
    run_hooks(host, &rendered, "before-observe").await?;
    host.read_secrets().await?;
    let plugin = &host.plugins.driver;
    let (loaded, session) = host.ready(plugin, Stage::Reading)?;
    let context = host.context(&context, plugin);
    let looking = host
        .sandbox
        .show(&loaded, session, context, rendered.documents);
    let reports = looking.await?.map_err(DeployError::from_failure)?;
    host.tell_reports(&reports);
    Ok(())
}

impl Host {
    /// Shows what a driver has for people to read.
    pub(super) fn tell_reports(&self, reports: &[Report]) {
        for report in reports {
            self.reporter.emit(&Event::Report {
                host: report.host.as_deref(),
                title: &report.title,
                lines: &report.lines,
            });
        }
    }
}
