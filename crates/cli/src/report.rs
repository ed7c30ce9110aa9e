//! What is said while the program runs: sentences and bars for people, JSON lines for programs.

use crate::escape::{escape, escape_lines, json_string};
use crate::failure::LINK_LOST;
use bytestreams_tokio::{Method, Via};
use core::fmt::{Display, Write as _};
use core::time::Duration;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How often progress is told in JSON at most.
const PACE: Duration = Duration::from_millis(100);

/// How the reason of what was declined here begins.
pub(crate) const DECLINED: &str = "declined: ";

/// Something that happened. Everything in it may come from a peer.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    Listening {
        addr: &'a str,
    },
    Online {
        jid: &'a str,
    },
    Offered {
        sid: &'a str,
        name: Option<&'a str>,
        size: Option<u64>,
        /// The JID.
        from: &'a str,
        /// What people are told instead.
        who: &'a str,
    },
    Accepted {
        sid: &'a str,
        method: Method,
        offset: u64,
    },
    FellBack {
        sid: &'a str,
        from: Method,
        to: Method,
        reason: &'a str,
    },
    Progress {
        sid: &'a str,
        done: u64,
        total: Option<u64>,
    },
    Done(Done<'a>),
    Failed {
        sid: Option<&'a str>,
        reason: &'a str,
    },
}

/// A transfer that is done.
#[derive(Debug)]
pub(crate) struct Done<'a> {
    pub(crate) sid: &'a str,
    pub(crate) name: &'a str,
    pub(crate) bytes: u64,
    pub(crate) method: Method,
    pub(crate) via: Via,
    pub(crate) took: Duration,
    /// Where the file is, on the side that received it.
    pub(crate) path: Option<&'a Path>,
    pub(crate) sha256: Option<[u8; 32]>,
    /// Which end tells it, where both are in this process.
    pub(crate) side: Option<&'a str>,
}

/// Tells people or programs what happens.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    json: bool,
    bars: MultiProgress,
}

impl Reporter {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            bars: MultiProgress::new(),
        }
    }

    /// Says whether programs read this.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Says whether a person can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        !self.json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Tells an event.
    pub(crate) fn event(&self, event: &Event<'_>) {
        if self.json {
            self.line(&in_json(event));
        } else if let Some(sentence) = in_words(event) {
            if let Event::Failed { .. } = event {
                self.complain(&sentence);
            } else {
                self.line(&sentence);
            }
        }
    }

    /// Tells an event that one command alone has: as an object to programs, as a sentence to people.
    pub(crate) fn either(&self, object: Object, sentence: &str) {
        if self.json {
            self.object(object);
        } else {
            self.line(sentence);
        }
    }

    /// Tells an event that one command alone has to programs.
    pub(crate) fn object(&self, object: Object) {
        if self.json {
            self.line(&object.end());
        }
    }

    /// Says something that is no event: to people only.
    pub(crate) fn say(&self, sentence: &str) {
        if !self.json {
            self.line(sentence);
        }
    }

    /// Says something on standard error.
    pub(crate) fn complain(&self, sentence: &str) {
        // Where nobody reads, nobody is told.
        self.bars
            .suspend(|| drop(writeln!(std::io::stderr(), "{sentence}")));
    }

    /// Does something with the terminal while no bar is drawn.
    pub(crate) fn suspended<T>(&self, what: impl FnOnce() -> T) -> T {
        self.bars.suspend(what)
    }

    /// Begins to follow a transfer whose octets are about to move.
    pub(crate) fn follow(
        &self,
        sid: &str,
        name: &str,
        offset: u64,
        total: Option<u64>,
    ) -> Follow<'_> {
        let bar = (!self.json && std::io::stderr().is_terminal()).then(|| {
            let bar = match total {
                Some(total) => ProgressBar::new(total).with_style(style(
                    "{msg:20!} {wide_bar} {percent:>3}% {decimal_bytes:>10} {decimal_bytes_per_sec:>12} {eta:>4}",
                )),
                None => ProgressBar::no_length()
                    .with_style(style("{msg:20!} {spinner} {decimal_bytes:>10} {decimal_bytes_per_sec:>12}")),
            };
            let bar = self.bars.add(bar.with_message(escape(name)));
            bar.set_position(offset);
            bar.reset_eta();
            bar
        });
        let pace = self
            .json
            .then(|| Pace::start(self.clone(), sid.to_owned(), offset, total));
        Follow {
            reporter: self,
            offset,
            bar,
            pace,
        }
    }

    fn line(&self, line: &str) {
        self.bars.suspend(|| {
            let mut out = std::io::stdout().lock();
            // Where nobody reads, nobody is told.
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        });
    }
}

/// Says why the program ends; to programs by an event too.
pub(crate) fn error(json: bool, reason: &str) {
    if json {
        let sid = None;
        Reporter::new(json).event(&Event::Failed { sid, reason });
    }
    // Where nobody reads, nobody is told.
    let _ = writeln!(std::io::stderr(), "error: {}", escape_lines(reason));
}

/// The progress of one transfer.
#[derive(Debug)]
pub(crate) struct Follow<'a> {
    reporter: &'a Reporter,
    offset: u64,
    bar: Option<ProgressBar>,
    pace: Option<Pace>,
}

impl Follow<'_> {
    /// Tells how many octets have moved, those before the offset not counted.
    pub(crate) fn moved(&self, octets: u64) {
        let done = self.offset + octets;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
        if let Some(pace) = &self.pace {
            pace.moved(done);
        }
    }

    /// Begins again, as after a fallback.
    pub(crate) fn restarted(&self) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.offset);
            bar.reset_eta();
        }
    }
}

impl Drop for Follow<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            self.reporter.bars.remove(bar);
        }
        if let Some(pace) = &self.pace {
            pace.end();
        }
    }
}

/// Tells progress in JSON: the first at once, further ones at most every [`PACE`], and the newest
/// that long after it came at the latest, so that a transfer that stalls has told how far it is.
#[derive(Debug)]
struct Pace(Arc<Mutex<Told>>);

#[derive(Debug)]
struct Told {
    reporter: Reporter,
    sid: String,
    total: Option<u64>,
    /// What is told, and what is to be.
    told: u64,
    done: u64,
    at: Option<Instant>,
    ended: bool,
}

impl Told {
    fn tell(&mut self) {
        if self.ended || self.told == self.done || self.at.is_some_and(|at| at.elapsed() < PACE) {
            return;
        }
        self.told = self.done;
        self.at = Some(Instant::now());
        self.reporter.event(&Event::Progress {
            sid: &self.sid,
            done: self.done,
            total: self.total,
        });
    }
}

impl Pace {
    fn start(reporter: Reporter, sid: String, offset: u64, total: Option<u64>) -> Self {
        let told = Arc::new(Mutex::new(Told {
            reporter,
            sid,
            total,
            told: offset,
            done: offset,
            at: None,
            ended: false,
        }));
        tokio::spawn({
            let told = told.clone();
            async move {
                let mut tick = tokio::time::interval(PACE);
                loop {
                    tick.tick().await;
                    let mut told = lock(&told);
                    if told.ended {
                        return;
                    }
                    told.tell();
                }
            }
        });
        Self(told)
    }

    fn moved(&self, done: u64) {
        let mut told = lock(&self.0);
        told.done = done;
        told.tell();
    }

    fn end(&self) {
        lock(&self.0).ended = true;
    }
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// Writes a number with a comma between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

pub(crate) fn octets(number: u64) -> String {
    if number == 1 {
        "1 byte".into()
    } else {
        format!("{} bytes", grouped(number))
    }
}

/// Says how long something took and how fast it was.
pub(crate) fn pace(octets: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    if seconds < 0.001 || octets == 0 {
        return format!("{seconds:.3} s");
    }
    format!("{seconds:.3} s, {:.1} MB/s", octets as f64 / seconds / 1e6)
}

fn way(method: Method) -> &'static str {
    match method {
        Method::Socks5 => "over SOCKS5",
        _ => "in band",
    }
}

fn road(via: Via) -> &'static str {
    match via {
        Via::Direct => "directly",
        Via::Proxy => "through a proxy",
        _ => "in band",
    }
}

fn in_words(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::Listening { addr } => {
            format!("Listening on {addr}: unauthenticated and in clear.")
        }
        Event::Online { jid } => format!("Online as {}.", escape(jid)),
        Event::Offered {
            name, size, who, ..
        } => {
            let from = escape(who);
            match (name, size) {
                (Some(name), Some(size)) => {
                    format!("{from} offers \"{}\", {}.", escape(name), octets(*size))
                }
                (Some(name), None) => format!("{from} offers \"{}\".", escape(name)),
                (None, _) => format!("{from} opens a stream without an offer."),
            }
        }
        Event::Accepted { method, offset, .. } if *offset > 0 => format!(
            "Accepted, {}: going on after {}.",
            way(*method),
            octets(*offset)
        ),
        Event::Accepted { method, .. } => format!("Accepted, {}.", way(*method)),
        Event::FellBack {
            from, to, reason, ..
        } => {
            let reason = escape(reason);
            if from == to {
                format!("Beginning again {}, more cautiously: {reason}.", way(*to))
            } else {
                format!("Going on {}: {reason}.", way(*to))
            }
        }
        Event::Progress { .. } => return None,
        Event::Done(done) => {
            let mut text = match done.path {
                Some(path) => format!("Received {}", escape(&path.to_string_lossy())),
                None => format!("Sent \"{}\"", escape(done.name)),
            };
            let _ = write!(
                text,
                ": {} {}, {}.",
                octets(done.bytes),
                road(done.via),
                pace(done.bytes, done.took)
            );
            if let Some(sha256) = &done.sha256 {
                let _ = write!(text, "\nSHA-256 {}", hex(sha256));
            }
            text
        }
        Event::Failed { reason, .. } => match reason.strip_prefix(DECLINED) {
            Some(words) => format!("Declined: {}.", escape(words)),
            None if *reason == LINK_LOST => "Failed: the connection was lost; send again.".into(),
            None => format!("Failed: {}.", escape(reason)),
        },
    })
}

fn in_json(event: &Event<'_>) -> String {
    match event {
        Event::Listening { addr } => Object::new("listening").text("addr", addr),
        Event::Online { jid } => Object::new("online").text("jid", jid),
        Event::Offered {
            sid,
            name,
            size,
            from,
            ..
        } => Object::new("offered")
            .text("sid", sid)
            .maybe("name", name.map(json_string))
            .maybe("size", *size)
            .text("from", from),
        Event::Accepted {
            sid,
            method,
            offset,
        } => Object::new("accepted")
            .text("sid", sid)
            .text("method", method.as_str())
            .value("offset", offset),
        Event::FellBack {
            sid,
            from,
            to,
            reason,
        } => Object::new("fell-back")
            .text("sid", sid)
            .text("from", from.as_str())
            .text("to", to.as_str())
            .text("reason", reason),
        Event::Progress { sid, done, total } => Object::new("progress")
            .text("sid", sid)
            .value("done", done)
            .maybe("total", *total),
        Event::Done(done) => {
            let seconds = format!("{:.6}", done.took.as_secs_f64());
            let mut object = Object::new("done");
            if let Some(side) = done.side {
                object = object.text("side", side);
            }
            object = object
                .text("sid", done.sid)
                .text("name", done.name)
                .value("bytes", done.bytes)
                .text("method", done.method.as_str())
                .text("via", done.via.as_str())
                .value("seconds", seconds);
            if let Some(path) = done.path {
                object = object.text("path", &path.to_string_lossy());
            }
            if let Some(sha256) = &done.sha256 {
                object = object.text("sha256", &hex(sha256));
            }
            object
        }
        Event::Failed { sid, reason } => Object::new("failed")
            .maybe("sid", sid.map(json_string))
            .text("reason", reason),
    }
    .end()
}

pub(crate) use bytestreams_tokio::file::hex;

/// A JSON object on one line, its members in the order in which they are added.
#[derive(Debug)]
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new(event: &str) -> Self {
        Self(format!("{{\"event\":{}", json_string(event)))
    }

    pub(crate) fn text(self, name: &str, text: &str) -> Self {
        self.value(name, json_string(text))
    }

    pub(crate) fn maybe(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.value(name, value),
            None => self.value(name, "null"),
        }
    }

    pub(crate) fn value(mut self, name: &str, value: impl Display) -> Self {
        let _ = write!(self.0, ",\"{name}\":{value}");
        self
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parsed(event: &Event<'_>) -> Value {
        let line = in_json(event);
        assert!(!line.contains('\n'), "{line}");
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn events_are_one_json_object_each() {
        assert_eq!(
            parsed(&Event::Offered {
                sid: "s\"1",
                name: Some("a\nb"),
                size: None,
                from: "a@b/\u{202e}",
                who: "",
            }),
            json!({"event": "offered", "sid": "s\"1", "name": "a\nb", "size": null, "from": "a@b/\u{202e}"})
        );
        assert_eq!(
            parsed(&Event::Done(Done {
                sid: "s",
                name: "n",
                bytes: 5,
                method: Method::Socks5,
                via: Via::Proxy,
                took: Duration::from_millis(1500),
                path: Some(Path::new("d/n")),
                sha256: Some([0xab; 32]),
                side: None,
            })),
            json!({
                "event": "done", "sid": "s", "name": "n", "bytes": 5, "method": "socks5",
                "via": "proxy", "seconds": 1.5, "path": "d/n", "sha256": "ab".repeat(32)
            })
        );
        assert_eq!(
            parsed(&Event::Failed {
                sid: None,
                reason: "why"
            }),
            json!({"event": "failed", "sid": null, "reason": "why"})
        );
    }

    #[test]
    fn sentences_show_no_control_characters_of_peers() {
        let sentence = in_words(&Event::Offered {
            sid: "s",
            name: Some("\x1b]0;owned\x07.jpg"),
            size: Some(1),
            from: "a@b",
            who: "a@b/\x1b[2J",
        })
        .unwrap();
        assert!(!sentence.chars().any(char::is_control), "{sentence}");
    }

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (8_388_608, "8,388,608"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
