//! Pulling images.

use serde_json::Value as Json;

use super::failed;
use crate::capability::run::{Readers, Run};
use crate::wire;
use crate::wit::docker::Credentials as WitCredentials;
use crate::wit::types::{CapError, Part, RemoteError};

/// Pulls an image, and makes sure that it is the one with that digest that came.
pub(super) async fn pull(
    run: &Run,
    engine: &wire::Engine,
    host: &str,
    image: &str,
    digest: Option<Vec<Part>>,
    credentials: Option<WitCredentials>,
) -> Result<String, CapError> {
    let wanted = digest
        .map(|digest| run.resolve(&digest, Readers::Everybody))
        .transpose()?
        .map(|digest| digest.expose().to_owned());
    let lent = run.hosts.lend_registry(host, image).await;
    lent.map_err(failed)?;
    let credentials = match credentials {
        Some(login) => {
            let server = login.server.as_deref();
            let login = run.login(server, &login.username, &login.password, image);
            Some(login.await?)
        }
        None => None,
    };
    let pulled = engine
        .pull(image, credentials.as_ref(), &mut |_| {})
        .await
        .map_err(failed)?;
    match wanted {
        Some(wanted) if wanted != pulled => Err(CapError::Remote(RemoteError {
            service: format!("docker {host}"),
            code: 0,
            message: format!(
                "{image} was pushed as {wanted}, but {host} got {pulled}\nhint: somebody else pushed to the same tag meanwhile; deploy again"
            ),
        })),
        Some(_) | None => Ok(pulled),
    }
}

/// Whether the image of that name has the digest.
pub(super) async fn has_digest(
    engine: &wire::Engine,
    image: &str,
    digest: &str,
) -> Result<bool, CapError> {
    let Some(there) = engine.inspect_image(image).await.map_err(failed)? else {
        return Ok(false);
    };
    let digests = there["RepoDigests"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str);
    Ok(digests
        .filter_map(|named| named.rsplit_once('@'))
        .any(|(_, found)| found == digest)
        || there["Id"] == digest)
}
