//! Both sides in a world where anything may happen next.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail anywhere"
)]

extern crate alloc;

mod world;

use bytestreams_sim::{Chooser as _, Odometer, Seeded};
use bytestreams_stor::Encoding;
use world::{Setup, run};

/// Runs a setup with every combination of choices; how many runs there were, how many of them were
/// done, and how many left the file in place.
fn every_run(setup: &Setup) -> (u32, u32, u32) {
    let mut odometer = Odometer::default();
    let (mut runs, mut done, mut placed) = (0, 0, 0);
    loop {
        match run(setup, &mut odometer) {
            Ok(outcome) => {
                runs += 1;
                done += u32::from(outcome.done);
                placed += u32::from(outcome.placed);
            }
            Err(broken) => panic!("{broken}\n{setup:?}\nchoices {:?}", odometer.choices()),
        }
        if !odometer.advance() {
            return (runs, done, placed);
        }
        assert!(runs < 2_000_000, "the world is not small");
    }
}

#[test]
fn every_order_of_steps_uploads_the_file() {
    for encoding in [Encoding::Binary, Encoding::Base64] {
        for (content, window, block) in [(&b""[..], 2, 4), (b"abc", 1, 2), (b"abcdef", 3, 2)] {
            let setup = Setup::plain(content, encoding, window, block);
            let (runs, done, placed) = every_run(&setup);
            assert_eq!((done, placed), (runs, runs), "{setup:?}");
            assert!(
                window == 1 || content.is_empty() || runs > 20,
                "{runs} runs"
            );
        }
    }
}

#[test]
fn cut_or_stopped_at_any_step_both_sides_end_and_agree() {
    for (content, window, block) in [(&b""[..], 1, 4), (b"abcd", 1, 2), (b"abcd", 2, 2)] {
        let mut setup = Setup::plain(content, Encoding::Binary, window, block);
        setup.cuts = true;
        let (runs, done, placed) = every_run(&setup);
        assert!(
            done > 0 && done <= placed && placed < runs,
            "{runs} {done} {placed}"
        );
    }
}

#[test]
fn anything_a_stranger_says_at_any_time_is_survived() {
    let worlds = std::env::var("BYTESTREAMS_WORLDS").map_or(1, |n| n.parse().unwrap());
    let mut done = 0;
    for seed in 0..50_000 * worlds {
        let once = || {
            let mut chooser = Seeded::new(seed);
            let setup = Setup::chosen(&mut chooser);
            run(&setup, &mut chooser).unwrap_or_else(|broken| {
                panic!(
                    "seed {seed}: {broken}\n{setup:?}\nchoices {:?}",
                    chooser.choices()
                )
            })
        };
        let outcome = once();
        if seed % 16 == 0 {
            assert_eq!(outcome, once(), "the same choices give the same run");
        }
        done += u64::from(outcome.done);
    }
    assert!(done > 1000 * worlds, "{done} done");
}
