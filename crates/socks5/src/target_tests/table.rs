//! What every phase makes of every input, as a table beside this file.
#![allow(clippy::std_instead_of_alloc, reason = "tests run where std is")]

use super::{State, Target};
use crate::FailedHosts;
use crate::hand::{Hand, JULIET, PROXY, ROMEO, compare, host, jid, octets, query, table};
use bytestreams_machine::{ConnId, ConnectError, Input, Instant, Machine, NetInput, Own, Token};
use bytestreams_stanza::{BytestreamsContent, Iq};
use std::string::String;

const PHASES: &[&str] = &[
    "One dialled",
    "Both dialled",
    "Shaking",
    "Asking",
    "Asking, one parked",
    "Holding",
    "Used",
    "Failed",
    "Cancelled",
];

const INPUTS: &[&str] = &[
    "first connected",
    "first failed",
    "second connected",
    "second failed",
    "method",
    "reply",
    "refusal",
    "closed",
    "parked closed",
    "offered again",
    "offered by another",
    "cancel",
    "deadline",
];

fn offer(from: &str, id: &str) -> Iq {
    let hosts = [host(PROXY, "192.0.2.1:1"), host(PROXY, "192.0.2.2:2")];
    let content = BytestreamsContent::Hosts(hosts.to_vec());
    let mut iq = Iq::set(Some(jid(JULIET)), id.into(), query(Some("s1"), content));
    iq.from = Some(jid(from));
    iq
}

/// Stands in a phase, by the shortest way there. The first connection is 1, the second 2.
fn in_phase(phase: &str) -> Hand<Target> {
    let own = Own { jid: jid(JULIET) };
    let memory = FailedHosts::default();
    let target = Target::new(&offer(ROMEO, "q1"), own, Token(0), &memory, Instant::ZERO);
    let mut hand = Hand::new(target.expect("an offer"));
    match phase {
        "Both dialled" => hand.wait_millis(250),
        "Shaking" => {
            hand.connected(0);
        }
        "Asking" | "Asking, one parked" => {
            let conn = hand.connected(0);
            hand.received(conn, &octets("0500"));
            if phase == "Asking, one parked" {
                hand.wait_millis(250);
                hand.connected(1);
            }
        }
        "Holding" => {
            hand.failed(0, ConnectError::Refused);
            hand.failed(1, ConnectError::Refused);
        }
        "Used" => {
            let conn = hand.connected(0);
            hand.received(conn, &octets("050005000001000000000000"));
            assert!(hand.machine.early().is_empty());
        }
        "Failed" => {
            hand.wait_millis(250);
            hand.wait_millis(8_750);
        }
        "Cancelled" => hand.machine.cancel(hand.now),
        _ => {}
    }
    hand.drain();
    hand.said();
    hand
}

fn phase_of(hand: &Hand<Target>) -> &'static str {
    let target = &hand.machine;
    match &target.state {
        State::Trying if target.dial.is_lost() => "Holding",
        State::Trying => "Trying",
        State::Used(_) => "Used",
        State::Failed => "Failed",
        State::Cancelled => "Cancelled",
    }
}

fn dials(phase: &str, token: u64) -> bool {
    match phase {
        "One dialled" | "Cancelled" => token == 0,
        "Both dialled" | "Failed" => true,
        _ => false,
    }
}

/// Gives the input; says whether it was taken.
fn give(hand: &mut Hand<Target>, phase: &str, input: &str) -> bool {
    let (conn, now) = (ConnId(1), hand.now);
    match input {
        "first connected" if dials(phase, 0) => {
            hand.connected(0);
        }
        "first failed" if dials(phase, 0) => hand.failed(0, ConnectError::Refused),
        "second connected" if dials(phase, 1) => {
            hand.connected(1);
        }
        "second failed" if dials(phase, 1) => hand.failed(1, ConnectError::Refused),
        "first failed" => {
            let failed = NetInput::Failed(Token(0), ConnectError::Refused);
            return hand.give(Input::Net(failed));
        }
        // Nobody dials.
        "first connected" | "second connected" | "second failed" => return false,
        "method" => return hand.received(conn, &octets("0500")),
        "reply" => return hand.received(conn, &octets("05000001000000000000")),
        "refusal" => return hand.received(conn, &octets("0502")),
        "closed" => return hand.closed(conn),
        "parked closed" => return hand.closed(ConnId(2)),
        "offered again" => return hand.give(Input::Stanza(offer(ROMEO, "q2").into())),
        "offered by another" => return hand.give(Input::Stanza(offer("x@x/x", "q2").into())),
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
        let taken = give(&mut hand, phase, input);
        let after = phase_of(&hand);
        (hand.said(), taken, after)
    });
    compare(&made, include_str!("table.txt"));
}
