//! SOCKS5 handshakes that must not succeed.

use std::io::{Read, Write};
use std::net::SocketAddr;

use crate::socks::{GREETING, connect_request, dial, read_to_end};

/// Sends octets and gives all that comes before the hang-up.
fn said(address: SocketAddr, octets: &[u8]) -> Vec<u8> {
    let mut socket = dial(address);
    // It may have hung up before all is written.
    socket.write_all(octets).ok();
    read_to_end(&socket)
}

/// Demands that whoever listens there refuses each kind of bad handshake and hangs up.
pub fn bad_handshakes_are_refused(address: SocketAddr) {
    let too_many: Vec<u8> = [5, 255].into_iter().chain(1..=255).collect();
    let greetings: [&[u8]; 5] = [
        &[4, 1, 0],
        b"GET / HTTP/1.1\r\n\r\n",
        &[5, 0],
        &[5, 1, 2],
        &too_many,
    ];
    for greeting in greetings {
        let answer = said(address, greeting);
        assert!(
            answer.is_empty() || answer == [5, 0xff],
            "{greeting:?} was answered {answer:?}"
        );
    }
    let hash = "0".repeat(40);
    let upper = format!("{}ABCDEF", "0".repeat(34));
    let names: [&[u8]; 7] = [
        b"",
        &hash.as_bytes()[..39],
        upper.as_bytes(),
        b"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        b"00000000000000000000000000000000000000\0\n",
        b"localhost",
        &[b'0'; 255],
    ];
    let mut requests: Vec<Vec<u8>> = names.map(connect_request).into();
    // IPv4, IPv6, an unknown type; BIND, UDP ASSOCIATE; another version; oversized.
    requests.push(vec![5, 1, 0, 1, 127, 0, 0, 1, 0, 80]);
    requests.push([&[5, 1, 0, 4][..], &[0; 16], &[0, 80]].concat());
    requests.push([&[5, 1, 0, 9, 40], hash.as_bytes(), &[0, 0]].concat());
    for command in [2, 3, 0] {
        requests.push([&[5, command, 0, 3, 40], hash.as_bytes(), &[0, 0]].concat());
    }
    requests.push([&[4, 1, 0, 3, 40], hash.as_bytes(), &[0, 0]].concat());
    requests.push(vec![0xff; 100_000]);
    for request in &requests {
        let mut socket = dial(address);
        socket.write_all(&GREETING).expect("written");
        let mut method = [0; 2];
        socket.read_exact(&mut method).expect("a method");
        assert_eq!(method, [5, 0]);
        socket.write_all(request).ok();
        let answer = read_to_end(&socket);
        let shown = &request[..request.len().min(60)];
        assert!(
            answer.is_empty() || (answer[0] == 5 && answer[1] != 0),
            "{shown:?} was answered {answer:?}"
        );
    }
}
