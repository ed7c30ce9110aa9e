//! The client: one file, over a WebSocket of its own.

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
use core::time::Duration;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::Uri;
use std::collections::VecDeque;
use std::io;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::{Error, Message, error::ProtocolError};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Octets that are read from the file at a time.
const PIECE: usize = 1 << 20;

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
    let (tx, rx) = ws.split();
    Sending {
        tx,
        rx,
        machine,
        clock,
        out: VecDeque::new(),
        dirty: false,
        file: File::start(reading),
        began: Instant::now(),
        octets: 0,
        progress,
    }
    .run()
    .await
}

/// A file that is read ahead, a piece at a time.
struct File {
    piece: Bytes,
    next: Option<JoinHandle<Read>>,
    idle: Option<Reading>,
}

type Read = Result<(Reading, Bytes), SourceError>;

impl File {
    fn start(reading: Reading) -> Self {
        let mut file = Self {
            piece: Bytes::new(),
            next: None,
            idle: Some(reading),
        };
        file.read_ahead();
        file
    }

    fn read_ahead(&mut self) {
        let left = |reading: &mut Reading| reading.left() > 0;
        if self.next.is_some() || self.piece.len() > PIECE {
            return;
        }
        if let Some(mut reading) = self.idle.take_if(left) {
            self.next = Some(spawn_blocking(move || {
                let room = usize::try_from(reading.left()).map_or(PIECE, |left| left.min(PIECE));
                let mut piece = BytesMut::zeroed(room);
                let mut filled = 0;
                while filled < room {
                    filled += reading.read(&mut piece[filled..])?;
                }
                Ok((reading, piece.freeze()))
            }));
        }
    }

    fn came(&mut self, read: Read) -> Result<(), SourceError> {
        let (reading, piece) = read?;
        self.idle = Some(reading);
        self.piece = if self.piece.is_empty() {
            piece
        } else {
            let mut both = BytesMut::with_capacity(self.piece.len() + piece.len());
            both.extend_from_slice(&self.piece);
            both.extend_from_slice(&piece);
            both.freeze()
        };
        self.read_ahead();
        Ok(())
    }

    /// Takes a block of exactly so many octets, once they are read.
    fn take(&mut self, octets: usize) -> Option<Bytes> {
        if self.piece.len() < octets {
            return None;
        }
        let block = self.piece.split_to(octets);
        self.read_ahead();
        Some(block)
    }
}

struct Sending<S, P> {
    tx: SplitSink<WebSocketStream<S>, Message>,
    rx: SplitStream<WebSocketStream<S>>,
    machine: Client,
    clock: Clock,
    out: VecDeque<Message>,
    /// Something is not flushed.
    dirty: bool,
    file: File,
    began: Instant,
    octets: u64,
    progress: P,
}

impl<S: AsyncRead + AsyncWrite + Unpin, P: FnMut(Progress)> Sending<S, P> {
    async fn run(mut self) -> Result<Uploaded, UploadError> {
        loop {
            if let Some(end) = self.carry_out() {
                let _ = tokio::time::timeout(FAREWELL, self.farewell()).await;
                return self.end(end?);
            }
            let deadline = self.clock.at(self.machine.poll_timeout());
            // Answers are read even while the socket takes nothing: a server that cannot say them
            // takes nothing either.
            tokio::select! {
                said = say(&mut self.tx, &mut self.out), if self.dirty || !self.out.is_empty() => {
                    match said {
                        Ok(dirty) => self.dirty = dirty,
                        // What cannot be sent is lost with the connection; what was answered before
                        // is still read.
                        Err(_) => {
                            self.out.clear();
                            self.dirty = false;
                        }
                    }
                }
                came = self.rx.next() => {
                    if let Some(input) = wire::input(came) {
                        self.machine.handle_input(input, self.clock.now());
                    }
                }
                read = async { joined(self.file.next.as_mut()?).await.into() }, if self.file.next.is_some() => {
                    self.file.next = None;
                    if let Some(read) = read {
                        self.file.came(read).map_err(UploadError::Source)?;
                    }
                }
                () = tokio::time::sleep_until(deadline) => {
                    self.machine.handle_timeout(self.clock.now());
                }
            }
        }
    }

    /// Carries out what the machine wants, and gives it blocks.
    fn carry_out(&mut self) -> Option<Result<Option<String>, UploadError>> {
        loop {
            while let Some(output) = self.machine.poll_output() {
                match output {
                    Output::Send(message) => self.out.push_back(wire::output(message)),
                    Output::Close(closing) => self.out.push_back(wire::closing(closing)),
                    Output::Event(ClientEvent::Accepted { window, block }) => {
                        self.began = Instant::now();
                        (self.progress)(Progress::Accepted {
                            window: window.get(),
                            block: block.get(),
                        });
                    }
                    Output::Event(ClientEvent::Stored(octets)) => {
                        self.octets = octets;
                        (self.progress)(Progress::Stored(octets));
                    }
                    Output::Event(ClientEvent::Done { name }) => {
                        self.close();
                        return Some(Ok(name));
                    }
                    Output::Event(ClientEvent::Failed(reason)) => {
                        self.close();
                        return Some(Err(UploadError::Failed(reason)));
                    }
                    Output::Event(_) => {}
                }
            }
            if !self.out.is_empty() {
                return None;
            }
            let block = self.file.take(self.machine.room()?)?;
            // The length is the one that was asked for.
            let _ = self.machine.write(block, self.clock.now());
        }
    }

    /// The last message, which stands behind the last event.
    fn close(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            if let Output::Close(closing) = output {
                self.out.push_back(wire::closing(closing));
            }
        }
    }

    /// Says the last message and waits for the server to close.
    async fn farewell(&mut self) {
        while let Some(message) = self.out.pop_front() {
            if self.tx.feed(message).await.is_err() {
                return;
            }
        }
        if self.tx.flush().await.is_ok() {
            while let Some(Ok(_)) = self.rx.next().await {}
        }
    }

    fn end(self, name: Option<String>) -> Result<Uploaded, UploadError> {
        let took = self.began.elapsed();
        let sha256 = match self.file.idle {
            Some(reading) => reading.finish().map_err(UploadError::Source)?,
            None => None,
        };
        Ok(Uploaded {
            name,
            octets: self.octets,
            took,
            sha256,
        })
    }
}

/// Sends what there is, or else flushes it. Answers whether there is something to flush.
async fn say<S: AsyncRead + AsyncWrite + Unpin>(
    tx: &mut SplitSink<WebSocketStream<S>, Message>,
    out: &mut VecDeque<Message>,
) -> Result<bool, Error> {
    if out.is_empty() {
        return tx.flush().await.map(|()| false);
    }
    poll_fn(|cx| tx.poll_ready_unpin(cx)).await?;
    out.pop_front()
        .map_or(Ok(()), |message| tx.start_send_unpin(message))
        .map(|()| true)
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

    async fn connect(self) -> Result<WebSocketStream<Box<dyn Io>>, UploadError> {
        let lost = |error: io::Error| UploadError::Connect(error.to_string());
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await;
        let tcp = tcp.map_err(lost)?;
        let _ = tcp.set_nodelay(true);
        let stream: Box<dyn Io> = if self.secure {
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

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

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
