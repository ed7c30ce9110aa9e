//! Two programs with a client of their own, and no server between them.
#![cfg(feature = "tokio-xmpp")]

mod common;

use bytes::Bytes;
use bytestreams_stanza::{File, Range};
use bytestreams_tokio::link::bridge::{Bridge, BridgeLink, bridge};
use bytestreams_tokio::{Config, Endpoint, Event, Options};
use common::{jid, octets, soon};
use tokio_xmpp::parsers::iq::Iq;
use tokio_xmpp::parsers::presence::{Presence, Type};
use tokio_xmpp::{Stanza, jid::Jid};

fn stamped(stanza: Stanza, from: &Jid) -> Stanza {
    let from = Some(from.clone());
    match stanza {
        Stanza::Iq(mut iq) => {
            *iq.from_mut() = from;
            Stanza::Iq(iq)
        }
        Stanza::Message(mut message) => {
            message.from = from;
            Stanza::Message(message)
        }
        Stanza::Presence(mut presence) => {
            presence.from = from;
            Stanza::Presence(presence)
        }
    }
}

/// Plays both programs and the server; what is not about files answers to disco#info alone.
async fn carry(mut a: Bridge, mut b: Bridge) {
    let (name_a, name_b) = (
        Jid::new("a@here/1").expect("a JID"),
        Jid::new("b@here/2").expect("a JID"),
    );
    loop {
        let (stanza, from, to, back) = tokio::select! {
            stanza = a.next() => (stanza, &name_a, &mut b, true),
            stanza = b.next() => (stanza, &name_b, &mut a, false),
        };
        let Some(stanza) = stanza else {
            return;
        };
        if let Some(Stanza::Iq(Iq::Get { id, .. })) = to.take(stamped(stanza, from)).await {
            let (to, by) = if back {
                (&mut a, &name_b)
            } else {
                (&mut b, &name_a)
            };
            let answer = Iq::from_result(id, None::<tokio_xmpp::parsers::disco::DiscoInfoResult>);
            assert!(to.take(stamped(answer.into(), by)).await.is_none());
        }
    }
}

fn pair() -> ((Bridge, BridgeLink), (Bridge, BridgeLink)) {
    (bridge(jid("a@here/1")), bridge(jid("b@here/2")))
}

#[tokio::test]
async fn a_file_crosses_between_two_clients() {
    let ((bridge_a, link_a), (bridge_b, link_b)) = pair();
    let (a, _) = Endpoint::spawn(link_a, Config::default());
    let (_b, mut offers) = Endpoint::spawn(link_b, Config::default());
    tokio::spawn(carry(bridge_a, bridge_b));
    let content = octets(300_000);
    let file = File {
        name: Some("octets".into()),
        size: Some(content.len() as u64),
        ..File::default()
    };
    let mut transfer = a.offer(jid("b@here/2"), file, Options::default());
    let sending = async {
        let mut octets = Bytes::from(content.clone());
        loop {
            let event = transfer.next().await.expect("an event");
            assert!(!matches!(event, Event::Failed { .. }), "{event:?}");
            if let Event::Established { .. } = event {
                break;
            }
        }
        transfer.write(&mut octets).await.expect("room");
        transfer.finish().expect("established");
        loop {
            let event = transfer.next().await.expect("an event");
            assert!(!matches!(event, Event::Failed { .. }), "{event:?}");
            if let Event::Done { .. } = event {
                break;
            }
        }
    };
    let receiving = async {
        let offer = offers.next().await.expect("an offer");
        let mut transfer = offer.accept(Range::default()).expect("accepted");
        let mut got = Vec::new();
        while let Some(block) = transfer.read().await.expect("octets") {
            got.extend_from_slice(&block);
            transfer.stored(block.len());
        }
        transfer.completed(Ok(())).expect("all of it");
        got
    };
    let ((), got) = soon(async { tokio::join!(sending, receiving) }).await;
    assert!(got == content);
}

#[tokio::test]
async fn what_is_not_about_files_stays_the_programs() {
    let (mut bridge, _link) = bridge(jid("a@here/1"));
    let presence = Stanza::Presence(Presence::new(Type::None));
    assert_eq!(
        soon(bridge.take(presence))
            .await
            .map(|s| matches!(s, Stanza::Presence(_))),
        Some(true)
    );
    let ping = Iq::from_get("p1", tokio_xmpp::parsers::ping::Ping);
    assert!(soon(bridge.take(ping.into())).await.is_some());
    let stray = Iq::from_result(
        "unknown",
        None::<tokio_xmpp::parsers::disco::DiscoInfoResult>,
    );
    assert!(soon(bridge.take(stray.into())).await.is_some());
}

#[tokio::test]
async fn a_bridge_that_is_dropped_ends_the_link() {
    let (bridge, link) = bridge(jid("a@here/1"));
    let (a, _offers) = Endpoint::spawn(link, Config::default());
    drop(bridge);
    soon(a.closed()).await;
}

#[tokio::test]
async fn a_link_that_is_dropped_tells_the_bridge() {
    let (mut bridge, link) = bridge(jid("a@here/1"));
    drop(link);
    assert!(soon(bridge.next()).await.is_none());
}
