//! The two SOCKS5 handshakes, and the machines that lead them.
//!
//! The first octet says how long the pieces are that the rest comes in. Whole, in those pieces and
//! octet by octet, the same comes of it.

use bytes::Bytes;
use bytestreams_machine::{
    ConnId, HANDSHAKE_OCTETS, Input, Instant, ListenId, Machine, NetCommand, NetInput, Output, Own,
    Token,
};
use bytestreams_socks5::{
    Client, ClientStep, DstAddr, FailedHosts, Inbound, Proxy, ProxyConfig, Server, ServerStep,
    Target,
};
use bytestreams_stanza::{
    Bytestreams, BytestreamsContent, Iq, Jid, Mode, Payload, Sid, Stanza, StreamHost,
};
use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr};

/// What a peer sends, in three cuttings.
fn cuttings(data: &[u8]) -> Option<[Vec<&[u8]>; 3]> {
    let (&len, octets) = data.split_first()?;
    let octets = &octets[..octets.len().min(HANDSHAKE_OCTETS)];
    let pieces = octets.chunks(usize::from(len % 64) + 1);
    Some([
        Vec::from([octets]),
        pieces.collect(),
        octets.chunks(1).collect(),
    ])
}

/// The same from each cutting.
fn same<T: Debug + PartialEq>(data: &[u8], run: impl Fn(&[&[u8]]) -> T) {
    let Some([whole, pieces, octets]) = cuttings(data) else {
        return;
    };
    let expected = run(&whole);
    assert_eq!(run(&pieces), expected);
    assert_eq!(run(&octets), expected);
}

/// The handshake of who connects, alone and led by a Target.
pub fn socks5_client(data: &[u8]) {
    same(data, |pieces| {
        let mut client = Client::new(addr());
        let mut sent = 0;
        let mut end = None;
        let mut early = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            while end.is_none() {
                match client.handle(&mut input) {
                    ClientStep::More => break,
                    ClientStep::Send(octets) => sent += octets.len(),
                    step @ (ClientStep::Connected | ClientStep::Failed(_)) => end = Some(step),
                }
            }
            match end {
                Some(ClientStep::Connected) => early.extend_from_slice(input),
                Some(_) => {}
                None => assert!(input.is_empty()),
            }
        }
        assert!(sent == 0 || sent == 47);
        (sent, end, early)
    });
    same(data, |pieces| {
        let iq = offer();
        let own = Own { jid: juliet() };
        let memory = FailedHosts::default();
        let mut target = Target::new(&iq, own, Token(0), &memory, Instant::ZERO).expect("an offer");
        let conn = ConnId(1);
        let mut said = Said::default();
        said.listen(&mut target);
        said.give(&mut target, NetInput::Connected(Token(0), conn));
        for piece in pieces {
            let octets = Bytes::copy_from_slice(piece);
            said.give(&mut target, NetInput::Received(conn, octets));
        }
        (said, target.early())
    });
}

/// The handshake of who is connected to, alone and led by the listeners of a link and of a proxy.
pub fn socks5_server(data: &[u8]) {
    same(data, |pieces| {
        let mut server = Server::new();
        let mut sent = Vec::new();
        let mut end = None;
        let mut early = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            while end.is_none() {
                match server.handle(&mut input) {
                    ServerStep::More => break,
                    ServerStep::Send(octets) => sent.push(octets),
                    step @ (ServerStep::Requested(_) | ServerStep::Failed { .. }) => {
                        sent.extend([server.accept(), server.refuse()]);
                        end = Some(step);
                    }
                }
            }
            match end {
                Some(ServerStep::Requested(_)) => early.extend_from_slice(input),
                Some(_) => {}
                None => assert!(input.is_empty()),
            }
        }
        assert!(sent.len() <= 3);
        (sent, end, early)
    });
    same(data, |pieces| {
        let mut inbound = Inbound::default();
        inbound.expect(addr());
        let said = accepted(&mut inbound, pieces);
        (said, inbound.take(ConnId(1)))
    });
    same(data, |pieces| {
        let mut proxy = Proxy::new(ProxyConfig::default());
        let said = accepted(&mut proxy, pieces);
        (said, proxy.stats())
    });
}

fn accepted<M: Machine<Event: Debug>>(machine: &mut M, pieces: &[&[u8]]) -> Said {
    let (listen, conn) = (ListenId(1), ConnId(1));
    let from = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 1));
    let mut said = Said::default();
    said.give(machine, NetInput::Accepted { listen, conn, from });
    for piece in pieces {
        let octets = Bytes::copy_from_slice(piece);
        said.give(machine, NetInput::Received(conn, octets));
    }
    said
}

/// What a machine had its driver do.
#[derive(Debug, Default, PartialEq)]
struct Said {
    sent: Vec<Bytes>,
    closed: bool,
    detached: bool,
    stanzas: Vec<Stanza>,
    events: Vec<String>,
}

impl Said {
    fn give<M: Machine<Event: Debug>>(&mut self, machine: &mut M, input: NetInput) {
        // A driver says nothing more of what was closed or detached.
        if !self.closed && !self.detached {
            let rest = machine.handle_input(Input::Net(input), Instant::ZERO);
            assert_eq!(rest, None);
            self.listen(machine);
        } else if let (true, NetInput::Received(..)) = (self.detached, &input) {
            // But what it had read already.
            machine.handle_input(Input::Net(input), Instant::ZERO);
        }
    }

    fn listen<M: Machine<Event: Debug>>(&mut self, machine: &mut M) {
        while let Some(output) = machine.poll_output() {
            match output {
                Output::Net(NetCommand::Send(_, octets)) => {
                    assert!(!self.closed && !self.detached);
                    self.sent.push(octets);
                }
                Output::Net(NetCommand::Close(_)) => {
                    assert!(!self.closed && !self.detached);
                    self.closed = true;
                }
                Output::Net(NetCommand::Detach(_)) => self.detached = true,
                Output::Net(_) => {}
                Output::Stanza(stanza) => self.stanzas.push(stanza),
                Output::Event(event) => self.events.push(format!("{event:?}")),
            }
        }
        assert!(self.sent.len() <= 3 && self.stanzas.len() <= 1 && self.events.len() <= 1);
    }
}

fn romeo() -> Jid {
    Jid::new("romeo@montague.lit/orchard").expect("a JID")
}

fn juliet() -> Jid {
    Jid::new("juliet@capulet.lit/balcony").expect("a JID")
}

fn sid() -> Sid {
    Sid::new("vj3hs98y").expect("a sid")
}

/// 972b7bf47291ca609517f67f86b5081086052dad
fn addr() -> DstAddr {
    DstAddr::new(&sid(), &romeo(), &juliet())
}

fn offer() -> Iq {
    let host = StreamHost {
        jid: romeo(),
        host: "192.0.2.1".into(),
        port: 5086,
    };
    let query = Bytestreams {
        sid: Some(sid()),
        mode: Mode::Tcp,
        dstaddr: None,
        content: BytestreamsContent::Hosts(Vec::from([host])),
    };
    let mut iq = Iq::set(None, "q".into(), Payload::Bytestreams(Box::new(query)));
    iq.from = Some(romeo());
    iq
}
