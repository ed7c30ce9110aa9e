//! Uploads over a WebSocket: whole runs of both sides, and whatever a stranger says to either.

#[path = "../../crates/stor/tests/world/mod.rs"]
mod world;

use bytes::Bytes;
use bytestreams_machine::Instant;
use bytestreams_sim::Scripted;
use bytestreams_stor::{
    Client, ClientConfig, Credentials, Encoding, Input, Message, Output, Server, ServerConfig,
    ServerEvent, Upload,
};

/// The first octet says which.
pub fn stor(data: &[u8]) {
    let Some((which, data)) = data.split_first() else {
        return;
    };
    match which % 3 {
        0 => whole(data),
        1 => server(data),
        _ => client(data),
    }
}

/// Both sides in the world of the simulation: its laws hold.
fn whole(data: &[u8]) {
    let mut chooser = Scripted::from_octets(data);
    let setup = world::Setup::chosen(&mut chooser);
    if let Err(broken) = world::run(&setup, &mut chooser) {
        panic!("{broken}\n{setup:?}");
    }
}

/// Messages, each behind an octet that says of what kind it is, with 0 or 1 behind each.
fn messages(data: &[u8]) -> impl Iterator<Item = Input> {
    data.split(|&octet| octet <= 1).filter_map(|message| {
        let (kind, rest) = message.split_first()?;
        let octets = Bytes::copy_from_slice(rest);
        Some(match kind {
            b'b' => Input::Message(Message::Binary(octets)),
            b'o' => Input::Oversized,
            b'c' => Input::Closed,
            _ => Input::Message(Message::Text(octets)),
        })
    })
}

/// A stranger's messages to the server: every answer is JSON with a type and a code, what waits is
/// bounded, and what is stored is never more than was declared.
fn server(data: &[u8]) {
    let now = Instant::ZERO;
    let mut config = ServerConfig::default();
    config.login = data.first().is_some_and(|octet| octet % 2 == 1);
    config.limits.waiting = 64;
    config.limits.block = 256.try_into().expect("not zero");
    let most = config.limits.waiting + 256;
    let mut server = Server::new(config, now);
    let (mut stored, mut declared, mut ended) = (0, 0, false);
    for (n, input) in messages(data).enumerate() {
        server.handle_input(input, now);
        assert!(server.waiting() <= most, "{} octets wait", server.waiting());
        // An application that is slow every other time.
        while n % 2 == 0
            && let Some(block) = server.read()
        {
            stored += block.len() as u64;
            assert!(stored <= declared, "{stored} of {declared}");
            server.stored(now);
        }
        while let Some(output) = server.poll_output() {
            match output {
                Output::Send(Message::Text(text)) => {
                    let answer: serde_json::Value =
                        serde_json::from_slice(&text).expect("answers are JSON");
                    assert!(answer["type"].is_string() && answer["code"].is_u64());
                }
                Output::Send(Message::Binary(_)) => panic!("answers are text"),
                Output::Close(_) => {}
                Output::Event(event) => {
                    assert!(!ended, "{event:?} behind the end");
                    match event {
                        ServerEvent::Login(who) => server.log_in(who.password != "no", now),
                        ServerEvent::Request(request) => {
                            declared = request.size;
                            server.accept(now);
                        }
                        ServerEvent::Complete => {
                            assert_eq!(stored, declared);
                            server.complete(&"n".repeat(n), now);
                        }
                        ServerEvent::Ended(_) => ended = true,
                        _ => {}
                    }
                }
            }
        }
    }
}

/// A stranger's answers to the client: it never sends more than the file, nor behind its end.
fn client(data: &[u8]) {
    let now = Instant::ZERO;
    let size = 40;
    let mut upload = Upload::new("a", size);
    let flags = data.first().copied().unwrap_or(0);
    if flags % 2 == 1 {
        upload.encoding = Encoding::Base64;
    }
    if flags % 4 > 1 {
        upload.credentials = Some(Credentials {
            login: "a".into(),
            password: "b".into(),
        });
    }
    let Ok(mut client) = Client::new(upload, ClientConfig::default(), now) else {
        panic!("the parameters are JSON");
    };
    let (mut sent, mut closed) = (0, false);
    for input in messages(data) {
        client.handle_input(input, now);
        while let Some(room) = client.room() {
            let block = vec![7; room.min(16)];
            sent += block.len() as u64;
            assert!(sent <= size, "{sent} octets sent");
            client.write(block.into(), now).expect("room said so");
        }
        while let Some(output) = client.poll_output() {
            assert!(!closed || matches!(output, Output::Event(_)), "{output:?}");
            closed |= matches!(output, Output::Close(_));
        }
    }
}
