//! `bytestreams demo`

use crate::args::{Demo, MethodArg};
use crate::failure::{Cause, FAILED, Failure};
use crate::link;
use crate::report::{Done, Event, Reporter, hex, octets, pace};
use crate::send;
use crate::stop::Stop;
use crate::trace::Trace;
use crate::track::Track;
use crate::ways::config;
use bytestreams_tokio::file::{Source, Store};
use bytestreams_tokio::serverless::{Listener, Serverless, Setup, connect};
use bytestreams_tokio::{
    Endpoint, Offers, ReceiveError, ReceiveFile, Received, SendError, SendFile, Sent, receive_file,
    start_file,
};
use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// The size of the file that is made where none is given.
const SIZE: usize = 8 << 20;

const NAME: &str = "pseudo-random.bin";

pub(crate) async fn run(args: &Demo, reporter: &Arc<Reporter>, stop: &Stop) -> Result<(), Failure> {
    let made = TempDir::new().map_err(|e| failed(&e, reporter))?;
    let source = match &args.file {
        Some(path) => send::open(path)?,
        None => {
            let path = made.path().join(NAME);
            pseudo_random(&path).map_err(|e| failed(&e, reporter))?;
            send::open(&path)?
        }
    };
    let inbox = TempDir::new().map_err(|e| failed(&e, reporter))?;
    let store = Store::open(inbox.path()).map_err(|e| failed(&e, reporter))?;
    tokio::select! {
        result = cross(source, &store, args.method, reporter) => result,
        () = stop.wanted() => Err(send::cancelled(None, reporter)),
    }
}

/// Sends the file from one end to the other.
async fn cross(
    source: Source,
    store: &Store,
    method: MethodArg,
    reporter: &Arc<Reporter>,
) -> Result<(), Failure> {
    let (here, there, addr) = links().await?;
    let name = source.name().to_owned();
    let size = source.size();
    reporter.say(&format!(
        "Sending \"{}\", {}, over an XML stream on {addr}.\n",
        crate::escape::escape(&name),
        octets(size)
    ));
    let to = here.peer().clone();
    let (sender, _offers, mut driver) = Endpoint::new(here, config(method));
    let mut trace = Trace::new(reporter.clone());
    driver.set_trace(move |direction, stanza| trace.stanza(direction, stanza));
    tokio::spawn(driver);
    let (receiver, offers) = Endpoint::spawn(there, config(method));

    let mut how = SendFile::default();
    how.sha256 = true;
    let sending = match start_file(&sender, to, source, &how).await {
        Ok(sending) => sending,
        Err(error) => return Err(not_sent(None, &error, reporter)),
    };
    let sid = sending.sid().map(|sid| sid.as_str().to_owned());
    let mut track = Track::new(
        reporter,
        sid.as_deref().unwrap_or_default(),
        &name,
        Some(size),
    );
    let (sent, received) = tokio::join!(
        sending.run(|event| {
            // For people the trace says it.
            if reporter.is_json() || !matches!(event, bytestreams_tokio::Event::Accepted { .. }) {
                track.event(event);
            }
        }),
        receive(offers, store, reporter)
    );
    drop(track);
    let sent = sent.map_err(|error| not_sent(sid.as_deref(), &error, reporter))?;
    let received = received?;
    tokio::join!(link::close(&sender), link::close(&receiver));
    compare(&name, &sent, &received, reporter)
}

async fn links() -> Result<(Serverless, Serverless, SocketAddr), Failure> {
    let loopback = |e: io::Error| Failure::unconnected(format!("no loopback interface: {e}"));
    let listener = Listener::bind("127.0.0.1:0").await.map_err(loopback)?;
    let addr = listener.local_addr().map_err(loopback)?;
    let setup = Setup::default();
    let (here, there) = tokio::join!(connect(addr, &setup), listener.accept(&setup));
    Ok((here?, there.map_err(loopback)?, addr))
}

async fn receive(
    mut offers: Offers,
    store: &Store,
    reporter: &Reporter,
) -> Result<Received, Failure> {
    let Some(offer) = offers.next().await else {
        return Err(Failure::told(FAILED));
    };
    let sid = offer.sid().as_str().to_owned();
    if reporter.is_json() {
        reporter.event(&Event::Offered {
            sid: &sid,
            name: offer.file().name.as_deref(),
            size: offer.file().size,
            from: offer.from().as_str(),
            who: offer.from().as_str(),
        });
    }
    let mut how = ReceiveFile::default();
    how.sha256 = true;
    receive_file(offer, store, &how, |_| {})
        .await
        .map_err(|error: ReceiveError| {
            reporter.event(&Event::Failed {
                sid: Some(&sid),
                reason: &error.to_string(),
            });
            Failure::told(error.status())
        })
}

fn compare(
    name: &str,
    sent: &Sent,
    received: &Received,
    reporter: &Reporter,
) -> Result<(), Failure> {
    let equal = sent.sha256.is_some() && sent.sha256 == received.file.sha256;
    if reporter.is_json() {
        for (side, sha256, took) in [
            ("sender", sent.sha256, sent.took),
            ("receiver", received.file.sha256, received.took),
        ] {
            reporter.event(&Event::Done(Done {
                sid: sent.sid.as_str(),
                name,
                bytes: sent.octets,
                method: sent.method,
                via: sent.via,
                took,
                path: None,
                sha256,
                side: Some(side),
            }));
        }
    } else {
        let digits = |sha256: Option<[u8; 32]>| sha256.map_or_else(|| "-".into(), |h| hex(&h));
        reporter.say(&format!(
            "\nSHA-256 sent      {}\nSHA-256 received  {}",
            digits(sent.sha256),
            digits(received.file.sha256)
        ));
        if equal {
            reporter.say(&format!(
                "Equal: {} in {}.",
                octets(sent.octets),
                pace(sent.octets, sent.took)
            ));
        }
    }
    if equal {
        return Ok(());
    }
    Err(failed(&"what was received is not what was sent", reporter))
}

fn not_sent(sid: Option<&str>, error: &SendError, reporter: &Reporter) -> Failure {
    reporter.event(&Event::Failed {
        sid,
        reason: &error.to_string(),
    });
    Failure::told(error.status())
}

fn failed(error: &impl core::fmt::Display, reporter: &Reporter) -> Failure {
    reporter.event(&Event::Failed {
        sid: None,
        reason: &error.to_string(),
    });
    Failure::told(FAILED)
}

/// Writes octets that look random and are the same each time (xorshift64*).
fn pseudo_random(path: &Path) -> io::Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut octets = Vec::with_capacity(SIZE);
    while octets.len() < SIZE {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        octets.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    File::create(path)?.write_all(&octets)
}
