//! SOCKS5 bytestreams (XEP-0065) as a stage of a transfer, between consent and octets.
//!
//! One link has one set of StreamHosts of its own, one listening socket and one memory of hosts that
//! failed; every transfer has its negotiation, a [`Requester`](bytestreams_socks5::Requester) or a
//! [`Target`](bytestreams_socks5::Target), and then its socket.

mod fallback;
mod hosts;
mod incoming;
mod moving;
mod outgoing;
mod phase;
mod route;
mod sockets;

use bytestreams_socks5::Event as Told;
pub(crate) use phase::Phase;

use crate::{Method, TransferId};
use alloc::collections::BTreeMap;
use bytestreams_machine::{Instant, Machine, Token};
use bytestreams_socks5::{DstAddr, FailedHosts, Inbound};
use hosts::Hosts;
use sockets::Sockets;

/// The methods that there are.
pub(crate) const METHODS: &[Method] = &[Method::Socks5, Method::Ibb];

/// What the SOCKS5 bytestreams of a link share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    hosts: Hosts,
    inbound: Inbound,
    /// Whose connections come with which hash.
    expected: BTreeMap<DstAddr, TransferId>,
    sockets: Sockets,
    /// StreamHosts that were not to be reached.
    failed: FailedHosts,
}

impl Shared {
    /// Says when something of it is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let due = [self.inbound.poll_timeout(), self.hosts.next()];
        due.into_iter().flatten().min()
    }
}

/// The first token for attempts of a transfer to connect, and back. Each has eight.
const fn token(id: TransferId) -> Token {
    Token(id.0 << 3)
}

const fn of_token(token: Token) -> TransferId {
    TransferId(token.0 >> 3)
}
