//! The `bytestreams` binary under test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::process::{Process, command};
use crate::server::{Account, SECRET, Server};

/// A command line of `bytestreams`, always with `--json`.
#[derive(Debug)]
pub struct Cli {
    name: String,
    command: Command,
}

impl Cli {
    /// Starts a command line with a subcommand.
    pub fn new(subcommand: &str) -> Self {
        let mut command = command(binary());
        command.args([subcommand, "--json"]);
        for name in [
            "SSL_CERT_DIR",
            "SSL_CERT_FILE",
            "BYTESTREAMS_PASSWORD",
            "BYTESTREAMS_SECRET",
        ] {
            command.env_remove(name);
        }
        Self {
            name: format!("bytestreams {subcommand}"),
            command,
        }
    }

    /// `receive` into `dir`, with `--accept any`.
    pub fn receive(dir: &Path) -> Self {
        Self::new("receive")
            .arg("--dir")
            .arg(dir)
            .arg("--accept")
            .arg("any")
    }

    /// `send` of `file` to a JID or a socket address.
    pub fn send(file: &Path, to: impl AsRef<str>) -> Self {
        Self::new("send").arg(file).arg("--to").arg(to.as_ref())
    }

    /// `proxy` as the component of a server, on a free port of loopback.
    pub fn proxy(server: &Server) -> Self {
        Self::new("proxy")
            .arg("--component")
            .arg(&server.component)
            .arg("--server")
            .arg(server.components.to_string())
            .args("--listen 127.0.0.1:0 --host 127.0.0.1")
            .env("BYTESTREAMS_SECRET", SECRET)
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments, parted by white space.
    pub fn args(mut self, args: &str) -> Self {
        self.command.args(args.split_whitespace());
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Logs in with an account; TLS where it names an authority.
    pub fn account(self, account: &Account) -> Self {
        let cli = self
            .arg("--jid")
            .arg(&account.jid)
            .arg("--server")
            .arg(account.address.to_string())
            .env("BYTESTREAMS_PASSWORD", SECRET);
        match &account.authority {
            Some(authority) => cli.args("--tls required").env("SSL_CERT_FILE", authority),
            None => cli.args("--tls insecure-plaintext"),
        }
    }

    /// Runs it by another program, which is given the arguments and behind them the command line so far.
    pub fn under(self, program: &str, args: &[&str]) -> Self {
        let mut outer = command(program);
        outer
            .args(args)
            .args([self.command.get_program()])
            .args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        Self {
            command: outer,
            ..self
        }
    }

    /// Runs it.
    pub fn start(mut self) -> Process {
        Process::start(&self.name, &mut self.command)
    }
}

/// Gives the binary: `BYTESTREAMS_BIN`, or this tree's, which is built if need be.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("BYTESTREAMS_BIN") {
            let path = PathBuf::from(path);
            assert!(
                path.is_file(),
                "BYTESTREAMS_BIN names no file: {}",
                path.display()
            );
            return path;
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--release", "--quiet", "-p", "bytestreams-cli"])
            .current_dir(&root)
            .env_remove("CARGO_TARGET_DIR")
            .status()
            .expect("cargo runs");
        assert!(status.success(), "building bytestreams-cli failed");
        root.join("target/release/bytestreams")
    })
}
