//! A bot that receives everything into a folder, many files and many peers at once, on tokio:
//!
//! ```sh
//! cargo run -p bytestreams-examples --example inbox_bot -- inbox listen 127.0.0.1:5300
//! ```
//!
//! With `component JID SERVER` instead of `listen ADDR` it is a component of an XMPP server
//! (XEP-0114), to which everyone can send; the secret is in BYTESTREAMS_SECRET.

use bytestreams_stanza::Jid;
use bytestreams_tokio::file::Store;
use bytestreams_tokio::{
    Config, Endpoint, Method, Methods, Offer, Offers, ReceiveFile, component, receive_file,
    serverless,
};
use core::error::Error;
use core::time::Duration;

/// More than that nobody may send.
const LARGEST: u64 = 1 << 30;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [dir, "listen", addr] => {
            let store = Store::open(*dir)?;
            let setup = serverless::Setup::default();
            let listener = serverless::Listener::bind(*addr).await?;
            println!("listening on {}", listener.local_addr()?);
            loop {
                let link = listener.accept(&setup).await?;
                let (_, offers) = Endpoint::spawn(link, config());
                tokio::spawn(take_all(offers, store.clone()));
            }
        }
        [dir, "component", own, server] => {
            let store = Store::open(*dir)?;
            let own = Jid::new(own)?;
            let secret = std::env::var("BYTESTREAMS_SECRET")?;
            let patience = Duration::from_secs(10);
            let link = component::connect(*server, &own, &secret, patience).await?;
            println!("online as {own}");
            let (endpoint, offers) = Endpoint::spawn(link, config());
            take_all(offers, store).await;
            Err(endpoint.closed().await.to_string().into())
        }
        _ => Err("DIR listen ADDR, or DIR component JID SERVER".into()),
    }
}

fn config() -> Config {
    let mut config = Config::default();
    config.methods = Methods::from_slice(&[Method::Socks5, Method::Ibb]);
    // Streams that come without an offer too: such a file is named by its stream.
    config.allow_unannounced = true;
    config
}

/// Takes what is offered until the link ends.
async fn take_all(mut offers: Offers, store: Store) {
    while let Some(offer) = offers.next().await {
        tokio::spawn(take(offer, store.clone()));
    }
}

async fn take(offer: Offer, store: Store) {
    // As the link stamped it: on a serverless one it is only what the peer says.
    let from = offer.from().clone();
    let mut how = ReceiveFile::default();
    how.max_size = Some(LARGEST);
    how.resume = true;
    // The name is made safe, and nothing that is there is overwritten.
    match receive_file(offer, &store, &how, |_| {}).await {
        Ok(received) => println!(
            "{from} sent {} ({} octets via {})",
            received.file.path.display(),
            received.octets,
            received.via
        ),
        Err(error) => println!("{from} sent nothing: {error}"),
    }
}
