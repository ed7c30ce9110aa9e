#![allow(clippy::std_instead_of_alloc, reason = "tests run where std is")]

use super::*;
use crate::hand::{Hand, JULIET, PROXY, ROMEO, error, hex, host, jid, octets, query, sid};
use bytestreams_machine::ConnectError;
use bytestreams_stanza::{Condition, ErrorType, StanzaError};
use std::format;
use std::string::String;

const MET: &str = "0500";
const REPLY: &str = "05000001000000000000";

fn new(hosts: &[StreamHost]) -> Requester {
    let own = Own { jid: jid(ROMEO) };
    let hosts = hosts.to_vec();
    let ids = &mut Ids::new("aaaaaaaa");
    Requester::new(
        own,
        jid(JULIET),
        sid("s1"),
        hosts,
        ids,
        Token(8),
        Instant::ZERO,
    )
}

/// Has told two addresses of its own and a proxy with two.
fn requester() -> Hand<Requester> {
    let mut hand = Hand::new(new(&[
        host(ROMEO, "192.0.2.1:1"),
        host(ROMEO, "192.0.2.2:1"),
        host(PROXY, "192.0.2.8:8"),
        host(PROXY, "192.0.2.9:9"),
    ]));
    assert!(
        hand.said()
            .starts_with(&format!("set aaaaaaaa-0 {JULIET}: hosts of s1"))
    );
    hand
}

fn used(of: &str) -> IqBody {
    IqBody::Result(Some(query(None, BytestreamsContent::Used(jid(of)))))
}

/// Stands where the activation is to be answered; the connection is 1.
fn activating() -> Hand<Requester> {
    let mut hand = requester();
    assert!(hand.iq(JULIET, "aaaaaaaa-0", used(PROXY)));
    let conn = hand.connected(8);
    hand.received(conn, &octets(MET));
    hand.received(conn, &octets(REPLY));
    hand.said();
    hand
}

/// Notes a connection that Inbound would have taken.
fn arrive(hand: &mut Hand<Requester>, conn: u64) {
    hand.machine.arrived(ConnId(conn));
}

#[test]
fn a_direct_connection_is_detached_once_the_target_uses_it() {
    let mut machine = new(&[host(ROMEO, "192.0.2.1:1")]);
    machine.arrived(ConnId(7));
    assert!(matches!(machine.poll_output(), Some(Output::Stanza(_))));
    assert_eq!(machine.poll_output(), None);
    let mut answer = Iq::answer(None, "aaaaaaaa-0".into(), used(ROMEO));
    answer.from = Some(jid("Juliet@montague.lit/balcony"));
    assert_eq!(
        machine.handle_input(Input::Stanza(answer.into()), Instant::ZERO),
        None
    );
    let conn = ConnId(7);
    assert_eq!(
        machine.poll_output(),
        Some(Output::Net(NetCommand::Detach(conn)))
    );
    let via = Via::Direct;
    let event = Event::Established { conn, via };
    assert_eq!(machine.poll_output(), Some(Output::Event(event)));
    assert!(machine.is_finished());
}

/// Which connection is taken after these have arrived (positive) and gone (negative).
fn taken(changes: &[i64]) -> Option<u64> {
    let mut machine = new(&[host(ROMEO, "192.0.2.1:1")]);
    for &change in changes {
        let conn = ConnId(change.unsigned_abs());
        match change {
            1.. => machine.arrived(conn),
            _ => machine.gone(conn),
        }
    }
    machine.poll_output();
    let mut answer = Iq::answer(None, "aaaaaaaa-0".into(), used(ROMEO));
    answer.from = Some(jid(JULIET));
    machine.handle_input(Input::Stanza(answer.into()), Instant::ZERO);
    let output = machine.poll_output().or_else(|| {
        // Several: the Target may still close those that it does not use.
        let due = machine.poll_timeout().expect("a deadline");
        assert_eq!(due, Instant::ZERO + Requester::SETTLE_WITHIN);
        machine.handle_timeout(due);
        machine.poll_output()
    });
    match output {
        Some(Output::Net(NetCommand::Detach(conn))) => Some(conn.0),
        Some(Output::Event(Event::Failed(Reason::NotConnected))) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_target_closes_is_not_taken() {
    let mut machine = new(&[host(ROMEO, "192.0.2.1:1")]);
    machine.poll_output();
    for conn in 1..=3 {
        machine.arrived(ConnId(conn));
    }
    let mut answer = Iq::answer(None, "aaaaaaaa-0".into(), used(ROMEO));
    answer.from = Some(jid(JULIET));
    machine.handle_input(Input::Stanza(answer.into()), Instant::ZERO);
    machine.gone(ConnId(1));
    assert_eq!(machine.poll_output(), None);
    machine.gone(ConnId(3));
    assert_eq!(
        machine.poll_output(),
        Some(Output::Net(NetCommand::Detach(ConnId(2))))
    );
}

#[test]
fn the_earliest_connection_still_open_is_taken() {
    assert_eq!(taken(&[]), None);
    assert_eq!(taken(&[5]), Some(5));
    assert_eq!(taken(&[5, 3, 9]), Some(5));
    assert_eq!(taken(&[5, 3, -5, 9]), Some(3));
    assert_eq!(taken(&[5, -5]), None);
    assert_eq!(taken(&[5, -5, 6, -7]), Some(6));
}

#[test]
fn arrivals_are_bounded() {
    let mut machine = new(&[host(ROMEO, "192.0.2.1:1")]);
    for conn in 0..1000 {
        machine.arrived(ConnId(conn));
    }
    assert_eq!(machine.arrived.len(), Requester::MAX_ARRIVED);
}

#[test]
fn a_proxy_is_connected_to_then_activated_then_established() {
    let mut hand = requester();
    assert!(hand.iq(JULIET, "aaaaaaaa-0", used(PROXY)));
    assert_eq!(hand.said(), "connect 8 192.0.2.8:8");
    let conn = hand.connected(8);
    hand.received(conn, &octets(MET));
    let addr = DstAddr::new(&sid("s1"), &jid(ROMEO), &jid(JULIET));
    assert_eq!(
        hand.said(),
        format!(
            "send 1 050100; send 1 0501000328{}0000",
            hex(addr.as_bytes())
        )
    );
    hand.received(conn, &octets(REPLY));
    assert_eq!(
        hand.said(),
        format!("set aaaaaaaa-1 {PROXY}: activate s1 {JULIET}")
    );
    assert!(hand.iq(PROXY, "aaaaaaaa-1", IqBody::Result(None)));
    assert_eq!(
        hand.said(),
        format!("detach 1; Established {{ conn: ConnId(1), via: Proxy(\"{PROXY}\") }}")
    );
    assert!(hand.machine.is_finished());
    assert_eq!(hand.leaks(), 0);
}

#[test]
fn octets_before_the_activation_is_known_are_early() {
    let mut hand = activating();
    assert!(hand.received(ConnId(1), b"abc"));
    assert!(hand.received(ConnId(1), b"def"));
    hand.iq(PROXY, "aaaaaaaa-1", IqBody::Result(None));
    assert_eq!(hand.machine.early(), b"abcdef"[..]);
}

#[test]
fn the_next_address_of_the_proxy_is_tried_where_one_fails() {
    let mut hand = requester();
    hand.iq(JULIET, "aaaaaaaa-0", used(PROXY));
    hand.failed(8, ConnectError::Refused);
    assert_eq!(hand.said(), "connect 8 192.0.2.8:8; connect 9 192.0.2.9:9");
    hand.failed(9, ConnectError::Refused);
    assert_eq!(
        hand.said(),
        format!("Failed(ProxyUnreachable(\"{PROXY}\"))")
    );
    assert!(hand.machine.is_finished());
}

#[test]
fn a_silent_proxy_ends_within_nine_seconds() {
    let mut hand = requester();
    hand.iq(JULIET, "aaaaaaaa-0", used(PROXY));
    hand.wait_millis(8_999);
    assert!(!hand.said().contains("Failed"));
    hand.wait_millis(1);
    assert!(hand.said().contains("ProxyUnreachable"));
    hand.connected(8);
    assert!(!hand.machine.is_finished());
    hand.failed(9, ConnectError::TimedOut);
    assert_eq!(hand.said(), "close 1");
    assert!(hand.machine.is_finished());
    assert_eq!(hand.leaks(), 0);
}

/// The Target has up to 9 s, and the way back is to begin within 12 s.
#[test]
fn a_silent_proxy_that_was_chosen_late_has_what_is_left_of_eleven_seconds_but_two_at_least() {
    for (chosen, left) in [
        (1_000, 9_000),
        (5_000, 6_000),
        (9_500, 2_000),
        (25_000, 2_000),
    ] {
        let mut hand = requester();
        hand.wait_millis(chosen);
        hand.iq(JULIET, "aaaaaaaa-0", used(PROXY));
        hand.wait_millis(left - 1);
        assert!(!hand.said().contains("Failed"), "{chosen}");
        hand.wait_millis(1);
        assert!(hand.said().contains("ProxyUnreachable"), "{chosen}");
    }
}

#[test]
fn what_a_proxy_refuses_or_breaks_fails_at_once() {
    let mut odd = StanzaError::new(ErrorType::Continue, Condition::UndefinedCondition);
    odd.text = Some("no".into());
    for refusal in [
        odd,
        Condition::ItemNotFound.into(),
        Condition::RemoteServerNotFound.into(),
    ] {
        let mut hand = activating();
        assert!(hand.iq(PROXY, "aaaaaaaa-1", error(refusal.clone())));
        let reason = Reason::NotActivated(refusal);
        assert_eq!(hand.said(), format!("close 1; Failed({reason:?})"));
        assert_eq!(hand.leaks(), 0);
    }
    let mut hand = activating();
    assert!(hand.closed(ConnId(1)));
    assert_eq!(
        hand.said(),
        format!("close 1; Failed(ProxyClosed(\"{PROXY}\"))")
    );
    let mut hand = activating();
    hand.received(ConnId(1), &[0; 513]);
    assert!(hand.said().contains("ProxyClosed"));
    let mut hand = activating();
    hand.wait(Requester::ACTIVATE_WITHIN);
    assert_eq!(hand.said(), "close 1; Failed(TimedOut(Activate))");
    assert_eq!(hand.leaks(), 0);
}

#[test]
fn an_answer_counts_only_from_whom_was_asked() {
    let mut hand = requester();
    for (from, id) in [
        ("mercutio@verona.lit/x", "aaaaaaaa-0"),
        ("juliet@montague.lit", "aaaaaaaa-0"),
        (PROXY, "aaaaaaaa-0"),
        (JULIET, "aaaaaaaa-1"),
        (JULIET, "other"),
    ] {
        assert!(!hand.iq(from, id, used(PROXY)), "{from} {id}");
    }
    let mut hand = activating();
    for (from, id) in [
        (JULIET, "aaaaaaaa-1"),
        (PROXY, "aaaaaaaa-0"),
        (JULIET, "aaaaaaaa-0"),
    ] {
        assert!(!hand.iq(from, id, IqBody::Result(None)), "{from} {id}");
    }
    assert_eq!(hand.said(), "");
    // Asked with the resource that the address had.
    let mut hand = Hand::new(new(&[host("proxy.montague.lit/node", "192.0.2.8:8")]));
    hand.iq(JULIET, "aaaaaaaa-0", used("Proxy.montague.lit/node"));
    let conn = hand.connected(8);
    hand.received(conn, &octets(&format!("{MET}{REPLY}")));
    assert!(
        hand.said()
            .contains("set aaaaaaaa-1 proxy.montague.lit/node")
    );
    assert!(!hand.iq(PROXY, "aaaaaaaa-1", IqBody::Result(None)));
    assert!(hand.iq(
        "proxy.montague.lit/node",
        "aaaaaaaa-1",
        IqBody::Result(None)
    ));
}

#[test]
fn answers_that_choose_nothing_fail() {
    let odd = "mercutio@verona.lit/x";
    for (answer, reason) in [
        (
            error(Condition::NotAcceptable),
            Reason::Refused(Condition::NotAcceptable.into()),
        ),
        (IqBody::Result(None), Reason::NoChoice),
        (IqBody::Result(Some(Payload::Ping)), Reason::NoChoice),
        (
            IqBody::Result(Some(query(None, BytestreamsContent::Hosts(Vec::new())))),
            Reason::NoChoice,
        ),
        (used(odd), Reason::UnknownHost(jid(odd))),
        (used(ROMEO), Reason::NotConnected),
    ] {
        let mut hand = requester();
        assert!(hand.iq(JULIET, "aaaaaaaa-0", answer));
        assert_eq!(hand.said(), format!("Failed({reason:?})"));
        assert!(hand.machine.is_finished());
    }
    let mut hand = requester();
    hand.wait(Requester::PATIENCE);
    assert_eq!(hand.said(), "Failed(TimedOut(StreamHostUsed))");
}

#[test]
fn cancelling_ends_every_state() {
    let mut hand = requester();
    arrive(&mut hand, 50);
    hand.machine.cancel(hand.now);
    hand.drain();
    assert_eq!(hand.said(), "Failed(Cancelled)");
    // The answer that comes later is not its any more.
    assert!(!hand.iq(JULIET, "aaaaaaaa-0", used(PROXY)));
    let mut hand = requester();
    hand.iq(JULIET, "aaaaaaaa-0", used(PROXY));
    hand.said();
    hand.machine.cancel(hand.now);
    hand.drain();
    assert_eq!(hand.said(), "Failed(Cancelled)");
    hand.connected(8);
    assert_eq!(hand.said(), "close 1");
    let mut hand = activating();
    hand.machine.cancel(hand.now);
    hand.drain();
    assert_eq!(hand.said(), "close 1; Failed(Cancelled)");
    let mut unsent = new(&[host(ROMEO, "192.0.2.1:1")]);
    unsent.cancel(Instant::ZERO);
    assert_eq!(
        unsent.poll_output(),
        Some(Output::Event(Event::Failed(Reason::Cancelled)))
    );
}

fn offered(hosts: &[StreamHost]) -> String {
    let said = Hand::new(new(hosts)).said();
    said.replace("set aaaaaaaa-0 ", "").replace(JULIET, "")
}

#[test]
fn hosts_stand_best_first_with_a_proxy_among_five() {
    let direct = |n: u8| host(ROMEO, &format!("192.0.2.{n}:1"));
    let proxy = |n: u8| host(&format!("proxy{n}.lit"), &format!("p{n}:1"));
    let names = |hosts: &[StreamHost]| -> String {
        let of = arrange(hosts.to_vec(), &jid(ROMEO));
        of.iter().map(|host| format!("{} ", host.host)).collect()
    };
    let many = [1, 2, 3, 4, 5, 6].map(direct);
    assert_eq!(
        names(&many),
        "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 "
    );
    let mut mixed = Vec::from([proxy(1)]);
    mixed.extend(many);
    assert_eq!(names(&mixed), "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 p1 ");
    mixed.extend([proxy(2), proxy(3)]);
    assert_eq!(names(&mixed), "192.0.2.1 192.0.2.2 192.0.2.3 p1 p2 ");
    let twice = [direct(1), direct(1), proxy(1), proxy(1)];
    assert_eq!(names(&twice), "192.0.2.1 p1 ");
    let proxies = [1, 2, 3, 4, 5, 6].map(proxy);
    assert_eq!(names(&proxies), "p1 p2 p3 p4 p5 ");
}

#[test]
fn the_hash_is_told_only_where_it_is_asked_for() {
    let hosts = [host(ROMEO, "192.0.2.1:1")];
    assert_eq!(
        offered(&hosts),
        format!(": hosts of s1 {ROMEO}=192.0.2.1:1")
    );
    let mut requester = new(&hosts);
    requester.tell_dstaddr();
    let addr = requester.addrs()[0];
    assert!(Hand::new(requester).said().ends_with(addr.as_str()));
}

#[test]
fn without_a_host_nothing_is_sent() {
    let mut hand = Hand::new(new(&[]));
    assert_eq!(hand.said(), "Failed(NoStreamHosts)");
    assert!(hand.machine.is_finished());
    assert_eq!(hand.machine.poll_timeout(), None);
}

#[test]
fn repeated_answers_change_nothing() {
    let mut hand = activating();
    assert!(!hand.iq(JULIET, "aaaaaaaa-0", used(ROMEO)));
    hand.iq(PROXY, "aaaaaaaa-1", IqBody::Result(None));
    assert!(!hand.iq(PROXY, "aaaaaaaa-1", IqBody::Result(None)));
    assert!(!hand.iq(PROXY, "aaaaaaaa-1", error(Condition::Gone)));
    assert!(hand.machine.early().is_empty());
    assert!(!hand.closed(ConnId(1)));
    assert_eq!(hand.said().matches("Established").count(), 1);
}
