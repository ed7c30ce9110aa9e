//! XMPP stanzas of file transfer, from octets and back: types, tokens, a bounded decoder, an XML
//! writer, a stream framer.
//!
//! Nothing here does I/O and nothing here is a protocol. A driver gives a [`Framer`] what its
//! socket received and takes [`Stanza`]s; the machines of the other crates answer with more
//! `Stanza`s; an [`XmlWriter`] puts them into an [`OutBuf`], which the driver sends:
//!
//! ```
//! # #[cfg(feature = "quick-xml")] {
//! use bytestreams_stanza::door::QuickXml;
//! use bytestreams_stanza::{Condition, Frame, Framer, Limits, OutBuf, Stanza, XmlWriter, ns};
//!
//! let mut framer = Framer::new(QuickXml::default(), Limits::DEFAULT);
//! let mut writer = XmlWriter::new(ns::CLIENT);
//! let mut out = OutBuf::default();
//!
//! # let socket = b"<stream:stream xmlns='jabber:client' version='1.0'
//! #     xmlns:stream='http://etherx.jabber.org/streams'>
//! #     <iq from='a@b/c' id='1' type='get'><query xmlns='jabber:iq:version'/></iq>";
//! let mut received = &socket[..];
//! while let Some(frame) = framer.next(&mut received) {
//!     match frame {
//!         Ok(Frame::Stanza(Stanza::Iq(iq))) if iq.request().is_some() => {
//!             let answer = iq.error(Condition::ServiceUnavailable);
//!             writer.write(&answer.into(), &mut out);
//!         }
//!         Ok(_) => {}
//!         Err(error) => panic!("{error}"),
//!     }
//! }
//! assert!(out.as_slice().starts_with(b"<iq to='a@b/c' id='1' type='error'>"));
//! # }
//! ```
//!
//! * **Types.** A [`Stanza`] is owned, cheap to clone and has no lifetime: addresses and stream
//!   identifiers are counted references, [`Id`]s are inline, blocks are [`bytes::Bytes`].
//! * **Tokens.** [`Token`] is the whole XML vocabulary, both ways. Sources push tokens (the
//!   [`door`]s, [`Stanza::emit`]), sinks take them (the [`Decoder`], [`XmlSink`], the builder of
//!   minidom trees), so each payload's grammar is written once for reading and once for writing.
//! * **Bounds.** Whatever a peer sends, a decoder holds no more than its [`Limits`] say. What
//!   exceeds them, or is not as its specification has it, becomes [`Payload::Invalid`], which can
//!   be answered; only text that is not XML, or XML that a stream must not use, ends a stream.
//! * **Speed.** A block of an in-band bytestream is scanned, decoded and written without a detour
//!   and, in steady state, without an allocation.
//!
//! Out of scope: sockets, TLS, SASL, and every stanza that file transfer has no use for.
//!
//! # Features
//!
//! On by default are `fast`, base64 by the crate of that name, and buffers and names that are used again;
//! `server`, what links to a server need beside those to a peer (resource binding,
//! the handshake of components, disco#items, priority and capabilities in presence), and `socks5`, the
//! payload of SOCKS5 bytestreams. A microcontroller that leaves them out saves much code, takes those
//! payloads for unknown ones, and allocates for every block. `std` picks the processor's best base64 at run time, and reads and writes
//! blocks by a way of their own. `quick-xml` (with `std`), `minidom` (with `std`) and `rxml`
//! (without) are doors beside [`door::Plain`], which is always there. A feature only adds. The target
//! needs atomics with compare-and-swap.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod base64;
mod codec;
pub mod door;
mod error;
mod framer;
mod id;
#[cfg(feature = "fast")]
mod intern;
mod jid;
#[cfg(not(feature = "fast"))]
mod lean;
mod limits;
pub mod ns;
mod outbuf;
mod payload;
#[cfg(feature = "fast")]
mod slab;
mod stanza;
mod stream;
mod token;
mod writer;

#[cfg(not(feature = "fast"))]
use lean as intern;
#[cfg(not(feature = "fast"))]
use lean as slab;

pub use base64::{Base64, Base64Error};
pub use codec::{DecodeError, Decoder};
pub use error::{AppCondition, Condition, ErrorType, StanzaError};
pub use framer::{Frame, FrameError, Framer, Header, StreamError};
pub use id::{Id, IdTooLong, Sid};
pub use jid::{InvalidJid, Jid};
pub use limits::Limits;
pub use outbuf::OutBuf;
pub use payload::{
    Bind, Bytestreams, BytestreamsContent, Carrier, Close, Data, DiscoInfo, DiscoItem, DiscoItems,
    Fault, Field, FieldType, File, Form, FormType, Identity, Invalid, Mode, Open, Payload, Range,
    Si, StreamHost,
};
pub use stanza::{Caps, Iq, IqBody, Message, Presence, PresenceType, Stanza};
pub use stream::{Opened, Opening, OpeningError, write_stream_end, write_stream_error};
pub use token::{Token, TokenSink};
pub use writer::{XmlSink, XmlWriter};
