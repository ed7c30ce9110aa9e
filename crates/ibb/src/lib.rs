//! In-Band Bytestreams (XEP-0047) as a pure state machine.
//!
//! A [`Session`] is one stream in both directions. It does no I/O: it is a
//! [`Machine`](bytestreams_machine::Machine), fed with the stanzas of its peer, whose outputs a
//! driver carries out. Octets are pulled, never pushed:
//!
//! ```
//! use bytes::Bytes;
//! use bytestreams_ibb::{Blocked, Event, Session};
//! use bytestreams_machine::Instant;
//!
//! /// Sends what the window lets, and ends the stream behind the last octet.
//! fn pump(session: &mut Session, file: &mut Bytes, now: Instant) {
//!     while !file.is_empty() {
//!         match session.write(file, now) {
//!             Ok(_sent) => {}
//!             Err(Blocked::Closed) => return,
//!             Err(_) => return, // `Event::Writable` tells when to go on
//!         }
//!     }
//!     session.finish(now);
//! }
//!
//! /// Stores what has come; the acknowledgements leave once it is stored.
//! fn drain(session: &mut Session, store: fn(&[u8]), now: Instant) {
//!     while let Some(block) = session.read() {
//!         store(&block);
//!         session.stored(block.len(), now);
//!     }
//! }
//!
//! fn on_event(session: &mut Session, event: Event, now: Instant) {
//!     match event {
//!         Event::PeerClosed => session.confirm_close(now), // after the file is synced
//!         Event::Closed | Event::Failed(_) => { /* drop the session, tell [`Strays`] */ }
//!         _ => {}
//!     }
//! }
//! # let _ = (pump, drain, on_event);
//! ```
//!
//! A session takes the stanzas of its (peer, sid) and hands back the rest. What belongs to no
//! session is answered by [`Strays`], which stands behind them.
//!
//! Out of scope: which streams to take, and how many; that is a policy of whoever holds the
//! sessions. A second `<open/>` with the sid of a running stream is theirs to refuse too
//! ([`refusal::not_acceptable`]).
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod config;
mod event;
mod incoming;
mod outgoing;
mod output;
pub mod refusal;
mod session;
mod strays;
mod window;

pub use config::{Config, WindowPolicy};
pub use event::{Blocked, Event, Fault, Reason, Step};
pub use session::Session;
pub use strays::{Past, Strays};
