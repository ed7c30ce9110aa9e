//! Attempts to reach one of several StreamHosts.

use crate::output::Outputs;
use crate::{Client, ClientStep, DstAddr};
use alloc::vec::Vec;
use bytes::Bytes;
use bytestreams_machine::{ConnId, ConnectError, Instant, NetCommand, NetInput, Token};
use bytestreams_stanza::{Jid, StreamHost};
use core::time::Duration;

/// When the next attempt starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// [`Dial::GAP`] after the one before, or as soon as that has failed. Of several attempts at
    /// one proxy only one goes beyond connecting, since two handshakes with one hash would make a
    /// pair there.
    Eager,
    /// [`Dial::GAP`] after the one before, whatever became of it: who offered the StreamHosts
    /// cannot tell from one of them what became of another.
    Even,
}

/// Connects to StreamHosts, staggered in parallel; the first handshake that succeeds wins.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    addr: DstAddr,
    base: Token,
    pace: Pace,
    attempts: Vec<Attempt>,
    /// How many attempts have had their turn.
    turns: usize,
    next_turn: Instant,
    ends: Instant,
    over: bool,
}

#[derive(Clone, Debug)]
struct Attempt {
    host: StreamHost,
    state: State,
    since: Instant,
    finding: Option<Finding>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Its turn is still to come.
    Queued,
    /// Waits for `Connected` or `Failed`.
    Dialing,
    /// The same, but nobody wants the connection any more.
    Unwanted,
    /// Connected, while another attempt at the same proxy is in its handshake.
    Parked(ConnId),
    Shaking(ConnId, Client),
    Over,
}

/// What an attempt says about its StreamHost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Good,
    /// It cannot be reached, or is silent. A refusal says nothing: it may be about the hash.
    Dead,
}

/// A connection that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Won {
    pub(crate) conn: ConnId,
    pub(crate) host: Jid,
    /// What came behind the reply.
    pub(crate) early: Bytes,
}

impl Dial {
    /// Between the starts of two attempts.
    pub(crate) const GAP: Duration = Duration::from_millis(250);
    /// How long all attempts may take together.
    pub(crate) const WITHIN: Duration = Duration::from_secs(9);
    /// How long a connection may take for its handshake, or hold another one parked.
    const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
    /// How long the next turn waits for a handshake with the Requester itself, since it was
    /// connected: libpurple takes the end of a handshake that it has begun for the end of the file,
    /// and Miranda that of any other connection to the same port.
    const PATIENCE: Duration = Duration::from_secs(1);
    /// StreamHosts that are tried at most.
    pub(crate) const MAX: usize = 5;
    /// What an attempt that was cut off must have lasted to say something about its StreamHost.
    const TELLING: Duration = Duration::from_secs(3);

    /// Starts with the first at the next [`Dial::advance`].
    pub(crate) fn new(addr: DstAddr, base: Token, pace: Pace, now: Instant) -> Self {
        Self::until(addr, base, pace, now, now + Self::WITHIN)
    }

    /// The same, with an end of its own.
    pub(crate) fn until(
        addr: DstAddr,
        base: Token,
        pace: Pace,
        now: Instant,
        ends: Instant,
    ) -> Self {
        Self {
            addr,
            base,
            pace,
            attempts: Vec::new(),
            turns: 0,
            next_turn: now,
            ends,
            over: false,
        }
    }

    /// Appends a StreamHost. One that is not to be tried still has its turn at an even pace.
    ///
    /// Says whether there was room for it.
    pub(crate) fn push(&mut self, host: StreamHost, attempt: bool, now: Instant) -> bool {
        if self.over || self.attempts.len() >= Self::MAX {
            return false;
        }
        let state = if attempt { State::Queued } else { State::Over };
        self.attempts.push(Attempt {
            host,
            state,
            since: now,
            finding: None,
        });
        true
    }

    pub(crate) fn hosts(&self) -> impl Iterator<Item = &StreamHost> {
        self.attempts.iter().map(|attempt| &attempt.host)
    }

    /// What was found out about the StreamHosts.
    pub(crate) fn findings(&self) -> impl Iterator<Item = (&StreamHost, Finding)> {
        self.attempts
            .iter()
            .filter_map(|attempt| Some((&attempt.host, attempt.finding?)))
    }

    /// Takes what is about these attempts. Answers the rest, and the winner if there is one now:
    /// then everything else was closed.
    pub(crate) fn handle<E>(
        &mut self,
        input: NetInput,
        now: Instant,
        out: &mut Outputs<E>,
    ) -> (Option<NetInput>, Option<Won>) {
        match input {
            NetInput::Connected(token, conn) => match self.by_token(token) {
                Some(index) => self.connected(index, conn, now, out),
                None => return (Some(NetInput::Connected(token, conn)), None),
            },
            NetInput::Failed(token, error) => match self.by_token(token) {
                Some(index) => self.failed(index, error, now),
                None => return (Some(NetInput::Failed(token, error)), None),
            },
            NetInput::Received(conn, octets) => match self.by_conn(conn) {
                Some(index) => {
                    let won = self.received(index, conn, &octets, now, out);
                    self.advance(now, out);
                    return (None, won);
                }
                None => return (Some(NetInput::Received(conn, octets)), None),
            },
            NetInput::Closed(conn) => match self.by_conn(conn) {
                Some(index) => self.end(index, now, out),
                None => return (Some(NetInput::Closed(conn)), None),
            },
            other @ (NetInput::Listening(..) | NetInput::Accepted { .. }) => {
                return (Some(other), None);
            }
        }
        self.advance(now, out);
        (None, None)
    }

    /// Does what is due.
    pub(crate) fn advance<E>(&mut self, now: Instant, out: &mut Outputs<E>) {
        if self.over {
            return;
        }
        if self.ends <= now {
            self.stop(now, out);
            return;
        }
        for index in 0..self.attempts.len() {
            let silent = self.attempts.get(index).is_some_and(|attempt| {
                matches!(attempt.state, State::Shaking(..))
                    && attempt.since + Self::HANDSHAKE_WITHIN <= now
            });
            if silent {
                self.find(index, Finding::Dead);
                self.end(index, now, out);
            }
        }
        loop {
            let due = self.turn_due();
            if due > now {
                break;
            }
            let Some(attempt) = self.attempts.get_mut(self.turns) else {
                break;
            };
            let token = token(self.base, self.turns);
            self.turns += 1;
            let starts = attempt.state == State::Queued;
            if starts {
                attempt.state = State::Dialing;
                attempt.since = now;
                out.net(NetCommand::Connect(token, attempt.host.clone()));
            }
            if starts || self.pace == Pace::Even {
                self.next_turn = due + Self::GAP;
            }
        }
    }

    /// Says when [`Dial::advance`] is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        let turn = (self.turns < self.attempts.len()).then_some(self.turn_due());
        self.attempts
            .iter()
            .filter(|attempt| matches!(attempt.state, State::Shaking(..)))
            .map(|attempt| attempt.since + Self::HANDSHAKE_WITHIN)
            .chain(turn)
            .chain([self.ends])
            .min()
    }

    /// Says whether nothing is left that could succeed.
    pub(crate) fn is_lost(&self) -> bool {
        self.over || self.attempts.iter().all(|a| a.state == State::Over)
    }

    /// Says whether an attempt was started whose outcome the driver has not told.
    pub(crate) fn is_pending(&self) -> bool {
        let mut states = self.attempts.iter().map(|attempt| &attempt.state);
        states.any(|state| matches!(state, State::Dialing | State::Unwanted))
    }

    /// Gives up what is not over: open connections are closed, and those that are still to come
    /// will be.
    pub(crate) fn stop<E>(&mut self, now: Instant, out: &mut Outputs<E>) {
        self.over = true;
        for attempt in &mut self.attempts {
            let before = core::mem::replace(&mut attempt.state, State::Over);
            let lasted = now.since(attempt.since) >= Self::TELLING;
            match before {
                State::Dialing => {
                    attempt.state = State::Unwanted;
                    if lasted {
                        attempt.finding = Some(Finding::Dead);
                    }
                }
                State::Unwanted => attempt.state = State::Unwanted,
                State::Shaking(conn, _) => {
                    if lasted {
                        attempt.finding = Some(Finding::Dead);
                    }
                    out.net(NetCommand::Close(conn));
                }
                State::Parked(conn) => out.net(NetCommand::Close(conn)),
                State::Queued | State::Over => {}
            }
        }
    }

    fn connected<E>(&mut self, index: usize, conn: ConnId, now: Instant, out: &mut Outputs<E>) {
        let parked = self.pace == Pace::Eager && self.is_shaking_beside(index);
        let addr = self.addr;
        let Some(attempt) = self.attempts.get_mut(index) else {
            return;
        };
        attempt.state = match attempt.state {
            State::Dialing if parked => State::Parked(conn),
            State::Dialing => {
                attempt.since = now;
                greet(conn, addr, out)
            }
            State::Queued
            | State::Unwanted
            | State::Parked(_)
            | State::Shaking(..)
            | State::Over => {
                out.net(NetCommand::Close(conn));
                State::Over
            }
        };
    }

    fn failed(&mut self, index: usize, error: ConnectError, now: Instant) {
        let Some(attempt) = self.attempts.get_mut(index) else {
            return;
        };
        attempt.state = State::Over;
        // An address that is not dialled costs nothing, and says nothing.
        if error != ConnectError::Forbidden {
            attempt.finding = Some(Finding::Dead);
        }
        self.hurry(now);
    }

    fn received<E>(
        &mut self,
        index: usize,
        conn: ConnId,
        octets: &Bytes,
        now: Instant,
        out: &mut Outputs<E>,
    ) -> Option<Won> {
        let mut rest = &octets[..];
        loop {
            let step = match self.attempts.get_mut(index).map(|a| &mut a.state) {
                Some(State::Shaking(_, client)) => client.handle(&mut rest),
                // It speaks before it is spoken to.
                _ => {
                    self.end(index, now, out);
                    return None;
                }
            };
            match step {
                ClientStep::More => return None,
                ClientStep::Send(octets) => out.net(NetCommand::Send(conn, octets)),
                ClientStep::Failed(_) => {
                    self.end(index, now, out);
                    return None;
                }
                ClientStep::Connected => {
                    self.find(index, Finding::Good);
                    let attempt = self.attempts.get_mut(index)?;
                    attempt.state = State::Over;
                    let host = attempt.host.jid.clone();
                    self.stop(now, out);
                    let early = octets.slice_ref(rest);
                    return Some(Won { conn, host, early });
                }
            }
        }
    }

    /// Closes the connection of an attempt, and goes on without it.
    fn end<E>(&mut self, index: usize, now: Instant, out: &mut Outputs<E>) {
        let Some(attempt) = self.attempts.get_mut(index) else {
            return;
        };
        let before = core::mem::replace(&mut attempt.state, State::Over);
        let (State::Shaking(conn, _) | State::Parked(conn)) = before else {
            attempt.state = before;
            return;
        };
        out.net(NetCommand::Close(conn));
        if matches!(before, State::Shaking(..)) {
            self.unpark(index, now, out);
        }
        self.hurry(now);
    }

    /// Begins the handshake of a connection that waited for this one.
    fn unpark<E>(&mut self, index: usize, now: Instant, out: &mut Outputs<E>) {
        let addr = self.addr;
        let jid = self.attempts.get(index).map(|a| a.host.jid.clone());
        let parked = self.attempts.iter_mut().find_map(|attempt| {
            let State::Parked(conn) = attempt.state else {
                return None;
            };
            (Some(&attempt.host.jid) == jid.as_ref()).then_some((attempt, conn))
        });
        if let Some((attempt, conn)) = parked {
            attempt.since = now;
            attempt.state = greet(conn, addr, out);
        }
    }

    /// Says when the next attempt has its turn: not before a handshake with the Requester itself.
    fn turn_due(&self) -> Instant {
        if self.pace == Pace::Even {
            return self.next_turn;
        }
        self.attempts
            .iter()
            .filter(|attempt| {
                matches!(attempt.state, State::Shaking(..)) && attempt.host.jid.local().is_some()
            })
            .map(|attempt| attempt.since + Self::PATIENCE)
            .fold(self.next_turn, Instant::max)
    }

    /// Lets the next attempt begin at once.
    fn hurry(&mut self, now: Instant) {
        if self.pace == Pace::Eager {
            self.next_turn = self.next_turn.min(now);
        }
    }

    fn find(&mut self, index: usize, finding: Finding) {
        if let Some(attempt) = self.attempts.get_mut(index) {
            attempt.finding = Some(finding);
        }
    }

    /// Says whether another attempt at the same proxy is in its handshake. StreamHosts with a local
    /// part are no proxies: there a second connection does no harm.
    fn is_shaking_beside(&self, index: usize) -> bool {
        let Some(jid) = self.attempts.get(index).map(|a| &a.host.jid) else {
            return false;
        };
        jid.local().is_none()
            && self.attempts.iter().any(|attempt| {
                matches!(attempt.state, State::Shaking(..)) && attempt.host.jid == *jid
            })
    }

    fn by_token(&self, token: Token) -> Option<usize> {
        let index = usize::try_from(token.0.checked_sub(self.base.0)?).ok()?;
        let attempt = self.attempts.get(index)?;
        matches!(attempt.state, State::Dialing | State::Unwanted).then_some(index)
    }

    fn by_conn(&self, wanted: ConnId) -> Option<usize> {
        self.attempts.iter().position(|attempt| {
            matches!(&attempt.state, State::Shaking(conn, _) | State::Parked(conn)
                if *conn == wanted)
        })
    }
}

fn greet<E>(conn: ConnId, addr: DstAddr, out: &mut Outputs<E>) -> State {
    let client = Client::new(addr);
    out.net(NetCommand::Send(conn, client.greeting()));
    State::Shaking(conn, client)
}

fn token(base: Token, index: usize) -> Token {
    Token(base.0.wrapping_add(index as u64))
}
