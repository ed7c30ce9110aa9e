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
//! # SOCKS5 bytestreams
//!
//! With the feature `socks5`, a driver that has sockets enables a second method (XEP-0065):
//! `config.methods = [Method::Socks5, Method::Ibb]`. The driver then also carries out
//! [`Output::Net`](bytestreams_machine::Output::Net) and feeds
//! [`Input::Net`](bytestreams_machine::Input::Net). Where [`Event::Established`] names a connection, the socket is
//! the application's, and instead of `write`, `read` and `stored` there are:
//!
//! * `Transfers::early`: what came of the stream before, to be taken first where we receive;
//! * `Transfers::moved`: how many octets more were written or stored;
//! * where we send, [`Transfers::finish`] once everything is written: the machine has our half shut
//!   down and closes in time;
//! * where we receive, `Transfers::ended` once everything announced has come, or the socket's end
//!   did; then [`Transfers::completed`], as in band;
//! * `Transfers::ended` with an error where the socket broke, on either side.
//!
//! StreamHosts are seen to before an offer is made: one listening socket serves all offers of the
//! link, while there are any, and Proxies are looked for once. When SOCKS5 comes to nothing, at any
//! point before the first octet, the stream is opened in band with the same sid at once, and where
//! that is refused, it is offered again in band alone; [`Event::FellBack`] tells of each. A socket
//! that breaks later is a failure, from which the application resumes as it does in band.
//!
//! | what goes wrong | seen by | then |
//! |---|---|---|
//! | no StreamHost to tell | the Sender | offered in band alone, or opened in band on consent |
//! | the peer reaches none, refuses, chooses none that was told, or says nothing for 30 s | the Sender | opened in band |
//! | the Proxy is out of reach, silent, refuses, or closes before it has activated | the Sender | opened in band |
//! | none is reached within 9 s, or none that policy lets | the Receiver | says so, waits 30 s for the stream in band |
//! | a connection closes before the first octet | the Receiver | waits 30 s for the stream in band |
//! | the Sender opens in band before the first octet | the Receiver | drops its sockets, takes it |
//! | the stream in band is refused, or ignored by a peer that answered the offer of StreamHosts | the Sender | offered again in band alone, with another sid |
//!
//! A Receiver counts a file as established with its first octet: a Proxy that refuses to activate
//! tells the Sender alone.
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
mod proposal;
mod reason;
mod silence;
mod slot;
#[cfg(feature = "socks5")]
mod socks5;
#[cfg(not(feature = "socks5"))]
#[path = "in_band_alone.rs"]
mod socks5;
mod stack;
mod stream;
mod table;
mod transfer;
mod transfers;

#[doc = include_str!("writing_an_adapter.md")]
pub mod writing_an_adapter {}

pub use bytestreams_si::{Method, Methods};
pub use config::{Bounds, Config, Keepalive, Options, TransferId, Window};
#[cfg(feature = "socks5")]
pub use config::{Socks5, Ways};
pub use event::{Event, Via};
pub use names::safe_name;
pub use proposal::Proposal;
#[cfg(feature = "socks5")]
pub use reason::ConnEnd;
pub use reason::{Blame, Blocked, CommandError, Incomplete, Reason, Side, Step};
pub use slot::{Slot, WriteError};
pub use transfers::Transfers;
