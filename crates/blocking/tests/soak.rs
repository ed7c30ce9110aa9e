//! Transfers one after the other for long: nothing is left behind. Alone in its process, since it
//! counts what the process holds. 50 each way, and 500 with `BYTESTREAMS_FULL=1`.
#![cfg(target_os = "linux")]
#![allow(
    unsafe_code,
    reason = "an allocator that counts cannot be had otherwise"
)]

mod common;

use bytestreams_blocking::{Method, ReceiveFile, SendFile};
use common::{Pair, by, octets};
use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicIsize, Ordering};
use std::alloc::System;

struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);

// SAFETY: it hands on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller has it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: likewise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holdings {
    threads: usize,
    sockets: usize,
    octets: isize,
}

impl Holdings {
    fn now() -> Self {
        let entries = |dir| std::fs::read_dir(dir).expect("Linux tells").count();
        Self {
            octets: HELD.load(Ordering::Relaxed),
            threads: entries("/proc/self/task"),
            sockets: entries("/proc/self/fd"),
        }
    }
}

/// Makes a pair of endpoints, has so many files cross both ways, and takes it down.
fn run(method: Method, transfers: usize) -> (Holdings, Holdings) {
    let mut pair = Pair::new(&by(method));
    let content = octets(100_000);
    let mut how = SendFile::default();
    how.resumable = true;
    let receive = ReceiveFile::default();
    let one = |pair: &mut Pair| {
        let source = pair.source("f.bin", &content);
        let (sent, received) = pair.cross(source, &how, &receive, |_| {});
        let (sent, received) = (sent.expect("sent"), received.expect("received"));
        assert_eq!((sent.method, received.octets), (method, 100_000));
        assert!(std::fs::read(&received.file.path).expect("a file") == content);
        std::fs::remove_file(received.file.path).expect("it is there");
    };
    for _ in 0..transfers / 2 {
        one(&mut pair);
    }
    let half = Holdings::now();
    for _ in 0..transfers - transfers / 2 {
        one(&mut pair);
    }
    (half, Holdings::now())
}

#[test]
fn nothing_is_left_of_many_transfers() {
    let transfers = if std::env::var_os("BYTESTREAMS_FULL").is_some() {
        500
    } else {
        50
    };
    for method in [Method::Ibb, Method::Socks5] {
        // What the process makes once and keeps.
        run(method, 2);
        let before = Holdings::now();
        let (half, whole) = run(method, transfers);
        let after = Holdings::now();
        println!("{method:?}, {transfers} transfers: {before:?} {half:?} {whole:?} {after:?}");
        assert_eq!(after, before, "something outlives the endpoints");
        // While they live: the names of closed streams are remembered, and a thread or socket of the
        // last transfer may be on its way out.
        assert!(whole.threads <= half.threads + 3, "{half:?} {whole:?}");
        assert!(whole.sockets <= half.sockets + 6, "{half:?} {whole:?}");
        let grown = whole.octets - half.octets;
        assert!(grown < 100 * 1024, "{grown} octets more are held");
    }
}
