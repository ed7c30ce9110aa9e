//! The examples run, those that need no server: `tests/blocking.rs` and `tests/examples.rs` of the
//! interop workspace run the others.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A program that is ended with its test.
struct Program {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An example, which `cargo test` has built beside this test.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let target = test.parent().and_then(Path::parent).expect("a directory");
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    target.join("examples").join(name)
}

fn start(name: &str, args: &[&str]) -> Program {
    let mut command = Command::new(example(name));
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("the example is built");
    let said = BufReader::new(child.stdout.take().expect("a pipe"));
    Program { child, said }
}

impl Program {
    /// Waits for a line that begins like this; answers the rest of it.
    fn line(&mut self, begin: &str) -> String {
        let mut line = String::new();
        while self.said.read_line(&mut line).expect("text") > 0 {
            if let Some(rest) = line.strip_prefix(begin) {
                return rest.trim_end().into();
            }
            line.clear();
        }
        panic!("it never says {begin:?}");
    }

    fn succeeds(mut self) -> String {
        let mut said = String::new();
        self.said.read_to_string(&mut said).expect("text");
        assert!(self.child.wait().expect("an end").success(), "{said}");
        said
    }
}

/// A file of 300 kB, and a directory for what comes.
fn file() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let (file, inbox) = (dir.path().join("film.mkv"), dir.path().join("inbox"));
    let content: Vec<u8> = (0..300_000_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    std::fs::write(&file, content).expect("a file");
    std::fs::create_dir(&inbox).expect("a directory");
    (dir, file, inbox)
}

/// Sends the file with a program to one that listens, and answers what that says of it.
fn crosses(receiver: (&str, &[&str]), sender: &str, said: &str) -> String {
    let (_dir, file, inbox) = file();
    let [file_arg, inbox_arg] = [&file, &inbox].map(|path| path.to_str().expect("a path"));
    let mut args = receiver.1.to_vec();
    args.extend([inbox_arg, "listen", "127.0.0.1:0"]);
    let mut receiver = start(receiver.0, &args);
    let addr = receiver.line("listening on ");
    let args = match sender {
        "threads" => vec!["send", file_arg, "connect", &addr],
        _ => vec![file_arg, &addr],
    };
    start(sender, &args).succeeds();
    let said = receiver.line(said);
    let arrived = std::fs::read(inbox.join("film.mkv")).expect("a file");
    assert!(arrived == std::fs::read(&file).expect("a file"));
    said
}

#[test]
fn a_file_crosses_between_threads() {
    let said = crosses(("threads", &["receive"]), "threads", "received ");
    assert!(said.contains("300000 octets via direct"), "{said}");
}

#[test]
fn the_bot_takes_a_file_from_smol() {
    let said = crosses(("inbox_bot", &[]), "smol", "smol@serverless/example sent ");
    assert!(said.contains("300000 octets via ibb"), "{said}");
}

#[test]
fn lines_are_answered() {
    let mut server = start("line_echo", &["listen", "127.0.0.1:0"]);
    let addr = server.line("listening on ");
    let mut client = start("line_echo", &["connect", &addr]);
    let mut input = client.child.stdin.take().expect("a pipe");
    for (line, answer) in [("echo one two", "one two"), ("reverse abc", "cba")] {
        writeln!(input, "{line}").expect("room");
        assert_eq!(client.line(""), answer);
    }
    drop(input);
    client.succeeds();
    assert_eq!(server.said.read_line(&mut String::new()).expect("text"), 0);
    server.succeeds();
}

#[test]
fn the_machines_are_driven_by_hand() {
    let said = start("by_hand", &[]).succeeds();
    assert!(said.contains("102000 octets in "), "{said}");
}

#[test]
fn a_file_crosses_within_one_process() {
    let (_dir, file, _) = file();
    let said = start("send_and_receive", &[file.to_str().expect("a path")]).succeeds();
    assert!(said.contains("300000 octets"), "{said}");
}

#[test]
fn each_example_fits_on_a_page_or_two() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(dir).expect("a directory");
    let mut seen = 0;
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.extension().is_some_and(|end| end == "rs") {
            let lines = std::fs::read_to_string(&path)
                .expect("text")
                .lines()
                .count();
            assert!(lines <= 120, "{} has {lines} lines", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 7, "{seen} examples");
}
