//! The machines driven by hand: no adapter, no socket, no clock. Two ends of a link in one loop, and
//! time that jumps to whatever is due next: `cargo run -p bytestreams-examples --example by_hand`
#![allow(clippy::wildcard_enum_match_arm)]
use bytes::Bytes;
use bytestreams_machine::{Entropy, Input, Instant, Machine, Output, Own, Stack};
use bytestreams_stanza::{File, Jid, Range, Stanza};
use bytestreams_transfer::{Config, Event, Options, Transfers};
use core::error::Error;

/// One end: its machine, the responder behind it, and what it has to send or has received.
struct End {
    own: Jid,
    stack: Stack<Transfers>,
    to_send: Bytes,
    received: Vec<u8>,
    done: bool,
}

impl End {
    fn new(jid: &str) -> Result<Self, Box<dyn Error>> {
        let own = Jid::new(jid)?;
        let name = Own { jid: own.clone() };
        Ok(Self {
            own,
            stack: Transfers::stack(name, Config::default(), None, Instant::ZERO),
            to_send: Bytes::new(),
            received: Vec::new(),
            done: false,
        })
    }

    /// Fires what is due, then drains the outputs: stanzas go to the other end.
    fn turn(&mut self, now: Instant, link: &mut Vec<Stanza>) -> Result<(), Box<dyn Error>> {
        if self.stack.poll_timeout().is_some_and(|due| due <= now) {
            self.stack.handle_timeout(now);
        }
        while let Some(output) = self.stack.poll_output() {
            match output {
                Output::Stanza(mut stanza) => {
                    stanza.set_from(Some(self.own.clone()));
                    link.push(stanza);
                }
                Output::Net(_) => {} // SOCKS5 is off unless `Config::methods` has it
                Output::Event(event) => self.hear(event, now)?,
            }
        }
        Ok(())
    }

    /// What the application does about an event. Its commands make outputs, which are drained in the
    /// same turn.
    fn hear(&mut self, event: Event, now: Instant) -> Result<(), Box<dyn Error>> {
        let transfers = &mut self.stack.machine;
        match event {
            Event::Offered { id, from, file, .. } => {
                println!("{from} offers {:?} of {:?} octets", file.name, file.size);
                transfers.accept(id, Range::default(), now)?;
            }
            Event::Established { id, .. } | Event::Writable { id } => {
                let letter = &mut self.to_send;
                // As much as the window has room for.
                while !letter.is_empty() && transfers.write(id, letter, now).is_ok() {}
                if letter.is_empty() {
                    // Who receives has nothing to finish, and is told so.
                    let _ = transfers.finish(id, now);
                }
            }
            Event::Readable { id } => {
                while let Some(block) = transfers.read(id) {
                    self.received.extend_from_slice(&block);
                    // Only now is it acknowledged.
                    transfers.stored(id, block.len(), now);
                }
            }
            Event::Ended { id } => transfers.completed(id, Ok(()), now)?,
            Event::Done { .. } => self.done = true,
            Event::Failed { reason, .. } => return Err(reason.into()),
            _ => {}
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut romeo = End::new("romeo@montague.lit/orchard")?;
    let mut juliet = End::new("juliet@capulet.lit/balcony")?;
    let letter = Bytes::from("But soft, what light through yonder window breaks? ".repeat(2000));
    romeo.to_send = letter.clone();
    let file = File {
        name: Some("letter.txt".into()),
        size: Some(letter.len() as u64),
        ..File::default()
    };
    // The machines draw no entropy of their own.
    let (to, entropy) = (juliet.own.clone(), Entropy([7; 32]));
    let mut now = Instant::ZERO;
    let transfers = &mut romeo.stack.machine;
    transfers.offer(to, file, Options::default(), entropy, now);

    let (mut there, mut back) = (Vec::new(), Vec::new());
    let mut stanzas = 0;
    while !(romeo.done && juliet.done) {
        romeo.turn(now, &mut there)?;
        juliet.turn(now, &mut back)?;
        stanzas += there.len() + back.len();
        if there.is_empty() && back.is_empty() {
            // Nothing under way: jump to what is due first.
            let due = [&romeo, &juliet].map(|end| end.stack.poll_timeout());
            now = due.into_iter().flatten().min().ok_or("it hangs")?;
        }
        for (stanzas, end) in [(&mut there, &mut juliet), (&mut back, &mut romeo)] {
            for stanza in stanzas.drain(..) {
                end.stack.handle_input(Input::Stanza(stanza), now);
            }
        }
    }
    assert!(juliet.received == letter);
    println!("{} octets in {stanzas} stanzas", letter.len());
    Ok(())
}
