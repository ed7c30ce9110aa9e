//! A recorded trace: an iOS client sends a picture to Spark through Openfire and its proxy. We play
//! either end.
//!
//! The stanzas are the ones that the codec is tested with.

use crate::common::*;
use crate::hand::*;
use bytes::Bytes;
use bytestreams_machine::{ConnId, Input, Machine, NetCommand};
use bytestreams_stanza::door::{Context, Door, QuickXml};
use bytestreams_stanza::{
    BytestreamsContent, Decoder, DiscoInfo, Iq, IqBody, Jid, Limits, Payload, Range, Stanza, ns,
};
use bytestreams_transfer::{Config, Event, Method, Methods, TransferId, Via};
use core::time::Duration;

const SENDER: &str = "iphone@192.168.1.113/xiff";
/// As the sender spells it at first, and as its own server does.
const ASKED: &str = "Android@192.168.1.113/Spark 2.6.3";
const RECEIVER: &str = "android@192.168.1.113/Spark 2.6.3";
const PROXY: &str = "proxy.192.168.1.113";
const CONN: ConnId = ConnId(7);

/// A line of the trace.
fn line(number: usize) -> Iq {
    const LINES: [&[u8]; 10] = [
        include_bytes!("../../../stanza/tests/golden/seed-spark-01.xml"),
        include_bytes!("../../../stanza/tests/golden/seed-spark-02.xml"),
        include_bytes!("../../../stanza/tests/golden/seed-spark-03.xml"),
        include_bytes!("../../../stanza/tests/golden/seed-spark-04.xml"),
        include_bytes!("../../../stanza/tests/golden/seed-spark-05.xml"),
        include_bytes!("../../../stanza/tests/golden/seed-spark-06.xml"),
        include_bytes!("../../../stanza/tests/golden/seed-spark-07.xml"),
        include_bytes!("../../../stanza/tests/golden/seed-spark-08.xml"),
        include_bytes!("../../../stanza/tests/golden/seed-spark-09.xml"),
        include_bytes!("../../../stanza/tests/golden/seed-spark-10.xml"),
    ];
    let mut decoder = Decoder::new(Limits::DEFAULT);
    let context = Context::new(ns::CLIENT);
    QuickXml::default()
        .read(LINES[number - 1].trim_ascii(), &context, &mut decoder)
        .expect("XML");
    match decoder.finish().expect("a stanza") {
        Stanza::Iq(iq) => iq,
        other => panic!("{other:?}"),
    }
}

/// One end of it.
fn end(own: &str) -> Solo {
    let mut config = Config::default();
    config.methods = Methods::from_slice(&BOTH);
    config.socks5.listen = false;
    let mut solo = Solo::with(config.clone());
    solo.stack = stack(own, config, solo.now);
    solo
}

/// Gives it a line of the trace as it stands there; where it answers a request, with that one's id.
fn hear(solo: &mut Solo, number: usize, request: Option<&Iq>) {
    let mut iq = line(number);
    if let Some(request) = request {
        iq.id = request.id.clone();
    }
    let rest = solo.stack.handle_input(Input::Stanza(iq.into()), solo.now);
    assert_eq!(rest, None);
    solo.drain();
}

/// Demands that we say what the recorded client said, as far as it is not the choice of either: the
/// id, the stream, and what names us.
#[track_caller]
fn same_but_for_names(ours: &Iq, number: usize) {
    let theirs = line(number);
    assert_eq!(ours.to, theirs.to, "line {number}");
    match (&ours.body, &theirs.body) {
        (IqBody::Set(Payload::Si(ours)), IqBody::Set(Payload::Si(theirs))) => {
            assert_eq!(ours.file, theirs.file);
            assert_eq!(ours.mime_type, theirs.mime_type);
            assert_eq!(ours.profile, theirs.profile);
            assert_eq!(ours.feature, theirs.feature);
        }
        (IqBody::Get(ours), IqBody::Get(theirs)) => assert_eq!(ours, theirs),
        (IqBody::Set(Payload::Bytestreams(ours)), IqBody::Set(Payload::Bytestreams(theirs))) => {
            assert_eq!(ours.content, theirs.content);
            assert_eq!(ours.mode, theirs.mode);
            assert!(ours.sid.is_some());
            if let (BytestreamsContent::Activate(ours), BytestreamsContent::Activate(theirs)) =
                (&ours.content, &theirs.content)
            {
                assert_eq!(ours.as_str(), theirs.as_str(), "to the letter");
            }
        }
        other => panic!("line {number}: {other:?}"),
    }
}

/// Finds a request among others, and answers disco#info of whatever was asked meanwhile, which the
/// recorded client did not ask.
fn find(solo: &mut Solo, what: fn(&Payload) -> bool) -> Iq {
    let mut found = None;
    for iq in solo.take_iqs() {
        match iq.request() {
            Some(Payload::DiscoInfo(_)) => {
                let mut info = DiscoInfo::default();
                if iq.to == Some(jid(PROXY)) {
                    info.identities.push(proxy_identity());
                }
                let body = IqBody::Result(Some(Payload::DiscoInfo(Box::new(info))));
                solo.reply(&iq, body);
            }
            Some(payload) if what(payload) => found = Some(iq),
            other => panic!("{other:?}"),
        }
    }
    found.expect("the request")
}

#[test]
fn as_the_initiator_our_stanzas_get_the_recorded_answers() {
    let mut solo = end(SENDER);
    let recorded = line(1);
    let Some(Payload::Si(si)) = recorded.request() else {
        panic!("{recorded:?}")
    };
    let file = si.file.clone().expect("a file");
    let mut options = plain();
    options.mime_type = si.mime_type.clone();
    let now = solo.now;
    let id = solo
        .transfers()
        .offer(jid(ASKED), file, options, entropy(1), now);

    // The proxies first: the recorded client asks after the answer, which is late for some peers.
    let items = find(&mut solo, |p| matches!(p, Payload::DiscoItems(_)));
    assert_eq!(items.request(), line(3).request());
    hear(&mut solo, 4, Some(&items));
    // Each item is asked what it is; the proxy then for its address.
    let mut asked = solo.take_iqs();
    assert_eq!(asked.len(), 4, "{asked:?}");
    for iq in asked.drain(..) {
        let mut info = DiscoInfo::default();
        if iq.to == Some(jid(PROXY)) {
            info.identities.push(proxy_identity());
        }
        let body = IqBody::Result(Some(Payload::DiscoInfo(Box::new(info))));
        solo.reply(&iq, body);
    }
    let address = find(&mut solo, |p| matches!(p, Payload::Bytestreams(_)));
    same_but_for_names(&address, 5);
    hear(&mut solo, 6, Some(&address));

    let offer = find(&mut solo, |p| matches!(p, Payload::Si(_)));
    same_but_for_names(&offer, 1);
    assert_eq!(offer.to.as_ref().map(Jid::as_str), Some(ASKED));
    // Two values, and another spelling of the address.
    hear(&mut solo, 2, Some(&offer));
    assert_eq!(
        solo.take_event(),
        Event::Accepted {
            id,
            method: Method::Socks5,
            range: Range::default()
        }
    );
    let query = solo.take_iq();
    same_but_for_names(&query, 7);
    assert_eq!(query.to.as_ref().map(Jid::as_str), Some(RECEIVER));
    hear(&mut solo, 8, Some(&query));

    let (token, dialled) = solo.dials_one();
    assert_eq!(dialled, host(PROXY, "192.168.1.113", 7777));
    let request = socks(1, &solo.sid(id), SENDER, RECEIVER);
    solo.serve(token, CONN, &request);
    let activate = solo.take_iq();
    same_but_for_names(&activate, 9);
    hear(&mut solo, 10, Some(&activate));
    assert_eq!(solo.take_nets(), [NetCommand::Detach(CONN)]);
    assert!(matches!(solo.take_event(), Event::Established { .. }));
    assert_eq!(solo.transfers().via(id), Some(Via::Proxy));

    solo.transfers().moved(id, 152_443, now);
    solo.transfers().finish(id, now).expect("finished");
    assert_eq!(solo.take_nets(), [NetCommand::ShutdownWrite(CONN)]);
    solo.pass(Duration::from_secs(11));
    assert_eq!(solo.take_events().last(), Some(&Event::Done { id }));
}

/// Hears the offer, accepts, and hears the StreamHosts.
fn receive() -> (Solo, TransferId) {
    let mut solo = end(RECEIVER);
    hear(&mut solo, 1, None);
    let event = solo.take_event();
    let Event::Offered {
        id,
        from,
        file,
        methods,
        mime_type,
        ..
    } = event
    else {
        panic!("{event:?}")
    };
    assert_eq!(from.as_str(), SENDER);
    assert_eq!(file.name.as_deref(), Some("img0545.png"));
    assert_eq!(
        (file.size, file.desc.as_deref()),
        (Some(152_443), Some("send"))
    );
    assert_eq!(mime_type.as_deref(), Some("text/plain"));
    assert_eq!(methods[..], BOTH);
    let now = solo.now;
    solo.transfers()
        .accept(id, Range::default(), now)
        .expect("accepted");
    let consent = solo.take_iq();
    let recorded = line(2);
    assert_eq!((&consent.id, &consent.to), (&recorded.id, &recorded.to));
    let IqBody::Result(Some(Payload::Si(si))) = &consent.body else {
        panic!("{consent:?}")
    };
    let form = si.feature.as_ref().expect("a form");
    assert_eq!(form.fields[0].values, [ns::BYTESTREAMS.into()], "one value");
    assert!(matches!(solo.take_event(), Event::Accepted { .. }));
    hear(&mut solo, 7, None);
    (solo, id)
}

#[test]
fn as_the_target_every_line_is_understood() {
    let (mut solo, id) = receive();
    let (token, dialled) = solo.dials_one();
    assert_eq!(dialled, host(PROXY, "192.168.1.113", 7777));
    let stream = solo.sid(id);
    solo.serve(token, CONN, &socks(1, &stream, SENDER, RECEIVER));
    let answer = solo.take_iq();
    let recorded = line(8);
    assert_eq!((&answer.id, &answer.to), (&recorded.id, &recorded.to));
    let IqBody::Result(Some(Payload::Bytestreams(query))) = &answer.body else {
        panic!("{answer:?}")
    };
    assert_eq!(query.content, BytestreamsContent::Used(jid(PROXY)));
    assert_eq!(solo.take_events(), [], "it is not activated");

    solo.receive(CONN, b"\x89PNG");
    assert!(matches!(solo.take_event(), Event::Established { .. }));
    assert_eq!(solo.transfers().early(id), Bytes::from_static(b"\x89PNG"));
    let now = solo.now;
    solo.transfers().moved(id, 152_443, now);
    solo.transfers().ended(id, Ok(()), now).expect("ended");
    solo.transfers().completed(id, Ok(()), now).expect("done");
    assert_eq!(solo.take_events().last(), Some(&Event::Done { id }));
    assert_eq!(solo.take_nets().last(), Some(&NetCommand::Close(CONN)));
}

/// Both ends at once: what we say as the one, we understand as the other. The proxy says what the
/// recorded one did.
#[test]
fn both_ends_together_agree_on_the_hash() {
    let (mut target, _) = receive();
    let (token, _) = target.dials_one();
    target.net(bytestreams_machine::NetInput::Connected(token, CONN));
    target.take_nets();
    target.receive(CONN, CHOSEN);
    let nets = target.take_nets();
    let [NetCommand::Send(_, request)] = &nets[..] else {
        panic!("{nets:?}")
    };
    let stream = "82B0C697-C1DE-93F9-103E-481C8E7A3BD8";
    assert_eq!(request[..], socks(1, &sid(stream), SENDER, RECEIVER));
}
