//! Writes a file on a thread that may block.

use crate::endpoint::{Socket, Transfer};
use crate::file::exchange::{conn_end, is_spoilt};
use crate::file::haul::{self, Broken, Line};
use crate::file::{Partial, StoreError, Stored, Wanted};
use crate::haul::{Lent, lend};
use bytes::Bytes;
use bytestreams_transfer::{ConnEnd, Reason};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};

enum Job {
    Write(Vec<Bytes>),
    /// Back to where the transfer began.
    Rewind,
    /// From the socket, until all has come.
    Pull(Line, oneshot::Sender<Pulled>),
    Finish,
    Stop {
        discard: bool,
    },
}

/// Batches with the disk at a time.
const AHEAD: usize = 3;

/// Writes a file on a thread that may block, and acknowledges what is written.
pub(crate) struct Disk {
    jobs: mpsc::UnboundedSender<Job>,
    /// One for each batch written; ends when the thread does.
    written: mpsc::Receiver<()>,
    credit: usize,
    /// Someone else wants to go on with what is written here.
    wanted: Pin<Box<Wanted>>,
    pulling: Option<(oneshot::Receiver<Pulled>, Lent)>,
    thread: JoinHandle<Result<Option<Stored>, StoreError>>,
}

/// The socket from which all has come, as far as it came.
type Pulled = Result<TcpStream, ConnEnd>;

impl Disk {
    pub(crate) fn start(mut partial: Partial, transfer: &Transfer) -> Self {
        let (jobs, mut todo) = mpsc::unbounded_channel();
        let (done, written) = mpsc::channel(AHEAD);
        let acknowledger = transfer.acknowledger();
        let wanted = Box::pin(partial.wanted());
        let thread = spawn_blocking(move || {
            while let Some(job) = todo.blocking_recv() {
                match job {
                    Job::Write(blocks) => {
                        let mut octets = 0;
                        for block in blocks {
                            partial.write(&block)?;
                            octets += block.len();
                        }
                        // An acknowledged octet outlives this process, and the last is that of a
                        // whole file.
                        partial.flush()?;
                        partial.check_if_whole()?;
                        acknowledger.stored(octets);
                        // The other side may have gone; the next job, if any, tells.
                        let _ = done.try_send(());
                    }
                    Job::Rewind => partial.rewind()?,
                    Job::Pull(from, done) => {
                        let pulled = match haul::receive(from, &mut partial) {
                            Ok(socket) => Ok(socket),
                            Err(Broken::Conn(error)) => Err(conn_end(&error)),
                            Err(Broken::File(error)) => return Err(error),
                            // The next job says what for.
                            Err(Broken::Stopped) => continue,
                        };
                        // Likewise.
                        let _ = done.send(pulled);
                    }
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
            wanted,
            pulling: None,
            thread,
        }
    }

    /// Ready when another transfer wants to go on with what this one has.
    pub(crate) fn poll_wanted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.wanted.as_mut().poll(cx)
    }

    /// Ready when there is room for a batch; false when there never will be.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
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

    pub(crate) fn put(&mut self, blocks: &mut Vec<Bytes>) {
        self.credit -= 1;
        self.job(Job::Write(core::mem::take(blocks)));
    }

    /// Has everything written that comes by a socket.
    pub(crate) fn pull(&mut self, socket: Socket, transfer: &Transfer) {
        match lend(socket, transfer) {
            Ok((from, lent)) => {
                let (done, pulled) = oneshot::channel();
                self.pulling = Some((pulled, lent));
                self.job(Job::Pull(from, done));
            }
            Err(end) => transfer.ended(Err(end)),
        }
    }

    /// Ready when nothing more comes by the socket, which the transfer then knows, or with false
    /// when nothing more can be written.
    pub(crate) fn poll_pulled(&mut self, transfer: &Transfer, cx: &mut Context<'_>) -> Poll<bool> {
        let Some((pulled, _)) = &mut self.pulling else {
            return Poll::Pending;
        };
        let pulled = ready!(Pin::new(pulled).poll(cx));
        let Some((_, lent)) = self.pulling.take() else {
            return Poll::Pending;
        };
        match pulled {
            Ok(Ok(socket)) => {
                lent.give_back(socket, transfer);
                transfer.ended(Ok(()));
            }
            Ok(Err(end)) => transfer.ended(Err(end)),
            Err(_) => return Poll::Ready(false),
        }
        Poll::Ready(true)
    }

    pub(crate) fn rewind(&self) {
        self.job(Job::Rewind);
    }

    /// Hands over a job. A thread that has ended says why when it is joined.
    fn job(&self, job: Job) {
        let _ = self.jobs.send(job);
    }

    pub(crate) async fn finish(&mut self) -> Result<Stored, StoreError> {
        self.job(Job::Finish);
        match self.join().await {
            Ok(Some(stored)) => Ok(stored),
            Ok(None) => core::future::pending().await,
            Err(error) => Err(error),
        }
    }

    /// Ends it unfinished: what there is is kept where it can be resumed, unless it is not to be
    /// trusted.
    pub(crate) async fn stop(&mut self, reason: Option<&Reason>) {
        let discard = reason.is_some_and(is_spoilt);
        self.pulling = None;
        self.job(Job::Stop { discard });
        // The transfer has failed already, for a reason that matters more.
        let _ = self.join().await;
    }

    async fn join(&mut self) -> Result<Option<Stored>, StoreError> {
        crate::threads::joined(&mut self.thread).await
    }
}
