//! Partial files: what goes on where, and what is thrown away.

use crate::support::*;
use bytestreams_file::{Incoming, Keep, StoreError};
use core::time::Duration;
use sha2::Digest;
use std::fs;
use std::time::SystemTime;

#[test]
fn a_resumed_file_goes_on_where_it_stopped() {
    let (dir, store) = inbox();
    let data = content(900_000);
    let offer = incoming("long.bin", &data);
    let mut first = store.begin(&offer, RESUME).unwrap();
    first.write(&data[..300_001]).unwrap();
    assert_eq!(first.stop().unwrap(), 300_001);

    let mut second = store.begin(&offer, RESUME).unwrap();
    assert_eq!(second.offset(), 300_001);
    second.write(&data[300_001..600_000]).unwrap();
    drop(second);

    let mut third = store
        .begin(
            &offer,
            Keep {
                sha256: true,
                ..RESUME
            },
        )
        .unwrap();
    assert_eq!(third.offset(), 600_000);
    assert_eq!(names(dir.path()).len(), 1);
    third.write(&data[600_000..]).unwrap();
    let stored = third.finish().unwrap();
    assert_eq!(fs::read(stored.path).unwrap(), data);
    assert_eq!(stored.sha256, Some(sha2::Sha256::digest(&data).into()));
    assert_eq!(names(dir.path()), ["long.bin"]);
}

#[test]
fn the_bare_jid_is_one_in_either_case() {
    let (_dir, store) = inbox();
    let data = content(10);
    let offer = incoming("a", &data);
    leave(&store, &offer, &data[..5]);
    let from = Incoming {
        from: "Romeo@Montague.example",
        ..offer
    };
    assert_eq!(store.begin(&from, RESUME).unwrap().offset(), 5);
}

#[test]
fn another_peer_name_size_or_hash_is_another_file() {
    let (_dir, store) = inbox();
    let data = content(10);
    let offer = incoming("a", &data);
    leave(&store, &offer, &data[..5]);
    for other in [
        Incoming {
            from: "mallory@example.org",
            ..offer
        },
        Incoming { name: "b", ..offer },
        Incoming {
            size: Some(11),
            ..offer
        },
        Incoming {
            md5: Some([0; 16]),
            ..offer
        },
    ] {
        assert_eq!(store.begin(&other, RESUME).unwrap().offset(), 0);
    }
}

#[test]
fn a_complete_leftover_asks_for_its_last_octet_again() {
    let (_dir, store) = inbox();
    let data = content(1_000);
    let offer = incoming("whole", &data);
    leave(&store, &offer, &data);
    let mut second = store.begin(&offer, RESUME).unwrap();
    assert_eq!(second.offset(), 999);
    second.write(&data[999..]).unwrap();
    assert_eq!(fs::read(second.finish().unwrap().path).unwrap(), data);
}

#[test]
fn without_resume_a_failed_file_leaves_nothing() {
    let (dir, store) = inbox();
    let data = content(1_000);
    let mut partial = store.begin(&incoming("a", &data), Keep::default()).unwrap();
    partial.write(&data[..500]).unwrap();
    assert_eq!(names(dir.path()).len(), 1);
    drop(partial);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn without_a_hash_nothing_is_resumed() {
    let (dir, store) = inbox();
    let offer = Incoming {
        md5: None,
        ..incoming("a", b"0123456789")
    };
    let mut partial = store.begin(&offer, RESUME).unwrap();
    partial.write(b"01234").unwrap();
    drop(partial);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn another_hash_starts_again_from_zero() {
    let (dir, store) = inbox();
    let data = content(100);
    let offer = incoming("a", &data);
    leave(&store, &offer, &[0; 50]);
    let mut second = store.begin(&offer, RESUME).unwrap();
    assert_eq!(second.offset(), 50);
    second.write(&data[50..]).unwrap();
    assert!(matches!(second.finish().unwrap_err(), StoreError::Hash));
    assert!(names(dir.path()).is_empty());
    assert_eq!(store.begin(&offer, RESUME).unwrap().offset(), 0);
}

#[test]
fn a_range_that_the_peer_refuses_starts_from_zero() {
    let (_dir, store) = inbox();
    let data = content(100);
    let offer = incoming("a", &data);
    leave(&store, &offer, &data[..50]);
    let mut second = store.begin(&offer, RESUME).unwrap();
    second.restart().unwrap();
    assert_eq!(second.offset(), 0);
    second.write(&data).unwrap();
    assert_eq!(fs::read(second.finish().unwrap().path).unwrap(), data);
}

#[test]
fn leftovers_older_than_a_week_are_removed() {
    let (dir, store) = inbox();
    let data = content(100);
    for name in ["old", "held", "new"] {
        let mut partial = store.begin(&incoming(name, &data), RESUME).unwrap();
        partial.write(&data[..50]).unwrap();
        partial.stop().unwrap();
    }
    let held = store.begin(&incoming("held", &data), RESUME).unwrap();
    fs::write(dir.path().join(".other.part"), b"").unwrap();
    fs::write(dir.path().join("x.0123456789abcdef.part"), b"").unwrap();
    let now = SystemTime::now();
    assert_eq!(store.clean(now), 0);
    let later = now + Duration::from_secs(8 * 24 * 3600);
    fs::File::options()
        .write(true)
        .open(
            dir.path().join(
                names(dir.path())
                    .iter()
                    .find(|n| n.starts_with(".new."))
                    .unwrap(),
            ),
        )
        .unwrap()
        .set_modified(later)
        .unwrap();
    assert_eq!(store.clean(later), 1);
    let left = names(dir.path());
    assert!(!left.iter().any(|n| n.starts_with(".old.")), "{left:?}");
    assert_eq!(left.len(), 4, "{left:?}");
    drop(held);
}
