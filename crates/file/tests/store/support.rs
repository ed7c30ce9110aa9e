//! An inbox, and what is offered to it.

use bytestreams_file::{Incoming, Keep, Store};
use md5::{Digest, Md5};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

pub(crate) const RESUME: Keep = Keep {
    resume: true,
    sha256: false,
    max_size: None,
    unsynced: false,
};

pub(crate) fn md5(octets: &[u8]) -> [u8; 16] {
    Md5::digest(octets).into()
}

pub(crate) fn incoming<'a>(name: &'a str, content: &[u8]) -> Incoming<'a> {
    Incoming {
        from: "romeo@montague.example",
        name,
        size: Some(content.len() as u64),
        md5: Some(md5(content)),
        modified: None,
    }
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .expect("it can be read")
        .map(|entry| {
            entry
                .expect("it can be read")
                .file_name()
                .into_string()
                .expect("it can be read")
        })
        .collect();
    names.sort();
    names
}

/// An empty directory to receive into.
pub(crate) fn inbox() -> (TempDir, Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path()).expect("a directory");
    (dir, store)
}

/// Receives a part of a file, as one does that is broken off.
pub(crate) fn leave(store: &Store, offer: &Incoming<'_>, part: &[u8]) {
    let mut partial = store.begin(offer, RESUME).expect("a partial file");
    partial.write(part).expect("room");
}

/// Octets that are not all alike.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + n / 251) as u8).collect()
}
