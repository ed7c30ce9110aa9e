//! The shape of every bytestreams machine.
//!
//! A [`Machine`] is a protocol without its world: it holds no socket, reads no clock, draws no
//! randomness and spawns nothing. A driver feeds it [`Input`]s and the time, carries out its
//! [`Output`]s, and comes back when [`Machine::poll_timeout`] says so:
//!
//! ```
//! use bytestreams_machine::{Instant, Machine, Output, turn};
//! use core::ops::ControlFlow;
//!
//! /// One turn of the crank; the answer is how long to wait for input at most.
//! fn crank<M: Machine>(machine: &mut M, now: Instant, link: &mut Vec<M::Event>) -> Option<Instant> {
//!     turn(machine, now, |output| {
//!         match output {
//!             Output::Stanza(_stanza) => { /* write it to the link */ }
//!             Output::Net(_command) => { /* open, write or close a socket */ }
//!             Output::Event(event) => link.push(event),
//!         }
//!         ControlFlow::Continue(())
//!     })
//! }
//! ```
//!
//! Out of scope: any protocol. Those live in the crates that depend on this one.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod dial;
mod ends;
mod entropy;
mod machine;
mod net;
mod requests;
mod responder;
mod stack;
mod time;
mod timers;

pub use dial::{AddressClass, DialPolicy, Network, ParseNetworkError};
pub use ends::{Ends, addresses_to_tell, families_in_turn};
pub use entropy::{Entropy, Ids};
pub use machine::{Input, Machine, Output, turn};
pub use net::{ConnId, ConnectError, HANDSHAKE_OCTETS, ListenId, NetCommand, NetInput, Token};
pub use requests::{Own, Requests};
pub use responder::Responder;
pub use stack::Stack;
pub use time::Instant;
pub use timers::{TimerKey, Timers};
