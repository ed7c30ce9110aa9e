//! Blocks cost no allocation in steady state, either way.
#![cfg(feature = "quick-xml")]
// A counting allocator is an allocator.
#![allow(unsafe_code)]

extern crate alloc;

use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};
use bytestreams_stanza::door::{Context, Door, QuickXml};
use bytestreams_stanza::{
    Data, Decoder, Frame, Framer, Id, Iq, IqBody, Jid, Limits, Message, OutBuf, Payload, Sid,
    Stanza, XmlWriter,
};
use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    COUNT.with(|count| count.set(count.get() + 1));
}

// SAFETY: everything is the system's; counting touches a constant-initialised thread local only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of the later half of `rounds`.
fn steady(rounds: usize, mut round: impl FnMut(usize)) -> u64 {
    (0..rounds / 2).for_each(&mut round);
    let before = COUNT.get();
    (rounds / 2..rounds).for_each(round);
    COUNT.get() - before
}

fn block(sid: &Sid, seq: usize, octets: Bytes) -> Payload {
    Payload::Data(Data {
        sid: sid.clone(),
        seq: (seq % 65536) as u16,
        octets,
    })
}

fn ids() -> (Jid, Sid) {
    (
        Jid::new("juliet@capulet.example/balcony").expect("jid"),
        Sid::new("bs-0123456789abcdef0123456789abcdef").expect("sid"),
    )
}

#[test]
fn the_counter_counts() {
    assert_eq!(
        steady(10, |n| {
            core::hint::black_box(vec![n; 10]);
        }),
        5
    );
}

#[test]
fn writing_blocks_allocates_nothing() {
    let (to, sid) = ids();
    for size in [4096, 65_535] {
        let octets = Bytes::from(vec![0xA5; size]);
        let mut writer = XmlWriter::default();
        let mut out = OutBuf::default();
        let allocations = steady(100, |seq| {
            let id = Id::from("bs-0123456789abcdef-00000001");
            let iq = Iq::set(
                Some(to.clone()),
                id.clone(),
                block(&sid, seq, octets.clone()),
            );
            writer.write(&iq.into(), &mut out);
            let message = Message {
                from: None,
                to: Some(to.clone()),
                id: Some(id),
                payload: Some(block(&sid, seq, octets.clone())),
                error: None,
            };
            writer.write(&message.into(), &mut out);
            out.consume(usize::MAX);
        });
        assert_eq!(allocations, 0, "blocks of {size}");
    }
}

#[test]
fn writing_acknowledgements_allocates_nothing() {
    let (to, _) = ids();
    let mut writer = XmlWriter::default();
    let mut out = OutBuf::default();
    let allocations = steady(100, |_| {
        let body = IqBody::Result(None);
        let iq = Iq::answer(Some(to.clone()), Id::from("bs-0123456789abcdef-1"), body);
        writer.write(&iq.into(), &mut out);
        out.consume(usize::MAX);
    });
    assert_eq!(allocations, 0);
}

#[test]
fn a_file_read_into_blocks_allocates_nothing() {
    let (to, sid) = ids();
    let mut writer = XmlWriter::default();
    let mut out = OutBuf::default();
    let mut file = BytesMut::with_capacity(65_536);
    let allocations = steady(200, |seq| {
        assert!(file.try_reclaim(4095));
        file.resize(4095, 7);
        let payload = block(&sid, seq, file.split().freeze());
        let iq = Iq::set(Some(to.clone()), Id::from("1"), payload);
        writer.write(&iq.into(), &mut out);
        out.consume(usize::MAX);
    });
    assert_eq!(allocations, 0);
}

fn stanza(size: usize) -> Vec<u8> {
    let (peer, sid) = ids();
    let iq = Iq {
        from: Some(peer.clone()),
        ..Iq::set(
            Some(peer),
            Id::from("bs-0123456789abcdef-00000001"),
            block(&sid, 7, Bytes::from(vec![0xA5; size])),
        )
    };
    let mut out = OutBuf::default();
    XmlWriter::default().write(&iq.into(), &mut out);
    out.as_slice().to_vec()
}

/// The tokens of the slow door, so that what is counted is the decoder.
fn read(text: &[u8], decoder: &mut Decoder, door: &mut QuickXml, context: &Context) -> Stanza {
    door.read(text, context, decoder).expect("XML");
    decoder.finish().expect("stanza")
}

#[test]
fn decoding_blocks_allocates_nothing_beside_the_parser() {
    let context = Context::default();
    for size in [4096, 65_535] {
        let text = stanza(size);
        let mut door = QuickXml::default();
        let mut decoder = Decoder::new(Limits::DEFAULT);
        // A sink that drops everything tells what the parser itself allocates.
        let parser = steady(100, |_| {
            door.read(&text, &context, &mut Nowhere).expect("XML");
        });
        let both = steady(100, |_| {
            drop(read(&text, &mut decoder, &mut door, &context));
        });
        assert_eq!(both - parser, 0, "blocks of {size}");
    }
}

#[test]
fn receiving_blocks_allocates_nothing() {
    let header = b"<stream:stream xmlns='jabber:client' \
        xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
    for (size, cut) in [
        (4096, 8192),
        (4096, 1460),
        (65_535, 8192),
        (65_535, 200_000),
    ] {
        let text = stanza(size);
        let mut framer = Framer::new(QuickXml::default(), Limits::DEFAULT);
        let mut take = |octets: &[u8]| {
            let mut stanzas = 0;
            for mut piece in octets.chunks(cut) {
                while let Some(frame) = framer.next(&mut piece) {
                    stanzas += usize::from(matches!(frame, Ok(Frame::Stanza(_))));
                }
            }
            stanzas
        };
        take(header);
        let allocations = steady(100, |_| assert_eq!(take(&text), 1));
        assert_eq!(allocations, 0, "blocks of {size} in pieces of {cut}");
    }
}

#[test]
fn blocks_held_for_a_while_allocate_nothing() {
    let context = Context::default();
    let text = stanza(4096);
    let mut door = QuickXml::default();
    let mut decoder = Decoder::new(Limits::DEFAULT);
    let parser = steady(800, |_| {
        door.read(&text, &context, &mut Nowhere).expect("XML");
    });
    // As a receiver holds what is not stored yet.
    let mut held = VecDeque::with_capacity(101);
    let both = steady(800, |_| {
        held.push_back(read(&text, &mut decoder, &mut door, &context));
        if held.len() > 100 {
            held.pop_front();
        }
    });
    assert_eq!(both - parser, 0);
}

#[test]
fn a_loopback_without_xml_allocates_nothing() {
    let (peer, sid) = ids();
    let stanza: Stanza = Iq::set(
        Some(peer),
        Id::from("1"),
        block(&sid, 7, Bytes::from(vec![1; 4096])),
    )
    .into();
    let mut decoder = Decoder::new(Limits::DEFAULT);
    let allocations = steady(100, |_| {
        stanza.emit(&mut decoder).expect("decoder");
        drop(decoder.finish().expect("stanza"));
    });
    assert_eq!(allocations, 0);
}

struct Nowhere;

impl bytestreams_stanza::TokenSink for Nowhere {
    type Error = core::convert::Infallible;

    fn token(&mut self, _: bytestreams_stanza::Token<'_>) -> Result<(), Self::Error> {
        Ok(())
    }
}
