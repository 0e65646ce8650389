//! Secrets that the configuration names.

use std::rc::Rc;

use super::{Credential, Registry, texts};
use crate::manifest::tree::Node;

/// A secret and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUse {
    /// Name in the secrets files.
    pub name: String,
    /// Where it goes.
    pub used: Use,
}

/// Where a secret goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// Environment of containers, under this name.
    ContainerEnv(String),
    /// Login at a registry.
    Registry,
    /// TLS certificate or its key, a file for kamal-proxy.
    Certificate,
    /// Private key of the SSH connection.
    SshKey,
    /// Build of the image.
    Build,
}

pub(super) fn read(root: &Node, proxies: &[Rc<Node>]) -> Vec<SecretUse> {
    let mut uses = Vec::new();
    environment(root.get("env"), &mut uses);
    for section in ["servers", "accessories"] {
        for entry in root
            .get(section)
            .map(|node| node.entries())
            .unwrap_or_default()
        {
            environment(entry.value.get("env"), &mut uses);
            login(entry.value.get("registry"), &mut uses);
        }
    }
    login(root.get("registry"), &mut uses);
    for proxy in proxies {
        for key in ["certificate_pem", "private_key_pem"] {
            let pem = proxy.get("ssl").and_then(|ssl| ssl.get(key));
            add(texts(pem), &Use::Certificate, &mut uses);
        }
    }
    let key_data = root.get("ssh").and_then(|ssh| ssh.get("key_data"));
    // A text of several lines is a key, not a name.
    let names = texts(key_data)
        .into_iter()
        .filter(|name| !name.contains('\n'));
    add(names.collect(), &Use::SshKey, &mut uses);
    let build = root
        .get("builder")
        .and_then(|builder| builder.get("secrets"));
    add(texts(build), &Use::Build, &mut uses);
    uses
}

/// `secret: [NAME, NAME:SECRET]`, also below each tag.
fn environment(env: Option<&Rc<Node>>, uses: &mut Vec<SecretUse>) {
    let Some(env) = env else { return };
    for item in env
        .get("secret")
        .map(|list| list.items())
        .unwrap_or_default()
    {
        let Some(text) = item.text() else { continue };
        let (variable, name) = text.split_once(':').unwrap_or((text, text));
        let used = Use::ContainerEnv(variable.to_owned());
        add(vec![name.to_owned()], &used, uses);
    }
    for tag in env
        .get("tags")
        .map(|tags| tags.entries())
        .unwrap_or_default()
    {
        environment(Some(&tag.value), uses);
    }
}

fn login(registry: Option<&Rc<Node>>, uses: &mut Vec<SecretUse>) {
    let registry = Registry::read(registry);
    for credential in [registry.username, registry.password].into_iter().flatten() {
        match credential {
            Credential::Secret(name) => add(vec![name], &Use::Registry, uses),
            Credential::Literal(_) => {}
        }
    }
}

fn add(names: Vec<String>, used: &Use, uses: &mut Vec<SecretUse>) {
    for name in names {
        let used = used.clone();
        let this = SecretUse { name, used };
        if !uses.contains(&this) {
            uses.push(this);
        }
    }
}
