//! The document of a host's proxy.

use release::Proxy;

use crate::config::{Config, proxy};
use crate::diagnostic::Findings;
use crate::render::source::Sources;

/// How the proxy should run on a host.
pub fn document(
    config: &Config,
    host: &str,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Proxy {
    let run = config.proxy_runs(host).into_iter().next();
    let address = Proxy::address(host);
    sources.add(
        &address,
        &[],
        run.map(|run| run.at).or(config.root.key_at("proxy")),
    );
    for (key, property) in [
        ("repository", "image"),
        ("version", "image"),
        ("debug", "command"),
        ("metrics_port", "command"),
        ("http_port", "ports"),
        ("https_port", "ports"),
        ("bind_ips", "ports"),
        ("log_max_size", "log"),
        ("options", "options"),
    ] {
        sources.add(&address, &[property], run.and_then(|run| run.key_at(key)));
    }
    proxy::document(run, findings)
}
