//! How a transfer over a socket ends.

use crate::common::*;
use crate::hand::*;
use bytes::Bytes;
use bytestreams_machine::{ConnId, ListenId, NetCommand, NetInput};
use bytestreams_stanza::ns;
use bytestreams_transfer::{
    Blocked, CommandError, ConnEnd, Event, Incomplete, Reason, Side, Step, TransferId,
};
use core::time::Duration;

const CONN: ConnId = ConnId(7);

/// A socket by which we send.
fn sending(size: u64) -> (Solo, TransferId) {
    let mut config = bare();
    config.socks5.listen = true;
    let mut solo = Solo::with(config);
    let id = solo.offer(file(size), plain());
    let listen = ListenId(0);
    let addr = "192.0.2.3:4000".parse().expect("an address");
    solo.net(NetInput::Listening(listen, addr));
    let offer = solo.take_iq();
    solo.consent(&offer, &[ns::BYTESTREAMS]);
    let query = solo.take_iq();
    solo.take_nets();
    let request = socks(1, &solo.sid(id), ME, PEER);
    solo.come(listen, CONN, &request);
    solo.give(PEER, used(&query, ME));
    assert!(matches!(solo.take_event(), Event::Established { .. }));
    let nets = solo.take_nets();
    assert_eq!(
        nets,
        [NetCommand::Detach(CONN), NetCommand::Unlisten(listen)]
    );
    (solo, id)
}

/// A socket by which we receive.
fn receiving(size: u64) -> (Solo, TransferId) {
    let mut solo = Solo::with(bare());
    let id = solo.accepted("s1", size, &[ns::BYTESTREAMS, ns::IBB]);
    solo.set(PEER, "q1", hosts("s1", &[host(PEER, "192.0.2.5", 5000)]));
    let (token, _) = solo.dials_one();
    solo.serve(token, CONN, &socks(1, &sid("s1"), PEER, ME));
    solo.receive(CONN, b"0");
    assert!(matches!(solo.take_event(), Event::Established { .. }));
    solo.take_nets();
    solo.take_stanzas();
    (solo, id)
}

#[track_caller]
fn failure(solo: &mut Solo, id: TransferId) -> Reason {
    match solo.take_events().pop() {
        Some(Event::Failed { id: failed, reason }) if failed == id => {
            assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
            assert!(solo.transfers().is_idle());
            reason
        }
        other => panic!("no failure: {other:?}"),
    }
}

#[test]
fn a_sender_shuts_down_and_is_done_when_the_peer_has_closed() {
    let (mut solo, id) = sending(9);
    let now = solo.now;
    solo.transfers().moved(id, 4, now);
    assert_eq!(solo.take_event(), Event::Progress { id, octets: 4 });
    solo.transfers().moved(id, 5, now);
    assert_eq!(solo.take_event(), Event::Progress { id, octets: 9 });
    solo.transfers().finish(id, now).expect("finished");
    assert_eq!(solo.take_nets(), [NetCommand::ShutdownWrite(CONN)]);
    assert_eq!(solo.take_events(), []);
    solo.net(NetInput::Closed(CONN));
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
    assert_eq!(solo.take_event(), Event::Done { id });
    assert!(solo.transfers().is_idle());
}

#[test]
fn a_peer_that_does_not_close_has_10_s() {
    let (mut solo, id) = sending(0);
    let now = solo.now;
    solo.transfers().finish(id, now).expect("finished");
    solo.take_nets();
    solo.pass(Duration::from_millis(9900));
    assert_eq!(solo.take_events(), []);
    solo.pass(Duration::from_millis(200));
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
    assert_eq!(solo.take_event(), Event::Done { id });
}

#[test]
fn a_peer_that_closed_before_is_not_waited_for() {
    let (mut solo, id) = sending(3);
    let now = solo.now;
    solo.transfers().moved(id, 3, now);
    solo.net(NetInput::Closed(CONN));
    solo.transfers().finish(id, now).expect("finished");
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
    assert_eq!(solo.take_events().last(), Some(&Event::Done { id }));
}

#[test]
fn a_reset_behind_the_last_octet_is_no_success() {
    let (mut solo, id) = sending(3);
    let now = solo.now;
    solo.transfers().moved(id, 3, now);
    solo.transfers().finish(id, now).expect("finished");
    solo.take_nets();
    let broken = Err(ConnEnd::Reset);
    solo.transfers().ended(id, broken, now).expect("ended");
    assert_eq!(failure(&mut solo, id), Reason::Connection(ConnEnd::Reset));
}

#[test]
fn a_sender_moves_what_it_announced_no_more_and_no_less() {
    let (mut solo, id) = sending(9);
    let now = solo.now;
    solo.transfers().moved(id, 8, now);
    solo.transfers().finish(id, now).expect("heard");
    let (expected, got) = (9, 8);
    assert_eq!(
        failure(&mut solo, id),
        Reason::SourceChanged { expected, got }
    );
}

#[test]
fn a_socket_that_breaks_in_the_middle_is_a_failure() {
    for end in [ConnEnd::Reset, ConnEnd::TimedOut, ConnEnd::Broken] {
        let (mut solo, id) = sending(9);
        let now = solo.now;
        solo.transfers().moved(id, 4, now);
        solo.transfers().ended(id, Err(end), now).expect("ended");
        assert_eq!(failure(&mut solo, id), Reason::Connection(end));
        let (mut solo, id) = receiving(9);
        solo.transfers().moved(id, 4, now);
        solo.transfers().ended(id, Err(end), now).expect("ended");
        assert_eq!(failure(&mut solo, id), Reason::Connection(end));
    }
    let (mut solo, id) = sending(9);
    let now = solo.now;
    solo.transfers().ended(id, Ok(()), now).expect("ended");
    let by = Side::Peer;
    assert_eq!(failure(&mut solo, id), Reason::Cancelled { by });
}

#[test]
fn a_receiver_is_complete_at_the_size() {
    let (mut solo, id) = receiving(9);
    let now = solo.now;
    assert_eq!(solo.transfers().early(id), Bytes::from_static(b"0"));
    solo.transfers().moved(id, 8, now);
    let early = solo.transfers().completed(id, Ok(()), now);
    assert_eq!(early, Err(CommandError::WrongStage));
    solo.transfers().moved(id, 1, now);
    assert_eq!(
        solo.take_events(),
        [Event::Progress { id, octets: 9 }],
        "one word about each"
    );
    solo.transfers().ended(id, Ok(()), now).expect("ended");
    assert_eq!(solo.take_event(), Event::Ended { id });
    assert_eq!(solo.take_nets(), []);
    solo.transfers().completed(id, Ok(()), now).expect("done");
    assert_eq!(solo.take_nets(), [NetCommand::Close(CONN)]);
    assert_eq!(solo.take_event(), Event::Done { id });
    assert!(solo.transfers().is_idle());
}

#[test]
fn an_early_end_is_too_short_and_more_is_too_long() {
    let (mut solo, id) = receiving(9);
    let now = solo.now;
    solo.transfers().moved(id, 8, now);
    solo.transfers().ended(id, Ok(()), now).expect("heard");
    let (expected, got) = (9, 8);
    assert_eq!(failure(&mut solo, id), Reason::TooShort { expected, got });
    let (mut solo, id) = receiving(9);
    solo.transfers().moved(id, 10, now);
    assert_eq!(failure(&mut solo, id), Reason::TooLong { expected });
}

#[test]
fn a_receiver_that_cannot_complete_closes_the_socket() {
    let (mut solo, id) = receiving(9);
    let now = solo.now;
    let full = Err(Incomplete::NoSpace);
    solo.transfers().completed(id, full, now).expect("heard");
    assert_eq!(
        failure(&mut solo, id),
        Reason::Incomplete(Incomplete::NoSpace)
    );
}

#[test]
fn a_socket_on_which_nothing_moves_is_given_up() {
    for (mut solo, id) in [sending(9), receiving(9)] {
        for _ in 0..3 {
            solo.pass(Duration::from_secs(299));
            assert_eq!(solo.take_events(), []);
            let now = solo.now;
            solo.transfers().moved(id, 0, now);
        }
        solo.pass(Duration::from_secs(301));
        let step = Step::Data;
        assert_eq!(failure(&mut solo, id), Reason::TimedOut { step });
    }
    // While the application is busy with what it has, nobody is waited for.
    let (mut solo, id) = receiving(9);
    let now = solo.now;
    solo.transfers().moved(id, 9, now);
    solo.transfers().ended(id, Ok(()), now).expect("ended");
    solo.pass(Duration::from_secs(1000));
    let now = solo.now;
    solo.transfers().completed(id, Ok(()), now).expect("done");
    assert_eq!(solo.take_events().last(), Some(&Event::Done { id }));
}

#[test]
fn commands_in_band_are_not_for_a_socket_and_the_other_way_round() {
    let (mut solo, id) = sending(9);
    let now = solo.now;
    let mut octets = Bytes::from_static(b"octets");
    assert_eq!(
        solo.transfers().write(id, &mut octets, now),
        Err(Blocked::NotEstablished)
    );
    assert_eq!(solo.transfers().read(id), None);
    assert_eq!(solo.transfers().chunk(id), None);
    let not_ours = solo.transfers().completed(id, Ok(()), now);
    assert_eq!(not_ours, Err(CommandError::WrongStage));
    let (mut solo, id) = receiving(9);
    let not_ours = solo.transfers().finish(id, now);
    assert_eq!(not_ours, Err(CommandError::WrongStage));

    let mut solo = Solo::with(bare());
    let id = solo.accepted("s1", 9, &[ns::IBB]);
    solo.set(PEER, "open-1", open("s1", 4096));
    solo.take_events();
    solo.transfers().moved(id, 9, now);
    assert_eq!(solo.take_events(), []);
    assert_eq!(solo.transfers().early(id), Bytes::new());
    let none = solo.transfers().ended(id, Ok(()), now);
    assert_eq!(none, Err(CommandError::WrongStage));
    let nobody = TransferId(u64::MAX);
    let unknown = solo.transfers().ended(nobody, Ok(()), now);
    assert_eq!(unknown, Err(CommandError::UnknownTransfer));
}

#[test]
fn a_lost_link_ends_everything_and_closes_every_socket() {
    let (mut solo, first) = receiving(9);
    let now = solo.now;
    // One that is being tried, and one that listens.
    let second = solo.accepted("s2", 9, &[ns::BYTESTREAMS]);
    solo.set(PEER, "q2", hosts("s2", &[host(PEER, "192.0.2.6", 1)]));
    let (token, _) = solo.dials_one();
    solo.net(NetInput::Connected(token, ConnId(8)));
    solo.set(PEER, "q3", hosts("s3", &[]));
    solo.take_nets();
    solo.take_stanzas();
    solo.transfers().link_lost(now);
    assert_eq!(
        solo.take_nets(),
        [NetCommand::Close(CONN), NetCommand::Close(ConnId(8))]
    );
    let reason = Reason::LinkLost;
    let lost = |id| Event::Failed {
        id,
        reason: reason.clone(),
    };
    assert_eq!(solo.take_events(), [lost(first), lost(second)]);
    assert_eq!(solo.take_stanzas(), []);
    // What was on its way is closed too.
    solo.net(NetInput::Connected(token, ConnId(9)));
    assert_eq!(solo.take_nets(), [NetCommand::Close(ConnId(9))]);
    assert!(solo.transfers().is_idle());
    assert_eq!(solo.stack.machine.via(first), None);

    let mut config = bare();
    config.socks5.listen = true;
    let mut solo = Solo::with(config);
    solo.offer(file(9), plain());
    solo.take_nets();
    solo.transfers().link_lost(now);
    assert_eq!(solo.take_nets(), [NetCommand::Unlisten(ListenId(0))]);
}
