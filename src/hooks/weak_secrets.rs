//! Warns of hook secrets that can be guessed.

use tokio_util::sync::CancellationToken;

use super::{HookSecretError, Secret};
use crate::pipelines::Catalog;

/// Logs a warning for each secret that can be guessed, at the start and whenever the pipelines change, until `stop` is
/// cancelled.
pub async fn warn_of_weak_secrets(catalog: Catalog, stop: CancellationToken) {
    let mut changes = catalog.subscribe();
    loop {
        let snapshot = changes.borrow_and_update().clone();
        for (name, pipeline) in &snapshot.pipelines {
            let Some(hook) = &pipeline.hook else { continue };
            if let Err(error @ HookSecretError::Short(_)) = Secret::read_strong(&hook.secret) {
                tracing::warn!(pipeline = name, %error, "the secret of a hook is weak");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}
