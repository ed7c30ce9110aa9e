//! The handshake of who is connected to.

use crate::dstaddr::is_digit;
use crate::{DstAddr, HandshakeError};
use bytes::{BufMut, Bytes, BytesMut};

/// The server's side of the handshake (RFC 1928, as XEP-0065 profiles it).
///
/// Reads octet by octet, so it makes no difference how its input is cut, or whether the client
/// sent greeting and request at once. Whatever is wrong is refused at the first octet that shows
/// it, so that nothing is stored but the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    state: State,
    addr: [u8; DstAddr::LEN],
    port: [u8; 2],
}

/// What [`Server::handle`] makes of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerStep {
    /// The input is used up; more is needed.
    More,
    /// Send this in one write, then go on with what is left of the input.
    Send(Bytes),
    /// The client asks for this stream: send [`Server::accept`] or [`Server::refuse`]. What is left
    /// of the input is the stream's.
    Requested(DstAddr),
    /// Send the reply, if there is one, and close right behind it.
    Failed {
        /// What to send in one write.
        reply: Bytes,
        /// Why.
        error: HandshakeError,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Version,
    MethodCount,
    /// So many methods are still to come; whether ours was among those before.
    Methods(u8, bool),
    RequestVersion,
    Command,
    Reserved,
    AddressType,
    AddressLen,
    /// So many octets of the address are there.
    Address(u8),
    /// So many octets of the port are there.
    Port(u8),
    Requested(DstAddr),
    /// Whether the greeting was taken.
    Failed(HandshakeError, bool),
}

impl Server {
    /// Waits for a greeting.
    pub fn new() -> Self {
        Self {
            state: State::Version,
            addr: [0; DstAddr::LEN],
            port: [0; 2],
        }
    }

    /// Takes octets off the front of `input` up to the next step. To be called again until it
    /// answers [`ServerStep::More`], or a step that ends the handshake.
    pub fn handle(&mut self, input: &mut &[u8]) -> ServerStep {
        loop {
            if let State::Requested(addr) = self.state {
                return ServerStep::Requested(addr);
            }
            if let State::Failed(error, greeted) = self.state {
                let reply = Bytes::from_static(if greeted { &NOT_ALLOWED } else { &NO_METHOD });
                return ServerStep::Failed { reply, error };
            }
            let Some((&octet, rest)) = input.split_first() else {
                return ServerStep::More;
            };
            *input = rest;
            let greeted = matches!(self.state, State::Methods(..));
            self.state = self.after(octet);
            if greeted && self.state == State::RequestVersion {
                return ServerStep::Send(Bytes::from_static(&[5, 0]));
            }
        }
    }

    /// The reply that says that the connection stands: address and port are what was asked for
    /// (XEP-0065, section 5.3.2).
    pub fn accept(&self) -> Bytes {
        self.reply(0)
    }

    /// The reply that refuses what was asked for; the connection is closed right behind it, since
    /// one well-known client does not look at replies.
    pub fn refuse(&self) -> Bytes {
        self.reply(NOT_ALLOWED[1])
    }

    fn reply(&self, reply: u8) -> Bytes {
        let mut octets = BytesMut::with_capacity(7 + DstAddr::LEN);
        octets.put_slice(&[5, reply, 0, 3, 40]);
        octets.put_slice(&self.addr);
        octets.put_slice(&self.port);
        octets.freeze()
    }

    fn after(&mut self, octet: u8) -> State {
        use HandshakeError as E;
        let refused = |error| State::Failed(error, true);
        match (self.state, octet) {
            (State::Version, 5) => State::MethodCount,
            (State::Version, other) => State::Failed(E::Version(other), false),
            (State::MethodCount, 0) => State::Failed(E::NoAcceptableMethod, false),
            (State::MethodCount, count) => State::Methods(count, false),
            (State::Methods(left, before), method) => match (left, before || method == 0) {
                (2.., found) => State::Methods(left - 1, found),
                (_, true) => State::RequestVersion,
                (_, false) => State::Failed(E::NoAcceptableMethod, false),
            },
            (State::RequestVersion, 5) => State::Command,
            (State::RequestVersion, other) => refused(E::Version(other)),
            (State::Command, 1) => State::Reserved,
            (State::Command, other) => refused(E::Command(other)),
            (State::Reserved, _) => State::AddressType,
            (State::AddressType, 3) => State::AddressLen,
            (State::AddressType, other) => refused(E::AddressType(other)),
            (State::AddressLen, 40) => State::Address(0),
            (State::AddressLen, _) => refused(E::Address),
            (State::Address(at), digit) if is_digit(&digit) => {
                if let Some(slot) = self.addr.get_mut(usize::from(at)) {
                    *slot = digit;
                }
                match at {
                    39.. => State::Port(0),
                    _ => State::Address(at + 1),
                }
            }
            (State::Address(_), _) => refused(E::Address),
            (State::Port(0), high) => {
                self.port[0] = high;
                State::Port(1)
            }
            (State::Port(_), low) => {
                self.port[1] = low;
                DstAddr::parse(&self.addr).map_or_else(|| refused(E::Address), State::Requested)
            }
            (State::Requested(_) | State::Failed(..), _) => self.state,
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

/// No method of the client's is taken (RFC 1928, section 3).
const NO_METHOD: [u8; 2] = [5, 0xff];

/// The reply to a request that cannot even be echoed: not allowed (RFC 1928, section 6).
const NOT_ALLOWED: [u8; 7] = [5, 2, 0, 3, 0, 0, 0];

#[cfg(test)]
mod tests;
