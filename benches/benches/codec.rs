//! Encoding and decoding of blocks, one by one: `cargo bench -p bytestreams-benches --bench codec`.
//! For figures to quote see `ratios`, which measures all in turns.
#![allow(missing_docs)]

mod common;

use bytes::Bytes;
use common::{PIECE, SIZES, block, bound, id, ours, peers};
use core::hint::black_box;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let octets = Bytes::from(block(size, 0));
        let id = id(0);
        let mut ours = ours::Encoder::new();
        let stanza = ours.stanza(&id, 7, &octets);
        group.bench_function(BenchmarkId::new("ours", size), |b| {
            b.iter(|| black_box(ours.encode(black_box(&stanza)).len()));
        });
        let mut bound = bound::Bound::new();
        group.bench_function(BenchmarkId::new("bound", size), |b| {
            b.iter(|| black_box(bound.encode(&id, 7, black_box(&octets)).len()));
        });
        let mut peers = peers::Encoder::new();
        group.bench_function(BenchmarkId::new("xmpp-parsers", size), |b| {
            b.iter(|| black_box(peers.encode(&id, 7, black_box(&octets)).len()));
        });
    }
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let octets = Bytes::from(block(size, 0));
        let mut encoder = ours::Encoder::new();
        let stanza = encoder.stanza(&id(0), 7, &octets);
        let text = encoder.encode(&stanza).to_vec();
        let mut bound = bound::Bound::new();
        group.bench_function(BenchmarkId::new("bound", size), |b| {
            b.iter(|| black_box(bound.decode(black_box(&text)).octets));
        });
        for (name, piece) in [("whole", usize::MAX), ("8 KiB", PIECE)] {
            let mut ours = ours::Decoder::new();
            group.bench_function(BenchmarkId::new(format!("ours, {name}"), size), |b| {
                b.iter(|| black_box(ours.decode(black_box(&text), piece)));
            });
            let mut peers = peers::Decoder::new();
            group.bench_function(
                BenchmarkId::new(format!("xmpp-parsers, {name}"), size),
                |b| b.iter(|| black_box(peers.decode(black_box(&text), piece))),
            );
        }
    }
}

/// What the framer makes of other stanzas: an acknowledgement, and one that goes through the door.
fn framer(c: &mut Criterion) {
    let mut group = c.benchmark_group("framer");
    let (from, to, id) = (common::FROM, common::TO, id(0));
    let head = format!("<iq from='{from}' to='{to}' id='{id}' type=");
    let disco = "http://jabber.org/protocol/disco#info";
    for (name, text) in [
        ("acknowledgement", format!("{head}'result'/>")),
        (
            "disco#info",
            format!("{head}'get'><query xmlns='{disco}' node='a&amp;b'/></iq>"),
        ),
    ] {
        group.throughput(Throughput::Elements(1));
        let mut ours = ours::Decoder::new();
        group.bench_function(name, |b| {
            b.iter(|| black_box(ours.decode(black_box(text.as_bytes()), PIECE)));
        });
    }
}

criterion_group!(benches, encode, decode, framer);
criterion_main!(benches);
