//! Where to connect to: `[user@]host[:port]`.

use std::{fmt, str::FromStr};

use crate::wire::WireError;

/// A host as the user writes it. What is left out comes from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Who to be there.
    pub user: Option<String>,
    /// A name, or an address without brackets.
    pub host: String,
    /// Where sshd listens.
    pub port: Option<u16>,
}

impl FromStr for Target {
    type Err = WireError;

    /// Understands `host`, `user@host`, `host:22`, `[v6]:22`, `v6` and a leading `ssh://`.
    fn from_str(text: &str) -> Result<Self, WireError> {
        let invalid = |why: &str| WireError::Invalid {
            what: format!("host `{text}`"),
            why: why.into(),
        };
        let rest = text.strip_prefix("ssh://").unwrap_or(text);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // The last `@`: user names of some directories contain one.
        let (user, rest) = match rest.rsplit_once('@') {
            Some(("", _)) => return Err(invalid("the user name is empty")),
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, rest),
        };
        let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
            match bracketed.split_once(']') {
                Some((host, "")) => (host, None),
                Some((host, after)) => (
                    host,
                    Some(after.strip_prefix(':').ok_or_else(|| {
                        invalid("`]` is followed by something other than a port")
                    })?),
                ),
                None => return Err(invalid("`[` is not closed")),
            }
        } else {
            match rest.split_once(':') {
                // More than one colon: an IPv6 address.
                Some((_, after)) if after.contains(':') => (rest, None),
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            }
        };
        let port = match port {
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err(invalid("the port is not a number from 1 to 65535")),
                Ok(port) => Some(port),
            },
            None => None,
        };
        if host.is_empty() {
            return Err(invalid("the host name is empty"));
        }
        // A name that starts with a dash would be an option to an ssh program; blanks and controls fit no name.
        if host.starts_with('-')
            || host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/')
        {
            return Err(invalid("that is no host name"));
        }
        Ok(Self {
            user,
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_parsed_as_users_write_them() {
        for (text, user, host, port) in [
            ("10.0.0.4", None, "10.0.0.4", None),
            ("deploy@web-1", Some("deploy"), "web-1", None),
            ("web-1:2222", None, "web-1", Some(2222)),
            ("deploy@web-1:2222", Some("deploy"), "web-1", Some(2222)),
            (
                "ssh://deploy@web-1:2222/",
                Some("deploy"),
                "web-1",
                Some(2222),
            ),
            ("::1", None, "::1", None),
            ("[::1]", None, "::1", None),
            ("root@[fe80::1]:22", Some("root"), "fe80::1", Some(22)),
            (
                "me@corp.example@web-1",
                Some("me@corp.example"),
                "web-1",
                None,
            ),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(
                (target.user.as_deref(), target.host.as_str(), target.port),
                (user, host, port),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "@web",
            "root@",
            "web:0",
            "web:http",
            "web:70000",
            "[::1",
            "[::1]22",
            "-oProxyCommand=id",
            "a b",
            "a/b",
            "web:",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_target_prints_as_it_was_written() {
        for text in ["web", "a@web:1", "a@[::1]:22", "::1"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
    }
}
