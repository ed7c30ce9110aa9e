//! XMPP file transfers, many at once, from negotiation to the last octet, as one pure machine.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod config;
mod event;
mod names;
mod reason;
mod transfers;

pub use bytestreams_si::{Method, Methods};
pub use config::{Bounds, Config, Keepalive, Options, TransferId, Window};
pub use event::Event;
pub use names::safe_name;
pub use reason::{Blame, Blocked, CommandError, Incomplete, Reason, Side, Step, StreamFault};
pub use transfers::Transfers;
