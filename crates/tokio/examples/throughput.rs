//! Measures a transfer between two endpoints of one process over loopback TCP: how fast octets go
//! through the machine, the codec and the sockets, without files.
//!
//! `cargo run --release -p bytestreams-tokio --example throughput -- [MEBIBYTES] [BLOCK_SIZE]`

use bytes::Bytes;
use bytestreams_stanza::{File, Range};
use bytestreams_tokio::{Config, Endpoint, Event, Options};
use core::error::Error;
use std::time::Instant;

#[path = "../tests/common/mod.rs"]
mod common;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mebibytes: u64 = args.next().map_or(Ok(256), |n| n.parse())?;
    let block_size: u16 = args.next().map_or(Ok(65535), |n| n.parse())?;
    let (a, b) = common::loopback("a@here/1", "b@here/2").await;
    let (a, _) = Endpoint::spawn(a, Config::default());
    let (_b, mut offers) = Endpoint::spawn(b, Config::default());
    let size = mebibytes << 20;
    let file = File {
        name: Some("octets".into()),
        size: Some(size),
        ..File::default()
    };
    let mut options = Options::default();
    options.block_size = core::num::NonZeroU16::new(block_size);
    let receiver = tokio::spawn(async move {
        let offer = offers.next().await.ok_or("no offer")?;
        let mut transfer = offer.accept(Range::default()).map_err(|e| e.to_string())?;
        let mut octets = 0;
        while let Some(block) = transfer.read().await.map_err(|e| e.to_string())? {
            octets += block.len();
            transfer.stored(block.len());
        }
        transfer.completed(Ok(())).map_err(|e| e.to_string())?;
        while transfer.next().await.is_some() {}
        Ok::<_, String>(octets as u64)
    });
    let mut transfer = a.offer(common::jid("b@here/2"), file, options);
    loop {
        let event = transfer.next().await.ok_or("over")?;
        if let Event::Established { .. } = event {
            break;
        }
        if let Event::Failed { reason, .. } = event {
            return Err(reason.into());
        }
    }
    let piece = Bytes::from(common::octets(256 << 10));
    let began = Instant::now();
    for _ in 0..size / piece.len() as u64 {
        transfer.write(&mut piece.clone()).await?;
    }
    transfer.finish()?;
    while let Some(event) = transfer.next().await {
        if let Event::Failed { reason, .. } = event {
            return Err(reason.into());
        }
    }
    let took = began.elapsed().as_secs_f64();
    let got = receiver.await??;
    println!(
        "{got} octets, blocks of {block_size}: {:.0} MB/s",
        size as f64 / took / 1e6
    );
    Ok(())
}
