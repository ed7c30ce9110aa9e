//! How the server behaves.

use crate::{Origin, Passwords, Peer, Tls};
use bytestreams_stor::Request;
use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::Arc;

/// How the server behaves.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// Octets of a file at most; without it, what the disk has.
    pub max_size: Option<u64>,
    /// Who may upload; without it, everyone who reaches the server.
    pub passwords: Option<Passwords>,
    /// Pages of these origins may upload, beside those of the server's own.
    pub origins: Vec<Origin>,
    /// Refuses a file (409) whose name there is already, instead of giving it the next number.
    pub exact_names: bool,
    /// Believes `X-Forwarded-For` and `X-Forwarded-Proto`. Only for servers that nobody reaches but
    /// through a proxy that sets them.
    pub trust_proxy: bool,
    /// Speaks TLS.
    pub tls: Option<Tls>,
    /// What can be held and for how long.
    pub bounds: Bounds,
    /// Has the last word on each upload.
    pub decide: Option<Decide>,
}

/// What clients can make the server hold, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address, or one /64 of IPv6. Not counted behind a proxy.
    pub connections_a_source: usize,
    /// Uploads at once.
    pub uploads: usize,
    /// Uploads at once from one address, or one /64 of IPv6.
    pub uploads_a_source: usize,
    /// Octets of a block, decoded.
    pub block: NonZeroU32,
    /// How long TLS, an HTTP request, and the time to `STOR` may take, each.
    pub handshake: Duration,
    /// How long a client may be silent while a block is its to send, or leave answers unread.
    pub idle: Duration,
    /// How long uploads may go on once the server is to stop.
    pub grace: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_a_source: 512,
            uploads: 512,
            uploads_a_source: 256,
            block: NonZeroU32::MIN.saturating_add((1 << 20) - 1),
            handshake: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

/// Has the last word on each upload: `Err` with what the client is told refuses it (403).
///
/// Here is where `parameters` mean something. It must not block.
#[derive(Clone)]
pub struct Decide(pub(crate) Arc<Word>);

type Word = dyn Fn(&Request, &Peer) -> Result<(), String> + Send + Sync;

impl Decide {
    /// Has a function decide.
    pub fn new(
        word: impl Fn(&Request, &Peer) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(word))
    }
}

impl fmt::Debug for Decide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decide")
    }
}
