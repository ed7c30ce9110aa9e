//! Sends a file from one end of a serverless stream and receives it at the other, both in this
//! process: `cargo run -p bytestreams-examples --example send_and_receive -- README.md`

use bytestreams_tokio::file::{Source, Store};
use bytestreams_tokio::{
    Config, Endpoint, ReceiveFile, SendFile, receive_file, send_file, serverless,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let path = std::env::args().nth(1).ok_or("which file?")?;
    let setup = serverless::Setup::default();
    let listener = serverless::Listener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?.to_string();
    let (here, there) = tokio::join!(serverless::connect(addr, &setup), async {
        listener.accept(&setup).await
    });
    let (sender, _) = Endpoint::spawn(here?, Config::default());
    let (receiver, mut offers) = Endpoint::spawn(there?, Config::default());

    let inbox = Store::open(tempfile::tempdir()?.keep())?;
    let receive = async {
        let offer = offers.next().await.expect("an offer");
        receive_file(offer, &inbox, &ReceiveFile::default(), |_| {}).await
    };
    let how = SendFile::default();
    let send = send_file(
        &sender,
        receiver.jid().clone(),
        Source::open(path)?,
        &how,
        |_| {},
    );
    let (sent, received) = tokio::join!(send, receive);
    println!(
        "{} octets in {:?}",
        sent?.octets,
        received.as_ref().map(|r| r.took)
    );
    println!("received as {}", received?.file.path.display());
    Ok(())
}
