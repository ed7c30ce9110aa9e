//! Replays the corpora, and what was once a finding.

use std::fs;
use std::path::Path;

fn replay(name: &str, target: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = folder(&root.join("corpus").join(name), target);
    assert!(corpus > 0, "no corpus of {name}");
    let regressions = root.join("regressions").join(name);
    if regressions.exists() {
        assert!(folder(&regressions, target) > 0, "no regression of {name}");
    }
}

/// Replays the files of a folder and counts them.
fn folder(folder: &Path, target: fn(&[u8])) -> usize {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("entry").path())
        .collect();
    paths.sort();
    for path in &paths {
        let octets = fs::read(path).expect("file");
        // Captured, and shown where the target panics.
        println!("{}", path.display());
        target(&octets);
    }
    paths.len()
}

#[test]
fn decode() {
    replay("decode", bytestreams_fuzz::decode);
}

#[test]
fn hot_scan() {
    replay("hot_scan", bytestreams_fuzz::hot_scan);
}

#[test]
fn doors() {
    replay("doors", bytestreams_fuzz::doors);
}

#[test]
fn framer_cuts() {
    replay("framer_cuts", bytestreams_fuzz::framer_cuts);
}

#[test]
fn session() {
    replay("session", bytestreams_fuzz::session);
}

#[test]
fn socks5_client() {
    replay("socks5_client", bytestreams_fuzz::socks5_client);
}

#[test]
fn socks5_server() {
    replay("socks5_server", bytestreams_fuzz::socks5_server);
}

#[test]
fn proxy() {
    replay("proxy", bytestreams_fuzz::proxy);
}

#[test]
fn stor() {
    replay("stor", bytestreams_fuzz::stor);
}
