//! A proxy of SOCKS5 bytestreams (XEP-0065, section 6): an external component (XEP-0114) that
//! answers address queries, takes connections, pairs them, and relays what was activated.
//!
//! ```no_run
//! use bytestreams_tokio::{prepare_jid, proxy};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! proxy::raise_open_files();
//! let config = proxy::Config::new(prepare_jid("proxy.example.org")?, "files.example.org");
//! let server = proxy::Server::bind("[::]:1080", config).await?;
//! let login = proxy::Login::new("127.0.0.1:5347", "secret");
//! let handle = server.handle();
//! tokio::spawn(async move {
//!     let _ = tokio::signal::ctrl_c().await;
//!     handle.stop();
//! });
//! server.run(login, |event| println!("{event:?}")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A [`Relays`] alone relays between any two connections.
//!
//! Out of scope: what the protocol says, which is the business of
//! [`bytestreams_socks5::Proxy`].

mod client;
mod connections;
mod copy;
mod driver;
mod limits;
mod listen;
mod metrics;
mod pipes;
mod relay;
mod shared;
mod uplink;

pub use bytestreams_socks5::{Allowed, DstAddr, ProxyConfig, ProxyStats};
pub use limits::raise_open_files;
pub use metrics::serve_metrics;
pub use relay::{End, Relay, Relayed, Relays};
pub use shared::Counts;

use crate::link::ConnectFailure;
use bytestreams_machine::Stack;
use bytestreams_socks5::Proxy;
use bytestreams_stanza::{Jid, StreamHost};
use core::fmt;
use core::time::Duration;
use driver::Driver;
use listen::Acceptor;
use shared::{Shared, Stage};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::{TcpListener, ToSocketAddrs};
use uplink::Uplink;

/// Names the software to other entities (XEP-0115).
const NODE: &str = "urn:x-bytestreams";

/// What a proxy is, and its bounds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Its JID on the server.
    pub jid: Jid,
    /// The host that clients are told to connect to: a name or an address. The port is the one that
    /// is listened on.
    pub host: Arc<str>,
    /// What it is called when clients ask who it is.
    pub name: Arc<str>,
    /// Who may use it, and how much of it. Its hosts are filled in by [`Server::bind`].
    pub bounds: ProxyConfig,
    /// How long a session may move nothing.
    pub idle: Duration,
    /// Pipes of 1 MiB at most that octets are moved through at once.
    pub pipes: usize,
    /// How long sessions may go on once the proxy is to stop.
    pub drain: Duration,
}

impl Config {
    /// Makes the settings of a proxy for the users of the domain above its own; for nobody, where
    /// there is none.
    pub fn new(jid: Jid, host: impl Into<Arc<str>>) -> Self {
        let parent = jid
            .domain()
            .split_once('.')
            .map(|(_, parent)| parent.into());
        let bounds = ProxyConfig {
            allowed: Allowed::Domains(parent.into_iter().collect()),
            ..ProxyConfig::default()
        };
        Self {
            jid,
            host: host.into(),
            name: "SOCKS5 Bytestreams".into(),
            bounds,
            idle: Duration::from_secs(600),
            pipes: 64,
            drain: Duration::from_secs(30),
        }
    }
}

/// How to join the server.
#[derive(Clone)]
#[non_exhaustive]
pub struct Login {
    /// Host and port for components.
    pub server: Arc<str>,
    /// What both sides know.
    pub secret: Arc<str>,
    /// How long connecting may take, and how long the exchange after it.
    pub patience: Duration,
}

impl Login {
    /// Joins at `server`, `HOST:PORT`, with the secret that both sides know.
    pub fn new(server: impl Into<Arc<str>>, secret: impl Into<Arc<str>>) -> Self {
        Self {
            server: server.into(),
            secret: secret.into(),
            patience: Duration::from_secs(15),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// What a proxy tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The server has taken it.
    Online,
    /// The server is gone, or not back yet. Sessions go on, and it is called again.
    Offline {
        /// What happened.
        why: ConnectFailure,
        /// When it is called again.
        again_in: Duration,
    },
    /// Octets move from now on.
    Activated {
        /// The session.
        session: DstAddr,
        /// Who had it activated.
        requester: Jid,
        /// The peer it named.
        target: Jid,
    },
    /// They move no more, and both connections are closed.
    Ended {
        /// The session.
        session: DstAddr,
        /// How long it was.
        took: Duration,
        /// What came of it.
        relayed: Relayed,
    },
    /// The listening socket gave an error, such as too many open files; it is asked again.
    AcceptFailed(io::Error),
}

/// What came of a proxy that was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// How many sessions were cut off.
    pub cut: usize,
}

/// A proxy that listens; clients wait until it runs.
#[derive(Debug)]
pub struct Server {
    acceptor: Acceptor,
    addr: SocketAddr,
    config: Config,
    shared: Arc<Shared>,
}

impl Server {
    /// Listens at an address; port 0 chooses a free one. Bounds and pipes that are more than this
    /// process may have open are lowered: see [`Server::bounds`].
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn bind(addr: impl ToSocketAddrs, config: Config) -> io::Result<Self> {
        let acceptor = Acceptor::new(TcpListener::bind(addr).await?);
        let addr = acceptor.local_addr()?;
        let mut config = config;
        config.bounds.hosts = vec![StreamHost {
            jid: config.jid.clone(),
            host: config.host.clone(),
            port: addr.port(),
        }];
        limits::fit(&mut config);
        let shared = Shared::new(Relays::new(config.pipes, config.idle));
        Ok(Self {
            acceptor,
            addr,
            config,
            shared,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its bounds as they are, lowered to what this process may have open.
    pub fn bounds(&self) -> &ProxyConfig {
        &self.config.bounds
    }

    /// A handle to stop it by and to ask it for its state.
    pub fn handle(&self) -> Handle {
        Handle(self.shared.clone())
    }

    /// Joins the server and relays until it is stopped, by [`Handle::stop`] or by dropping the
    /// future. A link that is lost is made anew.
    ///
    /// # Errors
    /// When the server cannot be joined at first.
    pub async fn run(
        self,
        login: Login,
        tell: impl FnMut(Event) + Send + 'static,
    ) -> Result<Outcome, ConnectFailure> {
        let Config {
            jid,
            name,
            bounds,
            drain,
            ..
        } = self.config;
        let stack = Stack::new(Proxy::new(bounds), Proxy::responder(NODE, &name));
        let uplink = Uplink::new(jid, login, self.shared.clone());
        let tell = Box::new(tell);
        Driver::new(stack, self.acceptor, uplink, self.shared, drain, tell).await
    }
}

/// Stops a proxy and tells its state; clones do the same.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Shared>);

impl Handle {
    /// Has it take no more connections and end when its sessions have, or when their time is up.
    pub fn stop(&self) {
        self.0.want(Stage::Stopping);
    }

    /// Has it end at once; sessions are cut off.
    pub fn halt(&self) {
        self.0.want(Stage::Halted);
    }

    /// What the protocol has seen.
    pub fn stats(&self) -> ProxyStats {
        self.0.stats().0
    }

    /// What came of sessions and links.
    pub fn counts(&self) -> Counts {
        self.0.stats().1
    }

    /// How many octets were relayed, in both directions of all sessions.
    pub fn octets(&self) -> u64 {
        self.0.relays.octets()
    }

    /// Its state as Prometheus takes it.
    pub fn metrics(&self) -> String {
        metrics::text(&self.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
