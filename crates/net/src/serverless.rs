//! Who is who on a link between two programs without a server.

use crate::random;
use bytestreams_stanza::{Jid, Opened};
use std::net::IpAddr;
use std::time::Duration;

/// Who we are, and how long setting up may take.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Our JID, which the peer learns from the stream's header. Without one it says nothing about
    /// us: `caller@serverless` or `listener@serverless`, with a random resource.
    pub jid: Option<Jid>,
    /// How long connecting may take, and the exchange of headers after it. What resolving a name
    /// takes is the system's where threads do it.
    pub patience: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            jid: None,
            patience: Duration::from_secs(10),
        }
    }
}

/// Our JID on a link, as `caller` or as `listener`.
pub fn name(setup: &Setup, role: &str) -> Jid {
    let name = || Jid::new(&format!("{role}@serverless/{}", stream_id()));
    setup
        .jid
        .clone()
        .unwrap_or_else(|| name().expect("a name with an address"))
}

/// Sixteen hexadecimal digits, by chance.
pub fn stream_id() -> String {
    format!("{:016x}", u64::from_ne_bytes(random::octets()))
}

/// The peer as it calls itself, or by its address.
///
/// # Errors
/// What is wrong with its name.
pub fn peer(own: &Jid, opened: Opened, from: IpAddr) -> Result<Jid, String> {
    match opened.header.and_then(|header| header.from) {
        Some(peer) if peer == *own => Err(format!("it calls itself {own}, which is us")),
        Some(peer) => Ok(peer),
        None => Jid::new(&format!("peer@{from}")).map_err(|_| String::from("it has no name")),
    }
}
