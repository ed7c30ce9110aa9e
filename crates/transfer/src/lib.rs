//! XMPP file transfers, many at once, from negotiation to the last octet, as one pure machine.
//!
//! A [`Transfers`] belongs to one link (an XML stream that is up and has an address) and holds all
//! transfers on it, in both directions: offers by Stream Initiation (XEP-0095, XEP-0096), streams
//! without an offer, and the in-band streams (XEP-0047) that carry them. It does no I/O. A driver
//! feeds it the stanzas that come in, carries out its outputs, and puts a
//! [`Responder`](bytestreams_machine::Responder) behind it, so that every request is answered:
//!
//! ```
//! use bytes::Bytes;
//! use bytestreams_machine::{Entropy, Instant, Machine, Output, Own, Responder, Stack};
//! use bytestreams_stanza::{File, Identity, Jid, Range};
//! use bytestreams_transfer::{Config, Event, Options, Transfers, safe_name};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Instant::ZERO;
//! let own = Own { jid: Jid::new("romeo@montague.lit/orchard")? };
//! let machine = Transfers::new(own, Config::default(), now);
//! let identity = Identity { category: "client".into(), kind: "bot".into(), name: None };
//! let responder = Responder::new("https://example.org/bot", identity, &machine.features());
//! let mut stack = Stack::new(machine, responder);
//!
//! let file = File { name: Some("photo.jpg".into()), size: Some(3), ..File::default() };
//! let to = Jid::new("juliet@capulet.lit/balcony")?;
//! # let entropy = Entropy([7; 32]);
//! let id = stack.machine.offer(to, file, Options::default(), entropy, now);
//! let mut photo = Bytes::from_static(b"...");
//!
//! // After every command and every input:
//! while let Some(output) = stack.poll_output() {
//!     let transfers = &mut stack.machine;
//!     match output {
//!         Output::Stanza(_) => { /* write it to the link */ }
//!         Output::Net(_) => { /* a socket's work */ }
//!         Output::Event(event) => match event {
//!             // What we send:
//!             Event::Established { .. } | Event::Writable { .. } => {
//!                 while !photo.is_empty() && transfers.write(id, &mut photo, now).is_ok() {}
//!                 if photo.is_empty() {
//!                     transfers.finish(id, now)?;
//!                 }
//!             }
//!             // What we receive:
//!             Event::Offered { id, file, .. } => {
//!                 let _name = safe_name(file.name.as_deref().unwrap_or_default());
//!                 transfers.accept(id, Range::default(), now)?;
//!             }
//!             Event::Readable { id } => {
//!                 while let Some(block) = transfers.read(id) {
//!                     // store the block, then:
//!                     transfers.stored(id, block.len(), now);
//!                 }
//!             }
//!             Event::Ended { id } => transfers.completed(id, Ok(()), now)?,
//!             Event::Failed { reason, .. } => eprintln!("{reason}"),
//!             _ => {}
//!         },
//!     }
//! }
//! // Then wait for input, or until `stack.poll_timeout()`.
//! # Ok(())
//! # }
//! ```
//!
//! A transfer goes through stages, and its stream is one of them: a second method (XEP-0065) comes
//! in as one more stage between consent and the stream in band, and as one more entry of the ordered
//! list of methods.
//!
//! Out of scope: whom to trust (the application accepts or declines), files and their hashes, and
//! sockets.
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
#[cfg(feature = "socks5")]
mod socks5;
#[cfg(not(feature = "socks5"))]
#[path = "in_band_alone.rs"]
mod socks5;
mod stream;
mod table;
mod transfer;
mod transfers;

pub use bytestreams_si::{Method, Methods};
pub use config::{Bounds, Config, Keepalive, Options, TransferId, Window};
#[cfg(feature = "socks5")]
pub use config::{Socks5, Ways};
pub use event::{Event, Via};
pub use names::safe_name;
#[cfg(feature = "socks5")]
pub use reason::ConnEnd;
pub use reason::{Blame, Blocked, CommandError, Incomplete, Reason, Side, Step};
pub use transfers::Transfers;
