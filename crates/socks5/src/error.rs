//! Why a handshake failed.

use core::fmt;

/// Why a SOCKS5 handshake failed; always the other side's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The version is not 5.
    Version(u8),
    /// The client has no method that needs no authentication, or the server takes none.
    NoAcceptableMethod,
    /// The server chose a method that was not offered.
    Method(u8),
    /// The command is not CONNECT.
    Command(u8),
    /// The type of the address is not one of RFC 1928; in a request, not a domain name.
    AddressType(u8),
    /// The address asked for is not the hash of XEP-0065: 40 lower-case hexadecimal digits.
    Address,
    /// The server refused, with this REP (RFC 1928, section 6).
    Refused(u8),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "SOCKS version {version} where 5 is spoken"),
            Self::NoAcceptableMethod => f.write_str("no authentication method in common"),
            Self::Method(method) => write!(f, "method {method} was chosen, which was not offered"),
            Self::Command(command) => write!(f, "command {command} where 1 is taken"),
            Self::AddressType(kind) => write!(f, "address type {kind} is not taken"),
            Self::Address => f.write_str("the address is no hash of a bytestream"),
            Self::Refused(reply) => write!(f, "connection refused with reply {reply}"),
        }
    }
}

impl core::error::Error for HandshakeError {}
