//! Two sessions in a simulated world, under laws.
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is, and panic at what they do not expect"
)]

use bytes::Bytes;
use bytestreams_ibb::{Blocked, Config, Event, Session, Strays, WindowPolicy, refusal};
use bytestreams_machine::{Ids, Input, Instant, Machine, Output, Responder};
use bytestreams_sim::{
    App, Broken, Chooser, Context, Faults, Outcome, Stranger, World, every_run, seeds,
};
use bytestreams_stanza::{Carrier, Identity, IqBody, Jid, Payload, Sid, Stanza};
use std::num::NonZeroU16;
use std::time::Duration;

fn jid(text: &str) -> Jid {
    Jid::new(text).expect("an address")
}

fn romeo() -> Jid {
    jid("romeo@montague.lit/orchard")
}

fn juliet() -> Jid {
    jid("juliet@capulet.lit/balcony")
}

fn sid() -> Sid {
    Sid::new("i781hf64").expect("a sid")
}

/// The machines of one end: one stream, what is behind it, and the last in line.
struct Host {
    session: Option<Session>,
    /// The stream that it takes, once.
    takes: Option<Config>,
    strays: Strays,
    responder: Responder,
    refused: Vec<Stanza>,
}

impl Host {
    fn new(session: Option<Session>, takes: Option<Config>) -> Self {
        let identity = Identity {
            category: "client".into(),
            kind: "bot".into(),
            name: None,
        };
        Self {
            session,
            takes,
            strays: Strays::new(),
            responder: Responder::new("urn:test", identity, &[]),
            refused: Vec::new(),
        }
    }

    fn open(&mut self, input: Input, now: Instant) -> Option<Input> {
        let Input::Stanza(Stanza::Iq(iq)) = &input else {
            return Some(input);
        };
        let IqBody::Set(Payload::Open(open)) = &iq.body else {
            return Some(input);
        };
        let takes = self.takes.filter(|_| iq.from == Some(romeo()));
        let Some(config) = takes else {
            self.refused
                .push(iq.error(refusal::not_acceptable()).into());
            return None;
        };
        if let Some(error) = refusal::of_open(open, &config) {
            self.refused.push(iq.error(error).into());
            return None;
        }
        self.takes = None;
        let ids = Ids::new("juliet00");
        self.session = Some(Session::accept(romeo(), iq, open, config, ids, now));
        None
    }

    /// Drops a stream that is over.
    fn end(&mut self, now: Instant) {
        if let Some(session) = self.session.take() {
            self.strays.remember_session(&session, now);
        }
    }
}

impl Machine for Host {
    type Event = Event;

    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        let input = match &mut self.session {
            Some(session) => session.handle_input(input, now)?,
            None => input,
        };
        let input = self.open(input, now)?;
        let input = self.strays.handle_input(input, now)?;
        self.responder.handle_input(input, now)
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(session) = &mut self.session {
            session.handle_timeout(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        if let Some(stanza) = self.refused.pop() {
            return Some(Output::Stanza(stanza));
        }
        if let Some(output) = self.session.as_mut().and_then(Machine::poll_output) {
            return Some(output);
        }
        let strays = self.strays.poll_output();
        let rest = strays.or_else(|| self.responder.poll_output());
        rest.map(|output| output.map_event(|never| match never {}))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.session.as_ref()?.poll_timeout()
    }
}

/// What a user does with a stream.
#[derive(Clone, Debug)]
struct Plan {
    /// What it sends.
    text: Bytes,
    /// Whether it ends the stream when that is sent; the other confirms.
    finishes: bool,
    /// How long blocks may wait to be stored.
    disk: Vec<Duration>,
    /// It gives up once in so many acts; never for 0.
    aborts: u32,
    /// Blocks that are ever unacknowledged, where the link loses nothing.
    window: Option<u64>,
    /// Whether an acknowledgement means delivery: a server may answer the ping behind messages
    /// that it has not delivered yet.
    sure: bool,
}

struct User {
    plan: Plan,
    rest: Bytes,
    received: Vec<u8>,
    unstored: usize,
    store_at: Option<Instant>,
    finished: bool,
    opened: bool,
    peer_closed: bool,
    confirmed: bool,
    acknowledged: u64,
    end: Option<Event>,
    offline: bool,
    fault: Option<String>,
}

impl User {
    fn new(plan: Plan) -> Self {
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

    fn sent(&self) -> u64 {
        (self.plan.text.len() - self.rest.len()) as u64
    }

    fn read(&mut self, session: &mut Session) {
        while let Some(block) = session.read() {
            if block.is_empty() {
                self.fault = Some("an empty block was delivered".into());
            }
            self.received.extend_from_slice(&block);
            self.unstored += block.len();
        }
    }

    fn write(&mut self, session: &mut Session, now: Instant) {
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
struct Initiator(User);

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

type Streams = World<Initiator, User>;

/// What holds at the end of a run.
type End = fn(&Streams) -> Result<(), String>;

fn world(left: Config, right: Config, there: Plan, back: Plan) -> Streams {
    let session = Session::open(juliet(), sid(), left, Ids::new("romeo000"), Instant::ZERO);
    World::new(
        (
            romeo(),
            Host::new(Some(session), None),
            Initiator(User::new(there)),
        ),
        (juliet(), Host::new(None, Some(right)), User::new(back)),
    )
}

/// What holds after each step, whatever goes wrong.
fn law(world: &Streams) -> Result<(), String> {
    let (left, right) = (&world.left.app.0, &world.right.app);
    for (from, to) in [(left, right), (right, left)] {
        if let Some(fault) = &from.fault {
            return Err(fault.clone());
        }
        if !from.plan.text.starts_with(&to.received) {
            return Err("what was received is no prefix of what was sent".into());
        }
        if to.received.len() as u64 > from.sent() {
            return Err("more was received than sent".into());
        }
        if from.plan.sure
            && from.acknowledged > to.received.len() as u64
            && to.end.is_none()
            && !to.offline
        {
            let unread = to.received.len() + buffered(to, left, right, world);
            if from.acknowledged > unread as u64 {
                return Err("more was acknowledged than received".into());
            }
        }
    }
    Ok(())
}

fn buffered(of: &User, left: &User, _right: &User, world: &Streams) -> usize {
    let host = if std::ptr::eq(of, left) {
        &world.left.machine
    } else {
        &world.right.machine
    };
    host.session.as_ref().map_or(0, Session::buffered)
}

/// What holds at the end: who closed well has everything over there.
fn ends_well(world: &Streams) -> Result<(), String> {
    let (left, right) = (&world.left.app.0, &world.right.app);
    for (from, to) in [(left, right), (right, left)] {
        let whole = to.received.len() as u64 == from.sent();
        if from.end == Some(Event::Closed) && !whole {
            return Err("closed, and not everything is there".into());
        }
    }
    Ok(())
}

/// What holds at the end where nothing is lost and nobody gives up.
fn everything_crossed(world: &Streams) -> Result<(), String> {
    let (left, right) = (&world.left.app.0, &world.right.app);
    if left.end != Some(Event::Closed) || right.end != Some(Event::Closed) {
        return Err(format!("left {:?}, right {:?}", left.end, right.end));
    }
    for (from, to) in [(left, right), (right, left)] {
        if from.plan.text != to.received {
            return Err("not everything crossed".into());
        }
    }
    Ok(())
}

fn run(world: &mut Streams, chooser: &mut dyn Chooser, end: End) -> Result<Outcome, Broken> {
    let outcome = world.run(chooser, law)?;
    end(world).map_err(|broken| world.broken(broken))?;
    Ok(outcome)
}

fn text(chooser: &mut dyn Chooser, block_size: u16) -> Bytes {
    let blocks = chooser.choose(40) as usize;
    let rest = chooser.choose(u32::from(block_size)) as usize;
    let octets = |i: usize| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0];
    (0..blocks * usize::from(block_size) / 2 + rest)
        .map(octets)
        .collect()
}

fn config(chooser: &mut dyn Chooser, carrier: Carrier) -> (Config, Option<u64>) {
    let mut config = Config::default();
    config.block_size = [1, 3, 4, 100, 256, 4096][chooser.choose(6) as usize];
    config.min_block_size = 1;
    config.carrier = carrier;
    config.idle_limit = Some(Duration::from_secs(300));
    if chooser.choose(2) == 1 {
        config.grace = Duration::ZERO;
    }
    let blocks = [1, 2, 5, 40][chooser.choose(4) as usize];
    if chooser.choose(4) == 3 {
        config.window = WindowPolicy::Adaptive;
        return (config, None);
    }
    config.window = WindowPolicy::Fixed(NonZeroU16::new(blocks).expect("not zero"));
    (config, Some(u64::from(blocks)))
}

fn random(chooser: &mut dyn Chooser, carrier: Carrier, faults: Faults, aborts: u32) -> Streams {
    let (left, there) = config(chooser, carrier);
    let (mut right, back) = config(chooser, carrier);
    if chooser.choose(3) == 1 {
        // Halved until it fits.
        right.max_block_size = left.block_size.div_ceil(2);
    }
    let loses = faults.drop > 0 || faults.bounce > 0;
    let disk = vec![
        Duration::ZERO,
        Duration::from_millis(500),
        Duration::from_secs(7),
    ];
    let mut plan = |config: &Config, window: Option<u64>, finishes, size| Plan {
        text: if size {
            text(chooser, config.block_size)
        } else {
            Bytes::new()
        },
        finishes,
        disk: disk.clone(),
        aborts,
        window: window.filter(|_| !loses),
        sure: carrier == Carrier::Iq || !loses,
    };
    let there = plan(&left, there, true, true);
    let crossing = plan(&left, back, false, true);
    let only_there = chooser.choose(2) == 0;
    let closes_too = chooser.choose(3) == 0;
    let back = Plan {
        text: if only_there {
            Bytes::new()
        } else {
            crossing.text
        },
        finishes: closes_too,
        ..crossing
    };
    let mut world = world(left, right, there, back);
    world.link.faults = faults;
    world.link.stranger = Some(Stranger::parrot(jid("eve@montague.lit/orchard")));
    if chooser.choose(4) == 0 {
        world.link.bandwidth = Some(200_000);
    }
    world
}

/// How many worlds: more where the environment says so.
fn worlds(few: u64) -> u64 {
    let factor = std::env::var("BYTESTREAMS_WORLDS").ok();
    few * factor.and_then(|f| f.parse().ok()).unwrap_or(1)
}

#[test]
fn everything_crosses_where_nothing_is_lost() {
    for carrier in [Carrier::Iq, Carrier::Message] {
        seeds(0..worlds(1000), |chooser| {
            let mut world = random(chooser, carrier, Faults::HARMLESS, 0);
            run(&mut world, chooser, everything_crossed)
        });
    }
}

#[test]
fn everything_crosses_where_resumptions_repeat_stanzas() {
    for carrier in [Carrier::Iq, Carrier::Message] {
        seeds(0..worlds(1000), |chooser| {
            let faults = Faults {
                repeat: 20,
                ..Faults::HARMLESS
            };
            let mut world = random(chooser, carrier, faults, 0);
            run(&mut world, chooser, everything_crossed)
        });
    }
}

#[test]
fn nothing_is_lost_in_silence_whatever_goes_wrong() {
    seeds(0..worlds(3000), |chooser| {
        let mut world = random(chooser, Carrier::Iq, Faults::SOME, 0);
        run(&mut world, chooser, ends_well)
    });
}

#[test]
fn nothing_is_lost_in_silence_by_message_where_the_link_tells_its_losses() {
    seeds(0..worlds(2000), |chooser| {
        let faults = Faults {
            drop: 0,
            ..Faults::SOME
        };
        let mut world = random(chooser, Carrier::Message, faults, 0);
        run(&mut world, chooser, ends_well)
    });
}

#[test]
fn both_sides_end_when_one_gives_up() {
    for carrier in [Carrier::Iq, Carrier::Message] {
        seeds(0..worlds(1000), |chooser| {
            let mut world = random(chooser, carrier, Faults::HARMLESS, 60);
            run(&mut world, chooser, ends_well)
        });
    }
}

/// Two blocks, a link with one or two delays, at most one fault: every run.
fn small(carrier: Carrier, blocks: u16, faults: Faults, end: End) {
    let mut config = Config::default();
    config.block_size = 3;
    config.grace = Duration::ZERO;
    config.carrier = carrier;
    config.window = WindowPolicy::Fixed(NonZeroU16::new(blocks).expect("not zero"));
    config.idle_limit = Some(Duration::from_secs(300));
    let plan = |text: &'static [u8], finishes| Plan {
        text: Bytes::from_static(text),
        finishes,
        disk: vec![Duration::ZERO],
        aborts: 0,
        sure: true,
        window: (faults.drop == 0 && faults.bounce == 0).then_some(u64::from(blocks)),
    };
    let runs = every_run(2_000_000, |chooser| {
        let mut world = world(config, config, plan(b"abcde", true), plan(b"", false));
        world.link.faults = faults;
        // A fault that has many forms makes many runs by itself.
        world.link.delays = if faults.bounce + faults.disconnect > 0 {
            vec![Duration::from_millis(1)]
        } else {
            vec![Duration::from_millis(1), Duration::from_millis(3)]
        };
        run(&mut world, chooser, end)
    });
    println!("{runs} runs, {carrier:?}, window {blocks}");
    assert!(runs > 20);
}

#[test]
fn every_run_of_a_small_world_without_faults() {
    for blocks in [1, 2] {
        small(Carrier::Iq, blocks, Faults::NONE, everything_crossed);
    }
}

#[test]
fn every_run_of_a_small_world_with_one_fault() {
    let fault = |change: fn(&mut Faults)| {
        let mut faults = Faults {
            budget: 1,
            ..Faults::NONE
        };
        change(&mut faults);
        faults
    };
    let faults: [(Faults, End); 5] = [
        (fault(|f| f.drop = 1), ends_well),
        (fault(|f| f.bounce = 1), ends_well),
        (fault(|f| f.repeat = 1), everything_crossed),
        (fault(|f| f.disconnect = 1), ends_well),
        (fault(|f| f.stall = 1), everything_crossed),
    ];
    for (faults, end) in faults {
        small(Carrier::Iq, 2, faults, end);
    }
}
