//! What transfers cost in memory, counted.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "tests look for one thing among many"
)]
#![expect(
    unsafe_code,
    reason = "an allocator that counts is an allocator, and those are unsafe to write"
)]

mod common;

use bytestreams_machine::{Input, Instant, Machine, Output, Own};
use bytestreams_stanza::{Iq, Jid, Range, Stanza};
use bytestreams_transfer::{
    Bounds, Config, Event, Keepalive, Options, TransferId, Transfers, Window,
};
use common::*;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::num::NonZeroU16;
use std::alloc::System;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static OCTETS: Cell<isize> = const { Cell::new(0) };
}

fn count(octets: isize) {
    OCTETS.with(|total| total.set(total.get() + octets));
    if octets > 0 {
        ALLOCATIONS.with(|total| total.set(total.get() + 1));
    }
}

// SAFETY: everything is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn heap() -> isize {
    OCTETS.with(Cell::get)
}

fn allocations() -> usize {
    ALLOCATIONS.with(Cell::get)
}

const IDLE: usize = 1000;

fn machine() -> Transfers {
    let mut config = Config::default();
    config.allow_unannounced = true;
    config.keepalive = Keepalive::Off;
    Transfers::new(Own { jid: jid(ME) }, config, Instant::ZERO)
}

fn drain(machine: &mut Transfers) -> Vec<Output<Event>> {
    core::iter::from_fn(|| machine.poll_output()).collect()
}

/// The peer of the n-th stream. An address is kept once for all its stanzas, as the decoder does.
fn peers() -> impl Fn(usize) -> Jid {
    let most = Bounds::default().transfers_a_peer;
    let all: Vec<Jid> = (0..=IDLE / most)
        .map(|n| jid(&format!("juliet{n}@capulet.lit/balcony")))
        .collect();
    move |n| all[n / most].clone()
}

#[test]
fn an_idle_stream_of_a_peer_costs_at_most_1_kib() {
    let mut machine = machine();
    let now = Instant::ZERO;
    let peer = peers();
    let before = heap();
    for n in 0..IDLE {
        let stream = format!("s{n:032x}");
        let mut iq = Iq::set(None, "open-1".into(), open(&stream, 4096));
        iq.from = Some(peer(n));
        assert!(
            machine
                .handle_input(Input::Stanza(iq.into()), now)
                .is_none()
        );
        let offered = drain(&mut machine);
        let Some(Output::Event(Event::Offered { id, .. })) = offered.first() else {
            panic!("{offered:?}")
        };
        machine
            .accept(*id, Range::default(), now)
            .expect("accepted");
        drain(&mut machine);
    }
    assert_eq!(machine.len(), IDLE);
    let each = (heap() - before) / IDLE as isize;
    println!(
        "{each} octets for each idle stream that a peer opened, {} of them the session",
        size_of::<bytestreams_ibb::Session>()
    );
    assert!(each <= 1024, "{each} octets");
}

#[test]
fn an_idle_stream_of_ours_costs_at_most_1_kib() {
    let mut machine = machine();
    let now = Instant::ZERO;
    let peer = peers();
    let before = heap();
    for n in 0..IDLE {
        let mut entropy = entropy(1);
        entropy.0[..8].copy_from_slice(&n.to_be_bytes());
        let mut options = Options::default();
        options.window = Window::Blocks(NonZeroU16::MIN);
        options.block_size = NonZeroU16::new(4096);
        machine.open(peer(n), options, entropy, now);
        let asked = drain(&mut machine);
        let [Output::Stanza(Stanza::Iq(open))] = &asked[..] else {
            panic!("{asked:?}")
        };
        let mut answer = result(&open.id);
        answer.from = Some(peer(n));
        assert!(
            machine
                .handle_input(Input::Stanza(answer.into()), now)
                .is_none()
        );
        drain(&mut machine);
    }
    assert_eq!(machine.len(), IDLE);
    let each = (heap() - before) / IDLE as isize;
    println!("{each} octets for each idle stream that we opened");
    assert!(each <= 1024, "{each} octets");
}

/// Carries everything that the ends have to say, and reads and stores at the second.
fn settle(ends: &mut [Transfers; 2], names: &[Jid; 2], ids: [TransferId; 2], now: Instant) {
    loop {
        let mut quiet = true;
        for end in 0..2 {
            while let Some(output) = ends[end].poll_output() {
                quiet = false;
                match output {
                    Output::Stanza(mut stanza) => {
                        stanza.set_from(Some(names[end].clone()));
                        ends[1 - end].handle_input(Input::Stanza(stanza), now);
                    }
                    Output::Event(Event::Readable { id }) => {
                        assert_eq!(id, ids[end]);
                        while let Some(block) = ends[end].read(id) {
                            ends[end].stored(id, block.len(), now);
                        }
                    }
                    Output::Event(_) => {}
                    Output::Net(command) => panic!("{command:?}"),
                }
            }
        }
        if quiet {
            return;
        }
    }
}

#[test]
fn a_block_on_its_way_costs_no_allocation() {
    for window in [Window::Auto, Window::Blocks(NonZeroU16::MIN)] {
        let names = [jid(ME), jid(PEER)];
        let mut ends = names.each_ref().map(|own| {
            let mut config = Config::default();
            config.allow_unannounced = true;
            Transfers::new(Own { jid: own.clone() }, config, Instant::ZERO)
        });
        let mut now = Instant::ZERO;
        let mut options = Options::default();
        options.window = window;
        options.block_size = NonZeroU16::new(4096);
        let id = ends[0].open(names[1].clone(), options, entropy(1), now);
        let mut theirs = None;
        for end in [0, 1, 0, 1, 0, 1, 0] {
            for output in drain(&mut ends[end]) {
                match output {
                    Output::Stanza(mut stanza) => {
                        stanza.set_from(Some(names[end].clone()));
                        let rest = ends[1 - end].handle_input(Input::Stanza(stanza), now);
                        if let Some(Input::Stanza(Stanza::Iq(disco))) = rest {
                            let features = ends[1 - end].features();
                            let info = bytestreams_stanza::DiscoInfo {
                                features: features.into_iter().map(Into::into).collect(),
                                ..Default::default()
                            };
                            let payload = bytestreams_stanza::Payload::DiscoInfo(Box::new(info));
                            let mut answer = disco.result(Some(payload));
                            answer.from = Some(names[1 - end].clone());
                            ends[end].handle_input(Input::Stanza(answer.into()), now);
                        }
                    }
                    Output::Event(Event::Offered { id, .. }) => {
                        ends[end]
                            .accept(id, Range::default(), now)
                            .expect("accepted");
                        theirs = Some(id);
                    }
                    Output::Event(_) | Output::Net(_) => {}
                }
            }
        }
        let ids = [id, theirs.expect("an offer")];
        let mut octets = octets(4095 * 4000);
        let mut send = |blocks: usize| {
            for _ in 0..blocks {
                now += core::time::Duration::from_millis(1);
                while ends[0].write(id, &mut octets, now).is_err() {
                    settle(&mut ends, &names, ids, now);
                }
                settle(&mut ends, &names, ids, now);
                for end in &mut ends {
                    if end.poll_timeout().is_some_and(|due| due <= now) {
                        end.handle_timeout(now);
                    }
                }
            }
        };
        send(1000);
        let before = allocations();
        send(2000);
        assert_eq!(allocations() - before, 0, "{window:?}");
    }
}

/// A driver without sockets, whose peer leads the handshake.
#[cfg(feature = "socks5")]
#[test]
fn an_idle_transfer_over_a_socket_costs_at_most_1_kib() {
    use bytes::Bytes;
    use bytestreams_machine::{ConnId, NetCommand, NetInput};
    use bytestreams_stanza::ns;
    use bytestreams_transfer::{Method, Methods};

    let mut config = Config::default();
    config.keepalive = Keepalive::Off;
    config.methods = Methods::from_slice(&[Method::Socks5, Method::Ibb]);
    let mut machine = Transfers::new(Own { jid: jid(ME) }, config, Instant::ZERO);
    let now = Instant::ZERO;
    let peer = peers();
    let host = bytestreams_stanza::StreamHost {
        jid: jid(PEER),
        host: "192.0.2.5".into(),
        port: 5000,
    };
    let before = heap();
    for n in 0..IDLE {
        let stream = format!("s{n:032x}");
        let offer = offer_of(&stream, file(9), &[ns::BYTESTREAMS, ns::IBB]);
        let mut iq = Iq::set(None, "si-1".into(), offer);
        iq.from = Some(peer(n));
        machine.handle_input(Input::Stanza(iq.into()), now);
        let offered = drain(&mut machine);
        let Some(Output::Event(Event::Offered { id, .. })) = offered.first() else {
            panic!("{offered:?}")
        };
        machine
            .accept(*id, Range::default(), now)
            .expect("accepted");
        let query = bytestreams_stanza::Bytestreams {
            sid: Some(sid(&stream)),
            mode: bytestreams_stanza::Mode::Tcp,
            dstaddr: None,
            content: bytestreams_stanza::BytestreamsContent::Hosts(vec![host.clone()]),
        };
        let query = bytestreams_stanza::Payload::Bytestreams(Box::new(query));
        let mut iq = Iq::set(None, "q-1".into(), query);
        iq.from = Some(peer(n));
        machine.handle_input(Input::Stanza(iq.into()), now);
        let (conn, mut token, mut request) = (ConnId(n as u64), None, None);
        for input in 0..4 {
            for output in drain(&mut machine) {
                match output {
                    Output::Net(NetCommand::Connect(t, _)) => token = Some(t),
                    Output::Net(NetCommand::Send(_, octets)) => request = Some(octets),
                    _ => {}
                }
            }
            let octets = match input {
                0 => {
                    let token = token.expect("an attempt");
                    machine.handle_input(Input::Net(NetInput::Connected(token, conn)), now);
                    continue;
                }
                1 => Bytes::from_static(&[5, 0]),
                2 => {
                    let mut reply = request.take().expect("a request").to_vec();
                    reply[1] = 0;
                    reply.into()
                }
                _ => Bytes::from_static(b"o"),
            };
            machine.handle_input(Input::Net(NetInput::Received(conn, octets)), now);
        }
        let events = drain(&mut machine);
        let established = |o: &Output<Event>| matches!(o, Output::Event(Event::Established { .. }));
        assert!(events.iter().any(established), "{events:?}");
        machine.early(*id);
    }
    assert_eq!(machine.len(), IDLE);
    let each = (heap() - before) / IDLE as isize;
    println!("{each} octets for each idle transfer over a socket");
    assert!(each <= 1024, "{each} octets");
}
