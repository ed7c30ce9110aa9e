//! What follows when SOCKS5 comes to nothing: every way it can, at both ends.

use crate::common::*;
use crate::hand::*;
use bytestreams_machine::{ConnId, ConnectError, NetCommand, NetInput};
use bytestreams_socks5::{self as socks5, Step as SocksStep};
use bytestreams_stanza::{Condition, Iq, IqBody, Payload, StanzaError, ns};
use bytestreams_transfer::{ConnEnd, Event, Method, Options, Reason, Side, TransferId};
use core::time::Duration;

const CONN: ConnId = ConnId(7);
const METHODS: &[&str] = &[ns::BYTESTREAMS, ns::IBB];

#[track_caller]
fn fell_back(solo: &mut Solo) -> Reason {
    match solo.take_event() {
        Event::FellBack {
            from: Method::Socks5,
            to: Method::Ibb,
            reason,
            ..
        } => reason,
        other => panic!("{other:?}"),
    }
}

/// An offer accepted, the StreamHosts told; with a Proxy among them where wanted.
fn requesting(through: bool) -> (Solo, TransferId, Iq) {
    let mut solo = Solo::with(if through { proxied() } else { advertising() });
    let id = solo.offer(file(9), plain());
    if through {
        let ask = solo.take_iq();
        let address = addresses(&[host(PROXY, "192.0.2.1", 5000)]);
        solo.reply(&ask, IqBody::Result(Some(address)));
    }
    let offer = solo.take_iq();
    solo.consent(&offer, &[ns::BYTESTREAMS]);
    let query = solo.take_iq();
    (solo, id, query)
}

/// Demands that the stream is opened in band, at once and with the sid agreed on.
#[track_caller]
fn opens(solo: &mut Solo, id: TransferId) -> (Iq, Reason) {
    let reason = fell_back(solo);
    let open = solo.take_iq();
    let Some(Payload::Open(payload)) = open.request() else {
        panic!("{open:?}")
    };
    assert_eq!(Some(&payload.sid), solo.transfers().sid(id));
    (open, reason)
}

#[test]
fn a_peer_that_reaches_no_streamhost_is_opened_a_stream_at_once() {
    let (mut solo, id, query) = requesting(false);
    solo.give(PEER, error(&query.id, Condition::ItemNotFound));
    let (open, reason) = opens(&mut solo, id);
    let refused = socks5::Reason::Refused(StanzaError::from(Condition::ItemNotFound));
    assert_eq!(reason, Reason::Socks5(refused));
    solo.give(PEER, result(&open.id));
    let method = Method::Ibb;
    let conn = None;
    assert_eq!(solo.take_event(), Event::Established { id, method, conn });
    assert_eq!(
        solo.transfers().via(id),
        Some(bytestreams_transfer::Via::Ibb)
    );
}

/// As Gajim says that it reaches none.
#[test]
fn an_error_with_the_sid_for_an_id_falls_back() {
    let (mut solo, id, _) = requesting(false);
    let stream = solo.sid(id);
    solo.give(
        "mercutio@verona.lit/street",
        error(&stream.as_str().into(), Condition::ItemNotFound),
    );
    assert_eq!(solo.take_events(), []);
    solo.give(
        PEER,
        error(&stream.as_str().into(), Condition::ItemNotFound),
    );
    let (_, reason) = opens(&mut solo, id);
    let refused = socks5::Reason::Refused(StanzaError::from(Condition::ItemNotFound));
    assert_eq!(reason, Reason::Socks5(refused));
}

#[test]
fn an_answer_that_is_none_falls_back() {
    let odd = |query: &Iq| {
        [
            (
                used(query, "eve@example.org/x"),
                "a host that was not offered",
            ),
            (used(query, ME), "a connection that is not there"),
            (result(&query.id), "no host"),
        ]
    };
    for n in 0..3 {
        let (mut solo, id, query) = requesting(false);
        let [answer, what] = {
            let (answer, what) = odd(&query)[n].clone();
            [Ok(answer), Err(what)]
        };
        solo.give(PEER, answer.expect("an answer"));
        let (_, reason) = opens(&mut solo, id);
        assert!(matches!(reason, Reason::Socks5(_)), "{what:?}: {reason:?}");
        assert_eq!(solo.take_nets(), [], "{what:?}");
    }
}

#[test]
fn a_silent_peer_is_opened_a_stream_after_30_s() {
    let (mut solo, id, _) = requesting(false);
    solo.pass(Duration::from_secs(29));
    assert_eq!(solo.take_stanzas(), []);
    solo.pass(Duration::from_secs(2));
    let (_, reason) = opens(&mut solo, id);
    let step = SocksStep::StreamHostUsed;
    assert_eq!(reason, Reason::Socks5(socks5::Reason::TimedOut(step)));
}

#[test]
fn a_proxy_out_of_reach_falls_back() {
    let (mut solo, id, query) = requesting(true);
    solo.give(PEER, used(&query, PROXY));
    let (token, _) = solo.dials_one();
    solo.net(NetInput::Failed(token, ConnectError::Refused));
    let (_, reason) = opens(&mut solo, id);
    let proxy = socks5::Reason::ProxyUnreachable(jid(PROXY));
    assert_eq!(reason, Reason::Socks5(proxy));
}

#[test]
fn a_silent_proxy_falls_back_within_10_s() {
    let (mut solo, id, query) = requesting(true);
    solo.give(PEER, used(&query, PROXY));
    let (token, _) = solo.dials_one();
    solo.net(NetInput::Connected(token, CONN));
    solo.take_nets();
    solo.pass(Duration::from_secs(10));
    opens(&mut solo, id);
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
}

#[test]
fn a_proxy_that_refuses_the_hash_falls_back() {
    let (mut solo, id, query) = requesting(true);
    solo.give(PEER, used(&query, PROXY));
    let (token, _) = solo.dials_one();
    solo.net(NetInput::Connected(token, CONN));
    solo.receive(CONN, CHOSEN);
    solo.take_nets();
    solo.receive(CONN, &socks(2, &sid("s"), ME, PEER));
    opens(&mut solo, id);
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
}

/// A connection to a Proxy that stands, and the request to activate it.
fn activating() -> (Solo, TransferId, Iq) {
    let (mut solo, id, query) = requesting(true);
    solo.give(PEER, used(&query, PROXY));
    let (token, _) = solo.dials_one();
    let request = socks(1, &solo.sid(id), ME, PEER);
    solo.serve(token, CONN, &request);
    let activate = solo.take_iq();
    (solo, id, activate)
}

#[test]
fn a_refused_activation_falls_back() {
    let (mut solo, id, activate) = activating();
    let refusal = StanzaError::from(Condition::Forbidden);
    solo.reply(&activate, IqBody::Error(Box::new(refusal.clone())));
    let (_, reason) = opens(&mut solo, id);
    let refused = socks5::Reason::NotActivated(refusal);
    assert_eq!(reason, Reason::Socks5(refused));
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
}

#[test]
fn a_proxy_that_dies_before_the_activation_falls_back() {
    let (mut solo, id, _) = activating();
    solo.net(NetInput::Closed(CONN));
    let (_, reason) = opens(&mut solo, id);
    let closed = socks5::Reason::ProxyClosed(jid(PROXY));
    assert_eq!(reason, Reason::Socks5(closed));
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
}

#[test]
fn a_stream_that_is_refused_after_a_fallback_is_offered_again_in_band_alone() {
    let (mut solo, id, query) = requesting(false);
    let first = solo.sid(id);
    solo.give(PEER, error(&query.id, Condition::ItemNotFound));
    let (open, _) = opens(&mut solo, id);
    solo.give(PEER, error(&open.id, Condition::NotAcceptable));
    let event = solo.take_event();
    assert!(
        matches!(
            event,
            Event::FellBack {
                from: Method::Ibb,
                to: Method::Ibb,
                reason: Reason::Refused { .. },
                ..
            }
        ),
        "{event:?}"
    );
    let offer = solo.take_iq();
    assert_eq!(offered_methods(&offer), [ns::IBB]);
    assert_ne!(solo.sid(id), first);
    solo.consent(&offer, &[ns::IBB]);
    let open = solo.take_iq();
    assert!(is_open(&open));
    // Once only.
    solo.give(PEER, error(&open.id, Condition::NotAcceptable));
    let event = solo.take_event();
    assert!(matches!(event, Event::Failed { .. }), "{event:?}");
    assert_eq!(solo.take_stanzas(), []);
}

/// Smack up to 4.3 ignores it where its own attempts failed; XMPPFramework is deaf as soon as it tries.
#[test]
fn a_stream_that_is_ignored_after_a_fallback_is_offered_again_where_the_peer_was_heard() {
    let (mut solo, id, query) = requesting(false);
    solo.give(PEER, error(&query.id, Condition::ItemNotFound));
    opens(&mut solo, id);
    solo.pass(Duration::from_secs(31));
    let event = solo.take_event();
    let again = Method::Ibb;
    assert!(
        matches!(event, Event::FellBack { from, to, .. } if from == again && to == again),
        "{event:?}"
    );
    let iqs = solo.take_iqs();
    let offer = iqs.last().expect("an offer");
    assert_eq!(offered_methods(offer), [ns::IBB]);

    let (mut solo, id, _) = requesting(false);
    solo.pass(Duration::from_secs(31));
    opens(&mut solo, id);
    solo.pass(Duration::from_secs(31));
    let event = solo.take_event();
    assert!(matches!(event, Event::Failed { .. }), "{event:?}");
}

#[test]
fn without_another_method_it_fails() {
    let mut options = plain();
    options.methods.push(Method::Socks5);
    let mut solo = Solo::with(advertising());
    let (id, query) = solo.consented(9, options);
    solo.give(PEER, error(&query.id, Condition::ItemNotFound));
    let Event::Failed { id: failed, reason } = solo.take_event() else {
        panic!("no failure")
    };
    assert_eq!(failed, id);
    assert!(matches!(reason, Reason::Socks5(_)), "{reason:?}");
    assert_eq!(solo.take_stanzas(), []);
}

#[test]
fn what_the_peer_can_do_is_not_waited_for_in_a_fallback() {
    let mut solo = Solo::with(advertising());
    let id = solo.offer(file(9), Options::default());
    let offer = solo
        .take_iqs()
        .into_iter()
        .find(|iq| matches!(iq.request(), Some(Payload::Si(_))));
    solo.consent(&offer.expect("an offer"), &[ns::BYTESTREAMS]);
    let query = solo.take_iq();
    solo.give(PEER, error(&query.id, Condition::ItemNotFound));
    opens(&mut solo, id);
}

// The other end.

/// A file accepted, and its StreamHosts being tried.
fn targeting(config: bytestreams_transfer::Config) -> (Solo, TransferId) {
    let mut solo = Solo::with(config);
    let id = solo.accepted("s1", 9, METHODS);
    (solo, id)
}

/// Opens it in band and demands that it is taken.
#[track_caller]
fn goes_in_band(solo: &mut Solo, id: TransferId) {
    solo.set(PEER, "open-1", open("s1", 4096));
    let answers = solo.take_iqs();
    let answer = answers.iter().find(|iq| iq.id.as_str() == "open-1");
    let answer = answer.expect("an answer");
    assert!(matches!(answer.body, IqBody::Result(None)), "{answer:?}");
    let established = Event::Established {
        id,
        method: Method::Ibb,
        conn: None,
    };
    assert_eq!(solo.take_events().last(), Some(&established));
}

#[test]
fn a_sender_that_goes_in_band_at_once_is_taken_and_told() {
    let (mut solo, id) = targeting(bare());
    solo.set(PEER, "open-1", open("s1", 4096));
    assert!(matches!(solo.take_iq().body, IqBody::Result(None)));
    let events = solo.take_events();
    let [
        Event::FellBack { reason, .. },
        Event::Established { method, .. },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(*method, Method::Ibb);
    assert_eq!(*reason, Reason::GivenUp);
    solo.set(PEER, "data-1", data("s1", 0, b"octets"));
    assert!(matches!(solo.take_event(), Event::Readable { .. }));
    assert!(solo.transfers().read(id).is_some());
}

#[test]
fn after_hosts_that_are_not_reached_the_stream_in_band_is_waited_for() {
    let (mut solo, id) = targeting(bare());
    solo.set(PEER, "q1", hosts("s1", &[host(PEER, "192.0.2.5", 5000)]));
    let (token, _) = solo.dials_one();
    solo.net(NetInput::Failed(token, ConnectError::Refused));
    solo.pass(Duration::from_secs(9));
    let answer = solo.take_iq();
    assert_eq!(answer.id.as_str(), "q1");
    assert_eq!(condition(&answer), Condition::ItemNotFound);
    let reason = fell_back(&mut solo);
    assert_eq!(reason, Reason::Socks5(socks5::Reason::Unreachable));
    goes_in_band(&mut solo, id);
}

#[test]
fn a_sender_that_does_not_fall_back_is_given_up_with_the_first_reason() {
    let (mut solo, id) = targeting(bare());
    solo.set(PEER, "q1", hosts("s1", &[host(PEER, "192.0.2.5", 5000)]));
    let (token, _) = solo.dials_one();
    solo.net(NetInput::Failed(token, ConnectError::Refused));
    solo.pass(Duration::from_secs(9));
    solo.take_stanzas();
    fell_back(&mut solo);
    solo.pass(Duration::from_secs(31));
    let reason = Reason::Socks5(socks5::Reason::Unreachable);
    assert_eq!(solo.take_event(), Event::Failed { id, reason });
}

#[test]
fn a_silent_streamhost_costs_9_s() {
    let (mut solo, id) = targeting(bare());
    solo.set(PEER, "q1", hosts("s1", &[host(PEER, "192.0.2.5", 5000)]));
    let (token, _) = solo.dials_one();
    solo.net(NetInput::Connected(token, CONN));
    solo.take_nets();
    solo.pass(Duration::from_millis(9100));
    assert_eq!(condition(&solo.take_iq()), Condition::ItemNotFound);
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
    fell_back(&mut solo);
    goes_in_band(&mut solo, id);
}

#[test]
fn a_sender_that_gives_up_meanwhile_is_taken_in_band() {
    let (mut solo, id) = targeting(bare());
    solo.set(PEER, "q1", hosts("s1", &[host(PEER, "192.0.2.5", 5000)]));
    let (token, _) = solo.dials_one();
    solo.net(NetInput::Connected(token, CONN));
    solo.take_nets();
    goes_in_band(&mut solo, id);
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
}

/// A file accepted, and a Proxy connected that is not activated yet.
fn connected() -> (Solo, TransferId) {
    let (mut solo, id) = targeting(bare());
    solo.set(PEER, "q1", hosts("s1", &[host(PROXY, "192.0.2.1", 5000)]));
    let (token, _) = solo.dials_one();
    solo.serve(token, CONN, &socks(1, &sid("s1"), PEER, ME));
    assert!(matches!(solo.take_iq().body, IqBody::Result(_)));
    (solo, id)
}

#[test]
fn a_sender_whose_activation_is_refused_is_taken_in_band() {
    let (mut solo, id) = connected();
    solo.set(PEER, "open-1", open("s1", 4096));
    assert!(matches!(solo.take_iq().body, IqBody::Result(None)));
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
    let events = solo.take_events();
    let [
        Event::FellBack { .. },
        Event::Established { id: stands, .. },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(*stands, id);
}

#[test]
fn a_proxy_that_dies_before_the_first_octet_is_no_short_file() {
    let (mut solo, id) = connected();
    solo.net(NetInput::Closed(CONN));
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
    let closed = socks5::Reason::ProxyClosed(jid(PROXY));
    assert_eq!(fell_back(&mut solo), Reason::Socks5(closed));
    goes_in_band(&mut solo, id);
    // Nor is a Sender's own socket.
    let (mut solo, id) = targeting(bare());
    solo.set(PEER, "q1", hosts("s1", &[host(PEER, "192.0.2.5", 5000)]));
    let (token, _) = solo.dials_one();
    solo.serve(token, CONN, &socks(1, &sid("s1"), PEER, ME));
    solo.net(NetInput::Closed(CONN));
    assert_eq!(fell_back(&mut solo), Reason::Connection(ConnEnd::Reset));
    solo.take_stanzas();
    goes_in_band(&mut solo, id);
}

#[test]
fn nothing_in_band_is_taken_where_it_was_not_agreed_on() {
    let refused = |solo: &mut Solo| {
        solo.set(PEER, "open-1", open("s1", 4096));
        condition(&solo.take_iq())
    };
    // It was not offered.
    let mut solo = Solo::with(bare());
    solo.accepted("s1", 9, &[ns::BYTESTREAMS]);
    assert_eq!(refused(&mut solo), Condition::NotAcceptable);
    // It is not enabled here.
    let mut config = bare();
    config.methods.pop();
    let (mut solo, id) = targeting(config);
    assert_eq!(refused(&mut solo), Condition::NotAcceptable);
    // Then a failure is the end.
    solo.set(PEER, "q1", hosts("s1", &[host(PEER, "192.0.2.5", 5000)]));
    let (token, _) = solo.dials_one();
    solo.net(NetInput::Failed(token, ConnectError::Refused));
    solo.pass(Duration::from_secs(9));
    let reason = Reason::Socks5(socks5::Reason::Unreachable);
    assert_eq!(
        solo.take_events().last(),
        Some(&Event::Failed { id, reason })
    );
}

#[test]
fn a_stream_that_is_established_is_not_opened_again() {
    let (mut solo, _) = connected();
    solo.receive(CONN, b"octets");
    solo.take_events();
    solo.take_nets();
    solo.set(PEER, "open-1", open("s1", 4096));
    assert_eq!(condition(&solo.take_iq()), Condition::NotAcceptable);
    assert_eq!(solo.take_nets(), []);
    assert_eq!(solo.take_events(), []);
}

#[test]
fn a_sid_that_is_no_nmtoken_does_not_go_in_band() {
    let mut solo = Solo::with(bare());
    let id = solo.accepted("a b", 9, METHODS);
    solo.set(PEER, "open-1", open("a b", 4096));
    assert_eq!(condition(&solo.take_iq()), Condition::BadRequest);
    solo.set(PEER, "q1", hosts("a b", &[host(PEER, "192.0.2.5", 5000)]));
    let (token, _) = solo.dials_one();
    solo.net(NetInput::Failed(token, ConnectError::Refused));
    solo.pass(Duration::from_secs(9));
    let reason = Reason::Socks5(socks5::Reason::Unreachable);
    assert_eq!(solo.take_events(), [Event::Failed { id, reason }]);
}

#[test]
fn hosts_are_taken_a_few_times_for_one_file_and_then_no_more() {
    let (mut solo, _) = targeting(bare());
    let mut refused = 0;
    for n in 0..8 {
        let address = format!("192.0.2.{n}");
        solo.set(
            PEER,
            &format!("q{n}"),
            hosts("s1", &[host(PEER, &address, 5000)]),
        );
        if let Some((token, _)) = solo.dialled().first() {
            solo.net(NetInput::Failed(*token, ConnectError::Refused));
            solo.pass(Duration::from_secs(9));
        } else {
            refused += 1;
        }
        solo.take_stanzas();
    }
    assert_eq!(refused, 4);
}

#[test]
fn a_cancel_at_any_stage_closes_every_socket() {
    let cancelled = |mut solo: Solo, id: TransferId| {
        let now = solo.now;
        solo.transfers().cancel(id, now).expect("cancelled");
        let by = Side::Us;
        let reason = Reason::Cancelled { by };
        assert_eq!(
            solo.take_events().last(),
            Some(&Event::Failed { id, reason })
        );
        assert!(solo.transfers().is_idle());
        let nets = solo.take_nets();
        nets.into_iter()
            .filter(|command| matches!(command, NetCommand::Close(_)))
            .count()
    };
    let (solo, id, _) = requesting(false);
    assert_eq!(cancelled(solo, id), 0);
    let (solo, id, _) = activating();
    assert_eq!(cancelled(solo, id), 1);
    let (solo, id) = connected();
    assert_eq!(cancelled(solo, id), 1);
    let (mut solo, id) = connected();
    solo.receive(CONN, b"octets");
    assert_eq!(cancelled(solo, id), 1);
}
