#![allow(clippy::std_instead_of_alloc, reason = "tests run where std is")]

use super::*;
use crate::hand::{cuttings, hex, octets};
use std::string::String;
use std::vec::Vec;

const HASH: &str = "972b7bf47291ca609517f67f86b5081086052dad";

/// What became of an input: what was sent, in its writes, and what came out of it.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    sent: Vec<String>,
    end: Option<Result<(DstAddr, Vec<u8>), HandshakeError>>,
}

fn run(pieces: &[&[u8]]) -> Outcome {
    let mut server = Server::new();
    let mut outcome = Outcome {
        sent: Vec::new(),
        end: None,
    };
    for piece in pieces {
        let mut input = *piece;
        match &mut outcome.end {
            Some(Ok((_, early))) => {
                early.extend_from_slice(input);
                continue;
            }
            Some(Err(_)) => continue,
            None => {}
        }
        loop {
            match server.handle(&mut input) {
                ServerStep::More => {
                    assert!(input.is_empty());
                    break;
                }
                ServerStep::Send(octets) => outcome.sent.push(hex(&octets)),
                ServerStep::Requested(addr) => {
                    outcome.sent.push(hex(&server.accept()));
                    outcome.end = Some(Ok((addr, input.to_vec())));
                    break;
                }
                ServerStep::Failed { reply, error } => {
                    outcome.sent.push(hex(&reply));
                    outcome.end = Some(Err(error));
                    break;
                }
            }
        }
    }
    outcome
}

fn request(head: &str, port: &str) -> String {
    std::format!("{head}{}{port}", hex(HASH.as_bytes()))
}

fn addr() -> DstAddr {
    DstAddr::parse(HASH.as_bytes()).expect("a hash")
}

/// What is sent, and the error.
fn refused(input: &str) -> (Vec<String>, HandshakeError) {
    let outcome = run(&[&octets(input)]);
    match outcome.end {
        Some(Err(error)) => (outcome.sent, error),
        other => panic!("{input}: {other:?}"),
    }
}

#[test]
fn address_and_port_are_echoed_in_one_write() {
    let input = std::format!("050100{}", request("0501000328", "0000"));
    let outcome = run(&[&octets(&input)]);
    let accepted = request("0500000328", "0000");
    assert_eq!(outcome.sent, ["0500", &accepted]);
    assert_eq!(outcome.end, Some(Ok((addr(), Vec::new()))));
    let input = std::format!("05020001{}", request("0501000328", "0050"));
    let outcome = run(&[&octets(&input)]);
    assert_eq!(outcome.sent[1], request("0500000328", "0050"));
}

#[test]
fn a_refusal_echoes_too() {
    let mut server = Server::new();
    let input = octets(&std::format!("050100{}", request("0501000328", "0000")));
    let mut input = &input[..];
    assert!(matches!(server.handle(&mut input), ServerStep::Send(_)));
    assert_eq!(server.handle(&mut input), ServerStep::Requested(addr()));
    assert_eq!(hex(&server.refuse()), request("0502000328", "0000"));
}

#[test]
fn no_cutting_makes_a_difference_not_even_none() {
    for input in [
        std::format!("050100{}", request("0501000328", "0000")),
        std::format!("05020001{}aabbcc", request("0501000328", "1234")),
        std::format!("050100{}", request("0501000327", "0000")),
        "050100050200".into(),
        "0503010203 0501".into(),
        "0500 0501".into(),
        "16030100".into(),
    ] {
        let input = octets(&input);
        let whole = run(&[&input]);
        for pieces in cuttings(&input) {
            assert_eq!(run(&pieces), whole, "{pieces:?}");
        }
    }
}

#[test]
fn up_to_255_methods_are_read() {
    for count in 1..=255u8 {
        for place in [0, count - 1, count / 2] {
            let mut input = Vec::from([5, count]);
            input.extend((0..count).map(|at| if at == place { 0 } else { 2 }));
            input.extend(octets(&request("0501000328", "0000")));
            assert_eq!(
                run(&[&input]).end,
                Some(Ok((addr(), Vec::new()))),
                "{count}"
            );
        }
        let mut input = Vec::from([5, count]);
        input.extend((0..count).map(|_| 1));
        let outcome = run(&[&input]);
        assert_eq!(outcome.sent, ["05ff"]);
        assert_eq!(outcome.end, Some(Err(HandshakeError::NoAcceptableMethod)));
    }
}

#[test]
fn a_greeting_that_cannot_be_met_is_answered_with_no_method() {
    use HandshakeError as E;
    for (input, error) in [
        ("060100", E::Version(6)),
        ("04", E::Version(4)),
        ("0500", E::NoAcceptableMethod),
        ("050101", E::NoAcceptableMethod),
    ] {
        assert_eq!(
            refused(input),
            (Vec::from(["05ff".into()]), error),
            "{input}"
        );
    }
}

#[test]
fn a_request_that_cannot_be_met_is_not_allowed() {
    use HandshakeError as E;
    let upper = hex(HASH.to_ascii_uppercase().as_bytes());
    let other = std::format!("0501000328{}", hex(&[b'g'; 40]));
    for (input, error) in [
        ("04", E::Version(4)),
        ("0502", E::Command(2)),
        ("0503", E::Command(3)),
        ("05010001", E::AddressType(1)),
        ("05010004", E::AddressType(4)),
        ("0501000300", E::Address),
        ("0501000327", E::Address),
        ("0501000329", E::Address),
        ("05010003ff", E::Address),
        (&std::format!("0501000328{upper}"), E::Address),
        (&other, E::Address),
    ] {
        let (sent, got) = refused(&std::format!("050100{input}"));
        assert_eq!(got, error, "{input}");
        assert_eq!(sent, ["0500", "05020003000000"], "{input}");
    }
}

#[test]
fn only_the_octets_of_a_request_are_one() {
    let right = octets(&std::format!("050100{}", request("0501000328", "0000")));
    for place in 0..right.len() {
        for octet in 0..=255 {
            let mut input = right.clone();
            input[place] = octet;
            let requested = matches!(run(&[&input]).end, Some(Ok(_)));
            let may = match place {
                // The reserved octet, and the port.
                5 | 48.. => true,
                8..48 => is_digit(&octet),
                _ => octet == right[place],
            };
            assert_eq!(requested, may, "{octet} at {place}");
        }
    }
}

#[test]
fn a_server_is_small() {
    assert!(size_of::<Server>() <= 96, "{}", size_of::<Server>());
}
