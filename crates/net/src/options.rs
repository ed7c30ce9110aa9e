//! Where to listen, and whom to call.

use bytestreams_machine::{DialPolicy, Ends, Network};
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;

/// Where to listen for peers, and whom to call, beside the link.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SocketOptions {
    /// Private networks and loopback addresses that peers may have us connect to. Public addresses
    /// they may anyway, and those of the kind that the link's own other end has.
    pub allowed: Vec<Network>,
    listener: Option<Arc<TcpListener>>,
}

impl SocketOptions {
    /// Listens for peers at this address, and advertises it, instead of a free port on the local
    /// addresses. Port 0 chooses a free one; an unspecified address is advertised as the local
    /// ones. On threads give it to one endpoint at a time.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn listen(&mut self, addr: impl ToSocketAddrs) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(addr)?;
        let addr = listener.local_addr()?;
        self.listener = Some(Arc::new(listener));
        Ok(addr)
    }

    /// The socket that listens, if there is one.
    pub fn listener(&self) -> Option<&TcpListener> {
        self.listener.as_deref()
    }

    /// Whom peers may have us call, beside a link with these ends.
    pub fn policy(&self, ends: Option<Ends>) -> DialPolicy {
        DialPolicy {
            link: ends.map(|ends| ends.remote.ip()),
            allowed: self.allowed.iter().copied().collect(),
        }
    }
}
