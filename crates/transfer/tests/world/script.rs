//! An application that sends what it has planned and takes what comes.

use crate::common::jid;
use alloc::collections::BTreeMap;
use bytes::Bytes;
use bytestreams_machine::{ConnId, Entropy, Instant, Stack};
use bytestreams_sim::{App, Context};
use bytestreams_stanza::{File, Jid, Range, Sid};
use bytestreams_transfer::{Blocked, Event, Incomplete, Options, Reason, TransferId, Transfers};
use core::time::Duration;

/// How long the application lets a bare stream be silent: the machine cannot know what it means.
const BARE_PATIENCE: Duration = Duration::from_secs(900);

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) size: usize,
    pub(crate) announced: bool,
    pub(crate) options: Options,
}

#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) kind: u8,
    size: usize,
    from: usize,
    pub(crate) until: usize,
    pub(crate) at: usize,
    established: bool,
    pub(crate) finished: bool,
    announced: bool,
    /// Its socket, where it has one.
    pub(crate) conn: Option<ConnId>,
    accepted: Option<Instant>,
    /// Whether a way was given up.
    detour: bool,
}

#[derive(Debug)]
pub(crate) struct Receiving {
    pub(crate) kind: u8,
    from: usize,
    pub(crate) until: Option<usize>,
    pub(crate) at: usize,
    ended: bool,
    completed: bool,
    /// Its socket, where it has one.
    pub(crate) conn: Option<ConnId>,
    /// The disk is busy until then.
    busy: Option<Instant>,
    /// It was, for longer than the peer waits.
    slow: bool,
    /// A bare stream is given up then.
    patience: Option<Instant>,
}

/// What has become of the transfers of one end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) sent: u32,
    pub(crate) received: u32,
    pub(crate) declined: u32,
    pub(crate) failed: u32,
    pub(crate) fell_back: u32,
    /// Sent over a socket.
    pub(crate) by_socket: u32,
    /// The longest time from an acceptance to the establishment, where a way was given up.
    pub(crate) detour: Duration,
}

/// An application that sends what it has planned and takes what comes.
pub(crate) struct Script {
    side: u8,
    to: Jid,
    pub(crate) plans: Vec<Plan>,
    started: u8,
    /// Whether it declines, cancels and loses its patience with its disk now and then.
    moody: bool,
    pub(crate) sending: BTreeMap<TransferId, Sending>,
    pub(crate) receiving: BTreeMap<TransferId, Receiving>,
    pub(crate) tally: Tally,
    /// The files that were sent, and those that came and were not kept, which the peer heard in
    /// time.
    pub(crate) sent: Vec<u8>,
    pub(crate) not_kept: Vec<u8>,
    idle: bool,
    pub(crate) wrong: Option<String>,
}

/// What a file holds at a place: another thing in each of them.
fn octet(kind: u8, at: usize) -> u8 {
    (at ^ (at >> 8) ^ (at >> 16)) as u8 ^ kind.wrapping_mul(151)
}

pub(crate) fn piece(kind: u8, from: usize, until: usize) -> Bytes {
    (from..until).map(|at| octet(kind, at)).collect()
}

impl Script {
    pub(crate) fn new(side: u8, to: &str, plans: Vec<Plan>, moody: bool) -> Self {
        Self {
            side,
            to: jid(to),
            plans,
            started: 0,
            moody,
            sending: BTreeMap::new(),
            receiving: BTreeMap::new(),
            tally: Tally::default(),
            sent: Vec::new(),
            not_kept: Vec::new(),
            idle: true,
            wrong: None,
        }
    }

    fn moody(&self, one_in: u32, cx: &mut Context<'_>) -> bool {
        self.moody && cx.chooser.rarely(one_in)
    }

    pub(crate) fn demand(&mut self, right: bool, what: &str) {
        if !right && self.wrong.is_none() {
            self.wrong = Some(format!("end {}: {what}", self.side));
        }
    }

    fn start(&mut self, plan: &Plan, machine: &mut Transfers, now: Instant) {
        self.started += 1;
        let kind = self.side * 100 + self.started;
        let mut entropy = Entropy([kind; 32]);
        entropy.0[16..].fill(!kind);
        // So that a bare stream can be told from the opening of a file, repeated minutes after
        // its end, when nobody remembers it.
        let mark = u8::from(plan.announced);
        (entropy.0[1], entropy.0[17]) = (mark, mark);
        let (to, options) = (self.to.clone(), plan.options.clone());
        let id = if plan.announced {
            let file = File {
                name: Some(format!("{kind}").into()),
                size: Some(plan.size as u64),
                hash: Some([kind; 16]),
                range: Some(Range::default()),
                ..File::default()
            };
            machine.offer(to, file, options, entropy, now)
        } else {
            machine.open(to, options, entropy, now)
        };
        let sending = Sending {
            // Nobody says which of the bare streams it is.
            kind: if plan.announced { kind } else { 0 },
            size: plan.size,
            from: 0,
            until: plan.size,
            at: 0,
            established: false,
            finished: false,
            announced: plan.announced,
            conn: None,
            accepted: None,
            detour: false,
        };
        self.sending.insert(id, sending);
    }

    fn offered(
        &mut self,
        id: TransferId,
        file: &File,
        announced: bool,
        machine: &mut Transfers,
        cx: &mut Context<'_>,
    ) {
        let sid = machine.sid(id).map(Sid::as_str);
        let ghost = !announced && sid.is_some_and(|sid| sid.get(3..5) != Some("00"));
        if self.moody(12, cx) || ghost || machine.peer(id) != Some(&self.to) {
            let _ = machine.decline(id, Some("no".into()), cx.now);
            return;
        }
        let kind = file.name.as_deref().and_then(|name| name.parse().ok());
        let size = file.size.map(|size| size as usize);
        let from = match size {
            Some(size) if self.moody(4, cx) => size / 2,
            _ => 0,
        };
        let range = Range {
            offset: (from > 0).then_some(from as u64),
            length: None,
        };
        self.demand(
            machine.accept(id, range, cx.now).is_ok(),
            "what is on offer can be accepted",
        );
        let receiving = Receiving {
            kind: kind.unwrap_or(0),
            from,
            until: size,
            at: from,
            ended: false,
            completed: false,
            conn: None,
            busy: None,
            slow: false,
            patience: (!announced).then(|| cx.now + BARE_PATIENCE),
        };
        self.receiving.insert(id, receiving);
    }

    fn write(&mut self, machine: &mut Transfers, now: Instant) {
        for (id, sending) in &mut self.sending {
            if !sending.established || sending.finished || sending.conn.is_some() {
                continue;
            }
            let mut left = piece(sending.kind, sending.at, sending.until);
            while !left.is_empty() {
                match machine.write(*id, &mut left, now) {
                    Ok(taken) => sending.at += taken,
                    Err(Blocked::Finished) => {
                        // Closed from the other end; the event that tells is on its way.
                        break;
                    }
                    Err(_) => break,
                }
            }
            if sending.at == sending.until {
                sending.finished = true;
                let _ = machine.finish(*id, now);
            }
        }
    }

    fn read(&mut self, machine: &mut Transfers, cx: &mut Context<'_>) {
        let mut wrong = None;
        for (id, receiving) in &mut self.receiving {
            receiving.busy.take_if(|until| *until <= cx.now);
            while receiving.busy.is_none() {
                let Some(block) = machine.read(*id) else {
                    break;
                };
                let until = receiving.at + block.len();
                if block != piece(receiving.kind, receiving.at, until) {
                    wrong = Some("received is no prefix of sent");
                }
                if receiving.until.is_some_and(|most| until > most) {
                    wrong = Some("more was received than announced");
                }
                receiving.at = until;
                if let Some(patience) = &mut receiving.patience {
                    *patience = cx.now + BARE_PATIENCE;
                }
                if self.moody && cx.chooser.rarely(40) {
                    receiving.busy = Some(cx.now + Duration::from_secs(6));
                    receiving.slow = true;
                }
                let last = receiving.until.is_some_and(|most| until >= most);
                if last && self.moody && cx.chooser.rarely(30) {
                    receiving.completed = true;
                    receiving.busy = None;
                    if machine
                        .completed(*id, Err(Incomplete::HashMismatch), cx.now)
                        .is_ok()
                        && !receiving.slow
                    {
                        self.not_kept.push(receiving.kind);
                    }
                    break;
                }
                machine.stored(*id, block.len(), cx.now);
            }
            let all = receiving.busy.is_none() && !receiving.completed;
            if receiving.ended && all {
                if receiving.until.is_some_and(|most| receiving.at != most) {
                    wrong = Some("a file that is not whole has ended");
                }
                receiving.completed = true;
                let result = if self.moody && cx.chooser.rarely(30) {
                    if receiving.until.is_some() && receiving.conn.is_none() && !receiving.slow {
                        self.not_kept.push(receiving.kind);
                    }
                    Err(Incomplete::HashMismatch)
                } else {
                    Ok(())
                };
                if machine.completed(*id, result, cx.now).is_err() {
                    wrong = Some("what has ended can be completed");
                }
            } else if receiving.patience.is_some_and(|until| until <= cx.now) {
                receiving.patience = None;
                let _ = machine.cancel(*id, cx.now);
            }
        }
        if let Some(wrong) = wrong {
            self.demand(false, wrong);
        }
    }
}

impl App for Script {
    type Machine = Stack<Transfers>;

    fn event(&mut self, stack: &mut Stack<Transfers>, event: Event, cx: &mut Context<'_>) {
        let machine = &mut stack.machine;
        match event {
            Event::Offered {
                id,
                file,
                announced,
                ..
            } => self.offered(id, &file, announced, machine, cx),
            Event::Accepted { id, range, .. } => {
                if let Some(sending) = self.sending.get_mut(&id) {
                    sending.from = range.offset.unwrap_or(0) as usize;
                    sending.at = sending.from;
                    sending.accepted.get_or_insert(cx.now);
                }
            }
            Event::Established { id, conn, .. } => {
                if let Some(sending) = self.sending.get_mut(&id) {
                    sending.established = true;
                    let since = sending.accepted.filter(|_| sending.detour);
                    let took = since.map_or(Duration::ZERO, |since| cx.now.since(since));
                    self.tally.detour = self.tally.detour.max(took);
                }
                if let Some(conn) = conn {
                    self.has_socket(id, conn, machine, cx);
                }
            }
            Event::Ended { id } => {
                let known = self.receiving.get_mut(&id).map(|r| r.ended = true);
                if known.is_none() {
                    // A bare stream of ours that the peer closes.
                    let ours = self.sending.contains_key(&id);
                    self.demand(ours, "only what is received ends");
                    let _ = machine.completed(id, Ok(()), cx.now);
                }
            }
            Event::FellBack { id, .. } => {
                self.tally.fell_back += 1;
                if let Some(sending) = self.sending.get_mut(&id) {
                    sending.established = false;
                    sending.finished = false;
                    sending.at = sending.from;
                    sending.until = sending.size;
                    sending.conn = None;
                    sending.detour = true;
                } else if let Some(receiving) = self.receiving.get_mut(&id) {
                    receiving.at = receiving.from;
                    receiving.conn = None;
                }
            }
            Event::Done { id } => {
                if let Some(sending) = self.sending.remove(&id) {
                    // A bare stream may be closed by a peer that has had enough of it, a file by
                    // one that has all of it.
                    let whole = sending.at == sending.until;
                    self.demand(whole || !sending.announced, "done means sent");
                    self.tally.sent += 1;
                    self.sent.extend(sending.announced.then_some(sending.kind));
                    self.tally.by_socket += u32::from(sending.conn.is_some());
                } else if let Some(receiving) = self.receiving.remove(&id) {
                    let whole = receiving.until.is_none_or(|most| receiving.at == most);
                    self.demand(receiving.completed && whole, "done means received");
                    self.tally.received += 1;
                } else {
                    self.demand(false, "done is what had begun");
                }
            }
            Event::Failed { id, reason } => {
                self.sending.remove(&id);
                self.receiving.remove(&id);
                match reason {
                    Reason::Declined { .. } => self.tally.declined += 1,
                    _ => self.tally.failed += 1,
                }
            }
            _ => {}
        }
    }

    fn act(&mut self, stack: &mut Stack<Transfers>, cx: &mut Context<'_>) {
        let machine = &mut stack.machine;
        while let Some(plan) = self.plans.pop() {
            self.start(&plan, machine, cx.now);
        }
        self.write(machine, cx.now);
        self.read(machine, cx);
        if self.moody(400, cx) {
            let all = self.sending.keys().chain(self.receiving.keys());
            let all: Vec<TransferId> = all.copied().collect();
            if !all.is_empty() {
                let picked = cx.chooser.choose(all.len() as u32) as usize;
                let _ = machine.cancel(all[picked], cx.now);
            }
        }
        self.idle = machine.is_idle();
    }

    fn octets(
        &mut self,
        stack: &mut Stack<Transfers>,
        conn: ConnId,
        octets: Bytes,
        cx: &mut Context<'_>,
    ) {
        self.socket_heard(conn, &octets, &mut stack.machine, cx);
    }

    fn reset(&mut self, stack: &mut Stack<Transfers>, conn: ConnId, cx: &mut Context<'_>) {
        self.socket_broke(conn, &mut stack.machine, cx);
    }

    fn wake(&self) -> Option<Instant> {
        let all = self.receiving.values();
        all.flat_map(|r| [r.busy, r.patience]).flatten().min()
    }

    fn is_done(&self) -> bool {
        self.plans.is_empty() && self.sending.is_empty() && self.receiving.is_empty() && self.idle
    }

    fn offline(&mut self, stack: &mut Stack<Transfers>, cx: &mut Context<'_>) {
        stack.machine.link_lost(cx.now);
    }

    fn session(event: &Event) -> Option<(u64, bool)> {
        match event {
            Event::Offered { id, .. }
            | Event::Accepted { id, .. }
            | Event::Established { id, .. }
            | Event::Readable { id }
            | Event::Writable { id }
            | Event::Ended { id }
            | Event::FellBack { id, .. }
            | Event::Progress { id, .. } => Some((id.0, false)),
            Event::Done { id } | Event::Failed { id, .. } => Some((id.0, true)),
            _ => None,
        }
    }
}
