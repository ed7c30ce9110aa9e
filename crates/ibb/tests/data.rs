//! Blocks and their acknowledgements (XEP-0047, 2.2).
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is, and panic at what they do not expect"
)]

mod hand;

use bytes::Bytes;
use bytestreams_ibb::{Blocked, Config, Event, Fault, Reason, Step};
use bytestreams_machine::Machine;
use bytestreams_stanza::{Condition, ErrorType, Invalid, Iq, Payload, Stanza, ns};
use hand::*;

#[test]
fn a_block_is_the_largest_multiple_of_3_and_only_the_last_is_padded() {
    let (mut a, mut b) = pair(config(|c| c.window = fixed(8)), config(|_| {}));
    let mut text = octets(10_000);
    let sizes: Vec<_> = std::iter::from_fn(|| a.write(&mut text, at(0)).ok())
        .take_while(|&n| n > 0)
        .collect();
    assert_eq!(sizes, [4095, 4095, 1810]);
    exchange(&mut a, &mut b, at(1));
    b.store(at(1));
    assert_eq!(b.received, octets(10_000));
}

#[test]
fn an_empty_write_sends_nothing() {
    let mut end = initiator(config(|_| {}));
    assert_eq!(end.write(&mut Bytes::new(), at(0)), Ok(0));
    end.sent_nothing();
}

#[test]
fn one_block_is_in_flight_at_a_window_of_1() {
    let mut end = initiator(config(|_| {}));
    let mut text = octets(9000);
    assert_eq!(end.write(&mut text, at(0)), Ok(4095));
    assert_eq!(end.write(&mut text, at(0)), Err(Blocked::Window));
    let block = end.sent_iq();
    assert_eq!(end.told(), []);
    assert!(end.gets(result(&block.id), at(1)));
    assert_eq!(
        end.told(),
        [Event::Acknowledged { octets: 4095 }, Event::Writable]
    );
    assert_eq!(end.write(&mut text, at(1)), Ok(4095));
    let next = end.sent_iq();
    assert_ne!(next.id, block.id);
    assert_eq!(brief(&next.into()), "data 1 +4095");
}

#[test]
fn a_window_of_n_holds_n_blocks() {
    let mut end = initiator(config(|c| c.window = fixed(3)));
    let mut text = octets(50_000);
    end.fill(&mut text, at(0));
    assert_eq!(
        said(&mut end),
        ["data 0 +4095", "data 1 +4095", "data 2 +4095"]
    );
}

#[test]
fn answers_in_another_order_count_once_all_before_them_are_there() {
    let mut end = initiator(config(|c| c.window = fixed(3)));
    let mut text = octets(4095 * 3);
    end.fill(&mut text, at(0));
    let ids: Vec<_> = (0..3).map(|_| end.sent_iq().id).collect();
    end.gets(result(&ids[1]), at(1));
    end.gets(result(&ids[2]), at(1));
    assert_eq!(end.told(), []);
    end.gets(result(&ids[0]), at(1));
    assert_eq!(end.told(), [Event::Acknowledged { octets: 12_285 }]);
    assert!(!end.gets(result(&ids[0]), at(1)), "a second answer");
}

#[test]
fn an_acknowledgement_counts_only_from_the_peer() {
    let mut end = initiator(config(|_| {}));
    end.write(&mut octets(10), at(0)).expect("room");
    let block = end.sent_iq();
    let mut forged = result(&block.id);
    forged.set_from(Some(jid("eve@capulet.lit/balcony")));
    assert!(!end.gets(forged, at(1)));
    assert_eq!(end.told(), []);
}

#[test]
fn a_block_is_acknowledged_when_it_is_stored() {
    let mut end = responder(config(|_| {}));
    end.gets(data("1", 0, b"abc"), at(0));
    end.gets(data("2", 1, b"defgh"), at(0));
    assert_eq!(end.told(), [Event::Readable]);
    end.sent_nothing();
    assert_eq!(end.session.buffered(), 8);
    assert_eq!(end.session.read().as_deref(), Some(&b"abc"[..]));
    end.drain();
    end.sent_nothing();
    end.session.stored(2, at(1));
    end.drain();
    end.sent_nothing();
    assert_eq!(end.session.buffered(), 6);
    end.session.stored(1, at(1));
    end.drain();
    assert_eq!(said(&mut end), ["result 1"]);
    assert_eq!(end.session.read().as_deref(), Some(&b"defgh"[..]));
    assert_eq!(end.session.read(), None);
    end.session.stored(5, at(2));
    end.drain();
    assert_eq!(said(&mut end), ["result 2"]);
    assert_eq!(end.session.buffered(), 0);
}

#[test]
fn a_block_that_is_not_stored_is_acknowledged_after_4_s() {
    let mut end = responder(config(|_| {}));
    end.gets(data("1", 0, b"abc"), at(0));
    end.gets(data("2", 1, b"def"), at(1000));
    assert_eq!(end.next_timeout(), at(4000));
    assert_eq!(said(&mut end), ["result 1"]);
    assert_eq!(end.next_timeout(), at(5000));
    assert_eq!(said(&mut end), ["result 2"]);
    assert_eq!(end.session.buffered(), 6, "acknowledged, not stored");
    end.gets(data("3", 2, b"ghi"), at(6000));
    end.sent_nothing();
    end.store(at(6001));
    assert_eq!(said(&mut end), ["result 3"]);
    assert_eq!(end.received, b"abcdefghi");
}

#[test]
fn more_cannot_be_stored_than_was_read() {
    let mut end = responder(config(|_| {}));
    end.gets(data("1", 0, b"abc"), at(0));
    end.session.stored(usize::MAX, at(0));
    end.drain();
    end.sent_nothing();
    assert_eq!(end.session.buffered(), 3);
    end.store(at(0));
    assert_eq!(said(&mut end), ["result 1"]);
}

#[test]
fn readable_is_told_again_after_all_was_read() {
    let mut end = responder(config(|_| {}));
    end.gets(data("1", 0, b"a"), at(0));
    end.gets(data("2", 1, b"b"), at(0));
    assert_eq!(end.told(), [Event::Readable]);
    end.store(at(0));
    end.gets(data("3", 2, b"c"), at(0));
    assert_eq!(end.told(), [Event::Readable]);
}

#[test]
fn an_empty_block_is_tolerated() {
    let mut end = responder(config(|_| {}));
    end.gets(data("1", 0, b""), at(0));
    assert_eq!(said(&mut end), ["result 1"]);
    assert_eq!(end.told(), []);
    end.gets(data("2", 1, b"a"), at(0));
    end.gets(data("3", 2, b""), at(0));
    end.sent_nothing();
    end.store(at(0));
    assert_eq!(said(&mut end), ["result 2", "result 3"], "in order");
}

#[test]
fn empty_blocks_without_end_hit_the_bound() {
    let mut end = responder(config(|_| {}));
    end.gets(data("first", 0, b"not read"), at(0));
    for seq in 1..=u16::MAX {
        end.gets(data("again", seq, b""), at(0));
        if end.session.is_closed() {
            assert!(seq < 10_000);
            return;
        }
    }
    panic!("a peer can make us hold as much as it wants");
}

#[test]
fn a_wrong_seq_is_unexpected_request_and_closes() {
    for got in [0, 2, 65535] {
        let mut end = responder(config(|_| {}));
        end.gets(data("1", 0, b"abc"), at(0));
        end.told();
        assert!(end.gets(data("2", got, b"def"), at(0)));
        assert_eq!(
            said(&mut end),
            ["result 1", "unexpected-request cancel 2", "close"]
        );
        let reason = Reason::OutOfSequence { expected: 1, got };
        assert_eq!(reason.fault(), Fault::Peer);
        assert_eq!(end.told(), [Event::Failed(reason)]);
        assert!(
            !end.gets(data("3", 1, b"def"), at(0)),
            "nothing that follows"
        );
        assert_eq!(end.session.read().as_deref(), Some(&b"abc"[..]));
        assert_eq!(end.session.read(), None);
    }
}

#[test]
fn a_block_larger_than_agreed_is_bad_request_and_closes() {
    let mut end = responder(config(|c| c.block_size = 256));
    assert!(end.gets(data("1", 0, &octets(256)), at(0)));
    end.told();
    assert!(end.gets(data("2", 1, &octets(257)), at(0)));
    assert_eq!(
        said(&mut end),
        ["result 1", "bad-request cancel 2", "close"]
    );
    let reason = Reason::BlockTooLarge {
        octets: 257,
        block_size: 256,
    };
    assert_eq!(end.told(), [Event::Failed(reason)]);
    assert_eq!(end.session.buffered(), 256);
}

#[test]
fn bad_base64_is_bad_request_and_closes() {
    let invalid = |sid| {
        Payload::Invalid(Box::new(Invalid {
            ns: ns::IBB.into(),
            name: "data".into(),
            sid,
            fault: bytestreams_stanza::Fault::Base64,
        }))
    };
    let mut end = responder(config(|_| {}));
    let other = Iq::set(None, "0".into(), invalid(None));
    assert!(
        !end.gets(other.into(), at(0)),
        "of which stream is not known"
    );
    let bad = Iq::set(None, "1".into(), invalid(Some(sid())));
    assert!(end.gets(bad.into(), at(0)));
    assert_eq!(said(&mut end), ["bad-request cancel 1", "close"]);
    let reason = Reason::BadData(bytestreams_stanza::Fault::Base64);
    assert_eq!(reason.fault(), Fault::Bytes);
    assert_eq!(end.told(), [Event::Failed(reason)]);
}

#[test]
fn a_forged_from_with_the_right_sid_is_handed_back() {
    let mut end = responder(config(|_| {}));
    for from in [
        "eve@montague.lit/orchard",
        "romeo@montague.lit",
        "romeo@montague.lit/Orchard",
    ] {
        for mut stanza in [data("1", 0, b"evil"), close("2"), message(None, 0, b"evil")] {
            stanza.set_from(Some(jid(from)));
            assert!(!end.gets(stanza, at(0)));
        }
    }
    assert_eq!(end.told(), []);
    end.sent_nothing();
}

#[test]
fn what_is_not_of_this_stream_is_handed_back() {
    let mut end = responder(config(|_| {}));
    let mut other = block(0, b"x");
    other.sid = bytestreams_stanza::Sid::new("other").expect("a sid");
    let stanzas: [Stanza; 4] = [
        Iq::set(None, "1".into(), Payload::Data(other)).into(),
        Iq::get(None, "2".into(), Payload::Data(block(0, b"x"))).into(),
        Iq::get(None, "3".into(), Payload::Ping).into(),
        result(&"4".into()),
    ];
    for stanza in stanzas {
        assert!(!end.gets(stanza.clone(), at(0)), "{stanza:?}");
    }
}

#[test]
fn an_overrun_is_refused_with_wait_and_closes() {
    let mut end = responder(config(|c| {
        c.block_size = 65535;
        c.receive_buffer = 1024 * 1024;
    }));
    let text = octets(65535);
    let mut taken = 0;
    for seq in 0.. {
        end.gets(data("d", seq, &text), at(0));
        if end.session.is_closed() {
            break;
        }
        taken += text.len();
    }
    assert_eq!(taken, 15 * 65535, "as much as fits into 1 MiB");
    let said = said(&mut end);
    assert_eq!(
        said[said.len() - 2..],
        ["resource-constraint wait d", "close"]
    );
    assert_eq!(
        end.told(),
        [Event::Readable, Event::Failed(Reason::Overrun)]
    );
    end.store(at(1));
    assert_eq!(
        end.received.len(),
        taken,
        "what was taken can still be read"
    );
}

#[test]
fn a_full_window_of_the_largest_kind_is_no_overrun() {
    for size in [1, 100, 4095, 65535] {
        let mut end = responder(config(|c| c.block_size = 65535));
        let (mut wire, mut seq) = (0, 0);
        while wire + size * 4 / 3 + 200 <= 1024 * 1024 {
            wire += size * 4 / 3 + 200;
            end.gets(data("d", seq, &octets(size)), at(0));
            seq += 1;
        }
        assert!(!end.session.is_closed(), "blocks of {size}");
    }
}

#[test]
fn one_of_the_last_32_blocks_is_answered_again_and_not_delivered_twice() {
    let mut end = responder(config(|_| {}));
    for seq in 0..40 {
        end.gets(data(&format!("d{seq}"), seq, &[seq as u8]), at(0));
    }
    end.store(at(0));
    said(&mut end);
    end.told();
    for seq in 8..40 {
        assert!(end.gets(data(&format!("d{seq}"), seq, &[seq as u8]), at(1)));
        assert_eq!(said(&mut end), [format!("result d{seq}")]);
    }
    assert_eq!(end.told(), []);
    assert_eq!(end.session.read(), None);
    end.gets(data("d7", 7, &[7]), at(1));
    assert_eq!(said(&mut end), ["unexpected-request cancel d7", "close"]);
}

#[test]
fn a_used_seq_under_another_id_is_no_repetition() {
    let mut end = responder(config(|_| {}));
    end.gets(data("1", 0, b"a"), at(0));
    end.store(at(0));
    said(&mut end);
    end.gets(data("2", 0, b"a"), at(0));
    assert_eq!(said(&mut end), ["unexpected-request cancel 2", "close"]);
}

#[test]
fn the_repetition_of_a_block_that_is_not_stored_waits_with_it() {
    let mut end = responder(config(|_| {}));
    end.gets(data("1", 0, b"a"), at(0));
    end.gets(data("1", 0, b"a"), at(0));
    end.sent_nothing();
    end.store(at(0));
    assert_eq!(said(&mut end), ["result 1"]);
    assert_eq!(end.received, b"a");
}

#[test]
fn repetitions_without_end_are_not_hoarded() {
    let mut end = responder(config(|_| {}));
    end.gets(data("1", 0, b"a"), at(0));
    end.store(at(0));
    end.out.clear();
    for _ in 0..10_000 {
        let mut again = data("1", 0, b"a");
        again.set_from(Some(romeo()));
        // Not drained: the peer asks and does not read.
        end.session
            .handle_input(bytestreams_machine::Input::Stanza(again), at(0));
    }
    end.drain();
    assert!(end.out.len() <= 64, "{}", end.out.len());
}

#[test]
fn seq_wraps_both_ways_over_more_than_65536_blocks() {
    let narrow = |c: &mut Config| {
        c.block_size = 3;
        c.window = fixed(64);
    };
    let (mut a, mut b) = pair(config(narrow), config(narrow));
    let total = 3 * 65_600 + 2;
    let (mut there, mut back) = (octets(total), octets(total).slice(1..));
    let mut seqs = Vec::new();
    loop {
        a.fill(&mut there, at(0));
        b.fill(&mut back, at(0));
        seqs.extend(a.out.iter().filter_map(|stanza| match stanza {
            Stanza::Iq(iq) => match iq.request() {
                Some(Payload::Data(data)) => Some(data.seq),
                _ => None,
            },
            _ => None,
        }));
        if exchange(&mut a, &mut b, at(0)) == 0 {
            break;
        }
        a.store(at(0));
        b.store(at(0));
    }
    assert!(seqs.iter().enumerate().all(|(i, seq)| i as u16 == *seq));
    assert!(seqs.len() > 65_600);
    assert_eq!(b.received, octets(total));
    assert_eq!(a.received, octets(total).slice(1..));
    assert!(!a.session.is_closed() && !b.session.is_closed());
}

#[test]
fn an_error_that_is_not_wait_closes() {
    let mut end = initiator(config(|c| c.window = fixed(2)));
    end.fill(&mut octets(9000), at(0));
    let block = end.sent_iq();
    end.out.clear();
    end.gets(
        error(&block.id, ErrorType::Cancel, Condition::UnexpectedRequest),
        at(1),
    );
    assert_eq!(said(&mut end), ["close"]);
    let told = end.told();
    let [Event::Failed(reason)] = &told[..] else {
        panic!("{told:?}");
    };
    assert!(reason.suspects_window(), "worth another try at 1");
}

#[test]
fn an_unexpected_request_at_a_window_of_1_does_not_suspect_the_window() {
    let mut end = initiator(config(|_| {}));
    end.fill(&mut octets(9000), at(0));
    let block = end.sent_iq();
    end.gets(
        error(&block.id, ErrorType::Cancel, Condition::UnexpectedRequest),
        at(1),
    );
    let told = end.told();
    let [Event::Failed(reason)] = &told[..] else {
        panic!("{told:?}");
    };
    assert!(!reason.suspects_window());
}

#[test]
fn a_block_without_an_answer_fails_after_60_s() {
    let mut end = initiator(config(|c| c.window = fixed(2)));
    let mut text = octets(100_000);
    end.fill(&mut text, at(0));
    let block = end.sent_iq();
    end.gets(result(&block.id), at(5000));
    end.told();
    assert_eq!(end.next_timeout(), at(65_000));
    let reason = Reason::TimedOut {
        step: Step::Data,
        unacknowledged: 4095,
    };
    assert_eq!(reason.fault(), Fault::Timeout);
    assert_eq!(end.told(), [Event::Failed(reason)]);
    assert_eq!(said(&mut end), ["data 1 +4095", "close"]);
}

#[test]
fn a_slow_path_gets_eight_times_its_slowest_round_trip() {
    let mut end = initiator(config(|_| {}));
    let mut text = octets(100_000);
    end.fill(&mut text, at(0));
    let block = end.sent_iq();
    end.gets(result(&block.id), at(50_000));
    end.fill(&mut text, at(50_000));
    assert_eq!(end.session.poll_timeout(), Some(at(450_000)));
}

#[test]
fn octets_flow_both_ways_at_once() {
    let (mut a, mut b) = pair(
        config(|c| c.window = fixed(4)),
        config(|c| c.window = fixed(2)),
    );
    let (mut there, mut back) = (octets(60_000), octets(33_333));
    loop {
        a.fill(&mut there, at(0));
        b.fill(&mut back, at(0));
        if exchange(&mut a, &mut b, at(0)) == 0 {
            break;
        }
        a.store(at(0));
        b.store(at(0));
    }
    assert_eq!(b.received, octets(60_000));
    assert_eq!(a.received, octets(33_333));
}

/// Small blocks under long ids, which are held for their answers.
#[test]
fn long_ids_count_for_what_is_held() {
    let mut end = responder(config(|_| {}));
    let mut held = 0;
    for seq in 0..10_000_u16 {
        let id = format!("{seq:01024}");
        end.gets(data(&id, seq, b"a"), at(0));
        if end.session.is_closed() {
            break;
        }
        held += id.len() + 1;
    }
    assert!(end.session.is_closed());
    assert!((900_000..=1_048_576).contains(&held), "{held}");
    assert_eq!(
        end.told(),
        [Event::Readable, Event::Failed(Reason::Overrun)]
    );
}
