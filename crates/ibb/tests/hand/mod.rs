//! Two sessions driven by hand.
#![allow(dead_code, reason = "each test file uses its part")]

use bytes::Bytes;
use bytestreams_ibb::{Blocked, Config, Event, Session};
use bytestreams_machine::{Ids, Input, Instant, Machine, Output};
use bytestreams_stanza::{
    Close, Condition, Data, ErrorType, Id, Iq, IqBody, Jid, Message, Open, Payload, Sid, Stanza,
    StanzaError,
};
use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::time::Duration;

pub(crate) use bytestreams_ibb::WindowPolicy;

pub(crate) fn jid(text: &str) -> Jid {
    Jid::new(text).expect("a JID")
}

pub(crate) fn romeo() -> Jid {
    jid("romeo@montague.lit/orchard")
}

pub(crate) fn juliet() -> Jid {
    jid("juliet@capulet.lit/balcony")
}

pub(crate) fn sid() -> Sid {
    Sid::new("i781hf64").expect("a sid")
}

pub(crate) fn at(millis: u64) -> Instant {
    Instant::from_micros(millis * 1000)
}

pub(crate) fn fixed(blocks: u16) -> WindowPolicy {
    WindowPolicy::Fixed(NonZeroU16::new(blocks).expect("blocks"))
}

pub(crate) fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    config.grace = Duration::ZERO;
    change(&mut config);
    config
}

/// Octets that differ from place to place.
pub(crate) fn octets(len: usize) -> Bytes {
    (0..len)
        .map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect()
}

/// One session with what it said.
pub(crate) struct End {
    pub(crate) session: Session,
    pub(crate) me: Jid,
    pub(crate) events: Vec<Event>,
    pub(crate) out: VecDeque<Stanza>,
    pub(crate) received: Vec<u8>,
}

impl End {
    pub(crate) fn new(me: Jid, session: Session) -> Self {
        let mut end = Self {
            session,
            me,
            events: Vec::new(),
            out: VecDeque::new(),
            received: Vec::new(),
        };
        end.drain();
        end
    }

    /// Carries out what the session wants.
    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Stanza(mut stanza) => {
                    stanza.set_from(Some(self.me.clone()));
                    self.out.push_back(stanza);
                }
                Output::Net(command) => panic!("no sockets here: {command:?}"),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// Gives it a stanza of its own peer, and says whether it was taken.
    pub(crate) fn gets(&mut self, mut stanza: Stanza, now: Instant) -> bool {
        if stanza.from().is_none() {
            stanza.set_from(Some(self.session.peer().clone()));
        }
        let rest = self.session.handle_input(Input::Stanza(stanza), now);
        self.drain();
        rest.is_none()
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        self.drain();
        assert!(
            self.session.poll_timeout().is_none_or(|due| due > now),
            "a deadline stays in the past"
        );
    }

    /// Goes to the next deadline and fires it.
    pub(crate) fn next_timeout(&mut self) -> Instant {
        let due = self.session.poll_timeout().expect("a deadline");
        self.timeout(due);
        due
    }

    pub(crate) fn write(&mut self, octets: &mut Bytes, now: Instant) -> Result<usize, Blocked> {
        let result = self.session.write(octets, now);
        self.drain();
        result
    }

    /// Writes all that the window takes.
    pub(crate) fn fill(&mut self, octets: &mut Bytes, now: Instant) {
        while !octets.is_empty() && self.write(octets, now).is_ok() {}
    }

    /// Reads and stores all there is.
    pub(crate) fn store(&mut self, now: Instant) {
        while let Some(block) = self.session.read() {
            self.received.extend_from_slice(&block);
            self.session.stored(block.len(), now);
        }
        self.drain();
    }

    pub(crate) fn finish(&mut self, now: Instant) {
        self.session.finish(now);
        self.drain();
    }

    pub(crate) fn confirm(&mut self, now: Instant) {
        self.session.confirm_close(now);
        self.drain();
    }

    pub(crate) fn abort(&mut self, now: Instant) {
        self.session.abort(now);
        self.drain();
    }

    /// Takes the one stanza that it sent.
    pub(crate) fn sent(&mut self) -> Stanza {
        let stanza = self.out.pop_front().expect("it sent something");
        assert_eq!(self.out, [], "it sent more");
        stanza
    }

    pub(crate) fn sent_iq(&mut self) -> Iq {
        match self.out.pop_front().expect("it sent something") {
            Stanza::Iq(iq) => iq,
            other => panic!("not an IQ: {other:?}"),
        }
    }

    pub(crate) fn sent_nothing(&self) {
        assert_eq!(self.out, []);
    }

    /// Takes the events so far.
    pub(crate) fn told(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

/// An initiator, Romeo, whose `<open/>` is sent and not answered.
pub(crate) fn opening(config: Config) -> End {
    let session = Session::open(juliet(), sid(), config, Ids::new("aaaaaaaa"), at(0));
    End::new(romeo(), session)
}

/// A responder, Juliet, for this `<open/>`.
pub(crate) fn accepting(request: &Iq, config: Config, now: Instant) -> End {
    let Some(Payload::Open(open)) = request.request() else {
        panic!("not an <open/>: {request:?}");
    };
    let session = Session::accept(romeo(), request, open, config, Ids::new("bbbbbbbb"), now);
    End::new(juliet(), session)
}

/// An `<open/>` from Romeo.
pub(crate) fn open(block_size: u16) -> Iq {
    let mut iq = Iq::set(
        Some(juliet()),
        "open".into(),
        Payload::Open(Open {
            sid: sid(),
            block_size,
            carrier: bytestreams_stanza::Carrier::Iq,
        }),
    );
    iq.from = Some(romeo());
    iq
}

/// A responder whose result is sent and whose first event is taken.
pub(crate) fn responder(config: Config) -> End {
    let mut end = accepting(&open(config.block_size), config, at(0));
    end.out.clear();
    end.events.clear();
    end
}

/// An initiator whose stream is open.
pub(crate) fn initiator(config: Config) -> End {
    let mut end = opening(config);
    let request = end.sent_iq();
    assert!(end.gets(result(&request.id), at(0)));
    end.events.clear();
    end
}

/// Both ends of an open stream.
pub(crate) fn pair(a: Config, b: Config) -> (End, End) {
    let mut a = opening(a);
    let request = a.sent_iq();
    let mut b = accepting(&request, b, at(0));
    let answer = b.sent();
    assert!(a.gets(answer, at(0)));
    a.events.clear();
    b.events.clear();
    (a, b)
}

/// Delivers what both have sent so far, once.
pub(crate) fn exchange(a: &mut End, b: &mut End, now: Instant) -> usize {
    let (from_a, from_b): (Vec<_>, Vec<_>) = (a.out.drain(..).collect(), b.out.drain(..).collect());
    let count = from_a.len() + from_b.len();
    for stanza in from_a {
        b.gets(stanza, now);
    }
    for stanza in from_b {
        a.gets(stanza, now);
    }
    count
}

pub(crate) fn result(id: &Id) -> Stanza {
    Iq::answer(None, id.clone(), IqBody::Result(None)).into()
}

pub(crate) fn error(id: &Id, kind: ErrorType, condition: Condition) -> Stanza {
    let error = StanzaError::new(kind, condition);
    Iq::answer(None, id.clone(), IqBody::Error(Box::new(error))).into()
}

pub(crate) fn data(id: &str, seq: u16, octets: &[u8]) -> Stanza {
    Iq::set(None, id.into(), Payload::Data(block(seq, octets))).into()
}

pub(crate) fn block(seq: u16, octets: &[u8]) -> Data {
    Data {
        sid: sid(),
        seq,
        octets: Bytes::copy_from_slice(octets),
    }
}

pub(crate) fn message(id: Option<&str>, seq: u16, octets: &[u8]) -> Stanza {
    Message {
        from: None,
        to: None,
        id: id.map(Id::from),
        payload: Some(Payload::Data(block(seq, octets))),
        error: None,
    }
    .into()
}

pub(crate) fn close(id: &str) -> Stanza {
    Iq::set(None, id.into(), Payload::Close(Close { sid: sid() })).into()
}

/// What a stanza says, in short.
pub(crate) fn brief(stanza: &Stanza) -> String {
    let payload = |payload: &Payload| match payload {
        Payload::Open(open) => format!("open {}", open.block_size),
        Payload::Data(data) => format!("data {} +{}", data.seq, data.octets.len()),
        Payload::Close(_) => "close".to_owned(),
        Payload::Ping => "ping".to_owned(),
        other => format!("{other:?}"),
    };
    match stanza {
        Stanza::Iq(iq) => match &iq.body {
            IqBody::Get(p) | IqBody::Set(p) => payload(p),
            IqBody::Result(_) => format!("result {}", iq.id),
            IqBody::Error(e) => format!("{} {} {}", e.condition, e.kind.as_str(), iq.id),
        },
        Stanza::Message(m) => match (&m.payload, &m.error) {
            (_, Some(e)) => format!("message {} {}", e.condition, e.kind.as_str()),
            (Some(p), None) => format!("message {}", payload(p)),
            (None, None) => "message".to_owned(),
        },
        Stanza::Presence(_) => "presence".to_owned(),
    }
}

/// What it sent since the last look, in short.
pub(crate) fn said(end: &mut End) -> Vec<String> {
    end.out.drain(..).map(|stanza| brief(&stanza)).collect()
}
