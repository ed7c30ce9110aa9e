//! Measures a file from one process to another over SOCKS5 (XEP-0065), beside a bare TCP copy of the
//! same file between two processes, in turns; nothing is hashed and nothing synced.
//!
//! `cargo run --release -p bytestreams-tokio --example socks5 -- [MEBIBYTES] [ROUNDS]`

use bytestreams_tokio::file::{Source, Store};
use bytestreams_tokio::serverless::{self, Listener, Setup};
use bytestreams_tokio::{
    Config, Endpoint, Method, Methods, ReceiveFile, SendFile, Via, receive_file, send_file,
};
use core::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

const PIECE: usize = 256 * 1024;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bare", dir] => take_bare(Path::new(dir)),
        ["ours", dir] => runtime()?.block_on(take_ours(Path::new(dir))),
        _ => measure(&args),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

fn measure(args: &[String]) -> Outcome<()> {
    let mebibytes: u64 = args.first().map_or(Ok(1024), |n| n.parse())?;
    let rounds: usize = args.get(1).map_or(Ok(5), |n| n.parse())?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("file");
    write(&path, mebibytes)?;
    let inbox = dir.path().join("in");
    std::fs::create_dir(&inbox)?;
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let (mut cpu_of_bare, mut cpu_of_ours) = (0.0, 0.0);
    // The first round warms up.
    for round in 0..=rounds {
        let began = cpu_seconds();
        let took_bare = send_bare(&path, &inbox)?;
        let between = cpu_seconds();
        let took_ours = send_ours(&path, &inbox)?;
        if round > 0 {
            bare.push(took_bare);
            ours.push(took_ours);
            cpu_of_bare += between - began;
            cpu_of_ours += cpu_seconds() - between;
        }
    }
    let rate = |seconds: f64| (mebibytes << 20) as f64 / seconds / 1e6;
    let (bare, ours) = (rate(median(bare)), rate(median(ours)));
    println!(
        "{mebibytes} MiB: bare TCP copy {bare:.0} MB/s, SOCKS5 {ours:.0} MB/s, ratio {:.2}",
        ours / bare
    );
    let gibibytes = rounds as f64 * mebibytes as f64 / 1024.0;
    println!(
        "CPU seconds a GiB of both processes: bare {:.2}, SOCKS5 {:.2}",
        cpu_of_bare / gibibytes,
        cpu_of_ours / gibibytes
    );
    Ok(())
}

/// The processor time of this process and of those that it has waited for, where that is told.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // utime, stime, cutime, cstime, in ticks of 10 ms
    let ticks = behind_name.split_whitespace().skip(11).take(4);
    ticks.filter_map(|n| n.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Writes octets that do not repeat soon.
fn write(path: &Path, mebibytes: u64) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..mebibytes {
        let mut piece = Vec::with_capacity(1 << 20);
        while piece.len() < 1 << 20 {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            piece.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
        }
        file.write_all(&piece)?;
    }
    // What is not written yet would be written while something is measured.
    file.sync_all()
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Starts the other process and hears its address.
fn start(what: &str, inbox: &Path) -> Outcome<(Child, BufReader<ChildStdout>, String)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([what.as_ref(), inbox.as_os_str()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?);
    let mut addr = String::new();
    lines.read_line(&mut addr)?;
    Ok((child, lines, addr.trim().to_owned()))
}

/// Waits until the other process says that it has all, and removes what it has.
fn end(
    mut child: Child,
    mut lines: BufReader<ChildStdout>,
    began: Instant,
    inbox: &Path,
) -> Outcome<f64> {
    lines.read_line(&mut String::new())?;
    let took = began.elapsed().as_secs_f64();
    if !child.wait()?.success() {
        return Err("the receiver failed".into());
    }
    for entry in std::fs::read_dir(inbox)? {
        std::fs::remove_file(entry?.path())?;
    }
    Ok(took)
}

fn send_bare(path: &Path, inbox: &Path) -> Outcome<f64> {
    let (child, lines, addr) = start("bare", inbox)?;
    let mut stream = TcpStream::connect(addr)?;
    let mut file = File::open(path)?;
    let mut piece = vec![0; PIECE];
    let began = Instant::now();
    loop {
        let n = file.read(&mut piece)?;
        if n == 0 {
            break;
        }
        stream.write_all(&piece[..n])?;
    }
    drop(stream);
    end(child, lines, began, inbox)
}

fn take_bare(dir: &Path) -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let (mut stream, _) = listener.accept()?;
    let mut file = File::create(dir.join("file"))?;
    let mut piece = vec![0; PIECE];
    loop {
        let n = stream.read(&mut piece)?;
        if n == 0 {
            break;
        }
        file.write_all(&piece[..n])?;
    }
    println!("done");
    Ok(())
}

fn config() -> Config {
    let mut config = Config::default();
    config.methods = Methods::from_slice(&[Method::Socks5]);
    config
}

/// Times from the acceptance on, as a bare copy has no offer; the handshake and the end count.
fn send_ours(path: &Path, inbox: &Path) -> Outcome<f64> {
    let (child, lines, addr) = start("ours", inbox)?;
    runtime()?.block_on(async {
        let link = serverless::connect(addr, &Setup::default()).await?;
        let to = link.peer().clone();
        let (endpoint, _) = Endpoint::spawn(link, config());
        let mut began = Instant::now();
        let source = Source::open(path)?;
        let sent = send_file(&endpoint, to, source, &SendFile::default(), |event| {
            if let bytestreams_tokio::Event::Accepted { .. } = event {
                began = Instant::now();
            }
        })
        .await?;
        if sent.via != Via::Direct {
            return Err("not by a direct connection".into());
        }
        let took = end(child, lines, began, inbox)?;
        endpoint.close().await;
        Ok(took)
    })
}

async fn take_ours(dir: &Path) -> Outcome<()> {
    let listener = Listener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let link = listener.accept(&Setup::default()).await?;
    let (endpoint, mut offers) = Endpoint::spawn(link, config());
    let offer = offers.next().await.ok_or("no offer")?;
    let mut how = ReceiveFile::default();
    how.unsynced = true;
    receive_file(offer, &Store::open(dir)?, &how, |_| {}).await?;
    println!("done");
    endpoint.close().await;
    Ok(())
}
