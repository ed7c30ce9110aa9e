//! x

pub mod file;
