//! Links of external components (XEP-0114).

use super::{ConnectFailure, XmlLink};
use bytestreams_stanza::Jid;
use core::time::Duration;
use tokio::net::{TcpStream, ToSocketAddrs};

/// A component's link.
pub type Component = XmlLink<TcpStream>;

/// Connects to a server as an external component.
///
/// # Errors
/// When the server cannot be reached, refuses the secret, or takes longer than `patience`.
pub async fn connect(
    _server: impl ToSocketAddrs,
    _jid: &Jid,
    _secret: &str,
    _patience: Duration,
) -> Result<Component, ConnectFailure> {
    core::future::pending().await
}
