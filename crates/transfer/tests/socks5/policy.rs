//! Which ways are gone, by the policy of the link and of the transfer.

use crate::common::*;
use crate::hand::*;
use bytestreams_stanza::{Condition, ns};
use bytestreams_transfer::{Event, Method, Ways};
use core::time::Duration;

/// Where a StreamHost of each kind is told, what is dialled.
fn dialled(ways: Ways) -> Vec<String> {
    let mut config = bare();
    config.socks5.ways = ways;
    let mut solo = Solo::with(config);
    solo.accepted("s1", 9, &[ns::BYTESTREAMS, ns::IBB]);
    let theirs = [host(PEER, "192.0.2.5", 1), host(PROXY, "192.0.2.1", 2)];
    solo.set(PEER, "q1", hosts("s1", &theirs));
    let mut dialled = Vec::new();
    for _ in 0..4 {
        for (_, host) in solo.dialled() {
            dialled.push(host.host.to_string());
        }
        solo.pass(Duration::from_millis(250));
    }
    dialled
}

#[test]
fn who_receives_dials_only_by_the_ways_allowed() {
    assert_eq!(dialled(Ways::Any), ["192.0.2.5", "192.0.2.1"]);
    assert_eq!(dialled(Ways::Direct), ["192.0.2.5"]);
    assert_eq!(dialled(Ways::Proxied), ["192.0.2.1"]);
}

#[test]
fn another_jid_of_a_user_is_no_proxy() {
    for user in ["juliet@capulet.lit/phone", "room@rooms.lit/nick", "x@y.lit"] {
        let mut config = bare();
        config.socks5.ways = Ways::Proxied;
        let mut solo = Solo::with(config);
        solo.accepted("s1", 9, &[ns::BYTESTREAMS, ns::IBB]);
        solo.set(PEER, "q1", hosts("s1", &[host(user, "192.0.2.5", 1)]));
        assert_eq!(solo.take_nets(), [], "{user}");
    }
}

#[test]
fn where_no_way_is_left_nothing_is_dialled_and_the_peer_falls_back() {
    let mut config = bare();
    config.socks5.ways = Ways::Proxied;
    let mut solo = Solo::with(config);
    solo.accepted("s1", 9, &[ns::BYTESTREAMS, ns::IBB]);
    solo.set(PEER, "q1", hosts("s1", &[host(PEER, "192.0.2.5", 1)]));
    assert_eq!(solo.take_nets(), []);
    assert_eq!(condition(&solo.take_iq()), Condition::ItemNotFound);
    let event = solo.take_event();
    assert!(matches!(event, Event::FellBack { .. }), "{event:?}");
    solo.set(PEER, "open-1", open("s1", 4096));
    assert!(matches!(solo.take_event(), Event::Established { .. }));
}

/// The StreamHosts that are told under a policy.
fn told(link: Ways, ours: Ways) -> Vec<String> {
    let mut config = advertising();
    config.socks5.ways = link;
    config.socks5.proxies = vec![jid(PROXY)];
    let mut options = plain();
    options.ways = ours;
    let mut solo = Solo::with(config);
    solo.offer(file(9), options);
    let mut offer = solo.take_iq();
    if offer.to == Some(jid(PROXY)) {
        let address = addresses(&[host(PROXY, "192.0.2.1", 5000)]);
        solo.reply(&offer, bytestreams_stanza::IqBody::Result(Some(address)));
        offer = solo.take_iq();
    }
    if offered_methods(&offer) == [ns::IBB] {
        return Vec::new();
    }
    solo.consent(&offer, &[ns::BYTESTREAMS]);
    let query = solo.take_iq();
    offered_hosts(&query)
        .iter()
        .map(|host| host.host.to_string())
        .collect()
}

#[test]
fn who_sends_tells_only_the_ways_allowed() {
    let (direct, proxy) = ("192.0.2.7", "192.0.2.1");
    assert_eq!(told(Ways::Any, Ways::Any), [direct, proxy]);
    assert_eq!(told(Ways::Direct, Ways::Any), [direct]);
    assert_eq!(told(Ways::Any, Ways::Direct), [direct]);
    assert_eq!(told(Ways::Proxied, Ways::Any), [proxy]);
    assert_eq!(told(Ways::Any, Ways::Proxied), [proxy]);
    assert!(told(Ways::Direct, Ways::Proxied).is_empty());
}

#[test]
fn nobody_listens_where_no_connection_may_come() {
    let mut config = proxied();
    config.socks5.listen = true;
    let mut solo = Solo::with(config);
    solo.offer(file(9), plain());
    assert_eq!(solo.take_nets(), []);
    // Nor for a transfer in band.
    let mut config = bare();
    config.socks5.listen = true;
    let mut solo = Solo::with(config);
    let mut options = plain();
    options.methods.push(Method::Ibb);
    solo.offer(file(9), options);
    assert_eq!(solo.take_nets(), []);
    assert_eq!(offered_methods(&solo.take_iq()), [ns::IBB]);
}

#[test]
fn in_band_alone_no_hosts_are_taken_or_told() {
    let mut solo = Solo::new();
    solo.accepted("s1", 9, &[ns::BYTESTREAMS, ns::IBB]);
    solo.set(PEER, "q1", hosts("s1", &[host(PEER, "192.0.2.5", 1)]));
    assert_eq!(condition(&solo.take_iq()), Condition::ServiceUnavailable);
    solo.offer(file(9), plain());
    assert_eq!(offered_methods(&solo.take_iq()), [ns::IBB]);
}

#[test]
fn addresses_that_are_given_stand_before_those_listened_on() {
    let mut config = advertising();
    config.socks5.listen = true;
    let mut solo = Solo::with(config);
    solo.offer(file(9), plain());
    let listen = bytestreams_machine::ListenId(0);
    for addr in ["192.0.2.3:4000", "192.0.2.7:7777"] {
        let addr = addr.parse().expect("an address");
        solo.net(bytestreams_machine::NetInput::Listening(listen, addr));
    }
    let offer = solo.take_iq();
    solo.consent(&offer, &[ns::BYTESTREAMS]);
    let query = solo.take_iq();
    assert_eq!(
        offered_hosts(&query),
        [host(ME, "192.0.2.7", 7777), host(ME, "192.0.2.3", 4000)]
    );
}
