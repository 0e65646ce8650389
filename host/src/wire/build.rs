//! Building an image with the Engine's own BuildKit.
//!
//! The context goes up as a tar, progress comes back; beside it BuildKit asks for logins and secrets through a session.
//! Every Engine since 18.09 has this built in, without the buildx plugin. What `/build` can't be asked, [`solve`] asks
//! BuildKit itself.

mod grpc;
mod protobuf;
mod session;
mod solve;
mod trace;

use std::{
    collections::{HashMap, VecDeque},
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use futures::stream;
use hyper::body::Bytes;
use serde_json::json;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::wire::{
    Credentials, Engine, Hidden, WireError,
    context::{Context, Prepared},
    docker::{Said, query, request, with_body},
};

use session::{Offer, Session};

/// How many lines of a failing step's output the error has.
const LAST_LINES: usize = 30;

/// What to build, and how.
#[derive(Debug, Clone)]
pub struct Build {
    /// The files.
    pub context: Context,
    /// `ARG` values.
    pub arguments: Vec<(String, String)>,
    /// The stage to stop at; the last when `None`.
    pub target: Option<String>,
    /// Labels of the image, over those of the Dockerfile.
    pub labels: Vec<(String, String)>,
    /// `repository:tag` names of the image.
    pub tags: Vec<String>,
    /// `linux/arm64`; the Engine's own when there is none.
    pub platforms: Vec<String>,
    /// Run every step anew.
    pub no_cache: bool,
    /// Ask the registries for newer base images.
    pub pull: bool,
    /// Where to take steps from that were run before: `type=registry,ref=…`, as buildx has it.
    pub cache_from: Vec<String>,
    /// Where to put the steps for the next time.
    pub cache_to: Vec<String>,
    /// `mode=min`, `true`; buildx's words.
    pub provenance: Option<String>,
    /// A list of what is in the image: `true`, or its generator.
    pub sbom: Option<String>,
    /// The name that BuildKit is told of who builds.
    pub builder: Option<String>,
}

impl Build {
    /// What only an Engine can do that keeps images in containerd, if there is any such thing in it.
    fn beyond_engine(&self) -> Option<&'static str> {
        let wanted = |attestation: &Option<String>| {
            attestation.as_deref().is_some_and(|kind| kind != "false")
        };
        [
            (self.platforms.len() > 1, "an image for several platforms"),
            (!self.cache_to.is_empty(), "exporting the cache"),
            (wanted(&self.provenance), "attesting the provenance"),
            (wanted(&self.sbom), "a list of what is in the image (sbom)"),
        ]
        .into_iter()
        .find_map(|(is, what)| is.then_some(what))
    }

    /// The same, for these platforms alone, when there are any.
    pub fn for_platforms(mut self, platforms: &[String]) -> Self {
        if !platforms.is_empty() {
            self.platforms = platforms.to_vec();
        }
        self
    }

    /// Whether it has to be BuildKit itself that is asked.
    fn is_rich(&self) -> bool {
        let elsewhere = |entry: &String| solve::cache(entry).0 != "registry";
        self.beyond_engine().is_some() || self.cache_from.iter().any(elsewhere)
    }
}

/// What a build may ask for while it runs. It stays in memory: neither context nor image has it.
#[derive(Debug, Clone, Default)]
pub struct Private {
    /// Logins for the registries of base images. For others the Engine asks without.
    pub logins: Vec<Credentials>,
    /// What `RUN --mount=type=secret,id=…` gets, by id.
    pub secrets: Vec<(String, Hidden)>,
    /// Sockets of SSH agents for `RUN --mount=type=ssh,id=…`, by id.
    pub agents: Vec<(String, PathBuf)>,
}

/// How a build gets on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEvent {
    /// A step began: `[2/3] RUN make`.
    Started {
        /// As in the Dockerfile, with its position.
        step: String,
    },
    /// A step ended well.
    Done {
        /// As it began.
        step: String,
        /// It was not run, because nothing has changed.
        cached: bool,
    },
    /// A step printed a line.
    Output {
        /// Which step.
        step: String,
        /// Without its end.
        line: String,
    },
}

impl Engine {
    /// Builds an image and returns its id, `sha256:…`, without any login or secret.
    pub async fn build(
        &self,
        build: &Build,
        progress: &mut (dyn FnMut(BuildEvent) + Send),
    ) -> Result<String, WireError> {
        self.build_with(build, &Private::default(), progress).await
    }

    /// Builds an image and returns its id, `sha256:…`.
    ///
    /// A failing step is [`WireError::BuildFailed`], with what it printed last; a base image that can't be had is
    /// [`WireError::RegistryRefused`].
    pub async fn build_with(
        &self,
        build: &Build,
        private: &Private,
        progress: &mut (dyn FnMut(BuildEvent) + Send),
    ) -> Result<String, WireError> {
        let name = build.tags.first().map_or("the image", String::as_str);
        let call = self.image(&format!("building {name}"), name);
        build
            .tags
            .iter()
            .try_for_each(|tag| crate::wire::docker::check_image(tag).map(drop))?;
        let prepared = Arc::new(build.context.prepare()?);
        let open = Offer {
            private: private.clone(),
            context: build.is_rich().then(|| Arc::clone(&prepared)),
        };
        let session = Session::open(self, &call, open, build.builder.as_deref()).await?;
        if build.is_rich() {
            let dockerfile = &prepared.dockerfile;
            return self
                .solve(build, dockerfile, &call, &session, progress)
                .await;
        }
        let parameters = parameters(build, &prepared.dockerfile, session.id());
        let path = format!("/build{parameters}");

        let (receive, packing) = packed(prepared);
        let body = stream::unfold(receive, |mut receive| async {
            Some((receive.recv().await?, receive))
        });
        let request = with_body(request("POST", &path), "application/x-tar", body);

        let mut watch = Watch::default();
        let result = self
            .stream(&call, request, &mut |said| match said {
                Said::Aux { id, value } if id == "moby.buildkit.trace" => {
                    let bytes = value
                        .as_str()
                        .and_then(|text| BASE64.decode(text).ok())
                        .unwrap_or_default();
                    watch.follow(&bytes, progress);
                    Ok(())
                }
                Said::Aux { value, .. } => {
                    if let Some(id) = value["ID"].as_str() {
                        watch.image = Some(id.to_owned());
                    }
                    Ok(())
                }
                Said::Error { status, message } => Err(watch.blame(status, message, &call)),
                Said::Progress(_) => Ok(()),
            })
            .await;
        match result {
            Ok(()) => watch.image.ok_or_else(|| WireError::Remote {
                place: self.place().to_owned(),
                what: call.what.clone(),
                status: 0,
                message: "the build ended without an image".into(),
            }),
            // The Engine answers before it has all of a context that it refuses, so packing may have been broken off
            // by it: what the Engine said counts, unless it was our side that failed.
            Err(lost @ WireError::ConnectionLost { .. }) => match packing.await {
                Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                    Err(WireError::io("packing the build context")(error))
                }
                _ => Err(lost),
            },
            Err(error) => Err(error),
        }
    }
}

fn parameters(build: &Build, dockerfile: &str, session: &str) -> String {
    let map = |pairs: &[(String, String)]| {
        json!(pairs.iter().cloned().collect::<HashMap<_, _>>()).to_string()
    };
    let (arguments, labels) = (map(&build.arguments), map(&build.labels));
    let mut pairs = vec![
        ("version", "2"),
        ("session", session),
        ("rm", "1"),
        ("dockerfile", dockerfile),
    ];
    pairs.extend([
        ("buildargs", arguments.as_str()),
        ("labels", labels.as_str()),
    ]);
    pairs.extend(build.tags.iter().map(|tag| ("t", tag.as_str())));
    if let Some(target) = &build.target {
        pairs.push(("target", target));
    }
    pairs.extend(
        build
            .platforms
            .first()
            .map(|platform| ("platform", platform.as_str())),
    );
    let sources = build
        .cache_from
        .iter()
        .flat_map(|entry| solve::cache(entry).1);
    let sources: Vec<&str> = sources
        .filter(|(name, _)| *name == "ref")
        .map(|(_, reference)| reference)
        .collect();
    let sources = json!(sources).to_string();
    if sources != "[]" {
        pairs.push(("cachefrom", &sources));
    }
    if build.no_cache {
        pairs.push(("nocache", "1"));
    }
    if build.pull {
        pairs.push(("pull", "1"));
    }
    query(&pairs)
}

/// The context's tar, as it is packed, and the packing itself.
fn packed(
    prepared: Arc<Prepared>,
) -> (
    mpsc::Receiver<io::Result<Bytes>>,
    JoinHandle<io::Result<()>>,
) {
    let (send, receive) = mpsc::channel::<io::Result<Bytes>>(4);
    let packing = tokio::task::spawn_blocking(move || {
        let mut pipe = Pipe {
            send,
            buffer: Vec::with_capacity(CHUNK),
        };
        let result = prepared.write(&mut pipe);
        if let Err(error) = &result {
            // Breaks the request off: a context that ends early must not be built.
            let _ = pipe
                .send
                .blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
        }
        result
    });
    (receive, packing)
}

const CHUNK: usize = 256 << 10;

/// From a thread that packs to the request's body.
struct Pipe {
    send: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.send
            .blocking_send(Ok(full.into()))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// The steps seen so far, by BuildKit's digest of each.
#[derive(Default)]
struct Watch {
    steps: HashMap<String, Seen>,
    failed: Option<String>,
    image: Option<String>,
}

#[derive(Default)]
struct Seen {
    name: String,
    started: bool,
    done: bool,
    error: String,
    /// The last lines, and the beginning of one that isn't complete.
    lines: VecDeque<String>,
    rest: Vec<u8>,
}

impl Watch {
    fn follow(&mut self, bytes: &[u8], progress: &mut (dyn FnMut(BuildEvent) + Send)) {
        let trace = trace::decode(bytes);
        for step in trace.steps {
            let seen = self.steps.entry(step.digest.clone()).or_default();
            seen.name = step.name;
            if step.started && !seen.started {
                seen.started = true;
                progress(BuildEvent::Started {
                    step: seen.name.clone(),
                });
            }
            if !step.error.is_empty() {
                // Steps that run beside the failing one are cancelled, and are not to blame.
                if !step.error.contains("context canceled") {
                    self.failed.get_or_insert(step.digest);
                }
                seen.error = step.error;
            } else if step.completed && !seen.done {
                seen.done = true;
                progress(BuildEvent::Done {
                    step: seen.name.clone(),
                    cached: step.cached,
                });
            }
        }
        for log in trace.logs {
            let seen = self.steps.entry(log.step).or_default();
            seen.rest.extend(log.text);
            while let Some(end) = seen.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = seen.rest.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                progress(BuildEvent::Output {
                    step: seen.name.clone(),
                    line: line.clone(),
                });
                seen.keep(line);
            }
        }
    }

    fn blame(
        &mut self,
        status: u16,
        message: String,
        call: &crate::wire::docker::Call,
    ) -> WireError {
        let Some(seen) = self
            .failed
            .take()
            .and_then(|digest| self.steps.remove(&digest))
        else {
            // Before any step: the Dockerfile can't be read, or asks for a stage that isn't there.
            return match crate::wire::docker::name_fault(call, status, &message) {
                WireError::Remote { .. } => WireError::BuildFailed {
                    step: "Dockerfile".into(),
                    message,
                    output: vec![],
                },
                named => named,
            };
        };
        let base = seen.name.strip_prefix("[internal] load metadata for ");
        if let Some(base) = base {
            let named = crate::wire::docker::name_registry_fault(call, base, 0, &message);
            if matches!(named, WireError::RegistryRefused { .. }) {
                return named;
            }
        }
        let rest = String::from_utf8_lossy(&seen.rest).trim_end().to_owned();
        let mut output: Vec<String> = seen.lines.into();
        output.extend((!rest.is_empty()).then_some(rest));
        let message = if seen.error.is_empty() {
            message
        } else {
            seen.error
        };
        match crate::wire::docker::name_fault(call, status, &message) {
            full @ WireError::DiskFull { .. } => full,
            _ => WireError::BuildFailed {
                step: seen.name,
                message,
                output,
            },
        }
    }
}

impl Seen {
    fn keep(&mut self, line: String) {
        if self.lines.len() == LAST_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}
