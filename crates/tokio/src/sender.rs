//! Sends a file.

use crate::endpoint::{Endpoint, Socket, Transfer};
use crate::file::exchange::{Course, Original, SendError, SendFile, Sent, conn_end};
use crate::file::haul::{self, Broken};
use crate::file::{Reading, Source, SourceError};
use crate::haul::{Lent, lend};
use crate::pump::Pump;
use bytestreams_stanza::{Jid, Sid};
use bytestreams_transfer::{Event, Reason};
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, ready};
use std::net::TcpStream;
use tokio::task::{JoinHandle, spawn_blocking};

/// Offers a file to a peer, waits for the answer, sends it, and answers when the peer has it all.
///
/// `on_event` hears every event of the transfer but the last. Dropping the future cancels the
/// transfer towards the peer, at any await: before the answer nothing tells the peer, which finds out
/// when it accepts; behind the last octet the peer may have the file all the same.
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
    let transfer = if how.unannounced {
        endpoint.open(to, how.options.clone())
    } else {
        let describing = how.clone();
        let (file, read) = crate::threads::blocking(move || {
            let file = describing.describe(&mut source)?;
            Ok::<_, SourceError>((file, source))
        })
        .await?;
        source = read;
        endpoint.offer(to, file, how.options.clone())
    };
    Ok(Sending {
        course: Course::new(transfer.sid()),
        transfer,
        source: Some(Original::new(source, how.sha256)),
        moving: Moving::Nothing,
        sha256: None,
    })
}

/// A file that is being sent. Dropping it cancels the transfer towards the peer.
pub struct Sending {
    transfer: Transfer,
    course: Course,
    /// Absent while a thread opens it.
    source: Option<Original>,
    moving: Moving,
    sha256: Option<[u8; 32]>,
}

/// How the octets go.
enum Moving {
    Nothing,
    InBand(Pump),
    BySocket(JoinHandle<Hauled>, Lent),
}

type Hauled = Result<(TcpStream, Option<[u8; 32]>), Broken<SourceError>>;

enum Step {
    Event(Option<Event>),
    Read(Result<Option<[u8; 32]>, SourceError>),
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("course", &self.course)
            .finish_non_exhaustive()
    }
}

impl Sending {
    /// The stream; `None` when the transfer could not even begin.
    pub fn sid(&self) -> Option<&Sid> {
        self.course.sid()
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
            event.iter().for_each(|event| self.course.note(event));
            match &event {
                Some(Event::Established { conn, .. }) => {
                    let (sid, via) = (self.transfer.sid(), self.transfer.via());
                    self.course.established(sid, via);
                    let reading = self.read().await?;
                    self.moving = match self.transfer.take_socket() {
                        Some(socket) => self.haul(socket, reading),
                        None if conn.is_some() => Moving::Nothing,
                        None => Moving::InBand(Pump::start(reading)),
                    };
                }
                Some(Event::FellBack { .. }) => self.moving = Moving::Nothing,
                Some(Event::Failed { reason, .. }) => return Err(reason.clone().into()),
                Some(Event::Done { .. }) => return Ok(self.course.sent(self.sha256)?),
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

    /// Begins to read the part that is to travel.
    async fn read(&mut self) -> Result<Reading, SendError> {
        let range = self.course.range();
        let mut source = self.source.take().ok_or(Reason::LinkLost)?;
        let (source, reading) = crate::threads::blocking(move || {
            let reading = source.read(range);
            (source, reading)
        })
        .await;
        self.source = Some(source);
        Ok(reading?)
    }

    fn haul(&self, socket: Socket, reading: Reading) -> Moving {
        match lend(socket, &self.transfer) {
            Ok((to, lent)) => {
                let thread = spawn_blocking(move || haul::send(to, reading));
                Moving::BySocket(thread, lent)
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
            (Ok((socket, sha256)), Moving::BySocket(_, lent)) => {
                lent.give_back(socket, &self.transfer);
                Poll::Ready(Step::Read(Ok(sha256)))
            }
            (Err(Broken::File(error)), _) => Poll::Ready(Step::Read(Err(error))),
            (Err(Broken::Conn(error)), _) => {
                self.transfer.ended(Err(conn_end(&error)));
                Poll::Pending
            }
            _ => Poll::Pending,
        }
    }
}
