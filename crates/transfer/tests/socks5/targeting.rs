//! The Target's side: whose hosts are dialled, when, and what counts as established.

use crate::common::*;
use crate::hand::*;
use bytes::Bytes;
use bytestreams_machine::{ConnId, ConnectError, NetCommand, NetInput};
use bytestreams_stanza::{Condition, IqBody, Payload, Range, ns};
use bytestreams_transfer::{Event, Method, Reason, Side, Step, Via};
use core::time::Duration;

const CONN: ConnId = ConnId(7);
const METHODS: &[&str] = &[ns::BYTESTREAMS, ns::IBB];

fn theirs() -> [bytestreams_stanza::StreamHost; 1] {
    [host(PEER, "192.0.2.5", 5000)]
}

/// A file accepted, and the socket to its Sender connected.
#[track_caller]
fn connected(size: impl Into<Option<u64>>) -> (Solo, bytestreams_transfer::TransferId) {
    let mut solo = Solo::with(bare());
    let id = solo.accepted("s1", size, METHODS);
    solo.set(PEER, "q1", hosts("s1", &theirs()));
    let (token, dialled) = solo.dials_one();
    assert_eq!(dialled, theirs()[0]);
    solo.serve(token, CONN, &socks(1, &sid("s1"), PEER, ME));
    let answer = solo.take_iq();
    assert_eq!(answer.id.as_str(), "q1");
    assert!(matches!(
        answer.body,
        IqBody::Result(Some(Payload::Bytestreams(_)))
    ));
    (solo, id)
}

#[test]
fn the_acceptance_names_one_method_and_it_is_socks5() {
    let mut solo = Solo::with(bare());
    // In the order of a peer that would rather go in band.
    solo.set(
        PEER,
        "si-1",
        offer_of("s1", file(9), &[ns::IBB, ns::BYTESTREAMS]),
    );
    let Event::Offered { id, methods, .. } = solo.take_event() else {
        panic!("no offer")
    };
    assert_eq!(methods[..], BOTH);
    let now = solo.now;
    solo.transfers()
        .accept(id, Range::default(), now)
        .expect("accepted");
    let IqBody::Result(Some(Payload::Si(si))) = solo.take_iq().body else {
        panic!("no acceptance")
    };
    let form = si.feature.expect("a form");
    assert_eq!(form.fields[0].values, [ns::BYTESTREAMS.into()]);
    let method = Method::Socks5;
    let range = Range::default();
    assert_eq!(solo.take_event(), Event::Accepted { id, method, range });
}

#[test]
fn nothing_is_dialled_before_the_offer_is_accepted() {
    let mut solo = Solo::with(bare());
    solo.set(PEER, "si-1", offer_of("s1", file(9), METHODS));
    solo.take_event();
    solo.set(PEER, "q1", hosts("s1", &theirs()));
    assert_eq!(condition(&solo.take_iq()), Condition::NotAcceptable);
    solo.pass(Duration::from_secs(20));
    assert_eq!(solo.take_nets(), []);
    // Nor for a stranger.
    solo.set("eve@example.org/x", "q2", hosts("s1", &theirs()));
    assert_eq!(condition(&solo.take_iq()), Condition::NotAcceptable);
    assert_eq!(solo.take_nets(), []);
}

#[test]
fn a_file_is_established_with_its_first_octet() {
    let (mut solo, id) = connected(9);
    assert_eq!(solo.take_events(), []);
    assert_eq!(solo.take_nets(), [], "not detached yet");
    assert_eq!(solo.transfers().via(id), None);
    solo.receive(CONN, b"oct");
    assert_eq!(solo.take_nets(), [NetCommand::Detach(CONN)]);
    let conn = Some(CONN);
    let method = Method::Socks5;
    assert_eq!(solo.take_event(), Event::Established { id, method, conn });
    solo.receive(CONN, b"ets");
    assert_eq!(solo.transfers().early(id), Bytes::from_static(b"octets"));
    assert_eq!(solo.transfers().via(id), Some(Via::Direct));
}

#[test]
fn octets_glued_to_the_reply_are_early() {
    let mut solo = Solo::with(bare());
    let id = solo.accepted("s1", 9, METHODS);
    solo.set(PEER, "q1", hosts("s1", &[host(PROXY, "192.0.2.1", 5000)]));
    let (token, _) = solo.dials_one();
    solo.net(NetInput::Connected(token, CONN));
    solo.receive(CONN, CHOSEN);
    let mut reply = socks(0, &sid("s1"), PEER, ME);
    reply.extend_from_slice(b"glued");
    solo.receive(CONN, &reply);
    assert_eq!(solo.take_nets().last(), Some(&NetCommand::Detach(CONN)));
    assert!(matches!(solo.take_event(), Event::Established { .. }));
    assert_eq!(solo.transfers().early(id), Bytes::from_static(b"glued"));
    assert_eq!(solo.transfers().via(id), Some(Via::Proxy));
}

/// Smack and QXmpp leave a size of 0 out.
#[test]
fn an_empty_file_is_established_by_its_end() {
    for size in [Some(0), None] {
        let (mut solo, id) = connected(size);
        solo.net(NetInput::Closed(CONN));
        assert_eq!(solo.take_nets(), [NetCommand::Detach(CONN)]);
        assert!(matches!(solo.take_event(), Event::Established { .. }));
        let now = solo.now;
        solo.transfers().ended(id, Ok(()), now).expect("ended");
        assert_eq!(solo.take_event(), Event::Ended { id });
        solo.transfers().completed(id, Ok(()), now).expect("done");
        assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
        assert_eq!(solo.take_event(), Event::Done { id });
    }
}

#[test]
fn a_sender_that_never_begins_is_given_up() {
    let (mut solo, id) = connected(9);
    solo.pass(Duration::from_secs(299));
    assert_eq!(solo.take_events(), []);
    solo.pass(Duration::from_secs(2));
    let step = Step::Data;
    let reason = Reason::TimedOut { step };
    assert_eq!(solo.take_event(), Event::Failed { id, reason });
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
}

#[test]
fn a_repeated_offer_of_hosts_dials_nothing_twice() {
    let (mut solo, _) = connected(9);
    solo.set(PEER, "q1", hosts("s1", &theirs()));
    solo.set(PEER, "q2", hosts("s1", &theirs()));
    for iq in solo.take_iqs() {
        assert!(
            matches!(iq.body, IqBody::Result(_)),
            "the same answer: {iq:?}"
        );
    }
    assert_eq!(solo.take_nets(), []);
}

#[test]
fn a_connection_that_comes_late_is_closed() {
    let mut solo = Solo::with(bare());
    let id = solo.accepted("s1", 9, METHODS);
    solo.set(PEER, "q1", hosts("s1", &theirs()));
    let (token, _) = solo.dials_one();
    let now = solo.now;
    solo.transfers().cancel(id, now).expect("cancelled");
    let refusal = solo.take_iq();
    assert_eq!(refusal.id.as_str(), "q1", "the peer is told");
    assert_eq!(condition(&refusal), Condition::NotAcceptable);
    let by = Side::Us;
    let reason = Reason::Cancelled { by };
    assert_eq!(solo.take_event(), Event::Failed { id, reason });
    solo.net(NetInput::Connected(token, CONN));
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
    assert!(solo.transfers().is_idle());
}

#[test]
fn hosts_that_failed_are_not_tried_for_the_next_file() {
    let mut solo = Solo::with(bare());
    let local = "juliet@montague.lit/balcony";
    for (n, attempts) in [1, 1, 0].into_iter().enumerate() {
        let stream = format!("s{n}");
        solo.set(local, "si", offer_of(&stream, file(9), METHODS));
        let Some(Event::Offered { id, .. }) = solo.take_events().pop() else {
            panic!("no offer")
        };
        let now = solo.now;
        solo.transfers()
            .accept(id, Range::default(), now)
            .expect("accepted");
        solo.set(
            local,
            "q",
            hosts(&stream, &[host(local, "192.0.2.5", 5000)]),
        );
        let dialled = solo.dialled();
        assert_eq!(dialled.len(), attempts, "{n}");
        for (token, _) in dialled {
            solo.net(NetInput::Failed(token, ConnectError::Unreachable));
        }
        solo.pass(Duration::from_secs(1));
        solo.transfers().cancel(id, now).expect("cancelled");
        solo.take_stanzas();
        solo.take_events();
    }
}

#[test]
fn an_offer_of_hosts_that_is_none_is_refused_as_the_xep_has_it() {
    let mut solo = Solo::with(strangers(bare()));
    let mut udp = hosts("s1", &theirs());
    let mut odd = hosts("s2", &theirs());
    if let (Payload::Bytestreams(udp), Payload::Bytestreams(odd)) = (&mut udp, &mut odd) {
        udp.mode = bytestreams_stanza::Mode::Udp;
        odd.dstaddr = Some("not a hash".into());
    }
    solo.set(PEER, "q1", udp);
    assert_eq!(condition(&solo.take_iq()), Condition::NotAcceptable);
    solo.set(PEER, "q2", odd);
    assert_eq!(condition(&solo.take_iq()), Condition::BadRequest);
    solo.set(PEER, "q3", hosts("s3", &[]));
    assert_eq!(condition(&solo.take_iq()), Condition::ItemNotFound);
    solo.set(PEER, "q4", addresses(&theirs()));
    assert_eq!(condition(&solo.take_iq()), Condition::BadRequest);
    assert_eq!(solo.take_events(), []);
    // Where it is not enabled, it is not known.
    let mut solo = Solo::open_to_strangers();
    solo.set(PEER, "q1", hosts("s1", &theirs()));
    assert_eq!(condition(&solo.take_iq()), Condition::ServiceUnavailable);
}
