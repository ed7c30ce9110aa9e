//! Threads that may block.

use core::future::Future;
use tokio::task::{JoinError, spawn_blocking};

/// Does what blocks on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    joined(spawn_blocking(what)).await
}

/// Waits for what such a thread comes to; a panic there goes on here.
pub(crate) async fn joined<T>(thread: impl Future<Output = Result<T, JoinError>>) -> T {
    match thread.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels, and then nobody sees this.
            Err(_) => core::future::pending().await,
        },
    }
}
