//! What a connection needs to know: explicit settings first, then OpenSSH's configuration files, then defaults.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    known_hosts::{KnownHosts, wildcard},
    target::Target,
};
use crate::wire::Hidden;

/// How to connect. What is `None` or empty is looked up in `~/.ssh/config` and then has OpenSSH's or Kamal's default.
#[derive(Debug, Clone)]
pub struct SshConfig {
    /// Who to be there, when the target doesn't say. Default: root.
    pub user: Option<String>,
    /// Default: 22.
    pub port: Option<u16>,
    /// Private key files; `~/` is understood. Default: `~/.ssh/id_ed25519`, `id_ecdsa`, `id_rsa`.
    pub keys: Vec<PathBuf>,
    /// Private keys themselves, in OpenSSH or PEM format.
    pub key_data: Vec<Hidden>,
    /// Use only `keys` and `key_data`, not the agent's others nor the default files.
    pub keys_only: bool,
    /// The agent's socket. Default: `SSH_AUTH_SOCK`.
    pub agent: Option<PathBuf>,
    /// How to get there when not directly.
    pub proxy: Option<Proxy>,
    /// For the TCP connection to each address, unless a configuration file says `ConnectTimeout`.
    pub connect_timeout: Duration,
    /// How often a failed name resolution is repeated.
    pub dns_retries: u32,
    /// OpenSSH configuration files, first found value wins. Default: `./.ssh/config`, `~/.ssh/config`, `/etc/ssh/ssh_config`.
    pub files: ConfigFiles,
    /// Where `~` is. Default: the user's home.
    pub home: Option<PathBuf>,
}

/// A way round a missing direct connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// `[user@]host[:port]`, several with commas: the first is connected directly.
    Jump(String),
    /// A shell command whose standard input and output are the connection; `%h`, `%p`, `%r` are filled in.
    Command(String),
}

/// Which OpenSSH configuration files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigFiles {
    /// The project's, the user's and the machine's.
    Default,
    /// No file is read.
    None,
    /// Only these.
    These(Vec<PathBuf>),
}

impl Default for SshConfig {
    fn default() -> Self {
        Self {
            user: None,
            port: None,
            keys: Vec::new(),
            key_data: Vec::new(),
            keys_only: false,
            agent: None,
            proxy: None,
            connect_timeout: Duration::from_secs(10),
            dns_retries: 3,
            files: ConfigFiles::Default,
            home: None,
        }
    }
}

/// Everything decided about one connection.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// The name or address to connect to, after `HostName`.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) keys: Vec<PathBuf>,
    /// The keys were named by somebody, not assumed.
    pub(super) keys_named: bool,
    pub(super) keys_only: bool,
    pub(super) proxy: Option<Proxy>,
    pub(super) known_hosts: KnownHosts,
    pub(super) connect_timeout: Duration,
}

impl SshConfig {
    pub(super) fn settings(&self, target: &Target) -> Settings {
        let home = match &self.home {
            Some(home) => home.clone(),
            None => std::env::home_dir().unwrap_or_else(|| PathBuf::from("/")),
        };
        let files = match &self.files {
            ConfigFiles::None => Vec::new(),
            ConfigFiles::These(files) => {
                files.iter().map(|file| expand_home(file, &home)).collect()
            }
            ConfigFiles::Default => vec![
                PathBuf::from(".ssh/config"),
                home.join(".ssh/config"),
                PathBuf::from("/etc/ssh/ssh_config"),
            ],
        };
        let mut found = Found::default();
        for file in &files {
            if let Ok(text) = fs::read_to_string(file) {
                found.read(&text, &target.host, &home, 0);
            }
        }
        self.merge(target, found, &home)
    }

    /// Explicit over found over default.
    fn merge(&self, target: &Target, found: Found, home: &Path) -> Settings {
        let host = match &found.host_name {
            Some(name) => name.replace("%h", &target.host).replace("%%", "%"),
            None => target.host.clone(),
        };
        let user = [&target.user, &self.user, &found.user]
            .into_iter()
            .flatten()
            .next();
        let user = user.cloned().unwrap_or_else(|| "root".into());
        let port = target.port.or(self.port).or(found.port).unwrap_or(22);
        let tokens = |text: &str| fill_tokens(text, &host, port, &user, home);
        let named: Vec<PathBuf> = if self.keys.is_empty() && self.key_data.is_empty() {
            found
                .identity_files
                .iter()
                .map(|file| PathBuf::from(tokens(file)))
                .collect()
        } else {
            self.keys.clone()
        };
        let keys_named = !named.is_empty() || !self.key_data.is_empty();
        let keys = if keys_named {
            named.iter().map(|file| expand_home(file, home)).collect()
        } else {
            ["id_ed25519", "id_ecdsa", "id_rsa"]
                .map(|name| home.join(".ssh").join(name))
                .to_vec()
        };
        let proxy = match self.proxy.clone().or(found.proxy) {
            Some(Proxy::Command(command)) => Some(Proxy::Command(tokens(&command))),
            // `Host *` with a jump host holds for the jump host too, which must not be reached through itself.
            Some(Proxy::Jump(jump)) if leads_to(&jump, &target.host) => None,
            other => other,
        };
        let mut known_hosts: Vec<PathBuf> = match &found.known_hosts {
            Some(files) => files
                .iter()
                .map(|file| expand_home(Path::new(&tokens(file)), home))
                .collect(),
            None => vec![
                home.join(".ssh/known_hosts"),
                home.join(".ssh/known_hosts2"),
            ],
        };
        known_hosts.push("/etc/ssh/ssh_known_hosts".into());
        Settings {
            keys,
            keys_named,
            keys_only: self.keys_only || found.identities_only.unwrap_or(false),
            proxy,
            known_hosts: KnownHosts {
                files: known_hosts,
                accept_new: !found.strict.unwrap_or(false),
            },
            connect_timeout: found.connect_timeout.unwrap_or(self.connect_timeout),
            host,
            port,
            user,
        }
    }
}

fn leads_to(jump: &str, host: &str) -> bool {
    jump.split(',').any(|jump| {
        jump.trim()
            .parse::<Target>()
            .is_ok_and(|jump| jump.host == host)
    })
}

fn fill_tokens(text: &str, host: &str, port: u16, user: &str, home: &Path) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        filled.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some('h' | 'n') => filled.push_str(host),
            Some('p') => filled.push_str(&port.to_string()),
            Some('r') => filled.push_str(user),
            Some('d') => filled.push_str(&home.to_string_lossy()),
            Some('%') => filled.push('%'),
            Some(other) => filled.extend(['%', other]),
            None => filled.push('%'),
        }
        rest = chars.as_str();
    }
    filled + rest
}

fn expand_home(path: &Path, home: &Path) -> PathBuf {
    match path.strip_prefix("~") {
        Ok(rest) => home.join(rest),
        Err(_) => path.to_owned(),
    }
}

/// What configuration files say about one host.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    host_name: Option<String>,
    user: Option<String>,
    port: Option<u16>,
    identity_files: Vec<String>,
    identities_only: Option<bool>,
    proxy: Option<Proxy>,
    /// `none` is a value too, and the first value holds.
    proxy_settled: bool,
    known_hosts: Option<Vec<String>>,
    strict: Option<bool>,
    connect_timeout: Option<Duration>,
}

impl Found {
    /// Reads one file's text. The first value of a keyword holds, except `IdentityFile`, which accumulates.
    ///
    /// `Match` blocks other than `Match all` are passed over.
    fn read(&mut self, text: &str, host: &str, home: &Path, depth: u8) {
        let mut applies = true;
        for line in text.lines() {
            let Some((keyword, values)) = parse_line(line) else {
                continue;
            };
            let Some(value) = values.first().cloned() else {
                continue;
            };
            match keyword.as_str() {
                "host" => applies = host_matches(&values, host),
                "match" => applies = values.len() == 1 && value.eq_ignore_ascii_case("all"),
                _ if !applies => {}
                // Depth is bounded as in OpenSSH, so that files that include each other end.
                "include" if depth < 16 => {
                    for file in values.iter().flat_map(|pattern| included(pattern, home)) {
                        if let Ok(text) = fs::read_to_string(file) {
                            self.read(&text, host, home, depth + 1);
                        }
                    }
                }
                "hostname" => set(&mut self.host_name, value),
                "user" => set(&mut self.user, value),
                "connecttimeout" => {
                    // `none`, and what is no number, leave it at the default.
                    if let Ok(seconds) = value.parse() {
                        set(&mut self.connect_timeout, Duration::from_secs(seconds));
                    }
                }
                "port" => {
                    if let Ok(port) = value.parse() {
                        set(&mut self.port, port);
                    }
                }
                "identityfile" if value != "none" && !self.identity_files.contains(&value) => {
                    self.identity_files.push(value);
                }
                "identitiesonly" => set(&mut self.identities_only, value == "yes"),
                "proxyjump" | "proxycommand" if !self.proxy_settled => {
                    self.proxy_settled = true;
                    self.proxy = match keyword.as_str() {
                        _ if value == "none" => None,
                        "proxyjump" => Some(Proxy::Jump(value)),
                        _ => Some(Proxy::Command(values.join(" "))),
                    };
                }
                "userknownhostsfile" => set(&mut self.known_hosts, values),
                "stricthostkeychecking" => set(&mut self.strict, value == "yes"),
                _ => {}
            }
        }
    }
}

fn set<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

/// `Keyword value…` or `Keyword=value`, with double quotes around values that have blanks.
fn parse_line(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=')?;
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let mut values = Vec::new();
    let mut rest = rest.trim();
    while !rest.is_empty() {
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        values.push(value.to_owned());
        rest = after.trim_start();
    }
    Some((keyword.to_lowercase(), values))
}

fn host_matches(patterns: &[String], host: &str) -> bool {
    let (refused, wanted): (Vec<_>, Vec<_>) = patterns
        .iter()
        .partition(|pattern| pattern.starts_with('!'));
    !refused.iter().any(|pattern| wildcard(&pattern[1..], host))
        && wanted.iter().any(|pattern| wildcard(pattern, host))
}

/// The files of an `Include`: relative to `~/.ssh`, with wildcards in the last component.
fn included(pattern: &str, home: &Path) -> Vec<PathBuf> {
    let path = home
        .join(".ssh")
        .join(expand_home(Path::new(pattern), home));
    let Some(name) = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
    else {
        return Vec::new();
    };
    if !name.contains(['*', '?']) {
        return vec![path];
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| wildcard(&name, &entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
# servers
Host web-* !web-9
  HostName=%h.example.com
  User deploy
  Port 2222
  IdentityFile ~/.ssh/web key
  IdentityFile "~/.ssh/the web key"
  IdentitiesOnly yes
  ProxyJump ops@bastion:2200
  UserKnownHostsFile /a /b
  StrictHostKeyChecking yes
  ConnectTimeout 3

Match user nobody
  User nobody

Host bare
  ProxyJump none
  ProxyCommand nc %h %p

Host *
  User fallback
  ProxyCommand nc -x proxy %h %p
  IdentityFile ~/.ssh/all
"#;

    fn settings(host: &str, config: &SshConfig, text: &str) -> Settings {
        let home = Path::new("/home/me");
        let target: Target = host.parse().unwrap();
        let mut found = Found::default();
        found.read(text, &target.host, home, 0);
        config.merge(&target, found, home)
    }

    #[test]
    fn openssh_configuration_is_followed() {
        let web = settings("web-1", &SshConfig::default(), TEXT);
        assert_eq!(
            (web.host.as_str(), web.port, web.user.as_str()),
            ("web-1.example.com", 2222, "deploy")
        );
        assert_eq!(
            web.keys,
            [
                "/home/me/.ssh/web",
                "/home/me/.ssh/the web key",
                "/home/me/.ssh/all"
            ]
            .map(PathBuf::from)
        );
        assert!(web.keys_only && web.keys_named && !web.known_hosts.accept_new);
        assert_eq!(web.proxy, Some(Proxy::Jump("ops@bastion:2200".into())));
        assert_eq!(web.known_hosts.files[..2], ["/a", "/b"].map(PathBuf::from));

        assert_eq!(web.connect_timeout, Duration::from_secs(3));

        let other = settings("web-9", &SshConfig::default(), TEXT);
        assert_eq!((other.user.as_str(), other.port), ("fallback", 22));
        assert_eq!(
            other.proxy,
            Some(Proxy::Command("nc -x proxy web-9 22".into()))
        );
        assert!(other.known_hosts.accept_new);

        assert_eq!(settings("bare", &SshConfig::default(), TEXT).proxy, None);
    }

    #[test]
    fn explicit_settings_win_over_files_and_the_target_over_both() {
        let config = SshConfig {
            user: Some("me".into()),
            port: Some(23),
            keys: vec!["~/mine".into()],
            proxy: Some(Proxy::Jump("hop".into())),
            ..SshConfig::default()
        };
        let web = settings("web-1", &config, TEXT);
        assert_eq!((web.user.as_str(), web.port), ("me", 23));
        assert_eq!(web.keys, [PathBuf::from("/home/me/mine")]);
        assert_eq!(web.proxy, Some(Proxy::Jump("hop".into())));
        let web = settings("you@web-1:24", &config, TEXT);
        assert_eq!((web.user.as_str(), web.port), ("you", 24));
    }

    #[test]
    fn without_files_the_defaults_are_kamals() {
        let web = settings("web", &SshConfig::default(), "");
        assert_eq!((web.user.as_str(), web.port), ("root", 22));
        assert_eq!(web.keys[0], PathBuf::from("/home/me/.ssh/id_ed25519"));
        assert!(!web.keys_named && !web.keys_only && web.known_hosts.accept_new);
        assert_eq!(
            web.known_hosts.files[0],
            PathBuf::from("/home/me/.ssh/known_hosts")
        );
    }

    #[test]
    fn key_data_replaces_the_default_key_files() {
        let config = SshConfig {
            key_data: vec!["-----BEGIN".into()],
            ..SshConfig::default()
        };
        let web = settings("web", &config, "");
        assert!(web.keys.is_empty() && web.keys_named);
    }

    #[test]
    fn lines_are_split_as_openssh_does() {
        for (line, expected) in [
            ("Port 22", Some(("port", vec!["22"]))),
            ("Port=22", Some(("port", vec!["22"]))),
            ("  port = 22 ", Some(("port", vec!["22"]))),
            (
                "IdentityFile \"a b\" c",
                Some(("identityfile", vec!["a b", "c"])),
            ),
            ("# Port 22", None),
            ("", None),
        ] {
            let expected = expected.map(|(keyword, values)| {
                (
                    keyword.to_owned(),
                    values.into_iter().map(String::from).collect::<Vec<_>>(),
                )
            });
            assert_eq!(parse_line(line), expected, "{line}");
        }
    }
}
