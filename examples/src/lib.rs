//! See the examples beside `Cargo.toml`.
