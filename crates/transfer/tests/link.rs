//! The link, as the machine sees it.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "tests look for one thing among many"
)]

mod common;

use bytestreams_machine::{Input, Machine};
use bytestreams_stanza::{DiscoInfo, Iq, IqBody, Payload, ns};
use bytestreams_transfer::{Config, Event, Keepalive, Method, Methods, Options, Reason};
use common::*;
use core::time::Duration;

#[test]
fn a_link_that_is_silent_is_asked_and_then_given_up() {
    let mut solo = Solo::new();
    let id = solo.offer(file(1), Options::default());
    solo.take_stanzas();
    solo.pass(Duration::from_secs(59));
    assert_eq!(solo.take_stanzas(), []);
    solo.pass(Duration::from_secs(1));
    let ping = solo.take_iq();
    assert_eq!((&ping.to, &ping.body), (&None, &IqBody::Get(Payload::Ping)));
    solo.pass(Duration::from_secs(29));
    assert_eq!(solo.take_events(), []);
    solo.pass(Duration::from_secs(1));
    let reason = Reason::LinkLost;
    assert_eq!(
        solo.take_events(),
        [Event::Failed { id, reason }, Event::LinkLost]
    );
    assert_eq!(solo.stack.poll_timeout(), None);
}

#[test]
fn anything_that_comes_in_keeps_the_link() {
    let mut solo = Solo::new();
    for _ in 0..10 {
        solo.pass(Duration::from_secs(85));
        let ping = solo.take_iq();
        solo.give(
            ME,
            error(&ping.id, bytestreams_stanza::Condition::ServiceUnavailable),
        );
    }
    assert_eq!(solo.take_events(), []);
}

#[test]
fn the_one_to_ask_can_be_chosen() {
    let mut config = Config::default();
    config.keepalive = Keepalive::To(jid("capulet.lit"));
    let mut solo = Solo::with(config.clone());
    solo.pass(Duration::from_secs(60));
    assert_eq!(solo.take_iq().to, Some(jid("capulet.lit")));
    config.keepalive = Keepalive::Off;
    let mut solo = Solo::with(config);
    assert_eq!(solo.stack.poll_timeout(), None);
    solo.pass(Duration::from_secs(1000));
    assert_eq!((solo.take_stanzas(), solo.take_events()), (vec![], vec![]));
}

#[test]
fn a_disk_that_keeps_the_link_unread_does_not_lose_it() {
    let mut config = Config::default();
    config.bounds.buffered = 10;
    config.allow_unannounced = true;
    let mut solo = Solo::with(config);
    solo.set(PEER, "o", open("s1", 4096));
    let Event::Offered { id, .. } = solo.take_event() else {
        panic!("no offer")
    };
    solo.accept(id);
    solo.set(PEER, "d", data("s1", 0, &octets(100)));
    assert!(!solo.transfers().wants_input());
    solo.take_stanzas();
    solo.take_events();
    solo.pass(Duration::from_secs(100));
    let events = solo.take_events();
    assert!(!events.contains(&Event::LinkLost), "{events:?}");
}

#[test]
fn a_lost_link_fails_everything_and_whatever_comes_later() {
    let mut solo = Solo::open_to_strangers();
    let first = solo.offer(file(1), Options::default());
    solo.set(PEER, "o", open("s1", 4096));
    let Event::Offered { id: second, .. } = solo.take_event() else {
        panic!("no offer")
    };
    solo.take_stanzas();
    let now = solo.now;
    solo.transfers().link_lost(now);
    let reason = Reason::LinkLost;
    let failed = |id| Event::Failed {
        id,
        reason: reason.clone(),
    };
    assert_eq!(solo.take_events(), [failed(first), failed(second)]);
    assert_eq!(solo.take_stanzas(), []);
    let third = solo
        .transfers()
        .offer(jid(PEER), file(1), Options::default(), entropy(9), now);
    assert_eq!(solo.take_events(), [failed(third)]);
    let mut iq = Iq::set(None, "x".into(), open("s2", 4096));
    iq.from = Some(jid(PEER));
    let machine = solo.transfers();
    assert!(
        machine
            .handle_input(Input::Stanza(iq.into()), now)
            .is_some()
    );
    assert_eq!(machine.poll_timeout(), None);
    assert!(machine.is_idle());
}

#[test]
fn what_is_enabled_is_told_and_nothing_else() {
    let mut solo = Solo::new();
    let query = Payload::DiscoInfo(Box::<DiscoInfo>::default());
    solo.give(PEER, Iq::get(None, "q".into(), query));
    let IqBody::Result(Some(Payload::DiscoInfo(info))) = solo.take_iq().body else {
        panic!("no answer")
    };
    let has = |feature: &str| info.features.iter().any(|f| &**f == feature);
    for feature in [
        ns::SI,
        ns::FILE_TRANSFER,
        ns::IBB,
        ns::FEATURE_NEG,
        ns::IBB_PIPELINE,
    ] {
        assert!(has(feature), "{feature}");
    }
    assert!(!has(ns::BYTESTREAMS), "it is not enabled");
    let mut config = Config::default();
    config.methods = Methods::from_slice(&[Method::Socks5]);
    let mut solo = Solo::with(config);
    assert!(!solo.transfers().features().contains(&ns::IBB));
    let there_is = cfg!(feature = "socks5");
    let methods = &solo.transfers().config().methods;
    assert_eq!(methods.contains(&Method::Socks5), there_is);
    let features = solo.transfers().features();
    assert_eq!(features.contains(&ns::BYTESTREAMS), there_is);
}
