//! A proxy of SOCKS5 bytestreams (XEP-0065, section 6): an external component that relays.

mod copy;
mod pipes;
mod relay;

pub use relay::{End, Relay, Relayed, Relays};

use std::sync::{Mutex, MutexGuard, PoisonError};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
