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

/// The first token for attempts to connect of the n-th negotiation of a transfer, which has eight:
/// what an earlier one asked for may still come.
const fn token(id: TransferId, n: u8) -> Token {
    Token(id.0 << 5 | (n as u64 & 3) << 3)
}

const fn of_token(token: Token) -> TransferId {
    TransferId(token.0 >> 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytestreams_socks5::{Requester, Target};

    #[test]
    fn a_token_leads_back_to_its_transfer_and_is_nobody_elses() {
        const { assert!(Requester::TOKENS <= 8 && Target::TOKENS <= 8) };
        let mut last = None;
        for id in [
            TransferId(1 << 16),
            TransferId(1 << 16 | 1),
            TransferId(2 << 16),
        ] {
            for n in 0..incoming::MOST_OFFERS {
                for k in 0..8 {
                    let token = Token(token(id, n).0 + k);
                    assert_eq!(of_token(token), id);
                    assert!(last < Some(token));
                    last = Some(token);
                }
            }
        }
    }
}
