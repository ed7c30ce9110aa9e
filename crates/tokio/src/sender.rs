//! Sends a file.

use crate::endpoint::{Endpoint, Socket, Transfer};
use crate::file::{Reading, Source, SourceError, format_date};
use crate::haul::{self, Blocking, Broken, GivenBack, Leash};
use crate::pump::Pump;
use bytestreams_stanza::{File, Jid, Range, Sid};
use bytestreams_transfer::{Event, Method, Options, Reason, Via};
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use tokio::task::{JoinHandle, spawn_blocking};

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
    /// Which way they took.
    pub via: Via,
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
        via: Via::Ibb,
        moving: Moving::Nothing,
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
    via: Via,
    moving: Moving,
    sha256: Option<[u8; 32]>,
    began: tokio::time::Instant,
    octets: u64,
}

/// How the octets go.
enum Moving {
    Nothing,
    InBand(Pump),
    BySocket(JoinHandle<Hauled>, Leash),
}

type Hauled = Result<(GivenBack, Option<[u8; 32]>), Broken<SourceError>>;

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
                    self.moving = Moving::Nothing;
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
                Some(Event::Established { method, conn, .. }) => {
                    self.method = *method;
                    self.sid = self.transfer.sid().or(self.sid);
                    self.began = tokio::time::Instant::now();
                    self.via = self.transfer.via().unwrap_or(self.via);
                    let reading = self.source.read(self.range).await?;
                    self.moving = match self.transfer.take_socket() {
                        Some(socket) => self.haul(socket, reading),
                        None if conn.is_some() => Moving::Nothing,
                        None => Moving::InBand(Pump::start(reading)),
                    };
                }
                Some(Event::FellBack { .. }) => self.moving = Moving::Nothing,
                Some(Event::Progress { octets, .. }) => self.octets = *octets,
                Some(Event::Failed { reason, .. }) => return Err(reason.clone().into()),
                Some(Event::Done { .. }) => {
                    return Ok(Sent {
                        sid: self.sid.ok_or(Reason::LinkLost)?,
                        octets: self.octets,
                        offset: self.range.offset.unwrap_or(0),
                        method: self.method,
                        via: self.via,
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
        match &mut self.moving {
            Moving::Nothing => Poll::Pending,
            Moving::InBand(pump) => pump.poll(&mut self.transfer, cx).map(Step::Read),
            Moving::BySocket(thread, _) => {
                let result = ready!(pin!(crate::threads::joined(thread)).poll(cx));
                self.hauled(result)
            }
        }
    }

    fn haul(&self, socket: Socket, reading: Reading) -> Moving {
        match Blocking::new(socket, self.transfer.acknowledger()) {
            Ok((to, leash)) => {
                let thread = spawn_blocking(move || haul::send(to, reading));
                Moving::BySocket(thread, leash)
            }
            Err(end) => {
                self.transfer.ended(Err(end));
                Moving::Nothing
            }
        }
    }

    fn hauled(&mut self, result: Hauled) -> Poll<Step> {
        let moving = core::mem::replace(&mut self.moving, Moving::Nothing);
        match (result, moving) {
            (Ok((socket, sha256)), Moving::BySocket(_, leash)) => {
                socket.to(&self.transfer, leash);
                Poll::Ready(Step::Read(Ok(sha256)))
            }
            (Err(Broken::File(error)), _) => Poll::Ready(Step::Read(Err(error))),
            (Err(Broken::Conn(end)), _) => {
                self.transfer.ended(Err(end));
                Poll::Pending
            }
            _ => Poll::Pending,
        }
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
    async fn read(&mut self, range: Range) -> Result<Reading, SourceError> {
        let source = self.source.take();
        let (path, size, modified) = (self.path.clone(), self.size, self.modified);
        let sha256 = self.sha256;
        crate::threads::blocking(move || {
            let source = match source {
                Some(source) => source,
                None => Source::open(&path)?,
            };
            if source.size() != size || source.modified() != modified {
                return Err(SourceError::Changed(path));
            }
            source.read_from(range.offset.unwrap_or(0), range.length, sha256)
        })
        .await
    }
}
