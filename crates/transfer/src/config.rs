//! What can be chosen.

use alloc::sync::Arc;
#[cfg(feature = "socks5")]
use alloc::vec::Vec;
use bytestreams_si::{Method, Methods};
use bytestreams_stanza::{Carrier, Jid};
use core::num::NonZeroU16;

/// A transfer of one link; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(pub u64);

/// Choices for all transfers of a link.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The methods that are enabled, preferred ones first. In band alone unless told: SOCKS5 needs
    /// a driver that has sockets.
    pub methods: Methods,
    /// How SOCKS5 bytestreams are had, where they are enabled.
    #[cfg(feature = "socks5")]
    pub socks5: Socks5,
    /// Whether streams that nobody announced (a bare `<open/>` or bytestreams `<query/>`) are told
    /// to the application; otherwise they are refused with not-acceptable. Off by default.
    pub allow_unannounced: bool,
    /// Whom to ping when the link has been silent for 60 s.
    pub keepalive: Keepalive,
    /// Bounds on what peers can make us hold.
    pub bounds: Bounds,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            methods: Methods::from_slice(&[Method::Ibb]),
            #[cfg(feature = "socks5")]
            socks5: Socks5::default(),
            allow_unannounced: false,
            keepalive: Keepalive::default(),
            bounds: Bounds::default(),
        }
    }
}

/// How SOCKS5 bytestreams (XEP-0065) are had on a link.
#[cfg(feature = "socks5")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Socks5 {
    /// The ways that may be tried, as the Requester and as the Target. One way that is not allowed
    /// keeps our addresses from whom it would tell them.
    pub ways: Ways,
    /// Whether to listen for direct connections while an offer of ours may bring one
    /// ([`NetCommand::Listen`](bytestreams_machine::NetCommand::Listen)); on by default. A driver
    /// that cannot listen answers nothing.
    pub listen: bool,
    /// Hosts and ports to advertise as StreamHosts of our own before those listened on, best first:
    /// a forwarded port, say. Nothing listens on them at this word.
    pub advertised: Vec<(Arc<str>, u16)>,
    /// The Proxies to use (only their addresses are asked for), best first. None given, those of
    /// our own server are looked for.
    pub proxies: Vec<Jid>,
    /// Whether to look for the Proxies of our own server where none is given; on by default. A
    /// link without a server has none to ask.
    pub discover: bool,
}

#[cfg(feature = "socks5")]
impl Default for Socks5 {
    fn default() -> Self {
        Self {
            ways: Ways::Any,
            listen: true,
            advertised: Vec::new(),
            proxies: Vec::new(),
            discover: true,
        }
    }
}

/// The ways by which a SOCKS5 bytestream may go.
#[cfg(feature = "socks5")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Ways {
    /// Directly, or through a Proxy.
    #[default]
    Any,
    /// Directly alone: no StreamHost but the Requester itself.
    Direct,
    /// Through a Proxy alone: neither side learns the address of the other.
    Proxied,
}

#[cfg(feature = "socks5")]
impl Ways {
    /// Whether a connection between the two sides is allowed.
    pub const fn direct(self) -> bool {
        matches!(self, Self::Any | Self::Direct)
    }

    /// Whether a connection through a Proxy is allowed.
    pub const fn proxied(self) -> bool {
        matches!(self, Self::Any | Self::Proxied)
    }
}

/// Whom to ping when the link is silent (XEP-0199).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Keepalive {
    /// Nobody: something else watches over the link.
    Off,
    /// A ping without `to`: the server of a client-to-server link, the peer of a serverless one.
    #[default]
    Link,
    /// This address: a component asks its server's domain, since its stanzas must have a `to`.
    To(Jid),
}

/// Bounds on what peers can make us hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// Transfers that the accounts of one bare JID have going towards us.
    pub transfers_a_peer: usize,
    /// Transfers in all, ours included.
    pub transfers: usize,
    /// Offers of one bare JID that nobody has answered yet.
    pub open_offers_a_peer: usize,
    /// Octets received in band and not yet stored, over all transfers: beyond it
    /// [`crate::Transfers::wants_input`] is false.
    pub buffered: usize,
    /// The largest block in band, in octets before base64, in either direction. A peer that
    /// wants to send larger ones is asked for smaller ones (resource-constraint, XEP-0047, section
    /// 2.1); most give up below 256.
    pub block_size: u16,
    /// Peers whose features are remembered.
    pub peers: usize,
    /// Streams that ended and are remembered for 60 s: what comes late for one beyond them is
    /// answered as for a stream that never was, and is offered again.
    pub ended: usize,
    /// Outputs that wait to be carried out: beyond it [`crate::Transfers::wants_input`] is false,
    /// and strangers are not answered.
    pub outputs: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            transfers_a_peer: 16,
            transfers: 1024,
            open_offers_a_peer: 8,
            buffered: 8 * 1024 * 1024,
            block_size: u16::MAX,
            peers: 256,
            ended: 256,
            outputs: 8192,
        }
    }
}

/// Choices for one transfer that we start.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// The methods to offer, in this order; those that the link's [`Config`] has, when empty.
    /// Methods not enabled there are left out.
    pub methods: Methods,
    /// The ways that a SOCKS5 bytestream may go, as far as the link's [`Config`] allows them too.
    #[cfg(feature = "socks5")]
    pub ways: Ways,
    /// Whether to tell the peer the hash that it is to use with a StreamHost (`dstaddr`, XEP-0065,
    /// section 7): in a room, who takes part does not know by which JID others know it. Off by
    /// default, since many peers do not know that attribute.
    #[cfg(feature = "socks5")]
    pub dstaddr: bool,
    /// The MIME type to tell, in an offer.
    pub mime_type: Option<Arc<str>>,
    /// The `block-size` in band, at least 256. Without one: 65535 towards a peer that says it
    /// handles blocks in order, 4096 towards others.
    pub block_size: Option<NonZeroU16>,
    /// What carries the blocks in band.
    pub carrier: Carrier,
    /// How many blocks to have in flight in band.
    pub window: Window,
    /// Whether the application can begin again after [`crate::Event::FellBack`]. Without it, a
    /// stream that broke after octets moved has failed.
    pub restart: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            methods: Methods::new(),
            #[cfg(feature = "socks5")]
            ways: Ways::Any,
            #[cfg(feature = "socks5")]
            dstaddr: false,
            mime_type: None,
            block_size: None,
            carrier: Carrier::Iq,
            window: Window::Auto,
            restart: true,
        }
    }
}

/// How many blocks to have in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Window {
    /// As many as the path takes without delay, towards a peer that says that it handles blocks in
    /// order (the feature `urn:x-bytestreams:ibb-pipeline:1`); one towards others, and without this
    /// crate's feature `adaptive`.
    #[default]
    Auto,
    /// This many, whoever the peer is.
    Blocks(NonZeroU16),
}
