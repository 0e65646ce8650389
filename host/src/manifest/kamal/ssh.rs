//! The `ssh` section.

use std::rc::Rc;

use super::{text, texts};
use crate::manifest::tree::Node;

/// How Kamal connects to servers; its defaults where nothing is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshSection {
    /// Default `root`.
    pub user: String,
    /// Default 22.
    pub port: u16,
    /// Jump host, `user@host`; Kamal's default user is `root`. Wins over `proxy_command`.
    pub proxy: Option<String>,
    /// Command whose input and output are the connection.
    pub proxy_command: Option<String>,
    /// Paths of private keys.
    pub keys: Vec<String>,
    /// Private keys: names of secrets; a text that names none is the key itself (deprecated by Kamal).
    pub key_data: Vec<String>,
    /// Use no other keys, such as the agent's.
    pub keys_only: bool,
    /// Which OpenSSH configuration files count.
    pub config: SshConfigFiles,
    /// Default true.
    pub forward_agent: bool,
}

/// `ssh.config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SshConfigFiles {
    /// The user's and the system's.
    Default,
    /// None at all.
    None,
    /// These.
    Files(Vec<String>),
}

impl SshSection {
    pub(super) fn read(node: Option<&Rc<Node>>) -> Self {
        let flag = |key: &str| {
            node.and_then(|node| node.get(key))
                .and_then(|node| node.boolean())
        };
        let config = node.and_then(|node| node.get("config"));
        let port = text(node, "port").and_then(|port| port.parse().ok());
        let proxy = text(node, "proxy").map(|proxy| match proxy.contains('@') {
            true => proxy,
            false => format!("root@{proxy}"),
        });
        Self {
            user: text(node, "user").unwrap_or_else(|| "root".to_owned()),
            port: port.unwrap_or(22),
            proxy,
            proxy_command: text(node, "proxy_command"),
            keys: texts(node.and_then(|node| node.get("keys"))),
            key_data: texts(node.and_then(|node| node.get("key_data"))),
            keys_only: flag("keys_only").unwrap_or(false),
            config: match flag("config") {
                Some(true) => SshConfigFiles::Default,
                Some(false) => SshConfigFiles::None,
                None => match texts(config) {
                    files if files.is_empty() => SshConfigFiles::Default,
                    files => SshConfigFiles::Files(files),
                },
            },
            forward_agent: flag("forward_agent").unwrap_or(true),
        }
    }
}
