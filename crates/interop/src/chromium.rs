//! A headless Chromium, driven over its DevTools protocol.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::process::{Process, command};

/// How long one command of the protocol may take.
const COMMAND: Duration = Duration::from_secs(60);

/// A browser with one page.
#[derive(Debug)]
pub struct Chromium {
    _process: Process,
    _profile: tempfile::TempDir,
    socket: WebSocket<TcpStream>,
    session: String,
    commands: u64,
    /// What the page wrote to its console, and exceptions that nobody caught.
    console: Vec<String>,
}

impl Chromium {
    /// Starts the browser of Debian's package `chromium` with an empty profile.
    pub fn start() -> Self {
        let program = crate::require(
            "chromium",
            &["/usr/bin/chromium", "/usr/bin/google-chrome"],
            "apt-get install chromium",
        );
        let profile = tempfile::tempdir().expect("a scratch directory");
        let mut chromium = command(&program);
        chromium
            .args([
                "--headless=new",
                "--remote-debugging-port=0",
                "--no-first-run",
                "--no-default-browser-check",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                // Nothing in it is a stranger's: the pages are ours, on loopback.
                "--no-sandbox",
                "--hide-scrollbars",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank");
        let process = Process::start("chromium", &mut chromium);
        let (port, path) = devtools(&profile.path().join("DevToolsActivePort"));
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("DevTools listens");
        stream.set_read_timeout(Some(COMMAND)).expect("TCP");
        let url = format!("ws://127.0.0.1:{port}{path}");
        let (socket, _) = tungstenite::client(url, stream).expect("DevTools speaks WebSocket");
        let mut browser = Self {
            _process: process,
            _profile: profile,
            socket,
            session: String::new(),
            commands: 0,
            console: Vec::new(),
        };
        let target = browser.command("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.command("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "DOM"] {
            browser.command(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Goes to an address and waits for the page.
    pub fn open(&mut self, url: &str) {
        self.command("Page.navigate", json!({"url": url}));
        self.wait(
            "document.readyState === 'complete' && location.href !== 'about:blank'",
            COMMAND,
        );
    }

    /// Sets the size of the page, in CSS pixels.
    pub fn size(&mut self, width: u32, height: u32, mobile: bool) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile,
        });
        self.command("Emulation.setDeviceMetricsOverride", size);
    }

    /// Says that the person prefers dark colours, or light ones.
    pub fn dark(&mut self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.command("Emulation.setEmulatedMedia", features);
    }

    /// Chooses files in an `<input type=file>`.
    pub fn choose(&mut self, selector: &str, files: &[&Path]) {
        let document = self.command("DOM.getDocument", json!({}));
        let node = json!({"nodeId": document["root"]["nodeId"], "selector": selector});
        let node = self.command("DOM.querySelector", node);
        let files: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
        let chosen = json!({"nodeId": node["nodeId"], "files": files});
        self.command("DOM.setFileInputFiles", chosen);
    }

    /// Evaluates an expression, a promise to its end, and gives its value.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.command("Runtime.evaluate", asked);
        if let Some(exception) = answer.get("exceptionDetails") {
            panic!("{expression}: {exception}");
        }
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait(&mut self, expression: &str, within: Duration) {
        let deadline = Instant::now() + within;
        while self.evaluate(expression) != true {
            if Instant::now() > deadline {
                let text = self.evaluate("document.body.innerText");
                panic!(
                    "not within {within:?}: {expression}\n{text}\n{:?}",
                    self.console
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses and releases a key, such as `Tab` or `Enter`.
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            other => panic!("what is the code of {other}?"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
            });
            if key == "Enter" && kind == "keyDown" {
                event["text"] = "\r".into();
            }
            self.command("Input.dispatchKeyEvent", event);
        }
    }

    /// Writes a picture of the page.
    pub fn picture(&mut self, path: &Path) {
        let answer = self.command("Page.captureScreenshot", json!({"format": "png"}));
        let data = answer["data"].as_str().expect("a picture");
        let octets = STANDARD.decode(data).expect("base64");
        std::fs::create_dir_all(path.parent().expect("a file in a directory")).expect("ours");
        std::fs::write(path, octets).expect("there is room");
    }

    /// What the page complained of.
    pub fn console(&self) -> &[String] {
        &self.console
    }

    fn command(&mut self, method: &str, params: Value) -> Value {
        self.commands += 1;
        let id = self.commands;
        let mut command = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            command["sessionId"] = self.session.as_str().into();
        }
        let sent = self.socket.send(Message::Text(command.to_string().into()));
        sent.unwrap_or_else(|error| panic!("{method}: {error}"));
        loop {
            let message = self.socket.read();
            let message = message.unwrap_or_else(|error| panic!("{method}: {error}"));
            let Message::Text(text) = message else {
                continue;
            };
            let mut message: Value = serde_json::from_str(&text).expect("DevTools speaks JSON");
            if message["id"] == id {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            match message["method"].as_str() {
                Some("Runtime.exceptionThrown") => {
                    self.console
                        .push(message["params"]["exceptionDetails"].to_string());
                }
                Some("Runtime.consoleAPICalled") => {
                    self.console.push(message["params"]["args"].to_string());
                }
                _ => {}
            }
        }
    }
}

/// Waits for the file that tells where the browser listens.
fn devtools(path: &Path) -> (u16, String) {
    let deadline = Instant::now() + COMMAND;
    while Instant::now() < deadline {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if let Some((port, path)) = text.trim_end().split_once('\n') {
            return (port.parse().expect("a port"), path.to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("chromium tells no port within {COMMAND:?}");
}

/// Where pictures of pages go, to be looked at.
pub fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pictures")
}
