//! Logging in: which keys there are, and in which order they are offered.
//!
//! A server hangs up after a few wrong keys (`MaxAuthTries`, 6 by default), so keys that were named come first, then the
//! agent's, then the default files.

use std::{io, path::Path, sync::Arc};

use russh::{
    client::{AuthResult, Handle},
    keys::{
        Certificate, Error as KeyError, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey,
        agent::{AgentIdentity, client::AgentClient},
        decode_secret_key, load_openssh_certificate, load_public_key,
    },
};
use tokio::net::UnixStream;

use super::{
    config::{Settings, SshConfig},
    connect::Greeter,
};
use crate::wire::WireError;

/// One of the user's keys on disk or in the configuration.
struct Key {
    /// How messages name it: its path, or its place in the configuration.
    label: String,
    public: Option<PublicKey>,
    secret: Secret,
    certificate: Option<Certificate>,
}

enum Secret {
    Ready(Arc<PrivateKey>),
    Locked,
    Unusable(String),
}

pub(super) async fn log_in(
    handle: &mut Handle<Greeter>,
    settings: &Settings,
    config: &SshConfig,
) -> Result<(), WireError> {
    let mut keys = Vec::new();
    for file in &settings.keys {
        match read_key(file) {
            Ok(key) => keys.push(key),
            Err(error) if !settings.keys_named && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => keys.push(unusable(file.display().to_string(), error.to_string())),
        }
    }
    for (index, text) in config.key_data.iter().enumerate() {
        keys.push(parse_key(format!("key_data[{index}]"), text.reveal()));
    }

    let mut agent = Agent::connect(config.agent.as_deref()).await;
    let (named, others): (Vec<_>, Vec<_>) = std::mem::take(&mut agent.identities)
        .into_iter()
        .partition(|identity| {
            keys.iter()
                .any(|key| key.public.as_ref().is_some_and(|key| same(key, identity)))
        });

    let mut attempt = Attempt {
        handle,
        user: &settings.user,
        rsa: None,
        tried: Vec::new(),
        over: false,
    };
    let mut done = attempt.offer_agent(&mut agent, &named).await;
    let held = |key: &Key| {
        key.public
            .as_ref()
            .is_some_and(|key| named.iter().any(|held| same(key, held)))
    };
    // Default files come after the agent's keys, as with OpenSSH; named ones before.
    if !done && !settings.keys_named && !settings.keys_only {
        done = attempt.offer_agent(&mut agent, &others).await;
    }
    for key in keys.iter().filter(|key| !held(key)) {
        done = done || attempt.offer(key).await;
    }
    if !done && settings.keys_named && !settings.keys_only {
        done = attempt.offer_agent(&mut agent, &others).await;
    }
    // Some servers know us by the network (Tailscale SSH).
    if done || attempt.offer_nothing().await {
        return Ok(());
    }
    let tried = attempt.tried;
    match keys
        .iter()
        .find(|key| !held(key) && matches!(key.secret, Secret::Locked))
    {
        Some(key) => Err(WireError::KeyLocked {
            key: key.label.clone(),
        }),
        None => Err(WireError::AuthenticationRefused {
            user: settings.user.clone(),
            host: settings.host.clone(),
            tried,
        }),
    }
}

struct Attempt<'a> {
    handle: &'a mut Handle<Greeter>,
    user: &'a str,
    /// How RSA keys sign here, once asked for.
    rsa: Option<Option<HashAlg>>,
    tried: Vec<String>,
    /// The server hung up, or wants more than keys: nothing else can be offered.
    over: bool,
}

impl Attempt<'_> {
    async fn offer(&mut self, key: &Key) -> bool {
        let secret = match &key.secret {
            Secret::Ready(secret) => secret,
            Secret::Locked => {
                self.tried
                    .push(format!("{} (protected by a passphrase)", key.label));
                return false;
            }
            Secret::Unusable(why) => {
                self.tried.push(format!("{} ({why})", key.label));
                return false;
            }
        };
        if let Some(certificate) = &key.certificate
            && !self.over
        {
            let result = self
                .handle
                .authenticate_openssh_cert(self.user, Arc::clone(secret), certificate.clone())
                .await;
            if self.judge(format!("{} with its certificate", key.label), result) {
                return true;
            }
        }
        if self.over {
            return false;
        }
        let hash = self.rsa_hash(secret.algorithm().is_rsa()).await;
        let secret = PrivateKeyWithHashAlg::new(Arc::clone(secret), hash);
        let result = self.handle.authenticate_publickey(self.user, secret).await;
        self.judge(key.label.clone(), result)
    }

    async fn offer_agent(&mut self, agent: &mut Agent, identities: &[AgentIdentity]) -> bool {
        let Some(client) = &mut agent.client else {
            return false;
        };
        for identity in identities {
            if self.over {
                return false;
            }
            let label = format!("agent key {}", identity.comment());
            let key = identity.public_key().into_owned();
            let hash = self.rsa_hash(key.algorithm().is_rsa()).await;
            let result = match identity {
                AgentIdentity::PublicKey { .. } => {
                    self.handle
                        .authenticate_publickey_with(self.user, key, hash, client)
                        .await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    self.handle
                        .authenticate_certificate_with(self.user, certificate.clone(), hash, client)
                        .await
                }
            };
            match result {
                Ok(result) => {
                    if self.judge(label, Ok(result)) {
                        return true;
                    }
                }
                // The agent wouldn't sign, for example because nobody confirmed: the next key may do.
                Err(error) => self
                    .tried
                    .push(format!("{label} (the agent failed: {error})")),
            }
        }
        false
    }

    async fn offer_nothing(&mut self) -> bool {
        !self.over
            && matches!(
                self.handle.authenticate_none(self.user).await,
                Ok(AuthResult::Success)
            )
    }

    fn judge(&mut self, label: String, result: Result<AuthResult, russh::Error>) -> bool {
        match result {
            Ok(AuthResult::Success) => return true,
            Ok(AuthResult::Failure {
                partial_success: true,
                ..
            }) => {
                self.over = true;
                self.tried.push(format!(
                    "{label} (accepted, but the server wants a second factor)"
                ));
            }
            Ok(AuthResult::Failure { .. }) => {
                // russh says "failure" with no method left when the connection ends.
                self.over = self.handle.is_closed();
                self.tried.push(label);
            }
            Err(_) => {
                self.over = true;
                self.tried.push(format!("{label} (the server hung up)"));
            }
        }
        false
    }

    /// The strongest signature the server understands for RSA keys; `None` is SHA-1, for very old servers.
    async fn rsa_hash(&mut self, is_rsa: bool) -> Option<HashAlg> {
        if !is_rsa {
            return None;
        }
        if self.rsa.is_none() {
            let answer = self.handle.best_supported_rsa_hash().await;
            self.rsa = Some(answer.ok().flatten().unwrap_or(Some(HashAlg::Sha256)));
        }
        self.rsa.flatten()
    }
}

/// The running ssh-agent and what it holds; empty when there is none.
struct Agent {
    client: Option<AgentClient<UnixStream>>,
    identities: Vec<AgentIdentity>,
}

impl Agent {
    async fn connect(socket: Option<&Path>) -> Self {
        let mut client = match socket {
            Some(socket) => AgentClient::connect_uds(socket).await.ok(),
            None => AgentClient::connect_env().await.ok(),
        };
        let identities = match &mut client {
            Some(client) => client.request_identities().await.unwrap_or_default(),
            None => Vec::new(),
        };
        Self { client, identities }
    }
}

fn same(key: &PublicKey, identity: &AgentIdentity) -> bool {
    key.key_data() == identity.public_key().key_data()
}

fn read_key(file: &Path) -> io::Result<Key> {
    let text = std::fs::read_to_string(file)?;
    let mut key = parse_key(file.display().to_string(), &text);
    let beside = |suffix: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        name
    };
    if key.public.is_none() {
        key.public = load_public_key(beside(".pub")).ok();
    }
    key.certificate = load_openssh_certificate(beside("-cert.pub")).ok();
    Ok(key)
}

fn parse_key(label: String, text: &str) -> Key {
    // An OpenSSH file shows its public half even when it is locked.
    let public = PrivateKey::from_openssh(text)
        .ok()
        .map(|key| key.public_key().clone());
    match decode_secret_key(text, None) {
        Ok(secret) => Key {
            label,
            public: Some(secret.public_key().clone()),
            secret: Secret::Ready(Arc::new(secret)),
            certificate: None,
        },
        Err(error) if is_locked(&error, text) => Key {
            label,
            public,
            secret: Secret::Locked,
            certificate: None,
        },
        Err(error) => unusable(label, format!("not a private key: {error}")),
    }
}

fn is_locked(error: &KeyError, text: &str) -> bool {
    matches!(error, KeyError::KeyIsEncrypted)
        || text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text.contains("Proc-Type: 4,ENCRYPTED")
}

fn unusable(label: String, why: String) -> Key {
    Key {
        label,
        public: None,
        secret: Secret::Unusable(why),
        certificate: None,
    }
}
