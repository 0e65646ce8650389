//! `boot`: in which groups hosts get the new version.

use crate::config::Config;
use crate::diagnostic::Findings;
use crate::yaml::{Kind, Node};

/// How many hosts boot together; `None` is all. Percentages count all hosts of the configuration, however few of
/// them are selected.
pub fn limit(config: &Config, findings: &mut Findings) -> Option<usize> {
    let node = config.root.dig(&["boot", "limit"])?;
    let text = node.to_text();
    let limit = if let Some(percent) = text.strip_suffix('%') {
        let digits = percent.trim_start();
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        let percent: usize = digits[..end].parse().unwrap_or(0);
        (config.all_hosts().len().saturating_mul(percent) / 100).max(1)
    } else if let Kind::Float(number) = node.kind {
        number as usize
    } else {
        node.as_int()
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or(0)
    };
    if limit == 0 {
        findings
            .error(
                "invalid-value",
                "boot/limit: should be a number of hosts above 0, or a percentage",
                Some(node.at),
            )
            .help("for example `limit: 2` or `limit: 25%`");
    }
    Some(limit.max(1))
}

/// Seconds to wait after each group.
pub fn wait(config: &Config, findings: &mut Findings) -> u32 {
    let Some(node) = config.root.dig(&["boot", "wait"]) else {
        return 0;
    };
    let seconds = node
        .as_int()
        .and_then(|seconds| u32::try_from(seconds).ok());
    seconds.unwrap_or_else(|| {
        findings.error(
            "invalid-value",
            "boot/wait: should be a number of seconds",
            Some(node.at),
        );
        0
    })
}

/// Whether roles on one host boot at the same time.
pub fn parallel_roles(config: &Config) -> bool {
    config
        .root
        .dig(&["boot", "parallel_roles"])
        .and_then(Node::as_bool)
        .unwrap_or(false)
}
