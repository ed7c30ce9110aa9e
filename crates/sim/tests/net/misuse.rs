//! What machines and applications must not do with sockets.

use crate::support::*;
use bytes::Bytes;
use bytestreams_machine::{ConnId, NetCommand};
use bytestreams_sim::{Absent, App, Context, Faults, Seeded, World};
use core::convert::Infallible;

#[test]
fn each_misuse_of_a_socket_is_told() {
    let cases: [(Commands, &str); 9] = [
        (
            |conn| vec![NetCommand::Close(conn), NetCommand::Close(conn)],
            "Close on ConnId(1), which is not open",
        ),
        (
            |conn| vec![NetCommand::Close(conn), send(conn, "a")],
            "Send on ConnId(1), which is not open",
        ),
        (|_| vec![send(ConnId(99), "a")], "not open here"),
        (|_| vec![NetCommand::Close(ConnId(2))], "not open here"),
        (
            |conn| vec![NetCommand::ShutdownWrite(conn), send(conn, "a")],
            "after ShutdownWrite",
        ),
        (
            |conn| vec![NetCommand::ShutdownWrite(conn); 2],
            "ShutdownWrite on ConnId(1) twice",
        ),
        (
            |conn| vec![NetCommand::Detach(conn), send(conn, "a")],
            "which is not its own",
        ),
        (
            |conn| vec![NetCommand::Detach(conn); 2],
            "which is detached",
        ),
        (|_| vec![NetCommand::Listen(LISTEN); 2], "listens already"),
    ];
    for (commands, law) in cases {
        let mut world = world(server(|_, _| Vec::new()), client(commands));
        let broken = run(&mut world).expect_err(law);
        assert!(broken.law.contains(law), "{}", broken.law);
    }
}

#[test]
fn an_application_that_writes_to_what_is_not_its_own_is_told() {
    let mut world = world(server(|_, _| Vec::new()), client(|_| Vec::new()));
    world.left.app.at_end = vec![|conn| NetCommand::Send(conn, Bytes::from_static(b"a"))];
    world.left.machine = server(|conn, octets| match octets {
        b"" => vec![NetCommand::Detach(conn)],
        _ => Vec::new(),
    });
    world.right.machine = client(|conn| vec![NetCommand::Close(conn)]);
    let broken = run(&mut world).expect_err("it is open for ever");
    assert!(broken.law.contains("leaked"), "{broken}");

    let mut world = self::world(Puppet::idle(), Puppet::idle());
    struct Rash;
    impl App for Rash {
        type Machine = Absent;
        fn event(&mut self, _: &mut Absent, event: Infallible, _: &mut Context<'_>) {
            match event {}
        }
        fn act(&mut self, _: &mut Absent, cx: &mut Context<'_>) {
            cx.net(NetCommand::Close(ConnId(1)));
        }
        fn is_done(&self) -> bool {
            true
        }
    }
    world.link.faults = Faults::NONE;
    let rash = (jid("c@z/r"), Absent, Rash);
    let mut three = World::with_third(
        (jid("a@x/r"), Puppet::idle(), Reader::default()),
        (jid("b@y/r"), Puppet::idle(), Reader::default()),
        rash,
    );
    let broken = three.run(&mut Seeded::new(1), |_| Ok(()));
    let broken = broken.expect_err("it has no connection");
    assert!(broken.law.contains("Third: Close on"), "{broken}");
}
