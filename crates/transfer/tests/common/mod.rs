//! One machine with a scripted peer, and two machines with each other.
#![allow(dead_code, reason = "each test file uses its part")]

use bytes::Bytes;
use bytestreams_machine::{
    Entropy, Input, Instant, Machine, NetCommand, NetInput, Output, Own, Responder, Stack,
};
use bytestreams_stanza::{
    Carrier, Close, Condition, Data, DiscoInfo, Field, FieldType, File, Form, FormType, Id,
    Identity, Iq, IqBody, Jid, Open, Payload, Range, Si, Sid, Stanza, StanzaError, ns,
};
use bytestreams_transfer::{Config, Event, Method, Options, Reason, TransferId, Transfers};
use core::time::Duration;

pub(crate) const ME: &str = "romeo@montague.lit/orchard";
pub(crate) const PEER: &str = "juliet@capulet.lit/balcony";

pub(crate) fn jid(text: &str) -> Jid {
    Jid::new(text).expect(text)
}

pub(crate) fn sid(text: &str) -> Sid {
    Sid::new(text).expect(text)
}

pub(crate) fn entropy(n: u8) -> Entropy {
    let mut octets = [n; 32];
    octets[16..].fill(!n);
    Entropy(octets)
}

pub(crate) fn octets(len: usize) -> Bytes {
    let mut state = 0x2545_f491_u32;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

pub(crate) fn file(size: u64) -> File {
    File {
        name: Some("photo.jpg".into()),
        size: Some(size),
        ..File::default()
    }
}

pub(crate) fn stack(own: &str, config: Config, now: Instant) -> Stack<Transfers> {
    let machine = Transfers::new(Own { jid: jid(own) }, config, now);
    let identity = Identity {
        category: "client".into(),
        kind: "pc".into(),
        name: None,
    };
    let responder = Responder::new(
        "https://example.org/bytestreams",
        identity,
        &machine.features(),
    );
    Stack::new(machine, responder)
}

/// One machine, whose peer the test plays.
pub(crate) struct Solo {
    pub(crate) stack: Stack<Transfers>,
    pub(crate) now: Instant,
    pub(crate) events: Vec<Event>,
    pub(crate) stanzas: Vec<Stanza>,
    /// What it wants done with sockets; nothing, in band.
    pub(crate) nets: Vec<NetCommand>,
}

impl Solo {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let now = Instant::from_micros(1_000_000);
        Self {
            stack: stack(ME, config, now),
            now,
            events: Vec::new(),
            stanzas: Vec::new(),
            nets: Vec::new(),
        }
    }

    pub(crate) fn open_to_strangers() -> Self {
        let mut config = Config::default();
        config.allow_unannounced = true;
        Self::with(config)
    }

    pub(crate) fn transfers(&mut self) -> &mut Transfers {
        &mut self.stack.machine
    }

    /// Collects what the machine has to say.
    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.stack.poll_output() {
            match output {
                Output::Stanza(stanza) => self.stanzas.push(stanza),
                Output::Event(event) => self.events.push(event),
                Output::Net(command) => {
                    let methods = &self.stack.machine.config().methods;
                    assert!(methods.contains(&Method::Socks5), "{command:?}");
                    self.nets.push(command);
                }
            }
        }
    }

    /// Tells it what happened to a socket.
    #[track_caller]
    pub(crate) fn net(&mut self, input: NetInput) {
        let rest = self.stack.handle_input(Input::Net(input), self.now);
        assert_eq!(rest, None, "not its");
        self.drain();
    }

    pub(crate) fn take_nets(&mut self) -> Vec<NetCommand> {
        self.drain();
        core::mem::take(&mut self.nets)
    }

    /// Gives it a stanza from somebody, and answers what it did not take.
    pub(crate) fn give(&mut self, from: &str, stanza: impl Into<Stanza>) -> Option<Input> {
        let mut stanza = stanza.into();
        stanza.set_from(Some(jid(from)));
        let rest = self.stack.handle_input(Input::Stanza(stanza), self.now);
        self.drain();
        rest
    }

    pub(crate) fn set(&mut self, from: &str, id: &str, payload: Payload) -> Option<Input> {
        self.give(from, Iq::set(Some(jid(ME)), id.into(), payload))
    }

    /// Lets time pass, firing what is due when it is due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.drain();
        while let Some(due) = self.stack.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.stack.handle_timeout(self.now);
            self.drain();
            let next = self.stack.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "time stands still");
        }
        self.now = until;
    }

    pub(crate) fn take_stanzas(&mut self) -> Vec<Stanza> {
        self.drain();
        core::mem::take(&mut self.stanzas)
    }

    /// Takes the stanzas, which must be one IQ.
    pub(crate) fn take_iq(&mut self) -> Iq {
        let stanzas = self.take_stanzas();
        let [Stanza::Iq(iq)] = &stanzas[..] else {
            panic!("one iq: {stanzas:#?}")
        };
        iq.clone()
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        self.drain();
        core::mem::take(&mut self.events)
    }

    /// Takes the events, which must be one.
    pub(crate) fn take_event(&mut self) -> Event {
        let events = self.take_events();
        let [event] = &events[..] else {
            panic!("one event: {events:#?}")
        };
        event.clone()
    }

    pub(crate) fn offer(&mut self, file: File, options: Options) -> TransferId {
        let now = self.now;
        self.transfers()
            .offer(jid(PEER), file, options, entropy(1), now)
    }

    /// Takes the whole of what was offered.
    #[track_caller]
    pub(crate) fn accept(&mut self, id: TransferId) {
        let now = self.now;
        let accepted = self.transfers().accept(id, Range::default(), now);
        accepted.expect("accepted");
    }

    #[track_caller]
    pub(crate) fn decline(&mut self, id: TransferId) {
        let now = self.now;
        let declined = self.transfers().decline(id, None, now);
        declined.expect("declined");
    }

    #[track_caller]
    pub(crate) fn cancel(&mut self, id: TransferId) {
        let now = self.now;
        self.transfers().cancel(id, now).expect("cancelled");
    }

    /// Says that all is written.
    #[track_caller]
    pub(crate) fn finish(&mut self, id: TransferId) {
        let now = self.now;
        self.transfers().finish(id, now).expect("finished");
    }

    /// Says that the file is kept.
    #[track_caller]
    pub(crate) fn complete(&mut self, id: TransferId) {
        let now = self.now;
        let completed = self.transfers().completed(id, Ok(()), now);
        completed.expect("completed");
    }

    /// Answers the question of what the peer can do, and gives the other stanzas.
    pub(crate) fn answer_disco(&mut self, features: &[&str]) -> Vec<Stanza> {
        let (asked, rest): (Vec<_>, Vec<_>) = self.take_stanzas().into_iter().partition(
            |stanza| matches!(stanza, Stanza::Iq(iq) if matches!(iq.body, IqBody::Get(Payload::DiscoInfo(_)))),
        );
        for stanza in asked {
            let Stanza::Iq(iq) = stanza else { continue };
            let info = DiscoInfo {
                features: features.iter().map(|&f| f.into()).collect(),
                ..DiscoInfo::default()
            };
            let body = IqBody::Result(Some(Payload::DiscoInfo(Box::new(info))));
            self.give(PEER, Iq::answer(None, iq.id, body));
        }
        rest
    }
}

/// The form of an acceptance.
pub(crate) fn acceptance(methods: &[&str], range: Option<Range>) -> IqBody {
    let si = Si {
        file: range.map(|range| File {
            range: Some(range),
            ..File::default()
        }),
        feature: Some(form(FormType::Submit, methods, &[])),
        ..Si::default()
    };
    IqBody::Result(Some(Payload::Si(Box::new(si))))
}

pub(crate) fn form(kind: FormType, values: &[&str], options: &[&str]) -> Form {
    let texts = |list: &[&str]| list.iter().map(|&v| v.into()).collect();
    Form {
        kind,
        fields: vec![Field {
            var: "stream-method".into(),
            kind: FieldType::ListSingle,
            values: texts(values),
            options: texts(options),
        }],
    }
}

pub(crate) fn offer_of(stream: &str, file: File, methods: &[&str]) -> Payload {
    Payload::Si(Box::new(Si {
        id: Some(sid(stream)),
        profile: Some(ns::FILE_TRANSFER.into()),
        mime_type: Some("text/plain".into()),
        file: Some(file),
        feature: Some(form(FormType::Form, &[], methods)),
    }))
}

pub(crate) fn open(stream: &str, block_size: u16) -> Payload {
    Payload::Open(Open {
        sid: sid(stream),
        block_size,
        carrier: Carrier::Iq,
    })
}

pub(crate) fn data(stream: &str, seq: u16, octets: &[u8]) -> Payload {
    Payload::Data(Data {
        sid: sid(stream),
        seq,
        octets: Bytes::copy_from_slice(octets),
    })
}

pub(crate) fn close(stream: &str) -> Payload {
    Payload::Close(Close { sid: sid(stream) })
}

pub(crate) fn result(id: &Id) -> Iq {
    Iq::answer(None, id.clone(), IqBody::Result(None))
}

pub(crate) fn error(id: &Id, error: impl Into<StanzaError>) -> Iq {
    Iq::answer(None, id.clone(), IqBody::Error(Box::new(error.into())))
}

/// The condition of an error.
#[track_caller]
pub(crate) fn condition(iq: &Iq) -> Condition {
    match &iq.body {
        IqBody::Error(error) => error.condition,
        body => panic!("no error: {body:?}"),
    }
}

/// Two machines with a link between them that loses nothing.
pub(crate) struct Pair {
    pub(crate) ends: [Solo; 2],
    pub(crate) names: [&'static str; 2],
    /// What went over the link, with the number of the end that sent it.
    pub(crate) trace: Vec<(usize, Stanza)>,
}

impl Pair {
    pub(crate) fn new(config: Config) -> Self {
        let ends = [ME, PEER].map(|own| Solo {
            stack: stack(own, config.clone(), Instant::from_micros(1_000_000)),
            ..Solo::new()
        });
        Self {
            ends,
            names: [ME, PEER],
            trace: Vec::new(),
        }
    }

    /// Carries stanzas over until there are none.
    pub(crate) fn settle(&mut self) {
        for _ in 0..1_000_000 {
            let mut quiet = true;
            for end in 0..2 {
                for stanza in self.ends[end].take_stanzas() {
                    quiet = false;
                    self.trace.push((end, stanza.clone()));
                    self.ends[1 - end].give(self.names[end], stanza);
                }
            }
            if quiet {
                return;
            }
        }
        panic!("they talk for ever");
    }

    /// Lets time pass at both ends, in steps small enough for what they say meanwhile.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.ends[0].now + time;
        self.settle();
        loop {
            let due = self.ends.iter().filter_map(|end| end.stack.poll_timeout());
            let Some(due) = due.min().filter(|due| *due <= until) else {
                break;
            };
            for end in &mut self.ends {
                end.now = due.max(end.now);
                end.stack.handle_timeout(end.now);
            }
            self.settle();
        }
        for end in &mut self.ends {
            end.now = until;
        }
    }

    /// Writes as much as goes, settles, and goes on until everything is written, reading at the
    /// other end as it comes. Answers what came.
    pub(crate) fn move_octets(
        &mut self,
        from: (usize, TransferId),
        to: (usize, TransferId),
        octets: &Bytes,
    ) -> Vec<u8> {
        let mut left = octets.clone();
        let mut came = Vec::new();
        let mut blocked = None;
        loop {
            let now = self.ends[from.0].now;
            let before = (left.len(), came.len());
            while !left.is_empty() {
                let sender = self.ends[from.0].transfers();
                match sender.write(from.1, &mut left, now) {
                    Ok(_) => {}
                    Err(error) => {
                        blocked = Some(error);
                        break;
                    }
                }
            }
            self.settle();
            came.extend(self.take_octets(to.0, to.1));
            self.settle();
            if before == (left.len(), came.len()) {
                assert!(
                    left.is_empty(),
                    "stuck with {} octets left: {blocked:?}",
                    left.len()
                );
                return came;
            }
        }
    }

    /// Reads and stores what has come.
    pub(crate) fn take_octets(&mut self, end: usize, id: TransferId) -> Vec<u8> {
        let now = self.ends[end].now;
        let transfers = self.ends[end].transfers();
        let mut came = Vec::new();
        while let Some(block) = transfers.read(id) {
            came.extend_from_slice(&block);
            transfers.stored(id, block.len(), now);
        }
        came
    }

    /// The transfer that was offered to this end last.
    pub(crate) fn offered(&mut self, end: usize) -> TransferId {
        let events = self.ends[end].take_events();
        let offered = events.iter().rev().find_map(|event| match event {
            Event::Offered { id, .. } => Some(*id),
            _ => None,
        });
        offered.unwrap_or_else(|| panic!("no offer: {events:#?}"))
    }
}

/// Takes the events, the last of which must be a failure.
#[track_caller]
pub(crate) fn failure(solo: &mut Solo) -> Reason {
    match solo.take_events().pop() {
        Some(Event::Failed { reason, .. }) => reason,
        other => panic!("no failure: {other:?}"),
    }
}
