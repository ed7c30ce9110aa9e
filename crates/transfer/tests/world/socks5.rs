//! Transfers that go over sockets where they can, and in band where they cannot.

use crate::common::{ME, PEER, jid, stack};
use crate::relay::{Relay, proxy};
use crate::script::{Script, Tally};
use crate::{plans, run, worlds};
use bytestreams_machine::{ConnectError, Instant};
use bytestreams_sim::{
    Chooser, Faults, NetFaults, Place, Stranger, World, babble, seeds, silent,
};
use bytestreams_socks5::{Allowed, ProxyConfig};
use bytestreams_transfer::{Config, Method, Ways};
use core::net::SocketAddr;

const PROXY: &str = "streams.montague.lit";

type Streams = World<Script, Script, Relay>;

/// How an end has its SOCKS5 bytestreams.
fn config(side: u8, chooser: &mut dyn Chooser) -> Config {
    let mut config = Config::default();
    config.allow_unannounced = true;
    config.methods = [Method::Socks5, Method::Ibb].into_iter().collect();
    config.socks5.discover = false;
    config.socks5.listen = chooser.choose(3) > 0;
    if chooser.choose(2) == 0 {
        config.socks5.proxies = vec![jid(PROXY)];
    }
    config.socks5.ways = match chooser.choose(6) {
        0 => Ways::Direct,
        1 => Ways::Proxied,
        _ => Ways::Any,
    };
    for nth in 0..chooser.choose(3) {
        let host = format!("203.0.113.{}", 10 * u32::from(side) + nth);
        config.socks5.advertised.push((host.as_str().into(), 1080));
    }
    config
}

fn world(chooser: &mut dyn Chooser, most: u32, moody: bool) -> Streams {
    let end = |side: u8, own: &str, to: &str, chooser: &mut dyn Chooser| {
        let config = config(side, chooser);
        let script = Script::new(side, to, plans(chooser, most), moody);
        (jid(own), stack(own, config, Instant::ZERO), script)
    };
    let left = end(0, ME, PEER, chooser);
    let right = end(1, PEER, ME, chooser);
    let allowed = match chooser.choose(6) {
        0 => Allowed::Domains(Vec::new()),
        _ => Allowed::Any,
    };
    let config = ProxyConfig {
        allowed,
        ..ProxyConfig::default()
    };
    let mut world = World::with_third(left, right, proxy(jid(PROXY), config));
    world.net.addresses = 1 + chooser.choose(2) as usize;
    world.link.stranger = Some(Stranger::parrot(jid("eve@example.org/x")));
    for nth in [0, 1, 10, 11] {
        let at: SocketAddr = format!("203.0.113.{nth}:1080").parse().expect("an address");
        let place = match chooser.choose(5) {
            0 => Place::Fails(ConnectError::Refused),
            1 => Place::Fails(ConnectError::Forbidden),
            2 => Place::Silent,
            3 => Place::Speaks(silent()),
            _ => Place::Speaks(babble(vec![bytes::Bytes::from_static(&[5, 0xff])], 4)),
        };
        world.net.place(at, place);
    }
    world
}

/// Attempts go wrong, connections that stand do not.
const NO_WAY: NetFaults = NetFaults {
    budget: 6,
    refuse: 4,
    lose: 4,
    deaf: 4,
    ..NetFaults::HARMLESS
};

#[test]
fn whatever_becomes_of_attempts_everything_arrives() {
    let mut all = Tally::default();
    seeds(0..worlds(3000), |chooser| {
        let mut world = world(chooser, 3, false);
        for end in [&mut world.left.app, &mut world.right.app] {
            // Of a stream that nobody announced the Target cannot know whether it is activated: it
            // has no way back.
            end.plans.iter_mut().for_each(|plan| plan.announced = true);
        }
        world.link.faults = Faults::HARMLESS;
        world.net.faults = NO_WAY;
        let planned = [&world.left, &world.right].map(|end| end.app.plans.len() as u32);
        let outcome = run(&mut world, chooser)?;
        let [left, right] = [world.left.app.tally, world.right.app.tally];
        for (tally, ours, theirs) in [
            (left, planned[0], planned[1]),
            (right, planned[1], planned[0]),
        ] {
            if (tally.sent, tally.received) != (ours, theirs) {
                let planned = format!("{ours} and {theirs} were planned");
                return Err(world.broken(format!("{tally:?} where {planned}")));
            }
            all.sent += tally.sent;
            all.by_socket += tally.by_socket;
            all.fell_back += tally.fell_back;
        }
        Ok(outcome)
    });
    println!("{all:?}");
    let often = all.sent / 20;
    assert!(all.by_socket > often && all.fell_back > often, "{all:?}");
}
