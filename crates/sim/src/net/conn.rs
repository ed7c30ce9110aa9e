//! Connections: what arrives at their ends.

use super::{Hears, Moment, Net, Say, Speak};
use crate::Side;
use crate::trace::What;
use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};
use bytestreams_machine::{ConnId, HANDSHAKE_OCTETS, Instant, ListenId, NetInput, Token};
use core::fmt;
use core::net::SocketAddr;

/// Who has an end of a connection.
pub(super) enum Owner {
    Node(Side),
    Speaker(Speak),
}

/// Something on its way to an end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Connected(Token),
    Accepted(ListenId, SocketAddr),
    /// The connection of a party without a machine stands.
    Open,
    Octets(Bytes),
    End,
    Reset,
}

impl Arrival {
    const fn opens(&self) -> bool {
        matches!(self, Self::Connected(_) | Self::Accepted(..) | Self::Open)
    }
}

/// What an end of the world hears from a connection.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    Machine(NetInput),
    /// For the application; empty at the end.
    Octets(Bytes),
    Reset,
}

/// One end of a connection.
pub(super) struct End {
    pub(super) owner: Owner,
    pub(super) other: ConnId,
    queue: VecDeque<(Instant, Arrival)>,
    last: Instant,
    /// When a party without a machine wants to hear nothing.
    idle: Option<Instant>,
    /// Octets that the machine got.
    read: usize,
    /// It is the application's.
    pub(super) detached: bool,
    /// The driver throws away what comes in, for the machine waits for the end only.
    pub(super) draining: bool,
    /// It has shut its write half down.
    pub(super) shut: bool,
    /// The end or the reset that it has heard of.
    ended: Option<Arrival>,
    /// It was reset, or nothing arrives any more.
    pub(super) dead: bool,
}

impl End {
    fn new(owner: Owner, other: ConnId) -> Self {
        Self {
            owner,
            other,
            queue: VecDeque::new(),
            last: Instant::ZERO,
            idle: None,
            read: 0,
            detached: false,
            draining: false,
            shut: false,
            ended: None,
            dead: false,
        }
    }

    pub(super) const fn side(&self) -> Option<Side> {
        match self.owner {
            Owner::Node(side) => Some(side),
            Owner::Speaker(_) => None,
        }
    }

    /// When the next thing happens here.
    pub(super) fn ready(&self) -> Option<Instant> {
        let front = self.queue.front();
        let readable = front.filter(|(_, arrival)| {
            arrival.opens() || self.room() > 0 || matches!(self.owner, Owner::Speaker(_))
        });
        let queued = readable.map(|(at, _)| *at);
        match (queued, self.idle) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// How much the driver reads here.
    const fn room(&self) -> usize {
        if self.detached {
            usize::MAX
        } else {
            HANDSHAKE_OCTETS.saturating_sub(self.read)
        }
    }

    pub(super) fn push(&mut self, at: Instant, arrival: Arrival) {
        if self.dead {
            return;
        }
        self.last = self.last.max(at);
        self.queue.push_back((self.last, arrival));
    }

    /// Nothing that was written arrives any more, only this.
    pub(super) fn die(&mut self, last: Option<(Instant, Arrival)>) {
        self.queue.retain(|(_, arrival)| arrival.opens());
        if let Some((at, arrival)) = last {
            self.push(at, arrival);
        }
        self.dead = true;
    }

    /// Says whether octets are on their way here or were not read.
    pub(super) fn has_unread(&self) -> bool {
        let mut all = self.queue.iter();
        all.any(|(_, arrival)| matches!(arrival, Arrival::Octets(_)))
    }

    /// Lets a new reader, who comes after the end was heard, hear it again.
    pub(super) fn tell_again(&mut self, now: Instant) {
        if let Some(end) = self.ended.take() {
            self.queue.push_back((now, end));
        }
    }

    /// Takes up to `room` of the octets that have arrived.
    fn octets(&mut self, now: Instant, room: usize) -> Option<Bytes> {
        let mut octets = Bytes::new();
        while let Some((at, Arrival::Octets(next))) = self.queue.front_mut() {
            if *at > now || octets.len() >= room {
                break;
            }
            let piece = next.split_to(next.len().min(room - octets.len()));
            let all = next.is_empty();
            octets = join(octets, piece);
            if all {
                self.queue.pop_front();
            }
        }
        (!octets.is_empty()).then_some(octets)
    }
}

fn join(first: Bytes, second: Bytes) -> Bytes {
    if first.is_empty() {
        return second;
    }
    let mut both = BytesMut::from(first);
    both.extend_from_slice(&second);
    both.freeze()
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End")
            .field("side", &self.side())
            .field("other", &self.other)
            .field("queue", &self.queue)
            .field("detached", &self.detached)
            .finish_non_exhaustive()
    }
}

impl Net {
    /// Makes a connection: who connects, who is connected to, and what each hears first.
    pub(super) fn join(
        &mut self,
        from: (Owner, Arrival),
        to: (Owner, Arrival),
        moment: &mut Moment<'_>,
    ) {
        let (near, far) = (self.conn(), self.conn());
        for (conn, other, (owner, first)) in [(near, far, from), (far, near, to)] {
            let mut end = End::new(owner, other);
            let delay = self.delay(moment.chooser);
            end.push(moment.now + delay, first);
            self.ends.insert(conn, end);
        }
    }

    /// Lets happen what is next at this end of a connection: what its owner hears.
    pub(crate) fn arrive(&mut self, conn: ConnId, moment: &mut Moment<'_>) -> Option<Heard> {
        let now = moment.now;
        let end = self.ends.get_mut(&conn)?;
        let due = matches!(end.queue.front(), Some((at, _)) if *at <= now);
        if !due {
            end.idle = None;
            self.speak(conn, Hears::Nothing, moment);
            return None;
        }
        let opens = matches!(end.queue.front(), Some((_, arrival)) if arrival.opens());
        if !opens && self.goes_wrong(conn, moment) {
            return None;
        }
        let end = self.ends.get_mut(&conn)?;
        if let Some((_, Arrival::Octets(_))) = end.queue.front() {
            let octets = self.read(conn, moment)?;
            return self.hear_octets(conn, octets, moment);
        }
        let (_, arrival) = end.queue.pop_front()?;
        if !arrival.opens() {
            end.ended = Some(arrival.clone());
        }
        let for_app = end.detached && !end.draining;
        if matches!(end.owner, Owner::Speaker(_)) {
            let hears = if arrival.opens() {
                Hears::Open
            } else {
                Hears::End
            };
            self.speak(conn, hears, moment);
            return None;
        }
        Some(match arrival {
            Arrival::Connected(token) => Heard::Machine(NetInput::Connected(token, conn)),
            Arrival::Accepted(listen, from) => {
                Heard::Machine(NetInput::Accepted { listen, conn, from })
            }
            Arrival::End if for_app => Heard::Octets(Bytes::new()),
            Arrival::Reset if for_app => Heard::Reset,
            Arrival::End | Arrival::Reset => Heard::Machine(NetInput::Closed(conn)),
            Arrival::Open | Arrival::Octets(_) => return None,
        })
    }

    fn hear_octets(
        &mut self,
        conn: ConnId,
        octets: Bytes,
        moment: &mut Moment<'_>,
    ) -> Option<Heard> {
        let end = self.ends.get_mut(&conn)?;
        match end.owner {
            Owner::Speaker(_) => {
                self.speak(conn, Hears::Octets(octets), moment);
                None
            }
            Owner::Node(_) if end.draining => None,
            Owner::Node(_) if end.detached => Some(Heard::Octets(octets)),
            Owner::Node(_) => {
                end.read += octets.len();
                Some(Heard::Machine(NetInput::Received(conn, octets)))
            }
        }
    }

    /// Reads: all that has arrived and may be read, or a part of it.
    fn read(&mut self, conn: ConnId, moment: &mut Moment<'_>) -> Option<Bytes> {
        let end = self.ends.get_mut(&conn)?;
        let is_node = end.side().is_some();
        let room = if is_node { end.room() } else { usize::MAX };
        let mut octets = end.octets(moment.now, room)?;
        let len = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        let cuts = is_node && len > 1 && self.faults.cuts > 0;
        if cuts && moment.chooser.rarely(self.faults.cut) {
            self.faults.cuts -= u32::from(self.faults.cuts != u32::MAX);
            let at = 1 + moment.chooser.choose(len - 1) as usize;
            let rest = octets.split_off(at);
            let later = moment.now + self.delay(moment.chooser);
            let end = self.ends.get_mut(&conn)?;
            end.last = end.last.max(later);
            end.queue.push_front((later, Arrival::Octets(rest)));
        }
        Some(octets)
    }

    /// Says whether a fault strikes the connection, so that nothing arrives now.
    fn goes_wrong(&mut self, conn: ConnId, moment: &mut Moment<'_>) -> bool {
        let resets = self.strikes(self.faults.reset, moment.chooser);
        if !resets && !self.strikes(self.faults.silence, moment.chooser) {
            return false;
        }
        let Some(end) = self.ends.get(&conn) else {
            return false;
        };
        if end.dead {
            return false;
        }
        let what = if resets { "reset" } else { "silent" };
        let side = end.side().unwrap_or(Side::Left);
        moment.trace.push(moment.now, side, What::Fault(conn, what));
        for conn in [conn, end.other] {
            let at = moment.now + self.delay(moment.chooser);
            if let Some(end) = self.ends.get_mut(&conn) {
                end.die(resets.then_some((at, Arrival::Reset)));
            }
        }
        true
    }

    /// Lets a party without a machine hear this, and does what it says.
    fn speak(&mut self, conn: ConnId, hears: Hears, moment: &mut Moment<'_>) {
        let Some(end) = self.ends.get_mut(&conn) else {
            return;
        };
        let Owner::Speaker(speak) = &mut end.owner else {
            return;
        };
        for say in speak(hears, moment.chooser) {
            match say {
                Say::Octets(octets) => self.write(conn, octets, moment),
                Say::Wait(pause) => {
                    if let Some(end) = self.ends.get_mut(&conn) {
                        end.idle = Some(moment.now + pause);
                    }
                }
                Say::ShutdownWrite => self.shut(conn, moment),
                Say::Close => self.close(conn, moment),
                Say::Reset => {
                    if let Some(end) = self.ends.remove(&conn) {
                        let at = moment.now + self.delay(moment.chooser);
                        if let Some(other) = self.ends.get_mut(&end.other) {
                            other.die(Some((at, Arrival::Reset)));
                        }
                    }
                }
            }
        }
    }

    /// Writes at this end.
    pub(super) fn write(&mut self, conn: ConnId, octets: Bytes, moment: &mut Moment<'_>) {
        let at = moment.now + self.delay(moment.chooser);
        let Some(end) = self.ends.get_mut(&conn) else {
            return;
        };
        if end.dead || end.shut || octets.is_empty() {
            return;
        }
        match self.ends.get(&conn).map(|end| end.other) {
            Some(other) if self.ends.contains_key(&other) => {
                if let Some(other) = self.ends.get_mut(&other) {
                    other.push(at, Arrival::Octets(octets));
                }
            }
            // Nobody is there any more to take it.
            _ => {
                if let Some(end) = self.ends.get_mut(&conn) {
                    end.push(at, Arrival::Reset);
                    end.dead = true;
                }
            }
        }
    }

    /// Shuts the write half of this end down.
    pub(super) fn shut(&mut self, conn: ConnId, moment: &mut Moment<'_>) {
        let at = moment.now + self.delay(moment.chooser);
        let Some(end) = self.ends.get_mut(&conn) else {
            return;
        };
        if core::mem::replace(&mut end.shut, true) {
            return;
        }
        let other = end.other;
        if let Some(other) = self.ends.get_mut(&other) {
            other.push(at, Arrival::End);
        }
    }

    /// Closes this end. What it has not read makes the close a reset, which may overtake what is
    /// on its way to the other (RFC 1122, 4.2.2.13).
    pub(super) fn close(&mut self, conn: ConnId, moment: &mut Moment<'_>) {
        let at = moment.now + self.delay(moment.chooser);
        let Some(end) = self.ends.remove(&conn) else {
            return;
        };
        let Some(other) = self.ends.get_mut(&end.other) else {
            return;
        };
        if end.has_unread() && !end.dead {
            if moment.chooser.choose(2) == 1 {
                other.die(Some((at, Arrival::Reset)));
            } else {
                other.push(at, Arrival::Reset);
                other.dead = true;
            }
        } else if !end.shut {
            other.push(at, Arrival::End);
        }
    }
}
