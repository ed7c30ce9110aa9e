//! What every phase makes of every input, as a table beside this file.

#![allow(
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is"
)]

use super::{Phase, Session};
use crate::{Config, Event};
use bytes::Bytes;
use bytestreams_machine::{Ids, Input, Instant, Machine, Output};
use bytestreams_stanza::{
    Carrier, Close, Condition, Data, ErrorType, Iq, IqBody, Jid, Open, Payload, Sid, Stanza,
    StanzaError,
};
use core::fmt::Write;
use std::borrow::ToOwned;
use std::string::String;
use std::vec::Vec;

const PHASES: &[&str] = &[
    "Opening",
    "Opening, aborted",
    "Open",
    "Open, unanswered block",
    "Open, unanswered block, finished",
    "Closing",
    "PeerClosing",
    "PeerClosing, unanswered block",
    "Crossing",
    "Refusing",
    "Over",
];

const INPUTS: &[&str] = &[
    "result",
    "error cancel",
    "error not-acceptable",
    "error resource-constraint modify",
    "error wait",
    "result to nothing",
    "next block",
    "wrong seq",
    "close",
    "open again",
    "other sid",
    "write",
    "finish",
    "confirm_close",
    "abort",
    "refuse",
    "deadline",
];

fn now() -> Instant {
    Instant::from_micros(1_000_000)
}

fn peer() -> Jid {
    Jid::new("romeo@montague.lit/orchard").expect("a JID")
}

fn sid(text: &str) -> Sid {
    Sid::new(text).expect("a sid")
}

fn take(session: &mut Session, id: &str, body: IqBody) -> bool {
    let mut iq = Iq::answer(None, id.into(), body);
    iq.from = Some(peer());
    let rest = session.handle_input(Input::Stanza(iq.into()), now());
    rest.is_none()
}

fn data(seq: u16) -> IqBody {
    IqBody::Set(Payload::Data(Data {
        sid: sid("s"),
        seq,
        octets: Bytes::from_static(b"abc"),
    }))
}

fn close(of: &str) -> IqBody {
    IqBody::Set(Payload::Close(Close { sid: sid(of) }))
}

/// Makes a session that stands in a phase, by the shortest way there. Every request of ours is
/// answered by its id, which the counter makes.
fn in_phase(name: &str) -> Session {
    let ids = Ids::new("aaaaaaaa");
    let mut session = Session::open(peer(), sid("s"), Config::default(), ids, Instant::ZERO);
    if name == "Opening" {
        return session;
    }
    if name == "Opening, aborted" {
        session.abort(now());
        return session;
    }
    take(&mut session, "aaaaaaaa-0", IqBody::Result(None));
    if name.contains("unanswered block") {
        let mut octets = Bytes::from_static(b"abc");
        session.write(&mut octets, now()).expect("room");
    }
    if name.contains("finished") || matches!(name, "Closing" | "Crossing") {
        session.finish(now());
    }
    if name.starts_with("PeerClosing") || name == "Crossing" {
        take(&mut session, "first", close("s"));
    }
    if name == "Refusing" {
        session.refuse(crate::refusal::not_acceptable(), now());
    }
    if name == "Over" {
        session.abort(now());
    }
    session
}

/// The request of ours that waits for an answer.
fn pending(session: &Session, name: &str) -> &'static str {
    match &session.phase {
        Phase::Opening { .. } => "aaaaaaaa-0",
        _ if name == "Over" => "none",
        _ => "aaaaaaaa-1",
    }
}

fn error(kind: ErrorType, condition: Condition) -> IqBody {
    IqBody::Error(std::boxed::Box::new(StanzaError::new(kind, condition)))
}

/// Gives the input; `Some(false)` says that it was handed back.
fn give(session: &mut Session, phase: &str, input: &str) -> Option<bool> {
    use Condition as C;
    let id = pending(session, phase);
    let octets = &mut Bytes::from_static(b"abc");
    Some(match input {
        "result" => take(session, id, IqBody::Result(None)),
        "error cancel" => take(session, id, error(ErrorType::Cancel, C::ItemNotFound)),
        "error not-acceptable" => take(session, id, error(ErrorType::Cancel, C::NotAcceptable)),
        "error resource-constraint modify" => {
            let error = error(ErrorType::Modify, C::ResourceConstraint);
            take(session, id, error)
        }
        "error wait" => take(session, id, error(ErrorType::Wait, C::RecipientUnavailable)),
        "result to nothing" => take(session, "nothing", IqBody::Result(None)),
        "next block" => take(session, "block", data(0)),
        "wrong seq" => take(session, "block", data(7)),
        "close" => take(session, "close", close("s")),
        "open again" => {
            let open = Open {
                sid: sid("s"),
                block_size: 4096,
                carrier: Carrier::Iq,
            };
            take(session, "open", IqBody::Set(Payload::Open(open)))
        }
        "other sid" => take(session, "other", close("t")),
        "write" => return session.write(octets, now()).err().map(|_| false),
        "finish" => {
            session.finish(now());
            return None;
        }
        "confirm_close" => {
            session.confirm_close(now());
            return None;
        }
        "abort" => {
            session.abort(now());
            return None;
        }
        "refuse" => {
            session.refuse(crate::refusal::not_acceptable(), now());
            return None;
        }
        "deadline" => {
            let due = session.poll_timeout()?;
            session.handle_timeout(due);
            return None;
        }
        other => panic!("no such input: {other}"),
    })
}

fn outputs(session: &mut Session) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(output) = session.poll_output() {
        all.push(match output {
            Output::Stanza(stanza) => brief(&stanza),
            Output::Event(Event::Failed(reason)) => std::format!("Failed: {reason}"),
            Output::Event(Event::Opened { .. }) => "Opened".to_owned(),
            Output::Event(Event::Acknowledged { octets }) => std::format!("Acknowledged {octets}"),
            Output::Event(event) => std::format!("{event:?}"),
            Output::Net(command) => panic!("{command:?}"),
        });
    }
    all
}

fn brief(stanza: &Stanza) -> String {
    let Stanza::Iq(iq) = stanza else {
        panic!("{stanza:?}");
    };
    match &iq.body {
        IqBody::Set(Payload::Open(open)) => std::format!("<open {}>", open.block_size),
        IqBody::Set(Payload::Data(data)) => std::format!("<data {}>", data.seq),
        IqBody::Set(Payload::Close(_)) => "<close>".to_owned(),
        IqBody::Get(Payload::Ping) => "<ping>".to_owned(),
        IqBody::Result(_) => std::format!("result {}", iq.id),
        IqBody::Error(error) => std::format!("{} {}", error.condition, iq.id),
        other => panic!("{other:?}"),
    }
}

fn phase_of(session: &Session) -> &'static str {
    let (idle, finished) = (session.outgoing.is_empty(), session.finished);
    match &session.phase {
        Phase::Opening { aborted: false, .. } => "Opening",
        Phase::Opening { aborted: true, .. } => "Opening, aborted",
        Phase::Open { .. } => match (idle, finished) {
            (true, _) => "Open",
            (false, false) => "Open, unanswered block",
            (false, true) => "Open, unanswered block, finished",
        },
        Phase::Closing(_) => "Closing",
        Phase::PeerClosing(_) if idle => "PeerClosing",
        Phase::PeerClosing(_) => "PeerClosing, unanswered block",
        Phase::Crossing(..) => "Crossing",
        Phase::Refusing { .. } => "Refusing",
        Phase::Over => "Over",
    }
}

#[test]
fn every_phase_makes_of_every_input_what_the_table_says() {
    let mut table = String::from("# phase | input | outputs | phase\n");
    for phase in PHASES {
        for input in INPUTS {
            let mut session = in_phase(phase);
            assert_eq!(phase_of(&session), *phase);
            outputs(&mut session);
            let taken = give(&mut session, phase, input);
            let mut said = outputs(&mut session).join(", ");
            if said.is_empty() {
                said = match taken {
                    Some(false) => "(not taken)",
                    _ => "-",
                }
                .to_owned();
            }
            writeln!(table, "{phase} | {input} | {said} | {}", phase_of(&session)).expect("memory");
        }
    }
    let expected = include_str!("table.txt");
    for (is, should) in table.lines().zip(expected.lines()) {
        assert_eq!(is, should);
    }
    assert_eq!(table, expected, "{table}");
}
