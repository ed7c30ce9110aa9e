//! A bytestream for something other than files: lines in, lines out, over an in-band bytestream
//! (XEP-0047) that is used in both directions. On one terminal, then on another:
//!
//! ```sh
//! cargo run -p bytestreams-examples --example line_echo -- listen 127.0.0.1:5299
//! cargo run -p bytestreams-examples --example line_echo -- connect 127.0.0.1:5299
//! ```

use bytestreams_blocking::{Bytestream, Config, Endpoint, Options, serverless};
use bytestreams_stanza::Range;
use core::error::Error;
use std::io::{self, BufRead, Read, Write};

fn main() -> Result<(), Box<dyn Error>> {
    let setup = serverless::Setup::default();
    // A stream without an offer: nobody is told a name or a size.
    let mut config = Config::default();
    config.allow_unannounced = true;
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["listen", addr] => {
            let listener = serverless::Listener::bind(addr)?;
            println!("listening on {}", listener.local_addr()?);
            let link = listener.accept(&setup)?;
            let (_endpoint, offers) = Endpoint::spawn(link, config)?;
            // One after the other; a thread each would serve them at once.
            for offer in offers {
                let stream = offer.accept(Range::default())?.into_stream()?;
                serve(stream)?;
            }
        }
        ["connect", addr] => {
            let link = serverless::connect(*addr, &setup)?;
            let peer = link.peer().clone();
            let (endpoint, _offers) = Endpoint::spawn(link, config)?;
            let stream = endpoint.open(peer, Options::default()).into_stream()?;
            ask(stream)?;
        }
        _ => return Err("listen ADDR, or connect ADDR".into()),
    }
    Ok(())
}

/// Answers each line.
fn serve(mut stream: Bytestream) -> Result<(), Box<dyn Error>> {
    while let Some(line) = line(&mut stream)? {
        let answer = match line.split_once(' ').unwrap_or((&line, "")) {
            ("echo", words) => words.to_owned(),
            ("reverse", words) => words.chars().rev().collect(),
            (command, _) => format!("{command}: not found; try echo or reverse"),
        };
        stream.write_all(answer.as_bytes())?;
        stream.write_all(b"\n")?;
    }
    // The other side has said all; this says that we have too.
    stream.close()?;
    Ok(())
}

/// Sends each line of the input, and prints the answer.
fn ask(mut stream: Bytestream) -> Result<(), Box<dyn Error>> {
    for words in io::stdin().lock().lines() {
        stream.write_all(words?.as_bytes())?;
        stream.write_all(b"\n")?;
        println!("{}", line(&mut stream)?.ok_or("the other side is gone")?);
    }
    stream.close()?;
    Ok(())
}

/// Reads a line, without what follows it; `None` at the end.
fn line(stream: &mut Bytestream) -> Result<Option<String>, Box<dyn Error>> {
    let mut line = Vec::new();
    let mut octet = [0];
    loop {
        match stream.read(&mut octet)? {
            0 if line.is_empty() => return Ok(None),
            0 => break,
            _ if octet == *b"\n" => break,
            _ => line.extend(octet),
        }
    }
    Ok(Some(String::from_utf8(line)?))
}
