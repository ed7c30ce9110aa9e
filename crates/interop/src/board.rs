//! A microcontroller: the firmware of `examples/bare-metal` under QEMU, and the cables to it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use crate::process::{Process, command};
use crate::require;

/// A board that runs, with what it tells as the output of its process.
#[derive(Debug)]
pub struct Board {
    /// QEMU; its output is what the board tells.
    pub console: Process,
    /// To the UART on which the board waits for streams.
    pub inbound: Cable,
    /// From the UART on which it begins one.
    pub outbound: Cable,
}

impl Board {
    /// Turns a board on. Whoever connects to its inbound cable talks to it; its outbound cable leads to `receiver`.
    pub fn start(receiver: SocketAddr) -> Self {
        let qemu = require("qemu-system-arm", &[], "apt-get install qemu-system-arm");
        let serial = |listener: &TcpListener| format!("tcp:{}", address(listener));
        let sockets = [listen(), listen()];
        let mut command = command(qemu);
        command
            .args(["-machine", "lm3s6965evb", "-display", "none"])
            .args(["-monitor", "none", "-kernel"])
            .arg(firmware())
            .args(sockets.iter().flat_map(|s| ["-serial".into(), serial(s)]))
            .args(["-serial", "stdio"]);
        let mut console = Process::start("the board", &mut command);
        let [inbound, outbound] = sockets.map(|socket| socket.accept().expect("QEMU").0);
        console.line("ready", Duration::from_secs(30));
        Self {
            console,
            inbound: Cable::start(inbound, None),
            outbound: Cable::start(outbound, Some(receiver)),
        }
    }
}

/// A serial line whose far end is a connection at a time, and which can change an octet on its way.
#[derive(Debug)]
pub struct Cable {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// An octet to change.
#[derive(Debug, Clone, Copy)]
pub struct Harm {
    /// Whether on the way to the board, or from it.
    pub to_board: bool,
    /// What it follows,
    pub behind: &'static str,
    /// and after how many octets more.
    pub after: usize,
    /// What it becomes.
    pub into: fn(u8) -> u8,
}

#[derive(Debug)]
struct Shared {
    board: TcpStream,
    /// Who is at the far end, and the how manieth that is.
    far: Mutex<(usize, Option<TcpStream>)>,
    harm: Mutex<Option<(Harm, usize)>>,
}

impl Cable {
    fn start(board: TcpStream, dial: Option<SocketAddr>) -> Self {
        board.set_nodelay(true).expect("TCP");
        let listener = listen();
        let address = address(&listener);
        let shared = Arc::new(Shared {
            board,
            far: Mutex::default(),
            harm: Mutex::default(),
        });
        let from_board = Arc::clone(&shared);
        thread::spawn(move || from_board.carry_from_board(dial));
        let to_board = Arc::clone(&shared);
        thread::spawn(move || {
            for far in listener.incoming().flatten() {
                to_board.plug(far);
            }
        });
        Self { address, shared }
    }

    /// Gives the address of the far end.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes one octet that is still to come.
    pub fn harm(&self, harm: Harm) {
        *self.shared.harm.lock().expect("no panic under the lock") = Some((harm, 0));
    }

    /// Says whether the octet to change has gone by.
    pub fn is_harmed(&self) -> bool {
        self.shared
            .harm
            .lock()
            .expect("no panic under the lock")
            .is_none()
    }
}

impl Shared {
    fn plug(self: &Arc<Self>, far: TcpStream) {
        far.set_nodelay(true).expect("TCP");
        let mut from = far.try_clone().expect("a descriptor");
        let mut place = self.far.lock().expect("no panic under the lock");
        *place = (place.0 + 1, Some(far));
        let turn = place.0;
        drop(place);
        let shared = Arc::clone(self);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(octets @ 1..) = from.read(&mut buffer) {
                shared.spoil(true, &mut buffer[..octets]);
                if (&shared.board).write_all(&buffer[..octets]).is_err() {
                    break;
                }
            }
            from.shutdown(Shutdown::Both).ok();
            let mut place = shared.far.lock().expect("no panic under the lock");
            if place.0 == turn {
                place.1 = None;
            }
        });
    }

    /// What comes before a stream begins is of the one before, and lost. Where nobody is at the far end when one begins,
    /// and there is somebody to dial, that happens now.
    fn carry_from_board(self: &Arc<Self>, dial: Option<SocketAddr>) {
        let mut buffer = [0; 4096];
        let mut begun = 0;
        // The turn at the far end for which a stream has begun.
        let mut hears = 0;
        while let Ok(octets @ 1..) = (&self.board).read(&mut buffer) {
            self.spoil(false, &mut buffer[..octets]);
            let mut passed = Vec::new();
            for octet in &buffer[..octets] {
                let fits = BEGINNING.get(begun) == Some(octet);
                begun = if fits {
                    begun + 1
                } else {
                    usize::from(*octet == b'<')
                };
                let begins = begun == BEGINNING.len();
                let (turn, plugged) = self.turn();
                if hears == turn && plugged {
                    passed.push(*octet);
                } else if begins {
                    let dialled = dial.filter(|_| !plugged).map(TcpStream::connect);
                    if let Some(Ok(far)) = dialled {
                        self.plug(far);
                    }
                    hears = self.turn().0;
                    passed.extend_from_slice(BEGINNING);
                }
            }
            let place = self.far.lock().expect("no panic under the lock");
            if let Some(mut far) = place.1.as_ref() {
                far.write_all(&passed).ok();
            }
        }
    }

    fn turn(&self) -> (usize, bool) {
        let place = self.far.lock().expect("no panic under the lock");
        (place.0, place.1.is_some())
    }

    fn spoil(&self, to_board: bool, octets: &mut [u8]) {
        let mut harm = self.harm.lock().expect("no panic under the lock");
        for octet in octets {
            let Some((what, found)) = harm.as_mut().filter(|(what, _)| what.to_board == to_board)
            else {
                return;
            };
            let behind = what.behind.as_bytes();
            if *found == behind.len() + what.after {
                *octet = (what.into)(*octet);
                *harm = None;
            } else if *found >= behind.len() || behind[*found] == *octet {
                *found += 1;
            } else {
                *found = usize::from(behind[0] == *octet);
            }
        }
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.shared.board.shutdown(Shutdown::Both).ok();
    }
}

/// What a stream begins with, and nothing else has.
const BEGINNING: &[u8] = b"<?xml";

/// Builds the firmware, if need be, and gives its path.
pub fn firmware() -> &'static Path {
    static FIRMWARE: OnceLock<PathBuf> = OnceLock::new();
    FIRMWARE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let package = root.join("examples/bare-metal");
        require(
            "arm-none-eabi-ld",
            &[],
            "apt-get install binutils-arm-none-eabi",
        );
        let status = Command::new("bash")
            .arg(root.join(".ci/freestanding"))
            .args(["thumbv7m-none-eabi", "build", "--release", "--quiet"])
            .current_dir(&package)
            .env_remove("CARGO_TARGET_DIR")
            .status()
            .expect("bash runs");
        assert!(status.success(), "building the firmware failed");
        package.join("target/thumbv7m-none-eabi/release/bare-metal")
    })
}

/// Gives the octets of a section of the firmware.
pub fn section(name: &str) -> u64 {
    let output = Command::new("arm-none-eabi-size")
        .arg("-A")
        .arg(firmware())
        .output()
        .expect("arm-none-eabi-size comes with binutils-arm-none-eabi");
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    output
        .lines()
        .find_map(|line| line.strip_prefix(name)?.split_whitespace().next())
        .and_then(|octets| octets.parse().ok())
        .unwrap_or_else(|| panic!("no section {name}:\n{output}"))
}

fn listen() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port")
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("bound")
}
