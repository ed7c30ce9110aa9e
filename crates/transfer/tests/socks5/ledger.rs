//! Whatever happens, in whatever order: every connection that the machine was told of is closed
//! once, and every transfer has one end.

use crate::common::*;
use crate::hand::*;
use alloc::collections::{BTreeMap, BTreeSet};
use bytes::Bytes;
use bytestreams_machine::{
    ConnId, ConnectError, Input, ListenId, Machine, NetCommand, NetInput, Output, Token,
};
use bytestreams_stanza::{Condition, Iq, IqBody, Payload, Range, Stanza, ns};
use bytestreams_transfer::{ConnEnd, Event, TransferId, Ways};
use core::time::Duration;

/// A driver that obeys its contract and chooses at random, with a peer that does not.
struct Walk {
    solo: Solo,
    state: u64,
    next_conn: u64,
    next_entropy: u8,
    /// Attempts that wait for their answer.
    attempts: BTreeSet<Token>,
    listens: BTreeSet<ListenId>,
    /// Connections that are open, and whether they are the application's.
    open: BTreeMap<ConnId, bool>,
    /// What was sent last on each.
    sent: BTreeMap<ConnId, Bytes>,
    given: usize,
    closed: usize,
    /// Requests that were sent and may be answered.
    asked: Vec<Iq>,
    live: BTreeSet<TransferId>,
    over: BTreeSet<TransferId>,
    established: u32,
}

impl Walk {
    fn choose(&mut self, n: u64) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % n
    }

    fn pick<T: Clone>(&mut self, all: impl IntoIterator<Item = T>) -> Option<T> {
        let all: Vec<T> = all.into_iter().collect();
        let n = self.choose(all.len().max(1) as u64);
        all.get(n as usize).cloned()
    }

    fn drain(&mut self) {
        while let Some(output) = self.solo.stack.poll_output() {
            match output {
                Output::Stanza(Stanza::Iq(iq)) if iq.request().is_some() => self.asked.push(iq),
                Output::Stanza(_) => {}
                Output::Net(command) => self.carry_out(command),
                Output::Event(event) => self.hear(event),
            }
        }
        let due = self.solo.stack.poll_timeout();
        assert!(due.is_none_or(|due| due > self.solo.now || self.solo.now.as_micros() == 0));
    }

    fn carry_out(&mut self, command: NetCommand) {
        match command {
            NetCommand::Listen(id) => assert!(self.listens.insert(id)),
            NetCommand::Unlisten(id) => assert!(self.listens.remove(&id)),
            NetCommand::Connect(token, _) => assert!(self.attempts.insert(token)),
            NetCommand::Send(conn, octets) => {
                self.sent.insert(conn, octets);
                assert_eq!(self.open.get(&conn), Some(&false), "{conn:?}");
            }
            NetCommand::ShutdownWrite(conn) => {
                assert_eq!(self.open.get(&conn), Some(&true), "{conn:?}");
            }
            NetCommand::Detach(conn) => {
                assert_eq!(self.open.insert(conn, true), Some(false), "{conn:?}");
            }
            NetCommand::Close(conn) => {
                assert!(self.open.remove(&conn).is_some(), "{conn:?} closed twice");
                self.closed += 1;
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Offered { id, .. } => {
                assert!(self.live.insert(id));
            }
            Event::Done { id } | Event::Failed { id, .. } => {
                self.live.remove(&id);
                assert!(self.over.insert(id), "{id:?} ends twice");
            }
            Event::Established { id, conn, .. } => {
                assert!(self.live.contains(&id));
                if let Some(conn) = conn {
                    assert_eq!(self.open.get(&conn), Some(&true), "not detached");
                    self.established += 1;
                }
            }
            Event::Accepted { id, .. } | Event::FellBack { id, .. } | Event::Ended { id } => {
                assert!(self.live.contains(&id), "{id:?} after its end");
            }
            _ => {}
        }
    }

    fn conn(&mut self) -> ConnId {
        self.next_conn += 1;
        self.given += 1;
        let conn = ConnId(self.next_conn);
        self.open.insert(conn, false);
        conn
    }

    fn net(&mut self, input: NetInput) {
        let rest = self
            .solo
            .stack
            .handle_input(Input::Net(input), self.solo.now);
        assert_eq!(rest, None);
    }

    fn peer_sends(&mut self, id: &str, payload: Payload) {
        let mut iq = Iq::set(Some(jid(ME)), id.into(), payload);
        iq.from = Some(jid(PEER));
        let input = Input::Stanza(iq.into());
        let _ = self.solo.stack.handle_input(input, self.solo.now);
    }

    fn reply(&mut self) {
        let n = self.choose(self.asked.len().max(1) as u64) as usize;
        if n >= self.asked.len() {
            return;
        }
        let asked = self.asked.swap_remove(n);
        let mut answer = match (asked.request(), self.choose(8)) {
            (_, 0) => error(&asked.id, Condition::ItemNotFound),
            (_, 1) => result(&asked.id),
            (Some(Payload::Si(_)), _) => {
                let values = [ns::BYTESTREAMS, ns::IBB];
                let some = &values[self.choose(2) as usize..];
                Iq::answer(None, asked.id.clone(), acceptance(some, None))
            }
            (Some(Payload::Bytestreams(_)), 2..=4) => used(&asked, ME),
            (Some(Payload::Bytestreams(query)), _) if query.sid.is_some() => used(&asked, PROXY),
            (Some(Payload::Bytestreams(_)), _) => {
                let hosts = addresses(&[host(PROXY, "192.0.2.1", 5000)]);
                Iq::answer(None, asked.id.clone(), IqBody::Result(Some(hosts)))
            }
            _ => result(&asked.id),
        };
        answer.from.clone_from(&asked.to);
        let input = Input::Stanza(answer.into());
        let _ = self.solo.stack.handle_input(input, self.solo.now);
    }

    /// What comes on a connection: the next step of its handshake as a rule.
    fn octets(&mut self, conn: ConnId) -> Vec<u8> {
        if self.choose(6) == 0 {
            return match self.choose(3) {
                0 => GREETING.to_vec(),
                1 => socks(1, &sid("s1"), ME, PEER),
                _ => b"octets".to_vec(),
            };
        }
        match self.sent.get(&conn).map(|octets| octets.to_vec()) {
            None => GREETING.to_vec(),
            Some(sent) if sent == GREETING => CHOSEN.to_vec(),
            Some(sent) if sent == CHOSEN => {
                let live = self.live.clone();
                let id = self.pick(live);
                let stream = id.and_then(|id| self.solo.transfers().sid(id).cloned());
                socks(1, &stream.unwrap_or_else(|| sid("s1")), ME, PEER)
            }
            Some(mut sent) if sent.get(1) == Some(&1) => {
                sent[1] = 0;
                if self.choose(4) == 0 {
                    sent.extend_from_slice(b"early");
                }
                sent
            }
            Some(_) => b"octets".to_vec(),
        }
    }

    fn step(&mut self) {
        let now = self.solo.now;
        let stream = format!("s{}", self.choose(4));
        let live = self.live.clone();
        let chosen = self.pick(live);
        match self.choose(16) {
            0 => {
                self.next_entropy = self.next_entropy.wrapping_add(1);
                let entropy = entropy(self.next_entropy);
                let transfers = &mut self.solo.stack.machine;
                let id = if self.next_entropy % 4 == 0 {
                    transfers.open(jid(PEER), plain(), entropy, now)
                } else {
                    transfers.offer(jid(PEER), file(9), plain(), entropy, now)
                };
                self.live.insert(id);
            }
            1 => {
                let size = self.choose(2) * 9;
                let offer = offer_of(&stream, file(size), &[ns::BYTESTREAMS, ns::IBB]);
                self.peer_sends("si", offer);
            }
            2 => {
                let theirs = [host(PEER, "192.0.2.5", 1), host(PROXY, "192.0.2.1", 2)];
                let theirs = hosts(&stream, &theirs);
                let id = format!("q{}", self.choose(3));
                self.peer_sends(&id, theirs);
            }
            3 => self.peer_sends("open", open(&stream, 4096)),
            4 => self.peer_sends("close", close(&stream)),
            5..=6 => self.reply(),
            7 => {
                let listens = self.listens.clone();
                if let Some(listen) = self.pick(listens) {
                    if self.choose(2) == 0 {
                        let addr = "192.0.2.3:4000".parse().expect("an address");
                        self.net(NetInput::Listening(listen, addr));
                    } else {
                        let conn = self.conn();
                        let from = "192.0.2.9:4711".parse().expect("an address");
                        self.net(NetInput::Accepted { listen, conn, from });
                    }
                }
            }
            8 => {
                let attempts = self.attempts.clone();
                if let Some(token) = self.pick(attempts) {
                    self.attempts.remove(&token);
                    if self.choose(3) == 0 {
                        self.net(NetInput::Failed(token, ConnectError::Refused));
                    } else {
                        let conn = self.conn();
                        self.net(NetInput::Connected(token, conn));
                    }
                }
            }
            9..=11 => {
                let open = self.open.clone();
                if let Some((conn, detached)) = self.pick(open) {
                    if self.choose(12) == 0 {
                        self.net(NetInput::Closed(conn));
                    } else if !detached {
                        let octets = Bytes::from(self.octets(conn));
                        self.net(NetInput::Received(conn, octets));
                    }
                }
            }
            12 => {
                let ms = [1, 300, 3_000, 31_000][self.choose(4) as usize];
                let until = now + Duration::from_millis(ms);
                while let Some(due) = self.solo.stack.poll_timeout().filter(|due| *due <= until) {
                    self.solo.now = self.solo.now.max(due);
                    self.solo.stack.handle_timeout(self.solo.now);
                    self.drain();
                }
                self.solo.now = until;
            }
            13 => {
                if let Some(id) = chosen {
                    let _ = self.solo.transfers().accept(id, Range::default(), now);
                }
            }
            14 => {
                if let Some(id) = chosen {
                    let _ = self.solo.transfers().early(id);
                    self.solo.transfers().moved(id, 9, now);
                }
            }
            _ => {
                if let Some(id) = chosen {
                    let transfers = self.solo.transfers();
                    let _ = match self.state >> 40 & 7 {
                        0 => transfers.cancel(id, now),
                        1 => transfers.finish(id, now),
                        2 => transfers.completed(id, Ok(()), now),
                        3 => transfers.ended(id, Err(ConnEnd::Reset), now),
                        _ => transfers.ended(id, Ok(()), now),
                    };
                }
            }
        }
        self.drain();
    }

    /// Answers what is still asked of the driver.
    fn settle(&mut self) {
        for token in core::mem::take(&mut self.attempts) {
            let conn = self.conn();
            self.net(NetInput::Connected(token, conn));
            self.drain();
        }
    }
}

#[test]
fn every_connection_is_closed_once_whatever_happens() {
    let mut established = 0;
    let mut given = 0;
    for seed in 0..400 {
        let mut config = strangers(bare());
        config.socks5.listen = seed % 3 > 0;
        config.socks5.proxies = vec![jid(PROXY)];
        if seed % 7 == 0 {
            config.socks5.ways = Ways::Proxied;
        }
        let mut walk = Walk {
            solo: Solo::with(config),
            state: seed,
            next_conn: 0,
            next_entropy: 0,
            attempts: BTreeSet::new(),
            listens: BTreeSet::new(),
            open: BTreeMap::new(),
            sent: BTreeMap::new(),
            given: 0,
            closed: 0,
            asked: Vec::new(),
            live: BTreeSet::new(),
            over: BTreeSet::new(),
            established: 0,
        };
        for _ in 0..400 {
            walk.step();
        }
        let now = walk.solo.now;
        if seed % 2 == 0 {
            walk.solo.transfers().link_lost(now);
        } else {
            for id in walk.live.clone() {
                let _ = walk.solo.transfers().cancel(id, now);
            }
        }
        walk.drain();
        walk.settle();
        assert!(walk.live.is_empty(), "{seed}: {:?}", walk.live);
        assert!(walk.open.is_empty(), "{seed}: {:?}", walk.open);
        assert!(walk.listens.is_empty(), "{seed}");
        assert_eq!(walk.given, walk.closed, "{seed}");
        established += walk.established;
        given += walk.given;
    }
    println!("{given} connections, {established} of them established");
    assert!(established > 100, "{established}");
}
