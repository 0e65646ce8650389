//! BuildKit's own API, through the Engine: for what the Engine's `/build` can't be asked (several platforms, caches that are
//! exported, attestations).
//!
//! From `moby/buildkit/api/services/control/control.proto`: `SolveRequest { Ref = 1, Exporter = 3, ExporterAttrs = 4,
//! Session = 5, Frontend = 6, FrontendAttrs = 7, Cache = 8 }`, `CacheOptions { Exports = 4, Imports = 5 }`,
//! `CacheOptionsEntry { Type = 1, Attrs = 2 }`, `SolveResponse { ExporterResponse = 1 }`, `StatusRequest { Ref = 1 }`. The
//! attributes are those of `frontend/dockerfile/builder` and of `docker buildx`.

use hyper::header::{CONNECTION, HeaderValue, UPGRADE};

use super::{
    Build, BuildEvent, Watch,
    grpc::{Client, Failure},
    protobuf::{Value, field, fields, text},
    session::{Session, UPLOAD_HOST},
};
use crate::wire::{
    Engine, WireError,
    docker::{Call, request},
};

const SOLVE: &str = "/moby.buildkit.v1.Control/Solve";
const STATUS: &str = "/moby.buildkit.v1.Control/Status";

impl Engine {
    /// Builds by BuildKit's own API. The context comes through the session.
    pub(super) async fn solve(
        &self,
        build: &Build,
        dockerfile: &str,
        call: &Call,
        session: &Session,
        progress: &mut (dyn FnMut(BuildEvent) + Send),
    ) -> Result<String, WireError> {
        self.check_can_solve(build).await?;
        let mut ask = request("POST", "/grpc");
        let headers = ask.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("h2c"));
        let stream = self.upgrade(call, ask).await?;
        let lost = |why: String| WireError::ConnectionLost {
            place: self.place().to_owned(),
            during: call.what.clone(),
            why,
        };
        let client = Client::on(stream)
            .await
            .map_err(|error| lost(error.to_string()))?;
        let mut watch = Watch::default();
        let mut answer = Vec::new();
        let solved = {
            let message = solve_request(build, dockerfile, session.id());
            let mut keep = |bytes: &[u8]| answer = bytes.to_vec();
            let solving = client.call(SOLVE, &message, &mut keep);
            let about = field(1, session.id().as_bytes());
            let mut hear = |bytes: &[u8]| watch.follow(bytes, progress);
            let watching = client.call(STATUS, &about, &mut hear);
            // Progress must not fail a build, and ends with it.
            let (solved, _) = tokio::join!(solving, watching);
            solved
        };
        match solved {
            Ok(()) => {
                let id = exported(&answer);
                id.ok_or_else(|| lost("the build ended without an image".into()))
            }
            Err(Failure::Refused(message)) => Err(watch.blame(0, message, call)),
            Err(Failure::Lost(why)) => Err(lost(why)),
        }
    }

    /// Only Engines that keep images in containerd can hold what is asked for here.
    async fn check_can_solve(&self, build: &Build) -> Result<(), WireError> {
        let Some(what) = build.beyond_engine() else {
            return Ok(());
        };
        if self.keeps_images_in_containerd().await? {
            return Ok(());
        }
        Err(WireError::BuilderTooSimple {
            place: self.place().to_owned(),
            what: what.to_owned(),
        })
    }
}

/// What identifies the image: its own digest, or that of its configuration.
fn exported(answer: &[u8]) -> Option<String> {
    let mut found = pairs_of(answer, 1);
    let mut take = |key: &str| {
        let at = found.iter().position(|(name, _)| name == key)?;
        Some(found.swap_remove(at).1)
    };
    take("containerimage.digest").or_else(|| take("containerimage.config.digest"))
}

fn solve_request(build: &Build, dockerfile: &str, session: &str) -> Vec<u8> {
    let mut message = field(1, session.as_bytes());
    message.extend(field(3, b"moby"));
    message.extend(pair(4, "name", &build.tags.join(",")));
    message.extend(field(5, session.as_bytes()));
    message.extend(field(6, b"dockerfile.v0"));
    for (name, value) in frontend_attributes(build, dockerfile, session) {
        message.extend(pair(7, &name, &value));
    }
    let mut caches = Vec::new();
    for (number, entries) in [(4, &build.cache_to), (5, &build.cache_from)] {
        for entry in entries {
            let (kind, attributes) = cache(entry);
            let mut message = field(1, kind.as_bytes());
            for (name, value) in attributes {
                message.extend(pair(2, name, value));
            }
            caches.extend(field(number, &message));
        }
    }
    message.extend(field(8, &caches));
    message
}

fn frontend_attributes(build: &Build, dockerfile: &str, session: &str) -> Vec<(String, String)> {
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut attributes = vec![
        own("context", &format!("http://{UPLOAD_HOST}/{session}")),
        own("filename", dockerfile),
    ];
    if !build.platforms.is_empty() {
        attributes.push(own("platform", &build.platforms.join(",")));
    }
    attributes.extend(build.target.as_deref().map(|target| own("target", target)));
    attributes.extend(build.no_cache.then(|| own("no-cache", "")));
    attributes.extend(build.pull.then(|| own("image-resolve-mode", "pull")));
    let named = |prefix: &str, pairs: &[(String, String)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| (format!("{prefix}:{name}"), value.clone()))
            .collect()
    };
    attributes.extend(named("build-arg", &build.arguments));
    attributes.extend(named("label", &build.labels));
    for (kind, wanted) in [
        ("attest:provenance", &build.provenance),
        ("attest:sbom", &build.sbom),
    ] {
        match wanted.as_deref() {
            None | Some("false") => {}
            Some("true") => attributes.push(own(kind, "")),
            Some(options) => attributes.push(own(kind, options)),
        }
    }
    attributes
}

/// `type=registry,ref=a/b,mode=max`; what has no type is the name of an image.
pub(super) fn cache(entry: &str) -> (&str, Vec<(&str, &str)>) {
    let mut kind = "registry";
    let mut attributes = Vec::new();
    for part in entry.split(',') {
        match part.split_once('=') {
            Some(("type", value)) => kind = value,
            Some(pair) => attributes.push(pair),
            None => attributes.push(("ref", part)),
        }
    }
    (kind, attributes)
}

/// An entry of a map.
fn pair(number: u8, name: &str, value: &str) -> Vec<u8> {
    let entry = [field(1, name.as_bytes()), field(2, value.as_bytes())].concat();
    field(number, &entry)
}

/// The entries of a map.
fn pairs_of(message: &[u8], number: u64) -> Vec<(String, String)> {
    let entry = |(found, value): (u64, Value<'_>)| {
        let Value::Bytes(bytes) = value else {
            return None;
        };
        (found == number).then(|| {
            let (mut name, mut content) = (String::new(), String::new());
            for (number, value) in fields(bytes) {
                match (number, value) {
                    (1, Value::Bytes(bytes)) => name = text(bytes),
                    (2, Value::Bytes(bytes)) => content = text(bytes),
                    _ => {}
                }
            }
            (name, content)
        })
    };
    fields(message).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::context::Context;

    fn build() -> Build {
        let text = |text: &str| text.to_owned();
        Build {
            context: Context {
                folder: "/x".into(),
                dockerfile: "/x/Dockerfile".into(),
                ignore: vec![],
            },
            arguments: vec![(text("A"), text("b c"))],
            target: Some(text("prod")),
            labels: vec![(text("service"), text("app"))],
            tags: vec![text("r/app:1"), text("r/app:latest")],
            platforms: vec![text("linux/amd64"), text("linux/arm64")],
            no_cache: true,
            pull: false,
            cache_from: vec![text("type=registry,ref=r/cache")],
            cache_to: vec![text("type=gha,mode=max,scope=x")],
            provenance: Some(text("mode=min")),
            sbom: Some(text("true")),
            builder: None,
        }
    }

    #[test]
    fn a_request_says_everything_that_buildx_would() {
        let message = solve_request(&build(), "docker/Dockerfile", "s1");
        let attributes = pairs_of(&message, 7);
        let expected = [
            ("context", "http://buildkit-session/s1"),
            ("filename", "docker/Dockerfile"),
            ("platform", "linux/amd64,linux/arm64"),
            ("target", "prod"),
            ("no-cache", ""),
            ("build-arg:A", "b c"),
            ("label:service", "app"),
            ("attest:provenance", "mode=min"),
            ("attest:sbom", ""),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(attributes, expected);
        let name = ("name".to_owned(), "r/app:1,r/app:latest".to_owned());
        assert_eq!(pairs_of(&message, 4), [name]);
        let caches = fields(&message).find_map(|(number, value)| match value {
            Value::Bytes(bytes) if number == 8 => Some(bytes.to_vec()),
            _ => None,
        });
        let caches = caches.expect("there are some");
        let kinds: Vec<(u64, String)> = fields(&caches)
            .filter_map(|(number, value)| match value {
                Value::Bytes(bytes) => Some((number, pairs_of(bytes, 2).concat_text())),
                Value::Number(_) => None,
            })
            .collect();
        assert_eq!(
            kinds,
            [
                (4, "mode=max scope=x".to_owned()),
                (5, "ref=r/cache".to_owned())
            ]
        );
    }

    trait Text {
        fn concat_text(&self) -> String;
    }

    impl Text for Vec<(String, String)> {
        fn concat_text(&self) -> String {
            let pairs = self.iter().map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join(" ")
        }
    }

    #[test]
    fn caches_are_written_as_buildx_takes_them() {
        for (entry, kind, attributes) in [
            ("type=gha", "gha", vec![]),
            (
                "type=registry,ref=a/b:c,mode=max",
                "registry",
                vec![("ref", "a/b:c"), ("mode", "max")],
            ),
            ("a/b:c", "registry", vec![("ref", "a/b:c")]),
        ] {
            assert_eq!(cache(entry), (kind, attributes), "{entry}");
        }
    }

    #[test]
    fn an_image_is_known_by_its_digest() {
        let digest = pair(1, "containerimage.digest", "sha256:1");
        let config = pair(1, "containerimage.config.digest", "sha256:2");
        assert_eq!(
            exported(&[config.clone(), digest].concat()),
            Some("sha256:1".into())
        );
        assert_eq!(exported(&config), Some("sha256:2".into()));
        assert_eq!(exported(&pair(1, "other", "x")), None);
    }
}
