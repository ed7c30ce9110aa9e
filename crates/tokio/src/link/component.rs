//! Links of external components (XEP-0114).

use super::setup::within;
use super::socket::{acknowledge, prepare, probe};
use super::wire::Wire;
use super::xml::Stamps;
use super::{ConnectFailure, XmlLink, ends_of};
use bytestreams_stanza::{Jid, Opening, ns};
use core::time::Duration;
use tokio::net::{TcpStream, ToSocketAddrs};

/// A component's link.
pub type Component = XmlLink<TcpStream>;

/// Connects to a server as an external component. The connection is in clear, as XEP-0114 has it:
/// keep it on one machine or one trusted network.
///
/// # Errors
/// When the server cannot be reached, refuses the secret, or takes longer than `patience` for
/// either.
pub async fn connect(
    server: impl ToSocketAddrs,
    jid: &Jid,
    secret: &str,
    patience: Duration,
) -> Result<Component, ConnectFailure> {
    let tcp = within(patience, "connect", async {
        let failed = |source| ConnectFailure::Connect {
            host: format!("the server of {jid}"),
            source,
        };
        let tcp = TcpStream::connect(server).await.map_err(failed)?;
        prepare(&tcp).map_err(failed)?;
        probe(&tcp).map_err(failed)?;
        Ok(tcp)
    })
    .await?;
    within(patience, "log in", handshake(tcp, jid, secret)).await
}

/// Opens the stream and proves to know the secret.
async fn handshake(tcp: TcpStream, jid: &Jid, secret: &str) -> Result<Component, ConnectFailure> {
    let ends = ends_of(&tcp, false);
    let mut wire = Wire::fresh(tcp, ns::COMPONENT);
    let opened = wire.open(Opening::component(jid, secret)).await?;
    wire.after_read(acknowledge);
    let server = opened.header.and_then(|header| header.from);
    let server = server.unwrap_or_else(|| jid.clone());
    Ok(XmlLink::new(
        wire,
        jid.clone(),
        server,
        Stamps::Component,
        ends,
    ))
}
