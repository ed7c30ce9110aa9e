//! The Requester's side: what is found out before the offer, and the ways to a socket.

use crate::common::*;
use crate::hand::*;
use bytes::Bytes;
use bytestreams_machine::{ConnId, ListenId, NetCommand, NetInput};
use bytestreams_stanza::{
    Condition, DiscoInfo, DiscoItem, DiscoItems, Iq, IqBody, Payload, Range, ns,
};
use bytestreams_transfer::{Event, Method, Reason, Via, Ways};
use core::time::Duration;

const CONN: ConnId = ConnId(7);

/// Answers the questions of a discovery as a server with one Proxy would.
fn answer_discovery(solo: &mut Solo) {
    for _ in 0..3 {
        for iq in solo.take_iqs() {
            let payload = match iq.request() {
                Some(Payload::DiscoItems(_)) => {
                    assert_eq!(iq.to, Some(jid(SERVER)));
                    let item = |who| DiscoItem {
                        jid: jid(who),
                        node: None,
                        name: None,
                    };
                    let items = vec![item("muc.montague.lit"), item(PROXY)];
                    Payload::DiscoItems(Box::new(DiscoItems { node: None, items }))
                }
                Some(Payload::DiscoInfo(_)) if iq.to == Some(jid(PROXY)) => {
                    Payload::DiscoInfo(Box::new(DiscoInfo {
                        identities: vec![proxy_identity()],
                        ..DiscoInfo::default()
                    }))
                }
                Some(Payload::DiscoInfo(_)) => Payload::DiscoInfo(Box::default()),
                Some(Payload::Bytestreams(_)) => addresses(&[host(PROXY, "192.0.2.1", 5000)]),
                other => panic!("{other:?}"),
            };
            solo.reply(&iq, IqBody::Result(Some(payload)));
        }
    }
}

#[test]
fn the_server_is_asked_for_proxies_before_the_offer_and_once() {
    let mut config = bare();
    config.socks5.discover = true;
    let mut solo = Solo::with(config);
    let id = solo.offer(file(9), plain());
    let asked = solo.take_iqs();
    let [items] = &asked[..] else {
        panic!("only the question: {asked:?}")
    };
    solo.give(SERVER, error(&items.id, Condition::ServiceUnavailable));
    // There is none, so it is offered in band alone.
    let offer = solo.take_iq();
    assert_eq!(offered_methods(&offer), [ns::IBB]);
    assert_eq!(solo.transfers().via(id), None);

    let mut config = bare();
    config.socks5.discover = true;
    let mut solo = Solo::with(config);
    solo.offer(file(9), plain());
    answer_discovery(&mut solo);
    assert_eq!(offered_methods(&solo.take_iq()), [ns::BYTESTREAMS, ns::IBB]);
    // What was found is kept.
    let now = solo.now;
    solo.transfers()
        .offer(jid(PEER), file(9), plain(), entropy(2), now);
    let offer = solo.take_iq();
    assert_eq!(offered_methods(&offer), [ns::BYTESTREAMS, ns::IBB]);
    solo.consent(&offer, &[ns::BYTESTREAMS]);
    let query = solo.take_iq();
    assert_eq!(offered_hosts(&query), [host(PROXY, "192.0.2.1", 5000)]);
}

#[test]
fn proxies_are_looked_for_again_after_a_while_and_the_known_ones_serve_meanwhile() {
    let mut config = bare();
    config.socks5.discover = true;
    let mut solo = Solo::with(config);
    solo.offer(file(9), plain());
    answer_discovery(&mut solo);
    solo.take_iq();
    solo.pass(Duration::from_secs(3601));
    solo.take_events();
    let now = solo.now;
    solo.transfers()
        .offer(jid(PEER), file(9), plain(), entropy(2), now);
    let iqs = solo.take_iqs();
    let [items, offer] = &iqs[..] else {
        panic!("{iqs:?}")
    };
    assert!(matches!(items.request(), Some(Payload::DiscoItems(_))));
    solo.consent(offer, &[ns::BYTESTREAMS]);
    let query = solo.take_iq();
    assert_eq!(offered_hosts(&query), [host(PROXY, "192.0.2.1", 5000)]);
}

#[test]
fn a_silent_server_holds_an_offer_up_for_a_while_only() {
    let mut config = bare();
    config.socks5.discover = true;
    let mut solo = Solo::with(config);
    solo.offer(file(9), plain());
    solo.take_iq();
    solo.pass(Duration::from_millis(2900));
    assert_eq!(solo.take_stanzas(), []);
    solo.pass(Duration::from_millis(200));
    let offer = solo.take_iq();
    assert_eq!(
        offered_methods(&offer),
        [ns::BYTESTREAMS, ns::IBB],
        "it may still answer"
    );
    let consent = acceptance(&[ns::BYTESTREAMS], None);
    solo.give(PEER, Iq::answer(None, offer.id, consent));
    // It has not.
    assert!(is_open(&solo.take_iq()));
    let event = solo.take_events().pop();
    let (from, to) = (Method::Socks5, Method::Ibb);
    assert!(
        matches!(event, Some(Event::FellBack { from: f, to: t, .. }) if (f, t) == (from, to)),
        "{event:?}"
    );
}

#[test]
fn proxies_that_are_given_are_asked_for_their_addresses_alone() {
    let mut solo = Solo::with(proxied());
    solo.offer(file(9), plain());
    let ask = solo.take_iq();
    assert_eq!(ask.to, Some(jid(PROXY)));
    assert!(offered_hosts(&ask).is_empty());
    let address = addresses(&[host(PROXY, "192.0.2.1", 5000)]);
    solo.reply(&ask, IqBody::Result(Some(address)));
    let offer = solo.take_iq();
    assert_eq!(offered_methods(&offer), [ns::BYTESTREAMS, ns::IBB]);
}

#[test]
fn one_socket_listens_for_all_offers_and_no_longer_than_needed() {
    let mut config = bare();
    config.socks5.listen = true;
    let mut solo = Solo::with(config);
    let now = solo.now;
    let first = solo.offer(file(9), plain());
    let listen = ListenId(0);
    assert_eq!(solo.take_nets(), [NetCommand::Listen(listen)]);
    assert_eq!(solo.take_stanzas(), [], "it waits for an address");
    let second = solo
        .transfers()
        .offer(jid(PEER), file(9), plain(), entropy(2), now);
    assert_eq!(solo.take_nets(), []);
    for addr in ["192.0.2.3:4000", "[2001:db8::3]:4000"] {
        let addr = addr.parse().expect("an address");
        solo.net(NetInput::Listening(listen, addr));
    }
    let offers = solo.take_iqs();
    assert_eq!(offers.len(), 2);
    solo.consent(&offers[0], &[ns::BYTESTREAMS]);
    let query = solo.take_iq();
    assert_eq!(
        offered_hosts(&query),
        [host(ME, "192.0.2.3", 4000), host(ME, "2001:db8::3", 4000)]
    );
    // It comes, and is taken.
    let request = socks(1, &solo.sid(first), ME, PEER);
    let reply = solo.come(listen, CONN, &request);
    assert_eq!(reply[1], 0);
    solo.receive(CONN, b"ear");
    solo.give(PEER, used(&query, ME));
    assert_eq!(solo.take_nets(), [NetCommand::Detach(CONN)]);
    let established = Event::Established {
        id: first,
        method: Method::Socks5,
        conn: Some(CONN),
    };
    assert_eq!(solo.take_event(), established);
    solo.receive(CONN, b"ly");
    assert_eq!(solo.transfers().early(first), Bytes::from_static(b"early"));
    assert_eq!(solo.transfers().early(first), Bytes::new());
    assert_eq!(solo.transfers().via(first), Some(Via::Direct));
    // The other one still needs it.
    solo.transfers().cancel(second, now).expect("cancelled");
    assert_eq!(solo.take_nets(), [NetCommand::Unlisten(listen)]);
    // One that was on its way.
    let from = "192.0.2.9:1".parse().expect("an address");
    let conn = ConnId(8);
    solo.net(NetInput::Accepted { listen, conn, from });
    assert_eq!(solo.take_nets(), [NetCommand::Close(conn)]);
}

#[test]
fn a_driver_that_cannot_listen_is_waited_for_once() {
    let mut config = advertising();
    config.socks5.listen = true;
    let mut solo = Solo::with(config);
    let now = solo.now;
    let first = solo.offer(file(9), plain());
    solo.pass(Duration::from_millis(400));
    assert_eq!(solo.take_stanzas(), []);
    solo.pass(Duration::from_millis(200));
    assert_eq!(offered_methods(&solo.take_iq()), [ns::BYTESTREAMS, ns::IBB]);
    solo.transfers().cancel(first, now).expect("cancelled");
    let now = solo.now;
    solo.transfers()
        .offer(jid(PEER), file(9), plain(), entropy(2), now);
    assert_eq!(offered_methods(&solo.take_iq()), [ns::BYTESTREAMS, ns::IBB]);
}

#[test]
fn a_connection_with_a_hash_of_nobodys_is_refused() {
    let mut config = bare();
    config.socks5.listen = true;
    let mut solo = Solo::with(config);
    let id = solo.offer(file(9), plain());
    let listen = ListenId(0);
    let addr = "192.0.2.3:4000".parse().expect("an address");
    solo.net(NetInput::Listening(listen, addr));
    let offer = solo.take_iq();
    solo.consent(&offer, &[ns::BYTESTREAMS]);
    solo.take_iq();
    solo.take_nets();
    let wrong = socks(1, &solo.sid(id), PEER, ME);
    let from = "192.0.2.9:4711".parse().expect("an address");
    let conn = CONN;
    solo.net(NetInput::Accepted { listen, conn, from });
    solo.receive(CONN, GREETING);
    solo.receive(CONN, &wrong);
    assert_eq!(solo.take_nets().last(), Some(&NetCommand::Close(CONN)));
}

#[test]
fn a_proxy_is_connected_to_after_the_target_and_activated() {
    let mut solo = Solo::with(proxied());
    let id = solo.offer(file(9), plain());
    let ask = solo.take_iq();
    let address = addresses(&[host(PROXY, "192.0.2.1", 5000)]);
    solo.reply(&ask, IqBody::Result(Some(address)));
    let offer = solo.take_iq();
    solo.consent(&offer, &[ns::BYTESTREAMS]);
    let query = solo.take_iq();
    assert_eq!(solo.take_nets(), []);
    solo.give(PEER, used(&query, PROXY));
    let (token, dialled) = solo.dials_one();
    assert_eq!(dialled, host(PROXY, "192.0.2.1", 5000));
    let request = socks(1, &solo.sid(id), ME, PEER);
    solo.serve(token, CONN, &request);
    let activate = solo.take_iq();
    assert_eq!(activate.to, Some(jid(PROXY)));
    assert_eq!(solo.take_nets(), []);
    solo.reply(&activate, IqBody::Result(None));
    assert_eq!(solo.take_nets(), [NetCommand::Detach(CONN)]);
    assert_eq!(
        solo.take_event(),
        Event::Established {
            id,
            method: Method::Socks5,
            conn: Some(CONN)
        }
    );
    assert_eq!(solo.transfers().via(id), Some(Via::Proxy));
}

#[test]
fn the_hash_has_the_spelling_of_the_peers_own_answer() {
    let asked = "Juliet@Capulet.lit/balcony";
    let mut solo = Solo::with(proxied());
    let now = solo.now;
    let id = solo
        .transfers()
        .offer(jid(asked), file(9), plain(), entropy(1), now);
    let ask = solo.take_iq();
    let address = addresses(&[host(PROXY, "192.0.2.1", 5000)]);
    solo.reply(&ask, IqBody::Result(Some(address)));
    let offer = solo.take_iq();
    assert_eq!(offer.to.as_ref().map(text), Some(asked));
    solo.consent(&offer, &[ns::BYTESTREAMS]);
    let query = solo.take_iq();
    assert_eq!(query.to.as_ref().map(text), Some(PEER));
    solo.give(PEER, used(&query, PROXY));
    let (token, _) = solo.dials_one();
    let request = socks(1, &solo.sid(id), ME, PEER);
    solo.serve(token, CONN, &request);
    let activate = solo.take_iq();
    let Some(Payload::Bytestreams(query)) = activate.request() else {
        panic!("{activate:?}")
    };
    let bytestreams_stanza::BytestreamsContent::Activate(target) = &query.content else {
        panic!("{query:?}")
    };
    assert_eq!(target.as_str(), PEER);
}

#[test]
fn in_a_room_the_peer_is_told_the_hash() {
    let mut options = plain();
    options.dstaddr = true;
    let mut solo = Solo::with(advertising());
    let (id, query) = solo.consented(9, options);
    let Some(Payload::Bytestreams(query)) = query.request() else {
        panic!("{query:?}")
    };
    let request = socks(1, &solo.sid(id), ME, PEER);
    let told = query.dstaddr.as_deref().map(str::as_bytes);
    assert_eq!(told, request.get(5..45));
}

#[test]
fn a_range_travels_over_a_socket_too() {
    let mut solo = Solo::with(advertising());
    let mut offered = file(100);
    offered.range = Some(Range::default());
    let id = solo.offer(offered, plain());
    let offer = solo.take_iq();
    let range = Range {
        offset: Some(60),
        length: None,
    };
    let consent = acceptance(&[ns::BYTESTREAMS], Some(range));
    solo.give(PEER, Iq::answer(None, offer.id, consent));
    let method = Method::Socks5;
    assert_eq!(solo.take_event(), Event::Accepted { id, method, range });
    assert_eq!(solo.transfers().expected(id), Some(40));
}

#[test]
fn what_cannot_be_had_is_not_offered() {
    // No way at all.
    let mut solo = Solo::with(bare());
    solo.offer(file(9), plain());
    assert_eq!(offered_methods(&solo.take_iq()), [ns::IBB]);
    // And nothing else either.
    let mut config = bare();
    config.methods.pop();
    let mut solo = Solo::with(config);
    let id = solo.offer(file(9), plain());
    assert_eq!(solo.take_stanzas(), []);
    let Event::Failed { id: failed, reason } = solo.take_event() else {
        panic!("no failure")
    };
    assert_eq!(failed, id);
    let none = bytestreams_socks5::Reason::NoStreamHosts;
    assert_eq!(reason, Reason::Socks5(none));
    // A way that the transfer and the link do not share.
    let mut options = plain();
    options.ways = Ways::Direct;
    let mut solo = Solo::with(proxied());
    solo.offer(file(9), options);
    assert_eq!(offered_methods(&solo.take_iq()), [ns::IBB]);
}
