//! Small worlds, and every run of them.

use crate::laws::{End, ends_well, everything_crossed, run, world};
use crate::user::Plan;
use bytes::Bytes;
use bytestreams_ibb::{Config, WindowPolicy};
use bytestreams_sim::{Faults, every_run};
use bytestreams_stanza::Carrier;
use std::num::NonZeroU16;
use std::time::Duration;

/// Two blocks, a link with one or two delays, at most one fault: every run.
fn small(carrier: Carrier, blocks: u16, faults: Faults, end: End) {
    let mut config = Config::default();
    config.block_size = 3;
    config.grace = Duration::ZERO;
    config.carrier = carrier;
    config.window = WindowPolicy::Fixed(NonZeroU16::new(blocks).expect("not zero"));
    config.idle_limit = Some(Duration::from_secs(300));
    let plan = |text: &'static [u8], finishes| Plan {
        text: Bytes::from_static(text),
        finishes,
        disk: vec![Duration::ZERO],
        aborts: 0,
        sure: true,
        window: (faults.drop == 0 && faults.bounce == 0).then_some(u64::from(blocks)),
    };
    let runs = every_run(2_000_000, |chooser| {
        let mut world = world(config, config, plan(b"abcde", true), plan(b"", false));
        world.link.faults = faults;
        // A fault that has many forms makes many runs by itself.
        world.link.delays = if faults.bounce + faults.disconnect > 0 {
            vec![Duration::from_millis(1)]
        } else {
            vec![Duration::from_millis(1), Duration::from_millis(3)]
        };
        run(&mut world, chooser, end)
    });
    println!("{runs} runs, {carrier:?}, window {blocks}");
    assert!(runs > 20);
}

#[test]
fn every_run_of_a_small_world_without_faults() {
    for blocks in [1, 2] {
        small(Carrier::Iq, blocks, Faults::NONE, everything_crossed);
    }
}

#[test]
fn every_run_of_a_small_world_with_one_fault() {
    let fault = |change: fn(&mut Faults)| {
        let mut faults = Faults {
            budget: 1,
            ..Faults::NONE
        };
        change(&mut faults);
        faults
    };
    let faults: [(Faults, End); 5] = [
        (fault(|f| f.drop = 1), ends_well),
        (fault(|f| f.bounce = 1), ends_well),
        (fault(|f| f.repeat = 1), everything_crossed),
        (fault(|f| f.disconnect = 1), ends_well),
        (fault(|f| f.stall = 1), everything_crossed),
    ];
    for (faults, end) in faults {
        small(Carrier::Iq, 2, faults, end);
    }
}
