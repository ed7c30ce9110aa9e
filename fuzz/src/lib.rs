//! The bodies of the fuzz targets: each takes octets and panics when a law is broken.
//!
//! They are plain functions, so that the corpora can be replayed on the stable toolchain
//! (`tests/replay.rs`). The targets for cargo-fuzz in `fuzz_targets/` only call them.
#![forbid(unsafe_code)]

extern crate alloc;

mod doors;
mod session;
mod stream;

pub use doors::doors;
pub use session::session;
pub use stream::{decode, framer_cuts, hot_scan};
