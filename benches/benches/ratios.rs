//! The codec beside a hand-made bound and beside xmpp-parsers, in turns, as a table of medians:
//! `cargo bench -p bytestreams-benches --bench ratios`.
//!
//! Each round measures everything once, one after the other, so that a slow minute of the machine
//! slows all alike. The first argument after `--` that is a number says how many rounds.
#![allow(missing_docs)]

mod common;

use bytes::Bytes;
use bytestreams_stanza::{Iq, IqBody, Payload, Stanza};
use common::{PIECE, SIZES, block, bound, id, ours, peers};
use core::hint::black_box;
use std::time::Instant;

/// Stanzas that take turns, so that no two in a row are the same.
const TURNS: usize = 4;

/// One of the things that are measured.
struct Subject<'a> {
    /// Does the work of one stanza.
    run: Box<dyn FnMut(usize) + 'a>,
    /// Stanzas a round.
    count: usize,
    nanoseconds: Vec<f64>,
}

impl<'a> Subject<'a> {
    fn new(run: impl FnMut(usize) + 'a) -> Self {
        let mut subject = Self {
            run: Box::new(run),
            count: TURNS,
            nanoseconds: Vec::new(),
        };
        // Shorter than what a scheduler gives at a time, and warm caches.
        let once = subject.time();
        subject.count = ((3e5 / once) as usize).max(TURNS);
        subject
    }

    /// Nanoseconds a stanza.
    fn time(&mut self) -> f64 {
        // Whoever comes behind another finds its own data out of the caches.
        (0..TURNS).for_each(&mut self.run);
        let start = Instant::now();
        for turn in 0..self.count {
            (self.run)(turn % TURNS);
        }
        start.elapsed().as_nanos() as f64 / self.count as f64
    }

    fn round(&mut self) {
        let time = self.time();
        self.nanoseconds.push(time);
    }

    fn median(&self) -> f64 {
        median(self.nanoseconds.clone())
    }

    /// How many times this one's time the other's is: the median of the rounds, whose times lie
    /// side by side.
    fn times(&self, other: &Self) -> f64 {
        let rounds = self.nanoseconds.iter().zip(&other.nanoseconds);
        median(rounds.map(|(own, other)| other / own).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let rounds = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(401);
    println!("GB/s of payload; in brackets what is aimed at.");
    println!("| | octets | ours | bound | xmpp-parsers | of the bound | times xmpp-parsers |");
    println!("|---|---|---|---|---|---|---|");
    for size in SIZES {
        let large = usize::from(size > 4096);
        let octets: Vec<Bytes> = (0..TURNS)
            .map(|turn| Bytes::from(block(size, turn)))
            .collect();
        let ids: Vec<String> = (0..TURNS).map(id).collect();
        let mut encoder = ours::Encoder::new();
        let stanzas: Vec<Stanza> = (0..TURNS)
            .map(|n| encoder.stanza(&ids[n], n as u16, &octets[n]))
            .collect();
        let texts: Vec<Vec<u8>> = stanzas
            .iter()
            .map(|stanza| encoder.encode(stanza).to_vec())
            .collect();
        check(&texts, &octets, &ids);

        let (mut a, mut b, mut c) = (
            ours::Encoder::new(),
            bound::Bound::new(),
            peers::Encoder::new(),
        );
        let mut tree = peers::TreeEncoder::new();
        let mut subjects = [
            Subject::new(|n| {
                black_box(a.encode(&stanzas[n]).len());
            }),
            Subject::new(|n| {
                black_box(b.encode(&ids[n], n as u16, &octets[n]).len());
            }),
            Subject::new(|n| {
                black_box(c.encode(&ids[n], n as u16, &octets[n]).len());
            }),
        ];
        let target = [(0.9, 28.0), (0.95, 32.0)][large];
        measure(&mut subjects, rounds);
        row("encode", size, &subjects, target);
        subjects[2] = Subject::new(|n| {
            black_box(tree.encode(&ids[n], n as u16, &octets[n]).len());
        });
        subjects.iter_mut().for_each(|s| s.nanoseconds.clear());
        measure(&mut subjects, rounds);
        row("encode, theirs by a tree", size, &subjects, target);

        for (name, piece, targets) in [
            ("decode", usize::MAX, [(0.6, 20.0), (0.85, 100.0)]),
            ("decode, pieces of 8 KiB", PIECE, [(0.0, 20.0), (0.0, 40.0)]),
        ] {
            let (mut a, mut b, mut c) = (
                ours::Decoder::new(),
                bound::Bound::new(),
                peers::Decoder::new(),
            );
            let mut subjects = [
                Subject::new(|n| drop(black_box(a.decode(&texts[n], piece)))),
                Subject::new(|n| {
                    black_box(b.decode(&texts[n]).octets);
                }),
                Subject::new(|n| drop(black_box(c.decode(&texts[n], piece)))),
            ];
            measure(&mut subjects, rounds);
            row(name, size, &subjects, targets[large]);
        }
    }
}

fn measure(subjects: &mut [Subject<'_>], rounds: usize) {
    for round in 0..rounds {
        // None always comes first.
        let (behind, first) = subjects.split_at_mut(round % 3);
        first.iter_mut().chain(behind).for_each(Subject::round);
    }
}

fn row(name: &str, size: usize, subjects: &[Subject<'_>; 3], target: (f64, f64)) {
    let [ours, bound, peers] = subjects;
    let rate = |subject: &Subject<'_>| size as f64 / subject.median();
    println!(
        "| {name} | {size} | {:.2} | {:.2} | {:.3} | {:.2} ({}) | {:.1} ({}) |",
        rate(ours),
        rate(bound),
        rate(peers),
        ours.times(bound),
        target.0,
        ours.times(peers),
        target.1
    );
}

/// All three do the same work.
fn check(texts: &[Vec<u8>], octets: &[Bytes], ids: &[String]) {
    let (mut bound, mut peers) = (bound::Bound::new(), peers::Encoder::new());
    for (n, text) in texts.iter().enumerate() {
        assert_eq!(bound.encode(&ids[n], n as u16, &octets[n]), text);
        let found = bound.decode(text);
        assert_eq!((found.seq, found.octets), (n as u16, octets[n].len()));
        for piece in [PIECE, usize::MAX] {
            let stanza = ours::Decoder::new().decode(text, piece);
            assert_eq!(octets_of(&stanza), octets[n]);
            let data = peers::Decoder::new().decode(text, piece);
            assert_eq!(data.data, octets[n]);
        }
        let theirs = peers.encode(&ids[n], n as u16, &octets[n]).to_vec();
        assert_eq!(
            octets_of(&ours::Decoder::new().decode(&theirs, PIECE)),
            octets[n]
        );
    }
}

/// The block in a stanza.
fn octets_of(stanza: &Stanza) -> &[u8] {
    match stanza {
        Stanza::Iq(Iq {
            body: IqBody::Set(Payload::Data(data)),
            ..
        }) => &data.octets,
        Stanza::Iq(_) | Stanza::Message(_) | Stanza::Presence(_) => panic!("{stanza:?}"),
    }
}
