//! What we start, with a peer that the test plays.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "tests look for one thing among many"
)]

mod common;

use bytestreams_stanza::{
    AppCondition, Condition, ErrorType, Iq, IqBody, Payload, Presence, PresenceType, Range, Stanza,
    StanzaError, ns,
};
use bytestreams_transfer::{
    Blame, Blocked, Event, Method, Methods, Options, Reason, Side, Step, TransferId, Window,
};
use common::*;
use core::num::NonZeroU16;
use core::time::Duration;

fn blocks(n: u16) -> Options {
    let mut options = Options::default();
    options.window = Window::Blocks(NonZeroU16::new(n).expect("not 0"));
    options.block_size = NonZeroU16::new(4096);
    options
}

fn is_disco(stanza: &Stanza) -> bool {
    matches!(stanza, Stanza::Iq(iq) if matches!(iq.body, IqBody::Get(Payload::DiscoInfo(_))))
}

fn iq(stanza: &Stanza) -> &Iq {
    match stanza {
        Stanza::Iq(iq) => iq,
        other => panic!("no iq: {other:?}"),
    }
}

/// An offer that was answered with consent, and the `<open/>` that followed.
fn accepted(solo: &mut Solo, id: TransferId, range: Option<Range>) -> Iq {
    let offer = solo.take_iq();
    let consent = Iq::answer(None, offer.id, acceptance(&[ns::IBB], range));
    solo.give(PEER, consent);
    assert!(matches!(solo.take_event(), Event::Accepted { id: i, .. } if i == id));
    solo.take_iq()
}

/// An established stream to write into.
fn established(options: Options, size: u64) -> (Solo, TransferId) {
    let mut solo = Solo::new();
    let id = solo.offer(file(size), options);
    let open = accepted(&mut solo, id, None);
    solo.give(PEER, result(&open.id));
    assert!(matches!(solo.take_event(), Event::Established { .. }));
    (solo, id)
}

fn write(solo: &mut Solo, id: TransferId, len: usize) -> Vec<Iq> {
    let now = solo.now;
    let mut left = octets(len);
    while !left.is_empty() && solo.transfers().write(id, &mut left, now).is_ok() {}
    solo.take_stanzas().iter().map(iq).cloned().collect()
}

#[test]
fn the_peer_is_asked_what_it_can_do_and_offered_the_file_at_once() {
    let mut solo = Solo::new();
    let id = solo.offer(file(1022), Options::default());
    let stanzas = solo.take_stanzas();
    let [disco, offer] = &stanzas[..] else {
        panic!("{stanzas:?}")
    };
    assert!(is_disco(disco));
    let IqBody::Set(Payload::Si(si)) = &iq(offer).body else {
        panic!("{offer:?}")
    };
    assert_eq!(si.id.as_ref(), solo.transfers().sid(id));
    assert_eq!(si.file, Some(file(1022)));
    let form = si.feature.as_ref().expect("a form");
    assert_eq!(
        form.fields[0].options,
        [ns::IBB.into()],
        "only what is enabled is offered"
    );
    assert_eq!(solo.transfers().file(id), Some(&file(1022)));
    assert_eq!(solo.transfers().peer(id), Some(&jid(PEER)));
}

#[test]
fn a_peer_is_asked_once_and_again_when_it_has_been_away() {
    let mut solo = Solo::new();
    let mut n = 0;
    let mut asked = |solo: &mut Solo| {
        n += 1;
        let now = solo.now;
        solo.transfers()
            .offer(jid(PEER), file(1), Options::default(), entropy(n), now);
        solo.take_stanzas().iter().any(is_disco)
    };
    assert!(asked(&mut solo));
    assert!(!asked(&mut solo));
    let gone = Presence {
        from: None,
        to: None,
        kind: PresenceType::Unavailable,
        priority: 0,
        caps: None,
    };
    assert!(solo.give(PEER, gone).is_some(), "others may want it too");
    assert!(asked(&mut solo));
}

#[test]
fn nothing_is_asked_when_nothing_depends_on_it() {
    let mut solo = Solo::new();
    solo.offer(file(1), blocks(1));
    assert!(!solo.take_stanzas().iter().any(is_disco));
}

#[test]
fn a_question_without_answer_or_refused_does_not_stop_the_stream() {
    let consent = |solo: &mut Solo| {
        let stanzas = solo.take_stanzas();
        let [disco, offer] = &stanzas[..] else {
            panic!("{stanzas:?}")
        };
        let (disco, offer) = (iq(disco).id.clone(), iq(offer).id.clone());
        solo.give(PEER, Iq::answer(None, offer, acceptance(&[ns::IBB], None)));
        disco
    };
    let careful = |solo: &mut Solo| {
        let open = solo.take_iq();
        assert!(
            matches!(&open.body, IqBody::Set(Payload::Open(open)) if open.block_size == 4096),
            "{open:?}"
        );
    };
    let mut solo = Solo::new();
    solo.offer(file(1), Options::default());
    let disco = consent(&mut solo);
    assert_eq!(solo.take_stanzas(), [], "it waits a little");
    solo.give(PEER, error(&disco, Condition::ServiceUnavailable));
    careful(&mut solo);

    let mut solo = Solo::new();
    solo.offer(file(1), Options::default());
    consent(&mut solo);
    solo.pass(Duration::from_millis(2900));
    assert_eq!(solo.take_stanzas(), []);
    solo.pass(Duration::from_millis(200));
    careful(&mut solo);

    let mut solo = Solo::open_to_strangers();
    let now = solo.now;
    solo.transfers()
        .open(jid(PEER), Options::default(), entropy(1), now);
    assert!(is_disco(&solo.take_stanzas()[0]));
    solo.pass(Duration::from_secs(4));
    careful(&mut solo);
}

#[test]
fn an_answer_about_the_peer_from_somebody_else_is_not_believed() {
    let mut solo = Solo::new();
    solo.offer(file(1), Options::default());
    let stanzas = solo.take_stanzas();
    let disco = iq(&stanzas[0]).id.clone();
    let info = bytestreams_stanza::DiscoInfo {
        features: vec![ns::IBB_PIPELINE.into()],
        ..Default::default()
    };
    let body = IqBody::Result(Some(Payload::DiscoInfo(Box::new(info))));
    solo.give("eve@example.org/x", Iq::answer(None, disco, body));
    let offer = iq(&stanzas[1]).id.clone();
    solo.give(PEER, Iq::answer(None, offer, acceptance(&[ns::IBB], None)));
    solo.pass(Duration::from_secs(4));
    let open = solo.take_iq();
    assert!(matches!(&open.body, IqBody::Set(Payload::Open(open)) if open.block_size == 4096));
}

/// The trace of an iOS client that sends to Spark through Openfire, as far as it goes in band: the
/// answer comes from another spelling of the address and with two values.
#[test]
fn the_peer_is_who_its_answer_says_it_is() {
    let asked = "Android@192.168.1.113/Spark 2.6.3";
    let stamped = "android@192.168.1.113/Spark 2.6.3";
    let mut solo = Solo::new();
    let now = solo.now;
    let id = solo
        .transfers()
        .offer(jid(asked), file(152_443), blocks(1), entropy(1), now);
    let offer = solo.take_iq();
    assert_eq!(offer.to.as_ref().map(|to| to.as_str()), Some(asked));
    let both = acceptance(&[ns::BYTESTREAMS, ns::IBB], None);
    solo.give(stamped, Iq::answer(None, offer.id, both));
    assert_eq!(
        solo.take_event(),
        Event::Accepted {
            id,
            method: Method::Ibb,
            range: Range::default()
        }
    );
    assert_eq!(
        solo.transfers()
            .peer(id)
            .map(|peer| peer.as_str().to_owned()),
        Some(stamped.to_owned())
    );
    let open = solo.take_iq();
    assert_eq!(open.to.as_ref().map(|to| to.as_str()), Some(stamped));
    solo.give(stamped, result(&open.id));
    assert!(matches!(solo.take_event(), Event::Established { .. }));
    assert_eq!(write(&mut solo, id, 4095).len(), 1);
}

#[test]
fn a_receiver_that_closes_before_and_is_gone_has_cancelled() {
    let (mut solo, id) = established(blocks(2), 100_000);
    let sid = solo.transfers().sid(id).expect("a sid").to_string();
    write(&mut solo, id, 2 * 4095);
    assert_eq!(solo.transfers().loss(id), Reason::LinkLost);
    solo.set(PEER, "c1", close(&sid));
    assert_eq!(solo.take_events(), [], "what is in flight may still tell");
    let reason = Reason::Cancelled { by: Side::Peer };
    assert_eq!(solo.transfers().loss(id), reason);
    let now = solo.now;
    solo.transfers().link_lost(now);
    assert_eq!(failure(&mut solo), reason);
}

#[test]
fn refusals_are_told_by_whose_choice_or_fault_they_are() {
    let refuse = |error: StanzaError| {
        let mut solo = Solo::new();
        solo.offer(file(1), blocks(1));
        let offer = solo.take_iq();
        solo.give(PEER, common::error(&offer.id, error));
        let reason = failure(&mut solo);
        assert!(solo.transfers().is_idle());
        reason
    };
    let declined = refuse(Condition::Forbidden.into());
    assert_eq!(
        declined,
        Reason::Declined {
            by: Side::Peer,
            text: None
        }
    );
    assert_eq!(declined.fault(), Blame::Choice);
    let app = |app| StanzaError {
        app: Some(app),
        ..StanzaError::new(ErrorType::Cancel, Condition::BadRequest)
    };
    assert_eq!(
        refuse(app(AppCondition::NoValidStreams)),
        Reason::NoCommonMethod
    );
    assert_eq!(refuse(app(AppCondition::BadProfile)), Reason::BadProfile);
    let offline = refuse(Condition::ServiceUnavailable.into());
    assert!(
        matches!(&offline, Reason::Refused { step: Step::Offer, error }
            if error.condition == Condition::ServiceUnavailable)
    );
    assert_eq!(offline.fault(), Blame::Peer);
    assert!(offline.to_string().contains("online"), "{offline}");
}

#[test]
fn consent_to_nothing_that_was_offered_is_no_consent() {
    for values in [&[][..], &[ns::BYTESTREAMS], &["jabber:iq:oob"]] {
        let mut solo = Solo::new();
        solo.offer(file(1), blocks(1));
        let offer = solo.take_iq();
        solo.give(PEER, Iq::answer(None, offer.id, acceptance(values, None)));
        assert_eq!(failure(&mut solo), Reason::NoCommonMethod);
    }
}

#[test]
fn methods_that_are_not_enabled_are_not_offered() {
    let mut solo = Solo::new();
    let mut options = blocks(1);
    options.methods = Methods::from_slice(&[Method::Socks5]);
    solo.offer(file(1), options);
    assert_eq!(failure(&mut solo), Reason::NoCommonMethod);
    assert_eq!(solo.take_stanzas(), []);
}

#[test]
fn a_range_outside_the_file_or_not_on_offer_is_refused() {
    let range = |offset, length| Range { offset, length };
    for (offered, range) in [
        (true, range(Some(1001), None)),
        (true, range(Some(500), Some(501))),
        (true, range(Some(1), Some(u64::MAX))),
        (false, range(Some(10), None)),
    ] {
        let mut solo = Solo::new();
        let mut file = file(1000);
        file.range = offered.then(Range::default);
        solo.offer(file, blocks(1));
        let offer = solo.take_iq();
        let consent = acceptance(&[ns::IBB], Some(range));
        solo.give(PEER, Iq::answer(None, offer.id, consent));
        assert_eq!(
            failure(&mut solo),
            Reason::BadRange {
                offset: range.offset.unwrap_or(0),
                length: range.length
            }
        );
    }
}

#[test]
fn a_range_that_is_the_whole_file_needs_no_offer_of_ranges() {
    let mut solo = Solo::new();
    let id = solo.offer(file(1000), blocks(1));
    accepted(&mut solo, id, Some(Range::default()));
    assert_eq!(solo.transfers().expected(id), Some(1000));
}

/// Some write a length that they do not want as 0.
#[test]
fn a_range_of_no_octets_is_one_without_length() {
    for (offset, expected) in [(None, 1000), (Some(400), 600)] {
        let mut solo = Solo::new();
        let mut file = file(1000);
        file.range = Some(Range::default());
        let id = solo.offer(file, blocks(1));
        let length = Some(0);
        accepted(&mut solo, id, Some(Range { offset, length }));
        assert_eq!(solo.transfers().expected(id), Some(expected));
    }
}

#[test]
fn an_offer_that_nobody_answers_times_out() {
    let mut solo = Solo::new();
    solo.offer(file(1), blocks(1));
    solo.take_stanzas();
    for _ in 0..5 {
        assert_eq!(solo.take_events(), []);
        solo.give("montague.lit", Iq::get(None, "p".into(), Payload::Ping));
        solo.pass(Duration::from_millis(59_900));
    }
    assert_eq!(solo.take_events(), []);
    solo.pass(Duration::from_millis(500));
    assert_eq!(failure(&mut solo), Reason::TimedOut { step: Step::Offer });
}

#[test]
fn a_peer_that_cannot_take_several_blocks_is_offered_the_file_again_once() {
    let (mut solo, id) = established(blocks(4), 50_000);
    let first = solo.transfers().sid(id).cloned();
    let blocks = write(&mut solo, id, 50_000);
    assert_eq!(blocks.len(), 4);
    solo.give(PEER, result(&blocks[0].id));
    let refusal = StanzaError::new(ErrorType::Cancel, Condition::UnexpectedRequest);
    solo.give(PEER, error(&blocks[2].id, refusal.clone()));
    for block in [&blocks[1], &blocks[3]] {
        solo.give(PEER, result(&block.id));
    }
    let events = solo.take_events();
    assert!(
        events.iter().any(|event| matches!(event,
            Event::FellBack { id: i, from: Method::Ibb, to: Method::Ibb, reason: Reason::Refused { step: Step::Data, .. } }
            if *i == id)),
        "{events:?}"
    );
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Failed { .. }))
    );
    let second = solo.transfers().sid(id).cloned();
    assert_ne!(first, second);
    let stanzas = solo.take_stanzas();
    let offer = stanzas
        .iter()
        .map(iq)
        .find(|iq| matches!(iq.request(), Some(Payload::Si(si)) if si.id == second))
        .expect("another offer");
    solo.give(
        PEER,
        Iq::answer(None, offer.id.clone(), acceptance(&[ns::IBB], None)),
    );
    let open = solo.take_iq();
    solo.give(PEER, result(&open.id));
    let blocks = write(&mut solo, id, 50_000);
    assert_eq!(blocks.len(), 1, "one at a time now");
    solo.take_events();
    solo.give(PEER, error(&blocks[0].id, refusal));
    assert!(matches!(
        failure(&mut solo),
        Reason::Refused {
            step: Step::Data,
            ..
        }
    ));
}

#[test]
fn a_peer_that_closes_before_it_says_why_is_offered_the_file_again() {
    let (mut solo, id) = established(blocks(4), 50_000);
    let stream = solo.transfers().sid(id).expect("a sid").to_string();
    let blocks = write(&mut solo, id, 50_000);
    solo.give(PEER, result(&blocks[0].id));
    solo.set(PEER, "c1", close(&stream));
    let now = solo.now;
    assert_eq!(
        solo.transfers().write(id, &mut octets(100), now),
        Err(Blocked::Finished),
        "to whom"
    );
    let refusal = StanzaError::new(ErrorType::Cancel, Condition::UnexpectedRequest);
    solo.give(PEER, error(&blocks[1].id, refusal));
    for block in &blocks[2..] {
        solo.give(PEER, error(&block.id, Condition::ItemNotFound));
    }
    let events = solo.take_events();
    assert!(
        matches!(events.last(), Some(Event::FellBack { .. })),
        "{events:?}"
    );
    let closed = solo.take_stanzas();
    assert!(
        closed
            .iter()
            .any(|stanza| iq(stanza).id.as_str() == "c1" && iq(stanza).request().is_none()),
        "{closed:?}"
    );
}

#[test]
fn a_source_that_cannot_begin_again_fails_instead() {
    let mut options = blocks(4);
    options.restart = false;
    let (mut solo, id) = established(options, 50_000);
    let blocks = write(&mut solo, id, 50_000);
    let refusal = StanzaError::new(ErrorType::Cancel, Condition::UnexpectedRequest);
    solo.give(PEER, error(&blocks[2].id, refusal));
    for block in [&blocks[0], &blocks[1], &blocks[3]] {
        solo.give(PEER, result(&block.id));
    }
    assert!(matches!(failure(&mut solo), Reason::Refused { .. }));
}

#[test]
fn a_receiver_that_closes_when_it_has_everything_has_everything() {
    let (mut solo, id) = established(blocks(1), 100);
    let sid = solo.transfers().sid(id).expect("a sid").to_string();
    let data = write(&mut solo, id, 100);
    solo.give(PEER, result(&data[0].id));
    solo.set(PEER, "c1", close(&sid));
    let answer = solo.take_iq();
    assert_eq!(
        (answer.id.as_str(), &answer.body),
        ("c1", &IqBody::Result(None))
    );
    assert_eq!(solo.take_events().pop(), Some(Event::Done { id }));
}

#[test]
fn a_receiver_that_closes_before_its_last_acknowledgement_has_everything() {
    let (mut solo, id) = established(blocks(1), 100);
    let sid = solo.transfers().sid(id).expect("a sid").to_string();
    let data = write(&mut solo, id, 100);
    solo.finish(id);
    solo.set(PEER, "c1", close(&sid));
    assert_eq!((solo.take_stanzas(), solo.take_events()), (vec![], vec![]));
    solo.give(PEER, result(&data[0].id));
    assert_eq!(solo.take_iq().id.as_str(), "c1");
    assert_eq!(solo.take_events().pop(), Some(Event::Done { id }));
}

#[test]
fn a_receiver_that_closes_before_has_cancelled() {
    let (mut solo, id) = established(blocks(1), 100_000);
    let sid = solo.transfers().sid(id).expect("a sid").to_string();
    let data = write(&mut solo, id, 4095);
    solo.give(PEER, result(&data[0].id));
    solo.set(PEER, "c1", close(&sid));
    let answer = solo.take_iq();
    assert_eq!(
        (answer.id.as_str(), &answer.body),
        ("c1", &IqBody::Result(None))
    );
    assert_eq!(failure(&mut solo), Reason::Cancelled { by: Side::Peer });
}

#[test]
fn what_a_receiver_says_to_a_sender_is_acknowledged_and_dropped() {
    let (mut solo, id) = established(blocks(1), 100);
    let sid = solo.transfers().sid(id).expect("a sid").to_string();
    solo.set(PEER, "d1", data(&sid, 0, b"hello"));
    let answer = solo.take_iq();
    assert_eq!(
        (answer.id.as_str(), &answer.body),
        ("d1", &IqBody::Result(None))
    );
    assert_eq!(solo.take_events(), []);
    let now = solo.now;
    assert_eq!(solo.transfers().read(id), None);
    solo.transfers().stored(id, 5, now);
    assert!(solo.transfers().wants_input());
}

#[test]
fn a_last_block_that_is_never_acknowledged_is_told_as_such() {
    let (mut solo, id) = established(blocks(1), 100);
    assert_eq!(write(&mut solo, id, 100).len(), 1);
    solo.finish(id);
    for _ in 0..3 {
        solo.give("montague.lit", Iq::get(None, "p".into(), Payload::Ping));
        solo.pass(Duration::from_secs(40));
    }
    assert_eq!(failure(&mut solo), Reason::Unconfirmed { octets: 100 });
}

#[test]
fn cancelling_an_offer_forgets_it() {
    let mut solo = Solo::new();
    let id = solo.offer(file(1), blocks(1));
    let offer = solo.take_iq();
    solo.cancel(id);
    assert_eq!(failure(&mut solo), Reason::Cancelled { by: Side::Us });
    let late = Iq::answer(None, offer.id, acceptance(&[ns::IBB], None));
    assert!(solo.give(PEER, late).is_some());
    assert_eq!(solo.take_stanzas(), []);
}

#[test]
fn cancelling_while_the_stream_opens_closes_it_when_it_has() {
    let mut solo = Solo::new();
    let id = solo.offer(file(1), blocks(1));
    let open = accepted(&mut solo, id, None);
    solo.cancel(id);
    assert_eq!(failure(&mut solo), Reason::Cancelled { by: Side::Us });
    assert!(solo.transfers().is_empty());
    assert!(!solo.transfers().is_idle());
    solo.give(PEER, result(&open.id));
    let close = solo.take_iq();
    assert!(matches!(close.request(), Some(Payload::Close(_))));
    solo.give(PEER, result(&close.id));
    assert!(solo.transfers().is_idle());
    assert_eq!(solo.take_events(), []);
}

#[test]
fn a_refused_stream_fails_the_transfer() {
    let mut solo = Solo::new();
    let id = solo.offer(file(1), blocks(1));
    let open = accepted(&mut solo, id, None);
    solo.give(PEER, error(&open.id, Condition::NotAcceptable));
    assert!(matches!(
        failure(&mut solo),
        Reason::Refused {
            step: Step::Open,
            ..
        }
    ));
    assert!(solo.transfers().is_idle());
}

#[test]
fn the_same_entropy_twice_is_refused() {
    let mut solo = Solo::new();
    let first = solo.offer(file(1), blocks(1));
    let second = solo.offer(file(1), blocks(1));
    assert_ne!(first, second);
    assert_eq!(
        solo.take_event(),
        Event::Failed {
            id: second,
            reason: Reason::SidInUse
        }
    );
}
