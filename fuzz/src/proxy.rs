//! A proxy in the deterministic world, between two ends that say anything to it; the octets are
//! their choices.

#[path = "../../crates/socks5/tests/world/relay.rs"]
mod relay;

use alloc::collections::{BTreeMap, VecDeque};
use bytes::Bytes;
use bytestreams_machine::{
    ConnId, Input, Instant, Machine, NetCommand, NetInput, Output, Stack, Token,
};
use bytestreams_sim::{App, Chooser, Context, Faults, NetFaults, Scripted, World, babble};
use bytestreams_socks5::{Allowed, DstAddr, Proxy, ProxyConfig, ProxyEvent};
use bytestreams_stanza::{
    Bytestreams, BytestreamsContent, DiscoInfo, Fault, Id, Invalid, Iq, IqBody, Jid, Mode, Payload,
    Sid, Stanza, ns,
};
use core::convert::Infallible;
use core::time::Duration;
use relay::{Relay, proxy_host};

const ROMEO: &str = "romeo@montague.lit/orchard";
const JULIET: &str = "juliet@capulet.lit/balcony";
const PROXY: &str = "streams.montague.lit";
const SIDS: [&str; 2] = ["vxf9n471bn46", "s2"];

/// Things that one end does, at most.
const DEEDS: u32 = 48;

fn jid(text: &str) -> Jid {
    Jid::new(text).expect(text)
}

fn sid(nth: u32) -> Sid {
    Sid::new(SIDS[nth as usize % SIDS.len()]).expect("a sid")
}

/// Whoever has connections to the proxy and asks it things.
#[derive(Default)]
struct Client {
    out: VecDeque<Output<Infallible>>,
    conns: Vec<ConnId>,
    /// What is to be said first on each new connection.
    openings: BTreeMap<Token, Bytes>,
    fresh: Vec<(ConnId, Bytes)>,
    /// Requests without an answer.
    asked: BTreeMap<Id, ()>,
    wrong: Option<&'static str>,
}

impl Machine for Client {
    type Event = Infallible;

    fn handle_input(&mut self, input: Input, _now: Instant) -> Option<Input> {
        match input {
            Input::Net(NetInput::Connected(token, conn)) => {
                self.conns.push(conn);
                let opening = self.openings.remove(&token);
                self.fresh.extend(opening.map(|opening| (conn, opening)));
                self.out.push_back(Output::Net(NetCommand::Detach(conn)));
            }
            Input::Stanza(Stanza::Iq(iq)) => {
                let answered = self.asked.remove(&iq.id).is_some();
                if !answered || iq.request().is_some() {
                    self.wrong = Some("the proxy says what nobody asked");
                }
            }
            Input::Net(_) | Input::Stanza(_) => {}
        }
        None
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output<Infallible>> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// What one end does.
struct Deeds {
    left: u32,
    next: Option<Instant>,
    words: Vec<Bytes>,
    shut: Vec<ConnId>,
}

impl Deeds {
    fn new() -> Self {
        Self {
            left: DEEDS,
            next: Some(Instant::ZERO),
            words: words(),
            shut: Vec::new(),
        }
    }

    /// One of the open connections: the newest, or any.
    fn any(&self, client: &Client, cx: &mut Context<'_>) -> Option<ConnId> {
        let open = client.conns.iter().filter(|conn| !self.shut.contains(conn));
        let open: Vec<ConnId> = open.rev().copied().collect();
        if cx.chooser.choose(2) == 0 {
            return open.first().copied();
        }
        let picked = cx.chooser.choose(open.len() as u32) as usize;
        open.get(picked).copied()
    }

    /// Something to say: every other time a whole handshake, greeting and request at once.
    fn word(&self, cx: &mut Context<'_>) -> Bytes {
        let known = self.words.len() as u32;
        let picked = match cx.chooser.choose(2 * (known + 1)) {
            n if n > known => 1,
            n => n,
        };
        match self.words.get(picked as usize) {
            Some(word) => word.clone(),
            None => (0..=cx.chooser.choose(8))
                .map(|_| cx.chooser.choose(256) as u8)
                .collect(),
        }
    }

    fn deed(&mut self, client: &mut Client, cx: &mut Context<'_>) -> Option<()> {
        match cx.chooser.choose(16) {
            0 => self.left = 0,
            1..=4 => {
                let host = proxy_host(jid(PROXY));
                let token = Token(u64::from(self.left));
                let opening = self.word(cx);
                client.openings.insert(token, opening);
                client
                    .out
                    .push_back(Output::Net(NetCommand::Connect(token, host)));
            }
            5..=10 => {
                let conn = self.any(client, cx)?;
                let word = self.word(cx);
                cx.net(NetCommand::Send(conn, word));
            }
            11..=13 => {
                let iq = request(self.left, cx.chooser);
                client.asked.insert(iq.id.clone(), ());
                client.out.push_back(Output::Stanza(iq.into()));
            }
            14 => {
                let conn = self.any(client, cx)?;
                self.shut.push(conn);
                cx.net(NetCommand::ShutdownWrite(conn));
            }
            _ => {
                let conn = self.any(client, cx)?;
                self.close(conn, client, cx);
            }
        }
        Some(())
    }

    fn close(&mut self, conn: ConnId, client: &mut Client, cx: &mut Context<'_>) {
        client.conns.retain(|open| *open != conn);
        cx.net(NetCommand::Close(conn));
    }
}

impl App for Deeds {
    type Machine = Client;

    fn event(&mut self, _: &mut Client, event: Infallible, _: &mut Context<'_>) {
        match event {}
    }

    fn act(&mut self, client: &mut Client, cx: &mut Context<'_>) {
        for (conn, opening) in core::mem::take(&mut client.fresh) {
            cx.net(NetCommand::Send(conn, opening));
        }
        if self.next.take_if(|at| *at <= cx.now).is_some() && self.left > 0 {
            let _ = self.deed(client, cx);
            self.left = self.left.saturating_sub(1);
            let pause = match cx.chooser.choose(16) {
                14 => 11_000,
                15 => 61_000,
                n => [0, 40, 400][n as usize % 3],
            };
            self.next = Some(cx.now + Duration::from_millis(pause));
        }
        if self.left == 0 {
            for conn in client.conns.clone() {
                self.close(conn, client, cx);
            }
        }
    }

    fn wake(&self) -> Option<Instant> {
        self.next
    }

    fn is_done(&self) -> bool {
        self.left == 0
    }

    fn octets(&mut self, client: &mut Client, conn: ConnId, octets: Bytes, cx: &mut Context<'_>) {
        if octets.is_empty() && client.conns.contains(&conn) {
            self.close(conn, client, cx);
        }
    }
}

/// What is said on connections.
fn words() -> Vec<Bytes> {
    let mut words = vec![Bytes::from_static(&[5, 1, 0])];
    for nth in [0, 1] {
        for (requester, target) in [(ROMEO, JULIET), (JULIET, ROMEO)] {
            let mut request = vec![5, 1, 0, 3, 40];
            let addr = DstAddr::new(&sid(nth), &jid(requester), &jid(target));
            request.extend_from_slice(addr.as_str().as_bytes());
            request.extend_from_slice(&[0, 0]);
            words.push([&[5, 1, 0], &request[..]].concat().into());
            words.push(request.into());
        }
    }
    words.push(Bytes::from_static(&[5; 255]));
    words.push(Bytes::from(vec![7; 600]));
    words
}

/// What is asked of the proxy.
fn request(nth: u32, chooser: &mut dyn Chooser) -> Iq {
    let target = [JULIET, ROMEO, JULIET, "nurse@capulet.lit"][chooser.choose(4) as usize];
    let content = match chooser.choose(8) {
        5 => BytestreamsContent::Hosts(Vec::new()),
        6 => BytestreamsContent::Hosts(vec![proxy_host(jid(target))]),
        7 => BytestreamsContent::Used(jid(target)),
        _ => BytestreamsContent::Activate(jid(target)),
    };
    let query = Bytestreams {
        sid: (chooser.choose(8) < 7).then(|| sid(chooser.choose(4) / 3)),
        mode: [Mode::Tcp, Mode::Udp][(chooser.choose(8) / 7) as usize],
        dstaddr: None,
        content,
    };
    let payload = match chooser.choose(16) {
        13 => Payload::DiscoInfo(Box::<DiscoInfo>::default()),
        14 => Payload::Invalid(Box::new(Invalid {
            ns: ns::BYTESTREAMS.into(),
            name: "query".into(),
            sid: None,
            fault: [Fault::Limit("hosts"), Fault::BadValue("activate")][chooser.choose(2) as usize],
        })),
        15 => Payload::Ping,
        _ => Payload::Bytestreams(Box::new(query)),
    };
    let id = Id::from(&*format!("{nth}"));
    let body = match chooser.choose(4) {
        3 => IqBody::Get(payload),
        _ => IqBody::Set(payload),
    };
    Iq::answer(Some(jid(PROXY)), id, body)
}

/// A relay that looks at what it is told.
struct Watch {
    relay: Relay,
    wrong: Option<String>,
}

impl App for Watch {
    type Machine = Stack<Proxy>;

    fn event(&mut self, stack: &mut Stack<Proxy>, event: ProxyEvent, cx: &mut Context<'_>) {
        if let ProxyEvent::Activated {
            addr,
            first,
            second,
            requester,
            target,
        } = &event
        {
            let agreed = |nth| DstAddr::new(&sid(nth), requester, target) == *addr;
            if !(agreed(0) || agreed(1)) || first == second {
                self.wrong = Some(format!("{event:?}"));
            }
        }
        self.relay.event(stack, event, cx);
    }

    fn act(&mut self, stack: &mut Stack<Proxy>, cx: &mut Context<'_>) {
        self.relay.act(stack, cx);
    }

    fn wake(&self) -> Option<Instant> {
        self.relay.wake()
    }

    fn is_done(&self) -> bool {
        self.relay.is_done()
    }

    fn octets(
        &mut self,
        stack: &mut Stack<Proxy>,
        conn: ConnId,
        octets: Bytes,
        cx: &mut Context<'_>,
    ) {
        self.relay.octets(stack, conn, octets, cx);
    }

    fn reset(&mut self, stack: &mut Stack<Proxy>, conn: ConnId, cx: &mut Context<'_>) {
        self.relay.reset(stack, conn, cx);
    }
}

type Streams = World<Deeds, Deeds, Watch>;

/// The laws, after each step: bounds hold, and nobody activates what is not his.
fn hold(world: &Streams, config: &ProxyConfig) -> Result<(), String> {
    if let Some(wrong) = &world.third.app.wrong {
        return Err(wrong.clone());
    }
    for client in [&world.left.machine, &world.right.machine] {
        if let Some(wrong) = client.wrong {
            return Err(wrong.into());
        }
    }
    let stats = world.third.machine.machine.stats();
    let all = stats.handshaking + stats.waiting + 2 * stats.active;
    if stats.handshaking > config.handshakes
        || stats.active > config.sessions
        || all > config.connections
    {
        return Err(format!("beyond its bounds: {stats:?}"));
    }
    Ok(())
}

/// A proxy, two ends that connect to it, say and ask anything, and an intruder: nothing leaks, the
/// bounds hold, every request is answered once, and only what belongs together is paired.
pub fn proxy(data: &[u8]) {
    let mut chooser = Scripted::from_octets(data);
    let choose: &mut dyn Chooser = &mut chooser;
    let config = ProxyConfig {
        allowed: match choose.choose(4) {
            0 => Allowed::Any,
            1 => Allowed::Domains(Vec::new()),
            _ => Allowed::Domains(vec!["montague.lit".into()]),
        },
        sessions: 1 + choose.choose(2) as usize,
        sessions_a_jid: 1 + choose.choose(2) as usize,
        handshakes: 1 + choose.choose(8) as usize,
        connections: 2 + choose.choose(9) as usize,
        connections_a_source: 1 + choose.choose(4) as usize,
        ..ProxyConfig::default()
    };
    let (own, stack, relay) = relay::proxy(jid(PROXY), config.clone());
    let watch = Watch { relay, wrong: None };
    let mut world = World::with_third(
        (jid(ROMEO), Client::default(), Deeds::new()),
        (jid(JULIET), Client::default(), Deeds::new()),
        (own, stack, watch),
    );
    world.link.faults = Faults {
        stall: 30,
        budget: u32::MAX,
        ..Faults::NONE
    };
    world.net.faults = [NetFaults::HARMLESS, NetFaults::SOME][choose.choose(2) as usize];
    world.net.intruder = Some(babble(words(), 6));
    world.bounds.time = Duration::from_secs(20_000);
    if let Err(broken) = world.run(&mut chooser, |world| hold(world, &config)) {
        panic!("{broken}");
    }
    for client in [&world.left.machine, &world.right.machine] {
        assert!(client.asked.is_empty(), "{:?} has no answer", client.asked);
    }
    let stats = world.third.machine.machine.stats();
    let left = stats.handshaking + stats.waiting + stats.active;
    assert_eq!(left, 0, "nobody is connected: {stats:?}");
    assert_eq!(
        world.third.machine.machine.poll_timeout(),
        None,
        "{stats:?}"
    );
}
