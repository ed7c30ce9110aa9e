//! How connections end.

use crate::support::*;
use bytestreams_machine::{ConnId, NetCommand, NetInput};
use bytestreams_sim::{NetFaults, Outcome, every_run, seeds};
use core::time::Duration;

#[test]
fn a_connection_that_stays_open_is_a_leak() {
    let mut world = world(
        server(|_, _| Vec::new()),
        client(|conn| vec![NetCommand::Close(conn)]),
    );
    run(&mut world).expect("the server closes too");
    let mut world = self::world(
        Puppet::new([NetCommand::Listen(LISTEN)], |_| Vec::new()),
        client(|conn| vec![NetCommand::Close(conn)]),
    );
    let broken = run(&mut world).expect_err("the server does not close");
    let law = "Left true but [ConnId(2)] leaked";
    assert!(broken.law.contains(law), "{broken}");
}

#[test]
fn a_half_that_is_shut_leaves_the_other() {
    // The server answers only once it has heard the end.
    let server = Puppet::new([NetCommand::Listen(LISTEN)], |input| match input {
        NetInput::Closed(conn) => vec![send(*conn, "late"), NetCommand::Close(*conn)],
        _ => Vec::new(),
    });
    let client = client(|conn| vec![send(conn, "early"), NetCommand::ShutdownWrite(conn)]);
    let mut world = world(server, client);
    run(&mut world).expect("no law broken");
    assert_eq!(world.left.machine.received(), b"early");
    assert_eq!(world.right.machine.received(), b"late");
}

#[test]
fn a_machine_that_shuts_down_what_is_detached_hears_the_end_only() {
    let server = server(|conn, _| vec![send(conn, "unread"), NetCommand::Close(conn)]);
    let client = Puppet::new([connect()], |input| match input {
        NetInput::Connected(_, conn) => {
            vec![NetCommand::Detach(*conn), NetCommand::ShutdownWrite(*conn)]
        }
        NetInput::Closed(conn) => vec![NetCommand::Close(*conn)],
        _ => Vec::new(),
    });
    let mut world = world(server, client);
    run(&mut world).expect("no law broken");
    assert_eq!(
        (
            world.right.machine.reads().len(),
            world.right.machine.closed()
        ),
        (0, 1)
    );
    assert!(world.right.app.read.is_empty());
}

#[test]
fn an_end_that_was_heard_before_the_detaching_is_heard_again() {
    // The server detaches at the end; its application hears of the end then.
    let server = Puppet::new([NetCommand::Listen(LISTEN)], |input| match input {
        NetInput::Closed(conn) => vec![NetCommand::Detach(*conn)],
        _ => Vec::new(),
    });
    let mut world = world(server, client(|conn| vec![NetCommand::Close(conn)]));
    world.left.app.at_end = vec![NetCommand::Close];
    run(&mut world).expect("no law broken");
    assert_eq!(world.left.app.ended, [ConnId(2)]);
}

#[test]
fn a_close_before_all_is_read_is_a_reset_that_may_overtake() {
    let mut got = std::collections::BTreeSet::new();
    every_run(1_000, |chooser| {
        let server = server(|conn, octets| match octets {
            b"" => vec![send(conn, "answer"), NetCommand::Close(conn)],
            _ => Vec::new(),
        });
        let client = client(|conn| vec![send(conn, "question"), NetCommand::Detach(conn)]);
        let mut world = world(server, client);
        world.right.app.at_end = vec![NetCommand::Close];
        world.net.delays = vec![Duration::from_millis(1), Duration::from_millis(3)];
        world.any_order = false;
        let outcome = world.run(chooser, |_| Ok(()))?;
        let app = &world.right.app;
        let read: Vec<u8> = app.read.values().flatten().copied().collect();
        got.insert((String::from_utf8(read).expect("text"), app.reset.len()));
        Ok(outcome)
    });
    let got: Vec<_> = got
        .iter()
        .map(|(read, resets)| (read.as_str(), *resets))
        .collect();
    assert_eq!(got, [("", 1), ("answer", 0), ("answer", 1)]);
}

#[test]
fn a_reset_at_any_time_is_heard_at_both_ends() {
    let mut resets = 0;
    seeds(0..300, |chooser| {
        let answered = |conn, octets: &[u8]| match octets {
            b"" => Vec::new(),
            _ => vec![send(conn, "pong")],
        };
        let client = client(|conn| vec![send(conn, "ping")]);
        let mut world = world(server(answered), client);
        world.net.faults = NetFaults {
            reset: 2,
            budget: 1,
            ..NetFaults::HARMLESS
        };
        match world.run(chooser, |_| Ok(())) {
            Ok(outcome) => {
                resets += 1;
                assert!(world.left.machine.closed() == 1 && world.right.machine.closed() == 1);
                Ok(outcome)
            }
            // Where nothing struck they talk, and then wait for each other.
            Err(broken) if world.net.faults.budget == 1 => {
                assert!(broken.law.contains("leaked"), "{broken}");
                let now = world.now();
                Ok(Outcome {
                    hash: world.trace.hash(),
                    steps: 0,
                    at: now,
                })
            }
            Err(broken) => Err(broken),
        }
    });
    assert!(resets > 200, "{resets}");
}
