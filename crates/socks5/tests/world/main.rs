//! Requester, Target and proxy in a simulated world, under laws.
//!
//! `BYTESTREAMS_WORLDS` says how many times as many worlds to walk.
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is, and panic at what they do not expect"
)]

mod apps;
mod host;
mod relay;

use apps::{Offer, User};
use bytes::Bytes;
use bytestreams_machine::{ConnectError, Instant};
use bytestreams_sim::{
    App, Broken, Chooser, Faults, NetFaults, Outcome, Place, Side, Stranger, World, babble,
    every_run, seeds, silent,
};
use bytestreams_socks5::{Allowed, DstAddr, ProxyConfig};
use bytestreams_stanza::{Jid, Sid, StreamHost};
use core::net::SocketAddr;
use core::time::Duration;
use host::Host;
use relay::{Relay, proxy, proxy_host};

const TARGET: &str = "juliet@capulet.lit/balcony";
const PROXY: &str = "streams.montague.lit";

fn jid(text: &str) -> Jid {
    Jid::new(text).expect("an address")
}

fn sid() -> Sid {
    Sid::new("vxf9n471bn46").expect("a sid")
}

/// What the Requester offers, and what crosses.
struct Plan {
    /// Its domain is the Target's, or another one, whom the Target lets wait.
    requester: &'static str,
    direct: bool,
    proxy: bool,
    decoys: Vec<StreamHost>,
    there: usize,
    back: usize,
    cancels: u32,
}

const NEIGHBOUR: &str = "romeo@capulet.lit/orchard";
const FOREIGNER: &str = "romeo@montague.lit/orchard";

impl Plan {
    const fn simple(direct: bool, proxy: bool) -> Self {
        Self {
            requester: NEIGHBOUR,
            direct,
            proxy,
            decoys: Vec::new(),
            there: 6,
            back: 5,
            cancels: 0,
        }
    }

    fn random(chooser: &mut dyn Chooser) -> Self {
        let (direct, proxy) =
            [(true, false), (false, true), (true, true)][chooser.choose(3) as usize];
        Self {
            requester: [NEIGHBOUR, FOREIGNER][chooser.choose(2) as usize],
            there: [6, 0, 2_000][chooser.choose(3) as usize],
            back: [5, 0, 700][chooser.choose(3) as usize],
            ..Self::simple(direct, proxy)
        }
    }
}

fn octets(len: usize, kind: usize) -> Bytes {
    (0..len).map(|i| (i * 7 + i / 256 + kind) as u8).collect()
}

/// What a party says who has the first or the second half of a handshake right, or neither.
fn words(plan: &Plan, knows: bool) -> Vec<Bytes> {
    let mut request = vec![5, 1, 0, 3, 40];
    let sid = if knows {
        sid()
    } else {
        Sid::new("another").expect("a sid")
    };
    let addr = DstAddr::new(&sid, &jid(plan.requester), &jid(TARGET));
    request.extend_from_slice(addr.as_str().as_bytes());
    request.extend_from_slice(&[0, 0]);
    let greeting = [5, 1, 0];
    let glued = [&greeting, &request[..], b"I am not who I am"].concat();
    let words = [&greeting[..], &request, &glued, b"GET / HTTP/1.1\r\n\r\n"];
    words.map(Bytes::copy_from_slice).to_vec()
}

fn ends(plan: &Plan) -> (Node<User>, Node<User>) {
    let (romeo, juliet) = (jid(plan.requester), jid(TARGET));
    let mut hosts = plan.decoys.clone();
    if plan.proxy {
        hosts.push(proxy_host(jid(PROXY)));
    }
    let offer = Offer {
        peer: juliet.clone(),
        sid: sid(),
        listens: plan.direct,
        hosts,
        at: Instant::ZERO + Duration::from_millis(400),
    };
    let left = User::new(octets(plan.there, 1), Some(offer), plan.cancels);
    let right = User::new(octets(plan.back, 2), None, plan.cancels);
    (
        (romeo.clone(), Host::new(romeo.clone(), None), left),
        (juliet.clone(), Host::new(juliet, Some(romeo)), right),
    )
}

type Node<A> = (Jid, <A as App>::Machine, A);

fn direct(plan: &Plan) -> World<User, User> {
    let (left, right) = ends(plan);
    World::new(left, right)
}

fn proxied(plan: &Plan) -> World<User, User, Relay> {
    let (left, right) = ends(plan);
    let config = ProxyConfig {
        allowed: Allowed::Any,
        ..ProxyConfig::default()
    };
    World::with_third(left, right, proxy(jid(PROXY), config))
}

/// Addresses of the Requester at which it is not to be found, and what happens there instead.
fn decoys<T: App>(world: &mut World<User, User, T>, chooser: &mut dyn Chooser) -> Vec<StreamHost> {
    let jid = world.left.jid.clone();
    let count = chooser.choose(4);
    let decoy = |nth: u32| {
        let at: SocketAddr = format!("203.0.113.{}:1080", nth + 1)
            .parse()
            .expect("an address");
        let place = match chooser.choose(5) {
            0 => Place::Fails(ConnectError::Refused),
            1 => Place::Fails(ConnectError::Forbidden),
            2 => Place::Silent,
            3 => Place::Speaks(silent()),
            // Never a whole handshake: nobody can tell a StreamHost that lies from one that does
            // not.
            _ => Place::Speaks(babble(
                [&[5, 0, 5, 1][..], &[5, 0xff], &[5, 1, 0, 3], &[4]]
                    .map(Bytes::copy_from_slice)
                    .to_vec(),
                4,
            )),
        };
        world.net.place(at, place);
        StreamHost {
            jid: jid.clone(),
            host: at.ip().to_string().as_str().into(),
            port: at.port(),
        }
    };
    (0..count).map(decoy).collect()
}

/// What holds after each step, whatever goes wrong.
fn law<T: App>(world: &World<User, User, T>) -> Result<(), String> {
    let (left, right) = (&world.left.app, &world.right.app);
    if !left.sent().starts_with(&right.received) {
        return Err("what the Target received is no prefix of what was sent".into());
    }
    if let Some(via) = &left.via {
        // The Requester knows what the Target has told it, and no more.
        match &world.right.machine.via {
            Some(theirs) if via == theirs => {}
            theirs => {
                return Err(format!(
                    "{via:?} at the Requester, {theirs:?} at the Target"
                ));
            }
        }
    }
    Ok(())
}

/// Besides, where nobody else speaks with the Requester.
fn law_among_friends<T: App>(world: &World<User, User, T>) -> Result<(), String> {
    if !world.right.app.sent().starts_with(&world.left.app.received) {
        return Err("what the Requester received is no prefix of what was sent".into());
    }
    law(world)
}

/// What holds at the end, whatever has gone wrong: nobody waits for anything.
fn is_quiet<T: App>(world: &World<User, User, T>) -> Result<(), String> {
    for (side, host) in [(Side::Left, &world.left), (Side::Right, &world.right)] {
        if !host.machine.is_finished() {
            return Err(format!("{side:?} is not finished"));
        }
        if world.net.listeners(side).count() > 0 {
            return Err(format!("{side:?} listens still"));
        }
    }
    Ok(())
}

/// What holds at the end where nothing is lost: everything has crossed.
fn crossed<T: App>(world: &World<User, User, T>) -> Result<(), String> {
    let (left, right) = (&world.left.app, &world.right.app);
    for app in [left, right] {
        if !app.is_whole() {
            return Err(format!("via {:?}, failed {:?}", app.via, app.failed));
        }
    }
    if left.received != right.sent() || right.received != left.sent() {
        return Err("not everything crossed".into());
    }
    Ok(())
}

fn run<T: App>(
    world: &mut World<User, User, T>,
    chooser: &mut dyn Chooser,
    law: fn(&World<User, User, T>) -> Result<(), String>,
    end: fn(&World<User, User, T>) -> Result<(), String>,
) -> Result<Outcome, Broken> {
    // Timers of a peer that is over go on for a minute at a proxy.
    let outcome = world.run(chooser, law)?;
    is_quiet(world)
        .and_then(|()| end(world))
        .map_err(|broken| world.broken(broken))?;
    Ok(outcome)
}

/// What holds at the end of a direct stream, whatever has gone wrong: what was not broken is whole.
fn whole_unless_broken(world: &World<User, User>) -> Result<(), String> {
    let (left, right) = (&world.left.app, &world.right.app);
    if left.is_whole() && right.is_whole() {
        return crossed(world);
    }
    Ok(())
}

fn any_end<T: App>(_: &World<User, User, T>) -> Result<(), String> {
    Ok(())
}

/// How many worlds: more where the environment says so.
fn worlds(few: u64) -> u64 {
    let factor = std::env::var("BYTESTREAMS_WORLDS").ok();
    few * factor.and_then(|f| f.parse().ok()).unwrap_or(1)
}

#[test]
fn octets_cross_directly_however_reads_are_cut() {
    seeds(0..worlds(3000), |chooser| {
        let plan = Plan {
            proxy: false,
            direct: true,
            ..Plan::random(chooser)
        };
        let mut world = direct(&plan);
        world.net.addresses = 1 + chooser.choose(2) as usize;
        world.net.intruder = Some(babble(words(&plan, false), 5));
        run(&mut world, chooser, law_among_friends, crossed)
    });
}

#[test]
fn octets_cross_by_a_proxy_however_reads_are_cut() {
    seeds(0..worlds(3000), |chooser| {
        let plan = Plan {
            direct: false,
            proxy: true,
            ..Plan::random(chooser)
        };
        let mut world = proxied(&plan);
        world.net.intruder = Some(babble(words(&plan, false), 5));
        run(&mut world, chooser, law_among_friends, crossed)
    });
}

#[test]
fn the_way_is_found_among_dead_ones() {
    seeds(0..worlds(3000), |chooser| {
        let plan = Plan::random(chooser);
        let mut world = proxied(&plan);
        let decoys = decoys(&mut world, chooser);
        world.left.app.prepend(decoys);
        run(&mut world, chooser, law_among_friends, crossed)
    });
}

/// How the streams of many worlds ended.
#[derive(Debug, Default)]
struct Tally {
    runs: u32,
    whole: u32,
    /// Established at the Target, and not at the Requester.
    torn: u32,
    failed: u32,
}

impl Tally {
    fn count<T: App>(&mut self, world: &World<User, User, T>) {
        self.runs += 1;
        let (left, right) = (&world.left.app, &world.right.app);
        self.whole += u32::from(crossed(world).is_ok());
        self.torn += u32::from(left.via.is_none() && right.via.is_some());
        self.failed += u32::from(left.failed.is_some() && right.failed.is_some());
    }

    /// Says whether every end was seen often.
    fn is_broad(&self) -> bool {
        let often = self.runs / 50;
        self.whole > often && self.torn > often && self.failed > often
    }
}

/// What may go wrong with stanzas where sockets go wrong too.
const STANZAS: Faults = Faults {
    budget: 2,
    drop: 30,
    bounce: 30,
    disconnect: 60,
    ..Faults::SOME
};

/// What may go wrong with sockets, so that a run gets as far as the octets now and then.
const SOCKETS: NetFaults = NetFaults {
    budget: 3,
    refuse: 8,
    lose: 8,
    deaf: 16,
    reset: 24,
    silence: 32,
    ..NetFaults::SOME
};

#[test]
fn whatever_goes_wrong_directly_both_ends_come_to_their_end() {
    let mut tally = Tally::default();
    seeds(0..worlds(5000), |chooser| {
        let plan = Plan {
            proxy: false,
            direct: true,
            cancels: 30 * chooser.choose(2),
            ..Plan::random(chooser)
        };
        let mut world = direct(&plan);
        world.net.addresses = 1 + chooser.choose(2) as usize;
        world.link.faults = STANZAS;
        world.net.faults = SOCKETS;
        let outcome = run(&mut world, chooser, law_among_friends, whole_unless_broken)?;
        tally.count(&world);
        Ok(outcome)
    });
    println!("{tally:?}");
    assert!(tally.is_broad(), "{tally:?}");
}

#[test]
fn whatever_goes_wrong_by_a_proxy_all_come_to_their_end() {
    let mut tally = Tally::default();
    seeds(0..worlds(5000), |chooser| {
        let plan = Plan {
            cancels: 30 * chooser.choose(2),
            ..Plan::random(chooser)
        };
        let mut world = proxied(&plan);
        let decoys = decoys(&mut world, chooser);
        world.left.app.prepend(decoys);
        world.link.faults = STANZAS;
        world.net.faults = SOCKETS;
        let outcome = run(&mut world, chooser, law_among_friends, any_end)?;
        tally.count(&world);
        Ok(outcome)
    });
    println!("{tally:?}");
    assert!(tally.is_broad(), "{tally:?}");
}

/// Repeats what it sees to anybody, under its own name: requests to activate, offers, answers.
fn mocker() -> Stranger {
    Stranger {
        jid: jid("eve@montague.lit/vault"),
        forge: Box::new(|seen, chooser| {
            let side = Side::ALL[chooser.choose(3) as usize];
            Some((side, seen.clone()))
        }),
    }
}

#[test]
fn a_stranger_on_the_link_changes_nothing() {
    seeds(0..worlds(3000), |chooser| {
        let plan = Plan::random(chooser);
        let mut world = proxied(&plan);
        world.link.faults.forge = 1;
        world.link.stranger = Some(mocker());
        run(&mut world, chooser, law_among_friends, crossed)
    });
}

#[test]
fn an_attacker_who_knows_the_sid_puts_nothing_into_the_stream() {
    let (mut whole, mut count) = (0, 0);
    let (mut crowds, mut thirds) = (0, 0);
    seeds(0..worlds(5000), |chooser| {
        let plan = Plan::random(chooser);
        let mut world = proxied(&plan);
        world.link.stranger = Some(mocker());
        world.net.faults.intrude = 4;
        world.net.intruder = Some(babble(words(&plan, true), 6));
        let outcome = run(&mut world, chooser, law, any_end)?;
        count += 1;
        whole += u64::from(crossed(&world).is_ok());
        crowds += u64::from(world.left.machine.arrivals > 2);
        thirds += world.third.machine.machine.stats().third_refused;
        Ok(outcome)
    });
    // It can take the place of a peer, for nobody says who he is; then nothing is whole.
    println!("{whole} of {count}; {crowds} with three connections or more, {thirds} third ones");
    assert!(whole > count / 2 && whole < count);
    // So many on one hash at the Requester, and one too many at the proxy.
    assert!(crowds > 0 && thirds > 0);
}

/// Every run of a world in which a few octets cross and `cuts` reads are cut, or something else
/// goes wrong.
fn every_run_of<T: App>(
    plan: &Plan,
    make: fn(&Plan) -> World<User, User, T>,
    faults: (Faults, NetFaults),
    end: fn(&World<User, User, T>) -> Result<(), String>,
) -> u64 {
    every_run(1_000_000, |chooser| {
        let mut world = make(plan);
        world.link.delays = vec![Duration::from_millis(1)];
        world.net.delays = vec![Duration::from_millis(1)];
        world.any_order = false;
        (world.link.faults, world.net.faults) = faults;
        run(&mut world, chooser, law_among_friends, end)
    })
}

#[test]
fn both_handshakes_may_be_cut_at_every_octet() {
    let plan = Plan {
        there: 2,
        back: 2,
        ..Plan::simple(true, false)
    };
    let faults = |cuts| {
        let net = NetFaults {
            cut: 1,
            cuts,
            ..NetFaults::NONE
        };
        (Faults::NONE, net)
    };
    // Greeting, answer, request, reply: once within each octet of them.
    let once = every_run_of(&plan, direct, faults(1), crossed);
    let twice = every_run_of(&plan, direct, faults(2), crossed);
    let plan = Plan {
        direct: false,
        proxy: true,
        ..plan
    };
    let proxied = every_run_of(&plan, proxied, faults(1), crossed);
    println!("{once} runs, {twice} with two cuts, {proxied} by a proxy");
    assert!(once > 100 && twice > 5_000 && proxied > 200);
}

#[test]
fn every_run_with_two_faults_ends() {
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
            budget: 2,
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
        link(|f| f.drop = 1),
        link(|f| f.bounce = 1),
        link(|f| f.repeat = 1),
        link(|f| f.disconnect = 1),
        link(|f| f.stall = 1),
    ];
    let mut runs = 0;
    for requester in [NEIGHBOUR, FOREIGNER] {
        for faults in faults {
            let plan = |direct, proxy| Plan {
                requester,
                there: 3,
                back: 1,
                ..Plan::simple(direct, proxy)
            };
            runs += every_run_of(&plan(true, false), direct, faults, whole_unless_broken);
            runs += every_run_of(&plan(false, true), proxied, faults, any_end);
            runs += every_run_of(&plan(true, true), proxied, faults, any_end);
        }
    }
    println!("{runs} runs");
    assert!(runs > 1_000);
}
