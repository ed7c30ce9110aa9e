//! SOCKS5 Bytestreams (XEP-0065) as pure state machines.
//!
//! The Requester offers StreamHosts and waits for the Target's choice ([`Requester`]); the Target
//! tries them and tells which it took ([`Target`]). [`Inbound`] takes the connections that come to
//! the StreamHosts of the link itself, [`ProxyDiscovery`] finds others, and [`Proxy`] is such
//! another. [`Client`] and [`Server`] are the two sides of the handshake, whose octets may be cut
//! anywhere:
//!
//! ```
//! use bytestreams_socks5::{Client, ClientStep, DstAddr, Server, ServerStep};
//! use bytestreams_stanza::{Jid, Sid};
//!
//! let (romeo, juliet) = (Jid::new("romeo@a/x")?, Jid::new("juliet@b/y")?);
//! let addr = DstAddr::new(&Sid::new("s1")?, &romeo, &juliet);
//! let (mut client, mut server) = (Client::new(addr), Server::new());
//!
//! let greeting = client.greeting();
//! let ServerStep::Send(method) = server.handle(&mut &greeting[..]) else { panic!() };
//! let ClientStep::Send(request) = client.handle(&mut &method[..]) else { panic!() };
//! assert_eq!(server.handle(&mut &request[..]), ServerStep::Requested(addr));
//!
//! // The first octets of the stream may come glued to the reply.
//! let octets = [&server.accept(), &b"the stream"[..]].concat();
//! let mut rest = &octets[..];
//! assert_eq!(client.handle(&mut rest), ClientStep::Connected);
//! assert_eq!(rest, b"the stream");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! The machines share the link and the sockets with others: each takes what is its own and hands
//! back the rest. Whoever holds several gives each [`Requester`] and [`Target`] a range of
//! [`Token`](bytestreams_machine::Token)s, keeps each until it is finished (or closes what comes
//! for it), and tells a Requester which connections arrived.
//!
//! Out of scope: the octets of a stream. A connection is detached once it stands
//! ([`NetCommand::Detach`](bytestreams_machine::NetCommand)), and is the application's then.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod client;
mod dial;
mod discovery;
mod dstaddr;
mod error;
mod event;
mod failed_hosts;
#[cfg(test)]
mod hand;
mod handshakes;
mod host;
mod inbound;
mod output;
mod proxy;
pub mod refusal;
mod requester;
mod server;
mod target;

pub use client::{Client, ClientStep};
pub use discovery::{DiscoveryEvent, ProxyDiscovery};
pub use dstaddr::DstAddr;
pub use error::HandshakeError;
pub use event::{Event, Fault, Reason, Step, Via};
pub use failed_hosts::FailedHosts;
pub use inbound::{Inbound, InboundConfig, InboundEvent};
pub use proxy::{Allowed, Proxy, ProxyConfig, ProxyEvent, ProxyStats};
pub use requester::Requester;
pub use server::{Server, ServerStep};
pub use target::Target;
