//! What the storage promises: nothing overwritten, nothing short under the final name, nothing
//! followed, nothing left behind.

use bytestreams_file::{Incoming, Keep, Source, SourceError, Store, StoreError};
use core::time::Duration;
use md5::{Digest, Md5};
use std::fs;
use std::path::Path;
use std::time::SystemTime;
use tempfile::TempDir;

const RESUME: Keep = Keep {
    resume: true,
    sha256: false,
    max_size: None,
    unsynced: false,
};

fn md5(octets: &[u8]) -> [u8; 16] {
    Md5::digest(octets).into()
}

fn incoming<'a>(name: &'a str, content: &[u8]) -> Incoming<'a> {
    Incoming {
        from: "romeo@montague.example",
        name,
        size: Some(content.len() as u64),
        md5: Some(md5(content)),
        modified: None,
    }
}

fn names(dir: &Path) -> Vec<String> {
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
fn inbox() -> (TempDir, Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path()).expect("a directory");
    (dir, store)
}

/// Receives a part of a file, as one does that is broken off.
fn leave(store: &Store, offer: &Incoming<'_>, part: &[u8]) {
    let mut partial = store.begin(offer, RESUME).expect("a partial file");
    partial.write(part).expect("room");
}

/// Octets that are not all alike.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + n / 251) as u8).collect()
}

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

#[test]
fn a_directory_that_is_none_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(Store::open(&file).is_err());
    assert!(Store::open(dir.path().join("missing")).is_err());
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn the_partial_file_is_private_and_the_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let usual = dir.path().join("usual");
        fs::write(&usual, b"").unwrap();
        let usual = fs::metadata(&usual).unwrap().permissions().mode();
        let store = Store::open(dir.path()).unwrap();
        let partial = store.begin(&incoming("a", b""), RESUME).unwrap();
        let private = fs::metadata(partial.path()).unwrap().permissions().mode();
        assert_eq!(private & 0o7777, 0o600);
        let stored = partial.finish().unwrap();
        assert_eq!(
            fs::metadata(stored.path).unwrap().permissions().mode(),
            usual
        );
    }

    /// Where the partial file of an offer would be.
    fn partial_path(store: &Store, offer: &Incoming<'_>) -> std::path::PathBuf {
        let partial = store.begin(offer, Keep::default()).expect("a partial file");
        partial.path().to_owned()
    }

    #[test]
    fn links_in_the_place_of_the_partial_file_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("victim");
        fs::write(&victim, b"precious").unwrap();
        let store = Store::open(dir.path()).unwrap();
        let data = content(100);
        let offer = incoming("a", &data);
        let place = partial_path(&store, &offer);
        let links: [&dyn Fn(); 3] = [
            &|| symlink(&victim, &place).unwrap(),
            &|| symlink(outside.path().join("missing"), &place).unwrap(),
            &|| fs::hard_link(&victim, &place).unwrap(),
        ];
        for link in links {
            link();
            for keep in [Keep::default(), RESUME] {
                let mut partial = store.begin(&offer, keep).unwrap();
                assert_ne!(partial.path(), place);
                assert_eq!(partial.offset(), 0);
                partial.write(&data).unwrap();
                fs::remove_file(partial.finish().unwrap().path).unwrap();
            }
            fs::remove_file(&place).unwrap();
        }
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert_eq!(names(outside.path()), ["victim"]);
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path().join("victim"), dir.path().join("a")).unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut partial = store.begin(&incoming("a", b"x"), Keep::default()).unwrap();
        partial.write(b"x").unwrap();
        assert_eq!(partial.finish().unwrap().path, dir.path().join("a (1)"));
        assert!(names(outside.path()).is_empty());
    }

    #[test]
    fn a_pipe_in_the_place_of_the_partial_file_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let offer = incoming("a", b"x");
        let place = partial_path(&store, &offer);
        let made = std::process::Command::new("mkfifo").arg(&place).status();
        assert!(made.unwrap().success());
        let partial = store.begin(&offer, RESUME).unwrap();
        assert_ne!(partial.path(), place);
        assert!(fs::symlink_metadata(&place).unwrap().mode() != 0);
        assert!(matches!(
            Source::open(&place).unwrap_err(),
            SourceError::NotRegular(_)
        ));
    }
}

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
