//! An adapter for another async runtime, smol, whole: it sends a file in band to whoever listens.
//!
//! ```sh
//! cargo run -p bytestreams-examples --example threads -- receive . listen 127.0.0.1:5298
//! cargo run -p bytestreams-examples --example smol -- README.md 127.0.0.1:5298
//! ```

use bytes::Bytes;
use bytestreams_machine::{Entropy, Input, Instant, Machine, Output, Own};
use bytestreams_stanza::door::QuickXml;
use bytestreams_stanza::{File, Frame, Framer, Jid, Limits, Opening, OutBuf, XmlWriter, ns};
use bytestreams_transfer::{Config, Event, Options, Transfers};
use core::{error::Error, future::pending};
use smol::future::or;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;

type Outcome<T> = Result<T, Box<dyn Error>>;
type Xml = Framer<QuickXml>;

/// Waits for a frame. Dropped while it waits, it has taken nothing.
async fn frame(from: &mut TcpStream, xml: &mut Xml, octets: &mut Vec<u8>) -> Outcome<Frame> {
    loop {
        let mut left = &octets[..];
        let frame = xml.next(&mut left);
        octets.drain(..octets.len() - left.len());
        if let Some(frame) = frame {
            return Ok(frame?);
        }
        let mut piece = vec![0; 16 * 1024];
        match from.read(&mut piece).await? {
            0 => return Err("the other side hung up".into()),
            read => octets.extend(&piece[..read]),
        }
    }
}

async fn send(path: &std::path::Path, addr: &str) -> Outcome<()> {
    let name = path.file_name().and_then(|name| name.to_str());
    let mut content = Bytes::from(std::fs::read(path)?);
    let mut socket = TcpStream::connect(addr).await?;
    let mut from = socket.clone();
    let jid = Jid::new("smol@serverless/example")?;
    let (mut framer, mut octets) = (Xml::new(QuickXml::default(), Limits::DEFAULT), Vec::new());
    let mut opening = Opening::serverless(&jid, None);
    socket.write_all(opening.output().as_slice()).await?;
    let peer = loop {
        let frame = frame(&mut from, &mut framer, &mut octets).await?;
        if let Some(opened) = opening.handle(frame)? {
            break opened.header.and_then(|header| header.from);
        }
    };
    let peer = peer.ok_or("it has no name")?;
    let origin = std::time::Instant::now();
    let now = || Instant::from_micros(origin.elapsed().as_micros().try_into().unwrap_or(u64::MAX));
    let own = Own { jid: jid.clone() };
    let mut stack = Transfers::stack(own, Config::default(), None, now());
    let (mut xml, mut out) = (XmlWriter::new(ns::CLIENT), OutBuf::default());
    let file = File {
        name: name.map(Into::into),
        size: Some(content.len() as u64),
        ..File::default()
    };
    let (to, how, mut entropy) = (peer.clone(), Options::default(), Entropy([0; 32]));
    getrandom::fill(&mut entropy.0)?;
    let id = stack.machine.offer(to, file, how, entropy, now());
    loop {
        stack.handle_timeout(now());
        while out.len() < 64 * 1024
            && let Some(output) = stack.poll_output()
        {
            let transfers = &mut stack.machine;
            match output {
                Output::Stanza(mut stanza) => {
                    stanza.set_from(Some(jid.clone()));
                    xml.write(&stanza, &mut out);
                }
                Output::Net(_) => {} // SOCKS5 is off unless `Config::methods` has it
                Output::Event(Event::Established { .. } | Event::Writable { .. }) => {
                    while !content.is_empty() && transfers.write(id, &mut content, now()).is_ok() {}
                    if content.is_empty() {
                        transfers.finish(id, now())?;
                    }
                }
                Output::Event(Event::Done { .. }) => return Ok(()),
                Output::Event(Event::Failed { reason, .. }) => return Err(reason.into()),
                Output::Event(_) => {}
            }
        }
        // Whatever comes first: a frame, room to write, the deadline.
        let due = stack
            .poll_timeout()
            .ok_or("the machine waits for nothing")?;
        let heard = async { frame(&mut from, &mut framer, &mut octets).await.map(Some) };
        let wrote = async {
            if out.is_empty() {
                return pending().await;
            }
            let written = socket.write(out.as_slice()).await?;
            out.consume(written);
            Ok(None)
        };
        let late = async {
            smol::Timer::after(due.since(now())).await;
            Ok(None)
        };
        if let Some(Frame::Stanza(mut stanza)) = or(or(heard, wrote), late).await? {
            stanza.set_from(Some(peer.clone()));
            stack.handle_input(Input::Stanza(stanza), now());
        }
    }
}

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let file = args.next().ok_or("which FILE?")?;
    smol::block_on(send(file.as_ref(), &args.next().ok_or("to which ADDR?")?))?;
    println!("sent {file}");
    Ok(())
}
