//! Receives a file.

use crate::disk::Disk;
use crate::endpoint::{Offer, Transfer};
use crate::file::{Incoming, Keep, PIECE, Partial, Store, StoreError, Stored, parse_date};
use bytes::Bytes;
use bytestreams_stanza::{Range, Sid};
use bytestreams_transfer::{Event, Incomplete, Method, Reason, Via, safe_name};
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;

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

/// Accepts an offer and receives the file into a directory, under a name that no other file has.
///
/// The peer learns that its file arrived only after it is synced, checked and in its place.
/// `on_event` hears every event of the transfer but the last. Dropping the future cancels the
/// transfer towards the peer; what came is kept where `resume` says so, and removed otherwise. When
/// the same account offers the same file again and that is received into the same [`Store`], this
/// one ends and leaves what it has to the new one.
///
/// # Errors
/// A file that cannot be stored, and every way in which a transfer fails. What came is then kept or
/// removed likewise.
pub async fn receive_file(
    offer: Offer,
    store: &Store,
    how: &ReceiveFile,
    mut on_event: impl FnMut(&Event),
) -> Result<Received, ReceiveError> {
    let sid = offer.sid().clone();
    let takes_range = offer.takes_range();
    if let (Some(size), Some(most)) = (offer.file().size, how.max_size)
        && size > most
    {
        offer.decline(Some("the file is too large"));
        return Err(StoreError::TooLarge { most }.into());
    }
    let partial = match begin(&offer, store, how).await {
        Ok(partial) => partial,
        Err(error) => {
            offer.decline(Some(&words(&error)));
            return Err(error.into());
        }
    };
    let offset = partial.offset();
    let range = Range {
        offset: (offset > 0 && takes_range).then_some(offset),
        length: None,
    };
    let transfer = offer.accept(range)?;
    let receiving = Receiving {
        sid,
        offset,
        disk: Disk::start(partial, &transfer),
        transfer,
        blocks: Vec::new(),
        reads: Reads::InBand,
        method: Method::Ibb,
        via: Via::Ibb,
        began: tokio::time::Instant::now(),
        octets: 0,
    };
    receiving.run(&mut on_event).await
}

async fn begin(offer: &Offer, store: &Store, how: &ReceiveFile) -> Result<Partial, StoreError> {
    let store = store.clone();
    let (file, from) = (offer.file().clone(), offer.from().bare());
    let sid = offer.sid().clone();
    let how = how.clone();
    crate::threads::blocking(move || {
        let given = file.name.as_deref().unwrap_or(sid.as_str());
        let name = how.name.unwrap_or_else(|| safe_name(given));
        let incoming = Incoming {
            from: from.as_str(),
            name: &name,
            size: file.size,
            md5: file.hash,
            modified: file.date.as_deref().and_then(parse_date),
        };
        let keep = Keep {
            resume: how.resume && file.range.is_some(),
            sha256: how.sha256,
            max_size: how.max_size,
            unsynced: how.unsynced,
        };
        store.begin(&incoming, keep)
    })
    .await
}

/// What the peer is told: nothing about our paths.
fn words(error: &StoreError) -> String {
    if let StoreError::Full { .. } = error {
        "no room for the file".into()
    } else {
        "the file cannot be stored".into()
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the rest is told in words")]
fn incomplete(error: &StoreError) -> Incomplete {
    match error {
        StoreError::Full { .. } => Incomplete::NoSpace,
        StoreError::Hash => Incomplete::HashMismatch,
        _ => Incomplete::Other(words(error).as_str().into()),
    }
}

struct Receiving {
    sid: Sid,
    offset: u64,
    transfer: Transfer,
    disk: Disk,
    blocks: Vec<Bytes>,
    reads: Reads,
    method: Method,
    via: Via,
    began: tokio::time::Instant,
    octets: u64,
}

/// Where octets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    InBand,
    Socket,
    /// The peer has sent all by it, and all of it is with the disk.
    SocketEnded,
    /// From nowhere any more.
    All,
}

#[expect(
    clippy::large_enum_variant,
    reason = "it lives for a moment on the stack, and events are many"
)]
enum Step {
    Event(Option<Event>),
    /// The peer has sent all, and all of it is with the disk.
    AllRead,
    /// The disk takes no more.
    Stopped,
    /// Another transfer goes on with the file.
    Superseded,
}

impl Receiving {
    async fn run(mut self, on_event: &mut impl FnMut(&Event)) -> Result<Received, ReceiveError> {
        let mut in_place = None;
        loop {
            let event = match poll_fn(|cx| self.poll_step(cx)).await {
                Step::Event(event) => event,
                Step::Superseded => {
                    self.transfer.cancel();
                    self.disk.stop(None).await;
                    return Err(ReceiveError::Superseded);
                }
                Step::AllRead | Step::Stopped => {
                    self.reads = Reads::All;
                    match self.disk.finish().await {
                        Ok(stored) => {
                            in_place = Some(stored);
                            // A transfer that is over tells so by an event.
                            let _ = self.transfer.completed(Ok(()));
                        }
                        Err(error) => {
                            let _ = self.transfer.completed(Err(incomplete(&error)));
                            self.drain(on_event).await;
                            return Err(error.into());
                        }
                    }
                    continue;
                }
            };
            match &event {
                Some(Event::Accepted { method, .. }) => self.method = *method,
                Some(Event::Established { method, conn, .. }) => {
                    self.method = *method;
                    self.via = self.transfer.via().unwrap_or(self.via);
                    self.began = tokio::time::Instant::now();
                    if conn.is_some() {
                        self.reads = Reads::Socket;
                    }
                    if let Some(socket) = self.transfer.take_socket() {
                        self.disk.pull(socket, &self.transfer);
                    }
                }
                Some(Event::Ended { .. }) if self.reads == Reads::Socket => {
                    self.reads = Reads::SocketEnded;
                }
                Some(Event::FellBack { .. }) => self.disk.rewind(),
                Some(Event::Progress { octets, .. }) => self.octets = *octets,
                Some(Event::Done { .. }) => {
                    let stored = in_place.ok_or(Reason::LinkLost)?;
                    return Ok(self.received(stored));
                }
                Some(Event::Failed { reason, .. }) => {
                    let reason = reason.clone();
                    // Whole and in its place is whole, whatever the peer still does.
                    if let Some(stored) = in_place {
                        return Ok(self.received(stored));
                    }
                    self.disk.stop(Some(&reason)).await;
                    return Err(reason.into());
                }
                Some(_) => {}
                None => return Err(Reason::LinkLost.into()),
            }
            event.iter().for_each(&mut *on_event);
        }
    }

    fn received(self, file: Stored) -> Received {
        Received {
            sid: self.sid,
            file,
            octets: self.octets,
            offset: self.offset,
            method: self.method,
            via: self.via,
            took: self.began.elapsed(),
        }
    }

    /// Hears the transfer out.
    async fn drain(&mut self, on_event: &mut impl FnMut(&Event)) {
        while let Some(event) = self.transfer.next().await {
            if let Event::Failed { .. } | Event::Done { .. } = event {
                return;
            }
            on_event(&event);
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        if let Poll::Ready(event) = self.transfer.poll_event(cx) {
            return Poll::Ready(Step::Event(event));
        }
        if self.reads != Reads::All && self.disk.poll_wanted(cx).is_ready() {
            return Poll::Ready(Step::Superseded);
        }
        match self.reads {
            Reads::InBand => self.poll_blocks(cx),
            // An event tells what became of it.
            Reads::Socket => match self.disk.poll_pulled(&self.transfer, cx) {
                Poll::Ready(false) => Poll::Ready(Step::Stopped),
                Poll::Ready(true) | Poll::Pending => Poll::Pending,
            },
            Reads::SocketEnded => Poll::Ready(Step::AllRead),
            Reads::All => Poll::Pending,
        }
    }

    /// Hands blocks to the disk as long as there are any.
    fn poll_blocks(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            match self.disk.poll_ready(cx) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(Step::Stopped),
                Poll::Pending => return Poll::Pending,
            }
            match self.transfer.poll_read(cx, &mut self.blocks, PIECE) {
                Poll::Ready(Ok(())) if self.blocks.is_empty() => {
                    return Poll::Ready(Step::AllRead);
                }
                Poll::Ready(Ok(())) => self.disk.put(&mut self.blocks),
                // An event tells.
                Poll::Ready(Err(_)) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}
