//! Sends and receives files on threads, with no async runtime. On one terminal, then on another:
//!
//! ```sh
//! cargo run -p bytestreams-examples --example threads -- receive . listen 127.0.0.1:5298
//! cargo run -p bytestreams-examples --example threads -- send README.md connect 127.0.0.1:5298
//! ```
//!
//! Instead of `listen ADDR` or `connect ADDR`, `component JID SERVER` joins an XMPP server
//! (XEP-0114; the secret is in BYTESTREAMS_SECRET); then `send FILE JID` says to whom.

use bytestreams_blocking::file::{Source, Store, hex};
use bytestreams_blocking::{
    Config, Endpoint, Link, Method, Methods, ReceiveFile, SendFile, component, receive_file,
    send_file, serverless,
};
use bytestreams_stanza::Jid;
use core::error::Error;
use core::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["receive", dir, ref how @ ..] => receive(dir, link(how)?),
        ["send", file, "component", own, server, to] => send(
            file,
            link(&["component", own, server])?,
            Some(Jid::new(to)?),
        ),
        ["send", file, ref how @ ..] => send(file, link(how)?, None),
        _ => Err("receive DIR LINK, or send FILE LINK; see the top of this program".into()),
    }
}

/// Makes a link: to a peer, or to a server.
fn link(how: &[&str]) -> Result<Link, Box<dyn Error>> {
    let setup = serverless::Setup::default();
    match how {
        ["listen", addr] => {
            let listener = serverless::Listener::bind(addr)?;
            println!("listening on {}", listener.local_addr()?);
            Ok(listener.accept(&setup)?)
        }
        ["connect", addr] => Ok(serverless::connect(*addr, &setup)?),
        ["component", own, server] => {
            let secret = std::env::var("BYTESTREAMS_SECRET")?;
            let patience = Duration::from_secs(10);
            let link = component::connect(*server, &Jid::new(own)?, &secret, patience)?;
            println!("online as {own}");
            Ok(link)
        }
        _ => Err("listen ADDR, connect ADDR, or component JID SERVER".into()),
    }
}

/// SOCKS5 (XEP-0065), and in band (XEP-0047) where that comes to nothing; METHOD chooses one.
fn config() -> Config {
    let mut config = Config::default();
    config.methods = match std::env::var("METHOD").as_deref() {
        Ok("ibb") => Methods::from_slice(&[Method::Ibb]),
        Ok("socks5") => Methods::from_slice(&[Method::Socks5]),
        _ => Methods::from_slice(&[Method::Socks5, Method::Ibb]),
    };
    config
}

fn receive(dir: &str, link: Link) -> Result<(), Box<dyn Error>> {
    let store = Store::open(dir)?;
    let (_endpoint, offers) = Endpoint::spawn(link, config())?;
    let mut how = ReceiveFile::default();
    how.sha256 = true;
    how.resume = true;
    for offer in offers {
        println!("{} offers {:?}", offer.from(), offer.file().name);
        // One that fails keeps nobody from sending the next.
        match receive_file(offer, &store, &how, |_| {}) {
            Ok(received) => println!(
                "received {} ({} octets via {}, sha256 {})",
                received.file.path.display(),
                received.octets,
                received.via,
                hex(&received.file.sha256.unwrap_or_default())
            ),
            Err(error) => println!("not received: {error}"),
        }
    }
    Ok(())
}

fn send(file: &str, link: Link, to: Option<Jid>) -> Result<(), Box<dyn Error>> {
    let to = to.unwrap_or_else(|| link.peer().clone());
    let (endpoint, _offers) = Endpoint::spawn(link, config())?;
    let mut how = SendFile::default();
    how.sha256 = true;
    how.resumable = true;
    let sent = send_file(&endpoint, to, Source::open(file)?, &how, |event| {
        eprintln!("{event:?}");
    })?;
    println!(
        "sent {file} ({} octets via {}, sha256 {})",
        sent.octets,
        sent.via,
        hex(&sent.sha256.unwrap_or_default())
    );
    Ok(())
}
