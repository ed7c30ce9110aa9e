//! Streams without an offer.

use crate::common::*;
use crate::hand::*;
use bytes::Bytes;
use bytestreams_machine::{ConnId, ConnectError, NetCommand, NetInput};
use bytestreams_stanza::{Condition, IqBody, Range};
use bytestreams_transfer::{Event, Method, Options, Via};
use core::time::Duration;

const CONN: ConnId = ConnId(7);

#[test]
fn hosts_that_nobody_announced_are_told_to_the_application_if_it_wants() {
    let theirs = [host(PEER, "192.0.2.5", 5000)];
    let mut solo = Solo::with(bare());
    solo.set(PEER, "q1", hosts("s1", &theirs));
    assert_eq!(condition(&solo.take_iq()), Condition::NotAcceptable);

    let mut solo = Solo::with(strangers(bare()));
    solo.set(PEER, "q1", hosts("s1", &theirs));
    solo.set(PEER, "q1", hosts("s1", &theirs));
    assert_eq!(solo.take_stanzas(), []);
    let event = solo.take_event();
    let Event::Offered {
        id,
        announced: false,
        file,
        methods,
        ..
    } = event
    else {
        panic!("{event:?}")
    };
    assert_eq!((&file.name, file.size), (&None, None));
    assert_eq!(methods[..], [Method::Socks5]);
    assert_eq!(solo.take_nets(), []);
    let now = solo.now;
    solo.transfers()
        .accept(id, Range::default(), now)
        .expect("accepted");
    let (token, _) = solo.dials_one();
    solo.serve(token, CONN, &socks(1, &sid("s1"), PEER, ME));
    assert!(matches!(solo.take_iq().body, IqBody::Result(_)));
    // Nobody knows who speaks first.
    assert_eq!(solo.take_nets(), [NetCommand::Detach(CONN)]);
    let method = Method::Socks5;
    let range = Range::default();
    let conn = Some(CONN);
    assert_eq!(
        solo.take_events(),
        [
            Event::Accepted { id, method, range },
            Event::Established { id, method, conn }
        ]
    );
    assert_eq!(solo.transfers().via(id), Some(Via::Direct));
    solo.transfers().moved(id, 5, now);
    assert_eq!(solo.take_event(), Event::Progress { id, octets: 5 });
    solo.transfers().ended(id, Ok(()), now).expect("ended");
    assert_eq!(solo.take_event(), Event::Ended { id });
    solo.transfers().completed(id, Ok(()), now).expect("done");
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
    assert_eq!(solo.take_event(), Event::Done { id });
}

#[test]
fn one_that_is_declined_dials_nothing() {
    let mut solo = Solo::with(strangers(bare()));
    solo.set(PEER, "q1", hosts("s1", &[host(PEER, "192.0.2.5", 5000)]));
    let Event::Offered { id, .. } = solo.take_event() else {
        panic!("no offer")
    };
    let now = solo.now;
    solo.transfers().decline(id, None, now).expect("declined");
    assert_eq!(condition(&solo.take_iq()), Condition::NotAcceptable);
    assert!(matches!(solo.take_event(), Event::Failed { .. }));
    assert_eq!(solo.take_nets(), []);
    // What is late for it is none of a new one.
    solo.set(PEER, "q2", hosts("s1", &[host(PEER, "192.0.2.5", 5000)]));
    assert_eq!(condition(&solo.take_iq()), Condition::NotAcceptable);
}

#[test]
fn one_that_goes_in_band_while_nobody_has_decided_is_asked_about_once() {
    let mut solo = Solo::with(strangers(bare()));
    solo.set(PEER, "q1", hosts("s1", &[host(PEER, "192.0.2.5", 5000)]));
    let Event::Offered { id, .. } = solo.take_event() else {
        panic!("no offer")
    };
    solo.set(PEER, "open-1", open("s1", 4096));
    let refusal = solo.take_iq();
    assert_eq!(refusal.id.as_str(), "q1");
    assert_eq!(condition(&refusal), Condition::NotAcceptable);
    solo.set(PEER, "open-1", open("s1", 4096));
    assert_eq!(solo.take_stanzas(), []);
    assert_eq!(solo.take_events(), []);
    let now = solo.now;
    solo.transfers()
        .accept(id, Range::default(), now)
        .expect("accepted");
    let answer = solo.take_iq();
    assert_eq!(answer.id.as_str(), "open-1");
    assert!(matches!(answer.body, IqBody::Result(None)));
    let method = Method::Ibb;
    let events = solo.take_events();
    assert!(
        matches!(events[..], [Event::Accepted { method: m, .. }, Event::Established { .. }] if m == method),
        "{events:?}"
    );
    assert_eq!(solo.take_nets(), []);
}

#[test]
fn a_stranger_has_so_many_and_no_more() {
    let mut solo = Solo::with(strangers(bare()));
    for n in 0..9 {
        let stream = format!("s{n}");
        solo.set(PEER, "q", hosts(&stream, &[host(PEER, "192.0.2.5", 5000)]));
    }
    assert_eq!(solo.take_events().len(), 8);
    assert_eq!(condition(&solo.take_iq()), Condition::ResourceConstraint);
}

#[test]
fn a_stream_of_ours_tells_hosts_and_falls_back() {
    let mut solo = Solo::with(advertising());
    let now = solo.now;
    let id = solo.transfers().open(jid(PEER), plain(), entropy(1), now);
    let query = solo.take_iq();
    assert_eq!(offered_hosts(&query), [host(ME, "192.0.2.7", 7777)]);
    solo.give(PEER, error(&query.id, Condition::ServiceUnavailable));
    assert!(is_open(&solo.take_iq()));
    let event = solo.take_event();
    assert!(matches!(event, Event::FellBack { .. }), "{event:?}");
    assert_eq!(solo.transfers().via(id), None);
    // Without a way it goes in band at once.
    let mut solo = Solo::with(bare());
    solo.transfers().open(jid(PEER), plain(), entropy(1), now);
    assert!(is_open(&solo.take_iq()));
    assert_eq!(solo.take_events(), []);
    // In band alone, if wanted.
    let mut options = plain();
    options.methods.push(Method::Ibb);
    let mut solo = Solo::with(advertising());
    solo.transfers().open(jid(PEER), options, entropy(1), now);
    assert!(is_open(&solo.take_iq()));
    // And by SOCKS5 alone.
    let mut options: Options = plain();
    options.methods.push(Method::Socks5);
    let mut solo = Solo::with(bare());
    solo.transfers().open(jid(PEER), options, entropy(1), now);
    assert_eq!(solo.take_stanzas(), []);
    assert!(matches!(solo.take_event(), Event::Failed { .. }));
}

#[test]
fn a_stranger_that_cannot_be_reached_may_come_in_band() {
    let mut solo = Solo::with(strangers(bare()));
    solo.set(PEER, "q1", hosts("s1", &[host(PEER, "192.0.2.5", 5000)]));
    let Event::Offered { id, .. } = solo.take_event() else {
        panic!("no offer")
    };
    let now = solo.now;
    solo.transfers()
        .accept(id, Range::default(), now)
        .expect("accepted");
    let (token, _) = solo.dials_one();
    solo.net(NetInput::Failed(token, ConnectError::Refused));
    solo.pass(Duration::from_secs(9));
    solo.take_events();
    solo.take_iq();
    solo.set(PEER, "open-1", open("s1", 4096));
    assert!(matches!(solo.take_iq().body, IqBody::Result(None)));
    solo.set(PEER, "data-1", data("s1", 0, b"octets"));
    let came = solo.transfers().read(id);
    assert_eq!(came, Some(Bytes::from_static(b"octets")));
}
