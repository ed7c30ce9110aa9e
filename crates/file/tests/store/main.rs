//! What the storage promises: nothing overwritten, nothing short under the final name, nothing
//! followed, nothing left behind.

mod arriving;
mod refusing;
mod resuming;
mod source;
mod support;
#[cfg(unix)]
mod unix;
