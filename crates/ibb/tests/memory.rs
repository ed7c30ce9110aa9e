//! What a stream costs: nothing a block in steady state, little while it is idle.
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is, and panic at what they do not expect"
)]

mod hand;

use allocation_counter::measure;
use bytes::Bytes;
use bytestreams_ibb::{Config, Session, WindowPolicy};
use bytestreams_machine::{Ids, Input, Instant, Machine, Output};
use bytestreams_stanza::{Carrier, Iq, IqBody, Payload, Sid, Stanza};
use hand::*;

/// Two ends and the two directions of the link between them, with no memory of its own to grow.
struct Loop {
    ends: [Session; 2],
    links: [Vec<Stanza>; 2],
    text: Bytes,
    now: u64,
    blocks: usize,
}

impl Loop {
    fn new(config: Config) -> Self {
        let (a, b) = pair(config, config);
        Self {
            ends: [a.session, b.session],
            links: [Vec::with_capacity(1000), Vec::with_capacity(1000)],
            text: octets(1 << 16),
            now: 0,
            blocks: 0,
        }
    }

    /// One round: both ends write what the window takes, everything is delivered and stored.
    fn round(&mut self) {
        self.now += 100;
        let now = Instant::from_micros(self.now);
        for end in &mut self.ends {
            for _ in 0..32 {
                let mut text = self.text.clone();
                if end.write(&mut text, now).is_err() {
                    break;
                }
                self.blocks += 1;
            }
        }
        for i in 0..2 {
            let from = [romeo_jid(), juliet_jid()][i].clone();
            let end = &mut self.ends[i];
            while let Some(block) = end.read() {
                end.stored(block.len(), now);
            }
            while let Some(output) = end.poll_output() {
                if let Output::Stanza(mut stanza) = output {
                    stanza.set_from(Some(from.clone()));
                    self.links[i].push(stanza);
                }
            }
        }
        for i in 0..2 {
            for stanza in self.links[i].drain(..) {
                if let Stanza::Iq(iq) = &stanza {
                    if let Some(Payload::Ping) = iq.request() {
                        let pong = Iq {
                            from: iq.to.clone(),
                            to: None,
                            id: iq.id.clone(),
                            body: IqBody::Result(None),
                        };
                        self.ends[i].handle_input(Input::Stanza(pong.into()), now);
                        continue;
                    }
                }
                let rest = self.ends[1 - i].handle_input(Input::Stanza(stanza), now);
                assert!(rest.is_none());
            }
        }
    }
}

fn romeo_jid() -> &'static bytestreams_stanza::Jid {
    static JID: std::sync::OnceLock<bytestreams_stanza::Jid> = std::sync::OnceLock::new();
    JID.get_or_init(romeo)
}

fn juliet_jid() -> &'static bytestreams_stanza::Jid {
    static JID: std::sync::OnceLock<bytestreams_stanza::Jid> = std::sync::OnceLock::new();
    JID.get_or_init(juliet)
}

fn steady(config: Config) {
    let mut both = Loop::new(config);
    // The adaptive window tries one block at a time for a while.
    for _ in 0..2000 {
        both.round();
    }
    let before = both.blocks;
    let info = measure(|| {
        for _ in 0..1000 {
            both.round();
        }
    });
    let blocks = both.blocks - before;
    assert!(blocks >= 1000, "only {blocks} blocks");
    assert_eq!(info.count_total, 0, "allocations over {blocks} blocks");
}

#[test]
fn a_block_costs_no_allocation_at_a_fixed_window() {
    for window in [1, 16] {
        steady(config(|c| c.window = fixed(window)));
    }
}

#[test]
fn a_block_costs_no_allocation_at_the_adaptive_window() {
    steady(config(|c| {
        c.window = WindowPolicy::Adaptive;
        c.block_size = 65535;
    }));
}

#[test]
fn a_block_by_message_costs_no_allocation() {
    steady(config(|c| {
        c.window = fixed(16);
        c.carrier = Carrier::Message;
    }));
}

/// Heap octets that a session holds once it is open, itself included, of its own and not shared.
fn idle(window: WindowPolicy, initiator: bool, used: bool) -> u64 {
    let config = config(|c| c.window = window);
    let sids: Vec<_> = (0..1000)
        .map(|i| Sid::new(&format!("stream{i}")).expect("a sid"))
        .collect();
    let (me, peer) = (juliet(), romeo());
    let mut sessions: Vec<Option<Box<Session>>> = (0..1000).map(|_| None).collect();
    let info = measure(|| {
        for (place, sid) in sessions.iter_mut().zip(&sids) {
            let mut request = open(4096);
            if let IqBody::Set(Payload::Open(open)) = &mut request.body {
                open.sid = sid.clone();
            }
            let ids = Ids::new("aaaaaaaa");
            let mut session = if initiator {
                Session::open(peer.clone(), sid.clone(), config, ids, at(0))
            } else {
                let Some(Payload::Open(open)) = request.request() else {
                    panic!("an <open/>");
                };
                Session::accept(peer.clone(), &request, open, config, ids, at(0))
            };
            let mut iq = None;
            while let Some(output) = session.poll_output() {
                if let Output::Stanza(Stanza::Iq(sent)) = output {
                    iq = Some(sent);
                }
            }
            if initiator {
                let mut answer = iq.expect("an <open/>").result(None);
                answer.from = Some(peer.clone());
                session.handle_input(Input::Stanza(answer.into()), at(0));
            }
            if used {
                let mut stanza = data("d", 0, b"abc");
                if let Stanza::Iq(Iq {
                    from,
                    body: IqBody::Set(Payload::Data(data)),
                    ..
                }) = &mut stanza
                {
                    *from = Some(peer.clone());
                    data.sid = sid.clone();
                }
                session.handle_input(Input::Stanza(stanza), at(0));
                while let Some(block) = session.read() {
                    session.stored(block.len(), at(0));
                }
            }
            while session.poll_output().is_some() {}
            if used {
                // The silence after it gives back what it took.
                session.handle_timeout(at(60_000));
                while session.poll_output().is_some() {}
            }
            assert!(!session.is_closed());
            *place = Some(Box::new(session));
        }
    });
    drop(me);
    info.bytes_current as u64 / 1000
}

#[test]
fn an_idle_session_holds_at_most_1_kib() {
    for window in [fixed(1), WindowPolicy::Adaptive] {
        for initiator in [true, false] {
            let octets = idle(window, initiator, false);
            println!("{window:?}, initiator {initiator}: {octets} octets");
            assert!(octets <= 1024, "{octets} octets, {window:?}");
        }
    }
}

#[test]
fn a_session_that_rests_after_a_block_holds_at_most_1_kib_again() {
    let octets = idle(fixed(1), false, true);
    println!("{octets} octets");
    assert!(octets <= 1024, "{octets} octets");
}

#[test]
fn a_session_is_small() {
    println!("{} octets", size_of::<Session>());
    assert!(size_of::<Session>() <= 576);
}
