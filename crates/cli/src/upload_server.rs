//! `bytestreams upload-server`

use crate::args::host_and_port;
use crate::escape::escape;
use crate::failure::{FAILED, Failure};
use crate::report::{Object, Reporter, octets, pace};
use crate::stop::Stop;
use bytestreams_tokio::proxy::raise_open_files;
use bytestreams_upload::{
    BindError, Config, Event, Origin, Passwords, Server, Tls, UploadId, hash_password,
};
use clap::Args;
use core::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use core::time::Duration;
use std::io::{BufRead, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest file of passwords.
const PASSWORDS: u64 = 16 << 20;

/// Takes files that browsers and programs upload over a WebSocket, and serves a page for it at `/`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bytestreams upload-server --listen 127.0.0.1:8080 --dir inbox
  bytestreams upload-server --hash-password            (type the password, get its hash)
  bytestreams upload-server --listen '[::]:8443' --dir inbox --auth logins.txt \\
      --tls-cert chain.pem --tls-key key.pem

Without --auth everyone who reaches the address can upload. --auth names a file with one
LOGIN:HASH a line; --hash-password makes the hashes (Argon2id).

Without --tls-cert the server speaks plain HTTP: passwords and files are in clear, unless a
reverse proxy speaks TLS in front of it. With --trust-proxy it believes the last address in
X-Forwarded-For, and X-Forwarded-Proto: only where nobody reaches it but through the proxy.
The proxy must pass Upgrade, Connection and Host on, at any path.

Programs may upload from anywhere; pages from this host, and from each --origin.

Files are never overwritten: the second photo.jpg becomes \"photo (1).jpg\", or is refused
with --no-rename. A block is answered when it is written, the last one when the file is on
the disk and in place.

The first Ctrl-C or SIGTERM takes no more uploads and gives those that run --grace seconds,
the second ends at once.")]
pub(crate) struct UploadServer {
    /// Listen at this address; port 0 chooses a free one.
    #[arg(long, value_name = "ADDR", value_parser = host_and_port, required_unless_present = "hash_password")]
    pub(crate) listen: Option<String>,
    /// The directory that takes the files.
    #[arg(long, required_unless_present = "hash_password")]
    pub(crate) dir: Option<PathBuf>,
    /// Refuse what is larger.
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_size: Option<u64>,
    /// Refuse blocks that are larger.
    #[arg(long, value_name = "BYTES", default_value = "1048576", value_parser = clap::value_parser!(u32).range(1..=1 << 28))]
    pub(crate) max_block: u32,
    /// Who may upload: a file with LOGIN:HASH a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) auth: Option<PathBuf>,
    /// Let pages of this origin upload, such as `https://example.org`, beside the server's own.
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Vec<Origin>,
    /// Refuse a file whose name there is already.
    #[arg(long)]
    pub(crate) no_rename: bool,
    /// Believe X-Forwarded-For and X-Forwarded-Proto.
    #[arg(long)]
    pub(crate) trust_proxy: bool,
    /// The certificates of the server, its own first (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of its certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Uploads at once.
    #[arg(long, value_name = "N", default_value = "512")]
    pub(crate) max_uploads: NonZeroUsize,
    /// Uploads at once from one address.
    #[arg(long, value_name = "N", default_value = "256")]
    pub(crate) max_uploads_a_source: NonZeroUsize,
    /// How long a client may be silent in the middle of an upload.
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub(crate) idle: NonZeroU64,
    /// How long uploads may go on once the server is to stop.
    #[arg(long, value_name = "SECONDS", default_value = "10")]
    pub(crate) grace: u64,
    /// Read a password from standard input, print its hash for --auth, and end.
    #[arg(long, exclusive = true)]
    pub(crate) hash_password: bool,
    /// Print one JSON object a line instead of sentences.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) async fn run(
    args: &UploadServer,
    reporter: &Arc<Reporter>,
    stop: &Stop,
) -> Result<(), Failure> {
    if args.hash_password {
        return hash();
    }
    // The parser asks for both.
    let (Some(listen), Some(dir)) = (&args.listen, &args.dir) else {
        return Err(Failure::usage("give --listen ADDR and --dir DIR"));
    };
    let config = config(args)?;
    let tls = config.tls.is_some();
    raise_open_files();
    let server = Server::bind(listen.as_str(), dir, config).await;
    let server = server.map_err(|error| match error {
        BindError::Listen(e) => {
            Failure::unconnected(format!("cannot listen on {}: {e}", escape(listen)))
        }
        BindError::Store(e) => Failure::usage(format!(
            "{e}; give a directory that exists and can be written as --dir"
        )),
        error => Failure::usage(error.to_string()),
    })?;
    let addr = server.local_addr();
    let page = format!("{}://{addr}/", if tls { "https" } else { "http" });
    let open = if args.auth.is_some() {
        ""
    } else {
        " Everyone who reaches it may upload."
    };
    reporter.either(
        Object::new("listening")
            .text("addr", &addr.to_string())
            .text("url", &page),
        &format!("Listening: {page}.{open}"),
    );
    let told = reporter.clone();
    server
        .run(stop.wanted(), move |event| tell(&told, event))
        .await;
    Ok(())
}

fn config(args: &UploadServer) -> Result<Config, Failure> {
    let mut config = Config::default();
    config.max_size = args.max_size;
    config.passwords = args.auth.as_deref().map(passwords).transpose()?;
    config.origins.clone_from(&args.origin);
    config.exact_names = args.no_rename;
    config.trust_proxy = args.trust_proxy;
    if let (Some(chain), Some(key)) = (&args.tls_cert, &args.tls_key) {
        let tls = Tls::from_pem_files(chain, key);
        config.tls = Some(tls.map_err(|e| Failure::usage(e.to_string()))?);
    }
    let bounds = &mut config.bounds;
    bounds.uploads = args.max_uploads.get();
    bounds.uploads_a_source = args.max_uploads_a_source.get();
    // As many again that ask for the page, or have not said what they want.
    bounds.connections = bounds.uploads.saturating_mul(2);
    bounds.connections_a_source = bounds.uploads_a_source.saturating_mul(2);
    bounds.block = NonZeroU32::new(args.max_block).unwrap_or(bounds.block);
    bounds.idle = Duration::from_secs(args.idle.get());
    bounds.grace = Duration::from_secs(args.grace);
    Ok(config)
}

fn passwords(path: &Path) -> Result<Passwords, Failure> {
    let failed = |why: String| Failure::usage(format!("{}: {why}", path.display()));
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(PASSWORDS).read_to_string(&mut text))
        .map_err(|e| Failure::usage(format!("cannot read {}: {e}", path.display())))?;
    text.parse()
        .map_err(|e| failed(format!("{e}; --hash-password makes the hash of a password")))
}

/// Prints the hash of the password in the first line of standard input.
fn hash() -> Result<(), Failure> {
    let mut line = String::new();
    let read = std::io::stdin().lock().take(4096).read_line(&mut line);
    read.map_err(|e| Failure::usage(format!("cannot read standard input: {e}")))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::usage("give the password on standard input"));
    }
    let hash = hash_password(password.as_bytes()).map_err(|e| Failure {
        status: FAILED,
        message: e.to_string(),
    })?;
    writeln!(std::io::stdout(), "{hash}").map_err(|e| Failure {
        status: FAILED,
        message: format!("cannot write the hash: {e}"),
    })
}

fn tell(reporter: &Reporter, event: Event) {
    let sid = |id: Option<UploadId>| id.map(|id| format!("\"{id}\""));
    match event {
        Event::Requested { id, peer, request } => {
            let mut object = Object::new("offered")
                .maybe("sid", sid(Some(id)))
                .text("name", &request.name)
                .value("size", request.size)
                .text("from", &peer.addr.to_string());
            let who = match &peer.login {
                Some(login) => {
                    object = object.text("login", login);
                    format!("{} ({})", escape(login), peer.addr)
                }
                None => peer.addr.to_string(),
            };
            reporter.either(
                object,
                &format!(
                    "{who} uploads \"{}\", {}.",
                    escape(&request.name),
                    octets(request.size)
                ),
            );
        }
        Event::Stored {
            id,
            path,
            size,
            took,
        } => {
            let path = path.to_string_lossy();
            reporter.either(
                Object::new("done")
                    .maybe("sid", sid(Some(id)))
                    .value("bytes", size)
                    .text("method", "websocket")
                    .value("seconds", format!("{:.6}", took.as_secs_f64()))
                    .text("path", &path),
                &format!(
                    "Received {}: {}, {}.",
                    escape(&path),
                    octets(size),
                    pace(size, took)
                ),
            );
        }
        Event::Failed { id, peer, failure } => {
            let words = failure.to_string();
            if reporter.is_json() {
                reporter.object(
                    Object::new("failed")
                        .maybe("sid", sid(id))
                        .text("from", &peer.addr.to_string())
                        .text("reason", &words),
                );
            } else {
                reporter.complain(&format!("Failed, {}: {}.", peer.addr, escape(&words)));
            }
        }
        Event::AcceptFailed(error) => {
            reporter.complain(&format!("Cannot take a connection: {error}."));
        }
        _ => {}
    }
}
