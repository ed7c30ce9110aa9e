//! Files to send.

use crate::support::*;
use bytestreams_file::{Source, SourceError};
use sha2::Digest;
use std::fs;

#[test]
fn a_source_is_read_from_an_offset_and_hashed_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.bin");
    let data = content(700_000);
    fs::write(&path, &data).unwrap();
    let mut source = Source::open(&path).unwrap();
    assert_eq!((source.name(), source.size()), ("a.bin", 700_000));
    assert_eq!(source.md5().unwrap(), md5(&data));
    let mut reading = source.read_from(300_000, None, true).unwrap();
    assert_eq!(reading.left(), 400_000);
    let mut got = Vec::new();
    let mut buffer = [0; 10_000];
    loop {
        let n = reading.read(&mut buffer).unwrap();
        if n == 0 {
            break;
        }
        got.extend_from_slice(&buffer[..n]);
    }
    assert_eq!(got, data[300_000..]);
    assert_eq!(
        reading.finish().unwrap(),
        Some(sha2::Sha256::digest(&data).into())
    );
}

#[test]
fn a_source_that_shrinks_or_changes_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.bin");
    fs::write(&path, content(1_000)).unwrap();
    let mut reading = Source::open(&path)
        .unwrap()
        .read_from(0, None, false)
        .unwrap();
    fs::write(&path, b"short").unwrap();
    let mut buffer = [0; 2_000];
    assert_eq!(reading.read(&mut buffer).unwrap(), 5);
    assert!(matches!(
        reading.read(&mut buffer).unwrap_err(),
        SourceError::Changed(_)
    ));
    assert!(matches!(
        reading.finish().unwrap_err(),
        SourceError::Changed(_)
    ));
}

#[test]
fn a_directory_is_no_source() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Source::open(dir.path()).unwrap_err(),
        SourceError::Directory(_)
    ));
    assert!(matches!(
        Source::open(dir.path().join("missing")).unwrap_err(),
        SourceError::Io { .. }
    ));
}
