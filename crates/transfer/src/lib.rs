//! XMPP file transfers, many at once, from negotiation to the last octet, as one pure machine.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod agenda;
mod config;
mod event;
mod incoming;
mod machine;
mod names;
mod outgoing;
mod peers;
mod reason;
mod silence;
mod stream;
mod transfer;
mod transfers;

pub use bytestreams_si::{Method, Methods};
pub use config::{Bounds, Config, Keepalive, Options, TransferId, Window};
pub use event::Event;
pub use names::safe_name;
pub use reason::{Blame, Blocked, CommandError, Incomplete, Reason, Side, Step};
pub use transfers::Transfers;
