//! The net of the world: what it does to octets, and each of its laws, broken on purpose.
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is, and look for one thing among many"
)]

use bytes::Bytes;
use bytestreams_machine::{
    ConnId, ConnectError, HANDSHAKE_OCTETS, Input, Instant, ListenId, Machine, NetCommand,
    NetInput, Output, Token,
};
use bytestreams_sim::{
    Absent, App, Broken, Context, Faults, Net, NetFaults, Odometer, Outcome, Place, Scripted,
    Seeded, Side, World, babble, every_run, seeds, silent,
};
use bytestreams_stanza::{Jid, Payload, Stanza, StreamHost};
use core::convert::Infallible;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

const LISTEN: ListenId = ListenId(1);
const TOKEN: Token = Token(7);

fn jid(text: &str) -> Jid {
    Jid::new(text).expect("an address")
}

fn host(host: &str, port: u16) -> StreamHost {
    StreamHost {
        jid: jid("a@x/r"),
        host: host.into(),
        port,
    }
}

type React = Box<dyn FnMut(&NetInput) -> Vec<NetCommand>>;

/// What is done with a new connection.
type Commands = fn(ConnId) -> Vec<NetCommand>;

/// Answers each input with commands, and keeps what it got.
struct Puppet {
    react: React,
    takes: bool,
    out: VecDeque<Output<Infallible>>,
    got: Vec<NetInput>,
    stanzas: Vec<Stanza>,
}

impl Puppet {
    fn new(
        first: impl IntoIterator<Item = NetCommand>,
        react: impl FnMut(&NetInput) -> Vec<NetCommand> + 'static,
    ) -> Self {
        Self {
            react: Box::new(react),
            takes: true,
            out: first.into_iter().map(Output::Net).collect(),
            got: Vec::new(),
            stanzas: Vec::new(),
        }
    }

    fn idle() -> Self {
        Self::new([], |_| Vec::new())
    }

    fn received(&self) -> Vec<u8> {
        let octets = self.got.iter().filter_map(|input| match input {
            NetInput::Received(_, octets) => Some(octets.to_vec()),
            _ => None,
        });
        octets.flatten().collect()
    }

    fn reads(&self) -> Vec<Vec<u8>> {
        let octets = self.got.iter().filter_map(|input| match input {
            NetInput::Received(_, octets) => Some(octets.to_vec()),
            _ => None,
        });
        octets.collect()
    }

    fn failure(&self) -> Option<ConnectError> {
        self.got.iter().find_map(|input| match input {
            NetInput::Failed(TOKEN, error) => Some(*error),
            _ => None,
        })
    }

    fn closed(&self) -> usize {
        let closed = |input: &&NetInput| matches!(input, NetInput::Closed(_));
        self.got.iter().filter(closed).count()
    }
}

impl Machine for Puppet {
    type Event = Infallible;

    fn handle_input(&mut self, input: Input, _: Instant) -> Option<Input> {
        match input {
            Input::Net(_) if !self.takes => return Some(input),
            Input::Net(input) => {
                let commands = (self.react)(&input);
                self.out.extend(commands.into_iter().map(Output::Net));
                self.got.push(input);
            }
            Input::Stanza(stanza) => self.stanzas.push(stanza),
        }
        None
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_output(&mut self) -> Option<Output<Infallible>> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// Reads what is detached.
#[derive(Default)]
struct Reader {
    read: BTreeMap<ConnId, Vec<u8>>,
    ended: Vec<ConnId>,
    reset: Vec<ConnId>,
    /// What it does at the end of a connection.
    at_end: Vec<fn(ConnId) -> NetCommand>,
}

impl Reader {
    fn end(&self, conn: ConnId, cx: &mut Context<'_>) {
        for command in &self.at_end {
            cx.net(command(conn));
        }
    }
}

impl App for Reader {
    type Machine = Puppet;

    fn event(&mut self, _: &mut Puppet, event: Infallible, _: &mut Context<'_>) {
        match event {}
    }

    fn act(&mut self, _: &mut Puppet, _: &mut Context<'_>) {}

    fn is_done(&self) -> bool {
        true
    }

    fn octets(&mut self, _: &mut Puppet, conn: ConnId, octets: Bytes, cx: &mut Context<'_>) {
        if octets.is_empty() {
            self.ended.push(conn);
            self.end(conn, cx);
        }
        self.read
            .entry(conn)
            .or_default()
            .extend_from_slice(&octets);
    }

    fn reset(&mut self, _: &mut Puppet, conn: ConnId, cx: &mut Context<'_>) {
        self.reset.push(conn);
        self.end(conn, cx);
    }
}

type Two = World<Reader, Reader>;

fn world(left: Puppet, right: Puppet) -> Two {
    let mut world = World::new(
        (jid("a@x/r"), left, Reader::default()),
        (jid("b@y/r"), right, Reader::default()),
    );
    world.link.faults = Faults::NONE;
    world.net.faults = NetFaults::NONE;
    world
}

fn run(world: &mut Two) -> Result<Outcome, Broken> {
    world.run(&mut Seeded::new(1), |_| Ok(()))
}

/// Where the left listens first.
const PORT: u16 = Net::port_of(Side::Left);

/// Connects to the left, to a listener that stands there once the attempt arrives.
fn connect() -> NetCommand {
    NetCommand::Connect(TOKEN, host("192.0.2.1", PORT))
}

/// Listens on the left; does `serve` with what comes in, and closes what ends.
fn server(mut serve: impl FnMut(ConnId, &[u8]) -> Vec<NetCommand> + 'static) -> Puppet {
    Puppet::new([NetCommand::Listen(LISTEN)], move |input| match input {
        NetInput::Accepted { conn, .. } => serve(*conn, b""),
        NetInput::Received(conn, octets) => serve(*conn, octets),
        NetInput::Closed(conn) => vec![NetCommand::Close(*conn)],
        _ => Vec::new(),
    })
}

/// Connects to the left; does `commands` once it stands, and closes at the end.
fn client(commands: impl Fn(ConnId) -> Vec<NetCommand> + 'static) -> Puppet {
    Puppet::new([connect()], move |input| match input {
        NetInput::Connected(TOKEN, conn) => commands(*conn),
        NetInput::Closed(conn) => vec![NetCommand::Close(*conn)],
        _ => Vec::new(),
    })
}

fn send(conn: ConnId, octets: impl Into<Bytes>) -> NetCommand {
    NetCommand::Send(conn, octets.into())
}

fn octets(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
}

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
