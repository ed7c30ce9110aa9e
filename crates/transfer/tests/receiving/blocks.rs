//! Blocks: whose they are, how many octets, and when they are acknowledged.

use crate::common::*;
use crate::support::*;
use bytestreams_stanza::{
    Condition, ErrorType, Fault, File, Invalid, IqBody, Payload, Range, Stanza, ns,
};
use bytestreams_transfer::{Config, Event, Reason};
use core::time::Duration;

#[test]
fn data_of_no_stream_is_item_not_found() {
    let mut solo = Solo::open_to_strangers();
    let refusal = ask(&mut solo, PEER, "1", data("s1", 0, b"x"));
    assert_eq!(condition(&refusal), Condition::ItemNotFound);
    let refusal = ask(&mut solo, PEER, "2", close("s1"));
    assert_eq!(condition(&refusal), Condition::ItemNotFound);
    solo.set(PEER, "3", open("s1", 4096));
    let refusal = ask(&mut solo, PEER, "4", data("s1", 0, b"x"));
    assert_eq!(
        condition(&refusal),
        Condition::ItemNotFound,
        "before the answer to its open there is no stream"
    );
}

#[test]
fn the_right_stream_from_the_wrong_sender_is_none() {
    let (mut solo, id) = receiving(100);
    for forger in [
        "eve@capulet.lit/balcony",
        "juliet@capulet.lit/Balcony",
        "capulet.lit",
    ] {
        let refusal = ask(&mut solo, forger, "f", data("s1", 0, &octets(100)));
        assert_eq!(condition(&refusal), Condition::ItemNotFound, "{forger}");
        let refusal = ask(&mut solo, forger, "f", close("s1"));
        assert_eq!(condition(&refusal), Condition::ItemNotFound, "{forger}");
    }
    assert_eq!(solo.take_events(), []);
    solo.set(PEER, "d0", data("s1", 0, &octets(100)));
    assert_eq!(take(&mut solo, id), octets(100));
}

#[test]
fn a_block_out_of_its_turn_ends_the_transfer() {
    let (mut solo, _) = receiving(100_000);
    solo.set(PEER, "d0", data("s1", 0, &octets(10)));
    let refusal = ask(&mut solo, PEER, "d2", data("s1", 2, &octets(10)));
    assert_eq!(condition(&refusal), Condition::UnexpectedRequest);
    let reason = failure(&mut solo);
    assert!(
        matches!(
            &reason,
            Reason::Stream(bytestreams_ibb::Reason::OutOfSequence {
                expected: 1,
                got: 2
            })
        ),
        "{reason:?}"
    );
}

#[test]
fn a_block_larger_than_agreed_ends_the_transfer() {
    let (mut solo, _) = receiving(100_000);
    let refusal = ask(&mut solo, PEER, "d0", data("s1", 0, &octets(4097)));
    assert_eq!(condition(&refusal), Condition::BadRequest);
    assert!(matches!(failure(&mut solo), Reason::Stream(_)));
}

#[test]
fn a_block_that_is_no_base64_ends_the_transfer() {
    let (mut solo, _) = receiving(100_000);
    let bad = Payload::Invalid(Box::new(Invalid {
        ns: ns::IBB.into(),
        name: "data".into(),
        sid: Some(sid("s1")),
        fault: Fault::Base64,
    }));
    let refusal = ask(&mut solo, PEER, "d0", bad);
    assert_eq!(condition(&refusal), Condition::BadRequest);
    let reason = failure(&mut solo);
    assert!(matches!(
        &reason,
        Reason::Stream(bytestreams_ibb::Reason::BadData(Fault::Base64))
    ));
}

#[test]
fn more_octets_than_announced_end_the_transfer() {
    let (mut solo, id) = receiving(100);
    solo.set(PEER, "d0", data("s1", 0, &octets(60)));
    take(&mut solo, id);
    solo.set(PEER, "d1", data("s1", 1, &octets(60)));
    assert_eq!(failure(&mut solo), Reason::TooLong { expected: 100 });
    let stanzas = solo.take_stanzas();
    assert!(
        stanzas.iter().any(
            |s| matches!(s, Stanza::Iq(iq) if matches!(iq.request(), Some(Payload::Close(_))))
        ),
        "the stream is closed: {stanzas:?}"
    );
}

#[test]
fn fewer_octets_than_announced_are_no_file() {
    let (mut solo, id) = receiving(100);
    solo.set(PEER, "d0", data("s1", 0, &octets(99)));
    take(&mut solo, id);
    let answer = ask(&mut solo, PEER, "c", close("s1"));
    assert_eq!(answer.body, IqBody::Result(None));
    assert_eq!(
        failure(&mut solo),
        Reason::TooShort {
            expected: 100,
            got: 99
        }
    );
}

#[test]
fn a_peer_that_ignores_the_range_is_noticed() {
    let mut solo = Solo::new();
    let offer = File {
        range: Some(Range::default()),
        hash: Some([1; 16]),
        ..file(100)
    };
    solo.set(PEER, "o1", offer_of("s1", offer, &[ns::IBB]));
    let id = offered(&mut solo);
    let now = solo.now;
    let range = Range {
        offset: Some(40),
        length: None,
    };
    solo.transfers().accept(id, range, now).expect("accepted");
    solo.set(PEER, "o2", open("s1", 4096));
    solo.set(PEER, "d0", data("s1", 0, &octets(100)));
    assert_eq!(failure(&mut solo), Reason::RangeIgnored { expected: 60 });
}

#[test]
fn a_block_is_acknowledged_once_it_is_stored_and_within_4_s_anyway() {
    let (mut solo, id) = receiving(100);
    solo.set(PEER, "d0", data("s1", 0, &octets(50)));
    assert_eq!(solo.take_event(), Event::Readable { id });
    let block = solo.transfers().read(id).expect("a block");
    assert_eq!(solo.take_stanzas(), []);
    let now = solo.now;
    solo.transfers().stored(id, block.len(), now);
    assert_eq!(solo.take_iq().id.as_str(), "d0");
    assert_eq!(solo.take_event(), Event::Progress { id, octets: 50 });
    solo.set(PEER, "d1", data("s1", 1, &octets(50)));
    solo.pass(Duration::from_millis(3990));
    assert_eq!(solo.take_stanzas(), []);
    solo.pass(Duration::from_millis(20));
    assert_eq!(solo.take_iq().id.as_str(), "d1");
}

#[test]
fn the_driver_is_told_to_stop_reading_when_too_much_waits() {
    let mut config = Config::default();
    config.bounds.buffered = 10_000;
    config.allow_unannounced = true;
    let mut solo = Solo::with(config);
    let now = solo.now;
    let mut ids = Vec::new();
    for n in 0..3 {
        let stream = format!("s{n}");
        solo.set(PEER, "o", open(&stream, 4096));
        let id = offered(&mut solo);
        solo.accept(id);
        solo.take_events();
        assert!(solo.transfers().wants_input());
        solo.set(PEER, "d", data(&stream, 0, &octets(4000)));
        solo.take_events();
        ids.push(id);
    }
    assert!(!solo.transfers().wants_input());
    take(&mut solo, ids[1]);
    assert!(solo.transfers().wants_input());
    solo.set(PEER, "d", data("s1", 1, &octets(4000)));
    assert!(!solo.transfers().wants_input());
    solo.transfers().cancel(ids[0], now).expect("cancelled");
    assert!(
        solo.transfers().wants_input(),
        "what is dropped counts no more"
    );
}

#[test]
fn errors_of_the_last_resort_have_their_types() {
    let mut solo = Solo::new();
    let IqBody::Error(error) = ask(&mut solo, PEER, "1", data("s1", 0, b"x")).body else {
        panic!("no error")
    };
    assert_eq!(error.kind, ErrorType::Cancel);
}
