//! Who writes and reads at one end, and looks for faults meanwhile.

use crate::host::Host;
use bytes::Bytes;
use bytestreams_ibb::{Blocked, Event, Session};
use bytestreams_machine::{Instant, Machine};
use bytestreams_sim::{App, Context};
use std::time::Duration;

/// What a user does with a stream.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What it sends.
    pub(crate) text: Bytes,
    /// Whether it ends the stream when that is sent; the other confirms.
    pub(crate) finishes: bool,
    /// How long blocks may wait to be stored.
    pub(crate) disk: Vec<Duration>,
    /// It gives up once in so many acts; never for 0.
    pub(crate) aborts: u32,
    /// Blocks that are ever unacknowledged, where the link loses nothing.
    pub(crate) window: Option<u64>,
    /// Whether an acknowledgement means delivery: a server may answer the ping behind messages
    /// that it has not delivered yet.
    pub(crate) sure: bool,
}

pub(crate) struct User {
    pub(crate) plan: Plan,
    pub(crate) rest: Bytes,
    pub(crate) received: Vec<u8>,
    pub(crate) unstored: usize,
    pub(crate) store_at: Option<Instant>,
    pub(crate) finished: bool,
    pub(crate) opened: bool,
    pub(crate) peer_closed: bool,
    pub(crate) confirmed: bool,
    pub(crate) acknowledged: u64,
    pub(crate) end: Option<Event>,
    pub(crate) offline: bool,
    pub(crate) fault: Option<String>,
}

impl User {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            rest: plan.text.clone(),
            plan,
            received: Vec::new(),
            unstored: 0,
            store_at: None,
            finished: false,
            opened: false,
            peer_closed: false,
            confirmed: false,
            acknowledged: 0,
            end: None,
            offline: false,
            fault: None,
        }
    }

    pub(crate) fn sent(&self) -> u64 {
        (self.plan.text.len() - self.rest.len()) as u64
    }

    pub(crate) fn read(&mut self, session: &mut Session) {
        while let Some(block) = session.read() {
            if block.is_empty() {
                self.fault = Some("an empty block was delivered".into());
            }
            self.received.extend_from_slice(&block);
            self.unstored += block.len();
        }
    }

    pub(crate) fn write(&mut self, session: &mut Session, now: Instant) {
        while !self.rest.is_empty() {
            let chunk = session.chunk() as u64;
            match session.write(&mut self.rest, now) {
                Ok(0) => self.fault = Some("nothing was written".into()),
                Ok(n) if n as u64 > chunk => self.fault = Some("more than a chunk".into()),
                Ok(_) => {}
                Err(Blocked::Closed) if !self.confirmed => {
                    self.fault = Some("closed without a terminal event".into());
                    return;
                }
                Err(_) => return,
            }
        }
        if self.plan.finishes && !self.finished {
            self.finished = true;
            session.finish(now);
        }
    }
}

impl App for User {
    type Machine = Host;

    fn event(&mut self, host: &mut Host, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::Opened { .. } => self.opened = true,
            Event::PeerClosed => self.peer_closed = true,
            Event::Acknowledged { octets } => {
                if octets <= self.acknowledged || octets > self.sent() {
                    self.fault = Some(format!("{octets} acknowledged"));
                }
                self.acknowledged = octets;
            }
            Event::Closed | Event::Failed(_) => {
                self.end = Some(event);
                if let Some(session) = &mut host.session {
                    if !session.is_closed() || session.poll_timeout().is_some() {
                        self.fault = Some("it goes on after its end".into());
                    }
                    while let Some(block) = session.read() {
                        self.received.extend_from_slice(&block);
                    }
                }
                host.end(cx.now);
            }
            _ => {}
        }
    }

    fn act(&mut self, host: &mut Host, cx: &mut Context<'_>) {
        let Some(session) = &mut host.session else {
            return;
        };
        if session.is_closed() {
            return;
        }
        if self.plan.aborts > 0 && cx.chooser.rarely(self.plan.aborts) {
            return session.abort(cx.now);
        }
        if self.opened {
            self.write(session, cx.now);
        }
        let before = self.unstored;
        self.read(session);
        if self.unstored > before && self.store_at.is_none() {
            let n = u32::try_from(self.plan.disk.len()).expect("few");
            let wait = self.plan.disk[cx.chooser.choose(n) as usize];
            self.store_at = Some(cx.now + wait);
        }
        if self.store_at.is_some_and(|at| at <= cx.now) {
            self.store_at = None;
            session.stored(std::mem::take(&mut self.unstored), cx.now);
        }
        if self.peer_closed && self.unstored == 0 && self.rest.is_empty() && !self.confirmed {
            self.confirmed = true;
            session.confirm_close(cx.now);
        }
        if let Some(blocks) = self.plan.window {
            let under_way = self.sent() - self.acknowledged;
            if under_way > blocks * session.chunk() as u64 {
                self.fault = Some(format!("{under_way} octets in flight"));
            }
        }
    }

    fn wake(&self) -> Option<Instant> {
        self.store_at
            .filter(|_| self.end.is_none() && !self.offline)
    }

    fn is_done(&self) -> bool {
        self.end.is_some() || self.offline || !self.opened
    }

    fn offline(&mut self, host: &mut Host, cx: &mut Context<'_>) {
        self.offline = true;
        host.end(cx.now);
    }

    fn session(event: &Event) -> Option<(u64, bool)> {
        Some((0, matches!(event, Event::Closed | Event::Failed(_))))
    }
}

/// The initiator is done only with a terminal event, open or not.
pub(crate) struct Initiator(pub(crate) User);

impl App for Initiator {
    type Machine = Host;

    fn event(&mut self, host: &mut Host, event: Event, cx: &mut Context<'_>) {
        self.0.event(host, event, cx);
    }

    fn act(&mut self, host: &mut Host, cx: &mut Context<'_>) {
        self.0.act(host, cx);
    }

    fn wake(&self) -> Option<Instant> {
        self.0.wake()
    }

    fn is_done(&self) -> bool {
        self.0.end.is_some() || self.0.offline
    }

    fn offline(&mut self, host: &mut Host, cx: &mut Context<'_>) {
        self.0.offline(host, cx);
    }

    fn session(event: &Event) -> Option<(u64, bool)> {
        User::session(event)
    }
}
