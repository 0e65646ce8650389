//! `known_hosts`: is this the server's key, and remembering a new one.
//!
//! A key that is not among those recorded for the host counts as changed, also when it is of another kind: otherwise
//! somebody in between would only have to present a kind of key that was never recorded.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::{Algorithm, PublicKey, parse_public_key_base64};
use sha1::Sha1;

use crate::wire::WireError;

/// The name under which OpenSSH records a host: lower case, with the port when it isn't 22.
pub(super) fn recorded_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == 22 {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

/// What the files say about a key.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Known,
    New,
    /// 1-based line of a key that is recorded instead.
    Changed(usize),
    Revoked(usize),
}

/// The `known_hosts` files that hold for a connection.
#[derive(Debug, Clone)]
pub(super) struct KnownHosts {
    /// The first is written to; `/etc/ssh/ssh_known_hosts` may be among the others.
    pub(super) files: Vec<PathBuf>,
    /// Whether a host without any record is accepted and recorded (`accept-new`).
    pub(super) accept_new: bool,
}

impl KnownHosts {
    /// Accepts the server's key, or says why not. A new key is recorded once.
    pub(super) fn check(&self, name: &str, key: &PublicKey) -> Result<(), WireError> {
        let mut known = false;
        for file in &self.files {
            match judge(&read(file)?, name, key) {
                Verdict::Known => known = true,
                Verdict::New => {}
                Verdict::Changed(line) => return Err(changed(name, file, line)),
                Verdict::Revoked(line) => return Err(revoked(name, file, line)),
            }
        }
        match self.files.first() {
            _ if known => Ok(()),
            Some(file) if self.accept_new => record(file, name, key),
            file => Err(WireError::HostKeyUnknown {
                host: name.to_owned(),
                file: file.cloned().unwrap_or_default(),
            }),
        }
    }

    /// The kinds of keys recorded for a host, so that the server is asked for one that can be compared.
    pub(super) fn algorithms(&self, name: &str) -> Vec<Algorithm> {
        let mut found = Vec::new();
        for file in &self.files {
            for entry in entries(&read(file).unwrap_or_default()) {
                if entry.marker.is_none() && matches(entry.hosts, name) {
                    found.extend(entry.key.map(|key| key.algorithm()));
                }
            }
        }
        found
    }
}

fn changed(name: &str, file: &Path, line: usize) -> WireError {
    WireError::HostKeyChanged {
        host: name.to_owned(),
        file: file.to_owned(),
        line,
    }
}

fn revoked(name: &str, file: &Path, line: usize) -> WireError {
    WireError::HostKeyRevoked {
        host: name.to_owned(),
        file: file.to_owned(),
        line,
    }
}

fn read(file: &Path) -> Result<String, WireError> {
    match fs::read(file) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(WireError::io(format!("reading {}", file.display()))(error)),
    }
}

/// Appends the key under a lock, after looking again: hosts are connected in parallel, and by several processes.
fn record(file: &Path, name: &str, key: &PublicKey) -> Result<(), WireError> {
    let failed = || WireError::io(format!("recording the host key in {}", file.display()));
    if let Some(folder) = file.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed())?;
    }
    let mut open: File = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)
        .map_err(failed())?;
    open.lock().map_err(failed())?;
    let mut bytes = Vec::new();
    open.read_to_end(&mut bytes).map_err(failed())?;
    let text = String::from_utf8_lossy(&bytes);
    match judge(&text, name, key) {
        Verdict::Known => Ok(()),
        Verdict::Changed(line) => Err(changed(name, file, line)),
        Verdict::Revoked(line) => Err(revoked(name, file, line)),
        Verdict::New => {
            let mut key = key.clone();
            key.set_comment("");
            let key = key.to_openssh().map_err(|error| WireError::Invalid {
                what: format!("the host key of {name}"),
                why: error.to_string(),
            })?;
            let newline = if text.is_empty() || text.ends_with('\n') {
                ""
            } else {
                "\n"
            };
            // One write in append mode: a reader sees the whole line or none of it.
            open.write_all(format!("{newline}{name} {}\n", key.trim()).as_bytes())
                .map_err(failed())
        }
    }
}

fn judge(text: &str, name: &str, key: &PublicKey) -> Verdict {
    let mut verdict = Verdict::New;
    for entry in entries(text) {
        let same = entry
            .key
            .as_ref()
            .is_some_and(|recorded| recorded.key_data() == key.key_data());
        match entry.marker {
            Some("@revoked") if same && matches(entry.hosts, name) => {
                return Verdict::Revoked(entry.line);
            }
            // `@cert-authority` is about certificates, which are not asked for.
            Some(_) => {}
            None if !matches(entry.hosts, name) => {}
            None if same => verdict = Verdict::Known,
            None if verdict == Verdict::New => verdict = Verdict::Changed(entry.line),
            None => {}
        }
    }
    verdict
}

struct Entry<'a> {
    line: usize,
    marker: Option<&'a str>,
    hosts: &'a str,
    /// None when the key is of a kind that isn't understood.
    key: Option<PublicKey>,
}

fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let mut words = line.split_whitespace().peekable();
        let marker = words.next_if(|word| word.starts_with('@'));
        let hosts = words.next().filter(|hosts| !hosts.starts_with('#'))?;
        let _kind = words.next()?;
        let key = parse_public_key_base64(words.next()?).ok();
        Some(Entry {
            line: index + 1,
            marker,
            hosts,
            key,
        })
    })
}

/// Whether a comma-separated list of patterns, or one hashed name, is about the host.
fn matches(patterns: &str, name: &str) -> bool {
    let mut matched = false;
    for pattern in patterns.split(',') {
        if let Some(hashed) = pattern.strip_prefix("|1|") {
            matched |= hashed_matches(hashed, name);
        } else if let Some(refused) = pattern.strip_prefix('!') {
            if wildcard(&refused.to_lowercase(), name) {
                return false;
            }
        } else {
            matched |= wildcard(&pattern.to_lowercase(), name);
        }
    }
    matched
}

/// `salt|hash`, both base64; the hash is HMAC-SHA1 of the name under the salt.
fn hashed_matches(hashed: &str, name: &str) -> bool {
    let Some((salt, hash)) = hashed.split_once('|') else {
        return false;
    };
    let (Ok(salt), Ok(hash)) = (BASE64.decode(salt), BASE64.decode(hash)) else {
        return false;
    };
    Hmac::<Sha1>::new_from_slice(&salt)
        .is_ok_and(|hmac| hmac.chain_update(name).verify_slice(&hash).is_ok())
}

/// OpenSSH patterns: `*` is any text, `?` any one character.
pub(super) fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";
    const ECDSA: &str = "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";

    fn key(base64: &str) -> PublicKey {
        parse_public_key_base64(base64).unwrap()
    }

    fn hashed(name: &str) -> String {
        let salt = b"0123456789abcdefghij";
        let mac = Hmac::<Sha1>::new_from_slice(salt)
            .unwrap()
            .chain_update(name)
            .finalize();
        format!(
            "|1|{}|{}",
            BASE64.encode(salt),
            BASE64.encode(mac.into_bytes())
        )
    }

    #[test]
    fn recorded_keys_are_recognised_in_every_form() {
        let own = key(ED);
        for (text, name, verdict) in [
            (format!("web ssh-ed25519 {ED}"), "web", Verdict::Known),
            (
                format!("a,web,10.0.0.4 ssh-ed25519 {ED} comment"),
                "web",
                Verdict::Known,
            ),
            (format!("WEB\tssh-ed25519\t{ED}"), "web", Verdict::Known),
            (
                format!("[web]:2222 ssh-ed25519 {ED}"),
                "[web]:2222",
                Verdict::Known,
            ),
            (format!("web ssh-ed25519 {ED}"), "[web]:2222", Verdict::New),
            (
                format!("*.example.com,!bad.example.com ssh-ed25519 {ED}"),
                "a.example.com",
                Verdict::Known,
            ),
            (
                format!("*.example.com,!bad.example.com ssh-ed25519 {ED}"),
                "bad.example.com",
                Verdict::New,
            ),
            (
                format!("{} ssh-ed25519 {ED}", hashed("web")),
                "web",
                Verdict::Known,
            ),
            (
                format!("{} ssh-ed25519 {OTHER}", hashed("web")),
                "web",
                Verdict::Changed(1),
            ),
            (
                format!("{} ssh-ed25519 {ED}", hashed("web")),
                "other",
                Verdict::New,
            ),
            (
                format!("# comment\n\nweb ssh-ed25519 {OTHER}"),
                "web",
                Verdict::Changed(3),
            ),
            (format!("#web ssh-ed25519 {OTHER}"), "web", Verdict::New),
            (
                format!("web ssh-ed25519 {OTHER}\nweb ssh-ed25519 {ED}"),
                "web",
                Verdict::Known,
            ),
            (
                format!("web ecdsa-sha2-nistp256 {ECDSA}"),
                "web",
                Verdict::Changed(1),
            ),
            (
                format!("@revoked * ssh-ed25519 {ED}\nweb ssh-ed25519 {ED}"),
                "web",
                Verdict::Revoked(1),
            ),
            (
                format!("@cert-authority * ssh-ed25519 {OTHER}"),
                "web",
                Verdict::New,
            ),
            ("web garbage".into(), "web", Verdict::New),
            ("".into(), "web", Verdict::New),
        ] {
            assert_eq!(judge(&text, name, &own), verdict, "{name} in {text}");
        }
    }

    #[test]
    fn a_name_is_recorded_with_its_port_unless_that_is_22() {
        assert_eq!(recorded_name("Web", 22), "web");
        assert_eq!(recorded_name("web", 2222), "[web]:2222");
        assert_eq!(recorded_name("::1", 2222), "[::1]:2222");
    }

    #[test]
    fn a_new_key_is_recorded_once_by_many_at_the_same_time() {
        let folder =
            std::env::temp_dir().join(format!("plimsoll-known-hosts-{}", std::process::id()));
        let file = folder.join("deep/known_hosts");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, format!("old ssh-ed25519 {OTHER}")).unwrap();
        let known = KnownHosts {
            files: vec![file.clone()],
            accept_new: true,
        };
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| known.check("web", &key(ED)).unwrap());
            }
        });
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(
            text,
            format!("old ssh-ed25519 {OTHER}\nweb ssh-ed25519 {ED}\n")
        );
        assert!(matches!(
            known.check("web", &key(OTHER)),
            Err(WireError::HostKeyChanged { line: 2, .. })
        ));
        let strict = KnownHosts {
            accept_new: false,
            ..known
        };
        assert!(matches!(
            strict.check("new", &key(ED)),
            Err(WireError::HostKeyUnknown { .. })
        ));
        assert_eq!(strict.algorithms("web"), [Algorithm::Ed25519]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn wildcards_match_as_in_openssh() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "abc", true),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.*", "a.b", true),
            ("", "a", false),
            ("*a*b", "xaxxb", true),
        ] {
            assert_eq!(wildcard(pattern, text), expected, "{pattern} {text}");
        }
    }
}
