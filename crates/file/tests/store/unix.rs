//! Permissions, links and pipes.

use crate::support::*;
use bytestreams_file::{Incoming, Keep, Source, SourceError, Store};
use std::fs;
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
