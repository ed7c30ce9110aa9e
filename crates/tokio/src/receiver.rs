//! Receives a file.

use crate::endpoint::{Offer, Transfer};
use crate::file::{Incoming, Keep, Partial, Store, StoreError, Stored, parse_date};
use bytes::Bytes;
use bytestreams_stanza::{Range, Sid};
use bytestreams_transfer::{Event, Incomplete, Method, Reason, safe_name};
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

/// How much is handed to the disk at once at most.
const PIECE: usize = 256 * 1024;

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
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Transfer(reason) => reason.fmt(f),
        }
    }
}

impl core::error::Error for ReceiveError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Transfer(reason) => Some(reason),
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
/// transfer towards the peer; what came is kept where `resume` says so, and removed otherwise.
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
        disk: Disk::start(partial, &transfer),
        transfer,
        blocks: Vec::new(),
        all_read: false,
        method: Method::Ibb,
        began: tokio::time::Instant::now(),
        octets: 0,
    };
    let (file, octets, method, took) = receiving.run(&mut on_event).await?;
    Ok(Received {
        sid,
        file,
        octets,
        offset,
        method,
        took,
    })
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
    transfer: Transfer,
    disk: Disk,
    blocks: Vec<Bytes>,
    all_read: bool,
    method: Method,
    began: tokio::time::Instant,
    octets: u64,
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
}

type Outcome = (Stored, u64, Method, Duration);

impl Receiving {
    async fn run(mut self, on_event: &mut impl FnMut(&Event)) -> Result<Outcome, ReceiveError> {
        let mut in_place = None;
        loop {
            let event = match poll_fn(|cx| self.poll_step(cx)).await {
                Step::Event(event) => event,
                Step::AllRead | Step::Stopped => {
                    self.all_read = true;
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
                Some(Event::Established { method, .. }) => {
                    self.method = *method;
                    self.began = tokio::time::Instant::now();
                }
                Some(Event::FellBack { .. }) => self.disk.rewind(),
                Some(Event::Progress { octets, .. }) => self.octets = *octets,
                Some(Event::Done { .. }) => {
                    let took = self.began.elapsed();
                    return match in_place {
                        Some(stored) => Ok((stored, self.octets, self.method, took)),
                        None => Err(Reason::LinkLost.into()),
                    };
                }
                Some(Event::Failed { reason, .. }) => {
                    let reason = reason.clone();
                    // Whole and in its place is whole, whatever the peer still does.
                    if let Some(stored) = in_place {
                        return Ok((stored, self.octets, self.method, self.began.elapsed()));
                    }
                    self.disk.stop(&reason).await;
                    return Err(reason.into());
                }
                Some(_) => {}
                None => return Err(Reason::LinkLost.into()),
            }
            event.iter().for_each(&mut *on_event);
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
        while !self.all_read {
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
        Poll::Pending
    }
}

enum Job {
    Write(Vec<Bytes>),
    /// Back to where the transfer began.
    Rewind,
    Finish,
    Stop {
        discard: bool,
    },
}

/// Batches with the disk at a time.
const AHEAD: usize = 3;

/// Writes a file on a thread that may block, and acknowledges what is written.
struct Disk {
    jobs: mpsc::UnboundedSender<Job>,
    /// One for each batch written; ends when the thread does.
    written: mpsc::Receiver<()>,
    credit: usize,
    thread: JoinHandle<Result<Option<Stored>, StoreError>>,
}

impl Disk {
    fn start(mut partial: Partial, transfer: &Transfer) -> Self {
        let (jobs, mut todo) = mpsc::unbounded_channel();
        let (done, written) = mpsc::channel(AHEAD);
        let acknowledger = transfer.acknowledger();
        let thread = spawn_blocking(move || {
            while let Some(job) = todo.blocking_recv() {
                match job {
                    Job::Write(blocks) => {
                        let mut octets = 0;
                        for block in blocks {
                            partial.write(&block)?;
                            octets += block.len();
                        }
                        // An acknowledged octet outlives this process.
                        partial.flush()?;
                        acknowledger.stored(octets);
                        // The other side may have gone; the next job, if any, tells.
                        let _ = done.try_send(());
                    }
                    Job::Rewind => partial.rewind()?,
                    Job::Finish => return partial.finish().map(Some),
                    Job::Stop { discard: true } => {
                        partial.discard();
                        return Ok(None);
                    }
                    Job::Stop { discard: false } => {
                        partial.stop()?;
                        return Ok(None);
                    }
                }
            }
            // Dropped on the way: the file is kept or removed as it was to be.
            Ok(None)
        });
        Self {
            jobs,
            written,
            credit: AHEAD,
            thread,
        }
    }

    /// Ready when there is room for a batch; false when there never will be.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while let Poll::Ready(written) = self.written.poll_recv(cx) {
            if written.is_none() {
                return Poll::Ready(false);
            }
            self.credit += 1;
        }
        if self.credit > 0 {
            Poll::Ready(true)
        } else {
            Poll::Pending
        }
    }

    fn put(&mut self, blocks: &mut Vec<Bytes>) {
        self.credit -= 1;
        self.job(Job::Write(core::mem::take(blocks)));
    }

    fn rewind(&self) {
        self.job(Job::Rewind);
    }

    /// Hands over a job. A thread that has ended says why when it is joined.
    fn job(&self, job: Job) {
        let _ = self.jobs.send(job);
    }

    async fn finish(&mut self) -> Result<Stored, StoreError> {
        self.job(Job::Finish);
        match self.join().await {
            Ok(Some(stored)) => Ok(stored),
            Ok(None) => core::future::pending().await,
            Err(error) => Err(error),
        }
    }

    async fn stop(&mut self, reason: &Reason) {
        // What a peer sent that ignores ranges does not belong behind the offset.
        let discard = matches!(reason, Reason::RangeIgnored { .. } | Reason::TooLong { .. });
        self.job(Job::Stop { discard });
        // The transfer has failed already, for a reason that matters more.
        let _ = self.join().await;
    }

    async fn join(&mut self) -> Result<Option<Stored>, StoreError> {
        crate::threads::joined(&mut self.thread).await
    }
}
