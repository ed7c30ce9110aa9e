//! Where files go: a store, on threads that may block, a few at a time.

use bytestreams_file::{Incoming, Keep, Partial, Store, StoreError, Stored};
use bytestreams_stor::{Code, Refusal};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// How many threads write at once. Whoever waits longest is next.
const WRITERS: usize = 16;

/// The directory that takes the files.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    store: Store,
    writers: Arc<Semaphore>,
    /// The names of uploads that are to keep them.
    names: Arc<Mutex<BTreeSet<String>>>,
    exact: bool,
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Upload {
    partial: Partial,
    /// Let go of after the file is in place.
    _name: Option<Name>,
}

/// The right to a name.
#[derive(Debug)]
struct Name {
    names: Arc<Mutex<BTreeSet<String>>>,
    name: String,
}

/// What became of an attempt to store something: for the client, and for the server's own log.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) refusal: Refusal,
    pub(crate) log: String,
}

impl Disk {
    pub(crate) fn new(store: Store, exact: bool) -> Self {
        Self {
            store,
            writers: Arc::new(Semaphore::new(WRITERS)),
            names: Arc::default(),
            exact,
        }
    }

    /// Makes the file of an upload, under a name of its own.
    pub(crate) async fn begin(
        self,
        id: String,
        name: String,
        size: u64,
    ) -> Result<Upload, Trouble> {
        self.clone()
            .on_a_thread(move || {
                let exact = if self.exact {
                    Some(self.reserve(&name).ok_or_else(|| taken(&name))?)
                } else {
                    None
                };
                let incoming = Incoming {
                    // Tells apart the partial files of uploads with one name.
                    from: &id,
                    name: &name,
                    size: Some(size),
                    ..Incoming::default()
                };
                let partial = self.store.begin(&incoming, Keep::default());
                Ok(Upload {
                    partial: partial.map_err(|e| trouble(&e))?,
                    _name: exact,
                })
            })
            .await
    }

    /// Says whether others may be waiting for their turn.
    pub(crate) fn is_busy(&self) -> bool {
        self.writers.available_permits() == 0
    }

    /// Syncs a file and puts it in place.
    pub(crate) async fn finish(self, upload: Upload) -> Result<Stored, Trouble> {
        let exact = self.exact;
        self.on_a_thread(move || {
            let Upload { partial, _name } = upload;
            let stored = if exact {
                partial.finish_by_name()
            } else {
                partial.finish()
            };
            stored.map_err(|e| trouble(&e))
        })
        .await
    }

    /// Removes what there is of a file.
    pub(crate) async fn discard(self, upload: Upload) {
        self.on_a_thread(move || drop(upload)).await;
    }

    /// Does what may block, when it is its turn.
    pub(crate) async fn on_a_thread<T: Send + 'static>(
        &self,
        what: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        // Nobody closes it.
        let permit = self.writers.clone().acquire_owned().await;
        let done = spawn_blocking(move || {
            let result = what();
            drop(permit);
            result
        });
        match done.await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that shuts down cancels, and then nobody sees this.
                Err(_) => core::future::pending().await,
            },
        }
    }

    /// Reserves a name that neither a file nor another upload has.
    fn reserve(&self, name: &str) -> Option<Name> {
        if !lock(&self.names).insert(name.to_owned()) {
            return None;
        }
        let reserved = Name {
            names: self.names.clone(),
            name: name.to_owned(),
        };
        let there = self.store.dir().join(name).symlink_metadata().is_ok();
        (!there).then_some(reserved)
    }
}

impl Upload {
    /// Writes a block. It blocks.
    pub(crate) fn write(&mut self, block: &[u8]) -> Result<(), Trouble> {
        self.partial.write_through(block).map_err(|e| trouble(&e))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        lock(&self.names).remove(&self.name);
    }
}

fn lock(names: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

fn taken(name: &str) -> Trouble {
    let message = format!("there is a file \"{name}\" already");
    Trouble {
        log: message.clone(),
        refusal: Refusal::new(Code::NameTaken, message),
    }
}

/// Tells the client what concerns it, and nothing of the server's directories.
fn trouble(error: &StoreError) -> Trouble {
    let (code, message) = match error {
        StoreError::Full { .. } => (Code::Storage, "no space is left on the server"),
        StoreError::Taken { .. } => (Code::NameTaken, "there is a file of that name already"),
        StoreError::TooLong { .. } | StoreError::TooLarge { .. } | StoreError::TooShort { .. } => {
            (Code::WrongLength, "more or fewer bytes came than declared")
        }
        _ => (Code::Storage, "the server could not store the file"),
    };
    Trouble {
        refusal: Refusal::new(code, message),
        log: error.to_string(),
    }
}
