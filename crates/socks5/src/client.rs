//! The handshake of who connects.

use crate::{DstAddr, HandshakeError};
use bytes::{BufMut, Bytes, BytesMut};

/// The client's side of the handshake (RFC 1928, as XEP-0065 profiles it): greeting, answer,
/// request, reply.
///
/// Reads octet by octet, so it makes no difference how its input is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    addr: DstAddr,
    state: State,
}

/// What [`Client::handle`] makes of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientStep {
    /// The input is used up; more is needed.
    More,
    /// Send this in one write, then go on with what is left of the input.
    Send(Bytes),
    /// The connection stands; what is left of the input is the stream's.
    Connected,
    /// The connection is good for nothing.
    Failed(HandshakeError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Version,
    Method,
    ReplyVersion,
    Reply,
    Reserved,
    AddressType,
    AddressLen,
    /// So many octets of address and port are still to come.
    Rest(u16),
    Connected,
    Failed(HandshakeError),
}

impl Client {
    /// Makes the handshake that asks for `addr`. [`Client::greeting`] goes first.
    pub fn new(addr: DstAddr) -> Self {
        Self {
            addr,
            state: State::Version,
        }
    }

    /// The greeting, to be sent in one write: version 5, one method, no authentication.
    pub fn greeting(&self) -> Bytes {
        Bytes::from_static(&[5, 1, 0])
    }

    /// Takes octets off the front of `input` up to the next step. To be called again until it
    /// answers [`ClientStep::More`], or a step that ends the handshake.
    ///
    /// The reply counts by its REP alone: whatever BND.ADDR says, of whichever type, is skipped,
    /// and a refusal is one as soon as its REP is there.
    pub fn handle(&mut self, input: &mut &[u8]) -> ClientStep {
        loop {
            if self.state == State::Connected {
                return ClientStep::Connected;
            }
            if let State::Failed(error) = self.state {
                return ClientStep::Failed(error);
            }
            let Some((&octet, rest)) = input.split_first() else {
                return ClientStep::More;
            };
            *input = rest;
            let asked = self.state == State::Method;
            self.state = self.state.after(octet);
            if asked && self.state == State::ReplyVersion {
                return ClientStep::Send(self.request());
            }
        }
    }

    /// The request: CONNECT to the hash, port 0; 47 octets (XEP-0065, section 5.3.2).
    fn request(&self) -> Bytes {
        let mut octets = BytesMut::with_capacity(7 + DstAddr::LEN);
        octets.put_slice(&[5, 1, 0, 3, 40]);
        octets.put_slice(self.addr.as_bytes());
        octets.put_slice(&[0, 0]);
        octets.freeze()
    }
}

impl State {
    fn after(self, octet: u8) -> Self {
        match (self, octet) {
            (Self::Version, 5) => Self::Method,
            (Self::Method, 0) => Self::ReplyVersion,
            (Self::Method, 0xff) => Self::Failed(HandshakeError::NoAcceptableMethod),
            (Self::Method, other) => Self::Failed(HandshakeError::Method(other)),
            (Self::ReplyVersion, 5) => Self::Reply,
            (Self::Version | Self::ReplyVersion, other) => {
                Self::Failed(HandshakeError::Version(other))
            }
            (Self::Reply, 0) => Self::Reserved,
            (Self::Reply, refusal) => Self::Failed(HandshakeError::Refused(refusal)),
            (Self::Reserved, _) => Self::AddressType,
            (Self::AddressType, 1) => Self::Rest(4 + 2),
            (Self::AddressType, 3) => Self::AddressLen,
            (Self::AddressType, 4) => Self::Rest(16 + 2),
            (Self::AddressType, other) => Self::Failed(HandshakeError::AddressType(other)),
            (Self::AddressLen, len) => Self::Rest(u16::from(len) + 2),
            (Self::Rest(left), _) if left > 1 => Self::Rest(left - 1),
            (Self::Rest(_), _) => Self::Connected,
            (Self::Connected | Self::Failed(_), _) => self,
        }
    }
}

#[cfg(test)]
mod tests;
