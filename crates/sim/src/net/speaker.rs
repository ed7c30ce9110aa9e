//! Parties on the net without a machine.

use crate::Chooser;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;

/// What a party without a machine hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hears {
    /// Its connection stands.
    Open,
    /// Octets.
    Octets(Bytes),
    /// The end of the other direction, or of all.
    End,
    /// Nothing, for as long as it wanted to wait.
    Nothing,
}

/// What a party without a machine does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// Writes this.
    Octets(Bytes),
    /// Hears [`Hears::Nothing`] after so long.
    Wait(Duration),
    /// Shuts its write half down.
    ShutdownWrite,
    /// Closes.
    Close,
    /// Resets.
    Reset,
}

/// How a party without a machine behaves on one connection.
pub type Speak = Box<dyn FnMut(Hears, &mut dyn Chooser) -> Vec<Say>>;

/// Begins a conversation on a connection to, or at, this address.
pub type Answer = Box<dyn FnMut(SocketAddr, &mut dyn Chooser) -> Speak>;

/// A party that takes connections, hears and says nothing.
pub fn silent() -> Answer {
    Box::new(|_, _| Box::new(|_, _| Vec::new()))
}

/// A party that says some of these words, in any order and any number up to `most`, with pauses,
/// and then waits, closes, shuts down or resets: an attacker who knows what may be said.
pub fn babble(words: Vec<Bytes>, most: u32) -> Answer {
    Box::new(move |_, _| {
        let words = words.clone();
        let mut left = most;
        Box::new(move |hears, chooser| {
            if hears == Hears::End || left == 0 {
                return Vec::from([Say::Close]);
            }
            left -= 1;
            let count = u32::try_from(words.len()).unwrap_or(u32::MAX);
            let picked = chooser.choose(2 * count + 4);
            let pause = [0, 10, 40_000][chooser.choose(3) as usize];
            let say = match words.get(picked as usize / 2) {
                Some(word) => Say::Octets(word.clone()),
                None => match picked - 2 * count {
                    0 => return Vec::new(),
                    1 => Say::Close,
                    2 => Say::ShutdownWrite,
                    _ => Say::Reset,
                },
            };
            Vec::from([say, Say::Wait(Duration::from_millis(pause))])
        })
    })
}
