//! Whom to call of a name's addresses, and what became of a call.

use bytestreams_machine::{ConnectError, DialPolicy, families_in_turn};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Addresses of one name that are tried at most.
const ADDRESSES: usize = 6;

/// How long an address is waited for before the next one of the name is tried beside it
/// (RFC 8305, section 5).
pub const PACE: Duration = Duration::from_millis(250);

/// Chooses which of a host's addresses to call, in this order: those that the policy permits, six at
/// most, the families in turn. None is [`ConnectError::Forbidden`].
pub fn candidates(found: Vec<SocketAddr>, policy: &DialPolicy) -> Vec<SocketAddr> {
    let permitted = found.into_iter().filter(|addr| policy.permits(addr.ip()));
    let mut addrs = families_in_turn(permitted.collect());
    addrs.truncate(ADDRESSES);
    addrs
}

/// Says what the machine is told of a call that failed.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else goes wrong, there is no way to the host"
)]
pub fn connect_error(error: &io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused,
        io::ErrorKind::TimedOut => ConnectError::TimedOut,
        _ => ConnectError::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permitted_addresses_are_called_and_not_too_many() {
        let addr = |n| SocketAddr::from(([192, 0, 2, n], 7));
        let mut found: Vec<_> = (0..9).map(addr).collect();
        found.insert(0, SocketAddr::from(([127, 0, 0, 1], 7)));
        let chosen = candidates(found, &DialPolicy::default());
        assert_eq!(chosen.len(), ADDRESSES);
        assert!(chosen.iter().all(|addr| !addr.ip().is_loopback()));
    }
}
