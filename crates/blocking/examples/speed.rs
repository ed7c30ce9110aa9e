//! How fast one transfer is on threads and on tokio, taking turns in one process over loopback:
//!
//! ```sh
//! cargo run --release -p bytestreams-blocking --example speed -- [MIB] [ROUNDS]
//! ```
//!
//! Prints the medians of the rounds in band and by SOCKS5, and their ratio.

use bytestreams_blocking as threads;
use bytestreams_tokio as tasks;
use std::path::Path;
use std::time::Instant;
use threads::file::{Source, Store};
use threads::{Config, Method, Methods, ReceiveFile, SendFile};

fn main() {
    let mut args = std::env::args()
        .skip(1)
        .map(|arg| arg.parse().expect("a number"));
    let (mib, rounds) = (args.next().unwrap_or(256), args.next().unwrap_or(9));
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, vec![0x5a; mib << 20]).expect("room for the file");
    for method in [Method::Ibb, Method::Socks5] {
        let (mut by_threads, mut by_tasks) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            by_threads.push(on_threads(method, &file, dir.path()));
            by_tasks.push(on_tokio(method, &file, dir.path()));
        }
        let (by_threads, by_tasks) = (median(by_threads), median(by_tasks));
        let rate = |seconds: f64| mib as f64 / seconds;
        println!(
            "{method}: threads {:.0} MiB/s, tokio {:.0} MiB/s, ratio {:.2}",
            rate(by_threads),
            rate(by_tasks),
            by_tasks / by_threads
        );
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn config(method: Method) -> Config {
    let mut config = Config::default();
    config.methods = Methods::from_slice(&[method]);
    config
}

fn inbox(dir: &Path) -> (tempfile::TempDir, Store) {
    let inbox = tempfile::tempdir_in(dir).expect("a directory");
    let store = Store::open(inbox.path()).expect("a store");
    (inbox, store)
}

/// Answers the seconds it took.
fn on_threads(method: Method, file: &Path, dir: &Path) -> f64 {
    let (_inbox, store) = inbox(dir);
    let setup = threads::serverless::Setup::default();
    let listener = threads::serverless::Listener::bind("127.0.0.1:0").expect("a socket");
    let addr = listener.local_addr().expect("an address");
    std::thread::scope(|scope| {
        let receiving = scope.spawn(|| {
            let link = listener.accept(&setup).expect("a link");
            let (_end, mut offers) =
                threads::Endpoint::spawn(link, config(method)).expect("threads");
            let offer = offers.next().expect("an offer");
            let mut how = ReceiveFile::default();
            how.unsynced = true;
            threads::receive_file(offer, &store, &how, |_| {}).expect("received")
        });
        let link = threads::serverless::connect(addr, &setup).expect("a link");
        let to = link.peer().clone();
        let (end, _offers) = threads::Endpoint::spawn(link, config(method)).expect("threads");
        let source = Source::open(file).expect("a source");
        let began = Instant::now();
        let how = SendFile::default();
        let sent = threads::send_file(&end, to, source, &how, |_| {}).expect("sent");
        let took = began.elapsed().as_secs_f64();
        assert_eq!(sent.method, method);
        receiving.join().expect("no panic");
        took
    })
}

/// The same with the other adapter.
fn on_tokio(method: Method, file: &Path, dir: &Path) -> f64 {
    let (_inbox, store) = inbox(dir);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let setup = tasks::serverless::Setup::default();
        let listener = tasks::serverless::Listener::bind("127.0.0.1:0");
        let listener = listener.await.expect("a socket");
        let addr = listener.local_addr().expect("an address");
        let receiving = tokio::spawn(async move {
            let setup = tasks::serverless::Setup::default();
            let link = listener.accept(&setup).await.expect("a link");
            let (_end, mut offers) = tasks::Endpoint::spawn(link, config(method));
            let offer = offers.next().await.expect("an offer");
            let mut how = ReceiveFile::default();
            how.unsynced = true;
            tasks::receive_file(offer, &store, &how, |_| {})
                .await
                .expect("received")
        });
        let link = tasks::serverless::connect(addr, &setup)
            .await
            .expect("a link");
        let to = link.peer().clone();
        let (end, _offers) = tasks::Endpoint::spawn(link, config(method));
        let source = Source::open(file).expect("a source");
        let began = Instant::now();
        let how = SendFile::default();
        let sent = tasks::send_file(&end, to, source, &how, |_| {})
            .await
            .expect("sent");
        let took = began.elapsed().as_secs_f64();
        assert_eq!(sent.method, method);
        receiving.await.expect("no panic");
        took
    })
}
