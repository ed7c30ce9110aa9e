//! Sends a file.

use crate::endpoint::{Canceller, Endpoint, Step, Transfer};
use crate::file::exchange::{Course, Original, SendError, SendFile, Sent, conn_end};
use crate::file::haul::{self, Broken};
use crate::file::{Pieces, Reading, Source, SourceError};
use bytes::Bytes;
use bytestreams_stanza::{Jid, Sid};
use bytestreams_transfer::{Event, Reason};
use core::fmt;
use std::net::TcpStream;
use std::thread::JoinHandle;

/// Offers a file to a peer, waits for the answer, sends it, and answers when the peer has it all.
///
/// `on_event` hears every event of the transfer but the last. To cancel it from another thread, use
/// [`start_file`].
///
/// # Errors
/// A file that cannot be read or changes meanwhile, and every way in which a transfer fails:
/// [`Reason::Declined`] among them.
pub fn send_file(
    endpoint: &Endpoint,
    to: Jid,
    source: Source,
    how: &SendFile,
    on_event: impl FnMut(&Event),
) -> Result<Sent, SendError> {
    start_file(endpoint, to, source, how)?.run(on_event)
}

/// Offers a file to a peer, or opens the stream for it, as [`send_file`] does: for callers that
/// need to know the stream before its end, or to cancel it. [`Sending::run`] does the rest.
///
/// # Errors
/// A file that cannot be read.
pub fn start_file(
    endpoint: &Endpoint,
    to: Jid,
    mut source: Source,
    how: &SendFile,
) -> Result<Sending, SendError> {
    let transfer = if how.unannounced {
        endpoint.open(to, how.options.clone())
    } else {
        endpoint.offer(to, how.describe(&mut source)?, how.options.clone())
    };
    Ok(Sending {
        course: Course::new(transfer.sid()),
        transfer,
        source: Original::new(source, how.sha256),
        moving: Moving::Nothing,
        sha256: None,
    })
}

/// A file that is being sent. Dropping it cancels the transfer towards the peer.
pub struct Sending {
    transfer: Transfer,
    course: Course,
    source: Original,
    moving: Moving,
    sha256: Option<[u8; 32]>,
}

/// How the octets go.
#[expect(clippy::large_enum_variant, reason = "there is one a transfer")]
enum Moving {
    Nothing,
    /// With the piece that goes next.
    InBand(Pieces, Bytes),
    /// All is read.
    Last,
    BySocket(JoinHandle<Hauled>),
}

type Hauled = Result<(TcpStream, Option<[u8; 32]>), Broken<SourceError>>;

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("transfer", &self.transfer)
            .finish_non_exhaustive()
    }
}

impl Sending {
    /// The stream; `None` when the transfer could not even begin.
    pub fn sid(&self) -> Option<&Sid> {
        self.course.sid()
    }

    /// Makes a handle that can end the transfer while this one runs.
    pub fn canceller(&self) -> Canceller {
        self.transfer.canceller()
    }

    /// Waits for the answer, sends the file, and answers when the peer has it all. `on_event` hears
    /// every event of the transfer but the last.
    ///
    /// # Errors
    /// Those of [`send_file`].
    #[expect(clippy::wildcard_enum_match_arm, reason = "others change nothing here")]
    pub fn run(mut self, mut on_event: impl FnMut(&Event)) -> Result<Sent, SendError> {
        loop {
            let event = match self.step() {
                Step::Event(event) => event.ok_or(Reason::LinkLost)?,
                Step::Work => {
                    self.work()?;
                    continue;
                }
            };
            self.course.note(&event);
            match &event {
                Event::Established { conn, .. } => {
                    self.course
                        .established(self.transfer.sid(), self.transfer.via());
                    let reading = self.source.read(self.course.range())?;
                    self.moving = self.begin(reading, conn.is_some());
                }
                Event::FellBack { .. } => self.stop(),
                Event::Failed { reason, .. } => return Err(reason.clone().into()),
                Event::Done { .. } => return Ok(self.into_course().sent()?),
                _ => {}
            }
            on_event(&event);
        }
    }

    fn step(&mut self) -> Step {
        let Self {
            transfer, moving, ..
        } = self;
        transfer.step(|ground| match moving {
            Moving::Nothing => false,
            // An event tells what became of the stream, where it takes no more.
            Moving::InBand(_, piece) => ground.put(piece) == Ok(true),
            Moving::Last => matches!(ground.write(&mut Bytes::new()), Some(Ok(()))),
            Moving::BySocket(_) => core::mem::take(&mut ground.slot.own.hauled),
        })
    }

    /// Begins to move octets.
    fn begin(&mut self, reading: Reading, by_socket: bool) -> Moving {
        if !by_socket {
            return Moving::InBand(Pieces::new(reading), Bytes::new());
        }
        // Without one, an event tells what became of it.
        let Some(line) = self.transfer.take_line() else {
            return Moving::Nothing;
        };
        let done = self.transfer.hauled();
        Moving::BySocket(std::thread::spawn(move || {
            let result = haul::send(line, reading);
            done();
            result
        }))
    }

    /// Does what there is to do for this thread.
    fn work(&mut self) -> Result<(), SendError> {
        let result = match core::mem::replace(&mut self.moving, Moving::Nothing) {
            Moving::Nothing => return Ok(()),
            Moving::InBand(mut pieces, _) => match pieces.next() {
                Ok(Some(piece)) => {
                    self.moving = Moving::InBand(pieces, piece);
                    return Ok(());
                }
                Ok(None) => match pieces.finish() {
                    Ok(sha256) => {
                        self.sha256 = sha256;
                        self.moving = Moving::Last;
                        return Ok(());
                    }
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            },
            Moving::Last => Ok(self.sha256),
            Moving::BySocket(thread) => match joined(thread) {
                Ok((_stream, sha256)) => {
                    self.transfer.release();
                    Ok(sha256)
                }
                Err(Broken::File(error)) => Err(error),
                Err(Broken::Conn(error)) => {
                    self.transfer.ended(Err(conn_end(&error)));
                    return Ok(());
                }
                Err(Broken::Stopped) => return Ok(()),
            },
        };
        match result {
            Ok(sha256) => {
                self.sha256 = sha256;
                // A transfer that is over tells so by an event.
                let _ = self.transfer.finish();
                Ok(())
            }
            Err(error) => {
                self.transfer.cancel();
                Err(error.into())
            }
        }
    }

    /// Stops moving octets: they are void, or nobody wants them.
    fn stop(&mut self) {
        if let Moving::BySocket(thread) = core::mem::replace(&mut self.moving, Moving::Nothing) {
            self.transfer.abandon();
            // What it says is of the past.
            let _ = thread.join();
            self.transfer.forget_hauled();
        }
    }

    fn into_course(mut self) -> Ended {
        Ended(
            core::mem::replace(&mut self.course, Course::new(None)),
            self.sha256,
        )
    }
}

struct Ended(Course, Option<[u8; 32]>);

impl Ended {
    fn sent(self) -> Result<Sent, Reason> {
        self.0.sent(self.1)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits for a thread that is done; a panic there goes on here.
pub(crate) fn joined<T>(thread: JoinHandle<T>) -> T {
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
