//! Throw-away Prosody and ejabberd on loopback.

use std::fmt;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{Process, command};
use crate::raw::RawClient;
use crate::tls::Certificates;
use crate::xml::Splitter;

/// The password of every account and the secret of every component.
pub const SECRET: &str = "secret";
/// The accounts that every server has.
pub const USERS: [&str; 3] = ["romeo", "juliet", "mallory"];

/// How long a server may take to start, before it is started anew.
const START: Duration = Duration::from_secs(60);

/// Which server, and how it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    kind: Kind,
    tls: bool,
    misnamed: bool,
    limited: bool,
    proxyless: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Prosody,
    Ejabberd,
}

/// Prosody without TLS and without limits; romeo and juliet are subscribed to each other.
pub const PROSODY: Setup = Setup {
    kind: Kind::Prosody,
    tls: false,
    misnamed: false,
    limited: false,
    proxyless: false,
};
/// ejabberd without TLS and without limits.
pub const EJABBERD: Setup = Setup {
    kind: Kind::Ejabberd,
    tls: false,
    misnamed: false,
    limited: false,
    proxyless: false,
};

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let security = if self.tls { "over TLS" } else { "in clear" };
        write!(f, "{:?} {security}", self.kind)
    }
}

impl Setup {
    /// Demands STARTTLS, with a certificate by an authority of the test's own.
    pub const fn tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// Gives the server a certificate by the trusted authority, but for another name.
    pub const fn misnamed(self) -> Self {
        Self {
            tls: true,
            misnamed: true,
            ..self
        }
    }

    /// Turns on the 10 kb/s that Debian's Prosody grants a client.
    pub const fn limited(self) -> Self {
        Self {
            limited: true,
            ..self
        }
    }

    /// Takes the server's own SOCKS5 proxy away.
    pub const fn proxyless(self) -> Self {
        Self {
            proxyless: true,
            ..self
        }
    }

    /// Starts the server and waits until it takes logins.
    pub fn start(self) -> Server {
        // Between choosing a free port and binding it, another program may take it.
        for _ in 0..2 {
            if let Some(server) = Server::try_start(self) {
                return server;
            }
        }
        Server::try_start(self).unwrap_or_else(|| panic!("{self:?} did not start three times over"))
    }
}

/// A running server: stopped, and its files removed, when dropped.
#[derive(Debug)]
pub struct Server {
    /// The domain of the accounts.
    pub domain: String,
    /// Where clients connect.
    pub clients: SocketAddr,
    /// Where XEP-0114 components connect.
    pub components: SocketAddr,
    /// The component that may connect there.
    pub component: String,
    /// Another component that may connect there, to be a domain with any number of users.
    pub users: String,
    /// The JID of the server's own SOCKS5 proxy (XEP-0065), unless it is without.
    pub proxy: String,
    /// The authority to trust, where the server has TLS.
    pub authority: Option<PathBuf>,
    process: Process,
    _dir: TempDir,
}

/// What a client needs to log in.
#[derive(Debug, Clone)]
pub struct Account {
    /// The JID, with a resource or without.
    pub jid: String,
    /// Where to connect.
    pub address: SocketAddr,
    /// The authority to trust; none means no TLS.
    pub authority: Option<PathBuf>,
}

impl Account {
    /// Goes by another address, a [`crate::DelayProxy`]'s say.
    pub fn through(&self, address: SocketAddr) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }
}

impl Server {
    /// Gives one of [`USERS`].
    pub fn account(&self, user: &str) -> Account {
        Account {
            jid: format!("{user}@{}", self.domain),
            address: self.clients,
            authority: self.authority.clone(),
        }
    }

    /// Gives the processor time that the server has used so far, in user and kernel mode.
    pub fn cpu_seconds(&self) -> f64 {
        self.process.cpu_seconds()
    }

    /// Gives what the server wrote.
    pub fn log(&self) -> String {
        self.process.log()
    }

    fn try_start(setup: Setup) -> Option<Self> {
        let dir = TempDir::with_prefix("bytestreams-interop-").expect("a temporary directory");
        let ports = Ports::free();
        let domain = match setup.kind {
            Kind::Prosody => "prosody.local",
            Kind::Ejabberd => "ejabberd.local",
        };
        let certificates = setup.tls.then(|| {
            Certificates::make(
                dir.path(),
                if setup.misnamed {
                    "elsewhere.local"
                } else {
                    domain
                },
            )
        });
        let process = match setup.kind {
            Kind::Prosody => start_prosody(dir.path(), &ports, setup, certificates.as_ref()),
            Kind::Ejabberd => start_ejabberd(dir.path(), &ports, setup, certificates.as_ref()),
        };
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Self {
            domain: domain.to_owned(),
            clients: local(ports.clients),
            components: local(ports.components),
            component: format!("relay.{domain}"),
            users: format!("users.{domain}"),
            proxy: format!("proxy.{domain}"),
            authority: certificates.map(|files| files.authority),
            process,
            _dir: dir,
        };
        server.wait_ready(setup).then_some(server)
    }

    fn wait_ready(&mut self, setup: Setup) -> bool {
        if setup.kind == Kind::Ejabberd
            && let Err(error) = self.process.try_line("accounts are there", START)
        {
            eprintln!(
                "ejabberd does not come up ({error}):\n{}",
                self.process.log()
            );
            return false;
        }
        let deadline = Instant::now() + START;
        loop {
            if self.process.ended() {
                eprintln!("the server ended while starting:\n{}", self.process.log());
                return false;
            }
            let ready = if setup.tls {
                offers_starttls(self.clients, &self.domain)
            } else {
                RawClient::try_login(&self.account("mallory"), "ready").is_ok()
            };
            if ready && TcpStream::connect(self.components).is_ok() {
                return true;
            }
            if Instant::now() > deadline {
                eprintln!("the server took no login:\n{}", self.process.log());
                return false;
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

fn offers_starttls(address: SocketAddr, domain: &str) -> bool {
    let attempt = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        let header = format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='{domain}'>"
        );
        socket.write_all(header.as_bytes())?;
        let mut splitter = Splitter::default();
        let mut buffer = [0; 4096];
        loop {
            let octets = std::io::Read::read(&mut socket, &mut buffer)?;
            splitter.push(&buffer[..octets]);
            while let Some(stanza) = splitter.next_stanza() {
                if stanza.has("features") {
                    return Ok(stanza.has("starttls"));
                }
            }
            if octets == 0 {
                return Ok(false);
            }
        }
    };
    attempt().unwrap_or(false)
}

struct Ports {
    clients: u16,
    components: u16,
    http: u16,
    proxy: u16,
}

impl Ports {
    fn free() -> Self {
        // All are held until the last is chosen, so that no two are the same.
        let held: Vec<_> = (0..4)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"))
            .collect();
        let port = |at: usize| held[at].local_addr().expect("bound").port();
        Self {
            clients: port(0),
            components: port(1),
            http: port(2),
            proxy: port(3),
        }
    }
}

fn write(path: &Path, text: &str) {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).expect("the scratch directory is ours");
    }
    fs::write(path, text).expect("the scratch directory is ours");
}

fn start_prosody(dir: &Path, ports: &Ports, setup: Setup, tls: Option<&Certificates>) -> Process {
    let program = crate::require("prosody", &["/usr/bin/prosody"], "apt-get install prosody");
    let host = dir.join("data/prosody%2elocal");
    for user in USERS {
        write(
            &host.join(format!("accounts/{user}.dat")),
            &format!("return {{ [\"password\"] = \"{SECRET}\"; }};\n"),
        );
    }
    for (user, contact) in [("romeo", "juliet"), ("juliet", "romeo")] {
        let roster = format!(
            "return {{ [false] = {{ [\"version\"] = 1; [\"pending\"] = {{}}; }}; \
             [\"{contact}@prosody.local\"] = {{ [\"subscription\"] = \"both\"; [\"groups\"] = {{}}; }}; }};\n"
        );
        write(&host.join(format!("roster/{user}.dat")), &roster);
    }
    let limits = if setup.limited { "\"limits\", " } else { "" };
    let starttls = if tls.is_some() { "\"tls\", " } else { "" };
    let no_tls = if tls.is_some() { "" } else { ", \"tls\"" };
    let ssl = tls.map_or_else(String::new, |files| {
        format!(
            "ssl = {{ key = \"{}\", certificate = \"{}\" }}\n",
            files.key.display(),
            files.certificate.display()
        )
    });
    let required = tls.is_some();
    let proxy65 = if setup.proxyless {
        ""
    } else {
        "Component \"proxy.prosody.local\" \"proxy65\"\n  \
         proxy65_address = \"127.0.0.1\"\n  proxy65_acl = { \"prosody.local\" }\n"
    };
    let Ports {
        clients,
        components,
        http,
        proxy,
    } = ports;
    let dir_text = dir.display();
    let config = format!(
        r#"run_as_root = true
daemonize = false
pidfile = "{dir_text}/prosody.pid"
data_path = "{dir_text}/data"
interfaces = {{ "127.0.0.1" }}
local_interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {clients} }}
c2s_direct_tls_ports = {{}}
component_ports = {{ {components} }}
http_ports = {{ {http} }}
https_ports = {{}}
proxy65_ports = {{ {proxy} }}
modules_enabled = {{ {limits}{starttls}"disco", "roster", "saslauth", "ping", "websocket", "bosh" }}
modules_disabled = {{ "s2s", "offline"{no_tls} }}
consider_websocket_secure = true
consider_bosh_secure = true
allow_unencrypted_plain_auth = true
c2s_require_encryption = {required}
authentication = "internal_plain"
storage = "internal"
limits = {{ c2s = {{ rate = "10kb/s" }} }}
log = {{ warn = "*console" }}
VirtualHost "prosody.local"
  http_host = "127.0.0.1"
  {ssl}
{proxy65}Component "relay.prosody.local"
  component_secret = "{SECRET}"
Component "users.prosody.local"
  component_secret = "{SECRET}"
"#
    );
    let path = dir.join("prosody.cfg.lua");
    write(&path, &config);
    Process::start(
        "prosody",
        command(program)
            .arg("-F")
            .arg("--config")
            .arg(path)
            .current_dir(dir),
    )
}

fn start_ejabberd(dir: &Path, ports: &Ports, setup: Setup, tls: Option<&Certificates>) -> Process {
    let erl = crate::require("erl", &["/usr/bin/erl"], "apt-get install ejabberd");
    let beams = ejabberd_beams();
    let Ports {
        clients,
        components,
        http,
        proxy,
    } = ports;
    let proxy65 = if setup.proxyless {
        String::new()
    } else {
        format!(
            "  mod_proxy65: {{ host: proxy.ejabberd.local, hostname: \"127.0.0.1\", name: \"SOCKS5 Bytestreams\", \
             ip: \"127.0.0.1\", port: {proxy}, access: all, max_connections: infinity, shaper: none }}\n"
        )
    };
    let listen_tls = if tls.is_some() {
        "starttls: true, starttls_required: true"
    } else {
        "starttls: false"
    };
    let certificates = tls.map_or_else(String::new, |files| {
        format!("\"{}\"", files.bundle.display())
    });
    let config = format!(
        r#"hosts: [ejabberd.local]
loglevel: warning
certfiles: [{certificates}]
listen:
  - {{ port: {clients}, ip: "127.0.0.1", module: ejabberd_c2s, max_stanza_size: 262144, shaper: none, access: all, {listen_tls} }}
  - {{ port: {components}, ip: "127.0.0.1", module: ejabberd_service, access: all, shaper: none, hosts: {{ relay.ejabberd.local: {{ password: "{SECRET}" }}, users.ejabberd.local: {{ password: "{SECRET}" }} }} }}
  - {{ port: {http}, ip: "127.0.0.1", module: ejabberd_http, request_handlers: {{ /websocket: ejabberd_http_ws, /bosh: mod_bosh }} }}
auth_method: internal
auth_password_format: plain
disable_sasl_mechanisms: []
acl: {{ local: {{ user_regexp: "" }} }}
access_rules: {{ local: {{ allow: local }} }}
shaper_rules: {{ max_user_sessions: 100, c2s_shaper: none, proxy65_shaper: none }}
modules:
  mod_bosh: {{}}
  mod_disco: {{}}
  mod_ping: {{}}
  mod_roster: {{}}
{proxy65}"#
    );
    let path = dir.join("ejabberd.yml");
    write(&path, &config);
    fs::create_dir_all(dir.join("mnesia")).expect("the scratch directory is ours");
    let users = USERS.map(|user| format!("<<\"{user}\">>")).join(", ");
    // `-s ejabberd` returns once the server is up; the accounts come right after.
    let accounts = format!(
        "[{{atomic, ok}} = case ejabberd_auth:try_register(U, <<\"ejabberd.local\">>, <<\"{SECRET}\">>) of ok -> {{atomic, ok}}; E -> E end \
         || U <- [{users}]], io:format(\"accounts are there~n\")."
    );
    let mut start = command(erl);
    start
        // Spinning while it waits for its disk, on a busy machine it takes half a minute to start.
        .args(["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"])
        .args(["+P", "250000", "-noinput", "-pa"])
        .arg(beams)
        .args(["-mnesia", "dir"])
        .arg(format!("\"{}\"", dir.join("mnesia").display()))
        .args(["-s", "ejabberd", "-eval", &accounts])
        .env("HOME", dir)
        .env("EJABBERD_CONFIG_PATH", path)
        .env("EJABBERD_LOG_PATH", dir.join("ejabberd.log"))
        .env("ERL_CRASH_DUMP", dir.join("erl_crash.dump"))
        .current_dir(dir);
    Process::start("ejabberd", &mut start)
}

fn ejabberd_beams() -> PathBuf {
    let libraries = fs::read_dir("/usr/lib").expect("/usr/lib");
    for library in libraries.flatten() {
        for entry in fs::read_dir(library.path()).into_iter().flatten().flatten() {
            let beams = entry.path().join("ebin");
            if entry.file_name().to_string_lossy().starts_with("ejabberd-")
                && beams.join("ejabberd.beam").exists()
            {
                return beams;
            }
        }
    }
    panic!(
        "ejabberd is missing: apt-get install ejabberd (and stop the service that its package starts)"
    );
}
