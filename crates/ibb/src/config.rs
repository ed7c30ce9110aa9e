//! What can be chosen for a stream.

use bytestreams_stanza::Carrier;
use core::num::NonZeroU16;
use core::time::Duration;

/// Choices for one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The block size that an initiator asks for, in octets before base64; 4096 unless told, as
    /// XEP-0047 section 5 recommends. A responder takes the initiator's.
    pub block_size: u16,
    /// How far an initiator halves the block size when the peer answers resource-constraint;
    /// 256 unless told.
    pub min_block_size: u16,
    /// The largest block size that a responder takes ([`crate::refusal::of_open`]); 65535 unless
    /// told.
    pub max_block_size: u16,
    /// What carries the blocks of an initiator. A responder takes the initiator's.
    pub carrier: Carrier,
    /// How much may be in flight.
    pub window: WindowPolicy,
    /// The most that is kept of what came in and is not stored, in octets; each block counts
    /// [`Config::BLOCK_OVERHEAD`] on top. 1 MiB unless told.
    pub receive_buffer: usize,
    /// How long a responder that has octets to send waits for the initiator to show life: several
    /// peers know their stream only after they have looked at our result, and refuse a block that
    /// follows it closely. 1 s unless told; zero towards a peer that is known to be our own kind.
    pub grace: Duration,
    /// How long the stream may rest without a block or an acknowledgement from the peer, which may
    /// answer pings and yet have forgotten the stream. No limit unless told: a shell session rests;
    /// a file that is being sent does not.
    pub idle_limit: Option<Duration>,
}

impl Config {
    /// What a block costs beside its octets while it waits to be stored.
    pub const BLOCK_OVERHEAD: usize = 128;
}

impl Default for Config {
    fn default() -> Self {
        Self {
            block_size: 4096,
            min_block_size: 256,
            max_block_size: u16::MAX,
            carrier: Carrier::Iq,
            window: WindowPolicy::ONE,
            receive_buffer: 1024 * 1024,
            grace: Duration::from_secs(1),
            idle_limit: None,
        }
    }
}

/// How many octets may be on the way, unacknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowPolicy {
    /// This many blocks; 1 towards peers of which nothing is known, because some look at several
    /// blocks in parallel and then take them for out of sequence.
    Fixed(NonZeroU16),
    /// As much as the path takes without delaying other stanzas: towards peers that are known to
    /// handle blocks in order (the feature
    /// [`IBB_PIPELINE`](bytestreams_stanza::ns::IBB_PIPELINE)). With the feature `adaptive`.
    #[cfg(feature = "adaptive")]
    Adaptive,
}

impl WindowPolicy {
    /// One block: stop and wait.
    pub const ONE: Self = Self::Fixed(NonZeroU16::MIN);
}

impl Default for WindowPolicy {
    fn default() -> Self {
        Self::ONE
    }
}
