//! Who writes which partial file in this process.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How long one who was asked to let go of a file may take to sync it.
const LET_GO: Duration = Duration::from_secs(10);

/// The partial files that are being written by the holders of one [`super::Store`].
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(Arc<Table>);

#[derive(Debug, Default)]
struct Table {
    held: Mutex<BTreeMap<PathBuf, Held>>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    /// The holder listens.
    heard: bool,
    wanted: bool,
    waker: Option<Waker>,
}

impl Claims {
    /// Takes note that a file is being written from now on.
    pub(super) fn take(&self, path: &Path) -> Claim {
        self.lock().insert(path.to_owned(), Held::default());
        Claim {
            claims: self.clone(),
            path: path.to_owned(),
        }
    }

    /// Asks whoever writes a file to let go of it, and waits until that is done. One who does not
    /// listen is not asked.
    pub(super) fn ask_for(&self, path: &Path) {
        let mut held = self.lock();
        let Some(holder) = held.get_mut(path).filter(|holder| holder.heard) else {
            return;
        };
        holder.wanted = true;
        let waker = holder.waker.take();
        drop(held);
        waker.into_iter().for_each(Waker::wake);
        let held = self.lock();
        // Whatever came of it, the lock on the file decides.
        let _ = self
            .0
            .freed
            .wait_timeout_while(held, LET_GO, |held| held.contains_key(path));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Held>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to write a partial file. Let go of it after the file.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Claims,
    path: PathBuf,
}

impl Claim {
    /// Listens to whether someone else wants the file.
    pub(super) fn wanted(&self) -> Wanted {
        if let Some(held) = self.claims.lock().get_mut(&self.path) {
            held.heard = true;
        }
        Wanted {
            claims: self.claims.clone(),
            path: self.path.clone(),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.path);
        self.claims.0.freed.notify_all();
    }
}

/// Ready once another transfer of the same file wants to go on with what this one has: let go of
/// the [`super::Partial`] then. Needs no runtime.
#[derive(Debug)]
pub struct Wanted {
    claims: Claims,
    path: PathBuf,
}

impl Future for Wanted {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.claims.lock().get_mut(&self.path) {
            Some(held) if held.wanted => Poll::Ready(()),
            Some(held) => {
                held.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            // Let go already.
            None => Poll::Pending,
        }
    }
}
