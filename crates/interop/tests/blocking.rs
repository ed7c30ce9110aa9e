//! The adapter on threads behind a real server: as an external component, with our program (which is on tokio), itself, and
//! the client of another program at the other end.

use bytestreams_interop::example::Example;
use bytestreams_interop::exchange::{number, online, text};
use bytestreams_interop::{Cli, EJABBERD, LOGIN, PROSODY, Scratch, Server, TRANSFER};

const MIB: u64 = 1 << 20;
/// Each method, and the way it takes where both ends are on this machine.
const WAYS: [(&str, &str); 2] = [("ibb", "ibb"), ("socks5", "direct")];

fn threads(method: &str) -> Example {
    Example::new("threads").env("METHOD", method)
}

/// What a program on threads says of a file that crossed.
fn crossed(bytes: u64, via: &str) -> String {
    format!("({bytes} octets via {via}, sha256 ")
}

#[test]
fn a_file_crosses_between_two_components_of_prosody() {
    let server = PROSODY.start();
    for (method, via) in WAYS {
        let scratch = Scratch::default();
        let file = scratch.file("film.mkv", 5 * MIB);
        let receiver = threads(method).args("receive").path(scratch.inbox());
        let (mut receiver, to) = receiver.component(&server.users, &server).online();
        let sender = threads(method).args("send").path(&file);
        let mut sender = sender
            .component(&server.component, &server)
            .args(&to)
            .start();
        let sent = sender.line("sent ", TRANSFER);
        assert!(sent.contains(&crossed(5 * MIB, via)), "{sent}");
        sender.exits(0, LOGIN);
        let received = receiver.line("received ", TRANSFER);
        assert!(received.contains(&crossed(5 * MIB, via)), "{received}");
        scratch.assert_arrived(&file);
    }
}

/// A file goes from a component on threads to an account on tokio.
fn to_account(server: &Server) {
    for (method, via) in WAYS {
        let scratch = Scratch::default();
        let file = scratch.file("film.mkv", 5 * MIB);
        let receiver = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
        let (mut receiver, to) = online(receiver.args("--once"));
        let sender = threads(method).args("send").path(&file);
        let mut sender = sender
            .component(&server.component, server)
            .args(&to)
            .start();
        let got = receiver.event("done", TRANSFER);
        assert_eq!(
            (number(&got, "bytes"), text(&got, "via")),
            (5 * MIB, via.into())
        );
        receiver.exits(0, LOGIN);
        sender.exits(0, LOGIN);
        scratch.assert_arrived(&file);
    }
}

/// A file goes from an account on tokio to a component on threads.
fn from_account(server: &Server) {
    for (method, via) in WAYS {
        let scratch = Scratch::default();
        let file = scratch.file("film.mkv", 5 * MIB);
        let receiver = threads(method).args("receive").path(scratch.inbox());
        let (mut receiver, to) = receiver.component(&server.component, server).online();
        let sender = Cli::send(&file, &to).account(&server.account("romeo"));
        let sender = sender.args(&format!("--method {method}"));
        let mut sender = match method {
            "socks5" => sender.args("--no-proxy --direct-listen 127.0.0.1:0"),
            _ => sender,
        }
        .start();
        let done = sender.event("done", TRANSFER);
        assert_eq!(text(&done, "via"), via);
        sender.exits(0, LOGIN);
        let received = receiver.line("received ", TRANSFER);
        assert!(received.contains(&crossed(5 * MIB, via)), "{received}");
        scratch.assert_arrived(&file);
    }
}

// Two components of ejabberd are no test: whoever joins at one of its listeners gets the stanzas to all of its domains, in turn.

#[test]
fn files_cross_between_a_component_of_prosody_and_an_account() {
    let server = PROSODY.start();
    to_account(&server);
    from_account(&server);
}

#[test]
fn files_cross_between_a_component_of_ejabberd_and_an_account() {
    let server = EJABBERD.start();
    to_account(&server);
    from_account(&server);
}

#[test]
fn a_file_goes_through_prosodys_proxy_to_a_component_on_threads() {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let file = scratch.file("film.mkv", 5 * MIB);
    let receiver = threads("socks5").args("receive").path(scratch.inbox());
    let (mut receiver, to) = receiver.component(&server.component, &server).online();
    let sender = Cli::send(&file, &to).account(&server.account("romeo"));
    let mut sender = sender.args("--method socks5 --proxy-only").start();
    assert_eq!(text(&sender.event("done", TRANSFER), "via"), "proxy");
    sender.exits(0, LOGIN);
    let received = receiver.line("received ", TRANSFER);
    assert!(received.contains(&crossed(5 * MIB, "proxy")), "{received}");
    scratch.assert_arrived(&file);
}

#[test]
fn a_file_crosses_without_a_server() {
    for (method, via) in WAYS {
        let scratch = Scratch::default();
        let file = scratch.file("film.mkv", 5 * MIB);
        let receiver = threads(method).args("receive").path(scratch.inbox());
        let mut receiver = receiver.args("listen 127.0.0.1:0").start();
        let line = receiver.line("listening on ", LOGIN);
        let to = line.rsplit(' ').next().expect("an address");
        let mut sender = Cli::send(&file, to);
        if method == "ibb" {
            sender = sender.args("--method ibb");
        }
        let mut sender = sender.start();
        assert_eq!(text(&sender.event("done", TRANSFER), "via"), via);
        sender.exits(0, LOGIN);
        receiver.exits(0, LOGIN);
        scratch.assert_arrived(&file);
    }
}

#[test]
fn a_program_with_a_client_of_its_own_sends_and_receives() {
    let server = PROSODY.start();
    let example = |user: &str| {
        let account = server.account(user);
        Example::new("existing_client")
            .args(&account.jid)
            .env("PASSWORD", bytestreams_interop::server::SECRET)
            .env("PLAINTEXT", account.address.to_string())
    };
    let scratch = Scratch::default();
    let file = scratch.file("film.mkv", MIB);
    let (mut receiver, to) = example("juliet").path(scratch.inbox()).online();
    let mut sender = example("romeo").path(&file).args(&to).start();
    sender.line("sent 1048576 octets", TRANSFER);
    sender.exits(0, LOGIN);
    receiver.line("received ", TRANSFER);
    scratch.assert_arrived(&file);
}
