//! How the proxy routes to a role or an accessory.

use release::{Route, Tls, Value};

use crate::config::accessory::Accessory;
use crate::config::role::Role;
use crate::config::{Config, proxy};
use crate::diagnostic::Mark;
use crate::render::container::Place;
use crate::secret::Secrets;
use crate::shell::quoted;
use crate::yaml::Node;

/// The route of a role; `None` when the proxy does not route to it.
pub fn of_role(
    config: &Config,
    role: &Role,
    secrets: &Secrets<'_>,
    starts: bool,
    place: &mut Place<'_>,
) -> Option<Route> {
    let spec = role.proxy.as_ref()?;
    let own = role
        .spec
        .get("proxy")
        .is_some_and(|own| own.as_map().is_some());
    let path = match own {
        true => format!("{}/proxy", role.path()),
        false => "proxy".to_owned(),
    };
    place.mark(
        &["proxy"],
        config.root.key_at("proxy").or(role.spec.key_at("proxy")),
    );
    Some(route(
        config, spec, &role.name, &path, secrets, starts, place,
    ))
}

/// The route of an accessory.
pub fn of_accessory(
    config: &Config,
    accessory: &Accessory,
    secrets: &Secrets<'_>,
    starts: bool,
    place: &mut Place<'_>,
) -> Option<Route> {
    let spec = accessory.proxy.as_ref()?;
    let path = format!("{}/proxy", accessory.path());
    place.mark(&["proxy"], accessory.spec.key_at("proxy"));
    Some(route(
        config,
        spec,
        &accessory.name,
        &path,
        secrets,
        starts,
        place,
    ))
}

fn route(
    config: &Config,
    spec: &Node,
    name: &str,
    path: &str,
    secrets: &Secrets<'_>,
    starts: bool,
    place: &mut Place<'_>,
) -> Route {
    let flags = flags(config, spec, name);
    for (index, (_, at)) in flags.iter().enumerate() {
        place.mark(&["proxy", "flags", &index.to_string()], *at);
    }
    place.mark(&["proxy", "port"], spec.key_at("app_port"));
    let pem = |key: &str, place: &mut Place<'_>| {
        let node = spec.dig(&["ssl", key]).filter(|node| node.is_present())?;
        let secret = node.to_text();
        if starts {
            secrets.check(&secret, Some(node.at), place.findings);
        }
        place.mark(&["proxy", "tls"], Some(node.at));
        Some(Value::secret(secret))
    };
    let tls = match (pem("certificate_pem", place), pem("private_key_pem", place)) {
        (Some(certificate), Some(private_key)) => Some(Tls {
            certificate,
            private_key,
        }),
        (_, _) => None,
    };
    Route {
        port: proxy::port(spec, path, place.findings),
        flags: flags.into_iter().map(|(flag, _)| flag).collect(),
        tls,
        error_pages: config
            .root
            .get("error_pages_path")
            .is_some_and(Node::is_truthy),
    }
}

/// Flags of `kamal-proxy deploy` in Kamal's order, and where each comes from; `None` for defaults. `name` is the role's, or
/// the accessory's: its certificate lies in a folder of that name.
fn flags(config: &Config, spec: &Node, name: &str) -> Vec<(Value, Option<Mark>)> {
    let mut flags = Flags::default();
    for (host, at) in proxy::hosts(spec) {
        flags.add("host", quoted(&host), Some(at));
    }
    if let Some(ssl) = spec.get("ssl").filter(|ssl| ssl.is_truthy()) {
        flags.add("tls", Value::text("true"), Some(ssl.at));
        if proxy::has_own_certificate(spec) {
            let folder = format!(
                "/home/kamal-proxy/.apps-config/{}/tls/{name}",
                config.service_and_destination()
            );
            for (flag, file) in [
                ("tls-certificate-path", "cert.pem"),
                ("tls-private-key-path", "key.pem"),
            ] {
                flags.add(flag, Value::text(format!("{folder}/{file}")), Some(ssl.at));
            }
        }
    }
    for key in ["deploy_timeout", "drain_timeout"] {
        let at = config.root.get(key).map(|node| node.at);
        let seconds = format!("{}s", config.number(key, 30));
        flags.add(&key.replace('_', "-"), Value::text(seconds), at);
    }
    flags.seconds(
        "health-check-interval",
        spec.dig(&["healthcheck", "interval"]),
    );
    flags.seconds(
        "health-check-timeout",
        spec.dig(&["healthcheck", "timeout"]),
    );
    flags.plain("health-check-path", spec.dig(&["healthcheck", "path"]));
    flags.seconds("target-timeout", spec.get("response_timeout"));
    for key in ["requests", "responses"] {
        match spec.dig(&["buffering", key]) {
            Some(node) => flags.plain(&format!("buffer-{key}"), Some(node)),
            None => flags.add(&format!("buffer-{key}"), Value::text("true"), None),
        }
    }
    for (flag, key) in [
        ("buffer-memory", "memory"),
        ("max-request-body", "max_request_body"),
        ("max-response-body", "max_response_body"),
    ] {
        flags.plain(flag, spec.dig(&["buffering", key]));
    }
    for (prefix, at) in proxy::list_or_commas(spec, "path_prefixes", "path_prefix") {
        flags.add("path-prefix", quoted(&prefix), Some(at));
    }
    flags.plain("strip-path-prefix", spec.get("strip_path_prefix"));
    flags.plain("forward-headers", spec.get("forward_headers"));
    flags.plain("tls-redirect", spec.get("ssl_redirect"));
    let request_headers = spec.dig(&["logging", "request_headers"]);
    if request_headers.is_none() {
        for header in ["Cache-Control", "Last-Modified", "User-Agent"] {
            flags.add("log-request-header", Value::text(header), None);
        }
    }
    let response_headers = spec.dig(&["logging", "response_headers"]);
    for (flag, headers) in [
        ("log-request-header", request_headers),
        ("log-response-header", response_headers),
    ] {
        for header in headers.map(Node::items).unwrap_or_default() {
            flags.plain(flag, Some(header));
        }
    }
    flags.0
}

#[derive(Default)]
struct Flags(Vec<(Value, Option<Mark>)>);

impl Flags {
    /// True is a bare flag.
    fn add(&mut self, name: &str, value: Value, at: Option<Mark>) {
        let flag = match value.as_text() {
            Some("true") => Value::text(format!("--{name}")),
            _ => Value::text(format!("--{name}=")).and(value),
        };
        self.0.push((flag, at));
    }

    fn plain(&mut self, name: &str, node: Option<&Node>) {
        if let Some(node) = node {
            self.add(name, quoted(&node.to_text()), Some(node.at));
        }
    }

    fn seconds(&mut self, name: &str, node: Option<&Node>) {
        if let Some(node) = node {
            self.add(
                name,
                Value::text(format!("{}s", node.to_text())),
                Some(node.at),
            );
        }
    }
}
