//! Peers that lie, err and flood: each ends in the XEP's error or a clear failure, with nothing lost or left behind.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytestreams_interop::exchange::{accepts, listening, online, refuses, text};
use bytestreams_interop::files::{hidden, visible};
use bytestreams_interop::raw::{ibb_close, ibb_data, ibb_open, ibb_text, si_offer};
use bytestreams_interop::xml::Stanza;
use bytestreams_interop::{Cli, LOGIN, PROSODY, Process, RawClient, Scratch, Server, TRANSFER};

/// A receiver of ours with romeo, to whom it listens, and mallory.
struct Scene {
    scratch: Scratch,
    receiver: Process,
    juliet: String,
    romeo: RawClient,
    mallory: RawClient,
    _server: Server,
}

impl Scene {
    fn set() -> Self {
        let server = PROSODY.start();
        let scratch = Scratch::default();
        let receive = Cli::new("receive")
            .arg("--dir")
            .arg(scratch.inbox())
            .args("--accept romeo@prosody.local,mallory@prosody.local");
        let (receiver, juliet) = online(
            receive
                .account(&server.account("juliet"))
                .args("--allow-unannounced"),
        );
        let romeo = RawClient::login(&server.account("romeo"), "orchard");
        let mallory = RawClient::login(&server.account("mallory"), "dark");
        Self {
            scratch,
            receiver,
            juliet,
            romeo,
            mallory,
            _server: server,
        }
    }

    /// Offers a file as romeo and opens the stream.
    fn offer(&mut self, sid: &str, name: &str, size: &str) {
        accepts(
            &self
                .romeo
                .request("set", &self.juliet, &si_offer(sid, name, size)),
        );
        accepts(
            &self
                .romeo
                .request("set", &self.juliet, &ibb_open(sid, 4096)),
        );
    }

    fn data(&mut self, sid: &str, seq: u16, octets: &[u8]) -> Stanza {
        self.romeo
            .request("set", &self.juliet, &ibb_data(sid, seq, octets))
    }

    /// Waits until juliet closes the stream towards romeo, and confirms it.
    fn closed_by_juliet(&mut self, sid: &str) {
        let close = self.romeo.recv_where("the close", |stanza| {
            stanza.is_iq("set") && stanza.has("<close") && stanza.has(sid)
        });
        self.romeo.result(&close, "");
    }

    /// Waits for the failure of a transfer and looks that it left nothing with a name.
    fn failed(&mut self, sid: &str) {
        self.receiver
            .event_where("failed", TRANSFER, |event| event["sid"] == sid);
        self.scratch.assert_nothing_arrived();
    }

    /// Shows that the receiver is as well as ever: a file from romeo arrives.
    fn unharmed(mut self) {
        self.offer("healthy", "healthy.txt", "3");
        accepts(&self.data("healthy", 0, b"yes"));
        accepts(
            &self
                .romeo
                .request("set", &self.juliet, &ibb_close("healthy")),
        );
        self.receiver
            .event_where("done", TRANSFER, |event| event["sid"] == "healthy");
        assert_eq!(
            std::fs::read(self.scratch.inbox().join("healthy.txt")).expect("it arrived"),
            b"yes"
        );
    }
}

#[test]
fn a_forged_from_with_the_right_sid_changes_nothing() {
    let mut scene = Scene::set();
    scene.offer("s1", "letter.txt", "6");
    accepts(&scene.data("s1", 0, b"one"));
    let to = scene.juliet.clone();
    refuses(
        &scene
            .mallory
            .request("set", &to, &ibb_data("s1", 1, b"bad")),
        "item-not-found",
    );
    refuses(
        &scene.mallory.request("set", &to, &ibb_close("s1")),
        "item-not-found",
    );
    accepts(&scene.data("s1", 1, b"two"));
    accepts(&scene.romeo.request("set", &to, &ibb_close("s1")));
    scene.receiver.event("done", TRANSFER);
    assert_eq!(
        std::fs::read(scene.scratch.inbox().join("letter.txt")).expect("it arrived"),
        b"onetwo"
    );
    scene.unharmed();
}

#[test]
fn an_unknown_sid_is_item_not_found() {
    let mut scene = Scene::set();
    let to = scene.juliet.clone();
    refuses(&scene.data("nobody", 0, b"x"), "item-not-found");
    refuses(
        &scene.romeo.request("set", &to, &ibb_close("nobody")),
        "item-not-found",
    );
    scene.unharmed();
}

#[test]
fn a_wrong_seq_is_answered_and_closes_the_stream() {
    let mut scene = Scene::set();
    for (sid, seq) in [("s1", 2), ("s2", 65535), ("s3", 0)] {
        scene.offer(sid, "letter.txt", "9");
        accepts(&scene.data(sid, 0, b"one"));
        refuses(&scene.data(sid, seq, b"bad"), "unexpected-request");
        scene.closed_by_juliet(sid);
        scene.failed(sid);
    }
    scene.unharmed();
}

#[test]
fn bad_base64_is_answered_and_closes_the_stream() {
    let mut scene = Scene::set();
    let to = scene.juliet.clone();
    for (n, text) in ["AAA*", "A", "AA=A", "=AAA", "AAAA====", "AAA", "&#xE9;AAA"]
        .into_iter()
        .enumerate()
    {
        let sid = format!("s{n}");
        scene.offer(&sid, "letter.txt", "9");
        refuses(
            &scene.romeo.request("set", &to, &ibb_text(&sid, 0, text)),
            "bad-request",
        );
        scene.closed_by_juliet(&sid);
        scene.failed(&sid);
    }
    scene.unharmed();
}

#[test]
fn white_space_inside_base64_is_forgiven() {
    let mut scene = Scene::set();
    scene.offer("s1", "letter.txt", "6");
    let to = scene.juliet.clone();
    accepts(
        &scene
            .romeo
            .request("set", &to, &ibb_text("s1", 0, "\n  b25l\n  dHdv\n")),
    );
    accepts(&scene.romeo.request("set", &to, &ibb_close("s1")));
    scene.receiver.event("done", TRANSFER);
    assert_eq!(
        std::fs::read(scene.scratch.inbox().join("letter.txt")).expect("it arrived"),
        b"onetwo"
    );
}

#[test]
fn a_block_larger_than_agreed_is_refused() {
    let mut scene = Scene::set();
    scene.offer("s1", "letter.txt", "9000");
    refuses(&scene.data("s1", 0, &[7; 4097]), "bad-request");
    scene.closed_by_juliet("s1");
    scene.failed("s1");
    scene.unharmed();
}

#[test]
fn a_second_open_with_the_same_sid_is_refused_and_the_first_goes_on() {
    let mut scene = Scene::set();
    scene.offer("s1", "letter.txt", "3");
    let to = scene.juliet.clone();
    refuses(
        &scene.romeo.request("set", &to, &ibb_open("s1", 4096)),
        "not-acceptable",
    );
    accepts(&scene.data("s1", 0, b"one"));
    accepts(&scene.romeo.request("set", &to, &ibb_close("s1")));
    scene.receiver.event("done", TRANSFER);
    assert_eq!(
        std::fs::read(scene.scratch.inbox().join("letter.txt")).expect("it arrived"),
        b"one"
    );
    scene.unharmed();
}

#[test]
fn data_before_the_answer_to_open_harms_nobody() {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let file = scratch.file("letter.txt", 5_000);
    let mut juliet = RawClient::login(&server.account("juliet"), "balcony");
    let mut sender = Cli::send(&file, &juliet.jid)
        .account(&server.account("romeo"))
        .args("--method ibb --no-si --window 1")
        .start();
    let open = juliet.recv_where("the open", |stanza| {
        stanza.is_iq("set") && stanza.has("<open")
    });
    let romeo = open.attr("from").expect("stamped").to_owned();
    let sid = open.child_attr("open", "sid").expect("a sid").to_owned();
    juliet.post("set", &romeo, &ibb_data(&sid, 0, b"early"));
    juliet.result(&open, "");
    let mut octets = 0;
    loop {
        let stanza = juliet.recv_where("blocks or the close", |stanza| stanza.is_iq("set"));
        juliet.result(&stanza, "");
        if stanza.has("<close") {
            break;
        }
        octets += stanza
            .0
            .split_once("</data>")
            .map_or(0, |(head, _)| head.rsplit('>').next().map_or(0, str::len))
            * 3
            / 4;
    }
    let code = sender.exit(TRANSFER);
    assert!(
        code == 1 || (code == 0 && octets >= 5_000),
        "exit code {code} after {octets} octets"
    );
}

#[test]
fn more_octets_than_declared_fail_the_transfer() {
    let mut scene = Scene::set();
    scene.offer("s1", "letter.txt", "3");
    let answer = scene.data("s1", 0, b"four");
    if answer.is_iq("result") {
        let to = scene.juliet.clone();
        scene.romeo.request("set", &to, &ibb_close("s1"));
    }
    scene.failed("s1");
    scene.unharmed();
}

#[test]
fn fewer_octets_than_declared_fail_the_transfer() {
    let mut scene = Scene::set();
    scene.offer("s1", "letter.txt", "9");
    accepts(&scene.data("s1", 0, b"four"));
    let to = scene.juliet.clone();
    scene.romeo.request("set", &to, &ibb_close("s1"));
    scene.failed("s1");
    scene.unharmed();
}

#[test]
fn file_names_stay_inside_the_directory() {
    let long = "n".repeat(4096);
    let names = [
        "../../etc/passwd",
        "/etc/passwd",
        "C:\\x",
        "..\\..\\boot.ini",
        "CON",
        "nul.txt",
        "",
        ".",
        "..",
        ".bashrc",
        long.as_str(),
        "red\u{9b}31m",
        "gpj.\u{202e}exe",
        "two\nlines",
        "trailing. ",
    ];
    let mut scene = Scene::set();
    for (n, name) in names.into_iter().enumerate() {
        let sid = format!("s{n}");
        let to = scene.juliet.clone();
        let answer = scene.romeo.request("set", &to, &si_offer(&sid, name, "3"));
        if answer.is_iq("error") {
            scene.scratch.assert_nothing_arrived();
            continue;
        }
        accepts(&scene.romeo.request("set", &to, &ibb_open(&sid, 4096)));
        accepts(&scene.data(&sid, 0, b"yes"));
        accepts(&scene.romeo.request("set", &to, &ibb_close(&sid)));
        let done = scene.receiver.event("done", TRANSFER);
        let path = text(&done, "path");
        let inbox = std::fs::canonicalize(scene.scratch.inbox()).expect("a directory");
        let stored = std::fs::canonicalize(&path).expect("the file that was announced");
        assert_eq!(
            stored.parent(),
            Some(inbox.as_path()),
            "{name:?} went to {path}"
        );
        let stored = stored
            .file_name()
            .expect("a file")
            .to_string_lossy()
            .into_owned();
        assert_eq!(visible(&inbox), [stored.as_str()], "for {name:?}");
        assert_eq!(hidden(&inbox), Vec::<String>::new(), "for {name:?}");
        let stem = stored
            .split('.')
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        assert!(
            stored.len() <= 200 && !["CON", "NUL"].contains(&stem.as_str()),
            "{name:?} is stored as {stored:?}"
        );
        let odd = |c: char| {
            c.is_control()
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\\' | '/')
        };
        assert!(!stored.contains(odd), "{name:?} is stored as {stored:?}");
        assert!(
            !scene.receiver.log().contains('\u{9b}'),
            "a terminal escape came through"
        );
        std::fs::remove_file(inbox.join(stored)).expect("the file is ours");
    }
}

#[test]
fn an_unknown_request_is_service_unavailable() {
    let mut scene = Scene::set();
    let to = scene.juliet.clone();
    for kind in ["get", "set"] {
        refuses(
            &scene
                .romeo
                .request(kind, &to, "<query xmlns='urn:example:unknown'/>"),
            "service-unavailable",
        );
    }
    accepts(
        &scene
            .romeo
            .request("get", &to, "<ping xmlns='urn:xmpp:ping'/>"),
    );
    let info = scene.romeo.request(
        "get",
        &to,
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    );
    for feature in [
        "http://jabber.org/protocol/si",
        "http://jabber.org/protocol/si/profile/file-transfer",
        "http://jabber.org/protocol/ibb",
    ] {
        assert!(info.has(feature), "{feature} is missing: {}", info.0);
    }
    scene.unharmed();
}

#[test]
fn a_full_disk_fails_the_transfer_and_says_so() {
    let scratch = Scratch::default();
    let file = scratch.file("big.bin", 400_000);
    // A file system of 64 KiB in a mount namespace of its own.
    let mount = "mount -t tmpfs -o size=64k none \"$0\" && exec \"$@\"";
    let allowed = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", mount])
        .arg(scratch.inbox())
        .arg("true")
        .output();
    let allowed = allowed.expect("unshare comes with `apt-get install util-linux`");
    assert!(
        allowed.status.success(),
        "this test needs unprivileged user namespaces: {}",
        String::from_utf8_lossy(&allowed.stderr)
    );
    let receive = Cli::receive(scratch.inbox()).under(
        "unshare",
        &[
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            mount,
            &inbox(&scratch),
        ],
    );
    let (mut receiver, to) = listening(receive.args("--once"));
    let mut sender = Cli::send(&file, &to).args("--method ibb").start();
    sender.exits(3, TRANSFER);
    let failed = receiver.event("failed", TRANSFER);
    assert!(text(&failed, "reason").contains("space"), "{failed}");
    receiver.exits(1, LOGIN);
}

fn inbox(scratch: &Scratch) -> String {
    Path::to_str(scratch.inbox()).expect("UTF-8").to_owned()
}

/// A serverless receiver, a stream to it, and what the stream says after `text`.
fn flood(text: &str) -> (Process, RawClient, String, Scratch) {
    let scratch = Scratch::default();
    let (receiver, to) = listening(Cli::receive(scratch.inbox()));
    let mut client = RawClient::serverless(to.parse().expect("an address"));
    client.send(text);
    (receiver, client, to, scratch)
}

#[test]
fn ten_megabytes_of_text_in_one_element_leave_the_link_alive() {
    let text = "x".repeat(10_000_000);
    let (_receiver, mut client, _to, _scratch) =
        flood(&format!("<message><body>{text}</body></message>"));
    accepts(&client.request("get", "", "<ping xmlns='urn:xmpp:ping'/>"));
    refuses(
        &client.request(
            "set",
            "",
            &format!("<query xmlns='urn:example:big'>{text}</query>"),
        ),
        "policy-violation",
    );
    accepts(&client.request("get", "", "<ping xmlns='urn:xmpp:ping'/>"));
}

#[test]
fn a_depth_bomb_leaves_the_link_alive() {
    let depth = 20_000;
    let bomb = format!(
        "<message>{}{}</message>",
        "<a>".repeat(depth),
        "</a>".repeat(depth)
    );
    let (_receiver, mut client, _to, _scratch) = flood(&bomb);
    accepts(&client.request("get", "", "<ping xmlns='urn:xmpp:ping'/>"));
}

#[test]
fn what_is_not_xmpp_ends_the_stream_and_the_next_one_is_served() {
    for text in [
        "<!DOCTYPE lolz [<!ENTITY lol 'lol'>]><message/>",
        "<message><!ENTITY lol 'lol'></message>",
        "<message><body>&lol;</body></message>",
        "<message><!-- comment --></message>",
        "<?xml-stylesheet href='x'?>",
        "<message to='a' to='b'/>",
        "<message></iq>",
        "<message to=a/>",
    ] {
        let (mut receiver, mut client, to, _scratch) = flood(text);
        let mut last = String::new();
        while let Ok(stanza) = client.try_recv(Duration::from_secs(10)) {
            last = stanza.0;
        }
        let ended = client
            .try_recv(Duration::from_millis(1))
            .expect_err("read to the end")
            .kind();
        assert_ne!(
            ended,
            std::io::ErrorKind::TimedOut,
            "{text} was taken; last came {last}"
        );
        assert!(!receiver.ended(), "{text} ended the process");
        let mut next = RawClient::serverless(to.parse().expect("an address"));
        accepts(&next.request("get", "", "<ping xmlns='urn:xmpp:ping'/>"));
    }
}
