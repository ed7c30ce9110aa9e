//! Opening a stream (XEP-0047, 2.1).
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is, and panic at what they do not expect"
)]

mod hand;

use bytes::Bytes;
use bytestreams_ibb::{Blocked, Event, Fault, Reason, Step, refusal};
use bytestreams_machine::Machine;
use bytestreams_stanza::{Carrier, Condition, ErrorType, Open, Payload, Sid, StanzaError};
use hand::*;
use std::time::Duration;

#[test]
fn an_initiator_asks_and_is_open_with_the_result() {
    let mut end = opening(config(|c| c.carrier = Carrier::Message));
    let request = end.sent_iq();
    assert_eq!(request.to, Some(juliet()));
    assert_eq!(
        request.request(),
        Some(&Payload::Open(Open {
            sid: sid(),
            block_size: 4096,
            carrier: Carrier::Message
        }))
    );
    assert_eq!(end.told(), []);
    assert!(end.gets(result(&request.id), at(10)));
    assert_eq!(end.told(), [Event::Opened { block_size: 4096 }]);
    assert_eq!(end.session.block_size(), 4096);
}

#[test]
fn a_responder_answers_and_takes_the_block_size_of_the_initiator() {
    let mut end = accepting(&open(65535), config(|_| {}), at(0));
    assert_eq!(brief(&end.sent()), "result open");
    assert_eq!(end.told(), [Event::Opened { block_size: 65535 }]);
    assert_eq!(end.session.block_size(), 65535);
    assert_eq!(end.session.chunk(), 65535);
}

#[test]
fn nothing_is_written_before_the_answer() {
    let mut end = opening(config(|_| {}));
    let request = end.sent_iq();
    let mut text = octets(10);
    assert_eq!(end.write(&mut text, at(0)), Err(Blocked::Opening));
    assert_eq!(text.len(), 10);
    end.gets(result(&request.id), at(5));
    assert_eq!(
        end.told(),
        [Event::Opened { block_size: 4096 }, Event::Writable]
    );
    assert_eq!(end.write(&mut text, at(5)), Ok(10));
}

#[test]
fn an_answer_counts_only_from_the_one_who_was_asked() {
    let mut end = opening(config(|_| {}));
    let request = end.sent_iq();
    let mut forged = result(&request.id);
    forged.set_from(Some(jid("eve@capulet.lit/balcony")));
    assert!(!end.gets(forged.clone(), at(1)));
    forged.set_from(Some(juliet().bare()));
    assert!(!end.gets(forged, at(1)));
    assert_eq!(end.told(), []);
    let mut answer = result(&request.id);
    answer.set_from(Some(jid("Juliet@Capulet.lit/balcony")));
    assert!(end.gets(answer, at(1)));
    assert_eq!(end.told(), [Event::Opened { block_size: 4096 }]);
    assert_eq!(
        end.session.peer().as_str(),
        "Juliet@Capulet.lit/balcony",
        "the peer's own spelling is kept"
    );
}

#[test]
fn resource_constraint_halves_the_block_size_down_to_the_least() {
    let mut end = opening(config(|c| c.block_size = 65535));
    let mut sizes = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    while let Some(request) = end.out.pop_front() {
        let bytestreams_stanza::Stanza::Iq(request) = request else {
            panic!("not an IQ");
        };
        let Some(Payload::Open(open)) = request.request() else {
            panic!("not an <open/>");
        };
        sizes.push(open.block_size);
        assert!(ids.insert(request.id.clone()), "an id of its own");
        end.gets(
            error(
                &request.id,
                ErrorType::Modify,
                Condition::ResourceConstraint,
            ),
            at(1),
        );
    }
    assert_eq!(
        sizes,
        [65535, 32768, 16384, 8192, 4096, 2048, 1024, 512, 256]
    );
    assert_eq!(
        end.told(),
        [Event::Failed(Reason::Refused(refusal::too_large()))]
    );
    assert_eq!(end.session.poll_timeout(), None);
}

#[test]
fn a_smaller_block_size_that_is_taken_is_agreed_on() {
    let mut end = opening(config(|c| c.block_size = 4096));
    let request = end.sent_iq();
    end.gets(
        error(
            &request.id,
            ErrorType::Cancel,
            Condition::ResourceConstraint,
        ),
        at(1),
    );
    assert_eq!(end.told(), []);
    let request = end.sent_iq();
    end.gets(result(&request.id), at(2));
    assert_eq!(end.told(), [Event::Opened { block_size: 2048 }]);
    let mut text = octets(5000);
    assert_eq!(end.write(&mut text, at(2)), Ok(2046));
}

#[test]
fn any_other_error_refuses_the_stream() {
    for (kind, condition) in [
        (ErrorType::Cancel, Condition::NotAcceptable),
        (ErrorType::Cancel, Condition::ServiceUnavailable),
        (ErrorType::Auth, Condition::FeatureNotImplemented),
    ] {
        let mut end = opening(config(|_| {}));
        let request = end.sent_iq();
        assert!(end.gets(error(&request.id, kind, condition), at(1)));
        let reason = Reason::Refused(StanzaError::new(kind, condition));
        assert_eq!(reason.fault(), Fault::Peer);
        assert_eq!(end.told(), [Event::Failed(reason)]);
        end.sent_nothing();
        assert!(end.session.is_closed());
    }
}

#[test]
fn an_open_without_an_answer_fails_after_30_s_and_is_closed() {
    let mut end = opening(config(|_| {}));
    let request = end.sent_iq();
    assert_eq!(end.next_timeout(), at(30_000));
    assert_eq!(said(&mut end), ["close"]);
    let reason = Reason::TimedOut {
        step: Step::Open,
        unacknowledged: 0,
    };
    assert_eq!(end.told(), [Event::Failed(reason)]);
    assert!(!end.gets(result(&request.id), at(31_000)), "a late answer");
}

#[test]
fn data_before_the_answer_is_item_not_found_and_the_stream_goes_on() {
    let mut end = opening(config(|_| {}));
    let request = end.sent_iq();
    assert!(end.gets(data("d", 0, b"early"), at(1)));
    assert_eq!(said(&mut end), ["item-not-found cancel d"]);
    assert!(end.gets(message(Some("m"), 0, b"early"), at(1)));
    assert_eq!(said(&mut end), ["message item-not-found cancel"]);
    assert_eq!(end.session.read(), None);
    end.gets(result(&request.id), at(2));
    assert_eq!(end.told(), [Event::Opened { block_size: 4096 }]);
}

#[test]
fn a_close_before_the_answer_ends_the_stream() {
    let mut end = opening(config(|_| {}));
    end.out.clear();
    assert!(end.gets(close("c"), at(1)));
    assert_eq!(said(&mut end), ["result c"]);
    assert!(matches!(
        end.told()[..],
        [Event::Failed(Reason::PeerClosed { .. })]
    ));
}

#[test]
fn the_repetition_of_the_open_is_answered_again_and_another_is_refused() {
    let mut end = responder(config(|_| {}));
    assert!(end.gets(open(4096).into(), at(1)));
    assert_eq!(said(&mut end), ["result open"]);
    let mut second = open(4096);
    second.id = "other".into();
    assert!(end.gets(second.into(), at(1)));
    assert_eq!(said(&mut end), ["not-acceptable cancel other"]);
    assert_eq!(end.told(), []);
}

#[test]
fn a_stream_that_cannot_be_is_refused_with_the_error_of_the_specification() {
    let config = config(|c| c.max_block_size = 2048);
    let open = |sid: &str, block_size| Open {
        sid: Sid::new(sid).expect("a sid"),
        block_size,
        carrier: Carrier::Iq,
    };
    assert_eq!(refusal::of_open(&open("s", 2048), &config), None);
    assert_eq!(
        refusal::of_open(&open("s", 2049), &config),
        Some(refusal::too_large())
    );
    assert_eq!(
        refusal::of_open(&open("s", 0), &config),
        Some(refusal::bad_request())
    );
    assert_eq!(
        refusal::of_open(&open("no token", 1), &config),
        Some(refusal::bad_request())
    );
}

#[test]
fn an_abort_while_opening_waits_for_the_answer_and_then_closes() {
    let mut end = opening(config(|_| {}));
    let request = end.sent_iq();
    end.abort(at(1));
    end.sent_nothing();
    assert_eq!(end.told(), []);
    end.gets(result(&request.id), at(2));
    assert_eq!(said(&mut end), ["close"]);
    assert_eq!(end.told(), [Event::Failed(Reason::Aborted)]);
}

#[test]
fn an_abort_while_opening_is_over_when_the_peer_refuses_or_says_nothing() {
    let mut end = opening(config(|_| {}));
    let request = end.sent_iq();
    end.abort(at(1));
    end.gets(
        error(
            &request.id,
            ErrorType::Modify,
            Condition::ResourceConstraint,
        ),
        at(2),
    );
    end.sent_nothing();
    assert_eq!(end.told(), [Event::Failed(Reason::Aborted)]);

    let mut end = opening(config(|_| {}));
    end.out.clear();
    end.abort(at(1));
    assert_eq!(end.next_timeout(), at(30_000));
    assert_eq!(said(&mut end), ["close"]);
    assert_eq!(end.told(), [Event::Failed(Reason::Aborted)]);
}

#[test]
fn an_empty_file_is_opened_and_closed() {
    let mut end = opening(config(|_| {}));
    let request = end.sent_iq();
    end.finish(at(0));
    end.sent_nothing();
    end.gets(result(&request.id), at(1));
    assert_eq!(said(&mut end), ["close"], "and no empty block");
}

#[test]
fn a_responder_says_nothing_until_the_initiator_shows_life() {
    let careful = || config(|c| c.grace = Duration::from_secs(1));
    let mut end = responder(careful());
    let mut text = Bytes::from_static(b"hello");
    assert_eq!(end.write(&mut text, at(0)), Err(Blocked::Opening));
    end.gets(data("d", 0, b"life"), at(200));
    assert_eq!(end.told(), [Event::Readable, Event::Writable]);
    assert_eq!(end.write(&mut text, at(200)), Ok(5));

    let mut end = responder(careful());
    let mut text = Bytes::from_static(b"hello");
    assert_eq!(end.write(&mut text, at(0)), Err(Blocked::Opening));
    assert_eq!(end.next_timeout(), at(1000));
    assert_eq!(end.told(), [Event::Writable]);
    assert_eq!(end.write(&mut text, at(1000)), Ok(5));

    let mut end = responder(careful());
    end.finish(at(0));
    end.sent_nothing();
    end.next_timeout();
    assert_eq!(said(&mut end), ["close"]);
}
