//! Files that came and are not kept: what their senders hear of it.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "tests look for one thing among many"
)]

mod common;

use bytestreams_stanza::{Carrier, Condition, ErrorType, StanzaError};
use bytestreams_transfer::{
    CommandError, Config, Event, Incomplete, Options, Reason, Step, TransferId,
};
use common::*;
use core::time::Duration;

/// A file of `size` octets that is sent and finished, and of which the receiver has read, but not
/// stored, everything.
fn sent_but_not_stored(size: usize, options: Options) -> (Pair, TransferId, TransferId) {
    let mut pair = Pair::new(Config::default());
    let id = pair.ends[0].offer(file(size as u64), options);
    pair.settle();
    let theirs = pair.offered(1);
    let now = pair.ends[1].now;
    pair.ends[1].accept(theirs);
    pair.settle();
    let mut left = octets(size);
    let sender = pair.ends[0].transfers();
    while !left.is_empty() {
        sender.write(id, &mut left, now).expect("room");
    }
    sender.finish(id, now).expect("finished");
    pair.settle();
    let receiver = pair.ends[1].transfers();
    while receiver.read(theirs).is_some() {}
    (pair, id, theirs)
}

/// What the sender is told of a file that the receiver did not keep.
fn not_kept(step: Step, text: &str) -> Reason {
    let error = StanzaError {
        text: Some(text.into()),
        ..StanzaError::new(ErrorType::Cancel, Condition::NotAcceptable)
    };
    Reason::Refused {
        step,
        error: Box::new(error),
    }
}

#[test]
fn a_file_that_differs_is_not_done_for_its_sender() {
    let differs = "the file differs from the one announced";
    for (size, step) in [(100, Step::Data), (0, Step::Close)] {
        for by_message in [false, true] {
            let mut options = Options::default();
            if by_message {
                options.carrier = Carrier::Message;
            }
            // Nothing acknowledges a message, so the close is what is answered.
            let step = if by_message { Step::Close } else { step };
            let (mut pair, id, theirs) = sent_but_not_stored(size, options);
            if by_message {
                // The ping behind the last block.
                pair.pass(Duration::from_millis(1500));
            }
            pair.ends[0].take_events();
            let now = pair.ends[1].now;
            let receiver = pair.ends[1].transfers();
            receiver
                .completed(theirs, Err(Incomplete::HashMismatch), now)
                .expect("told");
            pair.settle();
            let reason = not_kept(step, differs);
            assert_eq!(pair.ends[0].take_event(), Event::Failed { id, reason });
            for end in &mut pair.ends {
                assert!(end.transfers().is_idle());
            }
        }
    }
}

#[test]
fn a_file_that_turns_out_to_differ_between_the_last_block_and_the_close_is_not_done_either() {
    let mut pair = Pair::new(Config::default());
    let id = pair.ends[0].offer(file(100), Options::default());
    pair.settle();
    let theirs = pair.offered(1);
    let now = pair.ends[1].now;
    pair.ends[1].accept(theirs);
    pair.settle();
    pair.move_octets((0, id), (1, theirs), &octets(100));
    let receiver = pair.ends[1].transfers();
    receiver
        .completed(theirs, Err(Incomplete::Other("in private".into())), now)
        .expect("told");
    pair.settle();
    pair.ends[0].take_events();
    pair.ends[0].finish(id);
    pair.settle();
    let reason = not_kept(Step::Close, "the file could not be stored");
    assert_eq!(pair.ends[0].take_event(), Event::Failed { id, reason });
}

#[test]
fn a_receiver_that_cancels_when_it_has_everything_says_so() {
    let (mut pair, id, theirs) = sent_but_not_stored(0, Options::default());
    pair.ends[1].cancel(theirs);
    pair.settle();
    let reason = not_kept(Step::Close, "the receiver cancelled");
    assert_eq!(
        pair.ends[0].take_events().pop(),
        Some(Event::Failed { id, reason })
    );
}

#[test]
fn a_receiver_that_cannot_complete_ends_the_transfer() {
    let mut pair = Pair::new(Config::default());
    let id = pair.ends[0].offer(file(100_000), Options::default());
    pair.settle();
    let theirs = pair.offered(1);
    let now = pair.ends[1].now;
    pair.ends[1].accept(theirs);
    pair.settle();
    pair.move_octets((0, id), (1, theirs), &octets(50_000));
    let receiver = pair.ends[1].transfers();
    assert_eq!(
        receiver.completed(theirs, Ok(()), now),
        Err(CommandError::WrongStage),
        "half of it has not come"
    );
    receiver
        .completed(theirs, Err(Incomplete::NoSpace), now)
        .expect("told");
    pair.settle();
    assert_eq!(
        pair.ends[1].take_events().pop(),
        Some(Event::Failed {
            id: theirs,
            reason: Reason::Incomplete(Incomplete::NoSpace)
        })
    );
    // Nothing of the sender waited for an answer: its next block gets it.
    let sender = pair.ends[0].transfers();
    sender.write(id, &mut octets(1), now).expect("room");
    pair.settle();
    let reason = not_kept(Step::Data, "there is no space left for the file");
    assert_eq!(
        pair.ends[0].take_events().pop(),
        Some(Event::Failed { id, reason })
    );
}
