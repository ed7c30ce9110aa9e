//! The files: what comes is hashed and forgotten, what goes is made up.

use crate::clock::Pool;
use crate::link::{BLOCK, Link};
use crate::md5::Md5;
use crate::uart::Console;
use alloc::string::String;
use bytes::Bytes;
use bytestreams_machine::Instant;
use bytestreams_stanza::{File, Range};
use bytestreams_transfer::{Event, Incomplete, Options, TransferId, Window};
use core::fmt::{self, Write};
use core::num::NonZeroU16;
use sha2::{Digest, Sha256};

/// Receives files, one at a time.
#[derive(Default)]
pub struct Inbox {
    current: Option<Incoming>,
    received: bool,
}

struct Incoming {
    id: TransferId,
    name: String,
    size: u64,
    octets: u64,
    sha256: Sha256,
    /// What was announced, and what came: a UART checks nothing by itself.
    md5: Option<([u8; 16], Md5)>,
}

impl Incoming {
    fn is_whole(&self) -> bool {
        self.octets == self.size
    }

    fn is_right(&self) -> bool {
        let computed = |md5: &Md5| md5.clone().finish();
        let differs = |(announced, md5): &([u8; 16], Md5)| computed(md5) != *announced;
        !self.md5.as_ref().is_some_and(differs)
    }
}

impl Inbox {
    /// Says, once, whether a file was received.
    pub fn take_received(&mut self) -> bool {
        core::mem::take(&mut self.received)
    }

    pub fn handle(&mut self, event: Event, link: &mut Link, now: Instant) {
        match event {
            Event::Offered { id, file, .. } => self.offered(id, &file, link, now),
            Event::Readable { id } => self.read(id, link, now),
            Event::Ended { id } => self.ended(id, link, now),
            Event::Done { id } => self.done(id),
            Event::Failed { id, reason } => {
                if self.current.take_if(|current| current.id == id).is_some() {
                    let _ = writeln!(Console, "failed to receive: {reason}");
                }
            }
            _ => {}
        }
    }

    fn offered(&mut self, id: TransferId, file: &File, link: &mut Link, now: Instant) {
        let Some(transfers) = link.transfers() else {
            return;
        };
        let Some(size) = file.size else {
            let _ = transfers.decline(id, Some("how large is it?".into()), now);
            return;
        };
        if transfers.accept(id, Range::default(), now).is_ok() {
            self.current = Some(Incoming {
                id,
                size,
                name: printable(file.name.as_deref().unwrap_or_default()),
                octets: 0,
                sha256: Sha256::new(),
                md5: file.hash.map(|announced| (announced, Md5::new())),
            });
        }
    }

    fn read(&mut self, id: TransferId, link: &mut Link, now: Instant) {
        let (Some(current), Some(transfers)) = (&mut self.current, link.transfers()) else {
            return;
        };
        while let Some(block) = transfers.read(id) {
            current.octets += block.len() as u64;
            current.sha256.update(&block);
            if let Some((_, md5)) = &mut current.md5 {
                md5.update(&block);
            }
            // Once the last block is acknowledged, the peer takes all for arrived.
            if current.is_whole() && !current.is_right() {
                let why = Incomplete::HashMismatch;
                let _ = writeln!(Console, "failed to receive: {why}");
                self.current = None;
                link.break_off("undefined-condition");
                return;
            }
            transfers.stored(id, block.len(), now);
        }
    }

    fn ended(&mut self, id: TransferId, link: &mut Link, now: Instant) {
        if let Some(transfers) = link.transfers() {
            // It fails where there is no such transfer any more, which an event tells too.
            let _ = transfers.completed(id, Ok(()), now);
        }
    }

    fn done(&mut self, id: TransferId) {
        let Some(current) = self.current.take_if(|current| current.id == id) else {
            return;
        };
        let Incoming {
            name,
            octets,
            sha256,
            ..
        } = current;
        let sha256 = Hex(sha256.finalize().into());
        let _ = writeln!(Console, "received {name}: {octets} octets, sha256 {sha256}");
        self.received = true;
    }
}

/// Sends one file, made up as it goes, each time another.
pub struct Outbox {
    size: u64,
    seed: u32,
    current: Option<Outgoing>,
}

struct Outgoing {
    id: TransferId,
    left: u64,
    state: u32,
    /// What was made and not taken.
    made: Bytes,
    sha256: Sha256,
}

impl Outbox {
    pub fn new(size: u64) -> Self {
        Self {
            size,
            seed: 1,
            current: None,
        }
    }

    pub fn offer(&mut self, link: &mut Link, pool: &mut Pool, now: Instant) {
        let Some(to) = link.peer().cloned() else {
            return;
        };
        let Some(transfers) = link.transfers() else {
            return;
        };
        let file = File {
            name: Some("board.bin".into()),
            size: Some(self.size),
            ..File::default()
        };
        let mut options = Options::default();
        options.block_size = NonZeroU16::new(BLOCK);
        options.window = Window::Blocks(NonZeroU16::MIN);
        let id = transfers.offer(to, file, options, pool.draw(), now);
        self.seed += 1;
        self.current = Some(Outgoing {
            id,
            left: self.size,
            state: self.seed,
            made: Bytes::new(),
            sha256: Sha256::new(),
        });
    }

    pub fn handle(&mut self, event: Event, link: &mut Link, now: Instant) {
        match event {
            Event::Established { .. } | Event::Writable { .. } => self.write(link, now),
            Event::Done { .. } => {
                if let Some(Outgoing { sha256, .. }) = self.current.take() {
                    let (size, sha256) = (self.size, Hex(sha256.finalize().into()));
                    let _ = writeln!(Console, "sent board.bin: {size} octets, sha256 {sha256}");
                }
                link.end();
            }
            Event::Failed { reason, .. } => {
                self.current = None;
                let _ = writeln!(Console, "failed to send: {reason}");
                link.end();
            }
            _ => {}
        }
    }

    fn write(&mut self, link: &mut Link, now: Instant) {
        let (Some(current), Some(transfers)) = (&mut self.current, link.transfers()) else {
            return;
        };
        loop {
            if current.made.is_empty() {
                let chunk = transfers.chunk(current.id).unwrap_or(0);
                current.make(chunk);
            }
            if current.made.is_empty() {
                // It fails where there is no such transfer any more, which an event tells too.
                let _ = transfers.finish(current.id, now);
                return;
            }
            if transfers.write(current.id, &mut current.made, now).is_err() {
                return;
            }
        }
    }
}

impl Outgoing {
    fn make(&mut self, most: usize) {
        let mut room = [0; BLOCK as usize];
        let most = most.min(room.len());
        let count = usize::try_from(self.left).map_or(most, |left| left.min(most));
        for place in &mut room[..count] {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 17;
            self.state ^= self.state << 5;
            *place = self.state as u8;
        }
        self.sha256.update(&room[..count]);
        self.left -= count as u64;
        self.made = Bytes::copy_from_slice(&room[..count]);
    }
}

struct Hex([u8; 32]);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for octet in self.0 {
            for digit in [octet >> 4, octet & 15] {
                f.write_char(char::from_digit(digit.into(), 16).unwrap_or_default())?;
            }
        }
        Ok(())
    }
}

/// What a terminal shows of a name as it is, and does not act upon.
fn printable(name: &str) -> String {
    let shown = |octet: u8| octet == b' ' || octet.is_ascii_graphic();
    let shown = name
        .bytes()
        .map(|octet| if shown(octet) { octet } else { b'?' });
    shown.take(MOST_OF_A_NAME).map(char::from).collect()
}

/// Octets of a name that are told.
const MOST_OF_A_NAME: usize = 64;
