//! Asks the person at the terminal.

use crate::report::Reporter;
use std::io::{Write as _, stdin};
use tokio::sync::{Mutex, mpsc};

/// Asks one question at a time, whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Asker {
    lines: Mutex<Option<mpsc::Receiver<String>>>,
}

impl Asker {
    /// Asks a question that is answered by yes or no; anything but yes is no.
    pub(crate) async fn yes(&self, reporter: &Reporter, question: &str) -> bool {
        let mut lines = self.lines.lock().await;
        let lines = lines.get_or_insert_with(reader);
        // What was typed before the question is no answer to it.
        while lines.try_recv().is_ok() {}
        reporter.suspended(|| {
            let mut out = std::io::stderr().lock();
            // A terminal that takes no question gives no answer.
            let _ = write!(out, "{question} [y/N] ").and_then(|()| out.flush());
        });
        let answer = lines.recv().await.unwrap_or_default();
        matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }
}

/// Reads lines on a thread of its own, which does not keep the program from ending.
fn reader() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in stdin().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
