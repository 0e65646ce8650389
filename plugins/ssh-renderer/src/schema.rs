//! What may stand where: the keys of every section and the shapes of their values (`kamal.md` §3.2–3.4).

pub mod check;

pub use check::{check, misspelt};

/// What a value may be. Kamal accepts numbers, booleans and symbols wherever it wants a string.
#[derive(Debug)]
pub enum Shape {
    /// Anything; its rule is elsewhere.
    Any,
    /// A string, or what passes for one.
    Text,
    /// A whole number.
    Integer,
    /// true or false.
    Boolean,
    /// A list of this.
    List(&'static Shape),
    /// A list of this, or just one.
    OneOrList(&'static Shape),
    /// A mapping with these keys and no others.
    Keys(&'static [(&'static str, Shape)]),
    /// A mapping of any names to this.
    MapOf(&'static Shape),
    /// Any mapping; what is in it is checked elsewhere, or not at all.
    AnyMap,
    /// A mapping, or a boolean for on and off.
    Switch,
    /// A mapping or a list.
    AnyMapOrList,
    /// Hosts: names, or `NAME: tag` and `NAME: [tags]`.
    Hosts,
    /// A boolean, or a mapping.
    Ssl,
    /// A boolean, a path or several.
    SshConfig,
    /// `local:remote[:options]`, or the same as a mapping.
    Paths,
    /// A level, or a mapping of hooks to levels.
    HooksOutput,
}

use Shape::{
    Any, AnyMap, AnyMapOrList, Boolean, HooksOutput, Hosts, Integer, Keys, List, MapOf, OneOrList,
    Paths, SshConfig, Ssl, Switch, Text,
};

/// The whole file.
pub static ROOT: Shape = Keys(&[
    ("service", Text),
    ("image", Text),
    ("labels", MapOf(&Text)),
    ("volumes", List(&Text)),
    ("registry", AnyMap),
    ("servers", AnyMapOrList),
    ("env", AnyMap),
    ("asset_path", Text),
    ("hooks_path", Text),
    ("hooks_output", HooksOutput),
    ("secrets_path", Text),
    ("error_pages_path", Text),
    ("require_destination", Boolean),
    ("primary_role", Text),
    ("allow_empty_roles", Boolean),
    ("retain_containers", Integer),
    ("minimum_version", Text),
    ("readiness_delay", Integer),
    ("deploy_timeout", Integer),
    ("drain_timeout", Integer),
    ("stop_timeout", Integer),
    ("run_directory", Text),
    ("ssh", AnyMap),
    ("builder", AnyMap),
    ("accessories", AnyMap),
    ("proxy", Switch),
    ("sshkit", AnyMap),
    ("boot", AnyMap),
    ("logging", AnyMap),
    ("output", AnyMap),
    ("aliases", AnyMap),
]);

/// `servers.ROLE`, when it is a mapping.
pub static ROLE: Shape = Keys(&[
    ("hosts", Hosts),
    ("cmd", Text),
    ("stop_timeout", Integer),
    ("options", AnyMap),
    ("logging", AnyMap),
    ("proxy", Switch),
    ("labels", MapOf(&Text)),
    ("env", AnyMap),
    ("asset_path", Text),
]);

/// `accessories.NAME`.
pub static ACCESSORY: Shape = Keys(&[
    ("service", Text),
    ("image", Text),
    ("registry", AnyMap),
    ("host", Text),
    ("hosts", Hosts),
    ("role", Text),
    ("roles", List(&Text)),
    ("tag", Text),
    ("tags", List(&Text)),
    ("cmd", Text),
    ("port", Text),
    ("labels", MapOf(&Text)),
    ("options", AnyMap),
    ("env", AnyMap),
    ("files", Paths),
    ("directories", Paths),
    ("volumes", List(&Text)),
    ("network", Text),
    ("proxy", Switch),
]);

/// `proxy`, of the root, a role or an accessory.
pub static PROXY: Shape = Keys(&[
    ("host", Text),
    ("hosts", Hosts),
    ("app_port", Integer),
    ("ssl", Ssl),
    ("ssl_redirect", Boolean),
    ("forward_headers", Boolean),
    ("response_timeout", Integer),
    ("path_prefix", Text),
    ("path_prefixes", List(&Text)),
    ("strip_path_prefix", Boolean),
    (
        "healthcheck",
        Keys(&[("interval", Integer), ("path", Text), ("timeout", Integer)]),
    ),
    (
        "buffering",
        Keys(&[
            ("requests", Boolean),
            ("responses", Boolean),
            ("max_request_body", Integer),
            ("max_response_body", Integer),
            ("memory", Integer),
        ]),
    ),
    (
        "logging",
        Keys(&[
            ("request_headers", List(&Text)),
            ("response_headers", List(&Text)),
        ]),
    ),
    (
        "run",
        Keys(&[
            ("http_port", Integer),
            ("https_port", Integer),
            ("metrics_port", Integer),
            ("debug", Boolean),
            ("log_max_size", Text),
            ("publish", Boolean),
            ("bind_ips", List(&Text)),
            ("registry", Text),
            ("repository", Text),
            ("version", Text),
            ("options", AnyMap),
        ]),
    ),
]);

/// `builder`.
pub static BUILDER: Shape = Keys(&[
    ("arch", OneOrList(&Text)),
    ("remote", Text),
    ("local", Boolean),
    (
        "pack",
        Keys(&[("builder", Text), ("buildpacks", List(&Text))]),
    ),
    (
        "cache",
        Keys(&[("type", Text), ("options", Text), ("image", Text)]),
    ),
    ("context", Text),
    ("dockerfile", Text),
    ("target", Text),
    ("args", AnyMap),
    ("secrets", List(&Text)),
    ("ssh", Text),
    ("driver", Text),
    ("provenance", Text),
    ("sbom", Boolean),
]);

/// `registry`; `username` and `password` have a rule of their own.
pub static REGISTRY: Shape = Keys(&[("server", Text), ("username", Any), ("password", Any)]);

/// `boot`.
pub static BOOT: Shape = Keys(&[
    ("limit", Text),
    ("wait", Integer),
    ("parallel_roles", Boolean),
]);

/// `logging`.
pub static LOGGING: Shape = Keys(&[("driver", Text), ("options", AnyMap)]);

/// `ssh`.
pub static SSH: Shape = Keys(&[
    ("user", Text),
    ("port", Text),
    ("proxy", Text),
    ("proxy_command", Text),
    ("log_level", Text),
    ("keys_only", Boolean),
    ("keys", List(&Text)),
    ("key_data", List(&Text)),
    ("config", SshConfig),
    ("forward_agent", Boolean),
]);

/// `sshkit`.
pub static SSHKIT: Shape = Keys(&[
    ("max_concurrent_starts", Integer),
    ("pool_idle_timeout", Integer),
    ("dns_retries", Integer),
]);

/// `output`.
pub static OUTPUT: Shape = Keys(&[
    ("otel", Keys(&[("endpoint", Text)])),
    ("file", Keys(&[("path", Text)])),
]);
