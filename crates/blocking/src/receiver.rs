//! Receives a file.

use crate::endpoint::{Canceller, Offer, Step, Transfer};
use crate::file::exchange::{
    Course, ReceiveError, ReceiveFile, Received, conn_end, incomplete, is_spoilt, words,
};
use crate::file::haul::{self, Broken};
use crate::file::{PIECE, Partial, Store, StoreError, Stored, Wanted};
use crate::sender::joined;
use bytes::Bytes;
use bytestreams_stanza::{Range, Sid};
use bytestreams_transfer::{Event, Reason};
use core::fmt;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Waker};
use std::net::TcpStream;
use std::sync::Arc;
use std::task::Wake;
use std::thread::JoinHandle;

/// Accepts an offer and receives the file into a directory, under a name that no other file has.
///
/// The peer learns that its file arrived only after it is synced, checked and in its place.
/// `on_event` hears every event of the transfer but the last. To cancel it from another thread, use
/// [`accept_file`]. When the same account offers the same file again and that is received into the
/// same [`Store`], this one ends and leaves what it has to the new one.
///
/// # Errors
/// A file that cannot be stored, and every way in which a transfer fails. What came is kept where
/// `resume` says so, and removed otherwise.
pub fn receive_file(
    offer: Offer,
    store: &Store,
    how: &ReceiveFile,
    on_event: impl FnMut(&Event),
) -> Result<Received, ReceiveError> {
    accept_file(offer, store, how)?.run(on_event)
}

/// Accepts an offer as [`receive_file`] does, for callers that need to cancel it. [`Receiving::run`]
/// does the rest.
///
/// # Errors
/// A file that cannot be stored: the offer is declined. An offer that was withdrawn.
pub fn accept_file(
    offer: Offer,
    store: &Store,
    how: &ReceiveFile,
) -> Result<Receiving, ReceiveError> {
    let partial = match how.begin(store, offer.from(), offer.sid(), offer.file()) {
        Ok(partial) => partial,
        Err(error) => {
            offer.decline(Some(words(&error)));
            return Err(error.into());
        }
    };
    let offset = partial.offset();
    let range = Range {
        offset: (offset > 0 && offer.takes_range()).then_some(offset),
        length: None,
    };
    let course = Course::new(Some(offer.sid().clone()));
    let transfer = offer.accept(range)?;
    let wanted = hear(partial.wanted(), &transfer);
    Ok(Receiving {
        transfer,
        course,
        _wanted: wanted,
        place: Place::Here(partial),
        reads: Reads::InBand,
        blocks: Vec::new(),
    })
}

/// A file that is being received. Dropping it cancels the transfer towards the peer.
pub struct Receiving {
    transfer: Transfer,
    course: Course,
    _wanted: Wanted,
    place: Place,
    reads: Reads,
    blocks: Vec<Bytes>,
}

/// Where the file is.
#[expect(clippy::large_enum_variant, reason = "there is one a transfer")]
enum Place {
    /// With this thread.
    Here(Partial),
    /// With one that fills it from the socket.
    Away(JoinHandle<(Partial, Hauled)>),
    /// Under its name.
    Stored(Stored),
    /// Nowhere: it failed.
    Gone,
}

type Hauled = Result<TcpStream, Broken<StoreError>>;

/// Where octets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    InBand,
    Socket,
    /// From nowhere any more.
    All,
}

impl fmt::Debug for Receiving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving")
            .field("transfer", &self.transfer)
            .finish_non_exhaustive()
    }
}

impl Receiving {
    /// The stream.
    pub fn sid(&self) -> Option<&Sid> {
        self.course.sid()
    }

    /// Makes a handle that can end the transfer while this one runs.
    pub fn canceller(&self) -> Canceller {
        self.transfer.canceller()
    }

    /// Receives the file, and answers when it is in its place. `on_event` hears every event of the
    /// transfer but the last.
    ///
    /// # Errors
    /// Those of [`receive_file`].
    #[expect(clippy::wildcard_enum_match_arm, reason = "others change nothing here")]
    pub fn run(mut self, mut on_event: impl FnMut(&Event)) -> Result<Received, ReceiveError> {
        loop {
            let event = match self.step()? {
                Step::Event(event) => event.ok_or(Reason::LinkLost)?,
                Step::Work => {
                    if let Err(error) = self.work() {
                        return Err(self.fail(error, &mut on_event));
                    }
                    continue;
                }
            };
            self.course.note(&event);
            match &event {
                Event::Established { conn, .. } => {
                    self.course.established(None, self.transfer.via());
                    if conn.is_some() {
                        self.pull();
                    }
                }
                Event::Ended { .. } if self.reads == Reads::Socket => {
                    if let Err(error) = self.put_in_place() {
                        return Err(self.fail(error, &mut on_event));
                    }
                }
                Event::FellBack { .. } => {
                    if let Err(error) = self.rewind() {
                        return Err(self.fail(error, &mut on_event));
                    }
                }
                Event::Done { .. } => return self.received(Reason::LinkLost),
                Event::Failed { reason, .. } => return self.received(reason.clone()),
                _ => {}
            }
            on_event(&event);
        }
    }

    /// Waits for an event or for octets, which are then in `blocks`.
    fn step(&mut self) -> Result<Step, ReceiveError> {
        let Self {
            transfer,
            reads,
            blocks,
            ..
        } = self;
        let mut wanted = false;
        let step = transfer.step(|ground| {
            wanted = ground.slot.own.wanted && *reads != Reads::All;
            match reads {
                _ if wanted => true,
                Reads::All => false,
                Reads::Socket => core::mem::take(&mut ground.slot.own.hauled),
                Reads::InBand => {
                    let mut octets = 0;
                    let mut ended = false;
                    while octets < PIECE && !ended {
                        match ground.read() {
                            Some(Ok(Some(block))) => {
                                octets += block.len();
                                blocks.push(block);
                            }
                            Some(Ok(None)) => ended = true,
                            // An event tells.
                            Some(Err(_)) | None => break,
                        }
                    }
                    ended || !blocks.is_empty()
                }
            }
        });
        if wanted && matches!(step, Step::Work) {
            self.transfer.cancel();
            self.leave(None);
            return Err(ReceiveError::Superseded);
        }
        Ok(step)
    }

    /// Stores what came.
    fn work(&mut self) -> Result<(), StoreError> {
        match core::mem::replace(&mut self.place, Place::Gone) {
            Place::Here(mut partial) => {
                let mut octets = 0;
                for block in self.blocks.drain(..) {
                    partial.write(&block)?;
                    octets += block.len();
                }
                // An acknowledged octet outlives this process, and the last is that of a whole file.
                partial.flush()?;
                partial.check_if_whole()?;
                self.place = Place::Here(partial);
                if octets == 0 {
                    return self.put_in_place();
                }
                self.transfer.stored(octets);
                Ok(())
            }
            Place::Away(thread) => {
                let (partial, result) = joined(thread);
                self.place = Place::Here(partial);
                match result {
                    // The leash stays: an end in order would say that the file is kept.
                    Ok(_stream) => {
                        self.transfer.ended(Ok(()));
                        Ok(())
                    }
                    Err(Broken::Conn(error)) => {
                        self.transfer.ended(Err(conn_end(&error)));
                        Ok(())
                    }
                    Err(Broken::File(error)) => Err(error),
                    // An event tells why.
                    Err(Broken::Stopped) => Ok(()),
                }
            }
            other @ (Place::Stored(_) | Place::Gone) => {
                self.place = other;
                Ok(())
            }
        }
    }

    fn put_in_place(&mut self) -> Result<(), StoreError> {
        self.reads = Reads::All;
        if let Place::Here(partial) = core::mem::replace(&mut self.place, Place::Gone) {
            self.place = Place::Stored(partial.finish()?);
            // A transfer that is over tells so by an event.
            let _ = self.transfer.completed(Ok(()));
        }
        Ok(())
    }

    /// Has a thread store everything that comes by the socket.
    fn pull(&mut self) {
        self.reads = Reads::Socket;
        // Without one, an event tells what became of it.
        let Some(line) = self.transfer.take_line() else {
            return;
        };
        match core::mem::replace(&mut self.place, Place::Gone) {
            Place::Here(mut partial) => {
                let done = self.transfer.hauled();
                self.place = Place::Away(std::thread::spawn(move || {
                    let result = haul::receive(line, &mut partial);
                    done();
                    (partial, result)
                }));
            }
            other @ (Place::Away(_) | Place::Stored(_) | Place::Gone) => self.place = other,
        }
    }

    /// Takes the file back from the thread that fills it.
    fn take_back(&mut self) {
        match core::mem::replace(&mut self.place, Place::Gone) {
            Place::Away(thread) => {
                self.transfer.abandon();
                self.place = Place::Here(joined(thread).0);
                self.transfer.forget_hauled();
            }
            other @ (Place::Here(_) | Place::Stored(_) | Place::Gone) => self.place = other,
        }
    }

    fn rewind(&mut self) -> Result<(), StoreError> {
        self.take_back();
        self.reads = Reads::InBand;
        self.blocks.clear();
        match &mut self.place {
            Place::Here(partial) => partial.rewind(),
            Place::Away(_) | Place::Stored(_) | Place::Gone => Ok(()),
        }
    }

    /// Ends with what could not be stored, and hears the transfer out.
    fn fail(&mut self, error: StoreError, on_event: &mut impl FnMut(&Event)) -> ReceiveError {
        let _ = self.transfer.completed(Err(incomplete(&error)));
        while let Some(event) = self.transfer.next() {
            if let Event::Failed { .. } | Event::Done { .. } = event {
                break;
            }
            on_event(&event);
        }
        error.into()
    }

    /// Ends with the file, if it is in its place: whole is whole, whatever the peer still does.
    fn received(mut self, reason: Reason) -> Result<Received, ReceiveError> {
        match core::mem::replace(&mut self.place, Place::Gone) {
            Place::Stored(stored) => {
                let course = core::mem::replace(&mut self.course, Course::new(None));
                Ok(course.received(stored)?)
            }
            other @ (Place::Here(_) | Place::Away(_) | Place::Gone) => {
                self.place = other;
                self.leave(Some(&reason));
                Err(reason.into())
            }
        }
    }

    /// Leaves the file unfinished: what there is is kept where it can be resumed, unless it is not
    /// to be trusted.
    fn leave(&mut self, reason: Option<&Reason>) {
        self.take_back();
        if let Place::Here(partial) = core::mem::replace(&mut self.place, Place::Gone) {
            if reason.is_some_and(is_spoilt) {
                partial.discard();
            } else {
                // The transfer has failed already, for a reason that matters more.
                let _ = partial.stop();
            }
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.leave(None);
    }
}

/// Has the thread of the transfer learn that another wants its file.
fn hear(mut wanted: Wanted, transfer: &Transfer) -> Wanted {
    struct Call<F>(F);
    impl<F: Fn() + Send + Sync + 'static> Wake for Call<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }
    }
    let waker = Waker::from(Arc::new(Call(transfer.wanted())));
    if pin!(&mut wanted)
        .poll(&mut Context::from_waker(&waker))
        .is_ready()
    {
        waker.wake();
    }
    wanted
}
