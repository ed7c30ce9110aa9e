//! The bodies of the fuzz targets: each takes octets and panics when a law is broken.
//!
//! They are plain functions, so that the corpora can be replayed on the stable toolchain
//! (`tests/replay.rs`). The targets for cargo-fuzz in `fuzz_targets/` only call them.
#![forbid(unsafe_code)]

extern crate alloc;

mod doors;
mod proxy;
mod session;
mod socks5;
mod stor;
mod stream;

pub use doors::doors;
pub use proxy::proxy;
pub use session::session;
pub use socks5::{socks5_client, socks5_server};
pub use stor::stor;
pub use stream::{decode, framer_cuts, hot_scan};
