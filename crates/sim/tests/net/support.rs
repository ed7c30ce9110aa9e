//! Machines that do as they are told, and a world of two.

use bytes::Bytes;
use bytestreams_machine::{
    ConnId, ConnectError, Input, Instant, ListenId, Machine, NetCommand, NetInput, Output, Token,
};
use bytestreams_sim::{App, Broken, Context, Faults, Net, NetFaults, Outcome, Seeded, Side, World};
use bytestreams_stanza::{Jid, Stanza, StreamHost};
use core::convert::Infallible;
use std::collections::{BTreeMap, VecDeque};

pub(crate) const LISTEN: ListenId = ListenId(1);
pub(crate) const TOKEN: Token = Token(7);

pub(crate) fn jid(text: &str) -> Jid {
    Jid::new(text).expect("an address")
}

pub(crate) fn host(host: &str, port: u16) -> StreamHost {
    StreamHost {
        jid: jid("a@x/r"),
        host: host.into(),
        port,
    }
}

pub(crate) type React = Box<dyn FnMut(&NetInput) -> Vec<NetCommand>>;

/// What is done with a new connection.
pub(crate) type Commands = fn(ConnId) -> Vec<NetCommand>;

/// Answers each input with commands, and keeps what it got.
pub(crate) struct Puppet {
    pub(crate) react: React,
    pub(crate) takes: bool,
    pub(crate) out: VecDeque<Output<Infallible>>,
    pub(crate) got: Vec<NetInput>,
    pub(crate) stanzas: Vec<Stanza>,
}

impl Puppet {
    pub(crate) fn new(
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

    pub(crate) fn idle() -> Self {
        Self::new([], |_| Vec::new())
    }

    pub(crate) fn received(&self) -> Vec<u8> {
        let octets = self.got.iter().filter_map(|input| match input {
            NetInput::Received(_, octets) => Some(octets.to_vec()),
            _ => None,
        });
        octets.flatten().collect()
    }

    pub(crate) fn reads(&self) -> Vec<Vec<u8>> {
        let octets = self.got.iter().filter_map(|input| match input {
            NetInput::Received(_, octets) => Some(octets.to_vec()),
            _ => None,
        });
        octets.collect()
    }

    pub(crate) fn failure(&self) -> Option<ConnectError> {
        self.got.iter().find_map(|input| match input {
            NetInput::Failed(TOKEN, error) => Some(*error),
            _ => None,
        })
    }

    pub(crate) fn closed(&self) -> usize {
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
pub(crate) struct Reader {
    pub(crate) read: BTreeMap<ConnId, Vec<u8>>,
    pub(crate) ended: Vec<ConnId>,
    pub(crate) reset: Vec<ConnId>,
    /// What it does at the end of a connection.
    pub(crate) at_end: Vec<fn(ConnId) -> NetCommand>,
}

impl Reader {
    pub(crate) fn end(&self, conn: ConnId, cx: &mut Context<'_>) {
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

pub(crate) type Two = World<Reader, Reader>;

pub(crate) fn world(left: Puppet, right: Puppet) -> Two {
    let mut world = World::new(
        (jid("a@x/r"), left, Reader::default()),
        (jid("b@y/r"), right, Reader::default()),
    );
    world.link.faults = Faults::NONE;
    world.net.faults = NetFaults::NONE;
    world
}

pub(crate) fn run(world: &mut Two) -> Result<Outcome, Broken> {
    world.run(&mut Seeded::new(1), |_| Ok(()))
}

/// Where the left listens first.
pub(crate) const PORT: u16 = Net::port_of(Side::Left);

/// Connects to the left, to a listener that stands there once the attempt arrives.
pub(crate) fn connect() -> NetCommand {
    NetCommand::Connect(TOKEN, host("192.0.2.1", PORT))
}

/// Listens on the left; does `serve` with what comes in, and closes what ends.
pub(crate) fn server(mut serve: impl FnMut(ConnId, &[u8]) -> Vec<NetCommand> + 'static) -> Puppet {
    Puppet::new([NetCommand::Listen(LISTEN)], move |input| match input {
        NetInput::Accepted { conn, .. } => serve(*conn, b""),
        NetInput::Received(conn, octets) => serve(*conn, octets),
        NetInput::Closed(conn) => vec![NetCommand::Close(*conn)],
        _ => Vec::new(),
    })
}

/// Connects to the left; does `commands` once it stands, and closes at the end.
pub(crate) fn client(commands: impl Fn(ConnId) -> Vec<NetCommand> + 'static) -> Puppet {
    Puppet::new([connect()], move |input| match input {
        NetInput::Connected(TOKEN, conn) => commands(*conn),
        NetInput::Closed(conn) => vec![NetCommand::Close(*conn)],
        _ => Vec::new(),
    })
}

pub(crate) fn send(conn: ConnId, octets: impl Into<Bytes>) -> NetCommand {
    NetCommand::Send(conn, octets.into())
}

pub(crate) fn octets(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
}
