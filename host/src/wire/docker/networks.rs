//! Networks.

use bollard::models::NetworkCreateRequest;

use super::{Engine, QUICK, names};
use crate::wire::WireError;

/// Whether a network had to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// It is new.
    Created,
    /// It was there.
    There,
}

impl Engine {
    /// Whether there is a network of that name.
    pub async fn network_exists(&self, name: &str) -> Result<bool, WireError> {
        let name = names::plain("network", name)?;
        Ok(self
            .inspect(&format!("/networks/{name}"), "network", name)
            .await?
            .is_some())
    }

    /// Makes a bridge network with default settings unless there is one of that name. Two requests when it is new.
    pub async fn ensure_network(&self, name: &str) -> Result<Ensured, WireError> {
        // Engines before 25 allow two networks of one name, so that asking to create one is not enough.
        if self.network_exists(name).await? {
            return Ok(Ensured::There);
        }
        let call = self.call(
            &format!("creating network {name}"),
            &format!("network {name}"),
        );
        let body = NetworkCreateRequest {
            name: name.to_owned(),
            ..NetworkCreateRequest::default()
        };
        match self
            .within(&call, QUICK, self.docker.create_network(body))
            .await
        {
            Ok(_) => Ok(Ensured::Created),
            Err(WireError::Remote { status: 409, .. }) => Ok(Ensured::There),
            Err(error) => Err(error),
        }
    }
}
