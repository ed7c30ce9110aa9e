//! One machine driven by hand, with a driver that holds it to the contract of its sockets.
#![allow(
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is, and name what they do not expect"
)]

use bytes::Bytes;
use bytestreams_machine::{
    ConnId, ConnectError, Input, Instant, ListenId, Machine, NetCommand, NetInput, Output, Token,
};
use bytestreams_stanza::{
    Bytestreams, BytestreamsContent, Iq, IqBody, Jid, Mode, Payload, Sid, Stanza, StanzaError,
    StreamHost,
};
use core::fmt::Debug;
use core::net::SocketAddr;
use core::time::Duration;
use std::borrow::ToOwned;
use std::boxed::Box;
use std::collections::BTreeSet;
use std::format;
use std::string::String;
use std::vec::Vec;

/// A machine and what it said.
pub(crate) struct Hand<M: Machine> {
    pub(crate) machine: M,
    pub(crate) now: Instant,
    pub(crate) detached: Vec<ConnId>,
    said: Vec<String>,
    open: BTreeSet<ConnId>,
    dialing: BTreeSet<Token>,
    conns: u64,
}

impl<M: Machine<Event: Debug>> Hand<M> {
    pub(crate) fn new(machine: M) -> Self {
        let mut hand = Self {
            machine,
            now: Instant::ZERO,
            detached: Vec::new(),
            said: Vec::new(),
            open: BTreeSet::new(),
            dialing: BTreeSet::new(),
            conns: 0,
        };
        hand.drain();
        hand
    }

    /// Gives an input; says whether it was taken.
    pub(crate) fn give(&mut self, input: Input) -> bool {
        let rest = self.machine.handle_input(input, self.now);
        self.drain();
        rest.is_none()
    }

    /// Gives a stanza from somebody.
    pub(crate) fn iq(&mut self, from: &str, id: &str, body: IqBody) -> bool {
        let mut iq = Iq::answer(None, id.into(), body);
        iq.from = Some(jid(from));
        self.give(Input::Stanza(iq.into()))
    }

    pub(crate) fn accept(&mut self, from: &str) -> ConnId {
        let conn = self.conn();
        let from: SocketAddr = from.parse().expect("an address");
        let listen = ListenId(1);
        assert!(self.give(Input::Net(NetInput::Accepted { listen, conn, from })));
        conn
    }

    /// Answers an attempt with a connection.
    pub(crate) fn connected(&mut self, token: u64) -> ConnId {
        assert!(self.dialing.remove(&Token(token)), "nobody dials {token}");
        let conn = self.conn();
        assert!(self.give(Input::Net(NetInput::Connected(Token(token), conn))));
        conn
    }

    /// Answers an attempt with an error.
    pub(crate) fn failed(&mut self, token: u64, error: ConnectError) {
        assert!(self.dialing.remove(&Token(token)), "nobody dials {token}");
        assert!(self.give(Input::Net(NetInput::Failed(Token(token), error))));
    }

    pub(crate) fn received(&mut self, conn: ConnId, octets: &[u8]) -> bool {
        let octets = Bytes::copy_from_slice(octets);
        self.give(Input::Net(NetInput::Received(conn, octets)))
    }

    pub(crate) fn closed(&mut self, conn: ConnId) -> bool {
        self.give(Input::Net(NetInput::Closed(conn)))
    }

    /// Lets time pass, exactly from deadline to deadline.
    pub(crate) fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(due) = self.machine.poll_timeout().filter(|due| *due <= until) {
            self.now = due.max(self.now);
            self.machine.handle_timeout(self.now);
            let next = self.machine.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.now),
                "still due: {next:?}"
            );
            self.drain();
        }
        self.now = until;
    }

    pub(crate) fn wait_millis(&mut self, millis: u64) {
        self.wait(Duration::from_millis(millis));
    }

    /// What the machine said since the last time.
    pub(crate) fn said(&mut self) -> String {
        core::mem::take(&mut self.said).join("; ")
    }

    /// What is open and not the application's, and attempts that are not answered.
    pub(crate) fn leaks(&self) -> usize {
        self.open.len() + self.dialing.len()
    }

    /// Polls what a command of the test has queued.
    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            let said = match output {
                Output::Stanza(stanza) => brief(&stanza),
                Output::Net(command) => self.carry_out(command),
                Output::Event(event) => format!("{event:?}"),
            };
            self.said.push(said);
        }
    }

    /// A connection that stands for another machine.
    pub(crate) fn conn(&mut self) -> ConnId {
        self.conns += 1;
        let conn = ConnId(self.conns);
        self.open.insert(conn);
        conn
    }

    fn carry_out(&mut self, command: NetCommand) -> String {
        match command {
            NetCommand::Connect(token, host) => {
                assert!(self.dialing.insert(token), "{token:?} twice");
                format!("connect {} {}:{}", token.0, host.host, host.port)
            }
            NetCommand::Send(conn, octets) => {
                assert!(self.open.contains(&conn), "{conn:?} is not open");
                format!("send {} {}", conn.0, hex(&octets))
            }
            NetCommand::Close(conn) => {
                assert!(self.open.remove(&conn), "{conn:?} is not open");
                format!("close {}", conn.0)
            }
            NetCommand::Detach(conn) => {
                assert!(self.open.remove(&conn), "{conn:?} is not open");
                self.detached.push(conn);
                format!("detach {}", conn.0)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The stanza in short.
fn brief(stanza: &Stanza) -> String {
    let Stanza::Iq(iq) = stanza else {
        panic!("{stanza:?}");
    };
    let to = iq.to.as_ref().map_or("nobody", |to| to.as_str());
    let say = |payload: &Payload| match payload {
        Payload::Bytestreams(query) => say_query(query),
        Payload::DiscoInfo(_) => "disco#info".to_owned(),
        Payload::DiscoItems(_) => "disco#items".to_owned(),
        other => panic!("{other:?}"),
    };
    match &iq.body {
        IqBody::Get(payload) => format!("get {} {to}: {}", iq.id, say(payload)),
        IqBody::Set(payload) => format!("set {} {to}: {}", iq.id, say(payload)),
        IqBody::Result(None) => format!("result {} {to}", iq.id),
        IqBody::Result(Some(payload)) => format!("result {} {to}: {}", iq.id, say(payload)),
        IqBody::Error(error) => {
            format!("{} {} {} {to}", error.condition, error.kind.as_str(), iq.id)
        }
    }
}

fn say_query(query: &Bytestreams) -> String {
    let sid = query.sid.as_ref().map_or("no sid", |sid| sid.as_str());
    let dstaddr = query.dstaddr.as_deref().unwrap_or_default();
    match &query.content {
        BytestreamsContent::Hosts(hosts) => {
            let hosts: Vec<_> = hosts
                .iter()
                .map(|host| format!(" {}={}:{}", host.jid, host.host, host.port))
                .collect();
            format!("hosts of {sid}{}{dstaddr}", hosts.concat())
        }
        BytestreamsContent::Used(jid) => format!("used of {sid} {jid}"),
        BytestreamsContent::Activate(jid) => format!("activate {sid} {jid}"),
    }
}

pub(crate) const ROMEO: &str = "romeo@montague.lit/orchard";
pub(crate) const JULIET: &str = "juliet@montague.lit/balcony";
pub(crate) const PROXY: &str = "proxy.montague.lit";

pub(crate) fn jid(text: &str) -> Jid {
    Jid::new(text).expect("a JID")
}

pub(crate) fn sid(text: &str) -> Sid {
    Sid::new(text).expect("a sid")
}

/// A StreamHost of `jid` at `HOST:PORT`.
pub(crate) fn host(of: &str, at: &str) -> StreamHost {
    let (host, port) = at.rsplit_once(':').expect("a port");
    StreamHost {
        jid: jid(of),
        host: host.into(),
        port: port.parse().expect("a port"),
    }
}

pub(crate) fn query(sid_text: Option<&str>, content: BytestreamsContent) -> Payload {
    Payload::Bytestreams(Box::new(Bytestreams {
        sid: sid_text.map(sid),
        mode: Mode::Tcp,
        dstaddr: None,
        content,
    }))
}

pub(crate) fn error(error: impl Into<StanzaError>) -> IqBody {
    IqBody::Error(Box::new(error.into()))
}

pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

pub(crate) fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// Every way to cut `input` in up to three pieces.
pub(crate) fn cuttings(input: &[u8]) -> impl Iterator<Item = [&[u8]; 3]> {
    (0..=input.len()).flat_map(move |first| {
        (first..=input.len())
            .map(move |second| [&input[..first], &input[first..second], &input[second..]])
    })
}

/// Makes the table of what every phase makes of every input. `run` answers with the outputs, and
/// whether the input was handed back, and the phase afterwards.
pub(crate) fn table(
    phases: &[&str],
    inputs: &[&str],
    run: impl Fn(&str, &str) -> (String, bool, &'static str),
) -> String {
    let mut table = String::from("# phase | input | outputs | phase\n");
    for phase in phases {
        for input in inputs {
            let (said, taken, after) = run(phase, input);
            let said = match (&*said, taken) {
                ("", true) => "-",
                ("", false) => "(not taken)",
                (said, _) => said,
            };
            table.push_str(&format!("{phase} | {input} | {said} | {after}\n"));
        }
    }
    table
}

/// Holds a table against the one that was looked over.
pub(crate) fn compare(table: &str, expected: &str) {
    for (is, should) in table.lines().zip(expected.lines()) {
        assert_eq!(is, should);
    }
    assert_eq!(table, expected, "{table}");
}
