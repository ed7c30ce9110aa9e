//! What comes on a connection while the driver gets to its `Detach`.
#![allow(clippy::std_instead_of_alloc, reason = "tests run where std is")]

use bytes::Bytes;
use bytestreams_machine::{
    ConnId, Ids, Input, Instant, ListenId, Machine, NetCommand, NetInput, Output, Own, Token,
};
use bytestreams_socks5::{
    Allowed, DstAddr, Event, FailedHosts, Proxy, ProxyConfig, Requester, Target, Via,
};
use bytestreams_stanza::{
    Bytestreams, BytestreamsContent, Iq, IqBody, Jid, Mode, Payload, Sid, StreamHost,
};

const NOW: Instant = Instant::ZERO;

fn jid(text: &str) -> Jid {
    Jid::new(text).expect(text)
}

fn romeo() -> Jid {
    jid("romeo@montague.lit/orchard")
}

fn juliet() -> Jid {
    jid("juliet@capulet.lit/balcony")
}

fn sid() -> Sid {
    Sid::new("vxf9n471bn46").expect("a sid")
}

fn query(content: BytestreamsContent) -> Payload {
    Payload::Bytestreams(Box::new(Bytestreams {
        sid: Some(sid()),
        mode: Mode::Tcp,
        dstaddr: None,
        content,
    }))
}

fn hosts(jid: Jid) -> Vec<StreamHost> {
    let host = "192.0.2.1".into();
    Vec::from([StreamHost {
        jid,
        host,
        port: 1080,
    }])
}

fn received<M: Machine>(machine: &mut M, conn: ConnId, octets: &[u8]) {
    let input = NetInput::Received(conn, Bytes::copy_from_slice(octets));
    let rest = machine.handle_input(Input::Net(input), NOW);
    assert_eq!(rest, None, "it is its own");
}

fn closed<M: Machine>(machine: &mut M, conn: ConnId) {
    let rest = machine.handle_input(Input::Net(NetInput::Closed(conn)), NOW);
    assert_eq!(rest, None, "it is its own");
}

fn drain<M: Machine>(machine: &mut M) -> Vec<Output<M::Event>> {
    core::iter::from_fn(|| machine.poll_output()).collect()
}

/// What a server says to a client with this request.
fn replies(addr: DstAddr) -> [Vec<u8>; 2] {
    let mut reply = Vec::from([5, 0, 0, 3, 40]);
    reply.extend_from_slice(addr.as_str().as_bytes());
    reply.extend_from_slice(&[0, 0]);
    [Vec::from([5, 0]), reply]
}

#[test]
fn a_target_keeps_it_until_it_is_taken() {
    let offer = query(BytestreamsContent::Hosts(hosts(romeo())));
    let mut offer = Iq::set(Some(juliet()), "1".into(), offer);
    offer.from = Some(romeo());
    let own = Own { jid: juliet() };
    let memory = FailedHosts::default();
    let mut target = Target::new(&offer, own, Token(1), &memory, NOW).expect("an offer");
    let conn = ConnId(5);
    let connected = Input::Net(NetInput::Connected(Token(1), conn));
    assert_eq!(target.handle_input(connected, NOW), None);
    let [greeting, reply] = replies(DstAddr::new(&sid(), &romeo(), &juliet()));
    received(&mut target, conn, &greeting);
    received(&mut target, conn, &[&reply[..], b"one "].concat());
    // The driver is still busy with the answer to the offer.
    received(&mut target, conn, b"two");
    closed(&mut target, conn);
    let outputs = drain(&mut target);
    assert!(outputs.contains(&Output::Net(NetCommand::Detach(conn))));
    assert!(!outputs.contains(&Output::Net(NetCommand::Close(conn))));
    assert_eq!(target.early(), b"one two"[..]);
    let after = Input::Net(NetInput::Closed(conn));
    assert!(
        target.handle_input(after, NOW).is_some(),
        "not its any more"
    );
}

#[test]
fn a_requester_keeps_what_comes_on_a_direct_connection() {
    let own = Own { jid: romeo() };
    let mut ids = Ids::new("ids");
    let base = Token(1);
    let mut requester = Requester::new(own, juliet(), sid(), hosts(romeo()), &mut ids, base, NOW);
    let offered = drain(&mut requester);
    let [Output::Stanza(bytestreams_stanza::Stanza::Iq(offer))] = &offered[..] else {
        panic!("{offered:?}");
    };
    let conn = ConnId(5);
    requester.arrived(conn);
    let used = IqBody::Result(Some(query(BytestreamsContent::Used(romeo()))));
    let mut answer = Iq::answer(Some(romeo()), offer.id.clone(), used);
    answer.from = Some(juliet());
    assert_eq!(
        requester.handle_input(Input::Stanza(answer.into()), NOW),
        None
    );
    received(&mut requester, conn, b"early");
    closed(&mut requester, conn);
    let via = Via::Direct;
    let stands = [
        Output::Net(NetCommand::Detach(conn)),
        Output::Event(Event::Established { conn, via }),
    ];
    assert_eq!(drain(&mut requester), stands);
    assert_eq!(requester.early(), b"early"[..]);
}

#[test]
fn a_proxy_keeps_it_for_the_relay() {
    let mut proxy = Proxy::new(ProxyConfig {
        allowed: Allowed::Any,
        ..ProxyConfig::default()
    });
    let addr = DstAddr::new(&sid(), &romeo(), &juliet());
    let conns = [ConnId(1), ConnId(2)];
    for conn in conns {
        let accepted = NetInput::Accepted {
            listen: ListenId(1),
            conn,
            from: "192.0.2.7:1".parse().expect("an address"),
        };
        assert_eq!(proxy.handle_input(Input::Net(accepted), NOW), None);
        let mut request = Vec::from([5, 1, 0, 5, 1, 0, 3, 40]);
        request.extend_from_slice(addr.as_str().as_bytes());
        request.extend_from_slice(&[0, 0]);
        received(&mut proxy, conn, &request);
    }
    let activate = query(BytestreamsContent::Activate(juliet()));
    let mut activate = Iq::set(Some(jid("proxy.montague.lit")), "1".into(), activate);
    activate.from = Some(romeo());
    assert_eq!(
        proxy.handle_input(Input::Stanza(activate.into()), NOW),
        None
    );
    received(&mut proxy, conns[1], b"early");
    closed(&mut proxy, conns[0]);
    let outputs = drain(&mut proxy);
    for conn in conns {
        assert!(outputs.contains(&Output::Net(NetCommand::Detach(conn))));
        assert!(!outputs.contains(&Output::Net(NetCommand::Close(conn))));
    }
    assert_eq!(conns.map(|conn| proxy.early(conn)), [&b""[..], b"early"]);
}
