//! What the client says, and what it makes of what servers say.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail anywhere"
)]

use bytes::Bytes;
use bytestreams_machine::Instant;
use bytestreams_stor::{
    Client, ClientConfig, ClientEvent, Closing, Credentials, Encoding, Input, InvalidUpload,
    Message, Output, Reason, Upload, WriteError,
};
use core::time::Duration;

const NOW: Instant = Instant::ZERO;
const ACCEPTED: &str =
    r#"{"type":"STOR","message":"Upload initialized. Wait for data","code":200}"#;
const OURS: &str = r#"{"type":"STOR","code":200,"bytestreams":{"window":3,"block":4}}"#;

fn client(upload: Upload, config: ClientConfig) -> Client {
    Client::new(upload, config, NOW).unwrap()
}

fn hear(client: &mut Client, text: &str) {
    let message = Message::Text(Bytes::from(text.to_owned()));
    client.handle_input(Input::Message(message), NOW);
}

#[track_caller]
fn said(client: &mut Client) -> String {
    match client.poll_output() {
        Some(Output::Send(Message::Text(text))) => String::from_utf8(text.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn event(client: &mut Client) -> Option<ClientEvent> {
    match client.poll_output()? {
        Output::Event(event) => Some(event),
        other @ (Output::Send(_) | Output::Close(_)) => panic!("{other:?}"),
    }
}

/// A client whose request an odd server has accepted.
fn accepted(size: u64, answer: &str) -> Client {
    let mut client = client(Upload::new("a", size), ClientConfig::default());
    said(&mut client);
    hear(&mut client, answer);
    assert!(matches!(
        event(&mut client),
        Some(ClientEvent::Accepted { .. })
    ));
    client
}

#[track_caller]
fn failed(client: &mut Client, reason: Reason) {
    assert_eq!(event(client), Some(ClientEvent::Failed(reason)));
    assert!(matches!(client.poll_output(), Some(Output::Close(_))));
    assert_eq!(client.poll_output(), None);
    assert_eq!((client.room(), client.poll_timeout()), (None, None));
}

#[test]
fn it_says_what_the_browser_class_says() {
    let mut upload = Upload::new("a \"b\".txt", 3);
    upload.encoding = Encoding::Base64;
    upload.credentials = Some(Credentials {
        login: "romeo".into(),
        password: "secret".into(),
    });
    let mut client = client(upload, ClientConfig::default());
    assert_eq!(
        said(&mut client),
        r#"AUTH: {"login":"romeo","password":"secret"}"#
    );
    hear(&mut client, r#"{"type":"AUTH","code":200}"#);
    assert_eq!(
        said(&mut client),
        r#"STOR: {"filename":"a \"b\".txt","size":3,"type":"base64","parameters":[]}"#
    );
    hear(&mut client, ACCEPTED);
    assert!(matches!(
        event(&mut client),
        Some(ClientEvent::Accepted { .. })
    ));
    assert_eq!(client.room(), Some(3));
    client.write(Bytes::from_static(b"\0\xffz"), NOW).unwrap();
    assert_eq!(said(&mut client), "AP96");
    hear(&mut client, r#"{"type":"DATA","code":200,"bytesRead":3}"#);
    assert_eq!(event(&mut client), Some(ClientEvent::Stored(3)));
    assert_eq!(event(&mut client), Some(ClientEvent::Done { name: None }));
    assert_eq!(client.poll_output(), Some(Output::Close(Closing::Normal)));
}

#[test]
fn an_empty_file_is_one_empty_block() {
    let mut client = accepted(0, OURS);
    assert_eq!(client.room(), Some(0));
    client.write(Bytes::new(), NOW).unwrap();
    assert_eq!(client.room(), None);
    assert_eq!(
        client.poll_output(),
        Some(Output::Send(Message::Binary(Bytes::new())))
    );
    hear(
        &mut client,
        r#"{"type":"DATA","code":200,"bytesRead":0,"bytestreams":{"filename":"a (1)"}}"#,
    );
    assert_eq!(event(&mut client), Some(ClientEvent::Stored(0)));
    let name = Some("a (1)".to_owned());
    assert_eq!(event(&mut client), Some(ClientEvent::Done { name }));
}

#[test]
fn others_get_one_block_at_a_time_whatever_is_wanted() {
    let mut config = ClientConfig::default();
    config.window = 50.try_into().ok();
    config.block = 2.try_into().ok();
    let mut client = client(Upload::new("a", 5), config);
    said(&mut client);
    hear(&mut client, ACCEPTED);
    for block in [&b"ab"[..], b"cd", b"e"] {
        assert_eq!(client.room(), Some(block.len()));
        client.write(block.into(), NOW).unwrap();
        assert_eq!(client.room(), None);
        assert_eq!(client.write(block.into(), NOW), Err(WriteError::NotNow));
        hear(&mut client, r#"{"type":"DATA","code":200}"#);
    }
    let outputs: Vec<_> = core::iter::from_fn(|| client.poll_output()).collect();
    assert!(outputs.contains(&Output::Event(ClientEvent::Done { name: None })));
}

#[test]
fn a_server_of_ours_gets_its_window_and_its_blocks() {
    let mut client = accepted(100, OURS);
    for _ in 0..3 {
        assert_eq!(client.room(), Some(4));
        client.write(b"abcd"[..].into(), NOW).unwrap();
    }
    assert_eq!((client.room(), client.unanswered()), (None, 3));
    hear(&mut client, r#"{"type":"DATA","code":200,"bytesRead":4}"#);
    assert_eq!((client.room(), client.unanswered()), (Some(4), 2));
    assert_eq!(
        client.write(b"abcde"[..].into(), NOW),
        Err(WriteError::Length { room: 4 })
    );
    assert_eq!(
        client.write(Bytes::new(), NOW),
        Err(WriteError::Length { room: 4 })
    );
    let mut config = ClientConfig::default();
    config.window = 2.try_into().ok();
    config.block = 3.try_into().ok();
    let mut small = self::client(Upload::new("a", 100), config);
    hear(&mut small, OURS);
    for _ in 0..2 {
        assert_eq!(small.room(), Some(3));
        small.write(b"abc"[..].into(), NOW).unwrap();
    }
    assert_eq!(small.room(), None);
}

#[test]
fn refusals_are_told_with_code_and_message() {
    let refused = r#"{"type":"STOR","message":"too large","code":413}"#;
    let reason = Reason::Refused {
        code: 413,
        message: "too large".into(),
    };
    let mut asking = client(Upload::new("a", 1), ClientConfig::default());
    said(&mut asking);
    hear(&mut asking, refused);
    failed(&mut asking, reason.clone());
    let mut sending = accepted(1, OURS);
    hear(&mut sending, refused);
    failed(&mut sending, reason);
    let mut bare = accepted(1, OURS);
    hear(&mut bare, r#"{"type":"DATA","code":-1}"#);
    let (code, message) = (-1, String::new());
    failed(&mut bare, Reason::Refused { code, message });
}

#[test]
fn nonsense_ends_it() {
    for (nonsense, reason) in [
        ("", Reason::NoAnswer),
        ("hello", Reason::NoAnswer),
        (ACCEPTED, Reason::OutOfTurn),
        (r#"{"type":"AUTH","code":200}"#, Reason::OutOfTurn),
        (
            r#"{"type":"DATA","code":200,"bytesRead":1}"#,
            Reason::OutOfTurn,
        ),
    ] {
        let mut client = accepted(3, OURS);
        hear(&mut client, nonsense);
        failed(&mut client, reason);
    }
    let mut client = accepted(3, OURS);
    client.write(b"abc"[..].into(), NOW).unwrap();
    client.poll_output();
    hear(&mut client, r#"{"type":"DATA","code":200,"bytesRead":4}"#);
    failed(&mut client, Reason::Miscounted { sent: 3, read: 4 });
    for input in [
        Input::Message(Message::Binary(Bytes::new())),
        Input::Oversized,
    ] {
        let mut client = accepted(3, OURS);
        client.handle_input(input, NOW);
        failed(&mut client, Reason::NoAnswer);
    }
    let mut closed = accepted(3, OURS);
    closed.handle_input(Input::Closed, NOW);
    failed(&mut closed, Reason::Closed);
    closed.handle_input(Input::Closed, NOW);
    assert_eq!(closed.poll_output(), None);
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let config = ClientConfig::default();
    let late = NOW + config.patience;
    let mut asking = client(Upload::new("a", 1), config);
    said(&mut asking);
    asking.handle_timeout(NOW + Duration::from_secs(119));
    assert_eq!(asking.poll_output(), None);
    asking.handle_timeout(late);
    failed(&mut asking, Reason::TimedOut);
    let mut sending = accepted(1, OURS);
    assert_eq!(sending.poll_timeout(), None, "it is the application's turn");
    sending.write(b"a"[..].into(), NOW).unwrap();
    sending.poll_output();
    assert_eq!(sending.poll_timeout(), Some(late));
    sending.handle_timeout(late);
    failed(&mut sending, Reason::TimedOut);
}

#[test]
fn an_application_may_stop_and_must_give_json() {
    let mut client = accepted(1, OURS);
    client.stop();
    failed(&mut client, Reason::Stopped);
    client.stop();
    assert_eq!(client.poll_output(), None);
    let mut upload = Upload::new("a", 1);
    upload.parameters = "[],\"size\":3".into();
    let made = Client::new(upload, ClientConfig::default(), NOW);
    assert_eq!(made.err(), Some(InvalidUpload));
}
