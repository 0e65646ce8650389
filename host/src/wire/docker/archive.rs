//! Files inside a container, without a command in it.

use std::io::Read;

use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures::StreamExt;

use super::{Engine, QUICK, names};
use crate::wire::WireError;

/// The largest file that is read.
const LARGEST: usize = 1 << 20;

impl Engine {
    /// A file of a container, running or not, up to 1 MiB; `None` when the file or the container is not there.
    pub async fn read_file(
        &self,
        container: &str,
        path: &str,
    ) -> Result<Option<Vec<u8>>, WireError> {
        let name = names::plain("container", container)?;
        let call = self.container(&format!("reading {path} of container {name}"), name);
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(path)
            .build();
        let read = async {
            let mut chunks = self.docker.download_from_container(name, Some(options));
            let mut archive = Vec::new();
            while let Some(chunk) = chunks.next().await {
                archive.extend_from_slice(&chunk?);
                // The headers of the archive come to a few blocks.
                if archive.len() > LARGEST + (64 << 10) {
                    break;
                }
            }
            Ok(archive)
        };
        match self.within(&call, QUICK, read).await {
            Ok(archive) => first_file(&archive, path).map(Some),
            Err(WireError::NotFound { .. } | WireError::Remote { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The content of the file that the archive has.
fn first_file(archive: &[u8], path: &str) -> Result<Vec<u8>, WireError> {
    let invalid = |why: String| WireError::Invalid {
        what: format!("what the Engine sent of {path}"),
        why,
    };
    let mut archive = tar::Archive::new(archive);
    let entry = archive
        .entries()
        .map_err(|error| invalid(error.to_string()))?
        .next();
    let mut entry = entry
        .ok_or_else(|| invalid("it is empty".into()))?
        .map_err(|error| invalid(error.to_string()))?;
    if !entry.header().entry_type().is_file() {
        return Err(invalid("it is not a file".into()));
    }
    if usize::try_from(entry.size()).is_ok_and(|size| size > LARGEST) {
        return Err(invalid("it has more than 1 MiB".into()));
    }
    let mut content = Vec::new();
    entry
        .read_to_end(&mut content)
        .map_err(|error| invalid(error.to_string()))?;
    Ok(content)
}
