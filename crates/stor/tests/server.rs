//! What the server says to whatever a client says.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail anywhere"
)]

use bytestreams_machine::Instant;
use bytestreams_stor::{
    Closing, Code, Encoding, End, Fault, Input, Limits, Malformed, Message, Output, Refusal,
    Server, ServerConfig, ServerEvent,
};
use core::time::Duration;
use serde_json::{Value, json};

const NOW: Instant = Instant::ZERO;

/// A server, and an application that takes everything and stores it in memory.
struct Bench {
    server: Server,
    file: Vec<u8>,
    answers: Vec<Value>,
    closing: Option<Closing>,
    end: Option<End>,
    requests: Vec<bytestreams_stor::Request>,
}

impl Bench {
    fn new(config: ServerConfig) -> Self {
        Self {
            server: Server::new(config, NOW),
            file: Vec::new(),
            answers: Vec::new(),
            closing: None,
            end: None,
            requests: Vec::new(),
        }
    }

    fn drain(&mut self) {
        loop {
            while let Some(block) = self.server.read() {
                self.file.extend_from_slice(&block);
                self.server.stored(NOW);
            }
            let Some(output) = self.server.poll_output() else {
                return;
            };
            match output {
                Output::Send(Message::Text(text)) => {
                    assert!(self.closing.is_none(), "an answer behind the end");
                    self.answers.push(serde_json::from_slice(&text).unwrap());
                }
                Output::Send(Message::Binary(_)) => panic!("answers are text"),
                Output::Close(closing) => assert_eq!(self.closing.replace(closing), None),
                Output::Event(ServerEvent::Login(who)) => {
                    self.server.log_in(who.password == "right", NOW);
                }
                Output::Event(ServerEvent::Request(request)) => {
                    self.requests.push(request);
                    self.server.accept(NOW);
                }
                Output::Event(ServerEvent::Complete) => self.server.complete("the file", NOW),
                Output::Event(ServerEvent::Ended(end)) => {
                    assert_eq!(self.end.replace(end), None);
                }
                Output::Event(other) => panic!("{other:?}"),
            }
        }
    }

    fn text(&mut self, text: &str) -> Value {
        self.say(Input::Message(Message::Text(text.to_owned().into())))
    }

    fn binary(&mut self, octets: &[u8]) -> Value {
        self.say(Input::Message(Message::Binary(octets.to_vec().into())))
    }

    /// Says something that gets exactly one answer.
    fn say(&mut self, input: Input) -> Value {
        let before = self.answers.len();
        self.server.handle_input(input, NOW);
        self.drain();
        assert_eq!(self.answers.len(), before + 1, "{:?}", self.answers);
        self.answers[before].clone()
    }

    #[track_caller]
    fn ended(&self, fault: Fault, kind: &str) {
        let answer = self.answers.last().unwrap();
        assert_eq!(answer["type"], kind, "{answer}");
        assert_eq!(answer["code"], fault.code().as_u16());
        assert_eq!(answer["message"], fault.to_string());
        let closing = if fault == Fault::MessageTooLong {
            Closing::TooBig
        } else {
            Closing::Refused
        };
        assert_eq!(self.closing, Some(closing));
        assert_eq!(self.end, Some(End::Fault(fault)));
        assert_eq!(self.server.poll_timeout(), None);
        assert!(self.server.is_over());
    }
}

fn bench() -> Bench {
    Bench::new(ServerConfig::default())
}

fn config(change: impl FnOnce(&mut ServerConfig)) -> ServerConfig {
    let mut config = ServerConfig::default();
    change(&mut config);
    config
}

fn limited(change: impl FnOnce(&mut Limits)) -> Bench {
    Bench::new(config(|config| change(&mut config.limits)))
}

fn stor(size: u64, encoding: &str) -> String {
    format!(r#"STOR: {{"filename":"a.txt","size":{size},"type":"{encoding}","parameters":[]}}"#)
}

#[test]
fn a_file_of_base64_blocks_is_stored_and_each_answer_counts_its_block() {
    let mut bench = bench();
    assert_eq!(bench.text(&stor(7, "base64"))["type"], "STOR");
    let first = bench.text("VEVT");
    assert_eq!(
        (&first["type"], &first["bytesRead"]),
        (&json!("DATA"), &json!(3))
    );
    let last = bench.text("VElORw==");
    assert_eq!(
        (&last["code"], &last["bytesRead"]),
        (&json!(200), &json!(4))
    );
    assert_eq!(last["bytestreams"]["filename"], "the file");
    assert_eq!(bench.file, b"TESTING");
    assert_eq!((bench.end, bench.closing), (Some(End::Complete), None));
}

#[test]
fn a_file_of_binary_blocks_is_stored() {
    let mut bench = bench();
    let answer = bench.text(&stor(3, "binary"));
    assert_eq!(
        answer["bytestreams"],
        json!({"window": 16, "block": 262_144})
    );
    assert_eq!(bench.binary(b"\xff\x00")["bytesRead"], 2);
    assert_eq!(bench.binary(b"x")["bytesRead"], 1);
    assert_eq!(bench.file, b"\xff\0x");
    assert_eq!(bench.requests[0].encoding, Encoding::Binary);
}

#[test]
fn an_empty_file_is_one_empty_block() {
    for (encoding, text) in [("base64", true), ("binary", false)] {
        let mut bench = bench();
        bench.text(&stor(0, encoding));
        assert_eq!(bench.end, None, "nothing is complete before its block");
        let answer = if text {
            bench.text("")
        } else {
            bench.binary(b"")
        };
        assert_eq!(
            (&answer["code"], &answer["bytesRead"]),
            (&json!(200), &json!(0))
        );
        assert_eq!(bench.end, Some(End::Complete));
    }
}

#[test]
fn a_login_comes_first_where_one_is_needed_and_may_come_elsewhere() {
    for login in [true, false] {
        let mut bench = Bench::new(config(|config| config.login = login));
        let answer = bench.text(r#"AUTH {"login":"a","password":"right"}"#);
        assert_eq!(
            (&answer["type"], &answer["code"]),
            (&json!("AUTH"), &json!(200))
        );
        assert_eq!(bench.text(&stor(1, "base64"))["code"], 200);
    }
    let mut bench = Bench::new(config(|config| config.login = true));
    bench.text(&stor(1, "base64"));
    bench.ended(Fault::Unauthenticated, "STOR");
}

#[test]
fn wrong_and_repeated_logins_end_it() {
    let right = r#"AUTH: {"login":"a","password":"right"}"#;
    let mut first = bench();
    first.text(r#"AUTH: {"login":"a","password":"wrong"}"#);
    first.ended(Fault::WrongLogin, "AUTH");
    let mut second = bench();
    second.text(right);
    second.text(right);
    second.ended(Fault::SecondAuth, "AUTH");
    let mut late = bench();
    late.text(&stor(1, "base64"));
    late.text(right);
    late.ended(Fault::SecondAuth, "AUTH");
    let mut odd = bench();
    odd.text(r#"AUTH: {"login":"a"}"#);
    odd.ended(Fault::Malformed(Malformed::Login), "AUTH");
}

#[test]
fn a_block_before_stor_is_refused() {
    let mut text = bench();
    text.text("VEVT");
    text.ended(Fault::BlockBeforeStor, "DATA");
    let mut binary = bench();
    binary.binary(b"TES");
    binary.ended(Fault::BlockBeforeStor, "DATA");
    let mut empty = bench();
    empty.text("");
    empty.ended(Fault::BlockBeforeStor, "DATA");
}

#[test]
fn a_second_stor_is_refused_at_any_time() {
    for (encoding, size) in [("base64", 3), ("binary", 3), ("base64", 0)] {
        let mut bench = bench();
        bench.text(&stor(size, encoding));
        bench.text(&stor(size, encoding));
        bench.ended(Fault::SecondStor, "STOR");
    }
    let mut done = bench();
    done.text(&stor(3, "base64"));
    done.text("VEVT");
    let answer = done.text(&stor(3, "base64"));
    assert_eq!(
        (&answer["type"], &answer["code"]),
        (&json!("STOR"), &json!(400))
    );
    assert_eq!(done.end, Some(End::Complete), "the first file stays");
    assert_eq!(done.closing, Some(Closing::Refused));
}

#[test]
fn blocks_come_as_declared() {
    let mut base64 = bench();
    base64.text(&stor(3, "base64"));
    base64.binary(b"TES");
    base64.ended(
        Fault::OtherEncoding {
            declared: Encoding::Base64,
        },
        "DATA",
    );
    let mut binary = bench();
    binary.text(&stor(3, "binary"));
    binary.text("VEVT");
    binary.ended(
        Fault::OtherEncoding {
            declared: Encoding::Binary,
        },
        "DATA",
    );
    let mut odd = bench();
    odd.text(&stor(3, "base64"));
    odd.text("VEVT!");
    odd.ended(Fault::Base64, "DATA");
}

#[test]
fn more_and_fewer_octets_than_declared_are_refused_and_not_handed_over() {
    let mut more = bench();
    more.text(&stor(10, "binary"));
    more.binary(b"123456789");
    more.binary(b"123");
    more.ended(Fault::TooMany { declared: 10 }, "DATA");
    assert_eq!(more.file, b"123456789");
    let mut fewer = bench();
    fewer.text(&stor(10, "base64"));
    fewer.text("VEVT");
    fewer.text("");
    fewer.ended(
        Fault::TooFew {
            declared: 10,
            got: 3,
        },
        "DATA",
    );
    let mut none = bench();
    none.text(&stor(0, "binary"));
    none.binary(b"1");
    none.ended(Fault::TooMany { declared: 0 }, "DATA");
    let mut behind = bench();
    behind.text(&stor(1, "binary"));
    behind.binary(b"1");
    let answer = behind.binary(b"2");
    assert_eq!(
        (&answer["type"], &answer["code"]),
        (&json!("DATA"), &json!(422))
    );
    assert_eq!(behind.file, b"1");
}

#[test]
fn files_blocks_and_messages_have_bounds() {
    let mut file = limited(|limits| limits.size = 9);
    file.text(&stor(10, "binary"));
    file.ended(
        Fault::FileTooLarge {
            declared: 10,
            most: 9,
        },
        "STOR",
    );
    for encoding in ["binary", "base64"] {
        let mut block = limited(|limits| limits.block = 6.try_into().unwrap());
        let announced = block.text(&stor(100, encoding));
        assert_eq!(announced["bytestreams"]["block"], 6);
        if encoding == "binary" {
            assert_eq!(block.binary(b"123456")["bytesRead"], 6);
            block.binary(b"1234567");
        } else {
            assert_eq!(block.text("MTIzNDU2")["bytesRead"], 6);
            block.text("MTIzNDU2Nw==");
        }
        block.ended(Fault::BlockTooLarge { most: 6 }, "DATA");
    }
    for verb in ["AUTH", "STOR"] {
        let mut command = limited(|limits| limits.command = 1000);
        command.text(&format!(
            "{verb}: {{\"filename\":\"{}\"}}",
            "a".repeat(1000)
        ));
        command.ended(Fault::MessageTooLong, verb);
    }
    let mut oversized = bench();
    oversized.say(Input::Oversized);
    oversized.ended(Fault::MessageTooLong, "STOR");
    let mut oversized = bench();
    oversized.text(&stor(100, "binary"));
    oversized.say(Input::Oversized);
    oversized.ended(Fault::MessageTooLong, "DATA");
}

#[test]
fn a_message_of_base64_wrapped_as_mail_wraps_it_fits_the_longest_message() {
    let limits = Limits::default();
    let block = limits.block.get() as usize;
    let text = block.div_ceil(3) * 4;
    assert!(limits.message() >= text + 2 * text.div_ceil(76));
}

#[test]
fn what_the_application_refuses_is_told_as_it_says() {
    for (code, number) in [
        (Code::Refused, 403),
        (Code::NameTaken, 409),
        (Code::TooLarge, 413),
        (Code::Storage, 500),
        (Code::Ok, 403),
    ] {
        let mut server = Server::new(ServerConfig::default(), NOW);
        let text = Message::Text(stor(1, "binary").into());
        server.handle_input(Input::Message(text), NOW);
        let asked = server.poll_output();
        assert!(matches!(
            asked,
            Some(Output::Event(ServerEvent::Request(_)))
        ));
        assert!(!server.is_ready());
        let refusal = Refusal::new(code, "no \"more\"");
        server.refuse(refusal.clone());
        let Some(Output::Send(Message::Text(text))) = server.poll_output() else {
            panic!("no answer")
        };
        let answer: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            answer,
            json!({"type": "STOR", "message": "no \"more\"", "code": number})
        );
        assert_eq!(server.poll_output(), Some(Output::Close(Closing::Refused)));
        assert_eq!(
            server.poll_output(),
            Some(Output::Event(ServerEvent::Ended(End::Refused(refusal))))
        );
        server.refuse(Refusal::new(code, "again"));
        server.accept(NOW);
        assert_eq!(server.poll_output(), None);
    }
}

#[test]
fn storage_may_fail_in_the_middle_and_at_the_end() {
    for at_the_end in [false, true] {
        let mut server = Server::new(ServerConfig::default(), NOW);
        feed(&mut server, Message::Text(stor(4, "binary").into()));
        server.accept(NOW);
        let block: &[u8] = if at_the_end { b"1234" } else { b"123" };
        feed(&mut server, Message::Binary(block.to_vec().into()));
        assert!(server.read().is_some());
        if at_the_end {
            server.stored(NOW);
        }
        server.refuse(Refusal::new(Code::Storage, "no space is left"));
        server.stored(NOW);
        server.complete("x", NOW);
        let outputs: Vec<_> = core::iter::from_fn(|| server.poll_output()).collect();
        let answers: Vec<Value> = outputs
            .iter()
            .filter_map(|output| match output {
                Output::Send(Message::Text(text)) => serde_json::from_slice(text).ok(),
                _ => None,
            })
            .collect();
        assert_eq!(answers.len(), 2, "{answers:?}");
        assert_eq!(answers[1]["type"], "DATA");
        assert_eq!(answers[1]["code"], 500);
    }
}

fn feed(server: &mut Server, message: Message) {
    assert!(server.is_ready());
    server.handle_input(Input::Message(message), NOW);
}

#[test]
fn a_block_is_answered_when_it_is_stored_and_the_window_bounds_what_waits() {
    let config = config(|config| {
        config.window = 3.try_into().unwrap();
        config.limits.waiting = 1000;
    });
    let mut server = Server::new(config, NOW);
    feed(&mut server, Message::Text(stor(100, "binary").into()));
    server.accept(NOW);
    while server.poll_output().is_some() {}
    for n in 0..3 {
        feed(&mut server, Message::Binary(vec![n; 2].into()));
    }
    assert!(!server.is_ready());
    assert_eq!(server.poll_output(), None, "nothing is stored");
    assert_eq!(server.poll_timeout(), None, "it is not the client's turn");
    assert_eq!(server.read().as_deref(), Some(&[0, 0][..]));
    assert!(!server.is_ready(), "read is not stored");
    server.stored(NOW);
    assert!(matches!(server.poll_output(), Some(Output::Send(_))));
    assert!(server.is_ready());
    server.stored(NOW);
    assert_eq!(server.poll_output(), None, "the next was not read");
    feed(&mut server, Message::Binary(vec![3; 2].into()));
    server.handle_input(Input::Message(Message::Binary(vec![4; 2].into())), NOW);
    let outputs: Vec<_> = core::iter::from_fn(|| server.poll_output()).collect();
    assert_eq!(
        outputs.last(),
        Some(&Output::Event(ServerEvent::Ended(End::Fault(
            Fault::Impatient
        )))),
        "a driver that does not ask is_ready is bounded all the same"
    );
}

#[test]
fn the_octets_that_wait_are_bounded() {
    let config = config(|config| config.limits.waiting = 1000);
    let mut server = Server::new(config, NOW);
    feed(&mut server, Message::Text(stor(10_000, "binary").into()));
    server.accept(NOW);
    feed(&mut server, Message::Binary(vec![0; 600].into()));
    feed(&mut server, Message::Binary(vec![0; 600].into()));
    assert!(!server.is_ready());
    assert_eq!(server.waiting(), 1200);
}

#[test]
fn silence_ends_it_while_it_is_the_clients_turn() {
    let config = ServerConfig::default();
    let mut server = Server::new(config, NOW);
    assert_eq!(server.poll_timeout(), Some(NOW + config.handshake));
    server.handle_timeout(NOW + Duration::from_secs(29));
    assert_eq!(server.poll_output(), None);
    let mut silent = Server::new(config, NOW);
    silent.handle_timeout(NOW + config.handshake);
    assert_eq!(silent.poll_output(), Some(Output::Close(Closing::TimedOut)));
    assert_eq!(
        silent.poll_output(),
        Some(Output::Event(ServerEvent::Ended(End::TimedOut)))
    );
    assert_eq!(silent.poll_timeout(), None);

    feed(&mut server, Message::Text(stor(2, "binary").into()));
    assert_eq!(server.poll_timeout(), None, "the application decides");
    let later = NOW + Duration::from_secs(500);
    server.accept(later);
    assert_eq!(server.poll_timeout(), Some(later + config.idle));
    feed(&mut server, Message::Binary(vec![1; 2].into()));
    server.read();
    server.stored(later);
    assert_eq!(
        server.poll_timeout(),
        None,
        "the application puts it in place"
    );
    server.complete("x", later);
    assert_eq!(server.poll_timeout(), Some(later + config.farewell));
    while server.poll_output().is_some() {}
    server.handle_timeout(later + config.farewell);
    assert_eq!(server.poll_output(), Some(Output::Close(Closing::Normal)));
    assert_eq!(server.poll_output(), None);
}

#[test]
fn a_client_that_leaves_ends_it_unless_all_has_come() {
    let left = Some(Output::Event(ServerEvent::Ended(End::Left)));
    let mut open = Server::new(ServerConfig::default(), NOW);
    open.handle_input(Input::Closed, NOW);
    assert_eq!(open.poll_output(), left);

    let mut server = Server::new(ServerConfig::default(), NOW);
    feed(&mut server, Message::Text(stor(2, "binary").into()));
    server.accept(NOW);
    feed(&mut server, Message::Binary(vec![1].into()));
    while server.poll_output().is_some() {}
    server.handle_input(Input::Closed, NOW);
    assert_eq!(server.poll_output(), left);
    assert_eq!(server.read(), None);

    let mut server = Server::new(ServerConfig::default(), NOW);
    feed(&mut server, Message::Text(stor(1, "binary").into()));
    server.accept(NOW);
    feed(&mut server, Message::Binary(vec![1].into()));
    server.read();
    server.stored(NOW);
    server.handle_input(Input::Closed, NOW);
    server.complete("x", NOW);
    let last = core::iter::from_fn(|| server.poll_output()).last();
    assert_eq!(last, Some(Output::Event(ServerEvent::Ended(End::Complete))));
}

#[test]
fn a_server_that_stops_says_so() {
    let mut server = Server::new(ServerConfig::default(), NOW);
    server.stop();
    assert_eq!(
        server.poll_output(),
        Some(Output::Close(Closing::GoingAway))
    );
    assert_eq!(
        server.poll_output(),
        Some(Output::Event(ServerEvent::Ended(End::Stopped)))
    );
    server.stop();
    assert_eq!(server.poll_output(), None);
}

#[test]
fn messages_while_the_application_decides_end_it() {
    let mut server = Server::new(ServerConfig::default(), NOW);
    feed(&mut server, Message::Text(stor(2, "binary").into()));
    server.handle_input(Input::Message(Message::Binary(vec![1].into())), NOW);
    let last = core::iter::from_fn(|| server.poll_output()).last();
    assert_eq!(
        last,
        Some(Output::Event(ServerEvent::Ended(End::Fault(
            Fault::Impatient
        ))))
    );
}
