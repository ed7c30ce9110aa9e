//! `bytestreams receive`

use crate::account::{account, announce};
use crate::args::{Accept, Receive};
use crate::ask::Asker;
use crate::escape::escape;
use crate::failure::{FAILED, Failure};
use crate::link;
use crate::policy::{Course, Policy};
use crate::report::{Event, Reporter};
use crate::stop::Stop;
use bytestreams_tokio::client::{self, Account};
use bytestreams_tokio::file::Store;
use bytestreams_tokio::link::{ConnectFailure, LinkError, StanzaLink};
use bytestreams_tokio::serverless::{Listener, Setup};
use bytestreams_tokio::{Endpoint, Offers, ReceiveFile};
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Links without a server at once: strangers can open them.
const LINKS: usize = 64;

/// Pauses between attempts to connect again.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// A connection that lived this long starts the pauses anew.
const STABLE: Duration = Duration::from_secs(60);

/// How long links may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A pause after the socket gave an error, such as too many open files.
const BREATH: Duration = Duration::from_millis(100);

pub(crate) async fn run(
    args: &Receive,
    reporter: &Arc<Reporter>,
    stop: &Stop,
) -> Result<(), Failure> {
    if args.listen.is_some() && matches!(args.accept, Some(Accept::From(_))) {
        return Err(Failure::usage(
            "--listen authenticates nobody, so JIDs in --accept mean nothing: \
             give --accept any, or leave it out to be asked",
        ));
    }
    let account = account(&args.account)?;
    let policy = Arc::new(policy(args, reporter, stop)?);
    let watch = tokio::spawn({
        let policy = policy.clone();
        async move {
            policy.stop.wanted().await;
            if policy.once {
                policy.course.set_outcome(Err(Failure::told(FAILED)));
            }
            policy.course.end();
        }
    });
    let result = match (&args.listen, &account) {
        (Some(addr), _) => listen(addr, &policy).await,
        (None, Some(account)) => stay_online(account, &policy).await,
        (None, None) => Err(Failure::usage("give --listen ADDR, or --jid JID")),
    };
    watch.abort();
    result.and_then(|()| policy.course.outcome())
}

fn policy(args: &Receive, reporter: &Arc<Reporter>, stop: &Stop) -> Result<Policy, Failure> {
    let store = Store::open(&args.dir).map_err(|e| {
        Failure::usage(format!(
            "{e}; give a directory that exists and can be written as --dir"
        ))
    })?;
    store.clean(SystemTime::now());
    if args.accept.is_none() && !reporter.can_ask() {
        reporter.complain("Nobody can be asked here, so every offer is declined: give --accept.");
    }
    let mut how = ReceiveFile::default();
    how.resume = args.resume;
    how.sha256 = args.hash;
    how.max_size = args.max_size;
    let (mut config, sockets) = args.ways.apply(args.method)?;
    config.allow_unannounced = args.allow_unannounced;
    Ok(Policy {
        store,
        accept: args.accept.clone(),
        once: args.once,
        max_size: args.max_size,
        how,
        config,
        sockets,
        reporter: reporter.clone(),
        stop: stop.clone(),
        asker: Asker::default(),
        course: Course::default(),
    })
}

/// Takes links without a server until all is over.
async fn listen(addr: &str, policy: &Arc<Policy>) -> Result<(), Failure> {
    let failed = |e| Failure::unconnected(format!("cannot listen on {}: {e}", escape(addr)));
    let listener = Listener::bind(addr).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?.to_string();
    policy.reporter.event(&Event::Listening { addr: &addr });
    let room = Arc::new(Semaphore::new(LINKS));
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            arrival = listener.next() => {
                let Ok(arrival) = arrival else {
                    sleep(BREATH).await;
                    continue;
                };
                let Ok(permit) = room.clone().try_acquire_owned() else {
                    continue;
                };
                let policy = policy.clone();
                links.spawn(async move {
                    let from = arrival.from();
                    let setup = Setup::default();
                    let link = tokio::select! {
                        link = arrival.set_up(&setup) => link,
                        () = policy.course.over() => return,
                    };
                    // One who does not speak XMPP is nobody's concern.
                    if let Ok(link) = link {
                        let (endpoint, offers) = endpoint(link, &policy);
                        serve(&endpoint, offers, Some(from), &policy).await;
                    }
                    drop(permit);
                });
            }
            Some(_) = links.join_next() => {}
            () = policy.course.over() => break,
        }
    }
    drop(listener);
    let _ = timeout(PATIENCE, async {
        while links.join_next().await.is_some() {}
    })
    .await;
    Ok(())
}

/// Keeps an account online until all is over.
async fn stay_online(account: &Account, policy: &Arc<Policy>) -> Result<(), Failure> {
    let mut pause = SHORTEST;
    let mut been_online = false;
    loop {
        let began = Instant::now();
        let link = tokio::select! {
            link = client::connect(account) => link,
            () = policy.course.over() => return Ok(()),
        };
        let lost = match link {
            Ok(link) => {
                been_online = true;
                let (endpoint, offers) = endpoint(link, policy);
                // One that has ended again by now is seen to be below.
                if announce(&endpoint).is_ok() {
                    policy.reporter.event(&Event::Online {
                        jid: endpoint.jid().as_str(),
                    });
                }
                serve(&endpoint, offers, None, policy).await;
                if policy.course.is_over() {
                    return Ok(());
                }
                let why = endpoint.closed().await;
                if is_replaced(&why) {
                    return Err(Failure::unconnected(format!(
                        "another program has logged in as {}; give one of the two another \
                         resource: --jid USER@DOMAIN/RESOURCE",
                        endpoint.jid().as_str()
                    )));
                }
                if policy.once {
                    return Err(Failure::unconnected(format!("the link has ended: {why}")));
                }
                why.to_string()
            }
            Err(failure) => {
                let hopeless = matches!(failure, ConnectFailure::Auth(_));
                if !been_online || policy.once || hopeless {
                    return Err(failure.into());
                }
                failure.to_string()
            }
        };
        if began.elapsed() >= STABLE {
            pause = SHORTEST;
        }
        policy.reporter.complain(&format!(
            "Offline: {}. Connecting again in {} s.",
            escape(&lost),
            pause.as_secs()
        ));
        tokio::select! {
            () = sleep(pause) => {}
            () = policy.course.over() => return Ok(()),
        }
        pause = (pause * 2).min(LONGEST);
    }
}

/// Says whether the server took the resource away for another program, which a new login would drive
/// out in turn (RFC 6120, 4.9.3.3).
fn is_replaced(why: &LinkError) -> bool {
    matches!(why, LinkError::Stream(error) if &*error.condition == "conflict")
}

fn endpoint(link: impl StanzaLink, policy: &Policy) -> (Endpoint, Offers) {
    Endpoint::spawn_with(link, policy.config.clone(), policy.sockets.clone())
}

/// Sees to the offers on one link until it ends or all is over.
async fn serve(
    endpoint: &Endpoint,
    mut offers: Offers,
    address: Option<SocketAddr>,
    policy: &Arc<Policy>,
) {
    let mut transfers = JoinSet::new();
    loop {
        tokio::select! {
            offer = offers.next() => {
                let Some(offer) = offer else { break };
                let policy = policy.clone();
                transfers.spawn(async move { policy.handle(offer, address).await });
            }
            Some(_) = transfers.join_next() => {}
            () = policy.course.over() => break,
        }
    }
    drop(offers);
    while transfers.join_next().await.is_some() {}
    link::close(endpoint).await;
}
