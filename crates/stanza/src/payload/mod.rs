//! What stanzas carry.

mod bytestreams;
mod disco;
mod form;
mod ibb;
mod si;

pub use bytestreams::{Bytestreams, BytestreamsContent, Mode, StreamHost};
pub use disco::{DiscoInfo, DiscoItem, DiscoItems, Identity};
pub use form::{Field, FieldType, Form, FormType};
pub use ibb::{Carrier, Close, Data, Open};
pub use si::{File, Range, Si};

use crate::{Jid, Sid};
use alloc::boxed::Box;
use alloc::sync::Arc;

/// The child of a stanza.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Payload {
    /// `<open/>` (XEP-0047)
    Open(Open),
    /// `<data/>` (XEP-0047)
    Data(Data),
    /// `<close/>` (XEP-0047)
    Close(Close),
    /// `<query/>` of SOCKS5 Bytestreams (XEP-0065); with the feature `socks5`.
    #[cfg(feature = "socks5")]
    Bytestreams(Box<Bytestreams>),
    /// `<si/>` (XEP-0095)
    Si(Box<Si>),
    /// `<query/>` of disco#info (XEP-0030)
    DiscoInfo(Box<DiscoInfo>),
    /// `<query/>` of disco#items (XEP-0030); with the feature `server`.
    #[cfg(feature = "server")]
    DiscoItems(Box<DiscoItems>),
    /// `<ping/>` (XEP-0199)
    Ping,
    /// `<bind/>` (RFC 6120, 7); with the feature `server`.
    #[cfg(feature = "server")]
    Bind(Bind),
    /// A child that breaks its own grammar, a stanza that breaks our limits, or, as a set and with the
    /// feature `server`, an IQ whose type is none, or which asks without an id.
    Invalid(Box<Invalid>),
    /// A child that nothing here knows. An IQ without a child has an empty name.
    Unknown {
        /// Its namespace.
        ns: Arc<str>,
        /// Its local name.
        name: Arc<str>,
    },
}

/// `<bind/>` (RFC 6120, 7).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Bind {
    /// The resource asked for, in a set.
    pub resource: Option<Arc<str>>,
    /// The full JID given, in a result.
    pub jid: Option<Jid>,
}

/// What could be told of a payload that is not as its specification has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The namespace of the child; empty when the stanza was given up before one.
    pub ns: Arc<str>,
    /// The local name of the child.
    pub name: Arc<str>,
    /// The stream that it names, where it names one.
    pub sid: Option<Sid>,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An attribute that must be there is missing.
    MissingAttribute(&'static str),
    /// An attribute or a text has a value outside its type.
    BadValue(&'static str),
    /// A child that must be there is missing.
    MissingElement(&'static str),
    /// The text is not base64 (XEP-0047, 2.2).
    Base64,
    /// The named limit is exceeded: a field of [`Limits`](crate::Limits), whereupon the content was
    /// let go, or `block-size`, which is beyond what any stream can have (XEP-0047, 2.1).
    Limit(&'static str),
}
