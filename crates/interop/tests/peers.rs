//! Other people's clients at the other end.

use std::path::Path;

use bytestreams_interop::exchange::{number, online, sent, text};
use bytestreams_interop::files::assert_identical;
use bytestreams_interop::peers::{Task, Way, qxmpp, slixmpp};
use bytestreams_interop::{Cli, EJABBERD, LOGIN, PROSODY, Scratch, Setup, TRANSFER};

const SIZE: u64 = 200_001;

fn slixmpp_to_us(setup: Setup, block_size: u16) {
    let server = setup.start();
    let scratch = Scratch::default();
    let file = scratch.file("file", SIZE);
    let receiver = Cli::receive(scratch.inbox()).account(&server.account("juliet"));
    let (mut receiver, to) = online(receiver.args("--once --allow-unannounced"));
    let mut sender = slixmpp(&server.account("romeo"), Task::Send(&file, &to, block_size));
    let sid = text(&sender.event("done", TRANSFER), "sid");
    let got = receiver.event("done", TRANSFER);
    receiver.exits(0, LOGIN);
    assert_eq!(text(&got, "sid"), sid);
    assert_eq!(number(&got, "bytes"), SIZE);
    assert_identical(&file, Path::new(&text(&got, "path")));
    assert_identical(&file, &scratch.inbox().join(&sid));
}

fn us_to_slixmpp(setup: Setup, options: &str) {
    let server = setup.start();
    let scratch = Scratch::default();
    let file = scratch.file("file", SIZE);
    let mut receiver = slixmpp(&server.account("juliet"), Task::Receive(scratch.inbox()));
    let to = text(&receiver.event("online", LOGIN), "jid");
    sent(
        Cli::send(&file, &to)
            .account(&server.account("romeo"))
            .args("--no-si --method ibb")
            .args(options),
    );
    let got = receiver.event("done", TRANSFER);
    assert_identical(&file, Path::new(&text(&got, "path")));
    receiver.exits(0, LOGIN);
}

#[test]
fn slixmpp_opens_a_bare_stream_to_us_through_prosody() {
    slixmpp_to_us(PROSODY, 4096);
}

#[test]
fn slixmpp_opens_a_bare_stream_to_us_through_ejabberd_over_tls() {
    slixmpp_to_us(EJABBERD.tls(), 8192);
}

#[test]
fn we_open_a_bare_stream_to_slixmpp_through_prosody_over_tls() {
    us_to_slixmpp(PROSODY.tls(), "");
}

#[test]
fn we_open_a_bare_stream_to_slixmpp_through_ejabberd() {
    us_to_slixmpp(EJABBERD, "");
}

#[test]
fn slixmpp_refuses_a_block_size_and_takes_a_smaller_one() {
    us_to_slixmpp(PROSODY, "--block-size 65535");
}

#[test]
fn a_bare_stream_is_refused_where_it_was_not_allowed() {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let file = scratch.file("file", 1_000);
    let (_receiver, to) = online(Cli::receive(scratch.inbox()).account(&server.account("juliet")));
    let mut sender = slixmpp(&server.account("romeo"), Task::Send(&file, &to, 4096));
    let failed = sender.event("failed", TRANSFER);
    assert!(
        text(&failed, "reason").contains("not-acceptable"),
        "{failed}"
    );
    scratch.assert_nothing_arrived();
}

#[test]
fn qxmpp_offers_us_a_file() {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let file = scratch.file("photo.jpg", SIZE);
    let (mut receiver, to) = online(
        Cli::receive(scratch.inbox())
            .account(&server.account("juliet"))
            .args("--once"),
    );
    let mut sender = qxmpp(
        &server.account("romeo"),
        Task::Send(&file, &to, 4096),
        Way::InBand,
    );
    sender.event("done", TRANSFER);
    sender.exits(0, LOGIN);
    let got = receiver.event("done", TRANSFER);
    receiver.exits(0, LOGIN);
    assert_eq!(
        (text(&got, "name"), text(&got, "method")),
        ("photo.jpg".into(), "ibb".into())
    );
    scratch.assert_arrived(&file);
}

#[test]
fn we_offer_qxmpp_a_file() {
    let server = PROSODY.start();
    let scratch = Scratch::default();
    let file = scratch.file("photo.jpg", SIZE);
    let mut receiver = qxmpp(
        &server.account("juliet"),
        Task::Receive(scratch.inbox()),
        Way::InBand,
    );
    let to = text(&receiver.event("online", LOGIN), "jid");
    let done = sent(
        Cli::send(&file, &to)
            .account(&server.account("romeo"))
            .args("--method ibb"),
    );
    assert_eq!(text(&done, "method"), "ibb");
    receiver.event("done", TRANSFER);
    receiver.exits(0, LOGIN);
    scratch.assert_arrived(&file);
}
