//! `sidecars`: containers beside the main one.

use crate::cfn::Value;
use crate::container::{DEPENDS_ON, HEALTH_CHECK, LABELS, check_env_file, command};
use crate::diagnostic::Findings;
use crate::image::{BUILD, Source, source};
use crate::ports::{Protocol, parse_port};
use crate::schema::{Object, Shape, TEXTS};
use crate::scope::Scope;
use crate::variables::{SECRETS, VARIABLES};
use crate::yaml::{At, Node, Span};

/// Name to container.
pub(crate) const SHAPE: Shape = Shape::Map(&Shape::Object(&Object {
    fields: &[
        ("port", Shape::Text),
        (
            "image",
            Shape::Either(
                &[
                    Shape::Text,
                    Shape::Object(&Object {
                        fields: &[("build", BUILD), ("location", Shape::Text)],
                        exclusive: &[&["build"], &["location"]],
                    }),
                ],
                "an image, or a map with `build` or `location`",
            ),
        ),
        ("essential", Shape::Boolean),
        ("credentialsParameter", Shape::Text),
        ("variables", VARIABLES),
        ("env_file", Shape::Text),
        ("secrets", SECRETS),
        (
            "mount_points",
            Shape::List(&Shape::Object(&Object {
                fields: &[
                    ("source_volume", Shape::Text),
                    ("path", Shape::Text),
                    ("read_only", Shape::Boolean),
                ],
                exclusive: &[],
            })),
        ),
        ("labels", LABELS),
        ("depends_on", DEPENDS_ON),
        ("healthcheck", HEALTH_CHECK),
        ("entrypoint", TEXTS),
        ("command", TEXTS),
    ],
    exclusive: &[],
}));

/// A sidecar.
#[derive(Clone, Debug)]
pub(crate) struct Sidecar {
    /// Its name.
    pub(crate) name: String,
    /// The port it listens on.
    pub(crate) port: Option<At<u16>>,
    /// How that port speaks.
    pub(crate) protocol: Protocol,
    /// Where its image comes from.
    pub(crate) source: Option<Source>,
    /// Whether the task stops with it, if the manifest says.
    pub(crate) essential: Option<At<bool>>,
    /// The rest, read while rendering.
    pub(crate) node: Node,
    /// Where it was said.
    pub(crate) span: Span,
}

/// Reads and checks the sidecars, sorted by name.
pub(crate) fn read(root: &Node, findings: &mut Findings) -> Vec<Sidecar> {
    root.sorted_at("sidecars")
        .into_iter()
        .map(|(key, node)| {
            let path = format!("sidecars.{}", key.text);
            let source = match node.get("image") {
                Some(image) if image.entries().is_some() => {
                    source(image, &format!("{path}.image"), findings)
                }
                Some(image) => image.own_text().map(Source::Location),
                None => {
                    findings.error(
                        key.span,
                        format!("`{path}.image` must be specified"),
                        "write `image: <location>` or `image: {build: <Dockerfile>}`",
                    );
                    None
                }
            };
            let port = node.text_at("port");
            let (number, protocol) = match port.as_ref().map(|p| parse_port(&p.value)) {
                None => (None, Protocol::Tcp),
                Some(Some((number, protocol @ (None | Some(Protocol::Tcp | Protocol::Udp))))) => {
                    (Some(number), protocol.unwrap_or(Protocol::Tcp))
                }
                Some(_) => {
                    if let Some(port) = &port {
                        findings.error(
                            port.span,
                            format!("`{path}.port` cannot be `{}`", port.value),
                            "write a port, with protocol tcp or udp if you like: 8125/udp",
                        );
                    }
                    (None, Protocol::Tcp)
                }
            };
            check_env_file(node, &path, findings);
            for key in ["entrypoint", "command"] {
                command(node, key, findings);
            }
            for (i, point) in node.items_at("mount_points").iter().enumerate() {
                for field in ["source_volume", "path"] {
                    if point.get(field).is_none() {
                        findings.error(
                            point.span,
                            format!("`{path}.mount_points[{i}].{field}` must be specified"),
                            "a mount point has a `source_volume` of `storage.volumes` and a `path`",
                        );
                    }
                }
                if let Some(mount) = point.text_at("path") {
                    crate::storage::check_path(
                        &mount,
                        &format!("{path}.mount_points[{i}].path"),
                        findings,
                    );
                }
            }
            Sidecar {
                name: key.text.clone(),
                port: number.zip(port).map(|(n, p)| At::new(n, p.span)),
                protocol,
                source,
                essential: node.boolean_at("essential"),
                node: node.clone(),
                span: key.span,
            }
        })
        .collect()
}

impl Sidecar {
    /// The name as parameters and conditions carry it.
    pub(crate) fn id(&self) -> String {
        crate::cfn::logical_id(&self.name)
    }

    /// Its image.
    pub(crate) fn image(&self, scope: &Scope<'_>) -> Value {
        match &self.source {
            Some(Source::Location(location)) => Value::raw(&location.value).at(location.span),
            Some(Source::Build(build)) => {
                let pushed = scope.facts.pushed_sidecar(&self.name).unwrap_or_default();
                Value::from(pushed).at(build.span)
            }
            None => Value::Absent,
        }
    }
}
