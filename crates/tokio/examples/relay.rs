//! Measures how fast octets go through a relay over loopback TCP, and what that costs: the proxy's
//! own relay, with and without pipes, beside a bare splice relay, beside tokio's copy, and beside
//! no relay at all. Each relay is a process of its own, and the rounds are interleaved.
//!
//! `cargo run --release -p bytestreams-tokio --features proxy --example relay -- [MEBIBYTES] [ROUNDS]`
#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

use bytestreams_tokio::proxy::Relays;
use core::error::Error;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What a sender and a receiver move at once.
const PIECE: usize = 256 << 10;

const KINDS: [&str; 5] = ["direct", "splice", "ours", "ours, no pipes", "tokio copy"];

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("there is nothing to compare with here: splice is Linux's");
}

#[cfg(target_os = "linux")]
fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [kind, to] = &*args
        && let Some(kind) = kind.strip_prefix("--")
    {
        return serve(kind, to.parse()?);
    }
    let mut numbers = args.iter().map(|n| n.parse::<u64>());
    let mebibytes = numbers.next().unwrap_or(Ok(1024))?;
    let rounds = numbers.next().unwrap_or(Ok(5))?;
    let mut rates = vec![Vec::new(); KINDS.len()];
    let mut costs = vec![Vec::new(); KINDS.len()];
    for round in 0..=rounds {
        for (n, kind) in KINDS.iter().enumerate() {
            let (rate, cost) = measure(kind, mebibytes)?;
            // The first round warms everything.
            if round > 0 {
                rates[n].push(rate);
                costs[n].push(cost);
            }
        }
    }
    let bare = median(&mut rates[1].clone());
    println!("{mebibytes} MiB, the median of {rounds} rounds:");
    for (n, kind) in KINDS.iter().enumerate() {
        let rate = median(&mut rates[n]);
        println!(
            "{kind:16} {rate:6.0} MB/s  {:5.2} of splice  {:5.2} CPU s a GiB",
            rate / bare,
            median(&mut costs[n])
        );
    }
    Ok(())
}

fn median(of: &mut [f64]) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// A relay in a process of its own, ended with this.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Megabytes a second, and seconds of CPU a GiB.
fn measure(kind: &str, mebibytes: u64) -> Outcome<(f64, f64)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = listener.local_addr()?;
    let (served, addr) = if kind == "direct" {
        (None, to)
    } else {
        let mut child = Command::new(std::env::current_exe()?)
            .args([format!("--{kind}"), to.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("no output")?;
        let served = Served(child);
        BufReader::new(out).read_line(&mut line)?;
        (Some(served), line.trim().parse()?)
    };
    let receiver = std::thread::spawn(move || -> std::io::Result<u64> {
        let (mut stream, _) = listener.accept()?;
        let mut buffer = vec![0; PIECE];
        let mut octets = 0;
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(octets),
                n => octets += n as u64,
            }
        }
    });
    let mut sender = TcpStream::connect::<SocketAddr>(addr)?;
    let piece = vec![7; PIECE];
    let before = served.as_ref().map_or(0.0, |served| cpu(served.0.id()));
    let began = Instant::now();
    for _ in 0..(mebibytes << 20) / PIECE as u64 {
        sender.write_all(&piece)?;
    }
    sender.shutdown(std::net::Shutdown::Write)?;
    let octets = receiver.join().map_err(|_| "panic")??;
    let took = began.elapsed().as_secs_f64();
    assert_eq!(octets, mebibytes << 20, "{kind}");
    let spent = served.as_ref().map_or(0.0, |served| cpu(served.0.id())) - before;
    Ok((
        octets as f64 / took / 1e6,
        spent * 1024.0 / mebibytes as f64,
    ))
}

/// The seconds of CPU that a process has spent, in its threads of now.
fn cpu(id: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task"));
    let spent = tasks.into_iter().flatten().flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    spent.sum::<f64>() / 1e9
}

/// Relays one connection to `to`, then waits to be ended.
#[cfg(target_os = "linux")]
fn serve(kind: &str, to: SocketAddr) -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let (from, _) = listener.accept()?;
    let to = TcpStream::connect(to)?;
    if kind == "splice" {
        splice(&from, &to)?;
        loop {
            std::thread::park();
        }
    }
    from.set_nonblocking(true)?;
    to.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let kind = kind.to_owned();
    runtime.block_on(async {
        let mut streams = [
            tokio::net::TcpStream::from_std(from)?,
            tokio::net::TcpStream::from_std(to)?,
        ];
        let relayed = tokio::spawn(async move {
            let idle = Duration::from_secs(60);
            match &*kind {
                "ours" => drop(
                    Relays::new(64, idle)
                        .relay(streams, Default::default())
                        .await,
                ),
                "ours, no pipes" => {
                    drop(
                        Relays::new(0, idle)
                            .relay(streams, Default::default())
                            .await,
                    );
                }
                _ => {
                    let [a, b] = &mut streams;
                    let copied = tokio::io::copy_bidirectional_with_sizes(a, b, PIECE, PIECE).await;
                    drop(copied);
                }
            }
        });
        relayed.await?;
        core::future::pending().await
    })
}

#[cfg(target_os = "linux")]
fn splice(from: &TcpStream, to: &TcpStream) -> Outcome<()> {
    use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe, splice};
    let (out, into) = pipe()?;
    let size = fcntl_setpipe_size(&into, 1 << 20)?;
    loop {
        let mut held = splice(from, None, &into, None, size, SpliceFlags::MOVE)?;
        if held == 0 {
            to.shutdown(std::net::Shutdown::Write)?;
            return Ok(());
        }
        while held > 0 {
            held -= splice(&out, None, to, None, held, SpliceFlags::MOVE)?;
        }
    }
}
