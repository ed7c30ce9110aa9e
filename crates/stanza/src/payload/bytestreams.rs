//! SOCKS5 Bytestreams (XEP-0065).

use crate::{Jid, Sid};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// `<query/>` of SOCKS5 Bytestreams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytestreams {
    /// The stream; absent in an address query, and in many peers' results.
    pub sid: Option<Sid>,
    /// TCP or UDP.
    pub mode: Mode,
    /// What to use as DST.ADDR instead of the hash of the two JIDs.
    pub dstaddr: Option<Arc<str>>,
    /// What it says.
    pub content: BytestreamsContent,
}

/// The `mode` of a bytestream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// The default.
    #[default]
    Tcp,
    /// Not supported here.
    Udp,
}

/// What a bytestreams query says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BytestreamsContent {
    /// `<streamhost/>`s: an offer, or a Proxy's answer; none in an address query.
    Hosts(Vec<StreamHost>),
    /// `<streamhost-used/>`: the Target's choice.
    Used(Jid),
    /// `<activate/>`: the Target's JID, told to the Proxy.
    Activate(Jid),
}

/// `<streamhost/>`: where a bytestream can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHost {
    /// Who it is.
    pub jid: Jid,
    /// Host name or address.
    pub host: Arc<str>,
    /// Port; 1080 where a peer names none.
    pub port: u16,
}
