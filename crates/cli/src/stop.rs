//! The wish to stop: Ctrl-C, or SIGTERM.

use crate::failure::FAILED;
use tokio::sync::watch;

/// Says when the program is to stop. Clones say the same.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Watches the signals. The second one ends the program at once.
    pub(crate) fn watch() -> Self {
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            signalled().await;
            let _ = sender.send(true);
            signalled().await;
            std::process::exit(i32::from(FAILED));
        });
        Self(receiver)
    }

    /// Waits until the program is to stop.
    pub(crate) async fn wanted(&self) {
        let mut stop = self.0.clone();
        if stop.wait_for(|&stop| stop).await.is_err() {
            core::future::pending().await
        }
    }
}

#[cfg(unix)]
async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signalled() {
    let _ = tokio::signal::ctrl_c().await;
}
