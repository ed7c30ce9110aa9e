//! A proxy as the third end of a world, and what its application does.

use bytes::Bytes;
use bytestreams_machine::{ConnId, Instant, ListenId, NetCommand, Stack};
use bytestreams_sim::{App, Context, Net, Side};
use bytestreams_socks5::{DstAddr, Proxy, ProxyConfig, ProxyEvent};
use bytestreams_stanza::{Jid, StreamHost};
use core::time::Duration;

/// How long it relays between connections on which nothing happens.
const PATIENCE: Duration = Duration::from_secs(100);

/// An end that is a proxy. It tells where it listens, whatever `config` says.
pub(crate) fn proxy(jid: Jid, config: ProxyConfig) -> (Jid, Stack<Proxy>, Relay) {
    let config = ProxyConfig {
        hosts: vec![proxy_host(jid.clone())],
        ..config
    };
    let responder = Proxy::responder("urn:test", "a proxy");
    (jid, Stack::new(Proxy::new(config), responder), Relay::new())
}

/// Where it listens, known before it does.
pub(crate) fn proxy_host(jid: Jid) -> StreamHost {
    let [address, _] = Net::addresses_of(Side::Third);
    StreamHost {
        jid,
        host: address.to_string().as_str().into(),
        port: Net::port_of(Side::Third),
    }
}

/// What a proxy does with its connections.
pub(crate) struct Relay {
    pub(crate) sessions: Vec<Session>,
    listens: bool,
    /// How many it has relayed.
    pub(crate) activated: u32,
}

pub(crate) struct Session {
    addr: DstAddr,
    ends: [Leg; 2],
    until: Instant,
}

#[derive(Clone, Copy)]
struct Leg {
    conn: ConnId,
    ended: bool,
}

impl Relay {
    pub(crate) fn new() -> Self {
        Self {
            sessions: Vec::new(),
            listens: false,
            activated: 0,
        }
    }

    fn end(&mut self, nth: usize, proxy: &mut Proxy, cx: &mut Context<'_>) {
        let session = self.sessions.remove(nth);
        for leg in session.ends {
            cx.net(NetCommand::Close(leg.conn));
        }
        proxy.ended(session.addr);
    }

    fn of(&self, conn: ConnId) -> (usize, usize) {
        let found = self.sessions.iter().enumerate().find_map(|(nth, session)| {
            let leg = session.ends.iter().position(|leg| leg.conn == conn)?;
            Some((nth, leg))
        });
        found.expect("a connection that is relayed")
    }
}

impl App for Relay {
    type Machine = Stack<Proxy>;

    fn event(&mut self, stack: &mut Stack<Proxy>, event: ProxyEvent, cx: &mut Context<'_>) {
        let ProxyEvent::Activated {
            addr,
            first,
            second,
            ..
        } = event
        else {
            panic!("{event:?}");
        };
        self.activated += 1;
        for (from, to) in [(first, second), (second, first)] {
            let early = stack.machine.early(from);
            if !early.is_empty() {
                cx.net(NetCommand::Send(to, early));
            }
        }
        let leg = |conn| Leg { conn, ended: false };
        self.sessions.push(Session {
            addr,
            ends: [leg(first), leg(second)],
            until: cx.now + PATIENCE,
        });
    }

    fn act(&mut self, stack: &mut Stack<Proxy>, cx: &mut Context<'_>) {
        if !core::mem::replace(&mut self.listens, true) {
            cx.net(NetCommand::Listen(ListenId(1)));
        }
        let mut idle = |session: &Session| session.until <= cx.now;
        if let Some(nth) = self.sessions.iter().position(&mut idle) {
            self.end(nth, &mut stack.machine, cx);
        }
    }

    fn wake(&self) -> Option<Instant> {
        self.sessions.iter().map(|session| session.until).min()
    }

    fn is_done(&self) -> bool {
        true
    }

    fn octets(
        &mut self,
        stack: &mut Stack<Proxy>,
        conn: ConnId,
        octets: Bytes,
        cx: &mut Context<'_>,
    ) {
        let (nth, leg) = self.of(conn);
        let session = &mut self.sessions[nth];
        session.until = cx.now + PATIENCE;
        let other = session.ends[1 - leg].conn;
        if !octets.is_empty() {
            return cx.net(NetCommand::Send(other, octets));
        }
        session.ends[leg].ended = true;
        cx.net(NetCommand::ShutdownWrite(other));
        if session.ends.iter().all(|leg| leg.ended) {
            self.end(nth, &mut stack.machine, cx);
        }
    }

    fn reset(&mut self, stack: &mut Stack<Proxy>, conn: ConnId, cx: &mut Context<'_>) {
        let (nth, _) = self.of(conn);
        self.end(nth, &mut stack.machine, cx);
    }
}
