//! Links between two programs without a server: an XML stream over TCP without login, in the manner
//! of XEP-0174. Nothing is authenticated and nothing is encrypted.

use super::setup::{self, Deadline};
use super::socket::prepare;
use super::wire::Wire;
use super::{ConnectFailure, Link, LinkError};
pub use bytestreams_net::serverless::Setup;
use bytestreams_net::serverless::{name, peer, stream_id};
use bytestreams_stanza::{Jid, Opening, ns};
use core::fmt::Display;
use core::time::Duration;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};

/// Connects to a listening peer.
///
/// # Errors
/// When nobody listens there, the peer does not speak XMPP, or it takes too long.
pub fn connect(addr: impl ToSocketAddrs + Display, setup: &Setup) -> Result<Link, ConnectFailure> {
    let host = addr.to_string();
    let tcp = setup::connect(addr, host, Deadline::new(setup.patience, "connect"))?;
    prepare(&tcp).map_err(LinkError::Io)?;
    let from = tcp.peer_addr().map_err(LinkError::Io)?;
    let own = name(setup, "caller");
    let opening = Opening::serverless(&own, None);
    open(tcp, own, opening, from, setup.patience)
}

fn open(
    tcp: TcpStream,
    own: Jid,
    opening: Opening,
    from: SocketAddr,
    patience: Duration,
) -> Result<Link, ConnectFailure> {
    let mut wire = Wire::new(tcp, ns::CLIENT);
    let opened = wire.open(opening, Deadline::new(patience, "open the stream"))?;
    let peer = peer(&own, opened, from.ip()).map_err(|what| LinkError::Xml {
        what,
        condition: "invalid-from",
    })?;
    Ok(Link::new(wire, own, peer, true))
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
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self {
            socket: TcpListener::bind(addr)?,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits for the next connection. Give each [`Arrival::set_up`] a thread of its own, so that one
    /// who says nothing keeps nobody out.
    ///
    /// # Errors
    /// Those of the socket: mostly passing ones, such as too many open files.
    pub fn next(&self) -> io::Result<Arrival> {
        let (stream, from) = self.socket.accept()?;
        prepare(&stream)?;
        Ok(Arrival { stream, from })
    }

    /// Waits for the next peer and exchanges headers with it; one who does not speak XMPP is
    /// dropped and the next is waited for.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn accept(&self, setup: &Setup) -> io::Result<Link> {
        loop {
            if let Ok(link) = self.next()?.set_up(setup) {
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
    pub fn set_up(self, setup: &Setup) -> Result<Link, ConnectFailure> {
        let own = name(setup, "listener");
        let opening = Opening::await_serverless(&own, &stream_id());
        open(self.stream, own, opening, self.from, setup.patience)
    }
}
