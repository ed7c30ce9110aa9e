//! Offers: what is told of them, how many there may be, and what becomes of them.

use crate::common::*;
use crate::support::*;
use bytestreams_stanza::{AppCondition, Condition, File, Iq, IqBody, Payload, Range, Stanza, ns};
use bytestreams_transfer::{CommandError, Config, Event, Method, Reason, Step};
use core::time::Duration;

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
    solo.accept(id);
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
    solo.decline(id);
}

#[test]
fn transfers_are_bounded_by_account_and_in_all() {
    let mut config = Config::default();
    config.bounds.transfers_a_peer = 3;
    config.bounds.transfers = 4;
    let mut solo = Solo::with(config);
    let offer = |n: usize| offer_of(&format!("s{n}"), file(1), &[ns::IBB]);
    for n in 0..3 {
        solo.set(PEER, "o", offer(n));
        let id = offered(&mut solo);
        solo.accept(id);
        solo.take_events();
    }
    let refusal = ask(&mut solo, PEER, "o", offer(4));
    assert_eq!(condition(&refusal), Condition::ResourceConstraint);
    solo.set("a@b/c", "o", offer(5));
    let id = offered(&mut solo);
    let refusal = ask(&mut solo, "d@e/f", "o", offer(6));
    assert_eq!(condition(&refusal), Condition::ResourceConstraint);
    solo.decline(id);
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
        if cancel {
            solo.cancel(id);
        } else {
            solo.decline(id);
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
    solo.accept(id);
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
fn a_stream_that_was_accepted_and_cancelled_is_not_taken_for_an_unannounced_one() {
    let mut solo = Solo::open_to_strangers();
    solo.set(PEER, "o1", offer_of("s1", file(1), &[ns::IBB]));
    let id = offered(&mut solo);
    solo.accept(id);
    solo.cancel(id);
    solo.take_events();
    let refusal = ask(&mut solo, PEER, "o2", open("s1", 4096));
    assert_eq!(condition(&refusal), Condition::NotAcceptable);
    let repeated = ask(&mut solo, PEER, "o1", offer_of("s1", file(1), &[ns::IBB]));
    assert_eq!(condition(&repeated), Condition::Conflict);
    assert_eq!(solo.take_events(), []);
    // Another request is another file, whatever its stream is called.
    solo.set(PEER, "o3", offer_of("s1", file(1), &[ns::IBB]));
    offered(&mut solo);
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
