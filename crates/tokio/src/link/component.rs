//! Links of external components (XEP-0114).

use super::setup::{header, within};
use super::socket::{acknowledge, prepare};
use super::wire::Wire;
use super::xml::Stamps;
use super::{ConnectFailure, LinkError, XmlLink};
use crate::file::hex;
use bytestreams_stanza::{Frame, Jid, ns};
use core::time::Duration;
use sha1::{Digest, Sha1};
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
        Ok(tcp)
    })
    .await?;
    within(patience, "log in", handshake(tcp, jid, secret)).await
}

/// Opens the stream and proves to know the secret (section 3).
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what else the server says can wait"
)]
async fn handshake(tcp: TcpStream, jid: &Jid, secret: &str) -> Result<Component, ConnectFailure> {
    let mut wire = Wire::fresh(tcp, ns::COMPONENT);
    wire.write_text(&header(ns::COMPONENT, None, Some(jid), None, false));
    wire.flush().await.map_err(LinkError::Io)?;
    let theirs = wire.header(ns::COMPONENT).await?;
    let id = theirs
        .id
        .ok_or_else(|| LinkError::Xml("its stream has no id".into()))?;
    let digest = Sha1::new()
        .chain_update(&*id)
        .chain_update(secret)
        .finalize();
    wire.write_text(&format!("<handshake>{}</handshake>", hex(&digest)));
    wire.flush().await.map_err(LinkError::Io)?;
    loop {
        match wire.next().await? {
            Frame::Handshake(_) => break,
            Frame::Error(error) if matches!(&*error.condition, "not-authorized" | "conflict") => {
                return Err(ConnectFailure::Auth(error.to_string()));
            }
            Frame::Error(error) => return Err(LinkError::Stream(error).into()),
            Frame::End => return Err(LinkError::Closed.into()),
            _ => {}
        }
    }
    wire.after_read(acknowledge);
    Ok(XmlLink::new(
        wire,
        jid.clone(),
        theirs.from.unwrap_or_else(|| jid.clone()),
        Stamps::Component,
    ))
}
