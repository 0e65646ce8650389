//! What a command runs on: the runtime with its clock, and the way out of the process.

use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::wire::network::{self, Network};

/// What a command runs on. The default is what people use; `tests/conformance` gives a clock that is simulated and a
/// network that ends in the same process.
pub struct Footing {
    /// Makes the runtime.
    pub runtime: fn() -> io::Result<Runtime>,
    /// The way out, when it is not the system's.
    pub network: Option<Box<dyn Network>>,
}

impl Default for Footing {
    fn default() -> Self {
        Self {
            runtime: || {
                Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
            },
            network: None,
        }
    }
}

impl Footing {
    /// How the runtime is made; from here on the process has its network.
    ///
    /// # Errors
    /// When the process has a network already.
    pub(super) fn take(self) -> Result<fn() -> io::Result<Runtime>, String> {
        if let Some(network) = self.network
            && network::replace(network).is_err()
        {
            return Err("the network was in use before it was chosen".to_owned());
        }
        Ok(self.runtime)
    }
}
