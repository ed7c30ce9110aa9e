//! The net of the world: what it does to octets, and each of its laws, broken on purpose.
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is, and look for one thing among many"
)]

mod attempts;
mod ends;
mod misuse;
mod octets;
mod support;
