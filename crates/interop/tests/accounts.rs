//! Two accounts on a real server: TLS and plaintext, by iq and by message, many files at once, and logins that fail.

use bytestreams_interop::exchange::{number, online, sent, text};
use bytestreams_interop::files::{assert_identical, visible};
use bytestreams_interop::{
    Account, Cli, EJABBERD, LOGIN, PROSODY, Scratch, Server, Setup, TRANSFER,
};

const SIZE: u64 = 300_000;

fn by_iq_and_by_message(setup: Setup) {
    let server = setup.start();
    for carrier in ["iq", "message"] {
        let scratch = Scratch::default();
        let file = scratch.file("photo.jpg", SIZE);
        let receiver = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
        let (mut receiver, juliet) = online(receiver.args("--once --method ibb --hash"));
        assert!(
            juliet.starts_with("juliet@") && juliet.contains('/'),
            "no full JID: {juliet}"
        );
        let sender = Cli::send(&file, &juliet).account(&server.account("romeo"));
        let done = sent(sender.args("--method ibb --hash --carrier").arg(carrier));
        let got = receiver.event("done", TRANSFER);
        receiver.exits(0, LOGIN);
        scratch.assert_arrived(&file);
        for event in [&done, &got] {
            assert_eq!(number(event, "bytes"), SIZE);
            assert_eq!(
                (text(event, "method"), text(event, "via")),
                ("ibb".into(), "ibb".into())
            );
        }
        assert_eq!(text(&done, "sha256"), text(&got, "sha256"), "by {carrier}");
        assert_eq!(text(&done, "sid"), text(&got, "sid"), "by {carrier}");
        let offered = receiver
            .events()
            .iter()
            .find(|event| event["event"] == "offered")
            .cloned()
            .expect("an offer");
        assert_eq!(
            (text(&offered, "name"), number(&offered, "size")),
            ("photo.jpg".into(), SIZE)
        );
        assert!(text(&offered, "from").starts_with("romeo@"));
    }
}

#[test]
fn a_file_crosses_prosody_over_tls() {
    by_iq_and_by_message(PROSODY.tls());
}

#[test]
fn a_file_crosses_prosody_in_clear() {
    by_iq_and_by_message(PROSODY);
}

#[test]
fn a_file_crosses_ejabberd_over_tls() {
    by_iq_and_by_message(EJABBERD.tls());
}

#[test]
fn a_file_crosses_ejabberd_in_clear() {
    by_iq_and_by_message(EJABBERD);
}

/// Three files each way at once, over one receiving link for each account.
fn many_at_once(server: &Server) {
    let users = ["romeo", "juliet"];
    let scratches = [Scratch::default(), Scratch::default()];
    let mut receivers: Vec<_> = users
        .iter()
        .zip(&scratches)
        .map(|(user, scratch)| {
            online(
                Cli::receive(scratch.inbox())
                    .account(&server.account(user))
                    .args("--method ibb"),
            )
        })
        .collect();
    let mut sends = Vec::new();
    for (to, from) in [(0, 1), (1, 0)] {
        for n in 0..3 {
            let file = scratches[to].file(&format!("{}-{n}.bin", users[from]), 200_000 + 4_095 * n);
            let sender = Cli::send(&file, &receivers[to].1).account(&server.account(users[from]));
            sends.push((to, file, sender.args("--method ibb").start()));
        }
    }
    for (to, file, sender) in &mut sends {
        sender.event("done", TRANSFER);
        sender.exits(0, LOGIN);
        // The sender is done when the receiver has the file in place.
        assert_identical(
            file,
            &scratches[*to]
                .inbox()
                .join(file.file_name().expect("a file")),
        );
    }
    for ((receiver, _), scratch) in receivers.iter_mut().zip(&scratches) {
        for _ in 0..3 {
            receiver.event("done", TRANSFER);
        }
        assert_eq!(visible(scratch.inbox()).len(), 3);
        assert!(!receiver.ended(), "without --once it goes on");
    }
}

#[test]
fn six_files_cross_prosody_at_once_both_ways() {
    many_at_once(&PROSODY.start());
}

#[test]
fn six_files_cross_ejabberd_at_once_both_ways() {
    many_at_once(&EJABBERD.start());
}

#[test]
fn a_bare_jid_means_its_one_available_resource() {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let file = scratch.file("letter", 10_000);
    let bare = server.account("juliet").jid;
    let none = Cli::send(&file, &bare)
        .account(&server.account("romeo"))
        .args("--method ibb")
        .start()
        .exit(TRANSFER);
    assert_eq!(none, 2, "no resource is available");
    let (mut receiver, _) =
        online(Cli::receive(scratch.inbox()).account(&server.account("juliet")));
    sent(
        Cli::send(&file, &bare)
            .account(&server.account("romeo"))
            .args("--method ibb"),
    );
    receiver.event("done", TRANSFER);
    scratch.assert_arrived(&file);
}

#[test]
fn who_may_send_is_decided_by_accept() {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let file = scratch.file("letter", 10_000);
    let receive = Cli::new("receive")
        .arg("--dir")
        .arg(scratch.inbox())
        .args("--accept romeo@prosody.local --max-size 20000");
    let (mut receiver, to) = online(receive.account(&server.account("juliet")));
    let big = scratch.file("big", 20_001);
    let send = |file, user| {
        Cli::send(file, &to)
            .account(&server.account(user))
            .args("--method ibb")
            .start()
            .exit(TRANSFER)
    };
    assert_eq!(send(&file, "mallory"), 3);
    scratch.assert_nothing_arrived();
    assert_eq!(send(&big, "romeo"), 3);
    scratch.assert_nothing_arrived();
    assert_eq!(send(&file, "romeo"), 0);
    scratch.assert_arrived(&file);
    assert!(!receiver.ended());
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let file = scratch.file("photo.jpg", 5_000);
    let (_receiver, to) = online(Cli::receive(scratch.inbox()).account(&server.account("juliet")));
    for _ in 0..2 {
        sent(
            Cli::send(&file, &to)
                .account(&server.account("romeo"))
                .args("--method ibb"),
        );
    }
    assert_eq!(visible(scratch.inbox()), ["photo (1).jpg", "photo.jpg"]);
}

#[test]
fn a_login_that_fails_exits_with_4() {
    let plain = PROSODY.start();
    let tls = PROSODY.tls().start();
    let scratch = Scratch::default();
    let receive = || Cli::receive(scratch.inbox());

    let wrong = receive()
        .account(&plain.account("romeo"))
        .env("BYTESTREAMS_PASSWORD", "wrong")
        .args("--once");
    wrong.start().exits(4, LOGIN);

    let stranger = receive()
        .account(&tls.account("romeo"))
        .env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt");
    stranger.args("--once").start().exits(4, LOGIN);

    let mut downgraded = plain.account("romeo");
    downgraded.authority = tls.authority.clone();
    receive()
        .account(&downgraded)
        .args("--once")
        .start()
        .exits(4, LOGIN);

    let mut other_name = tls.account("romeo");
    other_name.jid = "romeo@elsewhere.local".into();
    receive()
        .account(&other_name)
        .args("--once")
        .start()
        .exits(4, LOGIN);

    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a port");
    receive()
        .account(&plain.account("romeo").through(free))
        .args("--once")
        .start()
        .exits(4, LOGIN);
}

/// What the program says as it is refused.
fn refusal(receiver: Cli) -> String {
    let mut receiver = receiver.args("--once").start();
    let failed = receiver.event("failed", LOGIN);
    receiver.exits(4, LOGIN);
    text(&failed, "reason")
}

#[test]
fn whoever_is_refused_reads_why() {
    let scratch = Scratch::default();
    let receive = |account: &Account| Cli::receive(scratch.inbox()).account(account);
    for setup in [PROSODY, EJABBERD] {
        let (plain, tls) = (setup.start(), setup.tls().start());
        for server in [&plain, &tls] {
            let romeo = server.account("romeo");
            let nobody = server.account("nobody");
            let wrong = receive(&romeo).env("BYTESTREAMS_PASSWORD", "wrong");
            for refused in [wrong, receive(&nobody)] {
                let why = refusal(refused);
                assert!(why.contains("refused the login"), "{why}");
            }
        }
        let untrusting = receive(&tls.account("romeo"))
            .env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt");
        let why = refusal(untrusting);
        assert!(why.contains("SSL_CERT_FILE"), "{why}");
    }
}
