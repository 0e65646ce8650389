//! What kamal-proxy keeps of `kamal-proxy deploy`, read from its state file and written as flags again.
//!
//! Field names, units (durations in nanoseconds) and defaults are those of kamal-proxy 0.9.2: `internal/cmd/deploy.go`,
//! `internal/server/service.go`, `internal/server/target.go`. The time limits of one deploy (`--deploy-timeout`,
//! `--drain-timeout`, `--force`) are not kept.

use std::collections::BTreeMap;

use release::Route;
use serde_json::Value as Json;

use crate::facts::Container;

/// Where the proxy's container keeps its state.
pub const STATE_FILE: &str = "/home/kamal-proxy/.config/kamal-proxy/kamal-proxy.state";

/// How a setting is written as a flag.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Flag,
    Text,
    Number,
    /// Whole nanoseconds in the state.
    Duration,
    List,
    /// A list whose letter case does not matter.
    Headers,
    /// A list of paths: slashes at the ends do not matter.
    Paths,
}

/// Flag, place in the state, kind, and the value without the flag.
const SETTINGS: [(&str, &str, Kind, &str); 27] = [
    ("host", "/options/hosts", Kind::List, ""),
    ("path-prefix", "/options/path_prefixes", Kind::Paths, "/"),
    (
        "strip-path-prefix",
        "/options/strip_prefix",
        Kind::Flag,
        "true",
    ),
    ("tls", "/options/tls_enabled", Kind::Flag, "false"),
    (
        "tls-certificate-path",
        "/options/tls_certificate_path",
        Kind::Text,
        "",
    ),
    (
        "tls-private-key-path",
        "/options/tls_private_key_path",
        Kind::Text,
        "",
    ),
    ("tls-redirect", "/options/tls_redirect", Kind::Flag, "true"),
    ("canonical-host", "/options/canonical_host", Kind::Text, ""),
    ("error-pages", "/options/error_page_path", Kind::Text, ""),
    (
        "writer-affinity-timeout",
        "/options/writer_affinity_timeout",
        Kind::Duration,
        "1s",
    ),
    (
        "read-target-websockets",
        "/options/read_targets_accept_websockets",
        Kind::Flag,
        "false",
    ),
    (
        "health-check-interval",
        "/target_options/health_check_config/interval",
        Kind::Duration,
        "1s",
    ),
    (
        "health-check-timeout",
        "/target_options/health_check_config/timeout",
        Kind::Duration,
        "5s",
    ),
    (
        "health-check-path",
        "/target_options/health_check_config/path",
        Kind::Text,
        "/up",
    ),
    (
        "health-check-port",
        "/target_options/health_check_config/port",
        Kind::Number,
        "0",
    ),
    (
        "health-check-host",
        "/target_options/health_check_config/host",
        Kind::Text,
        "",
    ),
    (
        "target-timeout",
        "/target_options/response_timeout",
        Kind::Duration,
        "30s",
    ),
    (
        "buffer-requests",
        "/target_options/buffer_requests",
        Kind::Flag,
        "false",
    ),
    (
        "buffer-responses",
        "/target_options/buffer_responses",
        Kind::Flag,
        "false",
    ),
    (
        "buffer-memory",
        "/target_options/max_memory_buffer_size",
        Kind::Number,
        "1048576",
    ),
    (
        "max-request-body",
        "/target_options/max_request_body_size",
        Kind::Number,
        "0",
    ),
    (
        "max-response-body",
        "/target_options/max_response_body_size",
        Kind::Number,
        "0",
    ),
    (
        "log-request-header",
        "/target_options/log_request_headers",
        Kind::Headers,
        "",
    ),
    (
        "log-response-header",
        "/target_options/log_response_headers",
        Kind::Headers,
        "",
    ),
    // The default is the opposite of `tls`.
    (
        "forward-headers",
        "/target_options/forward_headers",
        Kind::Flag,
        "true",
    ),
    (
        "scope-cookie-paths",
        "/target_options/scope_cookie_paths",
        Kind::Flag,
        "false",
    ),
    (
        "tls-acme-cache-path",
        "/options/acme_cache_path",
        Kind::Text,
        "",
    ),
];

/// Route name to targets, `ID:PORT`.
pub fn targets(state: &Json) -> BTreeMap<String, Vec<String>> {
    let services = state.as_array().into_iter().flatten();
    services
        .filter_map(|service| {
            let targets = super::strings(&service["active_targets"]);
            Some((service["name"].as_str()?.to_owned(), targets))
        })
        .collect()
}

/// The route of that name, if it leads to this container, in the words of the desired one.
pub fn route(desired: &Route, name: &str, state: &Json, container: &Container) -> Option<Route> {
    let service = state
        .as_array()?
        .iter()
        .find(|service| service["name"].as_str() == Some(name))?;
    let targets = super::strings(&service["active_targets"]);
    let [target] = targets.as_slice() else {
        return None;
    };
    if !container.is_target(target) {
        return None;
    }
    let port = target
        .rsplit_once(':')
        .map_or(Some(80), |(_, port)| port.parse().ok())?;
    Some(Route {
        port,
        flags: flags(&super::texts(&desired.flags), service)
            .into_iter()
            .map(|flag| super::as_desired(&desired.flags, flag))
            .collect(),
        tls: desired.tls.clone(),
        error_pages: desired.error_pages,
    })
}

/// The desired flags where the state says the same, other ones where it says something else.
fn flags(desired: &[String], service: &Json) -> Vec<String> {
    let wanted = Flags::parse(desired);
    let differing: Vec<(&str, Vec<String>)> = SETTINGS
        .iter()
        .filter_map(|&(flag, place, kind, default)| {
            let default = if flag == "forward-headers" {
                wanted.opposite_of("tls")
            } else {
                default.to_owned()
            };
            let found = service.pointer(place);
            // Written by a proxy that does not know the setting; the cache path has a default only the proxy knows.
            let unknown =
                found.is_none() || flag == "tls-acme-cache-path" && wanted.values(flag).is_empty();
            let found = kind.read(found.unwrap_or(&Json::Null));
            let expected = kind.canonical(wanted.values(flag), &default);
            (!unknown && kind.canonical(found.clone(), &default) != expected)
                .then(|| (flag, kind.write(flag, &found, &default)))
        })
        .collect();
    let differs = |flag: &str| differing.iter().any(|(name, _)| *name == flag);
    let same = desired
        .iter()
        .filter(|text| !differs(name_of(text)))
        .cloned();
    same.chain(differing.iter().flat_map(|(_, flags)| flags.clone()))
        .collect()
}

/// Flags by name.
struct Flags(Vec<(String, String)>);

impl Flags {
    /// A bare flag is true.
    fn parse(flags: &[String]) -> Self {
        let pair = |flag: &String| {
            let (_, value) = flag.split_once('=').unwrap_or((flag, "true"));
            (name_of(flag).to_owned(), value.to_owned())
        };
        Self(flags.iter().map(pair).collect())
    }

    fn values(&self, name: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(flag, _)| flag == name)
            .map(|(_, value)| value.clone())
            .collect()
    }

    fn opposite_of(&self, name: &str) -> String {
        (self.values(name).last().is_none_or(|value| value != "true")).to_string()
    }
}

fn name_of(flag: &str) -> &str {
    let name = flag.split_once('=').map_or(flag, |(name, _)| name);
    name.trim_start_matches("--")
}

impl Kind {
    /// Values in the state, as flags would have them.
    fn read(self, found: &Json) -> Vec<String> {
        match self {
            Self::Flag => vec![found.as_bool().unwrap_or(false).to_string()],
            Self::Text => vec![found.as_str().unwrap_or_default().to_owned()],
            Self::Number => vec![found.as_i64().unwrap_or(0).to_string()],
            Self::Duration => vec![format!("{}ns", found.as_i64().unwrap_or(0))],
            Self::List | Self::Headers | Self::Paths => super::strings(found),
        }
    }

    /// Values that mean the same are written the same.
    fn canonical(self, values: Vec<String>, default: &str) -> Vec<String> {
        let values = if values.is_empty() {
            vec![default.to_owned()]
        } else {
            values
        };
        let mut list: Vec<String> = values
            .iter()
            .flat_map(|value| value.split(','))
            .map(str::to_owned)
            .collect();
        match self {
            Self::Flag | Self::Text | Self::Number => values.last().cloned().into_iter().collect(),
            Self::Duration => values
                .last()
                .map(|text| nanoseconds(text))
                .into_iter()
                .collect(),
            Self::List => {
                list.sort();
                list
            }
            Self::Headers => {
                list.iter_mut()
                    .for_each(|header| header.make_ascii_lowercase());
                list.sort();
                list
            }
            Self::Paths => {
                let mut paths: Vec<_> = list
                    .iter()
                    .map(|path| format!("/{}", path.trim_matches('/')))
                    .collect();
                paths.sort();
                paths
            }
        }
    }

    /// Values as flags; none for the default.
    fn write(self, flag: &str, values: &[String], default: &str) -> Vec<String> {
        if self.canonical(values.to_vec(), default) == self.canonical(Vec::new(), default) {
            return Vec::new();
        }
        let text = |value: &String| match (self, value.as_str()) {
            (Self::Flag, "true") => format!("--{flag}"),
            (Self::Duration, _) => format!("--{flag}={}", short_duration(value)),
            (
                Self::Flag | Self::Text | Self::Number | Self::List | Self::Headers | Self::Paths,
                value,
            ) => {
                format!("--{flag}={value}")
            }
        };
        values.iter().map(text).collect()
    }
}

/// Whole seconds where it is some: `30000000000ns` is `30s`.
fn short_duration(nanoseconds: &str) -> String {
    match nanoseconds.strip_suffix("000000000ns") {
        Some(seconds) if !seconds.is_empty() => format!("{seconds}s"),
        Some(_) | None => nanoseconds.to_owned(),
    }
}

/// Go's durations as nanoseconds: `1m30s`, `250ms`, `1.5h`. Text that is none stays as it is.
fn nanoseconds(text: &str) -> String {
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let number = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let unit = rest[number..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |at| number + at);
        let factor = match &rest[number..unit] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return text.to_owned(),
        };
        let Ok(value) = rest[..number].parse::<f64>() else {
            return text.to_owned();
        };
        total += value * factor;
        rest = &rest[unit..];
    }
    format!("{total}ns")
}
