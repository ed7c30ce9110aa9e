//! What the net does to octets.

use crate::support::*;
use bytes::Bytes;
use bytestreams_machine::{HANDSHAKE_OCTETS, NetCommand, Output};
use bytestreams_sim::{Faults, NetFaults, Scripted, Seeded, World, every_run, seeds};
use bytestreams_stanza::{Jid, Payload, Stanza};
use core::time::Duration;

#[test]
fn octets_arrive_in_order_however_they_are_cut() {
    let text = octets(700);
    seeds(0..300, |chooser| {
        let parts = [&text[..3], &text[3..500], &text[500..]].map(Bytes::copy_from_slice);
        // The server takes the connection over at some point in the middle.
        let mut heard = 0;
        let server = server(move |conn, octets| {
            let before = heard;
            heard += octets.len();
            let detach = before < 40 && heard >= 40;
            detach
                .then_some(NetCommand::Detach(conn))
                .into_iter()
                .collect()
        });
        let client = client(move |conn| {
            let parts = parts.iter().map(|part| send(conn, part.clone()));
            parts.chain([NetCommand::ShutdownWrite(conn)]).collect()
        });
        let mut world = world(server, client);
        world.net.faults = NetFaults::HARMLESS;
        world.left.app.at_end = vec![NetCommand::Close];
        let outcome = world.run(chooser, |world| {
            let read = world.left.machine.received();
            let early = read.len() <= HANDSHAKE_OCTETS && text.starts_with(&read);
            early.then_some(()).ok_or_else(|| "no prefix".into())
        })?;
        let mut all = world.left.machine.received();
        assert!(all.len() >= 40);
        all.extend(world.left.app.read.values().flatten());
        assert!(all == text, "{} octets", all.len());
        Ok(outcome)
    });
}

#[test]
fn every_cut_of_a_write_is_a_run() {
    let mut reads = Vec::new();
    let runs = every_run(100, |chooser| {
        let server = server(|_, _| Vec::new());
        let client = client(|conn| vec![send(conn, "abcde"), NetCommand::Close(conn)]);
        let mut world = world(server, client);
        world.net.delays = vec![Duration::from_millis(1)];
        world.any_order = false;
        (world.net.faults.cut, world.net.faults.cuts) = (1, 1);
        let outcome = world.run(chooser, |_| Ok(()))?;
        reads.push(world.left.machine.reads());
        Ok(outcome)
    });
    let lengths: Vec<Vec<usize>> = reads
        .iter()
        .map(|reads| reads.iter().map(Vec::len).collect())
        .collect();
    assert_eq!(runs, 5);
    assert_eq!(
        lengths,
        [vec![5], vec![1, 4], vec![2, 3], vec![3, 2], vec![4, 1]]
    );
}

#[test]
fn what_is_written_apart_may_arrive_in_one() {
    let server = server(|_, _| Vec::new());
    let client = client(|conn| vec![send(conn, "ab"), send(conn, "cd"), NetCommand::Close(conn)]);
    let mut world = world(server, client);
    world.net.delays = vec![Duration::ZERO];
    run(&mut world).expect("no law broken");
    assert_eq!(world.left.machine.reads(), [b"abcd"]);
}

#[test]
fn an_end_that_never_detaches_gets_the_handshake_and_no_more() {
    let server = server(|_, _| Vec::new());
    let client = client(|conn| vec![send(conn, octets(2_000)), NetCommand::Close(conn)]);
    let mut world = world(server, client);
    let broken = run(&mut world).expect_err("it waits for ever");
    assert!(broken.law.contains("leaked"), "{broken}");
    assert_eq!(world.left.machine.received().len(), HANDSHAKE_OCTETS);
}

#[test]
fn stanzas_find_their_way_among_three() {
    let mut world = World::with_third(
        (jid("a@x/r"), Puppet::idle(), Reader::default()),
        (jid("b@y/r"), Puppet::idle(), Reader::default()),
        (jid("proxy.z"), Puppet::idle(), Reader::default()),
    );
    world.link.faults = Faults::NONE;
    let ping = |to: &str| {
        let iq = bytestreams_stanza::Iq::get(Some(jid(to)), "1".into(), Payload::Ping);
        Output::Stanza(iq.into())
    };
    world
        .left
        .machine
        .out
        .extend([ping("proxy.z"), ping("b@y/r")]);
    world.right.machine.out.push_back(ping("proxy.z"));
    world
        .third
        .machine
        .out
        .extend([ping("b@y/r"), ping("d@nowhere/r")]);
    world
        .run(&mut Seeded::new(1), |_| Ok(()))
        .expect("no law broken");
    let from = |machine: &Puppet| {
        let all = machine.stanzas.iter().filter_map(Stanza::from);
        let mut all: Vec<_> = all.map(Jid::to_string).collect();
        all.sort();
        all
    };
    assert_eq!(from(&world.left.machine), Vec::<String>::new());
    assert_eq!(from(&world.right.machine), ["a@x/r", "proxy.z"]);
    // What nobody gets comes back.
    assert_eq!(
        from(&world.third.machine),
        ["a@x/r", "b@y/r", "d@nowhere/r"]
    );
}

#[test]
fn the_choices_of_a_report_repeat_the_run() {
    let make = || {
        let mut world = world(
            server(|conn, octets| match octets {
                b"" => Vec::new(),
                _ => vec![send(conn, "pong"), NetCommand::ShutdownWrite(conn)],
            }),
            client(|conn| vec![send(conn, octets(100))]),
        );
        world.net.faults = NetFaults::SOME;
        world
    };
    for seed in 0..50 {
        let mut seeded = Seeded::new(seed);
        let first = make().run(&mut seeded, |_| Ok(()));
        let mut script =
            Scripted::from_choices(bytestreams_sim::Chooser::choices(&seeded).to_vec());
        let again = make().run(&mut script, |_| Ok(()));
        assert_eq!(first, again);
    }
}
