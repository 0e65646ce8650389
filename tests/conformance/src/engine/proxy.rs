//! kamal-proxy's command line, on the simulated clock.

use std::time::Duration;

use tokio::time::sleep;

use crate::world::{What, World};

/// What a command said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A healthy target takes so long.
const HEALTHY: Duration = Duration::from_secs(1);

/// Runs a command in the proxy's container.
pub(crate) async fn run(world: &World, host: &str, words: &[String]) -> Said {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["kamal-proxy", "deploy", service, ..] => deploy(world, host, service, &words).await,
        [
            "kamal-proxy",
            command @ ("remove" | "rm" | "stop" | "pause" | "resume"),
            service,
            ..,
        ] => {
            let mut inner = world.lock();
            let here = inner.host(host);
            match *command {
                "remove" | "rm" => {
                    here.routes.remove(*service);
                    here.routed.insert((*service).to_owned());
                }
                _ => {}
            }
            inner.saw(
                host,
                What::Proxy {
                    words: owned(&words),
                    ok: true,
                },
            );
            Said::default()
        }
        ["kamal-proxy", "list", ..] => {
            let mut inner = world.lock();
            let routes = inner.host(host).routes.clone();
            let rows = routes
                .iter()
                .map(|(service, target)| format!("{service}  *  /  {target}  running  no\n"));
            Said {
                out: format!(
                    "Service  Host  Path  Target  State  TLS\n{}",
                    rows.collect::<String>()
                ),
                ..Said::default()
            }
        }
        ["kamal-proxy", "version", ..] => Said {
            out: "v0.9.2\n".to_owned(),
            ..Said::default()
        },
        _ => Said {
            code: 1,
            err: format!("Error: unknown command {words:?}\n"),
            ..Said::default()
        },
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Values of a flag, in either of the two forms.
pub(crate) fn flag<'a>(words: &'a [&str], name: &str) -> Option<&'a str> {
    let long = format!("--{name}");
    words.iter().enumerate().find_map(|(index, word)| {
        let rest = word.strip_prefix(&long)?;
        if rest.is_empty() {
            return words.get(index + 1).copied();
        }
        rest.strip_prefix('=')
    })
}

async fn deploy(world: &World, host: &str, service: &str, words: &[&str]) -> Said {
    let target = flag(words, "target")
        .unwrap_or_default()
        .trim_matches('"')
        .to_owned();
    let address = target
        .rsplit_once(':')
        .map_or(target.as_str(), |(address, _)| address)
        .to_owned();
    let container = {
        let mut inner = world.lock();
        let found = inner.host(host).container(&address);
        found
            .filter(|container| container.running())
            .map(|container| container.name.clone())
    };
    let mut said = owned(words);
    if let (Some(name), Some(word)) = (
        &container,
        said.iter_mut().find(|word| word.contains(&target)),
    ) {
        *word = word.replace(&address, name);
    }
    let fault = world.fault(
        "proxy_deploy",
        host,
        container.as_deref().unwrap_or_default(),
    );
    let slow = world.fault("proxy_slow", host, container.as_deref().unwrap_or_default());
    let (Some(container), None) = (container, &fault) else {
        let limit = flag(words, "deploy-timeout").unwrap_or("30s");
        let delay = fault
            .as_ref()
            .map(|fault| fault.delay())
            .filter(|delay| !delay.is_zero());
        sleep(delay.unwrap_or_else(|| seconds(limit))).await;
        world.saw(
            host,
            What::Proxy {
                words: said,
                ok: false,
            },
        );
        let message = "Error: target failed to become healthy within configured timeout (30s)";
        return Said {
            code: 1,
            err: format!(
                "{}\n",
                fault.map_or(message.to_owned(), |fault| fault.message_or(message))
            ),
            ..Said::default()
        };
    };
    sleep(slow.map_or(HEALTHY, |slow| slow.delay().max(HEALTHY))).await;
    let mut inner = world.lock();
    let here = inner.host(host);
    here.routes.insert(service.to_owned(), container);
    here.routed.insert(service.to_owned());
    inner.saw(
        host,
        What::Proxy {
            words: said,
            ok: true,
        },
    );
    Said::default()
}

/// A Go duration of whole seconds.
fn seconds(text: &str) -> Duration {
    let digits = text.trim_matches('"').trim_end_matches('s');
    Duration::from_secs(digits.parse().unwrap_or(30))
}
