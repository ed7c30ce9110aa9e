//! The program as a child process, whose JSON lines are waited for; and a peer that says whatever
//! it is told.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

use core::time::Duration;
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// Long enough for anything on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(120);

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bytestreams"));
    command
        .args(args)
        .env_remove("BYTESTREAMS_PASSWORD")
        .env_remove("BYTESTREAMS_SECRET")
        .stdin(Stdio::null());
    command
}

/// Runs to the end: exit status, standard output, standard error.
pub(crate) fn run(args: &[&str]) -> (i32, String, String) {
    let output = Running::start(command(args)).finish();
    (output.status.code().unwrap(), output.out, output.err)
}

pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    /// The lines seen, for messages.
    seen: Vec<String>,
    err: Option<JoinHandle<String>>,
}

pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut err = child.stderr.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let err = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = err.read_to_string(&mut text);
            text
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
            err: Some(err),
        }
    }

    /// `receive --listen` on a free port, and its address.
    pub(crate) fn receiver(dir: &Path, args: &[&str]) -> (Self, String) {
        let mut command = command(&["receive", "--json", "--listen", "127.0.0.1:0"]);
        command.arg("--dir").arg(dir).args(args);
        let mut receiver = Self::start(command);
        let addr = receiver.event("listening")["addr"].as_str().unwrap().into();
        (receiver, addr)
    }

    /// `send` to an address.
    pub(crate) fn sender(file: impl AsRef<OsStr>, to: &str, args: &[&str]) -> Self {
        let mut command = command(&["send", "--json", "--to", to]);
        command.args(args).arg("--").arg(file);
        Self::start(command)
    }

    /// Waits for an event, and skips others.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        let until = Instant::now() + LONG;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let _ = self.child.kill();
                let err = self.err.take().map(|err| err.join().unwrap());
                panic!(
                    "no {name} after {:#?}\n{}",
                    self.seen,
                    err.unwrap_or_default()
                );
            };
            let event: Value = serde_json::from_str(&line).unwrap();
            self.seen.push(line);
            if event["event"] == name {
                return event;
            }
        }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end, within [`LONG`].
    pub(crate) fn finish(mut self) -> Finished {
        let until = Instant::now() + LONG;
        let mut lines = core::mem::take(&mut self.seen);
        // Standard output ends with the process.
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => lines.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("still running after {lines:#?}");
                }
            }
        }
        let status = self.child.wait().unwrap();
        Finished {
            status,
            out: lines.join("\n"),
            err: self
                .err
                .take()
                .map(|err| err.join().unwrap())
                .unwrap_or_default(),
        }
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Finished {
        let finished = self.finish();
        assert_eq!(
            finished.status.code(),
            Some(code),
            "{}\n{}",
            finished.out,
            finished.err
        );
        finished
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Names in a directory, hidden ones apart.
pub(crate) fn names(dir: &Path) -> (Vec<String>, Vec<String>) {
    let mut all: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    all.sort();
    all.into_iter().partition(|name| !name.starts_with('.'))
}

/// Octets that are not all alike.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

pub(crate) fn file(dir: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Forwards one connection: everything back, and towards the target so many octets and then no
/// more, with the connection left open.
pub(crate) fn gate(target: &str, octets: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let target = target.to_owned();
    std::thread::spawn(move || {
        let (mut from, _) = listener.accept().unwrap();
        let mut to = TcpStream::connect(target).unwrap();
        let (mut back_from, mut back_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut back_from, &mut back_to);
            let _ = back_to.shutdown(std::net::Shutdown::Both);
        });
        let mut left = octets;
        let mut buffer = [0; 4096];
        while let Ok(n) = from.read(&mut buffer) {
            if n == 0 {
                break;
            }
            let pass = n.min(left);
            left -= pass;
            if to.write_all(&buffer[..pass]).is_err() {
                return;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    addr
}

/// Forwards one connection, where the first of these octets become others.
pub(crate) fn spoiler(target: &str, these: &'static [u8], others: &'static [u8]) -> String {
    assert_eq!(these.len(), others.len());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let target = target.to_owned();
    std::thread::spawn(move || {
        let (mut from, _) = listener.accept().unwrap();
        let mut to = TcpStream::connect(target).unwrap();
        let (mut back_from, mut back_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut back_from, &mut back_to);
            let _ = back_to.shutdown(std::net::Shutdown::Both);
        });
        let mut done = false;
        let mut buffer = [0; 4096];
        while let Ok(n) = from.read(&mut buffer) {
            let piece = &mut buffer[..n];
            let at = piece.windows(these.len()).position(|w| w == these);
            if let Some(at) = at.filter(|_| !done) {
                done = true;
                piece[at..][..others.len()].copy_from_slice(others);
            }
            if n == 0 || to.write_all(piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    addr
}

/// Sends a file to a receiver that takes one, and gives what both say at the end, which is that it
/// went by this method and this way.
#[track_caller]
pub(crate) fn crossed(
    content: &[u8],
    to_sender: &[&str],
    to_receiver: &[&str],
    (method, via): (&str, &str),
) -> (Value, Value) {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", content);
    let mut args = vec!["--once", "--accept", "any"];
    args.extend_from_slice(to_receiver);
    let (mut receiver, addr) = Running::receiver(there.path(), &args);
    let mut sender = Running::sender(&photo, &addr, to_sender);
    let (sent, received) = (sender.event("done"), receiver.event("done"));
    sender.exits(0);
    receiver.exits(0);
    let path = Path::new(received["path"].as_str().unwrap());
    assert!(std::fs::read(path).unwrap() == content, "another content");
    for done in [&sent, &received] {
        assert_eq!(done["bytes"], content.len());
        assert_eq!(done["method"], method);
        assert_eq!(done["via"], via);
        assert_eq!(done["sid"], sent["sid"]);
        assert!(done["seconds"].is_number());
    }
    assert_eq!(names(there.path()).0.len(), 1);
    assert_eq!(names(there.path()).1, Vec::<String>::new());
    (sent, received)
}

/// Passes connections on to a target: everything there, and so many octets back and then no more,
/// with the connections left open until who called is gone.
pub(crate) fn dam(target: String, octets: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let (near, far) = (near.unwrap(), TcpStream::connect(&target).unwrap());
            let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            let (over, ended) = channel();
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                drop((to, over));
            });
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut (&far).take(octets), &mut &near);
                let _: Result<(), _> = ended.recv();
            });
        }
    });
    addr
}

/// A peer that says what it is told, on a stream without a server.
pub(crate) struct Peer {
    stream: TcpStream,
    heard: String,
}

impl Peer {
    pub(crate) fn connect(addr: &str) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut peer = Self {
            stream,
            heard: String::new(),
        };
        peer.say(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' from='raw@peer.example/x' version='1.0'>",
        );
        peer.hear("<stream:features/>");
        peer
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until a text was heard, answers all up to its end and forgets it.
    pub(crate) fn hear(&mut self, text: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            if let Some(at) = self.heard.find(text) {
                let rest = self.heard.split_off(at + text.len());
                return core::mem::replace(&mut self.heard, rest);
            }
            let n = self.stream.read(&mut buffer).unwrap();
            assert!(n > 0, "no {text} in {}", self.heard);
            self.heard.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    }

    /// Waits for the answer to a request, whatever it is, and forgets all stanzas before it.
    pub(crate) fn answer(&mut self, id: &str) -> String {
        loop {
            self.hear("<iq");
            let mut stanza = self.hear(">");
            if !stanza.ends_with("/>") {
                stanza += &self.hear("</iq>");
            }
            if stanza.contains(&format!("id='{id}'")) {
                return stanza;
            }
        }
    }

    /// Offers a file and gives the answer.
    pub(crate) fn offer(&mut self, sid: &str, file: &str) -> String {
        self.say(&format!(
            "<iq type='set' id='offer-{sid}'><si xmlns='http://jabber.org/protocol/si' id='{sid}' \
             profile='http://jabber.org/protocol/si/profile/file-transfer'>\
             <file xmlns='http://jabber.org/protocol/si/profile/file-transfer' {file}/>\
             <feature xmlns='http://jabber.org/protocol/feature-neg'><x xmlns='jabber:x:data' \
             type='form'><field var='stream-method' type='list-single'><option>\
             <value>http://jabber.org/protocol/ibb</value></option></field></x></feature></si></iq>"
        ));
        self.answer(&format!("offer-{sid}"))
    }

    /// Opens a stream in band and gives the answer.
    pub(crate) fn open(&mut self, sid: &str) -> String {
        self.say(&format!(
            "<iq type='set' id='open-{sid}'><open xmlns='http://jabber.org/protocol/ibb' \
             sid='{sid}' block-size='4096'/></iq>"
        ));
        self.answer(&format!("open-{sid}"))
    }

    /// Sends a block and gives the answer.
    pub(crate) fn data(&mut self, sid: &str, seq: u16, base64: &str) -> String {
        self.say(&format!(
            "<iq type='set' id='data-{sid}-{seq}'><data xmlns='http://jabber.org/protocol/ibb' \
             sid='{sid}' seq='{seq}'>{base64}</data></iq>"
        ));
        self.answer(&format!("data-{sid}-{seq}"))
    }

    /// Closes the stream in band and gives the answer.
    pub(crate) fn close(&mut self, sid: &str) -> String {
        self.say(&format!(
            "<iq type='set' id='close-{sid}'><close xmlns='http://jabber.org/protocol/ibb' \
             sid='{sid}'/></iq>"
        ));
        self.answer(&format!("close-{sid}"))
    }
}
