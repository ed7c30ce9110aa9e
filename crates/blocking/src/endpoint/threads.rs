//! The threads of a link, none of which outlives it.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

/// What the threads need: a handshake's worth of octets, a machine's turn.
const STACK: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Threads(Mutex<Vec<JoinHandle<()>>>);

impl Threads {
    /// Starts one.
    ///
    /// # Errors
    /// When the system has no more.
    pub(crate) fn start(&self, name: &str, what: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let builder = Builder::new().name(format!("bytestreams {name}"));
        let thread = builder.stack_size(STACK).spawn(what)?;
        let mut threads = self.lock();
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(())
    }

    /// Waits for all, those among them that are started meanwhile. One that calls this is not waited
    /// for.
    pub(crate) fn join(&self) {
        loop {
            let threads = core::mem::take(&mut *self.lock());
            if threads.is_empty() {
                return;
            }
            for thread in threads {
                if thread.thread().id() != std::thread::current().id() {
                    // What panicked has said so.
                    let _ = thread.join();
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
