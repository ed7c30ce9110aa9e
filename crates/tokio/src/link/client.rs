//! Links of accounts on a server (RFC 6120). Login is `tokio-xmpp`'s work, the stream after it ours.

use super::setup::{refused, within};
use super::socket::{acknowledge, prepare};
use super::wire::Wire;
use super::xml::Stamps;
use super::{ConnectFailure, Ends, LinkError, XmlLink, ends_of};
use bytes::BytesMut;
use bytestreams_stanza::door::{Context as Namespaces, QuickXml};
use bytestreams_stanza::{Framer, Jid, Limits, Opening, StreamError, ns};
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use sasl::common::{ChannelBinding, Credentials};
use std::borrow::Cow;
use std::io;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, BufStream, ReadBuf};
use tokio::net::TcpStream;
use tokio_xmpp::connect::DnsConfig;
use tokio_xmpp::connect::starttls::starttls;
use tokio_xmpp::connect::tls_common::TlsStream;
use tokio_xmpp::error::AuthError;
use tokio_xmpp::parsers::sasl_cb::Type;
use tokio_xmpp::parsers::stream_features::StreamFeatures;
use tokio_xmpp::xmlstream::{StreamHeader, Timeouts, XmppStream, initiate_stream};
use tokio_xmpp::{Error, client_login};

/// Where servers listen (RFC 6120, 14.7).
const PORT: u16 = 5222;

/// A client's link.
pub type Client = XmlLink<Socket>;

/// How to log in.
#[derive(Clone)]
#[non_exhaustive]
pub struct Account {
    /// Who to be; the server chooses a resource where there is none.
    pub jid: Jid,
    /// The password.
    pub password: String,
    /// `HOST:PORT`, or `HOST` for port 5222, to connect to, instead of what DNS says of the domain (RFC 6120, 3.2).
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
pub async fn connect(account: &Account) -> Result<Client, ConnectFailure> {
    let patience = account.patience;
    let (socket, early) = login(account).await?;
    // The header has gone with the login, and with it what prefixes it bound.
    let context = Namespaces::new(ns::CLIENT);
    let framer = Framer::inside(QuickXml::default(), Limits::DEFAULT, context);
    let ends = ends_of(socket.tcp(), false);
    let mut wire = Wire::new(socket, framer, ns::CLIENT, early.freeze());
    wire.after_read(|socket: &Socket| acknowledge(socket.tcp()));
    within(patience, "bind a resource", bind(wire, account, ends)).await
}

/// Logs in; what is left is a stream behind its header and features.
async fn login(account: &Account) -> Result<(Socket, BytesMut), ConnectFailure> {
    let patience = account.patience;
    let local = account.jid.local().ok_or_else(|| {
        ConnectFailure::Auth("a JID to log in with has the form NAME@DOMAIN".into())
    })?;
    let tcp = within(patience, "connect", dial(account)).await?;
    let credentials = Credentials::default()
        .with_username(local)
        .with_password(account.password.as_str());
    let domain = account.jid.domain();
    match account.security {
        Security::InsecurePlaintext => {
            let stream = BufStream::new(tcp);
            let opened = within(patience, "open the stream", open(stream, domain)).await?;
            let auth = authenticate(opened, credentials, domain);
            let stream = within(patience, "log in", auth).await?;
            let (stream, early) = unwrap(stream)?;
            Ok((Socket::Plain(stream), early))
        }
        Security::Tls => {
            let (stream, binding) = within(patience, "start TLS", secure(tcp, domain)).await?;
            let stream = BufStream::new(stream);
            let opened = within(patience, "open the stream", open(stream, domain)).await?;
            let credentials = credentials.with_channel_binding(common(&opened.0, binding));
            let auth = authenticate(opened, credentials, domain);
            let stream = within(patience, "log in", auth).await?;
            let (stream, early) = unwrap(stream)?;
            Ok((Socket::Tls(Box::new(stream)), early))
        }
    }
}

async fn dial(account: &Account) -> Result<TcpStream, ConnectFailure> {
    let failed = |host: &str, source| ConnectFailure::Connect {
        host: host.to_owned(),
        source,
    };
    let (host, result) = match &account.server {
        Some(server) => {
            let connected = match with_port(server) {
                Some(server) => TcpStream::connect(server).await,
                None => TcpStream::connect((server.as_str(), PORT)).await,
            };
            (server.as_str(), connected)
        }
        None => {
            let domain = account.jid.domain();
            let found = DnsConfig::srv_default_client(domain).resolve().await;
            (domain, found.map_err(into_io))
        }
    };
    let stream = result.map_err(|e| failed(host, e))?;
    prepare(&stream).map_err(|e| failed(host, e))?;
    Ok(stream)
}

/// The server if it names a port.
fn with_port(server: &str) -> Option<&str> {
    let (host, port) = server.rsplit_once(':')?;
    let bare = host.contains(':') && !host.ends_with(']');
    (!bare && port.parse::<u16>().is_ok()).then_some(server)
}

/// The binding where the server says that it knows this kind too (XEP-0440): one old server has
/// mechanisms with channel binding, and refuses every login by the kind that TLS 1.3 has.
fn common(features: &StreamFeatures, binding: ChannelBinding) -> ChannelBinding {
    let known = features
        .sasl_cb
        .as_ref()
        .is_some_and(|known| match &binding {
            ChannelBinding::TlsExporter(_) => known.types.contains(&Type::TlsExporter),
            ChannelBinding::TlsUnique(_) => known.types.contains(&Type::TlsUnique),
            ChannelBinding::None | ChannelBinding::Unsupported => false,
        });
    if known { binding } else { ChannelBinding::None }
}

type Opened<S> = (StreamFeatures, XmppStream<S>);

async fn open<S: AsyncBufRead + AsyncWrite + Unpin>(
    stream: S,
    domain: &str,
) -> Result<Opened<S>, ConnectFailure> {
    let pending = initiate_stream(stream, ns::CLIENT, header(domain), Timeouts::default())
        .await
        .map_err(|e| broken(e.into()))?;
    pending.recv_features().await.map_err(|e| broken(e.into()))
}

async fn secure(
    tcp: TcpStream,
    domain: &str,
) -> Result<(TlsStream<TcpStream>, ChannelBinding), ConnectFailure> {
    let (features, stream) = open(BufStream::new(tcp), domain).await?;
    if !features.can_starttls() {
        return Err(ConnectFailure::Tls("it offers none".into()));
    }
    starttls(stream, domain)
        .await
        .map_err(|e| ConnectFailure::Tls(e.to_string()))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other errors are of the stream"
)]
async fn authenticate<S: AsyncBufRead + AsyncWrite + Unpin>(
    (features, stream): Opened<S>,
    credentials: Credentials,
    domain: &str,
) -> Result<S, ConnectFailure> {
    if features.sasl_mechanisms.is_empty() && features.can_starttls() {
        let what = "it takes no passwords in clear; use TLS";
        return Err(ConnectFailure::Auth(what.into()));
    }
    let fresh = client_login(stream, features.sasl_mechanisms, credentials)
        .await
        .map_err(|error| match error {
            Error::Auth(AuthError::Fail(condition)) => {
                ConnectFailure::Auth(kebab(&format!("{condition:?}")))
            }
            Error::Auth(AuthError::NoMechanism) => {
                ConnectFailure::Auth("no way to log in that both sides know".into())
            }
            Error::Auth(error) => ConnectFailure::Auth(error.to_string()),
            error => broken(error),
        })?;
    let pending = fresh
        .send_header(header(domain))
        .await
        .map_err(|e| broken(e.into()))?;
    let (_, stream): Opened<S> = pending
        .recv_features()
        .await
        .map_err(|e| broken(e.into()))?;
    Ok(stream.into_inner())
}

/// `NotAuthorized` as the specification writes it.
fn kebab(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

fn header(domain: &str) -> StreamHeader<'_> {
    StreamHeader {
        to: Some(Cow::Borrowed(domain)),
        from: None,
        id: None,
    }
}

/// Takes off the buffer, and from it what was read too early.
fn unwrap<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: BufStream<S>,
) -> Result<(S, BytesMut), ConnectFailure> {
    let mut early = BytesMut::new();
    // Whoever polls next registers its own waker.
    let mut cx = Context::from_waker(Waker::noop());
    let read = match Pin::new(&mut stream).poll_fill_buf(&mut cx) {
        Poll::Ready(Ok([])) => return Err(ConnectFailure::Link(LinkError::Closed)),
        Poll::Ready(Ok(buffered)) => {
            early.extend_from_slice(buffered);
            buffered.len()
        }
        Poll::Ready(Err(error)) => return Err(ConnectFailure::Link(error.into())),
        Poll::Pending => 0,
    };
    Pin::new(&mut stream).consume(read);
    Ok((stream.into_inner(), early))
}

/// Asks for a resource (RFC 6120, 7).
async fn bind(
    mut wire: Wire<Socket>,
    account: &Account,
    ends: Option<Ends>,
) -> Result<Client, ConnectFailure> {
    let opening = Opening::bind("bind".into(), account.jid.resource());
    let own = wire.open(opening).await?.jid;
    let own = own.ok_or_else(|| ConnectFailure::Bind("its answer has no JID".into()))?;
    let server = own.to_domain();
    Ok(XmlLink::new(wire, own, server, Stamps::Server, ends))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else goes wrong says so itself"
)]
fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        // Its own words are those of a program's author.
        Error::DnsProto(_) | Error::DnsNet(_) | Error::Idna => io::Error::new(
            io::ErrorKind::NotFound,
            "DNS does not know it, or does not answer",
        ),
        error => io::Error::new(io::ErrorKind::NotFound, error.to_string()),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other errors are of what was said"
)]
fn broken(error: Error) -> ConnectFailure {
    ConnectFailure::Link(match error {
        Error::StreamError(error) => {
            let name = format!("{:?}", error.0.condition);
            let name = name.split(['(', ' ']).next().unwrap_or_default();
            return refused(StreamError {
                condition: kebab(name).into(),
                text: error.0.texts.into_values().next().map(Into::into),
            });
        }
        Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            LinkError::Xml(error.to_string())
        }
        Error::Io(error) => LinkError::Io(error),
        Error::Disconnected => LinkError::Closed,
        error => LinkError::Xml(error.to_string()),
    })
}

/// A connection to a server, encrypted or not.
#[derive(Debug)]
pub enum Socket {
    /// In clear.
    Plain(TcpStream),
    /// Over TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_go_without_a_port() {
        for server in ["xmpp.example:5222", "127.0.0.1:1", "[::1]:5222"] {
            assert_eq!(with_port(server), Some(server));
        }
        for server in ["xmpp.example", "127.0.0.1", "::1", "2001:db8::5222"] {
            assert_eq!(with_port(server), None, "{server}");
        }
    }

    #[test]
    fn a_domain_that_is_not_found_is_told_in_words() {
        let told = into_io(Error::DnsNet("NoRecordsFound".into())).to_string();
        assert_eq!(told, "DNS does not know it, or does not answer");
    }

    #[test]
    fn a_stream_error_is_about_who_we_are_or_about_the_stream() {
        use tokio_xmpp::parsers::stream_error::{
            DefinedCondition, ReceivedStreamError, StreamError,
        };
        let told = |condition| {
            let texts = core::iter::once((Default::default(), "who?".to_owned())).collect();
            broken(Error::StreamError(ReceivedStreamError(StreamError {
                condition,
                texts,
                application_specific: Vec::new(),
            })))
        };
        let unknown = told(DefinedCondition::HostUnknown);
        assert!(
            matches!(&unknown, ConnectFailure::Auth(what) if what == "host-unknown: who?"),
            "{unknown:?}"
        );
        let down = told(DefinedCondition::SystemShutdown);
        assert!(
            matches!(&down, ConnectFailure::Link(LinkError::Stream(error))
                if &*error.condition == "system-shutdown"),
            "{down:?}"
        );
    }

    #[test]
    fn conditions_are_written_as_specified() {
        assert_eq!(kebab("NotAuthorized"), "not-authorized");
        assert_eq!(kebab("AccountDisabled"), "account-disabled");
    }
}
