//! The programs of `examples/`.

use crate::{LOGIN, Process, Server};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// An example to run.
#[derive(Debug)]
pub struct Example {
    name: &'static str,
    command: Command,
}

impl Example {
    /// Takes the example of that name; the examples are built if need be.
    pub fn new(name: &'static str) -> Self {
        let command = crate::process::command(built().join(name));
        Self { name, command }
    }

    /// Adds arguments, split at white space.
    pub fn args(mut self, args: &str) -> Self {
        self.command.args(args.split_whitespace());
        self
    }

    /// Adds a path.
    pub fn path(mut self, path: &Path) -> Self {
        self.command.arg(path);
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.command.env(name, value.as_ref());
        self
    }

    /// Has it be a component of the server.
    pub fn component(self, jid: &str, server: &Server) -> Self {
        self.args(&format!("component {jid} {}", server.components))
            .env("BYTESTREAMS_SECRET", crate::server::SECRET)
    }

    /// Runs it.
    pub fn start(mut self) -> Process {
        Process::start(self.name, &mut self.command)
    }

    /// Runs it until it says that it is online; answers its address too.
    pub fn online(self) -> (Process, String) {
        let mut process = self.start();
        let line = process.line("online as ", LOGIN);
        let jid = line.rsplit(' ').next().unwrap_or_default().to_owned();
        (process, jid)
    }
}

/// Where the examples are.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args([
                "build",
                "--quiet",
                "-p",
                "bytestreams-examples",
                "--examples",
            ])
            .current_dir(&root)
            .env_remove("CARGO_TARGET_DIR")
            .status()
            .expect("cargo runs");
        assert!(status.success(), "building the examples failed");
        root.join("target/debug/examples")
    })
}
