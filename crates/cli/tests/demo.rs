//! `bytestreams demo`

mod common;

use common::{content, file, run};
use serde_json::Value;

#[test]
fn it_shows_the_exchange_and_both_hashes() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "photo.jpg", &content(300_000));
    let (status, out, err) = run(&["demo", path.to_str().unwrap()]);
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    let mut from = 0;
    for step in [
        "SI offer: \"photo.jpg\", 300,000 bytes, ibb",
        "SI accepted: ibb",
        "IBB open",
        "IBB opened",
        "IBB data: 300,000 bytes in ",
        "acknowledged",
        "IBB close",
        "IBB closed",
        "SHA-256 sent",
        "SHA-256 received",
        "Equal: 300,000 bytes",
    ] {
        let at = out[from..].find(step);
        from += at.unwrap_or_else(|| panic!("no {step} in {out}")) + step.len();
    }
    let hashes: Vec<&str> = out
        .lines()
        .filter(|line| line.starts_with("SHA-256"))
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert_eq!(hashes.len(), 2);
    assert_eq!(hashes[0], hashes[1]);
    assert!(hashes[0].len() == 64 && hashes[0].bytes().all(|b| b"0123456789abcdef".contains(&b)));
    // The whole exchange is short.
    assert!(out.lines().count() < 25, "{out}");
}

#[test]
fn without_a_file_it_makes_8_mib() {
    let (status, out, err) = run(&["demo", "--json"]);
    assert_eq!(status, 0, "{out}{err}");
    let events: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let done: Vec<&Value> = events.iter().filter(|e| e["event"] == "done").collect();
    assert_eq!(done.len(), 2, "{out}");
    assert_eq!(done[0]["bytes"], 8 << 20);
    assert_eq!(done[0]["sha256"], done[1]["sha256"]);
    assert!(done[0]["sha256"].as_str().is_some_and(|h| h.len() == 64));
    for name in ["offered", "accepted", "progress"] {
        assert!(events.iter().any(|e| e["event"] == name), "{name}: {out}");
    }
}

#[test]
fn an_empty_file_crosses_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "empty", b"");
    let (status, out, err) = run(&["demo", path.to_str().unwrap()]);
    assert_eq!(status, 0, "{out}{err}");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(out.matches(empty).count(), 2, "{out}");
}

#[test]
fn what_cannot_be_sent_is_a_usage_error() {
    for what in ["-", ".", "/no/such/file"] {
        let (status, out, err) = run(&["demo", what]);
        assert_eq!(status, 2, "{what}: {out}{err}");
        assert!(err.starts_with("error: "), "{err}");
    }
}
