//! What every phase makes of every input, as a table beside this file.
#![allow(clippy::std_instead_of_alloc, reason = "tests run where std is")]

use super::{Requester, State};
use crate::hand::{
    Hand, JULIET, PROXY, ROMEO, compare, error, host, jid, octets, query, sid, table,
};
use bytestreams_machine::{ConnId, ConnectError, Ids, Instant, Machine, Own, Token};
use bytestreams_stanza::{BytestreamsContent, Condition, IqBody};
use std::string::String;

const PHASES: &[&str] = &[
    "Waiting",
    "Choosing",
    "Connecting",
    "Shaking",
    "Activating",
    "Over",
];

const INPUTS: &[&str] = &[
    "used directly",
    "used proxy",
    "used unknown",
    "refused",
    "activated",
    "not activated",
    "stranger's answer",
    "arrived",
    "gone",
    "connected",
    "failed",
    "method",
    "reply",
    "refusal",
    "closed",
    "cancel",
    "deadline",
];

fn used(of: &str) -> IqBody {
    IqBody::Result(Some(query(None, BytestreamsContent::Used(jid(of)))))
}

/// Stands in a phase, by the shortest way there. The connection with the proxy is 1.
fn in_phase(phase: &str) -> Hand<Requester> {
    let own = Own { jid: jid(ROMEO) };
    let hosts = [host(ROMEO, "192.0.2.1:1"), host(PROXY, "192.0.2.8:8")];
    let ids = &mut Ids::new("aaaaaaaa");
    let requester = Requester::new(
        own,
        jid(JULIET),
        sid("s1"),
        hosts.to_vec(),
        ids,
        Token(0),
        Instant::ZERO,
    );
    let mut hand = Hand::new(requester);
    match phase {
        "Waiting" => {}
        "Choosing" => {
            for conn in [hand.conn(), hand.conn()] {
                hand.machine.arrived(conn);
            }
            hand.iq(JULIET, "aaaaaaaa-0", used(ROMEO));
        }
        "Over" => {
            hand.machine.cancel(hand.now);
            hand.drain();
        }
        _ => {
            hand.iq(JULIET, "aaaaaaaa-0", used(PROXY));
        }
    }
    if matches!(phase, "Shaking" | "Activating") {
        let conn = hand.connected(0);
        if phase == "Activating" {
            hand.received(conn, &octets("050005000001000000000000"));
        }
    }
    hand.said();
    hand
}

fn phase_of(requester: &Requester) -> &'static str {
    match &requester.state {
        State::Unsent(_) => "Unsent",
        State::Waiting(_) => "Waiting",
        State::Choosing(_) => "Choosing",
        State::Connecting(_) => match &requester.dial {
            Some(dial) if !dial.is_pending() => "Shaking",
            _ => "Connecting",
        },
        State::Activating { .. } => "Activating",
        State::Over => "Over",
    }
}

/// Gives the input; says whether it was taken.
fn give(hand: &mut Hand<Requester>, phase: &str, input: &str) -> bool {
    let (conn, now) = (ConnId(1), hand.now);
    let dials = phase == "Connecting";
    match input {
        "used directly" => return hand.iq(JULIET, "aaaaaaaa-0", used(ROMEO)),
        "used proxy" => return hand.iq(JULIET, "aaaaaaaa-0", used(PROXY)),
        "used unknown" => return hand.iq(JULIET, "aaaaaaaa-0", used("x.lit")),
        "refused" => return hand.iq(JULIET, "aaaaaaaa-0", error(Condition::ItemNotFound)),
        "activated" => return hand.iq(PROXY, "aaaaaaaa-1", IqBody::Result(None)),
        "not activated" => return hand.iq(PROXY, "aaaaaaaa-1", error(Condition::NotAllowed)),
        "stranger's answer" => return hand.iq("x@x.lit/x", "aaaaaaaa-0", used(ROMEO)),
        "arrived" => {
            let conn = hand.conn();
            hand.machine.arrived(conn);
        }
        "gone" => hand.machine.gone(conn),
        "connected" if dials => {
            hand.connected(0);
        }
        "failed" if dials => hand.failed(0, ConnectError::Refused),
        // Nobody dials.
        "connected" | "failed" => return false,
        "method" => return hand.received(conn, &octets("0500")),
        "reply" => return hand.received(conn, &octets("050005000001000000000000")),
        "refusal" => return hand.received(conn, &octets("05000502")),
        "closed" => return hand.closed(conn),
        "cancel" => hand.machine.cancel(now),
        "deadline" => {
            if let Some(due) = hand.machine.poll_timeout() {
                hand.wait(due - now);
            }
        }
        other => panic!("no such input: {other}"),
    }
    hand.drain();
    true
}

#[test]
fn every_phase_makes_of_every_input_what_the_table_says() {
    let made: String = table(PHASES, INPUTS, |phase, input| {
        let mut hand = in_phase(phase);
        assert_eq!(phase_of(&hand.machine), phase);
        let taken = give(&mut hand, phase, input);
        let after = phase_of(&hand.machine);
        (hand.said(), taken, after)
    });
    compare(&made, include_str!("table.txt"));
}
