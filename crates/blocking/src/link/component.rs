//! Links of external components (XEP-0114).

use super::setup::{self, Deadline};
use super::socket::{prepare, probe};
use super::wire::Wire;
use super::{ConnectFailure, Link, LinkError};
use bytestreams_stanza::{Jid, Opening, ns};
use core::time::Duration;
use std::net::ToSocketAddrs;

/// Connects to a server as an external component. The connection is in clear, as XEP-0114 has it:
/// keep it on one machine or one trusted network.
///
/// # Errors
/// When the server cannot be reached, refuses the secret, or takes longer than `patience` for
/// either.
pub fn connect(
    server: impl ToSocketAddrs,
    jid: &Jid,
    secret: &str,
    patience: Duration,
) -> Result<Link, ConnectFailure> {
    let host = format!("the server of {jid}");
    let tcp = setup::connect(server, host, Deadline::new(patience, "connect"))?;
    prepare(&tcp)
        .and_then(|()| probe(&tcp))
        .map_err(LinkError::Io)?;
    let mut wire = Wire::new(tcp, ns::COMPONENT);
    let opening = Opening::component(jid, secret);
    let opened = wire.open(opening, Deadline::new(patience, "log in"))?;
    wire.be_eager();
    let server = opened.header.and_then(|header| header.from);
    let server = server.unwrap_or_else(|| jid.clone());
    Ok(Link::new(wire, jid.clone(), server, false))
}
