//! Stream Initiation (XEP-0095) and its file-transfer profile (XEP-0096).
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod method;

pub use method::{Method, Methods};
