//! The errors that XEP-0047 names.

use crate::Config;
use bytestreams_stanza::{Condition, ErrorType, Open, StanzaError};

/// Refuses an `<open/>` whose blocks are larger than we take (section 2.1).
pub const fn too_large() -> StanzaError {
    StanzaError::new(ErrorType::Modify, Condition::ResourceConstraint)
}

/// Refuses an `<open/>` because we do not want the stream, or because its sid is in use
/// (section 2.1).
pub const fn not_acceptable() -> StanzaError {
    StanzaError::new(ErrorType::Cancel, Condition::NotAcceptable)
}

/// Refuses an `<open/>` because there are too many streams already.
pub const fn too_many() -> StanzaError {
    StanzaError::new(ErrorType::Wait, Condition::ResourceConstraint)
}

/// Answers a block or a `<close/>` of a stream that is not known (sections 2.2 and 2.3).
pub const fn unknown() -> StanzaError {
    StanzaError::new(ErrorType::Cancel, Condition::ItemNotFound)
}

/// Answers a block with another number than the next one (section 2.2).
pub const fn out_of_sequence() -> StanzaError {
    StanzaError::new(ErrorType::Cancel, Condition::UnexpectedRequest)
}

/// Answers a block that cannot be read or is larger than agreed (section 2.2), and an `<open/>`
/// that is not as the specification has it.
pub const fn bad_request() -> StanzaError {
    StanzaError::new(ErrorType::Cancel, Condition::BadRequest)
}

/// Answers a block for which there is no room.
pub const fn overrun() -> StanzaError {
    StanzaError::new(ErrorType::Wait, Condition::ResourceConstraint)
}

/// Says why an `<open/>` cannot be taken, whoever sent it: its sid is no NMTOKEN, its block size
/// is zero or larger than `config` lets.
pub fn of_open(open: &Open, config: &Config) -> Option<StanzaError> {
    if !open.sid.is_nmtoken() || open.block_size == 0 {
        Some(bad_request())
    } else if open.block_size > config.max_block_size {
        Some(too_large())
    } else {
        None
    }
}
