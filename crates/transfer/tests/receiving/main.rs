//! What peers start, with a peer that the test plays.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "tests look for one thing among many"
)]

mod blocks;
#[path = "../common/mod.rs"]
mod common;
mod offers;
mod streams;
mod support;
