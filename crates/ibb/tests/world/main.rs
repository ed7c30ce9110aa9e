//! Two sessions in a simulated world, under laws.
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is, and panic at what they do not expect"
)]

#[path = "../common/mod.rs"]
mod common;
mod host;
mod laws;
mod random;
mod small;
mod user;
