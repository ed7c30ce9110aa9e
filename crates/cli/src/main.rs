//! Sends and receives files over XMPP.
#![forbid(unsafe_code)]
#![expect(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "this program is of the standard library"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of the libraries are not exhaustive"
)]

mod account;
mod args;
mod ask;
mod demo;
mod escape;
mod failure;
mod link;
mod policy;
mod proxy;
mod receive;
mod report;
mod send;
mod stop;
mod trace;
mod track;
mod upload;
mod upload_server;
mod ways;

use args::{Cli, Command};
use clap::Parser;
use core::time::Duration;
use failure::{FAILED, Failure};
use report::Reporter;
use std::process::ExitCode;
use std::sync::Arc;
use stop::Stop;

/// How long threads that still write a file may take at the end.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.command.json();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            report::error(json, &format!("no runtime: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    // What is cancelled keeps or removes its partial file on a thread that may block. One that only
    // reads is not worth the wait.
    let patience = match cli.command {
        Command::Receive(_) | Command::UploadServer(_) => PATIENCE,
        Command::Send(_) | Command::Demo(_) | Command::Proxy(_) | Command::Upload(_) => {
            Duration::ZERO
        }
    };
    let result = runtime.block_on(run(cli.command, patience));
    runtime.shutdown_timeout(patience);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                report::error(json, &failure.message);
            }
            ExitCode::from(failure.status)
        }
    }
}

/// Runs the command. One that writes files drops them when it is told twice to stop, and has `patience`
/// for that; others end at once.
async fn run(command: Command, patience: Duration) -> Result<(), Failure> {
    let stop = Stop::watch()?;
    tokio::select! {
        result = carry_out(command, &stop) => result,
        () = stop.insisted(), if !patience.is_zero() => Err(Failure::told(FAILED)),
    }
}

async fn carry_out(command: Command, stop: &Stop) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => demo::run(&args, &Arc::new(Reporter::new(args.json)), stop).await,
        Command::Send(args) => send::run(&args, &Reporter::new(args.json), stop).await,
        Command::Receive(args) => {
            receive::run(&args, &Arc::new(Reporter::new(args.json)), stop).await
        }
        Command::Proxy(args) => proxy::run(&args, &Arc::new(Reporter::new(args.json)), stop).await,
        Command::Upload(args) => upload::run(&args, &Reporter::new(args.json), stop).await,
        Command::UploadServer(args) => {
            upload_server::run(&args, &Arc::new(Reporter::new(args.json)), stop).await
        }
    }
}
