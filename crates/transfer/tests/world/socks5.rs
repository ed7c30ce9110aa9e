//! Transfers that go over sockets where they can, and in band where they cannot.

use crate::common::{ME, PEER, jid, stack};
use crate::relay::{Relay, proxy};
use crate::script::{Plan, Script, Tally};
use crate::{plans, run, worlds};
use alloc::rc::Rc;
use bytes::Bytes;
use bytestreams_machine::{ConnectError, Instant};
use bytestreams_sim::{
    Chooser, Faults, Forge, NetFaults, Place, Stranger, World, babble, every_run, seeds, silent,
};
use bytestreams_socks5::{Allowed, DstAddr, ProxyConfig};
use bytestreams_stanza::{Payload, Sid, Stanza};
use bytestreams_transfer::{Config, Keepalive, Method, Options, Ways};
use core::cell::RefCell;
use core::net::SocketAddr;
use core::time::Duration;

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
            _ => Place::Speaks(babble(vec![Bytes::from_static(&[5, 0xff])], 4)),
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
            all.detour = all.detour.max(tally.detour);
            // In the worst case: nobody says no.
            if tally.detour >= Duration::from_secs(12) {
                return Err(world.broken(format!("the way back took {:?}", tally.detour)));
            }
        }
        Ok(outcome)
    });
    println!("{all:?}");
    let often = all.sent / 20;
    assert!(all.by_socket > often && all.fell_back > often, "{all:?}");
}

#[test]
fn where_connections_are_refused_at_once_the_way_back_is_short() {
    let mut all = Tally::default();
    seeds(0..worlds(500), |chooser| {
        let mut world = world(chooser, 2, false);
        for end in [&mut world.left.app, &mut world.right.app] {
            end.plans.iter_mut().for_each(|plan| plan.announced = true);
        }
        world.link.delays = vec![Duration::from_millis(1), Duration::from_millis(30)];
        world.net.delays = world.link.delays.clone();
        world.link.faults = Faults::HARMLESS;
        world.net.faults = NetFaults {
            budget: u32::MAX,
            refuse: 1,
            ..NetFaults::NONE
        };
        let outcome = run(&mut world, chooser)?;
        for tally in [world.left.app.tally, world.right.app.tally] {
            all.fell_back += tally.fell_back;
            all.detour = all.detour.max(tally.detour);
        }
        Ok(outcome)
    });
    println!("{all:?}");
    assert!(all.fell_back > 100, "{all:?}");
    assert!(all.detour < Duration::from_secs(1), "{:?}", all.detour);
}

/// Stanzas go astray too.
const ASTRAY: Faults = Faults {
    budget: 3,
    drop: 100,
    bounce: 100,
    disconnect: 200,
    ..Faults::SOME
};

/// Connections break, too.
const BROKEN: NetFaults = NetFaults {
    budget: 5,
    refuse: 10,
    lose: 10,
    deaf: 20,
    reset: 40,
    silence: 40,
    ..NetFaults::HARMLESS
};

#[test]
fn whatever_goes_wrong_with_sockets_both_ends_come_to_their_end() {
    let mut all = Tally::default();
    seeds(0..worlds(4000), |chooser| {
        let mut world = world(chooser, 3, true);
        world.link.faults = ASTRAY;
        world.net.faults = BROKEN;
        world.bounds.time = Duration::from_secs(7_200);
        let outcome = run(&mut world, chooser)?;
        for tally in [world.left.app.tally, world.right.app.tally] {
            all.sent += tally.sent;
            all.by_socket += tally.by_socket;
            all.failed += tally.failed;
        }
        Ok(outcome)
    });
    println!("{all:?}");
    let often = all.sent / 20;
    assert!(all.by_socket > often && all.failed > often, "{all:?}");
}

/// What is said to a StreamHost by who has the sid, and says that it is one of the two ends.
fn impostor(sid: &Sid) -> Vec<Bytes> {
    let hash = |from, to| DstAddr::new(sid, &jid(from), &jid(to));
    let request = |addr: DstAddr| {
        let request = [
            &[5, 1, 0, 5, 1, 0, 3, 40],
            addr.as_str().as_bytes(),
            &[0, 0],
        ];
        [&request.concat()[..], b"not of the file"].concat().into()
    };
    Vec::from([hash(ME, PEER), hash(PEER, ME)].map(request))
}

#[test]
fn an_attacker_who_reads_the_offers_puts_nothing_into_a_file() {
    let (mut all, mut planned) = (Tally::default(), 0);
    seeds(0..worlds(2000), |chooser| {
        let mut world = world(chooser, 3, false);
        let sids = Rc::new(RefCell::new(Vec::new()));
        let seen = sids.clone();
        let forge: Forge = Box::new(move |stanza, _| {
            if let Stanza::Iq(iq) = stanza
                && let Some(Payload::Bytestreams(query)) = iq.request()
            {
                seen.borrow_mut().extend(query.sid.clone());
            }
            None
        });
        world.link.faults = Faults {
            forge: 1,
            ..Faults::HARMLESS
        };
        let jid = jid("eve@example.org/x");
        world.link.stranger = Some(Stranger { jid, forge });
        world.net.intruder = Some(Box::new(move |at, chooser| {
            let words = sids.borrow().iter().flat_map(impostor).collect();
            babble(words, 3)(at, chooser)
        }));
        world.net.faults = NetFaults {
            intrude: 2,
            budget: 20,
            ..NetFaults::HARMLESS
        };
        for end in [&world.left.app, &world.right.app] {
            planned += end.plans.len();
        }
        // Whoever receives compares each octet.
        let outcome = run(&mut world, chooser)?;
        for tally in [world.left.app.tally, world.right.app.tally] {
            all.received += tally.received;
            all.failed += tally.failed;
            all.fell_back += tally.fell_back;
        }
        Ok(outcome)
    });
    println!("{all:?} of {planned}");
    // It can spoil a stream by taking the place of an end, and some it does not.
    assert!(all.received > all.failed && all.failed > 20, "{all:?}");
}

/// Every run of a world in which one file travels and `budget` things go wrong.
fn every_run_of(direct: bool, size: usize, faults: (Faults, NetFaults)) -> u64 {
    every_run(1_000_000, |chooser| {
        let mut config = Config::default();
        config.methods = [Method::Socks5, Method::Ibb].into_iter().collect();
        config.socks5.discover = false;
        config.socks5.listen = direct;
        if !direct {
            config.socks5.proxies = vec![jid(PROXY)];
        }
        config.keepalive = Keepalive::Off;
        let end = |side, own: &str, to: &str, plans| {
            let script = Script::new(side, to, plans, false);
            (jid(own), stack(own, config.clone(), Instant::ZERO), script)
        };
        let plan = Plan {
            size,
            announced: true,
            options: Options::default(),
        };
        let allowed = ProxyConfig {
            allowed: Allowed::Any,
            ..ProxyConfig::default()
        };
        let mut world = World::with_third(
            end(0, ME, PEER, vec![plan]),
            end(1, PEER, ME, Vec::new()),
            proxy(jid(PROXY), allowed),
        );
        world.link.delays = vec![Duration::from_millis(10)];
        world.net.delays = world.link.delays.clone();
        world.any_order = false;
        (world.link.faults, world.net.faults) = faults;
        let outcome = run(&mut world, chooser)?;
        let (sent, received) = (world.left.app.tally, world.right.app.tally);
        // What the Sender takes for done has arrived, but for a connection that broke behind it.
        let harmless = faults.0 == Faults::NONE && faults.1.reset + faults.1.silence == 0;
        if harmless && (sent.sent, received.received) != (1, 1) {
            return Err(world.broken(format!("{sent:?}, {received:?}")));
        }
        Ok(outcome)
    })
}

#[test]
fn every_run_of_a_small_world_with_sockets_ends() {
    let net = |change: fn(&mut NetFaults)| {
        let mut net = NetFaults {
            budget: 2,
            ..NetFaults::NONE
        };
        change(&mut net);
        (Faults::NONE, net)
    };
    let link = |change: fn(&mut Faults)| {
        let mut link = Faults {
            budget: 1,
            ..Faults::NONE
        };
        change(&mut link);
        (link, NetFaults::NONE)
    };
    let faults = [
        net(|f| f.refuse = 1),
        net(|f| f.lose = 1),
        net(|f| f.deaf = 1),
        net(|f| f.reset = 1),
        net(|f| f.silence = 1),
        net(|f| (f.cut, f.cuts) = (1, 1)),
        link(|f| f.drop = 1),
        link(|f| f.bounce = 1),
        link(|f| f.repeat = 1),
        link(|f| f.disconnect = 1),
        link(|f| f.stall = 1),
    ];
    let mut runs = 0;
    for direct in [true, false] {
        for size in [0, 3] {
            for faults in faults {
                runs += every_run_of(direct, size, faults);
            }
        }
    }
    println!("{runs} runs");
    assert!(runs > 1_000);
}
