//! What it takes to send and to receive a file by a transfer, and what comes of it: the parts that
//! are the same over every runtime.

use crate::{Incoming, Keep, Partial, Source, SourceError, Store, StoreError, Stored, format_date};
use crate::{Reading, parse_date};
use bytestreams_stanza::{File, Jid, Range, Sid};
use bytestreams_transfer::{ConnEnd, Event, Incomplete, Method, Options, Reason, Via, safe_name};
use core::fmt;
use core::time::Duration;
use std::io;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

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

impl SendFile {
    /// Describes a file for the offer.
    ///
    /// # Errors
    /// A file that cannot be read for its hash.
    pub fn describe(&self, source: &mut Source) -> Result<File, SourceError> {
        let hash = if self.resumable {
            Some(source.md5()?)
        } else {
            None
        };
        let name = self.name.as_deref().unwrap_or_else(|| source.name());
        Ok(File {
            name: Some(name.into()),
            size: Some(source.size()),
            hash,
            date: source
                .modified()
                .and_then(format_date)
                .map(|date| date.as_str().into()),
            desc: self.description.as_deref().map(Into::into),
            range: Some(Range::default()),
        })
    }
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

/// How to receive a file.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReceiveFile {
    /// The name to store it under, one plain component; that of the offer, made safe, without it,
    /// or the stream's where there was no offer.
    pub name: Option<String>,
    /// Whether to go on from what an earlier attempt left, and to leave what this one gets when it
    /// fails. It takes an offer with a hash.
    pub resume: bool,
    /// Whether to compute the SHA-256.
    pub sha256: bool,
    /// How many octets are taken at most where no size is declared.
    pub max_size: Option<u64>,
    /// Whether to leave it to the system when the file reaches the disk: faster, and what the peer
    /// was told to be stored may still be lost with the machine's power.
    pub unsynced: bool,
}

impl ReceiveFile {
    /// Makes or finds the partial file for what `from` offers.
    ///
    /// # Errors
    /// A file that is too large or that cannot be stored. What the peer may know of it is
    /// [`words`].
    pub fn begin(
        &self,
        store: &Store,
        from: &Jid,
        sid: &Sid,
        file: &File,
    ) -> Result<Partial, StoreError> {
        let most = self.max_size.unwrap_or(u64::MAX);
        if file.size.is_some_and(|size| size > most) {
            return Err(StoreError::TooLarge { most });
        }
        let given = file.name.as_deref().unwrap_or(sid.as_str());
        let name = self.name.clone().unwrap_or_else(|| safe_name(given));
        let account = from.bare();
        let incoming = Incoming {
            from: account.as_str(),
            name: &name,
            size: file.size,
            md5: file.hash,
            modified: file.date.as_deref().and_then(parse_date),
        };
        let keep = Keep {
            resume: self.resume && file.range.is_some(),
            sha256: self.sha256,
            max_size: self.max_size,
            unsynced: self.unsynced,
        };
        store.begin(&incoming, keep)
    }
}

/// A file that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// The stream.
    pub sid: Sid,
    /// The file in its place.
    pub file: Stored,
    /// The octets that travelled.
    pub octets: u64,
    /// Where in the file they began: what was here already.
    pub offset: u64,
    /// How they travelled.
    pub method: Method,
    /// Which way they took.
    pub via: Via,
    /// How long it took, from the moment octets could travel.
    pub took: Duration,
}

/// Why a file was not received.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReceiveError {
    /// It could not be stored.
    Store(StoreError),
    /// The transfer failed.
    Transfer(Reason),
    /// The same file was offered again, as by a sender that was killed, and the new transfer goes on
    /// with what this one had.
    Superseded,
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Transfer(reason) => reason.fmt(f),
            Self::Superseded => f.write_str("its sender offered the file again"),
        }
    }
}

impl core::error::Error for ReceiveError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Transfer(reason) => Some(reason),
            Self::Superseded => None,
        }
    }
}

impl From<StoreError> for ReceiveError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Reason> for ReceiveError {
    fn from(reason: Reason) -> Self {
        Self::Transfer(reason)
    }
}

/// What the peer is told of an error of ours: nothing about our paths.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest is of this machine"
)]
pub fn words(error: &StoreError) -> &'static str {
    match error {
        StoreError::Full { .. } => "no room for the file",
        StoreError::TooLarge { .. } => "the file is too large",
        _ => "the file cannot be stored",
    }
}

/// What the transfer is told of an error of ours.
#[expect(clippy::wildcard_enum_match_arm, reason = "the rest is told in words")]
pub fn incomplete(error: &StoreError) -> Incomplete {
    match error {
        StoreError::Full { .. } => Incomplete::NoSpace,
        StoreError::Hash => Incomplete::HashMismatch,
        _ => Incomplete::Other(words(error).into()),
    }
}

/// Says whether what came of a transfer that failed is not to be trusted: what a peer sent that
/// ignores ranges does not belong behind the offset.
pub const fn is_spoilt(reason: &Reason) -> bool {
    matches!(reason, Reason::RangeIgnored { .. } | Reason::TooLong { .. })
}

/// Says what became of a connection.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else goes wrong, it broke"
)]
pub fn conn_end(error: &io::Error) -> ConnEnd {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, WriteZero};
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | WriteZero => ConnEnd::Reset,
        TimedOut => ConnEnd::TimedOut,
        _ => ConnEnd::Broken,
    }
}

/// What is known of a transfer on its way.
#[derive(Clone, Debug)]
pub struct Course {
    sid: Option<Sid>,
    range: Range,
    method: Method,
    via: Via,
    octets: u64,
    began: Instant,
}

impl Course {
    /// Begins with the stream as it is named so far.
    pub fn new(sid: Option<Sid>) -> Self {
        Self {
            sid,
            range: Range::default(),
            method: Method::Ibb,
            via: Via::Ibb,
            octets: 0,
            began: Instant::now(),
        }
    }

    /// Takes note of an event. At [`Event::Established`] say the stream's name as well.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other events change nothing here"
    )]
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Accepted { method, range, .. } => {
                self.method = *method;
                self.range = *range;
            }
            Event::Established { method, .. } => {
                self.method = *method;
                self.began = Instant::now();
            }
            Event::Progress { octets, .. } => self.octets = *octets,
            _ => {}
        }
    }

    /// Takes note of the stream and its way, once octets can travel.
    pub fn established(&mut self, sid: Option<Sid>, via: Option<Via>) {
        self.sid = sid.or_else(|| self.sid.take());
        self.via = via.unwrap_or(self.via);
    }

    /// The stream.
    pub const fn sid(&self) -> Option<&Sid> {
        self.sid.as_ref()
    }

    /// The part of the file that travels.
    pub const fn range(&self) -> Range {
        self.range
    }

    /// Ends as a file that was sent.
    ///
    /// # Errors
    /// A transfer that never began.
    pub fn sent(self, sha256: Option<[u8; 32]>) -> Result<Sent, Reason> {
        Ok(Sent {
            sid: self.sid.ok_or(Reason::LinkLost)?,
            octets: self.octets,
            offset: self.range.offset.unwrap_or(0),
            method: self.method,
            via: self.via,
            sha256,
            took: self.began.elapsed(),
        })
    }

    /// Ends as a file that was received and is in its place.
    ///
    /// # Errors
    /// A transfer that never began.
    pub fn received(self, file: Stored) -> Result<Received, Reason> {
        Ok(Received {
            sid: self.sid.ok_or(Reason::LinkLost)?,
            file,
            octets: self.octets,
            offset: self.range.offset.unwrap_or(0),
            method: self.method,
            via: self.via,
            took: self.began.elapsed(),
        })
    }
}

/// A file to be read more than once if need be: after each fall back again.
#[derive(Debug)]
pub struct Original {
    source: Option<Source>,
    path: PathBuf,
    size: u64,
    modified: Option<SystemTime>,
    sha256: bool,
}

impl Original {
    /// Takes a file, of which a SHA-256 is wanted or not.
    pub fn new(source: Source, sha256: bool) -> Self {
        Self {
            path: source.path().to_owned(),
            size: source.size(),
            modified: source.modified(),
            source: Some(source),
            sha256,
        }
    }

    /// Begins to read the range, from the start of it each time.
    ///
    /// # Errors
    /// A file that is another by now, and those of the file system.
    pub fn read(&mut self, range: Range) -> Result<Reading, SourceError> {
        let source = match self.source.take() {
            Some(source) => source,
            None => Source::open(&self.path)?,
        };
        if source.size() != self.size || source.modified() != self.modified {
            return Err(SourceError::Changed(self.path.clone()));
        }
        source.read_from(range.offset.unwrap_or(0), range.length, self.sha256)
    }
}
