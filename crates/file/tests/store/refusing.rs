//! What is refused: too little, too much, no names, no directories.

use crate::support::*;
use bytestreams_file::{Incoming, Keep, Store, StoreError};
use std::fs;

#[test]
fn a_short_file_never_has_the_final_name() {
    let (dir, store) = inbox();
    let mut partial = store
        .begin(&incoming("a", b"0123456789"), Keep::default())
        .unwrap();
    partial.write(b"012345678").unwrap();
    let error = partial.finish().unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::TooShort {
                declared: 10,
                got: 9
            }
        ),
        "{error}"
    );
    assert!(names(dir.path()).is_empty());
}

#[test]
fn more_than_declared_is_refused_and_given_up() {
    let (dir, store) = inbox();
    let data = content(10);
    let mut partial = store.begin(&incoming("a", &data), RESUME).unwrap();
    partial.write(&data).unwrap();
    let error = partial.write(b"x").unwrap_err();
    assert!(
        matches!(error, StoreError::TooLong { declared: 10 }),
        "{error}"
    );
    drop(partial);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn without_a_declared_size_the_bound_holds() {
    let (dir, store) = inbox();
    let offer = Incoming {
        size: None,
        md5: None,
        ..incoming("a", b"")
    };
    let keep = Keep {
        max_size: Some(10),
        ..Keep::default()
    };
    let mut partial = store.begin(&offer, keep).unwrap();
    partial.write(&[0; 10]).unwrap();
    let error = partial.write(b"x").unwrap_err();
    assert!(
        matches!(error, StoreError::TooLarge { most: 10 }),
        "{error}"
    );
    drop(partial);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn names_that_are_no_component_are_refused() {
    let (dir, store) = inbox();
    for name in ["", ".", "..", "../a", "/etc/passwd", "a/b", "a\\b", "a\0b"] {
        let error = store
            .begin(&incoming(name, b""), Keep::default())
            .unwrap_err();
        assert!(matches!(error, StoreError::Name), "{name}: {error}");
    }
    assert!(names(dir.path()).is_empty());
}

#[test]
fn more_than_the_disk_holds_is_refused_at_once() {
    let (dir, store) = inbox();
    let offer = Incoming {
        size: Some(u64::MAX),
        ..incoming("a", b"")
    };
    let error = store.begin(&offer, Keep::default()).unwrap_err();
    assert!(
        matches!(error, StoreError::Full { free: Some(_), .. }),
        "{error}"
    );
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_directory_that_is_none_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(Store::open(&file).is_err());
    assert!(Store::open(dir.path().join("missing")).is_err());
}
