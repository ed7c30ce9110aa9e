//! Two machines with each other.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "tests look for one thing among many"
)]

mod common;

use bytestreams_stanza::{Carrier, IqBody, Payload, Range, Stanza};
use bytestreams_transfer::{
    Blocked, CommandError, Config, Event, Method, Options, Reason, Side, Window,
};
use common::*;
use core::num::NonZeroU16;
use core::time::Duration;

fn unannounced() -> Config {
    let mut config = Config::default();
    config.allow_unannounced = true;
    config
}

/// Sends a file from end 0 to end 1 and demands that it arrives.
fn send_a_file(size: usize, options: Options) -> Pair {
    let mut pair = Pair::new(Config::default());
    let file_octets = octets(size);
    let id = pair.ends[0].offer(file(size as u64), options);
    pair.settle();
    let theirs = pair.offered(1);
    pair.ends[1].accept(theirs);
    pair.settle();
    assert_eq!(
        pair.ends[0].take_events(),
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
    let came = pair.move_octets((0, id), (1, theirs), &file_octets);
    assert!(came == file_octets, "{} octets came", came.len());
    pair.ends[0].finish(id);
    pair.settle();
    let events = pair.ends[1].take_events();
    assert!(events.contains(&Event::Ended { id: theirs }), "{events:?}");
    pair.ends[1].complete(theirs);
    pair.settle();
    assert_eq!(pair.ends[1].take_event(), Event::Done { id: theirs });
    let events = pair.ends[0].take_events();
    assert_eq!(events.last(), Some(&Event::Done { id }));
    let progress = events.iter().rev().find_map(|event| match event {
        Event::Progress { octets, .. } => Some(*octets),
        _ => None,
    });
    assert_eq!(progress, (size > 0).then_some(size as u64));
    for end in &mut pair.ends {
        assert!(end.transfers().is_idle());
    }
    pair
}

fn blocks(pair: &Pair) -> Vec<usize> {
    let octets = pair.trace.iter().filter_map(|(_, stanza)| match stanza {
        Stanza::Iq(iq) => match iq.request() {
            Some(Payload::Data(data)) => Some(data.octets.len()),
            _ => None,
        },
        Stanza::Message(message) => match &message.payload {
            Some(Payload::Data(data)) => Some(data.octets.len()),
            _ => None,
        },
        Stanza::Presence(_) => None,
    });
    octets.collect()
}

#[test]
fn a_file_is_offered_accepted_sent_and_confirmed() {
    send_a_file(100_000, Options::default());
}

#[test]
fn files_of_all_sizes_arrive() {
    for size in [0, 1, 4094, 4095, 4096, 8190, 65_534, 65_535, 65_536] {
        let mut options = Options::default();
        options.block_size = NonZeroU16::new(4096);
        let pair = send_a_file(size, options);
        let blocks = blocks(&pair);
        assert_eq!(blocks.len(), size.div_ceil(4095));
        assert!(blocks.iter().rev().skip(1).all(|len| *len == 4095));
    }
}

#[test]
fn more_blocks_than_the_counter_counts_arrive() {
    let mut options = Options::default();
    options.block_size = NonZeroU16::new(3);
    options.window = Window::Blocks(NonZeroU16::new(64).expect("64"));
    send_a_file(3 * 65_536 + 1, options);
}

#[test]
fn a_file_goes_by_message() {
    let mut options = Options::default();
    options.carrier = Carrier::Message;
    let pair = send_a_file(100_000, options);
    let messages = pair
        .trace
        .iter()
        .filter(|(_, stanza)| matches!(stanza, Stanza::Message(_)));
    assert_eq!(messages.count(), blocks(&pair).len());
}

#[test]
fn our_own_kind_is_asked_for_large_blocks_and_others_are_not() {
    let opened = |pair: &Pair| {
        pair.trace.iter().find_map(|(_, stanza)| match stanza {
            Stanza::Iq(iq) => match iq.request() {
                Some(Payload::Open(open)) => Some(open.block_size),
                _ => None,
            },
            _ => None,
        })
    };
    let pair = send_a_file(1000, Options::default());
    assert_eq!(opened(&pair), Some(65_535));

    let mut solo = Solo::new();
    solo.offer(file(1000), Options::default());
    let rest = solo.answer_disco(&[bytestreams_stanza::ns::IBB]);
    let Some(Stanza::Iq(offer)) = rest.first() else {
        panic!("{rest:?}")
    };
    let answer = bytestreams_stanza::Iq::answer(
        None,
        offer.id.clone(),
        acceptance(&[bytestreams_stanza::ns::IBB], None),
    );
    solo.give(PEER, answer);
    let iq = solo.take_iq();
    assert!(matches!(&iq.body, IqBody::Set(Payload::Open(open)) if open.block_size == 4096));
}

#[test]
fn a_part_of_a_file_is_asked_for_and_sent() {
    let mut pair = Pair::new(Config::default());
    let whole = octets(50_000);
    let mut offered = file(50_000);
    offered.hash = Some([7; 16]);
    offered.range = Some(Range::default());
    let id = pair.ends[0].offer(offered, Options::default());
    pair.settle();
    let theirs = pair.offered(1);
    let now = pair.ends[1].now;
    let range = Range {
        offset: Some(20_000),
        length: None,
    };
    let receiver = pair.ends[1].transfers();
    receiver.accept(theirs, range, now).expect("accepted");
    assert_eq!(receiver.expected(theirs), Some(30_000));
    pair.settle();
    assert!(pair.ends[0].take_events().contains(&Event::Accepted {
        id,
        method: Method::Ibb,
        range
    }));
    assert_eq!(pair.ends[0].transfers().expected(id), Some(30_000));
    let came = pair.move_octets((0, id), (1, theirs), &whole.slice(20_000..));
    assert!(came == whole[20_000..]);
    pair.ends[0].finish(id);
    pair.settle();
    pair.ends[1].complete(theirs);
    pair.settle();
    assert!(pair.ends[0].take_events().contains(&Event::Done { id }));
}

#[test]
fn nothing_is_left_when_the_partial_file_is_whole() {
    let mut pair = Pair::new(Config::default());
    let mut offered = file(5000);
    offered.hash = Some([7; 16]);
    offered.range = Some(Range::default());
    let id = pair.ends[0].offer(offered, Options::default());
    pair.settle();
    let theirs = pair.offered(1);
    let now = pair.ends[1].now;
    let range = Range {
        offset: Some(5000),
        length: None,
    };
    let receiver = pair.ends[1].transfers();
    receiver.accept(theirs, range, now).expect("accepted");
    pair.settle();
    pair.ends[0].finish(id);
    pair.settle();
    pair.ends[1].complete(theirs);
    pair.settle();
    assert!(pair.ends[0].take_events().contains(&Event::Done { id }));
    assert!(blocks(&pair).is_empty());
}

#[test]
fn many_transfers_run_both_ways_at_once() {
    let mut pair = Pair::new(Config::default());
    let now = pair.ends[0].now;
    let mut ids = [Vec::new(), Vec::new()];
    for n in 0..6 {
        for (end, ids) in ids.iter_mut().enumerate() {
            let to = jid(pair.names[1 - end]);
            let id = pair.ends[end].transfers().offer(
                to,
                file(30_000 + u64::from(n)),
                Options::default(),
                entropy(n * 2 + end as u8),
                now,
            );
            ids.push(id);
        }
    }
    pair.settle();
    let mut received = [Vec::new(), Vec::new()];
    for (end, received) in pair.ends.iter_mut().zip(&mut received) {
        for event in end.take_events() {
            if let Event::Offered { id, file, .. } = event {
                received.push((id, file.size.expect("a size") as usize));
                end.accept(id);
            }
        }
        assert_eq!(received.len(), 6);
    }
    pair.settle();
    let mut left: Vec<_> = (0..2)
        .flat_map(|end| {
            ids[end]
                .iter()
                .enumerate()
                .map(move |(n, id)| (end, n, *id))
        })
        .map(|(end, n, id)| (end, id, octets(30_000 + n)))
        .collect();
    let mut came = [const { Vec::new() }; 12];
    while left.iter().any(|(_, _, octets)| !octets.is_empty()) {
        for (end, id, octets) in &mut left {
            let transfers = pair.ends[*end].transfers();
            while !octets.is_empty() && transfers.write(*id, octets, now).is_ok() {}
        }
        pair.settle();
        for end in 0..2 {
            for (n, (id, _)) in received[end].iter().enumerate() {
                came[end * 6 + n].extend(pair.take_octets(end, *id));
            }
        }
    }
    for (end, ids) in ids.iter().enumerate() {
        for id in ids {
            pair.ends[end]
                .transfers()
                .finish(*id, now)
                .expect("finished");
        }
    }
    pair.settle();
    for end in 0..2 {
        for (n, (id, size)) in received[end].iter().enumerate() {
            assert!(came[end * 6 + n] == octets(*size));
            let transfers = pair.ends[end].transfers();
            transfers.completed(*id, Ok(()), now).expect("completed");
        }
    }
    pair.settle();
    for end in &mut pair.ends {
        let events = end.take_events();
        let done = events.iter().filter(|e| matches!(e, Event::Done { .. }));
        assert_eq!(done.count(), 12);
        assert!(end.transfers().is_idle());
    }
}

#[test]
fn a_bare_stream_carries_octets_both_ways() {
    let mut pair = Pair::new(unannounced());
    let now = pair.ends[0].now;
    let to = jid(PEER);
    let id = pair.ends[0]
        .transfers()
        .open(to, Options::default(), entropy(1), now);
    pair.settle();
    let events = pair.ends[1].take_events();
    let [
        Event::Offered {
            id: theirs,
            announced: false,
            file,
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((&file.name, file.size), (&None, None));
    let theirs = *theirs;
    pair.ends[1].accept(theirs);
    pair.settle();
    let there = octets(20_000);
    assert!(pair.move_octets((0, id), (1, theirs), &there) == there);
    let back = octets(9_000);
    assert!(pair.move_octets((1, theirs), (0, id), &back) == back);
    pair.ends[0].finish(id);
    pair.settle();
    let events = pair.ends[1].take_events();
    assert!(events.contains(&Event::Ended { id: theirs }));
    let last = octets(5000);
    assert!(
        pair.move_octets((1, theirs), (0, id), &last) == last,
        "the peer may say its last until it confirms the close"
    );
    pair.ends[1].complete(theirs);
    pair.settle();
    assert_eq!(
        pair.ends[1].take_events().last(),
        Some(&Event::Done { id: theirs })
    );
    assert_eq!(pair.ends[0].take_events().last(), Some(&Event::Done { id }));
}

#[test]
fn a_declined_offer_fails_at_both_ends_with_the_words_given() {
    let mut pair = Pair::new(Config::default());
    let id = pair.ends[0].offer(file(10), Options::default());
    pair.settle();
    let theirs = pair.offered(1);
    let now = pair.ends[1].now;
    let text = Some("not now".into());
    let receiver = pair.ends[1].transfers();
    receiver.decline(theirs, text, now).expect("declined");
    pair.settle();
    let declined = |id, by| Event::Failed {
        id,
        reason: Reason::Declined {
            by,
            text: Some("not now".into()),
        },
    };
    assert_eq!(pair.ends[0].take_event(), declined(id, Side::Peer));
    assert_eq!(pair.ends[1].take_event(), declined(theirs, Side::Us));
}

#[test]
fn either_end_can_cancel_in_the_middle() {
    for who in 0..2 {
        let mut pair = Pair::new(Config::default());
        let id = pair.ends[0].offer(file(100_000), Options::default());
        pair.settle();
        let theirs = pair.offered(1);
        let now = pair.ends[1].now;
        pair.ends[1].accept(theirs);
        pair.settle();
        pair.move_octets((0, id), (1, theirs), &octets(50_000));
        let ids = [id, theirs];
        pair.ends[who]
            .transfers()
            .cancel(ids[who], now)
            .expect("cancelled");
        pair.settle();
        let failed = |id, reason| Some(Event::Failed { id, reason });
        assert_eq!(
            pair.ends[who].take_events().pop(),
            failed(ids[who], Reason::Cancelled { by: Side::Us })
        );
        let told = if who == 0 {
            Reason::TooShort {
                expected: 100_000,
                got: 50_000,
            }
        } else {
            Reason::Cancelled { by: Side::Peer }
        };
        assert_eq!(
            pair.ends[1 - who].take_events().pop(),
            failed(ids[1 - who], told)
        );
        for (end, id) in pair.ends.iter_mut().zip(ids) {
            let transfers = end.transfers();
            assert!(transfers.is_idle(), "{transfers:?}");
            assert_eq!(
                transfers.cancel(id, now),
                Err(CommandError::UnknownTransfer)
            );
        }
    }
}

#[test]
fn the_sender_is_confirmed_only_once_the_receiver_has_completed() {
    let mut pair = Pair::new(Config::default());
    let id = pair.ends[0].offer(file(10), Options::default());
    pair.settle();
    let theirs = pair.offered(1);
    pair.ends[1].accept(theirs);
    pair.settle();
    pair.move_octets((0, id), (1, theirs), &octets(10));
    pair.ends[0].finish(id);
    pair.settle();
    pair.ends[0].take_events();
    pair.pass(Duration::from_millis(3900));
    assert_eq!(pair.ends[0].take_events(), []);
    pair.pass(Duration::from_millis(200));
    assert_eq!(
        pair.ends[0].take_event(),
        Event::Done { id },
        "a peer that gives up at 5 s has to be answered"
    );
    assert!(
        !pair.ends[1]
            .take_events()
            .iter()
            .any(|event| matches!(event, Event::Done { .. } | Event::Failed { .. })),
        "the receiver's application is not done"
    );
    pair.ends[1].complete(theirs);
    pair.settle();
    assert_eq!(pair.ends[1].take_event(), Event::Done { id: theirs });
}

#[test]
fn a_sender_writes_what_it_announced_no_more_and_no_less() {
    let mut pair = Pair::new(Config::default());
    let id = pair.ends[0].offer(file(1000), Options::default());
    let now = pair.ends[0].now;
    let sender = pair.ends[0].transfers();
    assert_eq!(
        sender.write(id, &mut octets(1), now),
        Err(Blocked::NotEstablished)
    );
    pair.settle();
    let theirs = pair.offered(1);
    pair.ends[1].accept(theirs);
    assert_eq!(
        pair.ends[1].transfers().write(theirs, &mut octets(1), now),
        Err(Blocked::Finished)
    );
    pair.settle();
    let mut more = octets(1200);
    let sender = pair.ends[0].transfers();
    assert_eq!(sender.write(id, &mut more, now), Ok(1000));
    assert_eq!(more.len(), 200);
    assert_eq!(sender.write(id, &mut more, now), Err(Blocked::Finished));
    sender.finish(id, now).expect("finished");
    assert_eq!(sender.write(id, &mut more, now), Err(Blocked::Finished));

    let mut pair = Pair::new(Config::default());
    let id = pair.ends[0].offer(file(1000), Options::default());
    pair.settle();
    let theirs = pair.offered(1);
    pair.ends[1].accept(theirs);
    pair.settle();
    pair.move_octets((0, id), (1, theirs), &octets(900));
    pair.ends[0].transfers().finish(id, now).expect("told");
    pair.settle();
    assert_eq!(
        pair.ends[0].take_events().pop(),
        Some(Event::Failed {
            id,
            reason: Reason::SourceChanged {
                expected: 1000,
                got: 900
            }
        })
    );
    assert_eq!(
        pair.ends[1].take_events().pop(),
        Some(Event::Failed {
            id: theirs,
            reason: Reason::TooShort {
                expected: 1000,
                got: 900
            }
        })
    );
}
