//! Files that arrive, whole and under names of their own.

use crate::support::*;
use bytestreams_file::{Incoming, Keep, StoreError};
use core::time::Duration;
use sha2::Digest;
use std::fs;
use std::time::SystemTime;

#[test]
fn a_file_arrives_with_its_date_and_its_hash() {
    let (dir, store) = inbox();
    let data = content(1_000_003);
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let mut partial = store
        .begin(
            &Incoming {
                modified: Some(modified),
                ..incoming("a.bin", &data)
            },
            Keep {
                sha256: true,
                ..Keep::default()
            },
        )
        .unwrap();
    for piece in data.chunks(4095) {
        partial.write(piece).unwrap();
    }
    assert_eq!(partial.len(), data.len() as u64);
    let stored = partial.finish().unwrap();
    assert_eq!(stored.path, dir.path().join("a.bin"));
    assert_eq!(stored.size, data.len() as u64);
    assert_eq!(stored.sha256, Some(sha2::Sha256::digest(&data).into()));
    assert_eq!(fs::read(&stored.path).unwrap(), data);
    assert_eq!(
        fs::metadata(&stored.path).unwrap().modified().unwrap(),
        modified
    );
    assert_eq!(names(dir.path()), ["a.bin"]);
}

#[test]
fn pieces_of_every_size_are_joined_in_order() {
    let (_dir, store) = inbox();
    for piece in [1, 4095, 65_535, 256 * 1024, 256 * 1024 + 1, 700_000] {
        let data = content(if piece == 1 { 5_000 } else { 1_500_000 });
        let mut partial = store
            .begin(&incoming("joined", &data), Keep::default())
            .unwrap();
        for piece in data.chunks(piece) {
            partial.write(piece).unwrap();
        }
        let stored = partial.finish().unwrap();
        assert!(fs::read(stored.path).unwrap() == data, "pieces of {piece}");
    }
}

#[test]
fn a_long_file_is_synced_on_the_way_and_unlocked_at_the_end() {
    let (dir, store) = inbox();
    let piece = content(1 << 20);
    let offer = Incoming {
        size: Some(140 << 20),
        ..incoming("long", b"")
    };
    let mut first = store.begin(&offer, RESUME).unwrap();
    for _ in 0..65 {
        first.write(&piece).unwrap();
    }
    drop(first);
    let mut second = store.begin(&offer, RESUME).unwrap();
    assert_eq!(second.offset(), 65 << 20);
    for _ in 65..140 {
        second.write(&piece).unwrap();
    }
    // The hash of another file was declared.
    assert!(matches!(second.finish().unwrap_err(), StoreError::Hash));
    assert!(names(dir.path()).is_empty());
}

#[test]
fn an_empty_file_arrives() {
    let (dir, store) = inbox();
    let partial = store.begin(&incoming("empty", b""), RESUME).unwrap();
    assert_eq!(partial.finish().unwrap().size, 0);
    assert_eq!(names(dir.path()), ["empty"]);
}

#[test]
fn nothing_is_overwritten() {
    let (dir, store) = inbox();
    let expected = [
        ("photo.jpg", "photo.jpg"),
        ("photo.jpg", "photo (1).jpg"),
        ("photo.jpg", "photo (2).jpg"),
        ("README", "README"),
        ("README", "README (1)"),
        ("a.tar.gz", "a.tar.gz"),
        ("a.tar.gz", "a.tar (1).gz"),
    ];
    for (n, (name, place)) in expected.into_iter().enumerate() {
        let data = vec![n as u8; 10];
        let mut partial = store
            .begin(&incoming(name, &data), Keep::default())
            .unwrap();
        partial.write(&data).unwrap();
        assert_eq!(partial.finish().unwrap().path, dir.path().join(place));
    }
    for (n, (_, place)) in expected.into_iter().enumerate() {
        assert_eq!(fs::read(dir.path().join(place)).unwrap(), [n as u8; 10]);
    }
}

#[test]
fn a_file_gets_its_name_or_none_where_it_is_to_have_no_other() {
    let (dir, store) = inbox();
    for (n, data) in [b"first", b"other"].into_iter().enumerate() {
        let mut partial = store
            .begin(&incoming("photo.jpg", data), Keep::default())
            .unwrap();
        partial.write(data).unwrap();
        let result = partial.finish_by_name();
        assert_eq!(result.is_ok(), n == 0);
        assert!(
            n == 0
                || matches!(&result, Err(StoreError::Taken { path }) if path.ends_with("photo.jpg")),
            "{result:?}"
        );
    }
    assert_eq!(names(dir.path()), ["photo.jpg"], "no partial file stays");
    assert_eq!(fs::read(dir.path().join("photo.jpg")).unwrap(), b"first");
}

#[test]
fn what_is_written_through_is_there_at_once_and_in_order() {
    let (_dir, store) = inbox();
    let data = content(700_000);
    let offer = incoming("photo.jpg", &data);
    let mut partial = store.begin(&offer, Keep::default()).unwrap();
    partial.write(&data[..10]).unwrap();
    partial.write_through(&data[10..11]).unwrap();
    assert_eq!(fs::read(partial.path()).unwrap(), data[..11]);
    partial.write_through(&data[11..600_000]).unwrap();
    partial.write(&data[600_000..]).unwrap();
    let more = partial.write_through(b"x");
    assert!(matches!(more, Err(StoreError::TooLong { .. })), "{more:?}");
    drop(partial);
    let mut partial = store.begin(&offer, Keep::default()).unwrap();
    for piece in data.chunks(1000) {
        partial.write_through(piece).unwrap();
    }
    let stored = partial.finish().expect("the hash is right");
    assert!(fs::read(stored.path).unwrap() == data);
}

#[test]
fn two_receivers_of_one_file_do_not_meet() {
    let (dir, store) = inbox();
    let data = content(100);
    let offer = incoming("a", &data);
    let mut first = store.begin(&offer, RESUME).unwrap();
    first.write(&data[..50]).unwrap();
    first.flush().unwrap();
    let mut second = store.begin(&offer, RESUME).unwrap();
    assert_eq!(second.offset(), 0);
    assert_ne!(first.path(), second.path());
    second.write(&data).unwrap();
    first.write(&data[50..]).unwrap();
    assert_eq!(second.finish().unwrap().path, dir.path().join("a"));
    assert_eq!(first.finish().unwrap().path, dir.path().join("a (1)"));
    assert_eq!(names(dir.path()), ["a", "a (1)"]);
}
