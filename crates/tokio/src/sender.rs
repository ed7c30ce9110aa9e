//! Sends a file.

use crate::endpoint::{Endpoint, Transfer, WriteError};
use crate::file::{Reading, Source, SourceError, format_date};
use bytes::{Bytes, BytesMut};
use bytestreams_stanza::{File, Jid, Range, Sid};
use bytestreams_transfer::{Event, Method, Options, Reason};
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// How much is read from the file at once.
const PIECE: usize = 256 * 1024;

/// Pieces read ahead.
const AHEAD: usize = 3;

/// How to send a file.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SendFile {
    /// Methods, block size, carrier, window.
    pub options: Options,
    /// Whether there is no offer (XEP-0096) but a bare stream, for peers that know nothing else.
    /// Such a file has no name.
    pub unannounced: bool,
    /// Whether the offer has the file's MD5, so that a peer can ask for the rest of what it has.
    /// All of the file is read for it beforehand.
    pub resumable: bool,
    /// Whether to compute the SHA-256.
    pub sha256: bool,
    /// The name to offer; that of the file without it.
    pub name: Option<String>,
    /// A description for people.
    pub description: Option<String>,
}

/// A file that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The stream.
    pub sid: Sid,
    /// The octets that travelled.
    pub octets: u64,
    /// Where in the file they began: what the peer had already.
    pub offset: u64,
    /// How they travelled.
    pub method: Method,
    /// The SHA-256 of the whole file, if asked for and read to its end.
    pub sha256: Option<[u8; 32]>,
    /// How long it took, from the moment octets could travel.
    pub took: Duration,
}

/// Why a file was not sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The file could not be read.
    Source(SourceError),
    /// The transfer failed.
    Transfer(Reason),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Transfer(reason) => reason.fmt(f),
        }
    }
}

impl core::error::Error for SendError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Source(error) => Some(error),
            Self::Transfer(reason) => Some(reason),
        }
    }
}

impl From<SourceError> for SendError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<Reason> for SendError {
    fn from(reason: Reason) -> Self {
        Self::Transfer(reason)
    }
}

/// Offers a file to a peer, waits for the answer, sends it, and answers when the peer has it all.
///
/// `on_event` hears every event of the transfer but the last. Dropping the future cancels the
/// transfer towards the peer.
///
/// # Errors
/// A file that cannot be read or changes meanwhile, and every way in which a transfer fails:
/// [`Reason::Declined`] among them.
pub async fn send_file(
    endpoint: &Endpoint,
    to: Jid,
    source: Source,
    how: &SendFile,
    on_event: impl FnMut(&Event),
) -> Result<Sent, SendError> {
    start_file(endpoint, to, source, how)
        .await?
        .run(on_event)
        .await
}

/// Offers a file to a peer, or opens the stream for it, as [`send_file`] does: for callers that
/// need to know the stream before its end. [`Sending::run`] does the rest.
///
/// # Errors
/// A file that cannot be read.
pub async fn start_file(
    endpoint: &Endpoint,
    to: Jid,
    mut source: Source,
    how: &SendFile,
) -> Result<Sending, SendError> {
    let mut hash = None;
    if how.resumable && !how.unannounced {
        (source, hash) = crate::threads::blocking(move || {
            let md5 = source.md5()?;
            Ok::<_, SourceError>((source, Some(md5)))
        })
        .await?;
    }
    let transfer = if how.unannounced {
        endpoint.open(to, how.options.clone())
    } else {
        endpoint.offer(to, describe(&source, how, hash), how.options.clone())
    };
    Ok(Sending {
        sid: transfer.sid(),
        transfer,
        source: Original::of(source, how.sha256),
        range: Range::default(),
        method: Method::Ibb,
        pump: None,
        sha256: None,
        began: tokio::time::Instant::now(),
        octets: 0,
    })
}

fn describe(source: &Source, how: &SendFile, hash: Option<[u8; 16]>) -> File {
    let name = how.name.as_deref().unwrap_or_else(|| source.name());
    File {
        name: Some(name.into()),
        size: Some(source.size()),
        hash,
        date: source
            .modified()
            .and_then(format_date)
            .map(|date| date.as_str().into()),
        desc: how.description.as_deref().map(Into::into),
        range: Some(Range::default()),
    }
}

/// A file that is being sent. Dropping it cancels the transfer towards the peer.
pub struct Sending {
    transfer: Transfer,
    sid: Option<Sid>,
    source: Original,
    range: Range,
    method: Method,
    pump: Option<Pump>,
    sha256: Option<[u8; 32]>,
    began: tokio::time::Instant,
    octets: u64,
}

enum Step {
    Event(Option<Event>),
    Read(Result<Option<[u8; 32]>, SourceError>),
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("sid", &self.sid)
            .field("octets", &self.octets)
            .finish_non_exhaustive()
    }
}

impl Sending {
    /// The stream; `None` when the transfer could not even begin.
    pub fn sid(&self) -> Option<&Sid> {
        self.sid.as_ref()
    }

    /// Waits for the answer, sends the file, and answers when the peer has it all. `on_event` hears
    /// every event of the transfer but the last.
    ///
    /// # Errors
    /// Those of [`send_file`].
    pub async fn run(mut self, mut on_event: impl FnMut(&Event)) -> Result<Sent, SendError> {
        loop {
            let event = match poll_fn(|cx| self.poll_step(cx)).await {
                Step::Event(event) => event,
                Step::Read(Ok(sha256)) => {
                    self.sha256 = sha256;
                    self.pump = None;
                    // A transfer that is over tells so by an event.
                    let _ = self.transfer.finish();
                    continue;
                }
                Step::Read(Err(error)) => {
                    self.transfer.cancel();
                    return Err(error.into());
                }
            };
            match &event {
                Some(Event::Accepted { method, range, .. }) => {
                    self.method = *method;
                    self.range = *range;
                }
                Some(Event::Established { method, .. }) => {
                    self.method = *method;
                    self.sid = self.transfer.sid().or(self.sid);
                    self.began = tokio::time::Instant::now();
                    self.pump = Some(self.source.pump(self.range).await?);
                }
                Some(Event::FellBack { .. }) => self.pump = None,
                Some(Event::Progress { octets, .. }) => self.octets = *octets,
                Some(Event::Failed { reason, .. }) => return Err(reason.clone().into()),
                Some(Event::Done { .. }) => {
                    return Ok(Sent {
                        sid: self.sid.ok_or(Reason::LinkLost)?,
                        octets: self.octets,
                        offset: self.range.offset.unwrap_or(0),
                        method: self.method,
                        sha256: self.sha256,
                        took: self.began.elapsed(),
                    });
                }
                Some(_) => {}
                None => return Err(Reason::LinkLost.into()),
            }
            event.iter().for_each(&mut on_event);
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        if let Poll::Ready(event) = self.transfer.poll_event(cx) {
            return Poll::Ready(Step::Event(event));
        }
        let Some(pump) = &mut self.pump else {
            return Poll::Pending;
        };
        let result = ready!(pump.poll(&self.transfer, cx));
        Poll::Ready(Step::Read(result))
    }
}

/// The file, to be read more than once if need be.
struct Original {
    source: Option<Source>,
    path: std::path::PathBuf,
    size: u64,
    modified: Option<std::time::SystemTime>,
    sha256: bool,
}

impl Original {
    fn of(source: Source, sha256: bool) -> Self {
        Self {
            path: source.path().to_owned(),
            size: source.size(),
            modified: source.modified(),
            source: Some(source),
            sha256,
        }
    }

    /// Begins to read the range, from the start of it each time.
    async fn pump(&mut self, range: Range) -> Result<Pump, SourceError> {
        let source = self.source.take();
        let (path, size, modified) = (self.path.clone(), self.size, self.modified);
        let sha256 = self.sha256;
        let reading = crate::threads::blocking(move || {
            let source = match source {
                Some(source) => source,
                None => Source::open(&path)?,
            };
            if source.size() != size || source.modified() != modified {
                return Err(SourceError::Changed(path));
            }
            source.read_from(range.offset.unwrap_or(0), range.length, sha256)
        })
        .await?;
        Ok(Pump::start(reading))
    }
}

enum Piece {
    Octets(Bytes),
    End(Result<Option<[u8; 32]>, SourceError>),
}

/// Reads a file ahead on a thread that may block, and hands the octets to the transfer.
struct Pump {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
}

impl Pump {
    fn start(mut reading: Reading) -> Self {
        let (sender, pieces) = mpsc::channel(AHEAD);
        spawn_blocking(move || {
            loop {
                let most = usize::try_from(reading.left()).map_or(PIECE, |left| left.min(PIECE));
                let mut piece = BytesMut::zeroed(most);
                let last = match reading.read(&mut piece) {
                    Ok(0) => Piece::End(reading.finish()),
                    Ok(n) => {
                        piece.truncate(n);
                        // Nobody takes it when the transfer is over.
                        if sender.blocking_send(Piece::Octets(piece.freeze())).is_err() {
                            return;
                        }
                        continue;
                    }
                    Err(error) => Piece::End(Err(error)),
                };
                let _ = sender.blocking_send(last);
                return;
            }
        });
        Self {
            pieces,
            current: Bytes::new(),
        }
    }

    /// Moves octets until all are moved.
    fn poll(
        &mut self,
        transfer: &Transfer,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<[u8; 32]>, SourceError>> {
        loop {
            match ready!(transfer.poll_write(cx, &mut self.current)) {
                Ok(()) => {}
                // An event tells what became of the stream.
                Err(WriteError::NotEstablished | WriteError::Over | WriteError::Finished) => {
                    return Poll::Pending;
                }
            }
            match ready!(self.pieces.poll_recv(cx)) {
                Some(Piece::Octets(octets)) => self.current = octets,
                Some(Piece::End(result)) => return Poll::Ready(result),
                None => return Poll::Pending,
            }
        }
    }
}
