//! Receives a file.

use crate::disk::Disk;
use crate::endpoint::{Offer, Transfer};
use crate::file::exchange::{Course, ReceiveError, ReceiveFile, Received, incomplete, words};
use crate::file::{PIECE, Partial, Store, StoreError};
use bytes::Bytes;
use bytestreams_stanza::Range;
use bytestreams_transfer::{Event, Reason};
use core::future::poll_fn;
use core::task::{Context, Poll};

/// Accepts an offer and receives the file into a directory, under a name that no other file has.
///
/// The peer learns that its file arrived only after it is synced, checked and in its place.
/// `on_event` hears every event of the transfer but the last. Dropping the future cancels the
/// transfer towards the peer, and before the answer declines it; what came is kept where `resume` says
/// so, and removed otherwise, soon after, on the thread that writes. A file that is being put in its place
/// at that moment may get there all the same. When
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
    let course = Course::new(Some(offer.sid().clone()));
    let takes_range = offer.takes_range();
    let partial = match begin(&offer, store, how).await {
        Ok(partial) => partial,
        Err(error) => {
            offer.decline(Some(words(&error)));
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
        reads: Reads::InBand,
        course,
    };
    receiving.run(&mut on_event).await
}

async fn begin(offer: &Offer, store: &Store, how: &ReceiveFile) -> Result<Partial, StoreError> {
    let (store, how) = (store.clone(), how.clone());
    let (from, sid, file) = (
        offer.from().clone(),
        offer.sid().clone(),
        offer.file().clone(),
    );
    crate::threads::blocking(move || how.begin(&store, &from, &sid, &file)).await
}

struct Receiving {
    transfer: Transfer,
    disk: Disk,
    blocks: Vec<Bytes>,
    reads: Reads,
    course: Course,
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
            event.iter().for_each(|event| self.course.note(event));
            match &event {
                Some(Event::Established { conn, .. }) => {
                    let (sid, via) = (self.transfer.sid(), self.transfer.via());
                    self.course.established(sid, via);
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
                Some(Event::Done { .. }) => {
                    let stored = in_place.ok_or(Reason::LinkLost)?;
                    return Ok(self.course.received(stored)?);
                }
                Some(Event::Failed { reason, .. }) => {
                    let reason = reason.clone();
                    // Whole and in its place is whole, whatever the peer still does.
                    if let Some(stored) = in_place {
                        return Ok(self.course.received(stored)?);
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
