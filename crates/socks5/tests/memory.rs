//! What strangers can make a proxy, a Requester and a Target hold.
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "tests run where std is"
)]

use allocation_counter::measure;
use bytes::Bytes;
use bytestreams_machine::{
    ConnId, ConnectError, Ids, Input, Instant, ListenId, Machine, NetCommand, NetInput, Output,
    Own, Token,
};
use bytestreams_socks5::{
    Allowed, DstAddr, FailedHosts, Proxy, ProxyConfig, ProxyEvent, Requester, Target,
};
use bytestreams_stanza::{
    Bytestreams, BytestreamsContent, Iq, Jid, Mode, Payload, Sid, StreamHost,
};
use std::net::{Ipv4Addr, SocketAddr};

fn jid(text: &str) -> Jid {
    Jid::new(text).expect("a JID")
}

fn sid(n: u64) -> Sid {
    Sid::new(&format!("stream{n}")).expect("a sid")
}

fn proxy() -> Proxy {
    Proxy::new(ProxyConfig {
        allowed: Allowed::Any,
        sessions: 10_000,
        sessions_a_jid: 10_000,
        handshakes: 10_000,
        connections_a_source: 10_000,
        connections: 20_000,
        ..ProxyConfig::default()
    })
}

fn net(proxy: &mut Proxy, input: NetInput) {
    assert!(
        proxy
            .handle_input(Input::Net(input), Instant::ZERO)
            .is_none()
    );
    while let Some(output) = proxy.poll_output() {
        assert!(!matches!(output, Output::Net(NetCommand::Close(_))));
    }
}

fn accept(proxy: &mut Proxy, n: u64) {
    let from = SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + n as u32), 1));
    let (listen, conn) = (ListenId(1), ConnId(n));
    net(proxy, NetInput::Accepted { listen, conn, from });
}

/// Whole handshakes: `Connected` with the hash of stream `n`.
fn ask(proxy: &mut Proxy, conn: u64, n: u64, octets: &mut Vec<u8>) {
    let addr = DstAddr::new(&sid(n), &jid("romeo@a/r"), &jid("juliet@b/r"));
    octets.clear();
    octets.extend_from_slice(&[5, 1, 0, 5, 1, 0, 3, 40]);
    octets.extend_from_slice(addr.as_bytes());
    octets.extend_from_slice(&[0, 0]);
    let octets = Bytes::copy_from_slice(octets);
    net(proxy, NetInput::Received(ConnId(conn), octets));
}

#[test]
fn ten_thousand_half_open_handshakes_take_little() {
    let mut proxy = proxy();
    let info = measure(|| {
        for n in 0..10_000 {
            accept(&mut proxy, n);
            net(
                &mut proxy,
                NetInput::Received(ConnId(n), Bytes::from_static(&[5, 1])),
            );
        }
    });
    assert_eq!(proxy.stats().handshaking, 10_000);
    let each = info.bytes_current / 10_000;
    println!("a half-open handshake: {each} octets");
    assert!(each <= 512, "{each} octets");
    let due = proxy.poll_timeout().expect("a deadline");
    let info = measure(|| {
        proxy.handle_timeout(due);
        while proxy.poll_output().is_some() {}
    });
    assert_eq!(proxy.stats().handshaking, 0);
    assert!(info.bytes_current < 0, "nothing was given back");
}

#[test]
fn a_thousand_sessions_take_little_and_give_it_back() {
    let mut proxy = proxy();
    let mut octets = Vec::with_capacity(64);
    let mut activated = Vec::with_capacity(1000);
    let info = measure(|| {
        for n in 0..1000 {
            for conn in [2 * n, 2 * n + 1] {
                accept(&mut proxy, conn);
                ask(&mut proxy, conn, n, &mut octets);
            }
        }
    });
    let waiting = info.bytes_current / 2000;
    println!("a connection that waits: {waiting} octets");
    assert!(waiting <= 512, "{waiting} octets");
    let info = measure(|| {
        for n in 0..1000 {
            let query = Bytestreams {
                sid: Some(sid(n)),
                mode: Mode::Tcp,
                dstaddr: None,
                content: BytestreamsContent::Activate(jid("juliet@b/r")),
            };
            let mut iq = Iq::set(None, "a".into(), Payload::Bytestreams(Box::new(query)));
            iq.from = Some(jid("romeo@a/r"));
            proxy.handle_input(Input::Stanza(iq.into()), Instant::ZERO);
            while let Some(output) = proxy.poll_output() {
                if let Output::Event(ProxyEvent::Activated { addr, .. }) = output {
                    activated.push(addr);
                }
            }
        }
    });
    assert_eq!(activated.len(), 1000);
    let session = info.bytes_current / 1000 + 2 * waiting;
    println!("a session: {session} octets");
    assert!(session <= 1536, "{session} octets");
    let info = measure(|| {
        for addr in activated.drain(..) {
            proxy.ended(addr);
        }
    });
    assert!(info.bytes_current < 0);
    assert_eq!(proxy.stats().active, 0);
}

fn hosts(count: u8) -> Vec<StreamHost> {
    let host = |n: u8| StreamHost {
        jid: jid("proxy.example.org"),
        host: format!("192.0.2.{n}").into(),
        port: 7777,
    };
    (0..count).map(host).collect()
}

#[test]
fn a_target_and_a_requester_are_small_whatever_is_offered() {
    let own = Own {
        jid: jid("juliet@b/r"),
    };
    let mut memory = FailedHosts::default();
    let query = Bytestreams {
        sid: Some(sid(1)),
        mode: Mode::Tcp,
        dstaddr: None,
        content: BytestreamsContent::Hosts(hosts(250)),
    };
    let mut iq = Iq::set(None, "q".into(), Payload::Bytestreams(Box::new(query)));
    iq.from = Some(jid("romeo@a/r"));
    let mut target = None;
    let info = measure(|| {
        let now = Instant::ZERO;
        let mut new = Target::new(&iq, own.clone(), Token(0), &memory, now).expect("an offer");
        for n in 0..1000 {
            // The same offer again and again, as if each were new.
            iq.id = format!("q{n}").as_str().into();
            new.handle_input(Input::Stanza(iq.clone().into()), now);
            while new.poll_output().is_some() {}
        }
        target = Some(Box::new(new));
    });
    println!("a Target: {} octets", info.bytes_current);
    assert!(info.bytes_current <= 4096, "{} octets", info.bytes_current);
    let mut target = target.expect("a Target");
    for n in 0..5 {
        let failed = NetInput::Failed(Token(n), ConnectError::Refused);
        target.handle_input(Input::Net(failed), Instant::ZERO);
    }
    memory.learn(&target, Instant::ZERO);
    let mut requester = None;
    let info = measure(|| {
        let ids = &mut Ids::new("aaaaaaaa");
        let own = Own {
            jid: jid("romeo@a/r"),
        };
        let peer = jid("juliet@b/r");
        let now = Instant::ZERO;
        let mut new = Requester::new(own, peer, sid(1), hosts(250), ids, Token(0), now);
        for n in 0..1000 {
            new.arrived(ConnId(n));
        }
        while new.poll_output().is_some() {}
        requester = Some(Box::new(new));
    });
    println!("a Requester: {} octets", info.bytes_current);
    assert!(info.bytes_current <= 4096, "{} octets", info.bytes_current);
}
