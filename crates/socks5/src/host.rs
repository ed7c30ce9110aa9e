//! What the address of a StreamHost says before anybody resolves it.

use bytestreams_machine::AddressClass;
use bytestreams_stanza::StreamHost;
use core::net::IpAddr;

/// Says whether anybody could dial this StreamHost, and see what becomes of it.
pub(crate) fn is_public(host: &StreamHost) -> bool {
    class(host) == Some(AddressClass::Public)
}

/// Says whether a StreamHost is worth a place among those that are tried or told: link-local
/// addresses, which some peers list with their zone, and the unspecified one are not.
pub(crate) fn is_dialable(host: &StreamHost) -> bool {
    !host.host.contains('%') && class(host) != Some(AddressClass::Never)
}

/// Says whether a StreamHost is good for a network of its own alone.
pub(crate) fn is_local(host: &StreamHost) -> bool {
    class(host).is_some_and(|class| class != AddressClass::Public)
}

/// The class of an address in digits; a name has none yet.
fn class(host: &StreamHost) -> Option<AddressClass> {
    // RFC 5952 has no brackets, but a peer may have them.
    let text = host.host.strip_prefix('[').unwrap_or(&host.host);
    let text = text.strip_suffix(']').unwrap_or(text);
    text.parse::<IpAddr>().ok().map(AddressClass::of)
}
