//! What the Engine's messages mean: from status and text to a named error.

use std::net::SocketAddr;

use crate::wire::{Refusal, WireError};

/// What was being done, for the message: `creating container web`, and to what: `container web`.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) place: String,
    pub(crate) what: String,
    pub(crate) subject: String,
}

/// The Engine's answer, when it is not yes. Status 0 stands for an error inside a stream.
pub(crate) fn name(call: &Call, status: u16, message: &str) -> WireError {
    let place = call.place.clone();
    let message = message.trim();
    if message.contains("no space left on device") || message.contains("disk quota exceeded") {
        return WireError::DiskFull {
            place,
            message: message.to_owned(),
        };
    }
    if let Some(port) = taken_port(message) {
        let message = as_docker_says(call, message);
        return WireError::PortTaken {
            place,
            port,
            message,
        };
    }
    if message.contains("is already in use by container") {
        let name = between(message, "container name \"", "\"").unwrap_or(&call.subject);
        return WireError::NameTaken {
            place,
            name: name.trim_start_matches('/').to_owned(),
            message: as_docker_says(call, message),
        };
    }
    if status == 404 {
        return WireError::NotFound {
            place,
            what: missing(message).unwrap_or_else(|| call.subject.clone()),
        };
    }
    WireError::Remote {
        place,
        what: call.what.clone(),
        status,
        message: as_docker_says(call, message),
    }
}

/// The message as Docker's own command line prints it, which is what scripts around Kamal look for: `docker run` with
/// its name in front, everything else without.
fn as_docker_says(call: &Call, message: &str) -> String {
    let runs = ["creating container", "starting container"];
    let program = match runs.iter().any(|what| call.what.starts_with(what)) {
        true => "docker: ",
        false => "",
    };
    format!("{program}Error response from daemon: {message}")
}

/// The same for what a registry has a part in: pull, push, and the base images of a build.
pub(crate) fn name_registry(call: &Call, image: &str, status: u16, message: &str) -> WireError {
    match refusal(message) {
        Some(refusal) => WireError::RegistryRefused {
            registry: registry_of(image).to_owned(),
            image: image.to_owned(),
            refusal,
            message: as_docker_says(call, message.trim()),
        },
        // It may be the image that isn't there, or the way to it: the words say more than the number.
        None if status == 404 => WireError::Remote {
            place: call.place.clone(),
            what: call.what.clone(),
            status,
            message: as_docker_says(call, message.trim()),
        },
        None => name(call, status, message),
    }
}

/// The most telling words first: a "denied" can hide an "unauthorized", and a TLS failure mentions the address.
fn refusal(message: &str) -> Option<Refusal> {
    let message = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&[
        "x509:",
        "certificate signed by unknown",
        "tls: failed to verify",
    ]) {
        Some(Refusal::UnknownAuthority)
    } else if says(&["toomanyrequests", "too many requests", "pull rate limit"]) {
        Some(Refusal::RateLimited)
    } else if says(&[
        "unauthorized",
        "authentication required",
        "no basic auth",
        "incorrect username",
    ]) {
        Some(Refusal::Unauthorized)
    } else if says(&["denied", "forbidden", "insufficient_scope"]) {
        Some(Refusal::Denied)
    } else if says(&[
        "manifest unknown",
        "name unknown",
        "not found",
        "does not exist",
        "no such image",
    ]) {
        Some(Refusal::NotFound)
    } else if says(&[
        "connection refused",
        "no such host",
        "i/o timeout",
        "dial tcp",
        "no route to host",
        "http response to https",
    ]) {
        Some(Refusal::Unreachable)
    } else {
        None
    }
}

/// The registry in an image's name, by Docker's rule: the part before the first `/`, if it looks like a host.
pub(crate) fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}

fn taken_port(message: &str) -> Option<String> {
    if !message.contains("port is already allocated") && !message.contains("address already in use")
    {
        return None;
    }
    let port = message.split_whitespace().find_map(|word| {
        let word = word
            .trim_end_matches([':', ','])
            .split('/')
            .next()
            .unwrap_or_default();
        // `0.0.0.0:80`, `[::]:80`, and of newer Engines `0.0.0.0:80:172.17.0.2:80`.
        let start: Vec<&str> = word.splitn(3, ':').collect();
        let short = start.get(..2).map(|two| two.join(":"));
        let address = word
            .parse::<SocketAddr>()
            .ok()
            .or_else(|| short?.parse().ok());
        address.map(|address| address.port().to_string())
    });
    Some(port.unwrap_or_else(|| "of the container".into()))
}

fn missing(message: &str) -> Option<String> {
    let lower = message.to_lowercase();
    for kind in ["container", "image", "volume", "network", "exec instance"] {
        if let Some(at) = lower.find(&format!("no such {kind}: ")) {
            let name = &message[at + kind.len() + "no such : ".len()..];
            return Some(format!("{kind} {}", name.split_whitespace().next()?));
        }
    }
    let name = between(message, "network ", " not found")?;
    Some(format!("network {name}"))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(status: u16, message: &str) -> WireError {
        let call = Call {
            place: "host web".into(),
            what: "creating container x".into(),
            subject: "container x".into(),
        };
        name(&call, status, message)
    }

    #[test]
    fn a_taken_port_is_named_whatever_the_engine_calls_it() {
        for (message, expected) in [
            (
                "driver failed programming external connectivity on endpoint x (ab): Bind for 0.0.0.0:8080 failed: port is already allocated",
                "8080",
            ),
            (
                "driver failed programming external connectivity on endpoint x (ab): Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use",
                "80",
            ),
            (
                "failed to set up container networking: driver failed: failed to bind host port for 0.0.0.0:81:172.17.0.2:80/tcp: address already in use",
                "81",
            ),
            (
                "failed to bind host port 0.0.0.0:82/tcp: address already in use",
                "82",
            ),
            ("listen tcp6 [::]:443: bind: address already in use", "443"),
            ("port is already allocated", "of the container"),
        ] {
            match named(500, message) {
                WireError::PortTaken { port, .. } => assert_eq!(port, expected, "{message}"),
                other => panic!("{message}: {other}"),
            }
        }
    }

    #[test]
    fn messages_of_the_engine_get_names() {
        let taken = named(
            409,
            "Conflict. The container name \"/web-1\" is already in use by container \"0a1b\". You have to remove (or rename) that container to be able to reuse that name.",
        );
        assert_eq!(
            taken.to_string(),
            "name `web-1` is already in use on host web: docker: Error response from daemon: Conflict. The container name \"/web-1\" is already in use by container \"0a1b\". You have to remove (or rename) that container to be able to reuse that name."
        );
        for (message, expected) in [
            (
                "No such container: x",
                "container x doesn't exist on host web",
            ),
            (
                "No such image: a/b:1",
                "image a/b:1 doesn't exist on host web",
            ),
            (
                "network kamal not found",
                "network kamal doesn't exist on host web",
            ),
            ("page not found", "container x doesn't exist on host web"),
        ] {
            assert_eq!(named(404, message).to_string(), expected);
        }
        assert!(matches!(
            named(500, "write /var/lib: no space left on device"),
            WireError::DiskFull { .. }
        ));
        assert_eq!(
            named(400, "invalid").to_string(),
            "host web answered 400 to creating container x: docker: Error response from daemon: invalid"
        );
    }

    #[test]
    fn registries_refusals_are_told_apart() {
        for (message, expected) in [
            (
                "Head \"https://r:5000/v2/a/manifests/1\": x509: certificate signed by unknown authority",
                Some(Refusal::UnknownAuthority),
            ),
            (
                "unauthorized: authentication required",
                Some(Refusal::Unauthorized),
            ),
            (
                "Get \"https://r/v2/\": no basic auth credentials",
                Some(Refusal::Unauthorized),
            ),
            (
                "denied: requested access to the resource is denied",
                Some(Refusal::Denied),
            ),
            (
                "manifest for r/a:1 not found: manifest unknown: manifest unknown",
                Some(Refusal::NotFound),
            ),
            (
                "toomanyrequests: You have reached your pull rate limit",
                Some(Refusal::RateLimited),
            ),
            (
                "Get \"https://r/v2/\": dial tcp 1.2.3.4:443: connect: connection refused",
                Some(Refusal::Unreachable),
            ),
            ("failed to register layer", None),
        ] {
            assert_eq!(refusal(message), expected, "{message}");
        }
    }

    #[test]
    fn the_registry_of_an_image_is_found_as_docker_does() {
        for (image, registry) in [
            ("nginx", "docker.io"),
            ("basecamp/kamal-proxy:v0.9", "docker.io"),
            ("ghcr.io/a/b:1", "ghcr.io"),
            ("localhost/a", "localhost"),
            ("localhost:5000/a@sha256:00", "localhost:5000"),
            ("172.31.77.1:5000/a", "172.31.77.1:5000"),
        ] {
            assert_eq!(registry_of(image), registry);
        }
    }
}
