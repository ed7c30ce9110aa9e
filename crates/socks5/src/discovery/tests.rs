#![allow(clippy::std_instead_of_alloc, reason = "tests run where std is")]

use super::*;
use crate::hand::{Hand, JULIET, PROXY, ROMEO, error, host, jid, query};
use bytestreams_stanza::{Condition, DiscoItems, Identity};
use std::format;

const SERVER: &str = "montague.lit";

fn discovery(given: &[&str], discover: bool) -> Hand<ProxyDiscovery> {
    let own = Own { jid: jid(ROMEO) };
    let given: Vec<_> = given.iter().map(|&given| jid(given)).collect();
    let ids = Ids::new("dddddddd");
    Hand::new(ProxyDiscovery::new(
        own,
        &given,
        discover,
        ids,
        Instant::ZERO,
    ))
}

fn items(jids: &[&str]) -> IqBody {
    let items = jids.iter().map(|&of| DiscoItem {
        jid: jid(of),
        node: None,
        name: None,
    });
    IqBody::Result(Some(Payload::DiscoItems(Box::new(DiscoItems {
        node: None,
        items: items.collect(),
    }))))
}

fn info(category: &str, kind: &str) -> IqBody {
    IqBody::Result(Some(Payload::DiscoInfo(Box::new(DiscoInfo {
        node: None,
        identities: Vec::from([Identity {
            category: category.into(),
            kind: kind.into(),
            name: None,
        }]),
        features: Vec::new(),
    }))))
}

fn address(hosts: &[StreamHost]) -> IqBody {
    let hosts = BytestreamsContent::Hosts(hosts.to_vec());
    IqBody::Result(Some(query(None, hosts)))
}

#[test]
fn the_servers_proxy_is_found() {
    let mut hand = discovery(&[], true);
    assert_eq!(hand.said(), format!("get dddddddd-0 {SERVER}: disco#items"));
    hand.iq(
        SERVER,
        "dddddddd-0",
        items(&["conference.montague.lit", PROXY, JULIET]),
    );
    assert_eq!(
        hand.said(),
        format!(
            "get dddddddd-1 conference.montague.lit: disco#info; get dddddddd-2 {PROXY}: disco#info"
        )
    );
    hand.iq(
        "conference.montague.lit",
        "dddddddd-1",
        info("conference", "text"),
    );
    hand.iq(PROXY, "dddddddd-2", info("proxy", "bytestreams"));
    assert_eq!(
        hand.said(),
        format!("get dddddddd-3 {PROXY}: hosts of no sid")
    );
    // The JID is the one told, which may have a resource.
    let told = host("proxy.montague.lit/node", "192.0.2.8:8");
    hand.iq(PROXY, "dddddddd-3", address(core::slice::from_ref(&told)));
    assert_eq!(
        hand.said(),
        format!("{:?}", DiscoveryEvent::Found(Vec::from([told])))
    );
    assert_eq!(hand.machine.poll_timeout(), None);
}

#[test]
fn given_proxies_are_only_asked_their_address_and_come_first() {
    let mut hand = discovery(&["relay.example", "relay.example"], true);
    assert_eq!(
        hand.said(),
        format!(
            "get dddddddd-0 relay.example: hosts of no sid; get dddddddd-1 {SERVER}: disco#items"
        )
    );
    hand.iq(SERVER, "dddddddd-1", items(&["relay.example", PROXY]));
    hand.iq(PROXY, "dddddddd-2", info("proxy", "bytestreams"));
    let one = host(PROXY, "192.0.2.8:8");
    hand.iq(PROXY, "dddddddd-3", address(core::slice::from_ref(&one)));
    let two = host("relay.example", "192.0.2.9:9");
    hand.said();
    hand.iq(
        "relay.example",
        "dddddddd-0",
        address(core::slice::from_ref(&two)),
    );
    let found = DiscoveryEvent::Found(Vec::from([two, one]));
    assert_eq!(hand.said(), format!("{found:?}"));
}

#[test]
fn whatever_goes_wrong_there_is_no_proxy() {
    let nothing = format!("{:?}", DiscoveryEvent::Found(Vec::new()));
    assert_eq!(discovery(&[], false).said(), nothing);
    let odd = [
        IqBody::Result(None),
        IqBody::Result(Some(Payload::Ping)),
        error(Condition::Forbidden),
        error(Condition::UndefinedCondition),
        address(&[]),
        address(&[host(ROMEO, "192.0.2.8:8")]),
        address(&[host(PROXY, "fe80::1%eth0:8"), host(PROXY, "0.0.0.0:8")]),
        IqBody::Result(Some(query(None, BytestreamsContent::Used(jid(PROXY))))),
    ];
    for answer in odd {
        let mut hand = discovery(&[PROXY], false);
        hand.said();
        hand.iq(PROXY, "dddddddd-0", answer.clone());
        assert_eq!(hand.said(), nothing, "{answer:?}");
        let mut hand = discovery(&[], true);
        hand.said();
        hand.iq(SERVER, "dddddddd-0", answer.clone());
        assert_eq!(hand.said(), nothing, "{answer:?}");
    }
}

#[test]
fn an_answer_counts_only_from_whom_was_asked() {
    let mut hand = discovery(&[PROXY], true);
    assert!(!hand.iq(SERVER, "dddddddd-0", address(&[host(PROXY, "192.0.2.8:8")])));
    assert!(!hand.iq(PROXY, "dddddddd-1", items(&["evil.example"])));
    assert!(!hand.iq(JULIET, "dddddddd-1", items(&["evil.example"])));
}

#[test]
fn silence_is_waited_for_only_so_long() {
    let nothing = format!("{:?}", DiscoveryEvent::Found(Vec::new()));
    let mut hand = discovery(&[], true);
    hand.said();
    hand.wait_millis(29_999);
    assert_eq!(hand.said(), "");
    hand.wait_millis(1);
    assert_eq!(hand.said(), nothing);
    // Once there is a proxy, the rest has 2 s.
    let mut hand = discovery(&[PROXY], true);
    hand.said();
    hand.wait_millis(1_000);
    hand.iq(PROXY, "dddddddd-0", address(&[host(PROXY, "192.0.2.8:8")]));
    hand.wait_millis(1_999);
    assert_eq!(hand.said(), "");
    hand.wait_millis(1);
    assert!(hand.said().contains("192.0.2.8"));
    // What comes later is nobody's.
    assert!(!hand.iq(SERVER, "dddddddd-1", items(&[])));
}

#[test]
fn it_asks_no_more_than_so_many() {
    let mut hand = discovery(&[PROXY], true);
    hand.said();
    let many: Vec<_> = (0..500).map(|n| format!("item{n}.montague.lit")).collect();
    let many: Vec<_> = many.iter().map(|of| &**of).collect();
    hand.iq(SERVER, "dddddddd-1", items(&many));
    assert_eq!(hand.said().matches("disco#info").count(), 31);
    let hosts: Vec<_> = (1..100)
        .map(|n| host(PROXY, &format!("192.0.2.{n}:8")))
        .collect();
    hand.iq(PROXY, "dddddddd-0", address(&hosts));
    hand.wait_millis(2_000);
    assert_eq!(hand.said().matches("StreamHost").count(), 5);
}

/// Openfire tells every address of its machine, in no order.
#[test]
fn addresses_that_others_can_reach_come_first_and_of_each_proxy_one() {
    let mut hand = discovery(&[PROXY, "relay.example"], false);
    hand.said();
    let at = |address| host(PROXY, address);
    let openfire = [
        at("fe80:0:0:0:42:acff:fe11:2%eth0:7"),
        at("172.17.0.1:7"),
        at("10.0.0.5:7"),
        at("2001:db8:0:0:0:0:0:5:7"),
        at("192.0.2.5:7"),
        at("127.0.0.1:7"),
    ];
    hand.iq(PROXY, "dddddddd-0", address(&openfire));
    let relay = host("relay.example", "relay.example:7");
    let answer = address(core::slice::from_ref(&relay));
    hand.iq("relay.example", "dddddddd-1", answer);
    let [_, docker, lan, v6, v4, _] = openfire;
    let found = DiscoveryEvent::Found(Vec::from([v6, relay, v4, docker, lan]));
    assert_eq!(hand.said(), format!("{found:?}"));
}
