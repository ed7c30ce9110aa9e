//! Links between two programs without a server: an XML stream over TCP without login, in the manner
//! of XEP-0174. Nothing is authenticated and nothing is encrypted.

use super::setup::within;
use super::socket::prepare;
use super::wire::Wire;
use super::xml::Stamps;
use super::{ConnectFailure, Ends, LinkError, XmlLink, ends_of};
pub use bytestreams_net::serverless::Setup;
use bytestreams_net::serverless::{name, peer, stream_id};
use bytestreams_stanza::{Jid, Opened, Opening, ns};
use core::fmt::Display;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

/// A serverless link.
pub type Serverless = XmlLink<TcpStream>;

/// Connects to a listening peer.
///
/// # Errors
/// When nobody listens there, the peer does not speak XMPP, or it takes too long.
pub async fn connect(
    addr: impl ToSocketAddrs + Display,
    setup: &Setup,
) -> Result<Serverless, ConnectFailure> {
    let host = addr.to_string();
    let failed = |source| ConnectFailure::Connect { host, source };
    let tcp = within(setup.patience, "connect", async {
        let tcp = TcpStream::connect(addr).await;
        tcp.and_then(|tcp| prepare(&tcp).map(|()| tcp))
            .map_err(failed)
    })
    .await?;
    within(setup.patience, "open the stream", call(tcp, setup)).await
}

/// Opens a stream and waits for the other side's.
async fn call(tcp: TcpStream, setup: &Setup) -> Result<Serverless, ConnectFailure> {
    let from = tcp.peer_addr().map_err(LinkError::Io)?;
    let ends = ends_of(&tcp, true);
    let own = name(setup, "caller");
    let mut wire = Wire::fresh(tcp, ns::CLIENT);
    let opened = wire.open(Opening::serverless(&own, None)).await?;
    made(wire, own, opened, from, ends)
}

/// Waits for the other side's stream and opens ours.
async fn answer(
    tcp: TcpStream,
    from: SocketAddr,
    setup: &Setup,
) -> Result<Serverless, ConnectFailure> {
    let ends = ends_of(&tcp, true);
    let own = name(setup, "listener");
    let mut wire = Wire::fresh(tcp, ns::CLIENT);
    let opening = Opening::await_serverless(&own, &stream_id());
    let opened = wire.open(opening).await?;
    made(wire, own, opened, from, ends)
}

fn made(
    wire: Wire<TcpStream>,
    own: Jid,
    opened: Opened,
    from: SocketAddr,
    ends: Option<Ends>,
) -> Result<Serverless, ConnectFailure> {
    let peer = peer(&own, opened, from.ip()).map_err(LinkError::Xml)?;
    Ok(XmlLink::new(wire, own, peer, Stamps::Peer, ends))
}

/// Waits for peers.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
}

/// A connection that came in, before the exchange of headers.
#[derive(Debug)]
pub struct Arrival {
    stream: TcpStream,
    from: SocketAddr,
}

impl Listener {
    /// Listens at an address; port 0 chooses a free one.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self {
            socket: TcpListener::bind(addr).await?,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits for the next connection. Give each [`Arrival::set_up`] a task of its own, so that one
    /// who says nothing keeps nobody out.
    ///
    /// # Errors
    /// Those of the socket: mostly passing ones, such as too many open files.
    pub async fn next(&self) -> io::Result<Arrival> {
        let (stream, from) = self.socket.accept().await?;
        prepare(&stream)?;
        Ok(Arrival { stream, from })
    }

    /// Waits for the next peer and exchanges headers with it; one who does not speak XMPP is
    /// dropped and the next is waited for. Dropped itself, it hangs up on whom it was talking to.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn accept(&self, setup: &Setup) -> io::Result<Serverless> {
        loop {
            if let Ok(link) = self.next().await?.set_up(setup).await {
                return Ok(link);
            }
        }
    }
}

impl Arrival {
    /// Where it came from.
    pub fn from(&self) -> SocketAddr {
        self.from
    }

    /// Exchanges headers.
    ///
    /// # Errors
    /// When the peer does not speak XMPP, or it takes too long.
    pub async fn set_up(self, setup: &Setup) -> Result<Serverless, ConnectFailure> {
        let answer = answer(self.stream, self.from, setup);
        within(setup.patience, "open the stream", answer).await
    }
}
