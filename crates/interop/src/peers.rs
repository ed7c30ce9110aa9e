//! Other people's clients: slixmpp, QXmpp, gloox and libpurple, each in a small program of `peers/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::process::{Process, command};
use crate::server::{Account, SECRET};

/// What a peer's program is to do, its JSON lines being like those of our own binary.
#[derive(Debug, Clone, Copy)]
pub enum Task<'a> {
    /// Take one file into this directory: slixmpp a bare stream, in band or by SOCKS5, the others an offer by SI.
    Receive(&'a Path),
    /// Send this file to a full JID, in blocks of that size where it goes in band.
    Send(&'a Path, &'a str, u16),
    /// Send this file to a full JID by SOCKS5 through the server's proxy: slixmpp only.
    SendSocks5(&'a Path, &'a str),
    /// Ping a full JID every half second, until killed: slixmpp only.
    Ping(&'a str),
}

impl Task<'_> {
    fn args(self) -> Vec<String> {
        let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        match self {
            Self::Receive(dir) => vec!["receive".into(), path(dir)],
            Self::Send(file, to, block_size) => {
                vec!["send".into(), path(file), to.into(), block_size.to_string()]
            }
            Self::SendSocks5(file, to) => vec!["send-socks5".into(), path(file), to.into()],
            Self::Ping(to) => vec!["ping".into(), to.into()],
        }
    }
}

/// Runs slixmpp with an account.
pub fn slixmpp(account: &Account, task: Task<'_>) -> Process {
    let mut python = command(python());
    python
        .arg(peers().join("slixmpp_peer.py"))
        .args(account_args(account))
        .args(task.args())
        .env("PYTHONUNBUFFERED", "1");
    if let Some(authority) = &account.authority {
        python.env("PEER_AUTHORITY", authority);
    }
    Process::start("slixmpp", &mut python)
}

/// The one way that a peer which knows SI is to go.
#[derive(Debug, Clone, Copy)]
pub enum Way<'a> {
    /// By IBB.
    InBand,
    /// By SOCKS5 without a proxy.
    Direct,
    /// By SOCKS5, and as a sender through that proxy only: its JID, to gloox `JID HOST PORT`.
    Through(&'a str),
    /// As it finds best, the only way that libpurple has.
    Any,
    /// None: it declines what it is offered.
    Decline,
}

impl<'a> Way<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::InBand => "ibb",
            Self::Direct => "direct",
            Self::Through(proxy) => proxy,
            Self::Any => "any",
            Self::Decline => "decline",
        }
    }
}

/// Runs QXmpp with an account.
pub fn qxmpp(account: &Account, task: Task<'_>, way: Way<'_>) -> Process {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| build("qxmpp", "libqxmpp-dev qtbase5-dev"));
    offers("qxmpp", program, account, task, way)
}

/// Runs gloox with an account.
pub fn gloox(account: &Account, task: Task<'_>, way: Way<'_>) -> Process {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| build("gloox", "libgloox-dev"));
    offers("gloox", program, account, task, way)
}

/// Runs libpurple, what Pidgin and Finch are made of, with an account.
pub fn purple(account: &Account, task: Task<'_>, way: Way<'_>) -> Process {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| build("purple", "libpurple-dev"));
    offers("purple", program, account, task, way)
}

fn offers(name: &str, program: &Path, account: &Account, task: Task<'_>, way: Way<'_>) -> Process {
    assert!(
        account.authority.is_none(),
        "the {name} peer speaks plaintext only"
    );
    let mut peer = command(program);
    peer.args(account_args(account))
        .args(task.args())
        .env("PEER_METHOD", way.text());
    Process::start(name, &mut peer)
}

fn account_args(account: &Account) -> [String; 4] {
    [
        account.jid.clone(),
        SECRET.to_owned(),
        account.address.ip().to_string(),
        account.address.port().to_string(),
    ]
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let python = crate::require(
            "python3",
            &["/usr/bin/python3"],
            "apt-get install python3 python3-pip",
        );
        let version =
            run(Command::new(&python).args(["-c", "import slixmpp; print(slixmpp.__version__)"]));
        let Some(version) = version else {
            panic!("slixmpp is missing: pip install slixmpp==1.17.0")
        };
        let mut parts = version
            .trim()
            .split('.')
            .map(|part| part.parse::<u32>().unwrap_or(0));
        assert!(
            (parts.next(), parts.next()) >= (Some(1), Some(17)),
            "slixmpp {version} is too old: pip install slixmpp==1.17.0"
        );
        python
    })
}

/// Builds the program of `peers/` of that name, and gives it.
fn build(name: &str, packages: &str) -> PathBuf {
    let advice = format!("apt-get install {packages} cmake g++ pkg-config");
    let cmake = crate::require("cmake", &["/usr/bin/cmake"], &advice);
    let build = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/peers")
        .join(name);
    let mut configure = Command::new(&cmake);
    configure.arg("-S").arg(peers().join(name));
    demand(configure.arg("-B").arg(&build).output(), name, &advice);
    let built = Command::new(&cmake).arg("--build").arg(&build).output();
    demand(built, name, &advice);
    build.join(format!("{name}-peer"))
}

fn demand(output: std::io::Result<Output>, name: &str, advice: &str) {
    let output = output.expect("cmake runs");
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    assert!(
        output.status.success(),
        "the peer {name} does not build; it needs: {advice}\n{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

fn run(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
