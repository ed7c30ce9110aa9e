//! One WebSocket: the machine between its messages and the disk.

use crate::Peer;
use crate::census::Counted;
use crate::disk::{Disk, Trouble, Upload};
use crate::event::{Event, Failure, UploadId};
use crate::linger::linger;
use crate::server::Shared;
use crate::socket::Carrier;
use crate::wire::{self, Clock};
use bytes::Bytes;
use bytestreams_file::Stored;
use bytestreams_stor::{Code, Credentials, End, Limits, Output, Refusal, Request, ServerEvent};
use bytestreams_transfer::safe_name;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::time::Duration;
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio_tungstenite::WebSocketStream;

/// How long a client may take to close once it is told why.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long a wrong password keeps a connection busy.
const WRONG: Duration = Duration::from_millis(500);

/// Octets of one upload that may wait for the disk, beside the block that came last.
const WAITING: usize = 512 << 10;

/// How long a thread stores before it looks who else wants something.
const TURN: Duration = Duration::from_millis(100);

/// What a thread is at for this upload.
type Job = Pin<Box<dyn Future<Output = Done> + Send>>;

enum Done {
    LoggedIn(bool),
    Begun(Result<Box<Upload>, Trouble>),
    Finished(Result<Stored, Trouble>),
}

pub(crate) struct Session<S> {
    ws: WebSocketStream<S>,
    machine: bytestreams_stor::Server,
    shared: Arc<Shared>,
    peer: Peer,
    clock: Clock,
    job: Option<Job>,
    upload: Option<Box<Upload>>,
    id: Option<UploadId>,
    began: Instant,
    /// What the log is told instead of what the client is told.
    trouble: Option<String>,
    login: Option<String>,
    /// One of the uploads at once.
    counted: Option<Counted>,
    oversized: bool,
    /// What the machine wants next, where it did not fit in before.
    next: Option<Output<ServerEvent>>,
    /// Something is said and may not be sent.
    dirty: bool,
}

/// What the machine wants of the driver beyond sending.
enum Then {
    GoOn,
    Close,
}

impl<S: Carrier> Session<S> {
    pub(crate) fn new(ws: WebSocketStream<S>, shared: Arc<Shared>, peer: Peer) -> Self {
        let clock = Clock::start();
        Self {
            ws,
            machine: bytestreams_stor::Server::new(shared.stor, clock.now()),
            shared,
            peer,
            clock,
            job: None,
            upload: None,
            id: None,
            began: Instant::now(),
            trouble: None,
            login: None,
            counted: None,
            oversized: false,
            next: None,
            dirty: false,
        }
    }

    pub(crate) async fn run(mut self: Box<Self>, mut stop: watch::Receiver<Phase>) {
        let mut patient = true;
        loop {
            match self.carry_out().await {
                Ok(Then::GoOn) => {}
                Ok(Then::Close) => break,
                Err(Lost) => {
                    self.machine
                        .handle_input(bytestreams_stor::Input::Closed, self.clock.now());
                    self.tell();
                    break;
                }
            }
            if self.upload.is_some()
                && let Some(block) = self.machine.read()
            {
                self = self.store(block).await;
                continue;
            }
            let deadline = self.clock.at(self.machine.poll_timeout());
            tokio::select! {
                done = async { self.job.as_mut()?.await.into() }, if self.job.is_some() => {
                    self.job = None;
                    if let Some(done) = done {
                        self.done(done);
                    }
                }
                came = self.ws.next(), if self.machine.is_ready() => self.came(came),
                () = tokio::time::sleep_until(deadline) => {
                    self.machine.handle_timeout(self.clock.now());
                }
                phase = next(&mut stop), if patient => {
                    if phase == Phase::Now || self.id.is_none() || self.machine.is_over() {
                        patient = false;
                        self.machine.stop();
                    }
                }
            }
        }
        let left = clean_up(
            self.job.take(),
            self.upload.take(),
            self.shared.disk.clone(),
        );
        self.counted = None;
        tokio::join!(left, self.farewell());
    }

    fn came(
        &mut self,
        came: Option<
            Result<tokio_tungstenite::tungstenite::Message, tokio_tungstenite::tungstenite::Error>,
        >,
    ) {
        if let Some(input) = wire::input(came) {
            self.oversized |= input == bytestreams_stor::Input::Oversized;
            self.machine.handle_input(input, self.clock.now());
        }
    }

    /// Carries out what the machine wants.
    async fn carry_out(&mut self) -> Result<Then, Lost> {
        while let Some(output) = self.output() {
            match output {
                Output::Send(message) => {
                    self.dirty = true;
                    self.send(wire::output(message), false).await?;
                }
                Output::Close(closing) => {
                    let sent = self.send(wire::closing(closing), true).await;
                    self.tell();
                    return sent.map(|()| Then::Close);
                }
                Output::Event(event) => self.event(event),
            }
        }
        if self.dirty {
            self.flush().await?;
            self.dirty = false;
        }
        Ok(if self.machine.is_over() {
            Then::Close
        } else {
            Then::GoOn
        })
    }

    /// Tells the events that are left.
    fn tell(&mut self) {
        while let Some(output) = self.output() {
            if let Output::Event(event) = output {
                self.event(event);
            }
        }
    }

    async fn send(
        &mut self,
        message: tokio_tungstenite::tungstenite::Message,
        flush: bool,
    ) -> Result<(), Lost> {
        let idle = self.shared.stor.idle;
        let sent = async {
            if flush {
                self.ws.send(message).await
            } else {
                self.ws.feed(message).await
            }
        };
        match tokio::time::timeout(idle, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Lost),
        }
    }

    async fn flush(&mut self) -> Result<(), Lost> {
        match tokio::time::timeout(self.shared.stor.idle, self.ws.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Lost),
        }
    }

    fn event(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Login(credentials) => self.log_in(credentials),
            ServerEvent::Request(request) => self.request(request),
            ServerEvent::Complete => {
                if let Some(upload) = self.upload.take() {
                    let disk = self.shared.disk.clone();
                    self.job = Some(Box::pin(async move {
                        Done::Finished(disk.finish(*upload).await)
                    }));
                }
            }
            ServerEvent::Ended(end) => self.ended(end),
            _ => {}
        }
    }

    fn log_in(&mut self, credentials: Credentials) {
        let Some(passwords) = self.shared.passwords.clone() else {
            // Nobody asked who it is.
            return self.machine.log_in(true, self.clock.now());
        };
        self.login = Some(credentials.login.clone());
        let turn = self.shared.logins.clone();
        self.job = Some(Box::pin(async move {
            let permit = turn.acquire_owned().await;
            let right = spawn_blocking(move || {
                let right = passwords.are_right(&credentials.login, &credentials.password);
                drop(permit);
                right
            });
            let right = right.await.unwrap_or(false);
            if !right {
                tokio::time::sleep(WRONG).await;
            }
            Done::LoggedIn(right)
        }));
    }

    fn request(&mut self, request: Request) {
        let id = self.shared.next_id();
        self.id = Some(id);
        self.began = Instant::now();
        (self.shared.tell)(Event::Requested {
            id,
            peer: self.peer.clone(),
            request: request.clone(),
        });
        let refuse = |why: String| Refusal::new(Code::Refused, why);
        if self.shared.is_stopping() {
            return self.machine.refuse(refuse("the server stops".into()));
        }
        let Some(counted) = self.shared.uploads.admit(Some(self.peer.addr)) else {
            let why = "too many uploads at once; try again later";
            return self.machine.refuse(refuse(why.into()));
        };
        self.counted = Some(counted);
        if let Some(decide) = &self.shared.decide
            && let Err(why) = (decide.0)(&request, &self.peer)
        {
            return self.machine.refuse(refuse(why));
        }
        let disk = self.shared.disk.clone();
        let name = safe_name(&request.name);
        let key = self.shared.key(id);
        self.job = Some(Box::pin(async move {
            let begun = disk.begin(key, name, request.size).await;
            Done::Begun(begun.map(Box::new))
        }));
    }

    /// Stores a block and those that come after it, on one thread that reads, writes and answers:
    /// what has just come is still in its processor's cache.
    async fn store(mut self: Box<Self>, first: Bytes) -> Box<Self> {
        let disk = self.shared.disk.clone();
        self.ws.get_mut().socket().leave();
        let mut session = disk
            .on_a_thread(move || {
                self.stores(first);
                self
            })
            .await;
        session.ws.get_mut().socket().join();
        session
    }

    fn stores(&mut self, first: Bytes) {
        let start = Instant::now();
        let (mut next, mut unsent) = (Some(first), 0);
        loop {
            while let Some(block) = next.take().or_else(|| self.machine.read()) {
                if let Err(trouble) = self.upload.as_mut().map_or(Ok(()), |to| to.write(&block)) {
                    self.upload = None;
                    self.trouble = Some(trouble.log);
                    return self.machine.refuse(trouble.refusal);
                }
                self.machine.stored(self.clock.now());
                unsent += 1;
            }
            if !self.answers() || !self.machine.is_ready() || start.elapsed() >= TURN {
                return;
            }
            if unsent >= usize::from(self.shared.stor.window.get() / 4) && self.flushed() {
                unsent = 0;
            }
            let came = match self.ws.next().now_or_never() {
                Some(came) => came,
                // Who waits for answers has them before it is waited for.
                None if !self.flushed() || self.shared.disk.is_busy() => return,
                None => match linger(&mut self.ws, false, |ws, cx| ws.poll_next_unpin(cx)) {
                    Some(came) => came,
                    None => return,
                },
            };
            self.came(came);
        }
    }

    /// Says answers, as long as nobody has to wait for it. Answers whether there is nothing else to
    /// carry out.
    fn answers(&mut self) -> bool {
        loop {
            let ready = poll_fn(|cx| self.ws.poll_ready_unpin(cx)).now_or_never();
            if ready.is_none_or(|ready| ready.is_err()) {
                return false;
            }
            match self.output() {
                Some(Output::Send(message)) => {
                    self.dirty = true;
                    if self.ws.start_send_unpin(wire::output(message)).is_err() {
                        return false;
                    }
                }
                other => {
                    self.next = other;
                    return self.next.is_none();
                }
            }
        }
    }

    /// Sends what is said, if nobody has to wait for it.
    fn flushed(&mut self) -> bool {
        if self.dirty {
            let sent = self.ws.flush().now_or_never();
            self.dirty = sent.is_none_or(|sent| sent.is_err());
        }
        !self.dirty
    }

    fn output(&mut self) -> Option<Output<ServerEvent>> {
        self.next.take().or_else(|| self.machine.poll_output())
    }

    fn done(&mut self, done: Done) {
        let now = self.clock.now();
        match done {
            Done::LoggedIn(right) => {
                if right {
                    self.peer.login = self.login.take();
                }
                self.machine.log_in(right, now);
            }
            Done::Begun(Ok(upload)) => {
                self.upload = Some(upload);
                self.machine.accept(now);
            }
            Done::Finished(Ok(stored)) => {
                let name = stored.path.file_name().unwrap_or_default();
                self.machine.complete(&name.to_string_lossy(), now);
                if let Some(id) = self.id {
                    (self.shared.tell)(Event::Stored {
                        id,
                        size: stored.size,
                        path: stored.path,
                        took: self.began.elapsed(),
                    });
                }
            }
            Done::Begun(Err(trouble)) | Done::Finished(Err(trouble)) => {
                self.trouble = Some(trouble.log);
                self.machine.refuse(trouble.refusal);
            }
        }
    }

    fn ended(&mut self, end: End) {
        let failure = match end {
            End::Complete => return,
            // Someone who looked in and left.
            End::Left | End::TimedOut | End::Stopped if self.id.is_none() => return,
            End::Fault(fault) => Failure::Fault(fault),
            End::Refused(refusal) => match self.trouble.take() {
                Some(log) => Failure::Storage(log),
                None => Failure::Refused(refusal.message),
            },
            End::Left => Failure::Left,
            End::TimedOut => Failure::TimedOut,
            _ => Failure::Stopped,
        };
        (self.shared.tell)(Event::Failed {
            id: self.id,
            peer: self.peer.clone(),
            failure,
        });
    }

    /// Waits for the client to close, so that it reads what was said last: a connection that is
    /// closed with octets unread is reset.
    async fn farewell(&mut self) {
        let _ = tokio::time::timeout(FAREWELL, async {
            if self.oversized {
                // The library cannot find the end of a message that it does not take.
                let _ = self.ws.flush().await;
                let stream = self.ws.get_mut();
                let _ = stream.shutdown().await;
                let mut waste = vec![0; 64 << 10];
                while stream.read(&mut waste).await.is_ok_and(|octets| octets > 0) {}
            } else {
                while let Some(Ok(_)) = self.ws.next().await {}
            }
        })
        .await;
    }
}

/// Removes what is left of a file that was not finished.
async fn clean_up(job: Option<Job>, upload: Option<Box<Upload>>, disk: Disk) {
    let left = match job {
        Some(job) => match job.await {
            Done::Begun(Ok(upload)) => Some(upload),
            _ => None,
        },
        None => None,
    };
    if let Some(upload) = left.or(upload) {
        disk.discard(*upload).await;
    }
}

/// The connection is gone, or the other side does not read.
struct Lost;

/// How the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// Uploads may come to their end; nothing begins.
    Ending,
    /// All is to end.
    Now,
}

async fn next(stop: &mut watch::Receiver<Phase>) -> Phase {
    if stop.changed().await.is_err() {
        return Phase::Now;
    }
    *stop.borrow_and_update()
}

/// The bounds of the machine that follow from those of the server.
pub(crate) fn limits(config: &crate::Config) -> Limits {
    let mut limits = Limits::default();
    limits.size = config.max_size.unwrap_or(u64::MAX);
    limits.block = config.bounds.block;
    limits.waiting = WAITING;
    limits
}
