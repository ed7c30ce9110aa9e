//! Relaying between two connections.

use super::copy::{self, Copied, Side, poll_copy, poll_discard};
use super::pipes::{self, Pipe, Pipes};
use bytes::{Buf, Bytes};
use core::fmt;
use core::future::Future;
use core::ops::Range;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;
use std::sync::Arc;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// The octets moved until every session has had its turn, about, were all of them busy.
const ROUND: usize = 64 << 20;

/// The bounds of a turn. A longer one wakes fewer threads, a shorter one keeps others waiting less.
const TURN: Range<usize> = 256 << 10..4 << 20;

/// The least that is copied at once towards a receiver that was slow.
const SPAN: usize = 64 << 10;

/// How long the octets of one direction are waited for after the other one broke.
const GRACE: Duration = Duration::from_secs(10);

/// What all relayed sessions share: the pipes, the limits, the count of octets.
///
/// Octets move in the kernel where the platform can (splice on Linux) through pipes that are lent
/// while octets move: a session that waits holds none. Where there is no pipe, they are copied,
/// and the session holds no memory for them either.
#[derive(Debug)]
pub struct Relays {
    pipes: Pipes,
    idle: Duration,
    octets: AtomicU64,
    sessions: AtomicUsize,
}

impl Relays {
    /// Makes an engine of at most `pipes` pipes of 1 MiB, which ends sessions that move nothing for
    /// `idle`. An unprivileged user of Linux has 64 such pipes by default, in all his programs.
    pub fn new(pipes: usize, idle: Duration) -> Arc<Self> {
        Arc::new(Self {
            pipes: Pipes::new(pipes),
            idle,
            octets: AtomicU64::new(0),
            sessions: AtomicUsize::new(0),
        })
    }

    /// How many octets were relayed so far, in both directions of all sessions.
    pub fn octets(&self) -> u64 {
        self.octets.load(Ordering::Relaxed)
    }

    /// How many octets of one direction are moved before other sessions get their turn.
    fn turn(&self) -> usize {
        let sessions = self.sessions.load(Ordering::Relaxed).max(1);
        (ROUND / sessions).clamp(TURN.start, TURN.end)
    }

    /// How many pipes are lent now.
    pub fn pipes(&self) -> usize {
        self.pipes.lent()
    }

    /// Relays between two connections until both directions have ended; `early` are octets that
    /// were read from each already. Dropping the future closes both.
    pub fn relay(self: &Arc<Self>, connections: [TcpStream; 2], early: [Bytes; 2]) -> Relay {
        for stream in &connections {
            // Slower without, but no less right.
            let _ = stream.set_nodelay(true);
        }
        self.sessions.fetch_add(1, Ordering::Relaxed);
        Relay {
            shared: self.clone(),
            streams: connections,
            ways: early.map(Way::new),
            last: Instant::now(),
            sleep: Box::pin(tokio::time::sleep(self.idle)),
            broken: None,
            grace: None,
        }
    }
}

/// What came of a session.
#[derive(Debug)]
pub struct Relayed {
    /// The octets of the first connection that the second one took, and the other way round.
    pub octets: [u64; 2],
    /// How it ended.
    pub end: End,
}

/// How a session ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// Both sides ended it in order, and each was sent all that the other one had sent.
    Complete,
    /// Nothing moved for too long.
    Idle,
    /// A connection broke; the other one was reset, unless all that was for it had been sent.
    Broken(io::Error),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("complete"),
            Self::Idle => f.write_str("idle for too long"),
            Self::Broken(error) => write!(f, "broken: {error}"),
        }
    }
}

/// A session: a future that moves octets both ways until both have ended.
///
/// The end of one direction is passed on as a shutdown of the write half, and the other goes on.
/// A connection that breaks ends both: a peer that did not get all sees a reset, never an end in
/// order.
#[must_use = "a future moves nothing unless it is polled"]
pub struct Relay {
    shared: Arc<Relays>,
    streams: [TcpStream; 2],
    ways: [Way; 2],
    /// When octets moved last.
    last: Instant,
    sleep: Pin<Box<Sleep>>,
    /// Why the one direction ended, while the other goes on.
    broken: Option<io::Error>,
    /// How long it may.
    grace: Option<Instant>,
}

/// One direction.
struct Way {
    /// What was read before.
    early: Bytes,
    /// What is between the two sockets.
    pipe: Option<Pipe>,
    /// How much to copy at once: what the receiver takes.
    span: usize,
    octets: u64,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Moving,
    /// The receiver is gone. What the sender still says is thrown away, so that it can be sent the
    /// rest of the other direction.
    Discarding,
    /// The sender has ended.
    Over {
        /// The receiver was sent all.
        complete: bool,
    },
}

/// What a turn of one direction came to.
enum Turn {
    /// It is over.
    Over,
    /// There is more to do at once.
    More,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = self.ways.each_ref().map(|way| way.octets);
        f.debug_struct("Relay")
            .field("octets", &octets)
            .finish_non_exhaustive()
    }
}

impl Way {
    fn new(early: Bytes) -> Self {
        Self {
            early,
            pipe: None,
            span: SPAN,
            octets: 0,
            phase: Phase::Moving,
        }
    }

    /// Moves about a turn's worth of octets.
    fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &mut TcpStream,
        shared: &Relays,
    ) -> Poll<Result<Turn, Side>> {
        let mut left = shared.turn();
        while left > 0 {
            let before = self.octets;
            match self.phase {
                Phase::Moving => {
                    if ready!(self.poll_move(cx, from, to, &shared.pipes))? {
                        left = left.saturating_sub((self.octets - before) as usize);
                    } else {
                        self.phase = Phase::Over { complete: true };
                        // One that is gone need not be told.
                        let _ = Pin::new(&mut *to).poll_shutdown(cx);
                    }
                }
                Phase::Discarding => {
                    let octets = ready!(poll_discard(cx, from)).map_err(Side::From)?;
                    if octets == 0 {
                        self.phase = Phase::Over { complete: false };
                    }
                    left = left.saturating_sub(octets);
                }
                Phase::Over { .. } => return Poll::Ready(Ok(Turn::Over)),
            }
        }
        Poll::Ready(Ok(Turn::More))
    }

    /// Moves some octets; false at the end.
    fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
        pipes: &Pipes,
    ) -> Poll<Result<bool, Side>> {
        ready!(to.poll_write_ready(cx)).map_err(Side::To)?;
        if !self.early.is_empty() {
            let moved = unless_blocked(to.try_write(&self.early)).map_err(Side::To)?;
            self.early.advance(moved.unwrap_or(0));
            self.octets += moved.unwrap_or(0) as u64;
            return Poll::Ready(Ok(true));
        }
        let mut pipe = match self.pipe.take() {
            Some(pipe) => pipe,
            None => {
                ready!(from.poll_read_ready(cx)).map_err(Side::From)?;
                let Some(pipe) = pipes.lend() else {
                    return self.poll_copy(cx, from, to);
                };
                pipe
            }
        };
        if pipe.held() == 0 {
            match unless_blocked(pipe.fill(from, pipes::CAPACITY)) {
                Ok(Some(1..)) => {}
                other => {
                    pipes.give_back(pipe);
                    return Poll::Ready(other.map(|end| end.is_none()).map_err(Side::From));
                }
            }
        }
        let drained = unless_blocked(pipe.drain(to));
        let held = pipe.held();
        if held == 0 {
            pipes.give_back(pipe);
        } else {
            self.pipe = Some(pipe);
        }
        let moved = drained.map_err(Side::To)?.unwrap_or(0);
        self.octets += moved as u64;
        Poll::Ready(Ok(true))
    }

    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
    ) -> Poll<Result<bool, Side>> {
        let (moved, all) = match ready!(poll_copy(cx, from, to, self.span))? {
            Copied::End => return Poll::Ready(Ok(false)),
            Copied::All(moved) => (moved, true),
            Copied::Part(moved) => (moved, false),
        };
        self.octets += moved as u64;
        // What the receiver does not take would be looked at again and again.
        if !all {
            self.span = (self.span / 2).max(SPAN);
        } else if moved >= self.span {
            self.span = (self.span * 2).min(copy::CAPACITY);
        }
        Poll::Ready(Ok(true))
    }

    fn give_back(&mut self, pipes: &Pipes) {
        if let Some(pipe) = self.pipe.take() {
            pipes.give_back(pipe);
        }
    }
}

impl Relay {
    fn poll_way(&mut self, cx: &mut Context<'_>, way: usize) -> Poll<Result<Turn, Side>> {
        let [first, second] = &mut self.streams;
        let [there, back] = &mut self.ways;
        let (way, from, to) = if way == 0 {
            (there, &*first, second)
        } else {
            (back, &*second, first)
        };
        let before = way.octets;
        let polled = way.poll_turn(cx, from, to, &self.shared);
        let moved = way.octets - before;
        if moved > 0 {
            self.shared.octets.fetch_add(moved, Ordering::Relaxed);
            self.last = Instant::now();
        }
        polled
    }

    /// The receiver of this direction is gone.
    fn discard(&mut self, way: usize, error: io::Error) {
        if let Some(way) = self.ways.get_mut(way) {
            way.phase = Phase::Discarding;
            way.give_back(&self.shared.pipes);
        }
        if self.broken.is_none() {
            self.broken = Some(error);
            self.grace = Some(Instant::now() + GRACE);
            self.sleep
                .as_mut()
                .reset(Instant::now() + GRACE.min(self.shared.idle));
        }
    }

    /// Says whether a direction is kept up for the sake of one that never carried anything.
    fn is_in_vain(&self) -> bool {
        let [there, back] = &self.ways;
        let vain =
            |way: &Way, other: &Way| matches!(way.phase, Phase::Discarding) && other.octets == 0;
        vain(there, back) || vain(back, there)
    }

    /// Waits for the end of time.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            let idle = self.last + self.shared.idle;
            let until = self.grace.map_or(idle, |grace| grace.min(idle));
            if until <= Instant::now() {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(until);
        }
    }

    fn end(&mut self, end: End) -> Relayed {
        Relayed {
            octets: self.ways.each_ref().map(|way| way.octets),
            end: match self.broken.take() {
                Some(error) => End::Broken(error),
                None => end,
            },
        }
    }
}

impl Future for Relay {
    type Output = Relayed;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Relayed> {
        let this = &mut *self;
        let mut over = 0;
        let mut more = false;
        for way in 0..2 {
            match this.poll_way(cx, way) {
                Poll::Ready(Ok(Turn::Over)) => over += 1,
                Poll::Ready(Ok(Turn::More)) => more = true,
                Poll::Ready(Err(Side::From(error))) => {
                    return Poll::Ready(this.end(End::Broken(error)));
                }
                Poll::Ready(Err(Side::To(error))) => {
                    this.discard(way, error);
                    more = true;
                }
                Poll::Pending => {}
            }
        }
        if over == 2 || this.is_in_vain() {
            return Poll::Ready(this.end(End::Complete));
        }
        if this.poll_idle(cx).is_ready() {
            return Poll::Ready(this.end(End::Idle));
        }
        if more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.sessions.fetch_sub(1, Ordering::Relaxed);
        let [there, back] = &mut self.ways;
        let [first, second] = &self.streams;
        for (way, to) in [(there, second), (back, first)] {
            way.give_back(&self.shared.pipes);
            if !matches!(way.phase, Phase::Over { complete: true }) {
                // A reset, since an end in order would be a lie.
                let _ = to.set_zero_linger();
            }
        }
    }
}

fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}
