//! The wish to stop: Ctrl-C, or SIGTERM.

use crate::failure::{FAILED, Failure};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::sync::Arc;
use tokio::sync::watch;

/// Says when the program is to stop. Clones say the same.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    /// How many signals there were.
    signals: watch::Receiver<u8>,
    /// Somebody sees to the second one.
    insisting: Arc<AtomicBool>,
}

/// How long who sees to the second signal may take.
const FAREWELL: Duration = Duration::from_secs(2);

impl Stop {
    /// Watches the signals from now on. The second one ends the program at once.
    pub(crate) fn watch() -> Result<Self, Failure> {
        let mut signals = Signals::new().map_err(|e| Failure {
            status: FAILED,
            message: format!("no signals: {e}"),
        })?;
        let (sender, receiver) = watch::channel(0);
        let stop = Self {
            signals: receiver,
            insisting: Arc::default(),
        };
        let insisting = stop.insisting.clone();
        tokio::spawn(async move {
            signals.next().await;
            let _ = sender.send(1);
            signals.next().await;
            let _ = sender.send(2);
            if insisting.load(Ordering::Relaxed) {
                tokio::time::sleep(FAREWELL).await;
            }
            std::process::exit(i32::from(FAILED));
        });
        Ok(stop)
    }

    /// Waits until the program is to stop.
    pub(crate) async fn wanted(&self) {
        self.reached(1).await;
    }

    /// Waits for the second signal, upon which the program ends soon, not at once.
    pub(crate) async fn insisted(&self) {
        self.insisting.store(true, Ordering::Relaxed);
        self.reached(2).await;
    }

    async fn reached(&self, count: u8) {
        let mut signals = self.signals.clone();
        if signals.wait_for(|&signals| signals >= count).await.is_err() {
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
