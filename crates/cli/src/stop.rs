//! The wish to stop: Ctrl-C, or SIGTERM.

use crate::failure::{FAILED, Failure};
use std::io;
use tokio::sync::watch;

/// Says when the program is to stop. Clones say the same.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Watches the signals from now on. The second one ends the program at once.
    pub(crate) fn watch() -> Result<Self, Failure> {
        let mut signals = Signals::new().map_err(|e| Failure {
            status: FAILED,
            message: format!("no signals: {e}"),
        })?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            signals.next().await;
            let _ = sender.send(true);
            signals.next().await;
            std::process::exit(i32::from(FAILED));
        });
        Ok(Self(receiver))
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
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        let _ = self.0.recv().await;
    }
}
