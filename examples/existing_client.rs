//! File transfer beside a `tokio_xmpp::Client` that the program has already, for all else:
//!
//! ```sh
//! PASSWORD=… cargo run -p bytestreams-examples --example existing_client -- romeo@example.org inbox
//! PASSWORD=… cargo run -p bytestreams-examples --example existing_client -- romeo@example.org \
//!     photo.jpg juliet@example.org/balcony
//! ```
//!
//! It receives into a folder, or sends a file and ends. PLAINTEXT=127.0.0.1:5222 goes to a server of
//! this machine without TLS.

use bytestreams_tokio::file::{Source, Store};
use bytestreams_tokio::link::bridge::{Bridge, bridge};
use bytestreams_tokio::{Config, Endpoint, ReceiveFile, SendFile, receive_file, send_file};
use core::error::Error;
use futures::StreamExt;
use tokio_xmpp::connect::DnsConfig;
use tokio_xmpp::parsers::disco::DiscoInfoResult;
use tokio_xmpp::parsers::iq::Iq;
use tokio_xmpp::parsers::ns;
use tokio_xmpp::parsers::presence::{Presence, Type};
use tokio_xmpp::{Client, Event, Stanza, xmlstream::Timeouts};

// On one thread: with several, tokio-xmpp 6.0.0 loses wakeups (see `bytestreams_tokio::link::bridge`).
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [jid, what, to @ ..] = &args[..] else {
        return Err("JID DIR, or JID FILE JID".into());
    };
    let jid: tokio_xmpp::jid::Jid = jid.parse()?;
    let password = std::env::var("PASSWORD")?;
    let mut client = match std::env::var("PLAINTEXT") {
        Ok(addr) => {
            Client::new_plaintext(jid, password, DnsConfig::addr(&addr), Timeouts::default())
        }
        Err(_) => Client::new(jid, password),
    };
    let own = loop {
        match client.next().await.ok_or("no way to the server")? {
            Event::Online { bound_jid, .. } => break bound_jid.to_string(),
            Event::Disconnected(error) => return Err(error.into()),
            Event::Stanza(_) => {}
        }
    };
    println!("online as {own}");
    let available = Presence::new(Type::None);
    client.send_stanza(available.into()).await?;

    let (bridge, link) = bridge(own.parse()?);
    let (endpoint, mut offers) = Endpoint::spawn(link, Config::default());
    let chat = tokio::spawn(chat(client, bridge, endpoint.clone()));
    if let [to] = to {
        let source = Source::open(what)?;
        let how = SendFile::default();
        let sent = send_file(&endpoint, to.parse()?, source, &how, |_| {}).await?;
        println!("sent {} octets", sent.octets);
    } else {
        let store = Store::open(what)?;
        while let Some(offer) = offers.next().await {
            let how = ReceiveFile::default();
            match receive_file(offer, &store, &how, |_| {}).await {
                Ok(received) => println!("received {}", received.file.path.display()),
                Err(error) => println!("not received: {error}"),
            }
        }
    }
    // The link of the endpoint ends, and with it the program's task.
    endpoint.close().await;
    chat.await?.map_err(|error| error.to_string().into())
}

/// The program as it was: stanzas in, stanzas out, and the bridge beside it.
async fn chat(
    mut client: Client,
    mut bridge: Bridge,
    endpoint: Endpoint,
) -> Result<(), tokio_xmpp::Error> {
    loop {
        tokio::select! {
            event = client.next() => match event {
                Some(Event::Stanza(stanza)) => {
                    if let Some(mine) = bridge.take(stanza).await {
                        answer(&mut client, mine, &endpoint).await?;
                    }
                }
                Some(Event::Disconnected(error)) => return Err(error),
                Some(Event::Online { .. }) => {}
                None => return Ok(()),
            },
            stanza = bridge.next() => match stanza {
                Some(stanza) => drop(client.send_stanza(stanza).await?),
                None => return client.send_end().await,
            },
        }
    }
}

/// What is not about files stays the program's; what it can do it tells together with the endpoint.
async fn answer(client: &mut Client, stanza: Stanza, endpoint: &Endpoint) -> std::io::Result<()> {
    match stanza {
        Stanza::Iq(Iq::Get {
            from, id, payload, ..
        }) if payload.is("query", ns::DISCO_INFO) => {
            let features = endpoint.features();
            let info = DiscoInfoResult {
                node: None,
                identities: Vec::new(),
                features: features.iter().map(|name| name.to_string()).collect(),
                extensions: Vec::new(),
            };
            let result = Iq::from_result(id, Some(info));
            let result = from.into_iter().fold(result, Iq::with_to);
            client.send_stanza(result.into()).await?;
        }
        Stanza::Message(message) => println!("{message:?}"),
        Stanza::Iq(_) | Stanza::Presence(_) => {}
    }
    Ok(())
}
