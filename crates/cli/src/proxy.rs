//! `bytestreams proxy`

mod args;

pub(crate) use args::Proxy;

use crate::account::secret;
use crate::escape::{escape, json_string};
use crate::failure::{FAILED, Failure};
use crate::report::{Object, Reporter, octets};
use crate::stop::Stop;
use bytestreams_tokio::proxy::{
    Allowed, Config, Event, Handle, Login, Server, raise_open_files, serve_metrics,
};
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpListener;

/// How often errors of the listening socket are told at most.
const PACE: Duration = Duration::from_secs(60);

pub(crate) async fn run(
    args: &Proxy,
    reporter: &Arc<Reporter>,
    stop: &Stop,
) -> Result<(), Failure> {
    let secret = secret(
        args.secret_file.as_deref(),
        "--secret-file",
        "BYTESTREAMS_SECRET",
        "secret",
    )?;
    let config = config(args)?;
    let whom = match &config.bounds.allowed {
        Allowed::Any => "everybody".to_owned(),
        Allowed::Domains(domains) => format!("users of {}", domains.join(", ")),
    };
    let limit = raise_open_files();
    let unheard = |addr: &str| {
        let addr = escape(addr);
        move |e| Failure::unconnected(format!("cannot listen on {addr}: {e}"))
    };
    let server = Server::bind(&*args.listen, config)
        .await
        .map_err(unheard(&args.listen))?;
    let handle = server.handle();
    let metrics = match &args.metrics {
        Some(addr) => Some(metrics(addr, &handle).await.map_err(unheard(addr))?),
        None => None,
    };
    let addr = server.local_addr();
    reporter.either(
        Object::new("listening")
            .text("addr", &addr.to_string())
            .maybe("metrics", metrics.as_deref().map(json_string)),
        &format!(
            "Listening on {addr}; clients are told {} port {}.",
            escape(&args.host),
            addr.port()
        ),
    );
    if let (Some(limit), true) = (limit, server.bounds().sessions < asked(args)) {
        reporter.complain(&format!(
            "Only {} sessions at once, since this process may have {limit} files open: \
             raise that limit (LimitNOFILE=, ulimit -Hn) for more.",
            server.bounds().sessions
        ));
    }
    let watch = tokio::spawn({
        let (stop, handle, reporter) = (stop.clone(), handle.clone(), reporter.clone());
        async move {
            stop.wanted().await;
            let active = handle.stats().active;
            reporter.say(&format!("Stopping. Sessions still running: {active}."));
            handle.stop();
            stop.insisted().await;
            handle.halt();
        }
    });
    let login = Login::new(&*args.server, secret);
    let teller = teller(args.component.as_str().to_owned(), whom, reporter.clone());
    let outcome = server.run(login, teller).await;
    watch.abort();
    let cut = outcome?.cut;
    let (sessions, moved) = (handle.stats().activated, handle.octets());
    reporter.either(
        Object::new("stopped")
            .value("sessions", sessions)
            .value("bytes", moved)
            .value("cut", cut),
        &format!(
            "Stopped. Relayed {} in {sessions} sessions; cut off: {cut}.",
            octets(moved)
        ),
    );
    if cut > 0 {
        return Err(Failure::told(FAILED));
    }
    Ok(())
}

fn asked(args: &Proxy) -> usize {
    usize::try_from(args.max_sessions.get()).unwrap_or(usize::MAX)
}

fn config(args: &Proxy) -> Result<Config, Failure> {
    let size = |n: core::num::NonZeroU32| usize::try_from(n.get()).unwrap_or(usize::MAX);
    let mut config = Config::new(args.component.clone(), args.host.clone());
    let bounds = &mut config.bounds;
    if args.allow_any {
        bounds.allowed = Allowed::Any;
    } else if !args.allow.is_empty() {
        bounds.allowed = Allowed::Domains(args.allow.clone());
    } else if bounds.allowed == Allowed::Domains(Vec::new()) {
        return Err(Failure::usage(format!(
            "{} has no domain above it: say whom to serve with --allow DOMAIN",
            escape(args.component.as_str())
        )));
    }
    bounds.sessions = asked(args);
    bounds.sessions_a_jid = size(args.max_sessions_a_user);
    bounds.connections_a_source = size(args.max_connections_a_source);
    // Two a session, and as many again that wait or are strangers'.
    bounds.connections = bounds.connections.max(bounds.sessions.saturating_mul(4));
    config.idle = Duration::from_secs(args.idle.get());
    config.drain = Duration::from_secs(args.drain);
    Ok(config)
}

/// Tells the state at an address until the program ends; answers where.
async fn metrics(addr: &str, handle: &Handle) -> std::io::Result<String> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?.to_string();
    tokio::spawn(serve_metrics(listener, handle.clone()));
    Ok(addr)
}

fn teller(
    jid: String,
    whom: String,
    reporter: Arc<Reporter>,
) -> impl FnMut(Event) + Send + 'static {
    let mut complained: Option<Instant> = None;
    move |event| match event {
        Event::Online => reporter.either(
            Object::new("online").text("jid", &jid),
            &format!("Online as {}, for {}.", escape(&jid), escape(&whom)),
        ),
        Event::Offline { why, again_in } => {
            let (why, seconds) = (why.to_string(), again_in.as_secs());
            if reporter.is_json() {
                reporter.object(
                    Object::new("offline")
                        .text("reason", &why)
                        .value("again_in", seconds),
                );
            } else {
                reporter.complain(&format!(
                    "Offline: {}. Connecting again in {seconds} s; sessions go on.",
                    escape(&why)
                ));
            }
        }
        // Who sends files to whom is told to programs only, who ask for it.
        Event::Activated {
            session,
            requester,
            target,
        } if reporter.is_json() => reporter.object(
            Object::new("activated")
                .text("session", session.as_str())
                .text("requester", requester.as_str())
                .text("target", target.as_str()),
        ),
        Event::Ended {
            session,
            took,
            relayed,
        } if reporter.is_json() => reporter.object(
            Object::new("ended")
                .text("session", session.as_str())
                .value("bytes", relayed.octets.iter().sum::<u64>())
                .value("seconds", format!("{:.6}", took.as_secs_f64()))
                .text("how", &relayed.end.to_string()),
        ),
        Event::AcceptFailed(error) if complained.is_none_or(|before| before.elapsed() >= PACE) => {
            complained = Some(Instant::now());
            let why = error.to_string();
            if reporter.is_json() {
                reporter.object(Object::new("accept-failed").text("reason", &why));
            } else {
                reporter.complain(&format!("Cannot take a connection: {}.", escape(&why)));
            }
        }
        _ => {}
    }
}
