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
    end: Option<Result<Vec<u8>, HandshakeError>>,
}

fn run(pieces: &[&[u8]]) -> Outcome {
    let mut client = Client::new(DstAddr::parse(HASH.as_bytes()).expect("a hash"));
    let mut outcome = Outcome {
        sent: Vec::from([hex(&client.greeting())]),
        end: None,
    };
    for piece in pieces {
        let mut input = *piece;
        if let Some(Ok(early)) = &mut outcome.end {
            early.extend_from_slice(input);
            continue;
        }
        loop {
            match client.handle(&mut input) {
                ClientStep::More => {
                    assert!(input.is_empty());
                    break;
                }
                ClientStep::Send(octets) => outcome.sent.push(hex(&octets)),
                ClientStep::Connected => {
                    outcome.end = Some(Ok(input.to_vec()));
                    break;
                }
                ClientStep::Failed(error) => {
                    outcome.end = Some(Err(error));
                    break;
                }
            }
        }
    }
    outcome
}

fn end(input: &str) -> Option<Result<Vec<u8>, HandshakeError>> {
    run(&[&octets(input)]).end
}

/// A whole answer of a server: the method, and this reply.
fn reply(rest: &str) -> String {
    std::format!("0500{rest}")
}

fn hash_in_hex() -> String {
    hex(HASH.as_bytes())
}

#[test]
fn the_request_has_47_octets_and_waits_for_the_method() {
    assert_eq!(run(&[]).sent, ["050100"]);
    assert_eq!(run(&[&[5]]).sent, ["050100"]);
    let request = std::format!("0501000328{}0000", hash_in_hex());
    assert_eq!(request.len(), 2 * 47);
    assert_eq!(run(&[&[5, 0]]).sent, ["050100", &request]);
}

#[test]
fn any_bound_address_is_taken() {
    for address in [
        std::format!("0328{}0000", hash_in_hex()),
        // RFC 1928 style
        "01000000000000".into(),
        "017f0000010438".into(),
        "04000000000000000000000000000000000000".into(),
        // its address as text; nothing
        "030b3139322e3136382e302e311388".into(),
        "03000000".into(),
        "030e7777772e676f6f676c652e636f6d0050".into(),
    ] {
        assert_eq!(
            end(&reply(&std::format!("050000{address}"))),
            Some(Ok(Vec::new())),
            "{address}"
        );
        let short = reply(&std::format!("050000{}", &address[..address.len() - 2]));
        assert_eq!(end(&short), None, "{short}");
    }
}

#[test]
fn octets_behind_the_reply_are_the_streams() {
    let input = octets(&reply("050000030e7777772e676f6f676c652e636f6d0050001122"));
    for pieces in cuttings(&input) {
        assert_eq!(
            run(&pieces).end,
            Some(Ok(Vec::from([0, 0x11, 0x22]))),
            "{pieces:?}"
        );
    }
}

#[test]
fn refusals_count_as_soon_as_they_are_told() {
    use HandshakeError as E;
    for (input, error) in [
        ("05ff", E::NoAcceptableMethod),
        ("0502", E::Method(2)),
        ("04", E::Version(4)),
        ("48", E::Version(b'H')),
        ("05000501", E::Refused(1)),
        ("0500 04", E::Version(4)),
        ("0500 05000002", E::AddressType(2)),
        ("0500 050000ff", E::AddressType(255)),
    ] {
        assert_eq!(end(input), Some(Err(error)), "{input}");
        let octets = octets(input);
        assert_eq!(run(&[&octets[..octets.len() - 1]]).end, None, "{input}");
    }
}

#[test]
fn a_refusal_is_one_with_and_without_the_rest_of_its_reply() {
    for rest in ["", "00", "0003000000", "00010000000000000000"] {
        let input = reply(&std::format!("0502{rest}"));
        assert_eq!(
            end(&input),
            Some(Err(HandshakeError::Refused(2))),
            "{input}"
        );
    }
}

#[test]
fn a_truncated_success_is_none() {
    for input in ["05", "0500", "050005", "05000500", "0500050000"] {
        assert_eq!(end(input), None, "{input}");
    }
}

#[test]
fn no_cutting_makes_a_difference() {
    for input in [
        reply(&std::format!("0500000328{}0000aabbcc", hash_in_hex())),
        reply("05000001000000000000ff"),
        reply("050000040000000000000000000000000000000000000102"),
        reply("050100"),
        reply("05000009"),
        "05ff0000".into(),
        "474554202f".into(),
    ] {
        let input = octets(&input);
        let whole = run(&[&input]);
        for pieces in cuttings(&input) {
            assert_eq!(run(&pieces), whole, "{pieces:?}");
        }
    }
}

#[test]
fn only_the_octets_that_mean_success_lead_there() {
    let right = octets(&reply("05000001000000000000"));
    for place in 0..right.len() {
        for octet in 0..=255 {
            let mut input = right.clone();
            input[place] = octet;
            let connected = matches!(run(&[&input]).end, Some(Ok(_)));
            // The reserved octet and the address may be anything; a shorter type of address leaves
            // a rest, a longer one wants more.
            let may = match place {
                4 => true,
                5 => octet == 1 || octet == 3,
                6.. => true,
                _ => octet == right[place],
            };
            assert_eq!(connected, may, "{octet} at {place}");
        }
    }
}

#[test]
fn a_client_is_small() {
    assert!(size_of::<Client>() <= 48, "{}", size_of::<Client>());
}
