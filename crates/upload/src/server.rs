//! The server: connections, each in a task of its own.

use crate::census::{Census, Counted};
use crate::config::{Config, Decide};
use crate::disk::Disk;
use crate::event::{Event, UploadId};
use crate::service::{Service, Text};
use crate::session::{Phase, Session, limits};
use crate::socket::{Carrier, Socket};
use crate::wire;
use crate::{Origin, Passwords};
use bytestreams_file::{Store, StoreError};
use bytestreams_stor::ServerConfig;
use core::fmt;
use core::future::Future;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use http::Response;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Passwords that are checked at once: each check takes 19 MiB and a processor.
const LOGINS: usize = 2;

/// How long to wait when no connection can be taken, as without descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// How long connections may take to end once all is to.
const LAST: Duration = Duration::from_secs(6);

/// A server that is bound to its address.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    store: Store,
    config: Config,
}

/// The server cannot begin.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// The address cannot be had.
    Listen(io::Error),
    /// The directory takes no files.
    Store(StoreError),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(error) => write!(f, "cannot listen: {error}"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for BindError {}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) stor: ServerConfig,
    pub(crate) max_size: Option<u64>,
    pub(crate) disk: Disk,
    pub(crate) passwords: Option<Passwords>,
    pub(crate) origins: Vec<Origin>,
    pub(crate) trust_proxy: bool,
    pub(crate) decide: Option<Decide>,
    pub(crate) uploads: Census,
    pub(crate) logins: Arc<Semaphore>,
    pub(crate) tell: Box<dyn Fn(Event) + Send + Sync>,
    phase: watch::Sender<Phase>,
    ids: AtomicU64,
    handshake: Duration,
}

impl Shared {
    pub(crate) fn next_id(&self) -> UploadId {
        UploadId(self.ids.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// What tells the partial file of this upload from those of others, other servers' among them.
    pub(crate) fn key(&self, id: UploadId) -> String {
        format!("upload {} of {}", id, std::process::id())
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.phase.borrow() != Phase::Running
    }
}

impl Server {
    /// Binds an address, and opens the directory that takes the files. What killed servers left there
    /// longer than 7 days ago is removed.
    ///
    /// # Errors
    /// An address that cannot be had, and a directory in which no file can be made.
    pub async fn bind(
        addr: impl ToSocketAddrs,
        dir: impl Into<PathBuf>,
        config: Config,
    ) -> Result<Self, BindError> {
        let store = Store::open(dir).map_err(BindError::Store)?;
        store.clean(SystemTime::now());
        let listener = TcpListener::bind(addr).await.map_err(BindError::Listen)?;
        Ok(Self {
            addr: listener.local_addr().map_err(BindError::Listen)?,
            listener,
            store,
            config,
        })
    }

    /// Where the server listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until `stop` is ready, and then as long as the uploads that run take, but no longer than
    /// [`crate::Bounds::grace`]. `tell` hears what happens; it must not block.
    pub async fn run(
        self,
        stop: impl Future<Output = ()>,
        tell: impl Fn(Event) + Send + Sync + 'static,
    ) {
        let Self {
            listener,
            store,
            config,
            ..
        } = self;
        let bounds = config.bounds;
        let mut stor = ServerConfig::default();
        stor.limits = limits(&config);
        stor.login = config.passwords.is_some();
        stor.handshake = bounds.handshake;
        stor.idle = bounds.idle;
        let (phase, phases) = watch::channel(Phase::Running);
        let shared = Arc::new(Shared {
            stor,
            max_size: config.max_size,
            disk: Disk::new(store, config.exact_names),
            passwords: config.passwords,
            origins: config.origins,
            trust_proxy: config.trust_proxy,
            decide: config.decide,
            uploads: Census::new(bounds.uploads, bounds.uploads_a_source),
            logins: Arc::new(Semaphore::new(LOGINS)),
            tell: Box::new(tell),
            phase,
            ids: AtomicU64::new(0),
            handshake: bounds.handshake,
        });
        let census = Census::new(bounds.connections, bounds.connections_a_source);
        let mut tasks = JoinSet::new();
        let mut stop = core::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => {
                    let source = (!config.trust_proxy).then(|| from.ip());
                    // One too many is closed: nothing is read of it.
                    let Some(counted) = census.admit(source) else {
                        continue;
                    };
                    let tls = config.tls.clone();
                    let (shared, phases) = (shared.clone(), phases.clone());
                    tasks.spawn(async move {
                        let _ = stream.set_nodelay(true);
                        let stream = Socket::new(stream);
                        match tls {
                            None => connection(stream, false, from, shared, phases, counted).await,
                            Some(tls) => {
                                let hello =
                                    tokio::time::timeout(shared.handshake, tls.0.accept(stream));
                                if let Ok(Ok(stream)) = hello.await {
                                    connection(stream, true, from, shared, phases, counted).await;
                                }
                            }
                        }
                    });
                }
                Err(error) => {
                    (shared.tell)(Event::AcceptFailed(error));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        drop(listener);
        shared.phase.send_replace(Phase::Ending);
        let _ = tokio::time::timeout(bounds.grace, all(&mut tasks)).await;
        shared.phase.send_replace(Phase::Now);
        let _ = tokio::time::timeout(LAST, all(&mut tasks)).await;
        tasks.shutdown().await;
    }
}

async fn ending(phases: &mut watch::Receiver<Phase>) {
    // Without a sender there is no server.
    let _ = phases.wait_for(|phase| *phase != Phase::Running).await;
}

async fn all(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// One connection: HTTP, and the WebSocket that it may become.
async fn connection<S>(
    stream: S,
    tls: bool,
    socket: SocketAddr,
    shared: Arc<Shared>,
    mut phases: watch::Receiver<Phase>,
    _counted: Counted,
) where
    S: Carrier,
{
    let service = Service {
        shared: &shared,
        socket,
        tls,
        upgrade: Mutex::new(None),
    };
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(shared.handshake)
        .max_buf_size(16 << 10);
    {
        let answer = service_fn(|request| {
            let response = service.answer(request);
            async move { Ok::<Response<Text>, Infallible>(response) }
        });
        let mut served = core::pin::pin!(
            http.serve_connection(TokioIo::new(stream), answer)
                .with_upgrades()
        );
        let ended = tokio::select! {
            ended = served.as_mut() => ended,
            () = ending(&mut phases) => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if ended.is_err() {
            return;
        }
    }
    let upgrade = service.upgrade.into_inner();
    let Some((upgrade, peer)) = upgrade.unwrap_or_else(PoisonError::into_inner) else {
        return;
    };
    let Ok(upgraded) = upgrade.await else {
        return;
    };
    let config = wire::config(shared.stor.limits.message());
    // It is the one that was served.
    let Ok(parts) = upgraded.downcast::<TokioIo<S>>() else {
        return;
    };
    let (io, early) = (parts.io.into_inner(), parts.read_buf.into());
    let ws = WebSocketStream::from_partially_read(io, early, Role::Server, Some(config)).await;
    Box::new(Session::new(ws, shared.clone(), peer))
        .run(phases)
        .await;
}
