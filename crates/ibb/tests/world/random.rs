//! Worlds by chance: any sizes, any faults.

use crate::common::jid;
use crate::laws::{Streams, ends_well, everything_crossed, run, world};
use crate::user::Plan;
use bytes::Bytes;
use bytestreams_ibb::{Config, WindowPolicy};
use bytestreams_sim::{Chooser, Faults, Stranger, seeds};
use bytestreams_stanza::Carrier;
use std::num::NonZeroU16;
use std::time::Duration;

fn text(chooser: &mut dyn Chooser, block_size: u16) -> Bytes {
    let blocks = chooser.choose(40) as usize;
    let rest = chooser.choose(u32::from(block_size)) as usize;
    let octets = |i: usize| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0];
    (0..blocks * usize::from(block_size) / 2 + rest)
        .map(octets)
        .collect()
}

fn config(chooser: &mut dyn Chooser, carrier: Carrier) -> (Config, Option<u64>) {
    let mut config = Config::default();
    config.block_size = [1, 3, 4, 100, 256, 4096][chooser.choose(6) as usize];
    config.min_block_size = 1;
    config.carrier = carrier;
    config.idle_limit = Some(Duration::from_secs(300));
    if chooser.choose(2) == 1 {
        config.grace = Duration::ZERO;
    }
    let blocks = [1, 2, 5, 40][chooser.choose(4) as usize];
    if chooser.choose(4) == 3 {
        config.window = WindowPolicy::Adaptive;
        return (config, None);
    }
    config.window = WindowPolicy::Fixed(NonZeroU16::new(blocks).expect("not zero"));
    (config, Some(u64::from(blocks)))
}

fn random(chooser: &mut dyn Chooser, carrier: Carrier, faults: Faults, aborts: u32) -> Streams {
    let (left, there) = config(chooser, carrier);
    let (mut right, back) = config(chooser, carrier);
    if chooser.choose(3) == 1 {
        // Halved until it fits.
        right.max_block_size = left.block_size.div_ceil(2);
    }
    let loses = faults.drop > 0 || faults.bounce > 0;
    let disk = vec![
        Duration::ZERO,
        Duration::from_millis(500),
        Duration::from_secs(7),
    ];
    let mut plan = |config: &Config, window: Option<u64>, finishes, size| Plan {
        text: if size {
            text(chooser, config.block_size)
        } else {
            Bytes::new()
        },
        finishes,
        disk: disk.clone(),
        aborts,
        window: window.filter(|_| !loses),
        sure: carrier == Carrier::Iq || !loses,
    };
    let there = plan(&left, there, true, true);
    let crossing = plan(&left, back, false, true);
    let only_there = chooser.choose(2) == 0;
    let closes_too = chooser.choose(3) == 0;
    let back = Plan {
        text: if only_there {
            Bytes::new()
        } else {
            crossing.text
        },
        finishes: closes_too,
        ..crossing
    };
    let mut world = world(left, right, there, back);
    world.link.faults = faults;
    world.link.stranger = Some(Stranger::parrot(jid("eve@montague.lit/orchard")));
    if chooser.choose(4) == 0 {
        world.link.bandwidth = Some(200_000);
    }
    world
}

/// How many worlds: more where the environment says so.
fn worlds(few: u64) -> u64 {
    let factor = std::env::var("BYTESTREAMS_WORLDS").ok();
    few * factor.and_then(|f| f.parse().ok()).unwrap_or(1)
}

#[test]
fn everything_crosses_where_nothing_is_lost() {
    for carrier in [Carrier::Iq, Carrier::Message] {
        seeds(0..worlds(1000), |chooser| {
            let mut world = random(chooser, carrier, Faults::HARMLESS, 0);
            run(&mut world, chooser, everything_crossed)
        });
    }
}

#[test]
fn everything_crosses_where_resumptions_repeat_stanzas() {
    for carrier in [Carrier::Iq, Carrier::Message] {
        seeds(0..worlds(1000), |chooser| {
            let faults = Faults {
                repeat: 20,
                ..Faults::HARMLESS
            };
            let mut world = random(chooser, carrier, faults, 0);
            run(&mut world, chooser, everything_crossed)
        });
    }
}

#[test]
fn nothing_is_lost_in_silence_whatever_goes_wrong() {
    seeds(0..worlds(3000), |chooser| {
        let mut world = random(chooser, Carrier::Iq, Faults::SOME, 0);
        run(&mut world, chooser, ends_well)
    });
}

#[test]
fn nothing_is_lost_in_silence_by_message_where_the_link_tells_its_losses() {
    seeds(0..worlds(2000), |chooser| {
        let faults = Faults {
            drop: 0,
            ..Faults::SOME
        };
        let mut world = random(chooser, Carrier::Message, faults, 0);
        run(&mut world, chooser, ends_well)
    });
}

#[test]
fn both_sides_end_when_one_gives_up() {
    for carrier in [Carrier::Iq, Carrier::Message] {
        seeds(0..worlds(1000), |chooser| {
            let mut world = random(chooser, carrier, Faults::HARMLESS, 60);
            run(&mut world, chooser, ends_well)
        });
    }
}
