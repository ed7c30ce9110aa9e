//! Uploads over a WebSocket beside a bare echo of the same library, in one run, and over a long path
//! with and without the window: `cargo bench -p bytestreams-upload`.
//!
//! Files are in memory where the system has `/dev/shm`, so that the protocol is measured, not a disk.
#![allow(
    clippy::unwrap_used,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "a bench may fail anywhere"
)]

use bytes::Bytes;
use bytestreams_file::Source;
use bytestreams_upload::{Config, Encoding, Server, UploadOptions, upload};
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, client_async};

const BIG: usize = 256 << 20;
const BLOCK: usize = 256 << 10;
const RUNS: usize = 15;

/// One way of the long path.
const DELAY: Duration = Duration::from_millis(50);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        speed().await;
        latency().await;
    });
}

fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

fn file(dir: &Path, size: usize) -> PathBuf {
    let path = dir.join(format!("{size}.bin"));
    let content: Vec<u8> = (0..size)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    std::fs::write(&path, content).unwrap();
    path
}

/// A server that runs until the end of the bench.
async fn server(dir: &Path) -> SocketAddr {
    let server = Server::bind("127.0.0.1:0", dir, Config::default())
        .await
        .unwrap();
    let addr = server.local_addr();
    tokio::spawn(server.run(std::future::pending(), |_| {}));
    addr
}

fn options(encoding: Encoding, window: Option<u16>, block: Option<u32>) -> UploadOptions {
    let mut options = UploadOptions::default();
    options.encoding = encoding;
    options.window = window.and_then(|window| window.try_into().ok());
    options.block = block.and_then(|block| block.try_into().ok());
    options
}

/// What a run took.
#[derive(Clone, Copy)]
struct Run {
    /// MB/s of the file, from the first thing said to the last answer.
    rate: f64,
    /// Seconds of a processor for a GiB, of both sides; 0 where the system does not tell.
    cpu: f64,
}

struct Watch(Instant, f64);

impl Watch {
    fn start() -> Self {
        Self(Instant::now(), Self::cpu())
    }

    fn stop(&self, octets: usize) -> Run {
        Run {
            rate: octets as f64 / self.0.elapsed().as_secs_f64() / 1e6,
            cpu: (Self::cpu() - self.1) / octets as f64 * (1 << 30) as f64,
        }
    }

    /// Seconds that this process took so far: user and system, in hundredths.
    fn cpu() -> f64 {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let words = stat.rsplit(')').next().unwrap_or_default();
        let times = words.split_whitespace().skip(11).take(2);
        times.map(|time| time.parse().unwrap_or(0.0) / 100.0).sum()
    }
}

async fn run(addr: SocketAddr, path: &Path, inbox: &Path, options: &UploadOptions) -> Run {
    let source = Source::open(path).unwrap();
    let size = source.size() as usize;
    let watch = Watch::start();
    let uploaded = upload(&format!("ws://{addr}/"), source, options, |_| {})
        .await
        .unwrap();
    let run = watch.stop(size);
    std::fs::remove_file(inbox.join(uploaded.name.unwrap())).unwrap();
    run
}

/// A bare echo: the same blocks there and back, as fast as the library goes. Where there is a
/// path, each block is written to a file before it goes back, as an upload's is.
async fn echo(content: &Bytes, path: Option<&Path>) -> Run {
    let mut file = path.map(|path| std::fs::File::create(path).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let all = content.len();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut tx, mut rx) = accept_async(stream).await.unwrap().split();
        let mut got = 0;
        while got < all {
            match rx.next().await {
                Some(Ok(Message::Binary(block))) => {
                    got += block.len();
                    if let Some(file) = &mut file {
                        std::io::Write::write_all(file, &block).unwrap();
                    }
                    tx.feed(Message::Binary(block)).await.unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
        tx.flush().await.unwrap();
    });
    let watch = Watch::start();
    let stream = TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (ws, _) = client_async(format!("ws://{addr}/"), stream).await.unwrap();
    let (mut tx, mut rx) = ws.split();
    let blocks = content.clone();
    let sent = tokio::spawn(async move {
        for at in (0..blocks.len()).step_by(BLOCK) {
            let block = blocks.slice(at..blocks.len().min(at + BLOCK));
            tx.feed(Message::Binary(block)).await.unwrap();
        }
        tx.flush().await.unwrap();
    });
    let mut got = 0;
    while got < content.len() {
        match rx.next().await {
            Some(Ok(Message::Binary(block))) => got += block.len(),
            other => panic!("{other:?}"),
        }
    }
    let run = watch.stop(got);
    sent.await.unwrap();
    served.await.unwrap();
    run
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn speed() {
    let (here, there) = (scratch(), scratch());
    let path = file(here.path(), BIG);
    let content = Bytes::from(std::fs::read(&path).unwrap());
    let addr = server(there.path()).await;
    let copy = there.path().join("echo");
    let mut rounds = Vec::new();
    // One of each in turn: what else the machine does meets all alike, and a ratio is of one round.
    for _ in 0..RUNS {
        let bare = echo(&content, None).await;
        let stores = echo(&content, Some(&copy)).await;
        std::fs::remove_file(&copy).unwrap();
        let how = options(Encoding::Binary, None, None);
        let binary = run(addr, &path, there.path(), &how).await;
        let how = options(Encoding::Base64, None, None);
        let base64 = run(addr, &path, there.path(), &how).await;
        rounds.push([bare, stores, binary, base64]);
    }
    println!("256 MiB in blocks of 256 KiB, medians of {RUNS} rounds");
    println!("                 MB/s  of the echo  of the one that stores  CPU seconds a GiB");
    for (n, name) in [
        "bare echo",
        "echo that stores",
        "binary upload",
        "base64 upload",
    ]
    .into_iter()
    .enumerate()
    {
        let of =
            |other: usize| median(rounds.iter().map(|round| round[n].rate / round[other].rate));
        let rate = median(rounds.iter().map(|round| round[n].rate));
        let cpu = median(rounds.iter().map(|round| round[n].cpu));
        println!(
            "{name:16}{rate:5.0}  {:11.2}  {:22.2}  {cpu:17.2}",
            of(0),
            of(1)
        );
    }
}

async fn latency() {
    let (here, there) = (scratch(), scratch());
    let addr = delayed(server(there.path()).await).await;
    let inbox = there.path();
    let how = options(Encoding::Binary, Some(1), Some(1024));
    let class = run(addr, &file(here.path(), 64 << 10), inbox, &how)
        .await
        .rate;
    let how = options(Encoding::Binary, Some(1), Some(64 << 10));
    let one = run(addr, &file(here.path(), 2 << 20), inbox, &how)
        .await
        .rate;
    let how = options(Encoding::Binary, None, None);
    let window = run(addr, &file(here.path(), 64 << 20), inbox, &how)
        .await
        .rate;
    println!("50 ms each way, MB/s of the file");
    println!("stop-and-wait, blocks of 1 KiB as the class has  {class:8.3}");
    println!("stop-and-wait, blocks of 64 KiB                  {one:8.3}");
    println!("our window                                       {window:8.3}");
    println!(
        "{:.0} and {:.0} times as fast",
        window / class,
        window / one
    );
}

/// An address that relays to another, each direction a while later.
async fn delayed(target: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(target).await.unwrap();
            for stream in [&near, &far] {
                stream.set_nodelay(true).unwrap();
            }
            let ((near_rx, near_tx), (far_rx, far_tx)) = (near.into_split(), far.into_split());
            tokio::spawn(lane(near_rx, far_tx));
            tokio::spawn(lane(far_rx, near_tx));
        }
    });
    addr
}

async fn lane(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf) {
    let (queue, mut queued) = mpsc::unbounded_channel::<(tokio::time::Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, octets)) = queued.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&octets).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(octets) = from.read(&mut buffer).await {
        let due = tokio::time::Instant::now() + DELAY;
        if octets == 0 || queue.send((due, buffer[..octets].to_vec())).is_err() {
            return;
        }
    }
}
