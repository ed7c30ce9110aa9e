//! Child processes that are always reaped, and whose output has deadlines.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What Linux counts processor time in, on every architecture that Debian has.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running child: killed by its own id and reaped when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    log: Arc<Mutex<String>>,
    events: Vec<Value>,
    status: Option<ExitStatus>,
}

/// Makes a command that the kernel kills should the test die before it can.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program.as_ref());
    command.stdin(Stdio::null());
    command
}

impl Process {
    /// Starts the command; its output is kept for messages, its standard output read line by line.
    pub fn start(name: &str, command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error} starting {command:?}; setpriv comes with `apt-get install util-linux`"));
        let log = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        keep(stdout, Arc::clone(&log), Some(sender));
        keep(stderr, Arc::clone(&log), None);
        Self {
            name: name.to_owned(),
            child,
            lines,
            log,
            events: Vec::new(),
            status: None,
        }
    }

    /// Waits for a line of standard output that contains `text`.
    pub fn line(&mut self, text: &str, within: Duration) -> String {
        self.try_line(text, within).unwrap_or_else(|error| {
            self.give_up(&format!(
                "no line with {text:?} within {within:?} ({error})"
            ))
        })
    }

    /// Waits for a line of standard output that contains `text`, which may not come.
    ///
    /// # Errors
    /// Whether the time is over or the output.
    pub fn try_line(&mut self, text: &str, within: Duration) -> Result<String, RecvTimeoutError> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left)?;
            if line.contains(text) {
                return Ok(line);
            }
        }
    }

    /// Waits for the JSON line whose `event` is `name`; the others are kept in [`Self::events`].
    pub fn event(&mut self, name: &str, within: Duration) -> Value {
        self.event_where(name, within, |_| true)
    }

    /// Waits for a JSON line whose `event` is `name` and of which `wanted` holds; a `failed` before it ends the test.
    pub fn event_where(
        &mut self,
        name: &str,
        within: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        self.find(name, within, name == "failed", wanted)
    }

    /// Waits for a JSON line whose `event` is `name`, whatever failed before.
    pub fn event_in_spite_of_failures(&mut self, name: &str, within: Duration) -> Value {
        self.find(name, within, true, |_| true)
    }

    /// Waits for `done` or `failed`, whichever comes first.
    pub fn end(&mut self, within: Duration) -> Value {
        let deadline = Instant::now() + within;
        loop {
            match self.next_event(deadline) {
                Ok(event) if event["event"] == "done" || event["event"] == "failed" => {
                    return event;
                }
                Ok(_) => {}
                Err(error) => self.give_up(&format!("no end within {within:?} ({error})")),
            }
        }
    }

    fn find(
        &mut self,
        name: &str,
        within: Duration,
        failures: bool,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + within;
        loop {
            match self.next_event(deadline) {
                Ok(event) if event["event"] == name && wanted(&event) => return event,
                Ok(event) if event["event"] == "failed" && !failures => {
                    self.give_up(&format!("waiting for {name:?}: {event}"))
                }
                Ok(_) => {}
                Err(error) => {
                    self.give_up(&format!("no event {name:?} within {within:?} ({error})"))
                }
            }
        }
    }

    fn next_event(&mut self, deadline: Instant) -> Result<Value, RecvTimeoutError> {
        loop {
            let line = self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
            if let Ok(event) = serde_json::from_str::<Value>(&line) {
                self.events.push(event.clone());
                return Ok(event);
            }
        }
    }

    /// Gives every event read so far, those waiting to be read included.
    pub fn events(&mut self) -> &[Value] {
        while self.next_event(Instant::now()).is_ok() {}
        &self.events
    }

    /// Waits for the end of the process and gives its exit code; a signal counts as -1.
    pub fn exit(&mut self, within: Duration) -> i32 {
        let deadline = Instant::now() + within;
        while !self.ended() {
            if Instant::now() > deadline {
                self.give_up(&format!("still running after {within:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.status.and_then(|status| status.code()).unwrap_or(-1)
    }

    /// Waits for the end of the process and demands that exit code.
    #[track_caller]
    pub fn exits(&mut self, code: i32, within: Duration) {
        let got = self.exit(within);
        if got != code {
            self.give_up(&format!("exit code {got} instead of {code}"));
        }
    }

    /// Says whether the process has ended.
    pub fn ended(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("a child of ours");
        }
        self.status.is_some()
    }

    /// Kills the process at once, with nothing said to it, and reaps it.
    pub fn kill(&mut self) {
        if self.status.is_none() {
            self.child.kill().ok();
            self.status = self.child.wait().ok();
        }
    }

    /// Gives the octets of memory that the process holds now (its resident set).
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|kib| kib.parse::<u64>().ok());
        1024 * kib.expect("proc(5)")
    }

    /// Gives how many descriptors the process has open now.
    pub fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(&path)
            .unwrap_or_else(|error| panic!("{path}: {error}"))
            .count()
    }

    /// Gives the processor time that the process has used so far, in user and kernel mode; its children's not.
    pub fn cpu_seconds(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        // The second field is the program's name in parentheses, which may hold anything.
        let (_, fields) = stat.rsplit_once(')').expect("proc(5)");
        let ticks: Vec<f64> = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|field| field.parse().expect("proc(5)"))
            .collect();
        ticks.iter().sum::<f64>() / TICKS_PER_SECOND
    }

    /// Sends the process what Ctrl-C sends.
    pub fn interrupt(&mut self) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-INT", &id]).status();
        assert!(told.is_ok_and(|status| status.success()), "kill -INT {id}");
    }

    /// Gives what the process has written so far, both streams.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic under the lock").clone()
    }

    #[track_caller]
    fn give_up(&mut self, why: &str) -> ! {
        let state = if self.ended() {
            format!("ended with {:?}", self.status)
        } else {
            "running".to_owned()
        };
        std::thread::sleep(Duration::from_millis(50));
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(60)..].join("\n");
        panic!(
            "{} ({state}): {why}\n--- its output\n{tail}\n---",
            self.name
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let tail: Vec<_> = lines[lines.len().saturating_sub(30)..]
                .iter()
                .map(|line| line.chars().take(400).collect::<String>())
                .collect();
            eprintln!("--- output of {}\n{}\n---", self.name, tail.join("\n"));
        }
    }
}

fn keep(
    stream: impl Read + Send + 'static,
    log: Arc<Mutex<String>>,
    lines: Option<mpsc::Sender<String>>,
) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|octets| octets > 0)
        {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            let mut log = log.lock().expect("no panic under the lock");
            log.push_str(&text);
            log.push('\n');
            drop(log);
            if let Some(lines) = &lines {
                lines.send(text).ok();
            }
        }
    });
}

/// Waits until `done` holds, looking every few milliseconds.
#[track_caller]
pub fn wait_until(what: &str, within: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !done() {
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
