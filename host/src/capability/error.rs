//! What went wrong out there, as components are told it.

use crate::wire::WireError;
use crate::wire::aws::Why;
use crate::wit::types::{CapError, RemoteError};

/// A client's error for a component; its words and its hint stay together.
pub(crate) fn from_wire(error: &WireError) -> CapError {
    let message = match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    };
    let remote = |service: &str, code: i32| {
        CapError::Remote(RemoteError {
            service: service.to_owned(),
            code,
            message: message.clone(),
        })
    };
    match error {
        WireError::NotFound { .. } => CapError::NotFound(message),
        WireError::TimedOut { .. } => CapError::TimedOut(message),
        WireError::NameUnknown { .. }
        | WireError::Unreachable { .. }
        | WireError::HostKeyChanged { .. }
        | WireError::HostKeyRevoked { .. }
        | WireError::HostKeyUnknown { .. }
        | WireError::AuthenticationRefused { .. }
        | WireError::KeyLocked { .. }
        | WireError::KeyUnusable { .. }
        | WireError::JumpFailed { .. }
        | WireError::DockerAbsent { .. }
        | WireError::DockerDenied { .. }
        | WireError::DockerTooOld { .. }
        | WireError::ConnectionLost { .. } => CapError::Unavailable(message),
        WireError::Aws(aws) => match aws.why {
            Why::NotFound => CapError::NotFound(message),
            Why::TimedOut => CapError::TimedOut(message),
            Why::Throttled | Why::Unreachable | Why::Lost | Why::Service => {
                CapError::Unavailable(message)
            }
            // To try again helps as little as with any refusal.
            Why::NoCredentials
            | Why::NoCode
            | Why::NoRegion
            | Why::Expired
            | Why::Unrecognised
            | Why::Denied
            | Why::Quota
            | Why::Refused => remote("aws", 0),
        },
        WireError::RegistryRefused { registry, .. } => remote(registry, 0),
        WireError::CommandFailed { place, code, .. } => remote(place, *code),
        WireError::Remote { place, status, .. } => remote(place, i32::from(*status)),
        WireError::PortTaken { place, .. }
        | WireError::NameTaken { place, .. }
        | WireError::DiskFull { place, .. } => remote(place, 0),
        WireError::BuildFailed { .. }
        | WireError::BuilderTooSimple { .. }
        | WireError::Invalid { .. }
        | WireError::NoRepository { .. }
        | WireError::NoGit
        | WireError::NoTool { .. }
        | WireError::Io { .. } => CapError::Other(message),
    }
}

/// An error of a component's call in words, for people; hints are on lines of their own.
pub fn in_words(error: &CapError) -> String {
    match error {
        CapError::Denied(denial) => {
            format!(
                "denied by the grants: {}\nhint: to allow it, add to plimsoll.yml: {}",
                denial.request, denial.rule
            )
        }
        CapError::NotPlanned(why) => format!("not what the approved plan promised: {why}"),
        CapError::Held(text)
        | CapError::NotFound(text)
        | CapError::Unavailable(text)
        | CapError::TimedOut(text)
        | CapError::Other(text)
        | CapError::Quota(text) => text.clone(),
        CapError::Cancelled => "interrupted".to_owned(),
        CapError::Remote(remote) => remote.message.clone(),
    }
}
