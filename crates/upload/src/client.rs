//! The client: one file, over a WebSocket of its own.

use crate::linger::linger;
use crate::socket::{Carrier, Socket};
use crate::tls::connector;
use crate::wire::{self, Clock};
use bytes::{Bytes, BytesMut};
use bytestreams_file::{Reading, Source, SourceError};
use bytestreams_stor::{
    Client, ClientConfig, ClientEvent, Credentials, Encoding, Output, Reason, Upload,
};
use core::fmt;
use core::future::poll_fn;
use core::num::{NonZeroU16, NonZeroU32};
use core::task::{Context, Poll};
use core::time::Duration;
use futures_util::{FutureExt, SinkExt, StreamExt};
use http::Uri;
use std::io;
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::{Error, Message, error::ProtocolError};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Octets of a block at most, whatever the server announces.
const MOST: usize = 16 << 20;

/// How long blocks are sent before it is told how far it is.
const TURN: Duration = Duration::from_millis(20);

/// Octets of an answer at most.
const ANSWER: usize = 64 << 10;

/// How long the server may take to close.
const FAREWELL: Duration = Duration::from_secs(1);

/// How to upload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UploadOptions {
    /// The name that the server is told; by default the file's.
    pub name: Option<String>,
    /// How the blocks travel.
    pub encoding: Encoding,
    /// Logs in first.
    pub credentials: Option<Credentials>,
    /// `parameters`, as JSON, for servers that know some.
    pub parameters: String,
    /// Octets of a block at most; by default what a server of ours announces, 16 KiB towards others.
    pub block: Option<NonZeroU32>,
    /// Blocks unanswered at most; by default what the server announces, one where it announces nothing.
    pub window: Option<NonZeroU16>,
    /// How long a connection may take to come about.
    pub connect: Duration,
    /// How long an answer may take. A block is answered when it is stored.
    pub patience: Duration,
    /// Compute the SHA-256 of the file.
    pub sha256: bool,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self {
            name: None,
            encoding: Encoding::Binary,
            credentials: None,
            parameters: "[]".into(),
            block: None,
            window: None,
            connect: Duration::from_secs(30),
            patience: Duration::from_secs(120),
            sha256: false,
        }
    }
}

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The server takes the file.
    Accepted {
        /// Blocks that may be unanswered.
        window: u16,
        /// Octets of a block.
        block: u32,
    },
    /// So many octets are stored.
    Stored(u64),
}

/// A file that is uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uploaded {
    /// The name that it got, where the server says so.
    pub name: Option<String>,
    /// Its octets.
    pub octets: u64,
    /// How long it took once the server took it.
    pub took: Duration,
    /// Its SHA-256, where that was asked for.
    pub sha256: Option<[u8; 32]>,
}

/// An upload failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum UploadError {
    /// The address is none of a WebSocket.
    Url(&'static str),
    /// The parameters are not JSON.
    Parameters,
    /// No connection, or no WebSocket at the other end of it.
    Connect(String),
    /// The file cannot be read, or was changed meanwhile.
    Source(SourceError),
    /// The server refused, or the connection was lost.
    Failed(Reason),
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(why) => write!(f, "not the address of a WebSocket: {why}"),
            Self::Parameters => f.write_str("the parameters are not JSON"),
            Self::Connect(why) => write!(f, "cannot connect: {why}"),
            Self::Source(error) => error.fmt(f),
            Self::Failed(reason) => reason.fmt(f),
        }
    }
}

impl core::error::Error for UploadError {}

/// Uploads a file to `ws://HOST[:PORT]/PATH` or `wss://…`. Dropped, it gives up.
///
/// # Errors
/// As [`UploadError`] says.
pub async fn upload(
    url: &str,
    source: Source,
    options: &UploadOptions,
    progress: impl FnMut(Progress),
) -> Result<Uploaded, UploadError> {
    let target = Target::parse(url)?;
    let name = options.name.as_deref().unwrap_or_else(|| source.name());
    let mut upload = Upload::new(name, source.size());
    upload.encoding = options.encoding;
    upload.parameters.clone_from(&options.parameters);
    upload.credentials.clone_from(&options.credentials);
    let mut config = ClientConfig::default();
    config.block = options.block;
    config.window = options.window;
    config.patience = options.patience;
    let sha256 = options.sha256;
    let connected = tokio::time::timeout(options.connect, target.connect());
    let Ok(connected) = connected.await else {
        return Err(UploadError::Connect("it took too long".into()));
    };
    let ws = connected?;
    let clock = Clock::start();
    let machine = Client::new(upload, config, clock.now()).map_err(|_| UploadError::Parameters)?;
    let begun = spawn_blocking(move || source.read_from(0, None, sha256));
    let reading = joined(begun).await.map_err(UploadError::Source)?;
    Sending {
        ws,
        machine,
        clock,
        dirty: false,
        lost: false,
        reading,
        block: Bytes::new(),
        began: Instant::now(),
        stored: None,
        end: None,
    }
    .run(progress)
    .await
}

struct Sending<S> {
    ws: WebSocketStream<S>,
    machine: Client,
    clock: Clock,
    /// Something is said and may not be sent.
    dirty: bool,
    /// Nothing can be sent any more.
    lost: bool,
    reading: Reading,
    /// What blocks are read into, one after the other.
    block: Bytes,
    began: Instant,
    stored: Option<u64>,
    end: Option<Result<Option<String>, UploadError>>,
}

/// What was waited for.
enum Woken {
    Sent(Result<(), Error>),
    Came(Option<Result<Message, Error>>),
}

/// Sends what is said where `flush` wants it, and takes what comes.
fn poll_woken<S: Carrier>(
    ws: &mut WebSocketStream<S>,
    flush: bool,
    cx: &mut Context<'_>,
) -> Poll<Woken> {
    if flush && let Poll::Ready(sent) = ws.poll_flush_unpin(cx) {
        return Poll::Ready(Woken::Sent(sent));
    }
    ws.poll_next_unpin(cx).map(Woken::Came)
}

impl<S: Carrier> Sending<S> {
    async fn run(mut self, mut progress: impl FnMut(Progress)) -> Result<Uploaded, UploadError> {
        let mut told = None;
        loop {
            let accepted = self.carry_out();
            if let Some((window, block)) = accepted {
                progress(Progress::Accepted { window, block });
            }
            if let Some(stored) = self.stored
                && self.stored != told
            {
                told = self.stored;
                progress(Progress::Stored(stored));
            }
            if let Some(end) = self.end.take() {
                let _ = tokio::time::timeout(FAREWELL, self.farewell()).await;
                return self.finish(end?);
            }
            if self.can_send() && self.is_ready() {
                self.ws.get_mut().socket().leave();
                self = joined(spawn_blocking(move || {
                    self.send();
                    self
                }))
                .await;
                self.ws.get_mut().socket().join();
                continue;
            }
            let deadline = self.clock.at(self.machine.poll_timeout());
            match tokio::time::timeout_at(deadline, self.next()).await {
                Ok(woken) => self.woken(woken),
                Err(_) => self.machine.handle_timeout(self.clock.now()),
            }
        }
    }

    /// Carries out what the machine wants. Answers window and block once they are known.
    fn carry_out(&mut self) -> Option<(u16, u32)> {
        let mut accepted = None;
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send(message) => self.say(wire::output(message)),
                Output::Close(closing) => self.say(wire::closing(closing)),
                Output::Event(ClientEvent::Accepted { window, block }) => {
                    self.began = Instant::now();
                    accepted = Some((window.get(), block.get()));
                }
                Output::Event(ClientEvent::Stored(octets)) => self.stored = Some(octets),
                Output::Event(ClientEvent::Done { name }) => self.end = Some(Ok(name)),
                Output::Event(ClientEvent::Failed(reason)) => {
                    self.end = Some(Err(UploadError::Failed(reason)));
                }
                Output::Event(_) => {}
            }
        }
        accepted
    }

    /// Hands a message to the library, which keeps what the socket does not take.
    fn say(&mut self, message: Message) {
        if !self.lost {
            self.dirty = true;
            self.lost = self.ws.start_send_unpin(message).is_err();
        }
    }

    /// Waits until all is sent that is said, or something comes. Answers are read even while the
    /// socket takes nothing: a server that cannot say them takes nothing either.
    async fn next(&mut self) -> Woken {
        let flush = self.dirty && !self.lost;
        poll_fn(|cx| poll_woken(&mut self.ws, flush, cx)).await
    }

    fn woken(&mut self, woken: Woken) {
        match woken {
            // What cannot be sent is lost with the connection; what was answered before is still
            // read.
            Woken::Sent(sent) => {
                self.lost = sent.is_err();
                self.dirty = false;
            }
            Woken::Came(came) => {
                if let Some(input) = wire::input(came) {
                    self.machine.handle_input(input, self.clock.now());
                }
            }
        }
    }

    fn can_send(&self) -> bool {
        !self.lost && self.end.is_none() && self.machine.room().is_some()
    }

    /// Says whether the library takes another message at once.
    fn is_ready(&mut self) -> bool {
        let ready = poll_fn(|cx| self.ws.poll_ready_unpin(cx));
        ready.now_or_never().is_some()
    }

    /// Sends blocks for a while, on one thread that reads the file, writes and reads answers: what
    /// has just been read is still in its processor's cache.
    fn send(&mut self) {
        let start = Instant::now();
        while self.end.is_none() && start.elapsed() < TURN {
            if self.can_send() && self.is_ready() {
                match self.read() {
                    // The length is the one that was asked for.
                    Ok(block) => drop(self.machine.write(block, self.clock.now())),
                    Err(error) => self.end = Some(Err(UploadError::Source(error))),
                }
                self.carry_out();
                continue;
            }
            let flush = self.dirty && !self.lost;
            let woken = linger(&mut self.ws, flush, |ws, cx| poll_woken(ws, flush, cx));
            let Some(woken) = woken else {
                return;
            };
            self.woken(woken);
            self.carry_out();
        }
    }

    /// Reads the next block.
    fn read(&mut self) -> Result<Bytes, SourceError> {
        let room = self.machine.room().unwrap_or(0).min(MOST);
        let mut block = match core::mem::take(&mut self.block).try_into_mut() {
            Ok(block) => block,
            Err(_) => BytesMut::new(),
        };
        block.resize(room, 0);
        let mut filled = 0;
        while filled < room {
            filled += self.reading.read(&mut block[filled..])?;
        }
        self.block = block.freeze();
        Ok(self.block.clone())
    }

    /// Says the last message and waits for the server to close.
    async fn farewell(&mut self) {
        if self.ws.flush().await.is_ok() {
            while let Some(Ok(_)) = self.ws.next().await {}
        }
    }

    fn finish(self, name: Option<String>) -> Result<Uploaded, UploadError> {
        let took = self.began.elapsed();
        let sha256 = self.reading.finish().map_err(UploadError::Source)?;
        Ok(Uploaded {
            name,
            octets: self.stored.unwrap_or_default(),
            took,
            sha256,
        })
    }
}

/// Where a WebSocket is.
#[derive(Clone, Debug, PartialEq)]
struct Target {
    uri: Uri,
    secure: bool,
    host: String,
    port: u16,
}

impl Target {
    fn parse(url: &str) -> Result<Self, UploadError> {
        let uri: Uri = url
            .parse()
            .map_err(|_| UploadError::Url("give ws://HOST:PORT/PATH"))?;
        let secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(UploadError::Url("it begins with ws:// or wss://")),
        };
        let Some(authority) = uri.authority() else {
            return Err(UploadError::Url("it has no host"));
        };
        if authority.as_str().contains('@') {
            return Err(UploadError::Url("no login belongs into it"));
        }
        let host = authority.host();
        let port = authority
            .port_u16()
            .unwrap_or(if secure { 443 } else { 80 });
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            secure,
            port,
            uri,
        })
    }

    async fn connect(self) -> Result<WebSocketStream<Box<dyn Carrier>>, UploadError> {
        let lost = |error: io::Error| UploadError::Connect(error.to_string());
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await;
        let tcp = tcp.map_err(lost)?;
        let _ = tcp.set_nodelay(true);
        let tcp = Socket::new(tcp);
        let stream: Box<dyn Carrier> = if self.secure {
            let tls = connector().map_err(lost)?;
            let name = ServerName::try_from(self.host)
                .map_err(|_| UploadError::Url("the host has no name for a certificate"))?;
            Box::new(tls.connect(name, tcp).await.map_err(lost)?)
        } else {
            Box::new(tcp)
        };
        let config = wire::config(ANSWER);
        match client_async_with_config(self.uri, stream, Some(config)).await {
            Ok((ws, _)) => Ok(ws),
            Err(Error::Http(response)) => Err(UploadError::Connect(format!(
                "the server answered {}",
                response.status()
            ))),
            Err(Error::Protocol(ProtocolError::HandshakeIncomplete)) => Err(UploadError::Connect(
                "the server closed the connection".into(),
            )),
            Err(error) => Err(UploadError::Connect(error.to_string())),
        }
    }
}

/// Waits for a thread; a panic there goes on here.
async fn joined<T>(thread: impl Future<Output = Result<T, tokio::task::JoinError>>) -> T {
    match thread.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels, and then nobody sees this.
            Err(_) => core::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_websockets_are_read() {
        for (url, secure, host, port) in [
            ("ws://a.example/x/y?z=1", false, "a.example", 80),
            ("wss://a.example", true, "a.example", 443),
            ("ws://[::1]:8080/", false, "::1", 8080),
            ("ws://127.0.0.1:9", false, "127.0.0.1", 9),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(
                (target.secure, target.host.as_str(), target.port),
                (secure, host, port)
            );
        }
        for url in [
            "",
            "a.example",
            "http://a.example",
            "ws://",
            "ws:///x",
            "ws://u:p@a.example",
            "ws://a b",
        ] {
            assert!(
                matches!(Target::parse(url), Err(UploadError::Url(_))),
                "{url}"
            );
        }
    }
}
