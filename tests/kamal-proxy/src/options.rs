//! What a service is deployed with: how it is routed, checked and limited.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::flags::{Flags, Kind, Known};

/// Flags of `deploy`.
pub const DEPLOY: Known = &[
    ("target", Kind::List),
    ("host", Kind::List),
    ("path-prefix", Kind::List),
    ("strip-path-prefix", Kind::Switch),
    ("tls", Kind::Switch),
    ("tls-staging", Kind::Switch),
    ("tls-certificate-path", Kind::Text),
    ("tls-private-key-path", Kind::Text),
    ("tls-acme-cache-path", Kind::Text),
    ("tls-redirect", Kind::Switch),
    ("canonical-host", Kind::Text),
    ("deploy-timeout", Kind::Duration),
    ("drain-timeout", Kind::Duration),
    ("force", Kind::Switch),
    ("health-check-interval", Kind::Duration),
    ("health-check-timeout", Kind::Duration),
    ("health-check-path", Kind::Text),
    ("health-check-port", Kind::Number),
    ("health-check-host", Kind::Text),
    ("target-timeout", Kind::Duration),
    ("buffer-requests", Kind::Switch),
    ("buffer-responses", Kind::Switch),
    ("buffer-memory", Kind::Number),
    ("max-request-body", Kind::Number),
    ("max-response-body", Kind::Number),
    ("error-pages", Kind::Text),
    ("log-request-header", Kind::List),
    ("log-response-header", Kind::List),
    ("forward-headers", Kind::Switch),
];

/// How a service is routed and treated; kept across restarts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Options {
    /// Host names, `*.example.com` among them; none means any.
    pub hosts: Vec<String>,
    /// Path prefixes, without a slash at the end; `/` alone is the root.
    pub path_prefixes: Vec<String>,
    /// Whether the target sees the path without the prefix.
    pub strip_path_prefix: bool,
    /// Whether the service wants TLS.
    pub tls: bool,
    /// Whether plain requests for a TLS service are sent to https.
    pub tls_redirect: bool,
    /// The certificate given for TLS.
    pub tls_certificate_path: Option<String>,
    /// Its key.
    pub tls_private_key_path: Option<String>,
    /// Whether what the client says in `X-Forwarded-*` is believed.
    pub forward_headers: bool,
    /// How long a target may take to begin its answer; zero for ever.
    pub target_timeout: Duration,
    /// Most bytes of a request's body; zero for any.
    pub max_request_body: u64,
    /// A folder with pages such as `503.html`.
    pub error_pages: Option<String>,
    /// Request headers to log.
    pub log_request_headers: Vec<String>,
    /// Response headers to log.
    pub log_response_headers: Vec<String>,
    /// How its health is asked for.
    pub health: HealthCheck,
}

/// How the health of a target is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Time between the starts of two questions.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// What is asked for.
    pub path: String,
    /// On which port, if not the target's.
    pub port: Option<u16>,
    /// For which host, if not the target.
    pub host: Option<String>,
}

impl Options {
    /// Options as flags give them; the error says what does not go together.
    pub fn read(flags: &Flags) -> Result<Options, String> {
        let tls = flags.switch("tls", false);
        let mut path_prefixes: Vec<String> = flags
            .list("path-prefix")
            .iter()
            .map(|prefix| normal_prefix(prefix))
            .collect();
        if path_prefixes.is_empty() {
            path_prefixes.push("/".to_owned());
        }
        let options = Options {
            hosts: flags
                .list("host")
                .into_iter()
                .filter(|host| !host.is_empty())
                .map(|host| host.to_lowercase())
                .collect(),
            path_prefixes,
            strip_path_prefix: flags.switch("strip-path-prefix", true),
            tls,
            tls_redirect: flags.switch("tls-redirect", true),
            tls_certificate_path: flags.text("tls-certificate-path"),
            tls_private_key_path: flags.text("tls-private-key-path"),
            forward_headers: flags.switch("forward-headers", !tls),
            target_timeout: flags.duration("target-timeout", Duration::from_secs(30)),
            max_request_body: flags.number("max-request-body", 0),
            error_pages: flags.text("error-pages"),
            log_request_headers: flags.list("log-request-header"),
            log_response_headers: flags.list("log-response-header"),
            health: HealthCheck {
                interval: flags
                    .duration("health-check-interval", Duration::from_secs(1))
                    .max(Duration::from_millis(1)),
                timeout: flags.duration("health-check-timeout", Duration::from_secs(5)),
                path: flags
                    .text("health-check-path")
                    .unwrap_or_else(|| "/up".to_owned()),
                port: flags
                    .number("health-check-port", 0)
                    .try_into()
                    .ok()
                    .filter(|port| *port != 0),
                host: flags.text("health-check-host"),
            },
        };
        options.check(flags)?;
        Ok(options)
    }

    fn check(&self, flags: &Flags) -> Result<(), String> {
        for (limit, buffer) in [
            ("max-request-body", "buffer-requests"),
            ("max-response-body", "buffer-responses"),
        ] {
            if flags.is_given(limit) && !flags.is_given(buffer) {
                return Err(format!("{limit} can only be set when {buffer} is"));
            }
        }
        if self.tls_certificate_path.is_some() != self.tls_private_key_path.is_some() {
            return Err(
                "tls-certificate-path and tls-private-key-path must be set together".to_owned(),
            );
        }
        if self.tls && self.hosts.is_empty() {
            return Err("host must be set when using TLS".to_owned());
        }
        if self.tls && self.path_prefixes.iter().any(|prefix| prefix != "/") {
            return Err("TLS settings must be specified on the root path service".to_owned());
        }
        let canonical = flags.text("canonical-host");
        if canonical.is_some_and(|host| !self.hosts.contains(&host)) {
            return Err("canonical-host must be one of the hosts".to_owned());
        }
        Ok(())
    }

    /// The pairs of host and path this service claims; an empty host is any.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &str)> {
        let hosts: Vec<&str> = if self.hosts.is_empty() {
            vec![""]
        } else {
            self.hosts.iter().map(String::as_str).collect()
        };
        hosts.into_iter().flat_map(|host| {
            self.path_prefixes
                .iter()
                .map(move |prefix| (host, prefix.as_str()))
        })
    }
}

fn normal_prefix(prefix: &str) -> String {
    format!("/{}", prefix.trim_matches('/'))
}

/// `text` as a target: a name or address, then a port (80 if none).
///
/// The real proxy's pattern: a word character first, then word characters, `-`, `_`, `.`, `+`.
pub fn read_target(text: &str) -> Result<(String, u16), String> {
    let refused = || format!("invalid target: {text}");
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, port.parse().map_err(|_| refused())?),
        None => (text, 80),
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts_well = name.chars().next().is_some_and(is_word);
    let goes_on_well = name.len() > 1 && name.chars().all(|c| is_word(c) || "-.+".contains(c));
    if starts_well && goes_on_well {
        Ok((name.to_owned(), port))
    } else {
        Err(refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::read(&Flags::read(DEPLOY, &words)?)
    }

    #[test]
    fn every_flag_kamal_sends_is_taken() {
        let options = read(
            "--target=0123456789ab:3000 --host=a.example.com --host=b.example.com --tls --tls-certificate-path=/c --tls-private-key-path=/k \
             --deploy-timeout=30s --drain-timeout=30s --health-check-interval=2s --health-check-timeout=3s --health-check-path=/health \
             --target-timeout=10s --buffer-requests --buffer-responses=false --buffer-memory=1024 --max-request-body=10 --max-response-body=20 \
             --path-prefix=/ --strip-path-prefix=false --forward-headers=false --tls-redirect=false --log-request-header=Cache-Control \
             --log-request-header=User-Agent --log-response-header=X-A --error-pages=/pages",
        )
        .unwrap();
        assert_eq!(options.hosts, ["a.example.com", "b.example.com"]);
        assert_eq!(options.health.path, "/health");
        assert_eq!(options.health.interval, Duration::from_secs(2));
        assert_eq!(options.log_request_headers, ["Cache-Control", "User-Agent"]);
        assert!(
            !options.tls_redirect
                && !options.strip_path_prefix
                && !options.forward_headers
                && options.tls
        );
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (line, part) in [
            ("--tls", "host must be set"),
            ("--tls --host=a --path-prefix=/api", "root path"),
            ("--tls-certificate-path=/c", "together"),
            ("--max-request-body=1", "buffer-requests"),
            ("--host=a --canonical-host=b", "canonical-host"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn targets_follow_the_real_pattern() {
        assert_eq!(
            read_target("0123456789ab:3000"),
            Ok(("0123456789ab".to_owned(), 3000))
        );
        assert_eq!(
            read_target("web.internal"),
            Ok(("web.internal".to_owned(), 80))
        );
        for bad in [
            "",
            ":80",
            "a b:1",
            "-x:1",
            "web:port",
            "web:1:2",
            "http://web",
        ] {
            assert!(read_target(bad).is_err(), "{bad}");
        }
    }
}
