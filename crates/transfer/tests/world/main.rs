//! Many transfers both ways, in worlds where things go wrong.
//!
//! `BYTESTREAMS_WORLDS` says how many times as many worlds to walk.
#![cfg(feature = "socks5")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "tests look for one thing among many"
)]

extern crate alloc;

#[path = "../common/mod.rs"]
mod common;
#[path = "../../../socks5/tests/world/relay.rs"]
mod relay;
mod script;
mod sockets;
mod socks5;

use bytestreams_machine::Instant;
use bytestreams_sim::{App, Broken, Chooser, Faults, Outcome, Stranger, World, every_run, seeds};
use bytestreams_stanza::Carrier;
use bytestreams_transfer::{Config, Keepalive, Options, Window};
use common::{ME, PEER, jid, stack};
use core::num::NonZeroU16;
use core::time::Duration;
use script::{Plan, Script, Tally};

fn plans(chooser: &mut dyn Chooser, most: u32) -> Vec<Plan> {
    let count = chooser.choose(most + 1);
    (0..count)
        .map(|_| {
            let mut options = Options::default();
            options.carrier = match chooser.choose(4) {
                0 => Carrier::Message,
                _ => Carrier::Iq,
            };
            options.block_size = match chooser.choose(3) {
                0 => None,
                1 => NonZeroU16::new(300),
                _ => NonZeroU16::new(4096),
            };
            options.window = match chooser.choose(4) {
                0 => Window::Blocks(NonZeroU16::MIN),
                1 => Window::Blocks(NonZeroU16::new(5).expect("5")),
                _ => Window::Auto,
            };
            Plan {
                size: [0, 1, 299, 300, 4095, 4097, 9000][chooser.choose(7) as usize],
                announced: chooser.choose(4) != 0,
                options,
            }
        })
        .collect()
}

fn world(chooser: &mut dyn Chooser, most: u32, moody: bool) -> World<Script, Script> {
    let mut config = Config::default();
    config.allow_unannounced = true;
    let end = |side: u8, own: &str, to: &str, chooser: &mut dyn Chooser| {
        let script = Script::new(side, to, plans(chooser, most), moody);
        (jid(own), stack(own, config.clone(), Instant::ZERO), script)
    };
    let left = end(0, ME, PEER, chooser);
    let right = end(1, PEER, ME, chooser);
    World::new(left, right)
}

fn run<T: App>(
    world: &mut World<Script, Script, T>,
    chooser: &mut dyn Chooser,
) -> Result<Outcome, Broken> {
    world.run(chooser, |world| {
        for (app, stack) in [
            (&world.left.app, &world.left.machine),
            (&world.right.app, &world.right.machine),
        ] {
            if let Some(wrong) = &app.wrong {
                return Err(wrong.clone());
            }
            let known = app.sending.len() + app.receiving.len();
            if stack.machine.len() < known && world.left.is_online() && world.right.is_online() {
                // The event that tells of the end may be still on its way.
                continue;
            }
        }
        Ok(())
    })
}

/// How many worlds: more where the environment says so.
fn worlds(few: u64) -> u64 {
    let factor = std::env::var("BYTESTREAMS_WORLDS").ok();
    few * factor.and_then(|f| f.parse().ok()).unwrap_or(1)
}

#[test]
fn on_a_healthy_link_everything_arrives() {
    seeds(0..worlds(4000), |chooser| {
        let mut world = world(chooser, 4, false);
        world.link.faults = Faults::HARMLESS;
        world.link.stranger = Some(Stranger::parrot(jid("eve@example.org/x")));
        let planned = [&world.left, &world.right].map(|end| end.app.plans.len() as u32);
        let outcome = run(&mut world, chooser)?;
        let [left, right] = [world.left.app.tally, world.right.app.tally];
        for (tally, ours, theirs) in [
            (left, planned[0], planned[1]),
            (right, planned[1], planned[0]),
        ] {
            let whole = Tally {
                sent: ours,
                received: theirs,
                ..Tally::default()
            };
            if tally.sent != whole.sent || tally.received != whole.received {
                return Err(world.broken(format!("{tally:?} where {whole:?} was planned")));
            }
        }
        Ok(outcome)
    });
}

#[test]
fn whatever_goes_wrong_both_ends_come_to_their_end() {
    seeds(0..worlds(4000), |chooser| {
        let mut world = world(chooser, 4, true);
        world.link.faults = Faults::SOME;
        run(&mut world, chooser)
    });
}

#[test]
fn cancelling_and_declining_leave_nothing_behind() {
    seeds(0..worlds(4000), |chooser| {
        let mut world = world(chooser, 4, true);
        world.link.faults = Faults::HARMLESS;
        let outcome = run(&mut world, chooser)?;
        let [left, right] = [&world.left.app, &world.right.app];
        for (sender, receiver) in [(left, right), (right, left)] {
            let in_vain = receiver.not_kept.iter().find(|k| sender.sent.contains(k));
            if let Some(kind) = in_vain {
                return Err(world.broken(format!("file {kind} is sent and not kept")));
            }
        }
        Ok(outcome)
    });
}

/// Walks every run of a world in which one plan is carried out and `budget` things go wrong.
fn every_run_of(plan: &Plan, budget: u32) -> u64 {
    every_run(200_000, |chooser| {
        let mut config = Config::default();
        config.allow_unannounced = true;
        // Two links that are asked at the same moments have very many orders.
        config.keepalive = Keepalive::Off;
        let end = |side, own: &str, to: &str, plans| {
            let script = Script::new(side, to, plans, false);
            (jid(own), stack(own, config.clone(), Instant::ZERO), script)
        };
        let mut world = World::new(
            end(0, ME, PEER, vec![plan.clone()]),
            end(1, PEER, ME, Vec::new()),
        );
        world.link.delays = vec![Duration::from_millis(10)];
        world.link.faults = Faults {
            drop: 2,
            bounce: 2,
            repeat: 2,
            // Behind a link that is gone each try comes back with one of several errors: where
            // the tries are many, by message and of a bare stream, those are too many runs.
            disconnect: match (plan.announced, plan.options.carrier) {
                (true, Carrier::Iq) => 2,
                (false, _) | (_, Carrier::Message) => 0,
            },
            budget,
            ..Faults::NONE
        };
        run(&mut world, chooser)
    })
}

#[test]
fn every_run_of_a_small_world_ends() {
    let mut runs = 0;
    for announced in [true, false] {
        for carrier in [Carrier::Iq, Carrier::Message] {
            for window in [1, 3] {
                let mut options = Options::default();
                options.carrier = carrier;
                options.window = Window::Blocks(NonZeroU16::new(window).expect("not 0"));
                options.block_size = NonZeroU16::new(300);
                let plan = Plan {
                    size: 700,
                    announced,
                    options,
                };
                let these = every_run_of(&plan, 1);
                println!("{these} runs: {announced} {carrier:?} {window}");
                runs += these;
            }
        }
    }
    println!("{runs} runs");
    assert!(runs > 1000, "{runs} runs");
}
