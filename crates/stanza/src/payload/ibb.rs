//! In-Band Bytestreams (XEP-0047).

use crate::Sid;
use bytes::Bytes;

/// Which stanza carries the blocks: the `stanza` attribute of `<open/>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Carrier {
    /// `<iq/>`, acknowledged one by one; the default.
    #[default]
    Iq,
    /// `<message/>`, not acknowledged.
    Message,
}

/// `<open/>`: asks for a stream (section 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The stream.
    pub sid: Sid,
    /// The largest block, in octets before base64.
    pub block_size: u16,
    /// What carries the blocks.
    pub carrier: Carrier,
}

/// `<data/>`: one block (section 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// The stream.
    pub sid: Sid,
    /// The block's number, from 0, modulo 65536.
    pub seq: u16,
    /// The block, decoded.
    pub octets: Bytes,
}

/// `<close/>`: ends a stream (section 2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The stream.
    pub sid: Sid,
}
