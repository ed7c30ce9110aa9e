//! The errors that XEP-0065 names.

use crate::DstAddr;
use bytestreams_stanza::{
    Bytestreams, BytestreamsContent, Condition, ErrorType, Mode, StanzaError,
};

/// Refuses an offer because we do not want the stream, or because its sid is in use (section
/// 5.3.1).
pub const fn not_acceptable() -> StanzaError {
    StanzaError::new(ErrorType::Modify, Condition::NotAcceptable)
}

/// Answers an offer of which no StreamHost could be reached (section 5.3.2), and one that none of
/// ours can be reached for.
pub const fn not_found() -> StanzaError {
    StanzaError::new(ErrorType::Cancel, Condition::ItemNotFound)
}

/// Answers a query that is not as the specification has it (section 5.3.1).
pub const fn bad_request() -> StanzaError {
    StanzaError::new(ErrorType::Modify, Condition::BadRequest)
}

/// Says why an offer cannot be taken, whoever sent it: it is none, has no sid, wants UDP, which
/// nobody here can do (section 8: support is optional; an unwilling Target answers
/// not-acceptable), names an address that is no hash, or names no StreamHost.
pub fn of_offer(query: &Bytestreams) -> Option<StanzaError> {
    let BytestreamsContent::Hosts(hosts) = &query.content else {
        return Some(bad_request());
    };
    let is_hash = |addr: &str| DstAddr::parse(addr.as_bytes()).is_some();
    if query.sid.is_none() || query.dstaddr.as_deref().is_some_and(|addr| !is_hash(addr)) {
        Some(bad_request())
    } else if query.mode == Mode::Udp {
        Some(not_acceptable())
    } else if hosts.is_empty() {
        Some(not_found())
    } else {
        None
    }
}
