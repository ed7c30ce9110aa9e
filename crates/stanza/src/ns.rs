//! Namespaces and feature names.

/// Content of a client's stream (RFC 6120); also what the core calls every stanza.
pub const CLIENT: &str = "jabber:client";
/// Content of a component's stream (XEP-0114).
pub const COMPONENT: &str = "jabber:component:accept";
/// The stream itself (RFC 6120, 4.8.1).
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// Stream error conditions (RFC 6120, 4.9.2).
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Stanza error conditions (RFC 6120, 8.3.2).
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// Resource binding (RFC 6120, 7).
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// In-Band Bytestreams (XEP-0047).
pub const IBB: &str = "http://jabber.org/protocol/ibb";
/// SOCKS5 Bytestreams (XEP-0065).
pub const BYTESTREAMS: &str = "http://jabber.org/protocol/bytestreams";
/// Stream Initiation (XEP-0095).
pub const SI: &str = "http://jabber.org/protocol/si";
/// The file-transfer profile of Stream Initiation (XEP-0096).
pub const FILE_TRANSFER: &str = "http://jabber.org/protocol/si/profile/file-transfer";
/// Feature Negotiation (XEP-0020).
pub const FEATURE_NEG: &str = "http://jabber.org/protocol/feature-neg";
/// Data Forms (XEP-0004).
pub const DATA_FORMS: &str = "jabber:x:data";
/// Service discovery, information (XEP-0030).
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// Service discovery, items (XEP-0030).
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// Entity capabilities (XEP-0115).
pub const CAPS: &str = "http://jabber.org/protocol/caps";
/// XMPP Ping (XEP-0199).
pub const PING: &str = "urn:xmpp:ping";
/// Our own feature: blocks of an in-band bytestream are handled in the order of their arrival,
/// so a sender may keep several in flight.
pub const IBB_PIPELINE: &str = "urn:x-bytestreams:ibb-pipeline:1";
