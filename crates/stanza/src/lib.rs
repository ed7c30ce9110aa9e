//! XMPP stanzas of file transfer: types, tokens, a bounded decoder, a writer, a stream framer.
//!
//! Nothing here does I/O and nothing here is a protocol: this crate turns octets into [`Stanza`]s
//! and back, within [`Limits`].
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
mod intern;
mod jid;
mod limits;
pub mod ns;
mod outbuf;
mod payload;
mod slab;
mod stanza;
mod stream;
mod token;
mod writer;

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
