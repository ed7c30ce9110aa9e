//! `bytestreams send`

use crate::account::{account, announce, resolve};
use crate::args::{Destination, Send};
use crate::failure::{Cause, FAILED, Failure};
use crate::link;
use crate::report::{Done, Event, Reporter};
use crate::stop::Stop;
use crate::track::Track;
use bytestreams_stanza::Jid;
use bytestreams_tokio::file::{Source, SourceError};
use bytestreams_tokio::serverless::{self, Setup};
use bytestreams_tokio::{Endpoint, Options, SendError, SendFile, Sending, client, start_file};
use core::num::NonZeroU16;
use std::path::Path;

pub(crate) async fn run(args: &Send, reporter: &Reporter, stop: &Stop) -> Result<(), Failure> {
    let source = open(&args.file)?;
    let (endpoint, to) = tokio::select! {
        connected = connect(args, reporter) => connected?,
        () = stop.wanted() => return Err(cancelled(None, reporter)),
    };
    let result = deliver(args, &endpoint, to, source, reporter, stop).await;
    link::close(&endpoint).await;
    result
}

/// Opens what is to be sent.
pub(crate) fn open(path: &Path) -> Result<Source, Failure> {
    if path == Path::new("-") {
        return Err(Failure::usage(
            "standard input has no name and no size to offer; write it to a file first",
        ));
    }
    Source::open(path).map_err(|error| {
        let hint = match &error {
            SourceError::Directory(_) => "; pack it first, for example with tar or zip",
            SourceError::NotRegular(_) => "; copy it to a file first",
            _ => "",
        };
        Failure::usage(format!("{error}{hint}"))
    })
}

async fn connect(args: &Send, reporter: &Reporter) -> Result<(Endpoint, Jid), Failure> {
    let server = matches!(args.to, Destination::Jid(_));
    let (config, sockets) = args.ways.apply(args.method, server)?;
    let methods = config.methods.clone();
    match (&args.to, account(&args.account)?) {
        (Destination::Addr(addr), None) => {
            let link = serverless::connect(addr.as_str(), &Setup::default()).await?;
            let to = link.peer().clone();
            let (endpoint, _) = Endpoint::spawn_with(link, config, sockets);
            Ok((endpoint, to))
        }
        (Destination::Jid(to), Some(account)) => {
            let link = client::connect(&account).await?;
            let (endpoint, _) = Endpoint::spawn_with(link, config, sockets);
            let mut others = endpoint.others();
            announce(&endpoint)?;
            reporter.event(&Event::Online {
                jid: endpoint.jid().as_str(),
            });
            let to = if to.is_bare() && to.local().is_some() {
                resolve(&endpoint, &mut others, to, &methods, args.no_si).await?
            } else {
                to.clone()
            };
            Ok((endpoint, to))
        }
        (Destination::Addr(_), Some(_)) => Err(Failure::usage(
            "--to ADDR is a stream without a server and without an account: leave --jid out, or give a JID as --to",
        )),
        (Destination::Jid(_), None) => Err(Failure::usage(
            "--to JID needs an account: give --jid JID and its password, or HOST:PORT of a listening receiver as --to",
        )),
    }
}

async fn deliver(
    args: &Send,
    endpoint: &Endpoint,
    to: Jid,
    source: Source,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<(), Failure> {
    let name = source.name().to_owned();
    let size = source.size();
    let how = how(args);
    let sending = tokio::select! {
        sending = start_file(endpoint, to, source, &how) => sending,
        () = stop.wanted() => return Err(cancelled(None, reporter)),
    };
    let sending = match sending {
        Ok(sending) => sending,
        Err(error) => return Err(failed(None, &error, reporter)),
    };
    follow(sending, &name, size, reporter, stop).await
}

async fn follow(
    sending: Sending,
    name: &str,
    size: u64,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<(), Failure> {
    let sid = sending.sid().map(|sid| sid.as_str().to_owned());
    let mut track = Track::new(
        reporter,
        sid.as_deref().unwrap_or_default(),
        name,
        Some(size),
    );
    let result = tokio::select! {
        result = sending.run(|event| track.event(event)) => Some(result),
        () = stop.wanted() => None,
    };
    match result {
        Some(Ok(sent)) => {
            track.end(&Event::Done(Done {
                sid: sent.sid.as_str(),
                name,
                bytes: sent.octets,
                via: sent.via,
                method: sent.method,
                took: sent.took,
                path: None,
                sha256: sent.sha256,
                side: None,
            }));
            Ok(())
        }
        Some(Err(error)) => {
            drop(track);
            Err(failed(sid.as_deref(), &error, reporter))
        }
        None => {
            drop(track);
            Err(cancelled(sid.as_deref(), reporter))
        }
    }
}

fn failed(sid: Option<&str>, error: &SendError, reporter: &Reporter) -> Failure {
    reporter.event(&Event::Failed {
        sid,
        reason: &error.words(),
    });
    Failure::told(error.status())
}

/// Tells that a person stopped it.
pub(crate) fn cancelled(sid: Option<&str>, reporter: &Reporter) -> Failure {
    reporter.event(&Event::Failed {
        sid,
        reason: "cancelled",
    });
    Failure::told(FAILED)
}

fn how(args: &Send) -> SendFile {
    let mut options = Options::default();
    options.block_size = args.block_size.and_then(NonZeroU16::new);
    options.carrier = args.carrier.into();
    options.window = args.window;
    let mut how = SendFile::default();
    how.options = options;
    how.unannounced = args.no_si;
    how.resumable = args.resume;
    how.sha256 = args.hash;
    how
}
