//! Two in-band sessions in the deterministic world; the octets are its choices.

use bytes::Bytes;
use bytestreams_ibb::{Config, Event, Reason, Session, Strays, WindowPolicy, refusal};
use bytestreams_machine::{Ids, Input, Instant, Machine, Output};
use bytestreams_sim::{App, Chooser, Context, Faults, Scripted, Stranger, World};
use bytestreams_stanza::{Carrier, Iq, IqBody, Jid, Payload, Sid, Stanza};
use std::num::NonZeroU16;
use std::time::Duration;

/// One end: its stream, once there is one, and what answers for streams that are no more.
struct End {
    session: Option<Session>,
    strays: Strays,
    /// How this end takes a stream that it is asked for.
    config: Option<Config>,
    answers: Vec<Stanza>,
}

impl End {
    fn asked(&mut self, iq: Iq, now: Instant) -> Option<Input> {
        let (Some(config), Some(from)) = (self.config, iq.from.clone()) else {
            return Some(Input::Stanza(iq.into()));
        };
        let IqBody::Set(Payload::Open(open)) = &iq.body else {
            return Some(Input::Stanza(iq.into()));
        };
        let known = self.session.is_some() || from != left_jid();
        let refused = known
            .then(refusal::not_acceptable)
            .or_else(|| refusal::of_open(open, &config));
        match refused {
            Some(error) => self.answers.push(iq.error(error).into()),
            None => {
                let ids = Ids::new("bbbbbbbb");
                self.session = Some(Session::accept(from, &iq, open, config, ids, now));
            }
        }
        None
    }
}

impl Machine for End {
    type Event = Event;

    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        let input = match &mut self.session {
            Some(session) => session.handle_input(input, now)?,
            None => input,
        };
        let input = match input {
            Input::Stanza(Stanza::Iq(iq)) => self.asked(iq, now)?,
            other => other,
        };
        self.strays.handle_input(input, now)
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(session) = &mut self.session {
            session.handle_timeout(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        if let Some(output) = self.session.as_mut().and_then(Machine::poll_output) {
            return Some(output);
        }
        if !self.answers.is_empty() {
            return Some(Output::Stanza(self.answers.remove(0)));
        }
        match self.strays.poll_output()? {
            Output::Stanza(stanza) => Some(Output::Stanza(stanza)),
            Output::Net(command) => Some(Output::Net(command)),
            Output::Event(never) => match never {},
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.session.as_ref().and_then(Machine::poll_timeout)
    }
}

/// What one end wants, and what came of it.
struct Talk {
    /// All that it means to write, and how much of that it has written.
    script: Bytes,
    written: usize,
    /// Gives up once so much is written.
    abort_at: Option<usize>,
    /// Whether it asked for the stream.
    asks: bool,
    received: Vec<u8>,
    acknowledged: u64,
    slow: bool,
    /// Stores nothing until then.
    idle_until: Option<Instant>,
    open: bool,
    peer_closed: bool,
    online: bool,
    /// Whether an acknowledgement means that the octets came. Not so by message where pings bounce:
    /// any answer to a ping acknowledges what was sent before it.
    sure: bool,
    end: Option<Result<(), Reason>>,
}

impl Talk {
    fn read(&mut self, session: &mut Session, cx: &mut Context<'_>) {
        if self.idle_until.is_some_and(|until| until > cx.now) {
            return;
        }
        self.idle_until = None;
        while let Some(block) = session.read() {
            self.received.extend_from_slice(&block);
            session.stored(block.len(), cx.now);
            if self.slow {
                let pause = [0, 0, 20, 1_000, 5_000][cx.chooser.choose(5) as usize];
                if pause > 0 {
                    self.idle_until = Some(cx.now + Duration::from_millis(pause));
                    return;
                }
            }
        }
        if self.peer_closed {
            session.confirm_close(cx.now);
        }
    }

    fn write(&mut self, session: &mut Session, now: Instant) {
        while self.written < self.script.len() {
            let mut rest = self.script.slice(self.written..);
            match session.write(&mut rest, now) {
                Ok(taken) => self.written += taken,
                Err(_) => return,
            }
            if self.abort_at.is_some_and(|at| self.written >= at) {
                return session.abort(now);
            }
        }
        if self.asks {
            session.finish(now);
        }
    }
}

impl App for Talk {
    type Machine = End;

    fn event(&mut self, machine: &mut End, event: Event, cx: &mut Context<'_>) {
        assert!(
            self.open || matches!(event, Event::Opened { .. } | Event::Failed(_)),
            "{event:?} before the stream is open"
        );
        match event {
            Event::Opened { .. } => self.open = true,
            Event::Acknowledged { octets } => {
                assert!(octets > self.acknowledged, "acknowledged {octets} again");
                self.acknowledged = octets;
            }
            Event::PeerClosed => self.peer_closed = true,
            Event::Closed => self.end = Some(Ok(())),
            Event::Failed(reason) => self.end = Some(Err(reason)),
            _ => {}
        }
        if self.end.is_some()
            && let Some(session) = &machine.session
        {
            let (peer, sid) = (session.peer().clone(), session.sid().clone());
            machine.strays.remember(peer, sid, 0, cx.now);
        }
    }

    fn act(&mut self, machine: &mut End, cx: &mut Context<'_>) {
        if let Some(session) = &mut machine.session {
            self.read(session, cx);
            self.write(session, cx.now);
        }
    }

    fn wake(&self) -> Option<Instant> {
        self.idle_until
    }

    fn is_done(&self) -> bool {
        let over = self.end.is_some() || !(self.asks || self.open);
        !self.online || over && self.idle_until.is_none()
    }

    fn offline(&mut self, machine: &mut End, cx: &mut Context<'_>) {
        self.online = false;
        if let Some(session) = &mut machine.session {
            session.abort(cx.now);
        }
    }

    fn session(event: &Event) -> Option<(u64, bool)> {
        Some((0, matches!(event, Event::Closed | Event::Failed(_))))
    }
}

fn left_jid() -> Jid {
    Jid::new("romeo@montague.lit/orchard").expect("a JID")
}

fn right_jid() -> Jid {
    Jid::new("juliet@capulet.lit/balcony").expect("a JID")
}

fn config(chooser: &mut dyn Chooser) -> Config {
    let mut config = Config::default();
    config.block_size = [4096, 300, 64, 65_535][chooser.choose(4) as usize];
    config.max_block_size = [65_535, 4096, 256, 40][chooser.choose(4) as usize];
    config.window = match chooser.choose(5) {
        4 => WindowPolicy::Adaptive,
        n => WindowPolicy::Fixed(NonZeroU16::MIN.saturating_add([0, 1, 4, 40][n as usize])),
    };
    config.receive_buffer = [1 << 20, 1000, 9000][chooser.choose(3) as usize];
    config.grace = Duration::from_secs(chooser.choose(2).into());
    config
}

fn talk(asks: bool, block: u16, chooser: &mut dyn Chooser) -> Talk {
    // The block size may be halved: so many octets make at most a few hundred blocks.
    let most = usize::from(block) * 24;
    let len = match chooser.choose(4) {
        0 => most / 5,
        1 => 0,
        2 => chooser.choose(256) as usize,
        _ => most,
    };
    Talk {
        script: (0..len).map(|i| (i * 7 + i / 251) as u8).collect(),
        written: 0,
        abort_at: (chooser.choose(8) == 7).then_some(len / 2),
        asks,
        received: Vec::new(),
        acknowledged: 0,
        slow: chooser.choose(2) == 1,
        idle_until: None,
        open: false,
        peer_closed: false,
        online: true,
        sure: true,
        end: None,
    }
}

/// The laws, after each step. `compared` says how much of what each end received was looked at
/// before.
fn hold(world: &World<Talk, Talk>, compared: &mut [usize; 2]) -> Result<(), String> {
    let ways = [(&world.left, &world.right), (&world.right, &world.left)];
    for ((from, to), compared) in ways.into_iter().zip(compared) {
        let written = &from.app.script[*compared..from.app.written];
        if !written.starts_with(&to.app.received[*compared..]) {
            return Err("what was received is no beginning of what was written".into());
        }
        *compared = to.app.received.len();
        let buffered = to.machine.session.as_ref().map_or(0, Session::buffered);
        let here = (to.app.received.len() + buffered) as u64;
        let over = to.machine.session.as_ref().is_some_and(Session::is_closed);
        if from.app.sure && from.app.acknowledged > here && !over {
            return Err(format!(
                "{} octets acknowledged, {here} arrived",
                from.app.acknowledged
            ));
        }
        if let Some(session) = &to.machine.session
            && buffered
                > to.machine
                    .config
                    .unwrap_or_default()
                    .receive_buffer
                    .max(1 << 20)
        {
            return Err(format!("{buffered} octets wait in {session:?}"));
        }
    }
    Ok(())
}

/// Two sessions over a link that delays, loses, repeats and bounces: the laws hold.
pub fn session(data: &[u8]) {
    let mut chooser = Scripted::from_octets(data);
    let choose: &mut dyn Chooser = &mut chooser;
    let mut asked = config(choose);
    asked.carrier = match choose.choose(3) {
        2 => Carrier::Message,
        _ => Carrier::Iq,
    };
    let accepting = config(choose);
    let sid = Sid::new("i781hf64").expect("a sid");
    let ids = Ids::new("aaaaaaaa");
    let left = Session::open(right_jid(), sid, asked, ids, Instant::ZERO);
    let end = |session, config| End {
        session,
        strays: Strays::new(),
        config,
        answers: Vec::new(),
    };
    let mut world = World::new(
        (
            left_jid(),
            end(Some(left), None),
            talk(true, asked.block_size, choose),
        ),
        (
            right_jid(),
            end(None, Some(accepting)),
            talk(false, asked.block_size, choose),
        ),
    );
    world.link.faults = match choose.choose(4) {
        0 => Faults::NONE,
        1 => Faults::HARMLESS,
        _ => Faults::SOME,
    };
    let faults = world.link.faults;
    let sure = asked.carrier == Carrier::Iq || faults.drop == 0 && faults.bounce == 0;
    world.left.app.sure = sure;
    world.right.app.sure = sure;
    world.link.bandwidth = [None, Some(1_000_000), Some(32_000)][choose.choose(3) as usize];
    if choose.choose(2) == 1 {
        let stranger = Jid::new("tybalt@capulet.lit/vault").expect("a JID");
        world.link.stranger = Some(Stranger::parrot(stranger));
    }
    let mut compared = [0; 2];
    if let Err(broken) = world.run(&mut chooser, |world| hold(world, &mut compared)) {
        panic!("{broken}");
    }
    for (from, to) in [(&world.left, &world.right), (&world.right, &world.left)] {
        if from.app.sure && from.app.end == Some(Ok(())) {
            let mut received = to.app.received.clone();
            let trace = world.broken(format!("{:?}", to.app.end));
            assert_eq!(
                from.app.written,
                received.len(),
                "closed, but not whole: {trace}"
            );
            received.truncate(from.app.written);
            assert_eq!(received, from.app.script[..from.app.written]);
        }
    }
}
