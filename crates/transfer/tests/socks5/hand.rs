//! Stanzas and sockets by hand.

use crate::common::*;
use bytes::Bytes;
use bytestreams_machine::{ConnId, ListenId, NetCommand, NetInput, Token};
use bytestreams_socks5::DstAddr;
use bytestreams_stanza::{
    Bytestreams, BytestreamsContent, Identity, Iq, IqBody, Jid, Mode, Payload, Range, Sid, Stanza,
    StreamHost, ns,
};
use bytestreams_transfer::{
    Config, Event, Keepalive, Method, Methods, Options, TransferId, Ways, Window,
};
use core::num::NonZeroU16;

pub(crate) const PROXY: &str = "proxy.montague.lit";
pub(crate) const SERVER: &str = "montague.lit";
pub(crate) const GREETING: &[u8] = &[5, 1, 0];
pub(crate) const CHOSEN: &[u8] = &[5, 0];
pub(crate) const BOTH: [Method; 2] = [Method::Socks5, Method::Ibb];

/// Both methods, nothing to listen on and no Proxy to look for.
pub(crate) fn bare() -> Config {
    let mut config = Config::default();
    config.methods = Methods::from_slice(&BOTH);
    config.socks5.listen = false;
    config.socks5.discover = false;
    config.keepalive = Keepalive::Off;
    config
}

/// Both methods, and a StreamHost of our own to tell.
pub(crate) fn advertising() -> Config {
    let mut config = bare();
    config.socks5.advertised = vec![("192.0.2.7".into(), 7777)];
    config
}

/// Both methods, and a Proxy that is given.
pub(crate) fn proxied() -> Config {
    let mut config = bare();
    config.socks5.ways = Ways::Proxied;
    config.socks5.proxies = vec![jid(PROXY)];
    config
}

pub(crate) fn strangers(mut config: Config) -> Config {
    config.allow_unannounced = true;
    config
}

/// One block at a time, so that nothing is asked of the peer.
pub(crate) fn plain() -> Options {
    let mut options = Options::default();
    options.window = Window::Blocks(NonZeroU16::MIN);
    options.block_size = NonZeroU16::new(4096);
    options
}

pub(crate) fn host(who: &str, address: &str, port: u16) -> StreamHost {
    StreamHost {
        jid: jid(who),
        host: address.into(),
        port,
    }
}

fn query(sid: Option<&Sid>, content: BytestreamsContent) -> Payload {
    Payload::Bytestreams(Box::new(Bytestreams {
        sid: sid.cloned(),
        mode: Mode::Tcp,
        dstaddr: None,
        content,
    }))
}

pub(crate) fn hosts(stream: &str, hosts: &[StreamHost]) -> Payload {
    query(
        Some(&sid(stream)),
        BytestreamsContent::Hosts(hosts.to_vec()),
    )
}

pub(crate) fn addresses(hosts: &[StreamHost]) -> Payload {
    query(None, BytestreamsContent::Hosts(hosts.to_vec()))
}

/// The answer of a Target.
pub(crate) fn used(request: &Iq, who: &str) -> Iq {
    let body = query(None, BytestreamsContent::Used(jid(who)));
    Iq::answer(None, request.id.clone(), IqBody::Result(Some(body)))
}

pub(crate) fn proxy_identity() -> Identity {
    Identity {
        category: "proxy".into(),
        kind: "bytestreams".into(),
        name: None,
    }
}

/// The StreamHosts of an offer of them.
#[track_caller]
pub(crate) fn offered_hosts(iq: &Iq) -> &[StreamHost] {
    match iq.request() {
        Some(Payload::Bytestreams(query)) => match &query.content {
            BytestreamsContent::Hosts(hosts) => hosts,
            other => panic!("{other:?}"),
        },
        other => panic!("no StreamHosts: {other:?}"),
    }
}

/// The methods of an offer.
#[track_caller]
pub(crate) fn offered_methods(iq: &Iq) -> Vec<&str> {
    match iq.request() {
        Some(Payload::Si(si)) => {
            let form = si.feature.as_ref().expect("a form");
            form.fields[0].options.iter().map(|o| &**o).collect()
        }
        other => panic!("no offer: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn is_open(iq: &Iq) -> bool {
    matches!(iq.request(), Some(Payload::Open(_)))
}

/// The request of a SOCKS5 client, or the reply of a server.
pub(crate) fn socks(second: u8, stream: &Sid, requester: &str, target: &str) -> Vec<u8> {
    let addr = DstAddr::new(stream, &jid(requester), &jid(target));
    let mut octets = vec![5, second, 0, 3, 40];
    octets.extend_from_slice(addr.as_str().as_bytes());
    octets.extend_from_slice(&[0, 0]);
    octets
}

impl Solo {
    /// Offers a file and has the peer accept; answers the next IQ.
    #[track_caller]
    pub(crate) fn consented(&mut self, size: u64, options: Options) -> (TransferId, Iq) {
        let id = self.offer(file(size), options);
        let offer = self.take_iq();
        self.consent(&offer, &[ns::BYTESTREAMS]);
        (id, self.take_iq())
    }

    #[track_caller]
    pub(crate) fn consent(&mut self, offer: &Iq, methods: &[&str]) {
        let consent = Iq::answer(None, offer.id.clone(), acceptance(methods, None));
        self.give(PEER, consent);
        let event = self.take_event();
        assert!(matches!(event, Event::Accepted { .. }), "{event:?}");
    }

    /// A file that the peer offered and we accepted.
    #[track_caller]
    pub(crate) fn accepted(
        &mut self,
        stream: &str,
        size: impl Into<Option<u64>>,
        methods: &[&str],
    ) -> TransferId {
        let mut file = file(0);
        file.size = size.into();
        self.set(PEER, "si-1", offer_of(stream, file, methods));
        let events = self.take_events();
        let Some(Event::Offered { id, .. }) = events.first() else {
            panic!("{events:?}")
        };
        let (id, now) = (*id, self.now);
        self.transfers()
            .accept(id, Range::default(), now)
            .expect("accepted");
        self.take_iq();
        let event = self.take_event();
        assert!(matches!(event, Event::Accepted { .. }), "{event:?}");
        id
    }

    /// What it dials now.
    #[track_caller]
    pub(crate) fn dialled(&mut self) -> Vec<(Token, StreamHost)> {
        let nets = self.take_nets();
        nets.into_iter()
            .map(|command| match command {
                NetCommand::Connect(token, host) => (token, host),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[track_caller]
    pub(crate) fn dials_one(&mut self) -> (Token, StreamHost) {
        let dialled = self.dialled();
        let [one] = &dialled[..] else {
            panic!("{dialled:?}")
        };
        one.clone()
    }

    /// Connects it and leads the server's side of the handshake.
    #[track_caller]
    pub(crate) fn serve(&mut self, token: Token, conn: ConnId, request: &[u8]) {
        self.net(NetInput::Connected(token, conn));
        assert_eq!(
            self.take_nets(),
            [NetCommand::Send(conn, Bytes::from_static(GREETING))]
        );
        self.receive(conn, CHOSEN);
        let send = NetCommand::Send(conn, Bytes::copy_from_slice(request));
        assert_eq!(self.take_nets(), [send]);
        let mut reply = request.to_vec();
        reply[1] = 0;
        self.receive(conn, &reply);
    }

    pub(crate) fn receive(&mut self, conn: ConnId, octets: &[u8]) {
        self.net(NetInput::Received(conn, Bytes::copy_from_slice(octets)));
    }

    /// Connects to it and leads the client's side of the handshake; answers what it sent at last.
    pub(crate) fn come(&mut self, listen: ListenId, conn: ConnId, request: &[u8]) -> Vec<u8> {
        let from = "192.0.2.9:4711".parse().expect("an address");
        self.net(NetInput::Accepted { listen, conn, from });
        self.receive(conn, GREETING);
        assert_eq!(
            self.take_nets(),
            [NetCommand::Send(conn, Bytes::from_static(CHOSEN))]
        );
        self.receive(conn, request);
        let nets = self.take_nets();
        match nets.first() {
            Some(NetCommand::Send(_, reply)) => reply.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn sid(&mut self, id: TransferId) -> Sid {
        self.transfers().sid(id).expect("a sid").clone()
    }

    /// Gives the answer to a request, as the one who was asked.
    pub(crate) fn reply(&mut self, request: &Iq, body: IqBody) {
        let from = request.to.as_ref().expect("somebody").to_string();
        self.give(&from, Iq::answer(None, request.id.clone(), body));
    }

    /// Takes the stanzas, which must all be IQs.
    pub(crate) fn take_iqs(&mut self) -> Vec<Iq> {
        let stanzas = self.take_stanzas();
        stanzas
            .into_iter()
            .map(|stanza| match stanza {
                Stanza::Iq(iq) => iq,
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

/// A JID as text.
pub(crate) fn text(who: &Jid) -> &str {
    who.as_str()
}
