//! A file of 8 MiB from one machine to another in one process, offer and acknowledgements and all,
//! through XML octets but no socket: `cargo bench -p bytestreams-benches --bench transfer`.
//!
//! Beside it the blocks alone, written and read once each: by a hand-made bound with the same
//! base64, and by xmpp-parsers. Neither of the two has a session, acknowledgements or limits.
#![allow(missing_docs)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the events that a bench does not need are passed over alike"
)]

extern crate alloc;

mod common;

use alloc::collections::VecDeque;
use bytes::Bytes;
use bytestreams_machine::{Entropy, Input, Instant, Machine, Output, Own, Responder, Stack};
use bytestreams_stanza::door::{Context, QuickXml};
use bytestreams_stanza::{
    File, Frame, Framer, Identity, Jid, Limits, OutBuf, Range, Stanza, XmlWriter,
};
use bytestreams_transfer::{Config, Event, Method, Options, TransferId, Transfers};
use common::{FROM, PIECE, SIZES, TO, block, bound, id, peers};
use core::hint::black_box;
use core::num::NonZeroU16;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const FILE: usize = 8 << 20;
/// Octets that a link reads at a time.
const READ: usize = 64 << 10;

/// One side: the machines, and the link's writer and framer.
struct End {
    stack: Stack<Transfers>,
    writer: XmlWriter,
    out: OutBuf,
    framer: Framer<QuickXml>,
    peer: Jid,
    events: VecDeque<Event>,
}

impl End {
    fn new(own: &str, peer: &str) -> Self {
        let own = Own {
            jid: Jid::new(own).expect("a JID"),
        };
        let transfers = Transfers::new(own, Config::default(), Instant::ZERO);
        let identity = Identity {
            category: "client".into(),
            kind: "bot".into(),
            name: None,
        };
        let responder = Responder::new("bench", identity, &transfers.features());
        Self {
            stack: Stack::new(transfers, responder),
            writer: XmlWriter::default(),
            out: OutBuf::default(),
            framer: Framer::inside(QuickXml::default(), Limits::DEFAULT, Context::default()),
            peer: Jid::new(peer).expect("a JID"),
            events: VecDeque::new(),
        }
    }

    /// Carries out what the machines ask for, and hands the octets to the other side.
    fn drain(&mut self, other: &mut Self, now: Instant) {
        while let Some(output) = self.stack.poll_output() {
            match output {
                Output::Stanza(stanza) => self.writer.write(&stanza, &mut self.out),
                Output::Event(event) => self.events.push_back(event),
                Output::Net(_) => {}
            }
        }
        for mut piece in self.out.as_slice().chunks(READ) {
            while let Some(frame) = other.framer.next(&mut piece) {
                let Ok(Frame::Stanza(stanza)) = frame else {
                    panic!("{frame:?}")
                };
                other.take(stanza, now);
            }
        }
        self.out.clear();
    }

    fn take(&mut self, mut stanza: Stanza, now: Instant) {
        stanza.set_from(Some(self.peer.clone()));
        self.stack.handle_input(Input::Stanza(stanza), now);
    }
}

/// Moves the octets, and answers how many came.
fn transfer(octets: &Bytes, block_size: u16) -> usize {
    let clock = std::time::Instant::now();
    let now = || Instant::from_micros(clock.elapsed().as_micros() as u64);
    let (mut sender, mut receiver) = (End::new(FROM, TO), End::new(TO, FROM));
    let file = File {
        name: Some("octets".into()),
        size: Some(octets.len() as u64),
        ..File::default()
    };
    let mut options = Options::default();
    options.methods = [Method::Ibb].into_iter().collect();
    options.block_size = NonZeroU16::new(block_size);
    let to = sender.peer.clone();
    let entropy = Entropy([7; 32]);
    let machine = &mut sender.stack.machine;
    let id = machine.offer(to, file, options, entropy, now());
    let mut left = octets.clone();
    let mut came = 0;
    loop {
        sender.drain(&mut receiver, now());
        while let Some(event) = sender.events.pop_front() {
            match event {
                Event::Established { .. } | Event::Writable { .. } => {
                    write(&mut sender.stack.machine, id, &mut left, now());
                }
                Event::Done { .. } => return came,
                Event::Failed { reason, .. } => panic!("{reason}"),
                _ => {}
            }
        }
        receiver.drain(&mut sender, now());
        while let Some(event) = receiver.events.pop_front() {
            let machine = &mut receiver.stack.machine;
            match event {
                Event::Offered { id, .. } => {
                    machine
                        .accept(id, Range::default(), now())
                        .expect("an offer");
                }
                Event::Readable { id } => {
                    while let Some(block) = machine.read(id) {
                        let octets = black_box(block).len();
                        came += octets;
                        machine.stored(id, octets, now());
                    }
                }
                Event::Ended { id } => machine.completed(id, Ok(()), now()).expect("the end"),
                _ => {}
            }
        }
    }
}

/// Writes as much as goes.
fn write(machine: &mut Transfers, id: TransferId, left: &mut Bytes, now: Instant) {
    while !left.is_empty() && machine.write(id, left, now).is_ok() {}
    if left.is_empty() {
        machine.finish(id, now).expect("the end of the file");
    }
}

fn in_process(c: &mut Criterion) {
    let mut group = c.benchmark_group("transfer");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(FILE as u64));
    let octets = Bytes::from(block(FILE, 0));
    for size in SIZES {
        let block_size = u16::try_from(size).expect("16 bits");
        group.bench_function(BenchmarkId::new("ours", size), |b| {
            b.iter(|| assert_eq!(transfer(&octets, block_size), FILE));
        });
        let mut bound = bound::Bound::new();
        let mut reader = bound::Bound::new();
        group.bench_function(BenchmarkId::new("bound, blocks only", size), |b| {
            b.iter(|| {
                for (seq, octets) in octets.chunks(size).enumerate() {
                    let text = bound.encode(&id(seq), seq as u16, octets);
                    black_box(reader.decode(text).octets);
                }
            });
        });
        let (mut writer, mut reader) = (peers::Encoder::new(), peers::Decoder::new());
        group.bench_function(BenchmarkId::new("xmpp-parsers, blocks only", size), |b| {
            b.iter(|| {
                for (seq, octets) in octets.chunks(size).enumerate() {
                    let text = writer.encode(&id(seq), seq as u16, octets);
                    black_box(reader.decode(text, PIECE));
                }
            });
        });
    }
}

criterion_group!(benches, in_process);
criterion_main!(benches);
