//! Uploads over a WebSocket, both sides, without I/O.
//!
//! The protocol is that of the browser class `WebSocketFileTransfer`. The client may say
//! `AUTH: {"login":…,"password":…}` and must say
//! `STOR: {"filename":…,"size":…,"type":"base64"|"binary","parameters":[]}`, then sends the file in
//! blocks: each one text message of base64, or one binary message. The server answers each message
//! with `{"type":"AUTH"|"STOR"|"DATA","message":…,"code":200,"bytesRead":n}`, where `bytesRead` is the
//! decoded octets of the block that is answered; any code but 200 ends the upload. An empty file is
//! one empty block. Nothing that was not asked for is sent to a client.
//!
//! The colon after a verb may be missing, as in the class's own description.
//!
//! # Ours
//!
//! A client sends the next block when the last one is answered, which costs a round trip a block. Our
//! server's answer to `STOR` has one more member, which others ignore:
//! `"bytestreams":{"window":n,"block":m}`. A client that knows it may have `n` blocks of up to `m`
//! octets unanswered; towards a server that does not say so there is one. The last answer has
//! `"bytestreams":{"filename":…}`: the name that the file got.
//!
//! # Driving
//!
//! [`Server`] and [`Client`] have the methods of every bytestreams machine, but over messages instead
//! of stanzas and sockets, so they do not implement that trait. Octets are pulled:
//!
//! ```
//! use bytestreams_machine::Instant;
//! use bytestreams_stor::{
//!     Client, ClientConfig, ClientEvent, Input, Output, Server, ServerConfig, ServerEvent, Upload,
//! };
//!
//! let now = Instant::ZERO;
//! let mut server = Server::new(ServerConfig::default(), now);
//! let mut client = Client::new(Upload::new("a.txt", 5), ClientConfig::default(), now)?;
//! let (mut file, mut done) = (Vec::new(), false);
//! while !done {
//!     if client.room().is_some() {
//!         client.write(b"hello"[..].into(), now)?;
//!     }
//!     while let Some(output) = client.poll_output() {
//!         match output {
//!             Output::Send(message) => server.handle_input(Input::Message(message), now),
//!             Output::Close(_) => server.handle_input(Input::Closed, now),
//!             Output::Event(event) => done |= matches!(event, ClientEvent::Done { .. }),
//!         }
//!     }
//!     while let Some(block) = server.read() {
//!         file.extend_from_slice(&block);
//!         server.stored(now);
//!     }
//!     while let Some(output) = server.poll_output() {
//!         match output {
//!             Output::Send(message) => client.handle_input(Input::Message(message), now),
//!             Output::Close(_) => client.handle_input(Input::Closed, now),
//!             Output::Event(ServerEvent::Request(_)) => server.accept(now),
//!             Output::Event(ServerEvent::Complete) => server.complete("a.txt", now),
//!             Output::Event(_) => {}
//!         }
//!     }
//! }
//! assert_eq!(file, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Out of scope: the WebSocket itself, files, and who may upload what.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod answer;
mod client;
mod command;
mod config;
mod fault;
mod message;
mod reason;
mod server;
mod server_event;

pub use answer::{Code, Kind};
pub use client::{Client, ClientEvent, InvalidUpload, Upload, WriteError};
pub use command::Credentials;
pub use config::{ClientConfig, Limits, ServerConfig};
pub use fault::{Fault, Malformed, Refusal};
pub use message::{Closing, Encoding, Input, Message, Output};
pub use reason::Reason;
pub use server::Server;
pub use server_event::{End, Request, ServerEvent};
