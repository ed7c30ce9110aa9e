//! Listening, and attempts to connect.

use crate::support::*;
use bytes::Bytes;
use bytestreams_machine::{ConnectError, Instant, NetCommand, NetInput};
use bytestreams_sim::{Net, NetFaults, Odometer, Outcome, Place, Side, babble, seeds, silent};
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

#[test]
fn an_attempt_under_a_token_in_use_is_told() {
    let mut world = world(
        Puppet::idle(),
        Puppet::new([connect(), connect()], |_| Vec::new()),
    );
    let broken = run(&mut world).expect_err("one token, two attempts");
    assert!(broken.law.contains("Token(7) is under way"), "{broken}");
}

#[test]
fn a_new_connection_that_nobody_takes_is_closed_by_the_driver() {
    let mut world = world(
        Puppet::new([NetCommand::Listen(LISTEN)], |_| Vec::new()),
        client(|conn| vec![send(conn, "a")]),
    );
    world.left.machine.takes = false;
    run(&mut world).expect("closed at both ends");
    assert_eq!(world.right.machine.closed(), 1);
}

#[test]
fn attempts_fail_as_the_place_says() {
    let at: SocketAddr = "203.0.113.9:1080".parse().expect("an address");
    let fails = |place: Option<Place>, name: &str| {
        let attempt = NetCommand::Connect(TOKEN, host(name, 1080));
        let mut world = world(Puppet::idle(), Puppet::new([attempt], |_| Vec::new()));
        world.net.name("proxy.example", at.ip());
        if let Some(place) = place {
            world.net.place(at, place);
        }
        let outcome = run(&mut world).expect("no law broken");
        (world.right.machine.failure(), outcome.at)
    };
    assert_eq!(fails(None, "nowhere.example").0, Some(ConnectError::Dns));
    assert_eq!(fails(None, "proxy.example").0, Some(ConnectError::Refused));
    assert_eq!(fails(None, "203.0.113.9").0, Some(ConnectError::Refused));
    let forbidden = Place::Fails(ConnectError::Forbidden);
    assert_eq!(
        fails(Some(forbidden), "proxy.example").0,
        Some(ConnectError::Forbidden)
    );
    let (failure, at) = fails(Some(Place::Silent), "proxy.example");
    assert_eq!(failure, Some(ConnectError::TimedOut));
    assert!(at >= Instant::ZERO + Duration::from_secs(21));
}

#[test]
fn an_attempt_may_never_be_answered() {
    let mut world = world(Puppet::idle(), Puppet::new([connect()], |_| Vec::new()));
    world.net.patience = None;
    world.net.faults.lose = 1;
    world.net.faults.budget = 1;
    run(&mut world).expect("no law broken");
    assert!(world.right.machine.got.is_empty());
}

#[test]
fn who_has_stopped_listening_refuses() {
    let left = Puppet::new(
        [NetCommand::Listen(LISTEN), NetCommand::Unlisten(LISTEN)],
        |_| Vec::new(),
    );
    let mut world = world(left, Puppet::new([connect()], |_| Vec::new()));
    run(&mut world).expect("no law broken");
    assert_eq!(world.right.machine.failure(), Some(ConnectError::Refused));
    assert_eq!(world.net.listeners(Side::Left).count(), 0);
}

#[test]
fn a_listener_has_an_address_of_each_family_and_tells_the_better_first() {
    let left = Puppet::new([NetCommand::Listen(LISTEN)], |_| Vec::new());
    let mut world = world(left, Puppet::idle());
    world.net.addresses = 2;
    world.net.delays = vec![Duration::from_millis(1)];
    world
        .run(&mut Odometer::default(), |_| Ok(()))
        .expect("no law broken");
    let told: Vec<_> = world.left.machine.got.iter().collect();
    let [v4, v6] = Net::addresses_of(Side::Left).map(|ip| SocketAddr::new(ip, PORT));
    let expected = [v4, v6].map(|at| NetInput::Listening(LISTEN, at));
    assert_eq!(told, expected.iter().collect::<Vec<_>>());
}

#[test]
fn an_intruder_speaks_to_whoever_listens() {
    let mut heard = BTreeMap::new();
    seeds(0..300, |chooser| {
        let left = server(|_, _| Vec::new());
        let mut world = world(left, Puppet::idle());
        world.net.faults = NetFaults {
            intrude: 1,
            budget: 1,
            ..NetFaults::NONE
        };
        let words = [&b"one"[..], b"two"].map(Bytes::from_static).to_vec();
        world.net.intruder = Some(babble(words, 3));
        match world.run(chooser, |_| Ok(())) {
            Err(broken) if !broken.law.contains("leaked") => return Err(broken),
            _ => {}
        }
        let accepted = world.left.machine.got.iter().find_map(|input| match input {
            NetInput::Accepted { from, .. } => Some(from.ip().to_string()),
            _ => None,
        });
        assert_eq!(accepted.as_deref(), Some("198.51.100.66"));
        *heard.entry(world.left.machine.received()).or_insert(0) += 1;
        Ok(Outcome {
            hash: world.trace.hash(),
            steps: 0,
            at: world.now(),
        })
    });
    for words in [&b""[..], b"one", b"onetwo", b"twotwoone"] {
        assert!(heard.contains_key(words), "{heard:?}");
    }
}

#[test]
fn a_place_may_take_connections_and_say_nothing() {
    let at: SocketAddr = "203.0.113.9:1080".parse().expect("an address");
    let attempt = NetCommand::Connect(TOKEN, host("203.0.113.9", 1080));
    let right = Puppet::new([attempt], |input| match input {
        NetInput::Connected(_, conn) => vec![send(*conn, "hello?")],
        _ => Vec::new(),
    });
    let mut world = world(Puppet::idle(), right);
    world.net.place(at, Place::Speaks(silent()));
    let broken = run(&mut world).expect_err("it waits for ever");
    assert!(
        broken.law.contains("Right true but [ConnId(1)] leaked"),
        "{broken}"
    );
}
