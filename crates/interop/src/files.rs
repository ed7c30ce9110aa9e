//! Files to send, and what may be found in a directory that files are received into.

use std::fs;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Writes `size` octets that look random and are the same for the same seed.
pub fn random_file(dir: &Path, name: &str, size: u64, seed: u64) -> PathBuf {
    let path = dir.join(name);
    let mut file = BufWriter::new(fs::File::create(&path).expect("the scratch directory is ours"));
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut left = size;
    while left > 0 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let octets = state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes();
        let take = left.min(8) as usize;
        file.write_all(&octets[..take]).expect("there is room");
        left -= take as u64;
    }
    file.flush().expect("there is room");
    path
}

/// Demands that two files have the same octets.
#[track_caller]
pub fn assert_identical(sent: &Path, received: &Path) {
    let open = |path: &Path| {
        fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let (mut one, mut other) = (open(sent), open(received));
    let size = |file: &fs::File| file.metadata().expect("open").len();
    assert_eq!(
        size(&one),
        size(&other),
        "sizes of {} and {}",
        sent.display(),
        received.display()
    );
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut at = 0;
    loop {
        let octets = one.read(&mut left).expect("readable");
        if octets == 0 {
            return;
        }
        other
            .read_exact(&mut right[..octets])
            .expect("of the same size");
        assert!(
            left[..octets] == right[..octets],
            "{} differs from {} after {at} octets",
            received.display(),
            sent.display()
        );
        at += octets;
    }
}

/// Lists the names in a directory that do not begin with a dot, sorted.
pub fn visible(dir: &Path) -> Vec<String> {
    names(dir)
        .into_iter()
        .filter(|name| !name.starts_with('.'))
        .collect()
}

/// Lists the names in a directory that begin with a dot, sorted.
pub fn hidden(dir: &Path) -> Vec<String> {
    names(dir)
        .into_iter()
        .filter(|name| name.starts_with('.'))
        .collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Demands that a directory holds one partial file and nothing with a name.
#[track_caller]
pub fn partial_only(inbox: &Path) {
    assert_eq!(visible(inbox), Vec::<String>::new());
    assert_eq!(
        hidden(inbox).len(),
        1,
        "one partial file: {:?}",
        hidden(inbox)
    );
}

/// Watches that the final name never shows a file that is not whole.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Option<u64>>>,
}

impl Watch {
    /// Watches a path at which only a file of that size may appear.
    pub fn over(path: PathBuf, size: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                let file = path.metadata().ok().map(|file| file.len());
                if let Some(short) = file.filter(|&octets| octets != size) {
                    return Some(short);
                }
                thread::sleep(Duration::from_millis(1));
            }
            None
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Demands that no short file was seen.
    pub fn assert_never_short(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let thread = self.thread.take().expect("joined once");
        let short = thread.join().expect("no panic");
        assert_eq!(short, None, "a short file had the final name");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}
