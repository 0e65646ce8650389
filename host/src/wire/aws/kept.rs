//! Answers that are remembered: who asks for the same thing while it is being asked for waits for that answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::wire::WireError;

/// Answers by what was asked for. Clones share them.
pub(super) struct Kept<T>(Arc<Mutex<Cells<T>>>);

type Cells<T> = HashMap<String, Arc<OnceCell<T>>>;

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone> Kept<T> {
    /// What was answered before, or is answered now. Errors are not remembered.
    pub(super) async fn get(
        &self,
        key: &str,
        ask: impl Future<Output = Result<T, WireError>>,
    ) -> Result<T, WireError> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            cells.entry(key.to_owned()).or_default().clone()
        };
        cell.get_or_try_init(|| ask).await.cloned()
    }
}
