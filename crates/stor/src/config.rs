//! What can be set, and the bounds of what a peer can make a machine hold.

use bytestreams_stanza::Base64;
use core::num::{NonZeroU16, NonZeroU32};
use core::time::Duration;

/// What a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a file.
    pub size: u64,
    /// Octets of a block, decoded.
    pub block: NonZeroU32,
    /// Octets of an `AUTH` or `STOR` message.
    pub command: usize,
    /// Nesting of its JSON.
    pub depth: usize,
    /// Octets of a file's name.
    pub name: usize,
    /// Octets that may wait to be stored before [`crate::Server::is_ready`] says no.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: u64::MAX,
            block: NonZeroU32::MIN.saturating_add((1 << 20) - 1),
            command: 64 << 10,
            depth: 16,
            name: 4096,
            waiting: 1 << 20,
        }
    }
}

impl Limits {
    /// The longest message that means anything, in octets: a driver need not take longer ones. White
    /// space in base64 has no room in it beyond that of lines of 64 characters.
    pub fn message(&self) -> usize {
        let text = Base64::encoded_len(self.block.get() as usize);
        (text + text / 32).max(self.command)
    }
}

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// What is taken.
    pub limits: Limits,
    /// `STOR` needs an `AUTH` before it.
    pub login: bool,
    /// How many blocks a client of ours may have unanswered.
    pub window: NonZeroU16,
    /// The octets that a client of ours best puts into a block.
    pub block: NonZeroU32,
    /// How long a client may take to say `STOR`, and again after `AUTH`.
    pub handshake: Duration,
    /// How long a client may be silent while a block is its to send.
    pub idle: Duration,
    /// How long it may take to close after the last answer.
    pub farewell: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            login: false,
            window: NonZeroU16::MIN.saturating_add(15),
            block: NonZeroU32::MIN.saturating_add((256 << 10) - 1),
            handshake: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            farewell: Duration::from_secs(10),
        }
    }
}

/// How a client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Octets of a block, decoded; by default what a server of ours announces, and 16 KiB towards
    /// others. Never more than a server of ours announces.
    pub block: Option<NonZeroU32>,
    /// How many blocks to have unanswered at most; by default what the server announces. Towards a
    /// server that announces nothing there is one.
    pub window: Option<NonZeroU16>,
    /// How long the server may take to answer. It answers a block when it is stored, and the last
    /// one when the file is.
    pub patience: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            block: None,
            window: None,
            patience: Duration::from_secs(120),
        }
    }
}
