//! SOCKS5 bytestreams: one machine with a peer and sockets that the test plays, and two with each
//! other over connections in memory.
#![cfg(feature = "socks5")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "tests look for one thing among many"
)]

extern crate alloc;

#[path = "../common/mod.rs"]
mod common;

mod ends;
mod fallback;
mod hand;
mod ledger;
mod policy;
mod requesting;
mod targeting;
mod trace;
mod unannounced;
