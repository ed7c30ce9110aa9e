//! Transfers between this adapter and the one on tokio, over loopback TCP.

mod common;

use bytestreams_blocking as threads;
use bytestreams_tokio as tasks;
use common::{A, B, both, by, directory, jid, octets, setup, soon};
use core::time::Duration;
use std::path::Path;
use threads::file::{Source, Store};
use threads::{Config, Method, ReceiveFile, SendFile, Via};

/// A runtime with an endpoint that listens; `what` is done there with a link to us.
fn meet<T: Send + 'static>(
    config: &Config,
    there: impl AsyncFnOnce(tasks::Endpoint, tasks::Offers) -> T + Send + 'static,
    here: impl FnOnce(threads::Endpoint, threads::Offers),
) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = tasks::serverless::Listener::bind("127.0.0.1:0");
    let listener = runtime.block_on(listener).expect("a socket");
    let addr = listener.local_addr().expect("an address");
    let theirs = config.clone();
    let thread = std::thread::spawn(move || {
        runtime.block_on(async move {
            let setup = tasks::serverless::Setup {
                jid: Some(jid(B)),
                patience: Duration::from_secs(10),
            };
            let link = listener.accept(&setup).await.expect("a link");
            let (endpoint, offers) = tasks::Endpoint::spawn(link, theirs);
            there(endpoint, offers).await
        })
    });
    let link = threads::serverless::connect(addr, &setup(A)).expect("a link");
    let (endpoint, offers) = threads::Endpoint::spawn(link, config.clone()).expect("threads");
    here(endpoint, offers);
    thread.join().expect("no panic")
}

fn source(dir: &Path, name: &str, content: &[u8]) -> Source {
    let path = dir.join(name);
    std::fs::write(&path, content).expect("a file");
    Source::open(path).expect("a source")
}

const SIZE: usize = 6 << 20;

#[test]
fn a_file_goes_to_tokio() {
    soon(|| {
        for (config, via) in [(by(Method::Ibb), Via::Ibb), (both(), Via::Direct)] {
            let dir = directory();
            let content = octets(SIZE);
            let file = source(dir.path(), "f.bin", &content);
            let inbox = Store::open(dir.path().join("in")).expect("a store");
            let received = meet(
                &config,
                async move |endpoint, mut offers| {
                    let offer = offers.next().await.expect("an offer");
                    let how = ReceiveFile::default();
                    let received = tasks::receive_file(offer, &inbox, &how, |_| {}).await;
                    endpoint.closed().await;
                    received.expect("received")
                },
                |endpoint, _offers| {
                    let how = SendFile::default();
                    let sent = threads::send_file(&endpoint, jid(B), file, &how, |_| {});
                    assert_eq!(sent.expect("sent").via, via);
                },
            );
            assert_eq!(received.via, via);
            assert!(std::fs::read(&received.file.path).expect("a file") == content);
        }
    });
}

#[test]
fn a_file_comes_from_tokio() {
    soon(|| {
        for (config, via) in [(by(Method::Ibb), Via::Ibb), (both(), Via::Direct)] {
            let dir = directory();
            let content = octets(SIZE);
            let file = source(dir.path(), "f.bin", &content);
            let inbox = Store::open(dir.path().join("in")).expect("a store");
            let sent = meet(
                &config,
                async move |endpoint, _offers| {
                    let how = SendFile::default();
                    let sent = tasks::send_file(&endpoint, jid(A), file, &how, |_| {}).await;
                    endpoint.closed().await;
                    sent.expect("sent")
                },
                |_endpoint, mut offers| {
                    let offer = offers.next().expect("an offer");
                    let how = ReceiveFile::default();
                    let received = threads::receive_file(offer, &inbox, &how, |_| {});
                    let received = received.expect("received");
                    assert_eq!(received.via, via);
                    assert!(std::fs::read(&received.file.path).expect("a file") == content);
                },
            );
            assert_eq!(sent.via, via);
        }
    });
}
