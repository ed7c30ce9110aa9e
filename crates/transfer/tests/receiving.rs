//! What peers start, with a peer that the test plays.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "tests look for one thing among many"
)]

mod common;

use bytestreams_stanza::{
    AppCondition, Condition, ErrorType, Fault, File, Invalid, Iq, IqBody, Message, Payload, Range,
    Stanza, ns,
};
use bytestreams_transfer::{CommandError, Config, Event, Method, Reason, Side, Step, TransferId};
use common::*;
use core::time::Duration;

fn offered(solo: &mut Solo) -> TransferId {
    match solo.take_event() {
        Event::Offered { id, .. } => id,
        other => panic!("{other:?}"),
    }
}

/// A file on offer, accepted, and opened with blocks of 4096.
fn receiving(size: u64) -> (Solo, TransferId) {
    let mut solo = Solo::new();
    solo.set(PEER, "o1", offer_of("s1", file(size), &[ns::IBB]));
    let id = offered(&mut solo);
    let now = solo.now;
    solo.transfers()
        .accept(id, Range::default(), now)
        .expect("accepted");
    solo.set(PEER, "o2", open("s1", 4096));
    solo.take_stanzas();
    solo.take_events();
    (solo, id)
}

fn take(solo: &mut Solo, id: TransferId) -> Vec<u8> {
    let now = solo.now;
    let mut came = Vec::new();
    while let Some(block) = solo.transfers().read(id) {
        came.extend_from_slice(&block);
        solo.transfers().stored(id, block.len(), now);
    }
    solo.drain();
    came
}

#[track_caller]
fn failure(solo: &mut Solo) -> Reason {
    match solo.take_events().pop() {
        Some(Event::Failed { reason, .. }) => reason,
        other => panic!("no failure: {other:?}"),
    }
}

/// Gives a set and takes the answer to it.
#[track_caller]
fn ask(solo: &mut Solo, from: &str, id: &str, payload: Payload) -> Iq {
    solo.take_stanzas();
    solo.set(from, id, payload);
    let stanzas = solo.take_stanzas();
    let answer = stanzas.iter().find_map(|stanza| match stanza {
        Stanza::Iq(iq) if iq.id.as_str() == id && iq.request().is_none() => Some(iq.clone()),
        _ => None,
    });
    answer.unwrap_or_else(|| panic!("no answer: {stanzas:?}"))
}

#[test]
fn an_offer_is_told_with_all_that_the_peer_says() {
    let mut solo = Solo::new();
    let mut file = file(152_443);
    file.desc = Some("send".into());
    let methods = &[ns::BYTESTREAMS, "jabber:iq:oob", ns::IBB];
    solo.set(PEER, "iq_13", offer_of("82B0C697", file.clone(), methods));
    let event = solo.take_event();
    let Event::Offered {
        id,
        from,
        sid,
        file: told,
        mime_type,
        methods,
        announced: true,
    } = event
    else {
        panic!("{event:?}")
    };
    assert_eq!((from, sid.as_str()), (jid(PEER), "82B0C697"));
    assert_eq!(told, file);
    assert_eq!(mime_type.as_deref(), Some("text/plain"));
    assert_eq!(methods[..], [Method::Ibb], "SOCKS5 is not enabled");
    assert_eq!(solo.take_stanzas(), [], "the application decides");
    let now = solo.now;
    solo.transfers()
        .accept(id, Range::default(), now)
        .expect("accepted");
    let answer = solo.take_iq();
    assert_eq!(answer.id.as_str(), "iq_13");
    assert!(matches!(&answer.body, IqBody::Result(Some(Payload::Si(_)))));
    assert_eq!(
        solo.transfers().accept(id, Range::default(), now),
        Err(CommandError::WrongStage)
    );
}

#[test]
fn an_offer_that_cannot_be_had_is_refused_without_asking_anybody() {
    let mut solo = Solo::new();
    let offer = offer_of("s1", file(1), &[ns::BYTESTREAMS]);
    let IqBody::Error(error) = ask(&mut solo, PEER, "1", offer).body else {
        panic!("no error")
    };
    assert_eq!(error.app, Some(AppCondition::NoValidStreams));
    assert_eq!(solo.take_events(), []);
    assert!(solo.transfers().is_idle());
}

#[test]
fn offers_that_nobody_decided_on_are_bounded_by_account() {
    let mut solo = Solo::new();
    let offer = |n: usize| offer_of(&format!("s{n}"), file(1), &[ns::IBB]);
    for n in 0..8 {
        let from = format!("juliet@capulet.lit/{n}");
        solo.set(&from, "o", offer(n));
    }
    assert_eq!(solo.take_events().len(), 8);
    let refusal = ask(&mut solo, "Juliet@capulet.lit/x", "o9", offer(9));
    assert_eq!(condition(&refusal), Condition::ResourceConstraint);
    solo.set("nurse@capulet.lit/x", "o", offer(9));
    let id = offered(&mut solo);
    let now = solo.now;
    solo.transfers().decline(id, None, now).expect("declined");
}

#[test]
fn transfers_are_bounded_by_account_and_in_all() {
    let mut config = Config::default();
    config.bounds.transfers_a_peer = 3;
    config.bounds.transfers = 4;
    let mut solo = Solo::with(config);
    let now = solo.now;
    let offer = |n: usize| offer_of(&format!("s{n}"), file(1), &[ns::IBB]);
    for n in 0..3 {
        solo.set(PEER, "o", offer(n));
        let id = offered(&mut solo);
        solo.transfers()
            .accept(id, Range::default(), now)
            .expect("accepted");
        solo.take_events();
    }
    let refusal = ask(&mut solo, PEER, "o", offer(4));
    assert_eq!(condition(&refusal), Condition::ResourceConstraint);
    solo.set("a@b/c", "o", offer(5));
    let id = offered(&mut solo);
    let refusal = ask(&mut solo, "d@e/f", "o", offer(6));
    assert_eq!(condition(&refusal), Condition::ResourceConstraint);
    solo.transfers().decline(id, None, now).expect("declined");
    solo.take_events();
    solo.set("d@e/f", "o", offer(6));
    offered(&mut solo);
}

#[test]
fn a_repeated_offer_is_answered_once_and_another_of_the_same_stream_is_a_conflict() {
    let mut solo = Solo::new();
    let offer = || offer_of("s1", file(1), &[ns::IBB]);
    solo.set(PEER, "o1", offer());
    offered(&mut solo);
    solo.set(PEER, "o1", offer());
    assert_eq!((solo.take_stanzas(), solo.take_events()), (vec![], vec![]));
    assert_eq!(
        condition(&ask(&mut solo, PEER, "o2", offer())),
        Condition::Conflict
    );
    solo.set("another@peer/x", "o1", offer());
    offered(&mut solo);
}

#[test]
fn declining_is_forbidden_and_cancelling_too() {
    for cancel in [false, true] {
        let mut solo = Solo::new();
        solo.set(PEER, "o1", offer_of("s1", file(1), &[ns::IBB]));
        let id = offered(&mut solo);
        let now = solo.now;
        if cancel {
            solo.transfers().cancel(id, now).expect("cancelled");
        } else {
            solo.transfers().decline(id, None, now).expect("declined");
        }
        assert_eq!(condition(&solo.take_iq()), Condition::Forbidden);
        assert!(matches!(solo.take_event(), Event::Failed { .. }));
        assert!(solo.transfers().is_idle());
    }
}

#[test]
fn an_offer_that_nobody_decides_on_is_declined_in_the_end() {
    let mut solo = Solo::new();
    solo.set(PEER, "o1", offer_of("s1", file(1), &[ns::IBB]));
    offered(&mut solo);
    for _ in 0..6 {
        solo.pass(Duration::from_secs(50));
        solo.give("montague.lit", Iq::get(None, "p".into(), Payload::Ping));
    }
    let stanzas = solo.take_stanzas();
    assert!(
        stanzas
            .iter()
            .any(|s| matches!(s, Stanza::Iq(iq) if iq.id.as_str() == "o1"
                && matches!(&iq.body, IqBody::Error(e) if e.condition == Condition::Forbidden))),
        "{stanzas:?}"
    );
    let step = Step::Decision;
    assert_eq!(failure(&mut solo), Reason::TimedOut { step });
}

#[test]
fn a_file_that_was_accepted_and_is_never_opened_fails() {
    let mut solo = Solo::new();
    solo.set(PEER, "o1", offer_of("s1", file(1), &[ns::IBB]));
    let id = offered(&mut solo);
    let now = solo.now;
    solo.transfers()
        .accept(id, Range::default(), now)
        .expect("accepted");
    solo.take_events();
    solo.pass(Duration::from_secs(29));
    assert_eq!(solo.take_events(), []);
    solo.pass(Duration::from_secs(1));
    assert_eq!(failure(&mut solo), Reason::TimedOut { step: Step::Open });
}

#[test]
fn a_range_is_asked_for_only_where_the_offer_allows_it() {
    let part = Range {
        offset: Some(10),
        length: None,
    };
    let whole = Range {
        offset: Some(0),
        length: None,
    };
    for (range, hash, size) in [
        (None, Some([1; 16]), Some(100)),
        (Some(Range::default()), None, Some(100)),
        (Some(Range::default()), Some([1; 16]), None),
        (Some(Range::default()), Some([1; 16]), Some(9)),
    ] {
        let mut solo = Solo::new();
        let file = File {
            range,
            hash,
            size,
            ..file(0)
        };
        solo.set(PEER, "o1", offer_of("s1", file, &[ns::IBB]));
        let id = offered(&mut solo);
        let now = solo.now;
        let transfers = solo.transfers();
        assert_eq!(transfers.accept(id, part, now), Err(CommandError::BadRange));
        assert_eq!(
            transfers.accept(id, whole, now),
            Ok(()),
            "{range:?} {hash:?}"
        );
        let IqBody::Result(Some(Payload::Si(si))) = solo.take_iq().body else {
            panic!("no acceptance")
        };
        assert_eq!(si.file, None, "one peer cannot read a bare file");
    }
}

#[test]
fn a_stream_that_nobody_announced_is_refused_unless_allowed() {
    let mut solo = Solo::new();
    let refusal = ask(&mut solo, PEER, "1", open("s1", 4096));
    assert_eq!(condition(&refusal), Condition::NotAcceptable);
    assert_eq!(solo.take_events(), []);

    let mut solo = Solo::open_to_strangers();
    solo.set(PEER, "1", open("s1", 4096));
    assert_eq!(solo.take_stanzas(), [], "answered when decided on");
    let id = offered(&mut solo);
    solo.set(PEER, "1", open("s1", 4096));
    assert_eq!((solo.take_stanzas(), solo.take_events()), (vec![], vec![]));
    let refusal = ask(&mut solo, PEER, "2", open("s1", 4096));
    assert_eq!(condition(&refusal), Condition::NotAcceptable);
    let now = solo.now;
    let transfers = solo.transfers();
    let part = Range {
        offset: Some(1),
        length: None,
    };
    assert_eq!(transfers.accept(id, part, now), Err(CommandError::BadRange));
    transfers
        .accept(id, Range::default(), now)
        .expect("accepted");
    let answer = solo.take_iq();
    assert_eq!(
        (answer.id.as_str(), answer.body),
        ("1", IqBody::Result(None))
    );
    assert_eq!(
        solo.take_events(),
        [
            Event::Accepted {
                id,
                method: Method::Ibb,
                range: Range::default()
            },
            Event::Established {
                id,
                method: Method::Ibb,
                conn: None
            }
        ]
    );
}

#[test]
fn a_stream_that_nobody_announced_can_be_declined() {
    let mut solo = Solo::open_to_strangers();
    solo.set(PEER, "1", open("s1", 4096));
    let id = offered(&mut solo);
    let now = solo.now;
    solo.transfers().decline(id, None, now).expect("declined");
    assert_eq!(condition(&solo.take_iq()), Condition::NotAcceptable);
}

#[test]
fn a_peer_can_take_back_what_nobody_decided_on() {
    let mut solo = Solo::open_to_strangers();
    solo.set(PEER, "1", open("s1", 4096));
    offered(&mut solo);
    solo.set(PEER, "2", close("s1"));
    let stanzas = solo.take_stanzas();
    let [Stanza::Iq(first), Stanza::Iq(second)] = &stanzas[..] else {
        panic!("{stanzas:?}")
    };
    assert_eq!(
        (first.id.as_str(), condition(first)),
        ("1", Condition::NotAcceptable)
    );
    assert_eq!(
        (second.id.as_str(), &second.body),
        ("2", &IqBody::Result(None))
    );
    assert_eq!(failure(&mut solo), Reason::Cancelled { by: Side::Peer });
}

#[test]
fn two_opens_of_one_stream_are_one_too_many() {
    let (mut solo, id) = receiving(100);
    let refusal = ask(&mut solo, PEER, "o3", open("s1", 4096));
    assert_eq!(condition(&refusal), Condition::NotAcceptable);
    let again = ask(&mut solo, PEER, "o2", open("s1", 4096));
    assert_eq!(again.body, IqBody::Result(None), "repeated, not another");
    solo.set(PEER, "d0", data("s1", 0, &octets(100)));
    assert_eq!(take(&mut solo, id), octets(100));
}

#[test]
fn an_open_that_is_not_as_it_should_be_is_refused() {
    let mut solo = Solo::open_to_strangers();
    let refusal = ask(&mut solo, PEER, "1", open("a b", 4096));
    assert_eq!(condition(&refusal), Condition::BadRequest);
    let refusal = ask(&mut solo, PEER, "2", open("s1", 0));
    assert_eq!(condition(&refusal), Condition::BadRequest);
}

#[test]
fn a_stream_with_larger_blocks_than_there_is_room_for_is_opened_with_smaller_ones() {
    let mut config = Config::default();
    config.bounds.block_size = 512;
    let mut solo = Solo::with(config);
    solo.set(PEER, "o1", offer_of("s1", file(512), &[ns::IBB]));
    let id = offered(&mut solo);
    let now = solo.now;
    solo.transfers()
        .accept(id, Range::default(), now)
        .expect("accepted");
    solo.take_stanzas();
    let refusal = ask(&mut solo, PEER, "o2", open("s1", 1024));
    assert_eq!(condition(&refusal), Condition::ResourceConstraint);
    let taken = ask(&mut solo, PEER, "o3", open("s1", 512));
    assert_eq!(taken.body, IqBody::Result(None));
    solo.set(PEER, "d0", data("s1", 0, &octets(512)));
    assert_eq!(take(&mut solo, id), octets(512));
}

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
        solo.transfers()
            .accept(id, Range::default(), now)
            .expect("accepted");
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
fn a_late_close_is_confirmed_for_a_minute() {
    let (mut solo, id) = receiving(10);
    solo.set(PEER, "d0", data("s1", 0, &octets(10)));
    take(&mut solo, id);
    solo.set(PEER, "c", close("s1"));
    let now = solo.now;
    solo.transfers()
        .completed(id, Ok(()), now)
        .expect("completed");
    solo.take_stanzas();
    assert_eq!(solo.take_events().pop(), Some(Event::Done { id }));
    let answer = ask(&mut solo, PEER, "c2", close("s1"));
    assert_eq!(answer.body, IqBody::Result(None));
    solo.pass(Duration::from_secs(61));
    let answer = ask(&mut solo, PEER, "c3", close("s1"));
    assert_eq!(condition(&answer), Condition::ItemNotFound);
}

#[test]
fn a_stream_that_was_accepted_and_cancelled_is_not_taken_for_an_unannounced_one() {
    let mut solo = Solo::open_to_strangers();
    solo.set(PEER, "o1", offer_of("s1", file(1), &[ns::IBB]));
    let id = offered(&mut solo);
    let now = solo.now;
    solo.transfers()
        .accept(id, Range::default(), now)
        .expect("accepted");
    solo.transfers().cancel(id, now).expect("cancelled");
    solo.take_events();
    let refusal = ask(&mut solo, PEER, "o2", open("s1", 4096));
    assert_eq!(condition(&refusal), Condition::NotAcceptable);
    let repeated = ask(&mut solo, PEER, "o1", offer_of("s1", file(1), &[ns::IBB]));
    assert_eq!(condition(&repeated), Condition::Conflict);
    assert_eq!(solo.take_events(), []);
}

#[test]
fn a_sender_that_says_nothing_any_more_is_given_up_though_it_is_there() {
    let (mut solo, id) = receiving(100);
    solo.set(PEER, "d0", data("s1", 0, &octets(50)));
    take(&mut solo, id);
    solo.take_events();
    for _ in 0..20 {
        solo.pass(Duration::from_secs(20));
        for stanza in solo.take_stanzas() {
            if let Stanza::Iq(iq) = stanza {
                let from = iq.to.clone().unwrap_or_else(|| jid(ME));
                if iq.request().is_some() {
                    solo.give(from.as_str(), result(&iq.id));
                }
            }
        }
    }
    assert_eq!(failure(&mut solo), Reason::TimedOut { step: Step::Data });
}

#[test]
fn a_sender_that_forgets_to_close_has_sent_its_file() {
    for completed_early in [false, true] {
        let (mut solo, id) = receiving(100);
        solo.set(PEER, "d0", data("s1", 0, &octets(100)));
        assert_eq!(take(&mut solo, id), octets(100));
        solo.take_events();
        let now = solo.now;
        if completed_early {
            let transfers = solo.transfers();
            transfers.completed(id, Ok(()), now).expect("completed");
        }
        solo.pass(Duration::from_secs(29));
        assert_eq!(solo.take_events(), []);
        solo.take_stanzas();
        solo.pass(Duration::from_secs(1));
        if !completed_early {
            assert_eq!(solo.take_event(), Event::Ended { id });
            let now = solo.now;
            let transfers = solo.transfers();
            transfers.completed(id, Ok(()), now).expect("completed");
        }
        let close = solo.take_iq();
        assert!(matches!(close.request(), Some(Payload::Close(_))));
        solo.give(PEER, result(&close.id));
        assert_eq!(solo.take_event(), Event::Done { id });
        assert!(solo.transfers().is_idle());
    }
}

#[test]
fn what_is_nobodys_is_answered_by_the_last_in_line() {
    let mut solo = Solo::new();
    let query = Payload::Unknown {
        ns: "x".into(),
        name: "y".into(),
    };
    let refusal = ask(&mut solo, PEER, "1", query);
    assert_eq!(condition(&refusal), Condition::ServiceUnavailable);
    solo.give(
        PEER,
        Iq::get(None, "2".into(), offer_of("s", file(1), &[ns::IBB])),
    );
    assert_eq!(condition(&solo.take_iq()), Condition::ServiceUnavailable);
}

/// The photo of a blog about XEP-0047: a bare `<open/>`, blocks by message between bare addresses,
/// a close.
#[test]
fn a_photo_comes_by_message_in_a_stream_that_nobody_announced() {
    let from = "he.zhiqiang@xmpp.hezhiqiang.info";
    let mut solo = Solo::open_to_strangers();
    solo.set(from, "iy2s986q", open("dv917fb4", 4096));
    let id = offered(&mut solo);
    let now = solo.now;
    solo.transfers()
        .accept(id, Range::default(), now)
        .expect("accepted");
    assert_eq!(solo.take_iq().id.as_str(), "iy2s986q");
    let photo = octets(10_000);
    for (seq, block) in photo.chunks(4096).enumerate() {
        let message = Message {
            from: None,
            to: None,
            id: Some(format!("m{seq}").as_str().into()),
            payload: Some(data("dv917fb4", seq as u16, block)),
            error: None,
        };
        solo.give(from, message);
    }
    assert_eq!(take(&mut solo, id), photo);
    assert_eq!(solo.take_stanzas(), [], "messages are not acknowledged");
    solo.take_events();
    solo.set(from, "fr61g835", close("dv917fb4"));
    assert_eq!(solo.take_event(), Event::Ended { id });
    solo.transfers()
        .completed(id, Ok(()), now)
        .expect("completed");
    let answer = solo.take_iq();
    assert_eq!(
        (answer.id.as_str(), answer.body),
        ("fr61g835", IqBody::Result(None))
    );
    assert_eq!(solo.take_event(), Event::Done { id });
    assert!(solo.transfers().is_idle());
}

#[test]
fn errors_of_the_last_resort_have_their_types() {
    let mut solo = Solo::new();
    let IqBody::Error(error) = ask(&mut solo, PEER, "1", data("s1", 0, b"x")).body else {
        panic!("no error")
    };
    assert_eq!(error.kind, ErrorType::Cancel);
}
