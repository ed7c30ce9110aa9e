//! What can be said on the command line.

use crate::proxy::Proxy;
use crate::upload::Upload;
use crate::upload_server::UploadServer;
use crate::ways::{ReceiveWays, SendWays};
use bytestreams_stanza::{Carrier, Jid};
use bytestreams_tokio::Window;
use clap::{Args, Parser, Subcommand, ValueEnum};
use core::num::NonZeroU16;
use std::path::PathBuf;

/// Sends and receives files over XMPP.
#[derive(Debug, Parser)]
#[command(
    name = "bytestreams",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  bytestreams demo README.md
  bytestreams receive --dir inbox --listen 127.0.0.1:5298 --accept any
  bytestreams send photo.jpg --to 127.0.0.1:5298

Exit status: 0 done, 1 transfer failed or cancelled, 2 usage, 3 declined,
4 could not connect or log in."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(Demo),
    Send(Send),
    Receive(Receive),
    Proxy(Proxy),
    Upload(Upload),
    UploadServer(UploadServer),
}

impl Command {
    /// Says whether programs read what it prints.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Demo(args) => args.json,
            Self::Send(args) => args.json,
            Self::Receive(args) => args.json,
            Self::Proxy(args) => args.json,
            Self::Upload(args) => args.json,
            Self::UploadServer(args) => args.json,
        }
    }
}

/// Runs both ends in this process, over a real XML stream on the loopback interface.
///
/// Prints the exchange in short and the SHA-256 of what was sent and of what was received.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The file to send; 8 MiB of pseudo-random octets without one.
    pub(crate) file: Option<PathBuf>,
    /// How the octets are to travel.
    #[arg(long, value_enum, default_value_t = MethodArg::Ibb)]
    pub(crate) method: MethodArg,
    /// Print one JSON object a line instead of sentences.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Sends a file and waits until the other side has it all.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bytestreams send photo.jpg --to 192.0.2.7:5298
  bytestreams send photo.jpg --to juliet@example.org/balcony --jid romeo@example.org \\
      --password-file secret.txt

An address as --to is a serverless stream: unauthenticated and in clear. Everyone on
the way can read and change the file.

The password is the first line of --password-file, or BYTESTREAMS_PASSWORD.")]
pub(crate) struct Send {
    /// The file.
    pub(crate) file: PathBuf,
    /// Whom to send it to: a JID, or HOST:PORT of a `receive --listen` (unauthenticated and in
    /// clear). A bare JID means its one available resource that takes files.
    #[arg(long, value_name = "JID|ADDR", value_parser = destination)]
    pub(crate) to: Destination,
    /// How the octets are to travel.
    #[arg(long, value_enum, default_value_t = MethodArg::Auto)]
    pub(crate) method: MethodArg,
    /// Open a bare stream without an offer, for programs that know nothing else. The other side
    /// learns neither name nor size.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) no_si: bool,
    /// The octets in one block, at least 256. By default 65535 towards bytestreams, 4096 towards
    /// others.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(256..))]
    pub(crate) block_size: Option<u16>,
    /// What carries the blocks.
    #[arg(long, value_enum, default_value_t = CarrierArg::Iq)]
    pub(crate) carrier: CarrierArg,
    /// How many blocks to have in flight: a number, or as many as the path takes without delay
    /// towards peers known to handle blocks in order, and one towards others.
    #[arg(long, value_name = "auto|N", default_value = "auto", value_parser = window)]
    pub(crate) window: Window,
    /// Let the other side ask for the rest of what it has. Reads the whole file for its MD5 first.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Compute the SHA-256.
    #[arg(long)]
    pub(crate) hash: bool,
    /// Print one JSON object a line instead of sentences.
    #[arg(long)]
    pub(crate) json: bool,
    // Behind the others, which would stand under their headings in the help.
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    #[command(flatten)]
    pub(crate) ways: SendWays,
}

/// Receives files into a directory.
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("link").required(true).multiple(false).args(["listen", "jid"]),
    after_help = "\
Examples:
  bytestreams receive --dir inbox --listen 127.0.0.1:5298 --accept any --once
  bytestreams receive --dir inbox --jid juliet@example.org --password-file secret.txt \\
      --accept romeo@example.org

--listen takes serverless streams: unauthenticated and in clear. Anyone who reaches the
address can offer a file under any name, and everyone on the way can read and change it.

Without --accept each offer is asked about on a terminal, and declined elsewhere.
Files are never overwritten: the second photo.jpg becomes \"photo (1).jpg\".

The password is the first line of --password-file, or BYTESTREAMS_PASSWORD."
)]
pub(crate) struct Receive {
    /// The directory that takes the files.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Listen for serverless streams at this address (unauthenticated and in clear); port 0 chooses
    /// a free one.
    #[arg(long, value_name = "ADDR", value_parser = host_and_port,
          conflicts_with_all = ["server", "tls", "password_file"])]
    pub(crate) listen: Option<String>,
    /// End after one file.
    #[arg(long)]
    pub(crate) once: bool,
    /// Whose files to accept without asking.
    #[arg(long, value_name = "any|JID,...", value_parser = accept)]
    pub(crate) accept: Option<Accept>,
    /// Decline what is larger.
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_size: Option<u64>,
    /// Take streams that come without an offer, and so without a name: the file is named by the
    /// stream.
    #[arg(long)]
    pub(crate) allow_unannounced: bool,
    /// Keep what came of a file when its transfer breaks, for 7 days, and ask for the rest when it
    /// is offered again with `send --resume`.
    #[arg(long)]
    pub(crate) resume: bool,
    /// How the octets are to travel.
    #[arg(long, value_enum, default_value_t = MethodArg::Auto)]
    pub(crate) method: MethodArg,
    /// Compute the SHA-256.
    #[arg(long)]
    pub(crate) hash: bool,
    /// Print one JSON object a line instead of sentences.
    #[arg(long)]
    pub(crate) json: bool,
    // Behind the others, as above.
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    #[command(flatten)]
    pub(crate) ways: ReceiveWays,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Account")]
pub(crate) struct AccountArgs {
    /// The account to use, with or without a resource.
    #[arg(long, value_parser = jid)]
    pub(crate) jid: Option<Jid>,
    /// The server to connect to, instead of what DNS says of the JID's domain.
    #[arg(long, value_name = "HOST:PORT", requires = "jid", value_parser = host_and_port)]
    pub(crate) server: Option<String>,
    /// Whether the connection is encrypted. Extra authorities are named by SSL_CERT_FILE.
    #[arg(long, value_enum, requires = "jid")]
    pub(crate) tls: Option<Tls>,
    /// A file whose first line is the password; otherwise it is taken from BYTESTREAMS_PASSWORD.
    #[arg(long, value_name = "FILE", requires = "jid")]
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tls {
    /// By TLS, with a certificate that is valid for the domain.
    Required,
    /// Not at all: everyone on the way can read the password and the files.
    InsecurePlaintext,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodArg {
    /// The best that both sides have: SOCKS5, and in band when that comes to nothing.
    Auto,
    /// Over a connection of its own, between the two sides or through a proxy (XEP-0065).
    Socks5,
    /// In band, through the server (XEP-0047).
    Ibb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CarrierArg {
    /// Each block is a request that is answered.
    Iq,
    /// Each block is a message.
    Message,
}

impl From<CarrierArg> for Carrier {
    fn from(carrier: CarrierArg) -> Self {
        match carrier {
            CarrierArg::Iq => Self::Iq,
            CarrierArg::Message => Self::Message,
        }
    }
}

/// Whom to send to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Destination {
    Jid(Jid),
    /// `HOST:PORT`
    Addr(String),
}

/// Whose files to accept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Accept {
    Any,
    From(Vec<Jid>),
}

impl Accept {
    /// Says whether a peer is on the list: by its full JID, or by any of its resources where the
    /// list has the bare one.
    pub(crate) fn covers(&self, peer: &Jid) -> bool {
        match self {
            Self::Any => true,
            Self::From(jids) => jids
                .iter()
                .any(|jid| jid == peer || (jid.is_bare() && jid.same_bare(peer))),
        }
    }
}

fn destination(text: &str) -> Result<Destination, String> {
    if let Ok(addr) = host_and_port(text) {
        return Ok(Destination::Addr(addr));
    }
    jid(text).map(Destination::Jid).map_err(|_| {
        "give a JID such as juliet@example.org/balcony, or HOST:PORT of a listening receiver".into()
    })
}

pub(crate) fn host_and_port(text: &str) -> Result<String, String> {
    let good = text.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let host_is_good = !host.is_empty()
            && !host.contains(['@', '/', ' '])
            && (bracketed || !host.contains(':'));
        let digits = port.bytes().all(|b| b.is_ascii_digit());
        host_is_good && digits && port.parse::<u16>().is_ok()
    });
    if good {
        Ok(text.to_owned())
    } else {
        Err("give HOST:PORT, such as 192.0.2.7:5298 or [2001:db8::7]:5298".into())
    }
}

pub(crate) fn jid(text: &str) -> Result<Jid, String> {
    bytestreams_tokio::prepare_jid(text).map_err(|e| e.to_string())
}

fn accept(text: &str) -> Result<Accept, String> {
    if text == "any" {
        return Ok(Accept::Any);
    }
    text.split(',')
        .map(|part| jid(part.trim()))
        .collect::<Result<_, _>>()
        .map(Accept::From)
        .map_err(|e| format!("{e}; give any, or JIDs with commas between them"))
}

fn window(text: &str) -> Result<Window, String> {
    if text == "auto" {
        return Ok(Window::Auto);
    }
    text.parse::<NonZeroU16>()
        .map(Window::Blocks)
        .map_err(|_| "give auto, or a number from 1 to 65535".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn addresses_and_jids_are_told_apart() {
        for addr in [
            "127.0.0.1:5298",
            "localhost:1",
            "[::1]:5298",
            "a.example:65535",
        ] {
            assert_eq!(destination(addr), Ok(Destination::Addr(addr.into())));
        }
        for text in [
            "juliet@example.org/balcony",
            "juliet@example.org",
            "example.org",
            "a@b/c:1",
        ] {
            assert!(
                matches!(destination(text), Ok(Destination::Jid(_))),
                "{text}"
            );
        }
        for text in ["", "@", "a@", ":1", "a b:1"] {
            assert!(destination(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_covers_resources_of_bare_jids_only() {
        let list = accept("romeo@example.org, juliet@example.org/balcony").unwrap();
        let covers = |text: &str| list.covers(&jid(text).unwrap());
        assert!(covers("romeo@example.org/orchard"));
        assert!(covers("Romeo@Example.org/orchard"));
        assert!(covers("juliet@example.org/balcony"));
        assert!(!covers("juliet@example.org/chamber"));
        assert!(!covers("mallory@example.org/x"));
        assert!(accept("romeo@example.org,,").is_err());
    }

    #[test]
    fn windows_are_numbers_or_auto() {
        assert_eq!(window("auto"), Ok(Window::Auto));
        assert_eq!(window("1"), Ok(Window::Blocks(NonZeroU16::MIN)));
        for text in ["0", "-1", "65536", "many", ""] {
            assert!(window(text).is_err(), "{text}");
        }
    }
}
