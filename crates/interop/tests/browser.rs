//! Uploads from a real browser: by our page, and by the class of 2012.
//!
//! Pictures of the page are left under `target/pictures`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytestreams_interop::chromium::{Chromium, pictures};
use bytestreams_interop::files::assert_identical;
use bytestreams_interop::{Cli, DelayProxy, Process, Scratch};
use serde_json::json;

const LONG: Duration = Duration::from_secs(300);

/// A server into `dir`, and its address.
fn server(dir: &Path, args: &[&str]) -> (Process, SocketAddr) {
    let mut server = Cli::new("upload-server")
        .arg("--listen")
        .arg("127.0.0.1:0")
        .arg("--dir")
        .arg(dir);
    for arg in args {
        server = server.arg(arg);
    }
    let mut server = server.start();
    let listening = server.event("listening", LONG);
    let addr = listening["addr"].as_str().expect("an address");
    (server, addr.parse().expect("an address"))
}

/// How many uploads on the page are done.
fn done(count: usize) -> String {
    format!("document.querySelectorAll('#uploads .done').length === {count}")
}

#[test]
fn the_page_uploads_files_of_all_sizes_byte_for_byte() {
    let scratch = Scratch::default();
    let (_server, addr) = server(scratch.inbox(), &[]);
    let files: Vec<_> = [0, 1, 1 << 20, 100 << 20]
        .into_iter()
        .map(|size| scratch.file(&format!("{size} öctets.bin"), size))
        .collect();
    let mut browser = Chromium::start();
    browser.open(&format!("http://{addr}/"));
    let paths: Vec<_> = files.iter().map(|path| path.as_path()).collect();
    browser.choose("#files", &paths);
    browser.wait(&done(files.len()), LONG);
    for file in &files {
        assert_identical(
            file,
            &scratch.inbox().join(file.file_name().expect("a name")),
        );
    }
    assert!(browser.console().is_empty(), "{:?}", browser.console());
}

#[test]
fn the_page_shows_progress_errors_and_cancels() {
    let scratch = Scratch::default();
    let (_server, addr) = server(scratch.inbox(), &["--max-size", "50000000"]);
    // A window of 4 MiB each 0.8 s: slow enough to look at.
    let far = DelayProxy::start(addr, Duration::from_millis(400));
    let slow = scratch.file("holiday video.mp4", 40_000_000);
    let small = scratch.file("notes.txt", 1234);
    let long = scratch.file("a rather long name, as cameras and people like to give to their files, 2026-11-21 at noon.jpeg", 2_000_000);
    let large = scratch.file("disk image.iso", 50_000_001);
    let mut browser = Chromium::start();
    browser.size(1280, 1000, false);
    browser.open(&format!("http://{}/", far.address()));
    browser.wait("document.getElementById('most').textContent !== ''", LONG);
    browser.picture(&pictures().join("empty-1280.png"));
    browser.choose("#files", &[&slow, &small, &long, &large]);
    browser.wait(&done(2), LONG);
    browser.wait(
        "document.querySelectorAll('#uploads .failed').length === 1",
        LONG,
    );
    browser.wait(
        "/ left$/.test(document.querySelector('#uploads .state').textContent)",
        LONG,
    );
    let bar = "document.querySelector('#uploads progress').value";
    browser.wait(&format!("{bar} > 0.1"), LONG);
    browser.picture(&pictures().join("mid-1280.png"));
    browser.size(390, 1000, true);
    browser.picture(&pictures().join("mid-390.png"));
    let wide = browser.evaluate("document.documentElement.scrollWidth > innerWidth");
    assert_eq!(wide, false, "nothing sticks out on a phone");
    let error = browser.evaluate("document.querySelector('#uploads .failed .state').textContent");
    assert_eq!(
        error,
        "The file is too large: 50000001 bytes, and at most 50000000 are taken."
    );
    let shown = browser.evaluate(&format!("{bar} > 0 && {bar} < 1"));
    assert_eq!(shown, true, "still on its way");
    browser.evaluate("document.querySelector('#uploads .stop').click()");
    browser.wait(
        "document.querySelector('#uploads .cancelled') !== null",
        LONG,
    );
    browser.picture(&pictures().join("error-390.png"));
    browser.size(1280, 1000, false);
    browser.picture(&pictures().join("error-1280.png"));
    browser.dark(true);
    browser.picture(&pictures().join("error-1280-dark.png"));
    browser.evaluate("document.getElementById('clear').click()");
    assert_eq!(
        browser.evaluate("document.getElementById('uploads').childElementCount"),
        0
    );
    assert!(!scratch.inbox().join("holiday video.mp4").exists());
    assert_identical(&small, &scratch.inbox().join("notes.txt"));
    assert!(browser.console().is_empty(), "{:?}", browser.console());
}

#[test]
fn the_page_tells_a_lost_connection_and_tries_again() {
    let scratch = Scratch::default();
    let (_server, addr) = server(scratch.inbox(), &[]);
    let far = DelayProxy::start(addr, Duration::from_millis(200));
    let file = scratch.file("a.bin", 20_000_000);
    let mut browser = Chromium::start();
    browser.open(&format!("http://{}/", far.address()));
    browser.choose("#files", &[&file]);
    browser.wait(
        "document.querySelector('#uploads progress')?.value > 0.1",
        LONG,
    );
    far.cut();
    browser.wait("document.querySelector('#uploads .failed') !== null", LONG);
    let error = browser.evaluate("document.querySelector('#uploads .state').textContent");
    assert_eq!(error, "The connection was lost before the end.");
    browser.evaluate("document.querySelector('#uploads .again').click()");
    browser.wait(&done(1), LONG);
    assert_identical(&file, &scratch.inbox().join("a.bin"));
}

#[test]
fn the_page_logs_in_and_is_worked_by_keyboard() {
    let scratch = Scratch::default();
    let logins = scratch.file("logins.txt", 0);
    std::fs::write(&logins, format!("romeo:{}\n", hash("secret"))).expect("there is room");
    let logins = logins.to_str().expect("UTF-8");
    let (_server, addr) = server(scratch.inbox(), &["--auth", logins]);
    let file = scratch.file("a.bin", 1000);
    let mut browser = Chromium::start();
    browser.size(390, 844, true);
    browser.open(&format!("http://{addr}/"));
    browser.wait("!document.getElementById('login').hidden", LONG);
    browser.choose("#files", &[&file]);
    browser.wait("document.querySelector('#uploads .failed') !== null", LONG);
    let error = browser.evaluate("document.querySelector('#uploads .state').textContent");
    assert_eq!(error, "Wrong login or password.");
    assert_eq!(browser.evaluate("document.activeElement.id"), "user");
    browser.picture(&pictures().join("login-390.png"));
    browser.evaluate("document.getElementById('user').value = 'romeo'");
    browser.evaluate("document.getElementById('password').value = 'secret'");
    // Login, password, files, clear, try again.
    let places = ["password", "files", "clear"];
    for place in places {
        browser.press("Tab");
        assert_eq!(browser.evaluate("document.activeElement.id"), place);
    }
    browser.press("Tab");
    assert_eq!(
        browser.evaluate("document.activeElement.className"),
        "again"
    );
    browser.press("Enter");
    browser.wait(&done(1), LONG);
    assert_identical(&file, &scratch.inbox().join("a.bin"));
    browser.press("Tab");
}

#[test]
fn what_the_class_of_2012_does_in_a_browser_is_an_upload() {
    let scratch = Scratch::default();
    let (_server, addr) = server(scratch.inbox(), &[]);
    let mut browser = Chromium::start();
    browser.open(&format!("http://{addr}/"));
    // What a page does today before it loads the class.
    browser.evaluate("File.prototype.webkitSlice = Blob.prototype.slice; undefined");
    browser.evaluate(include_str!("../peers/class/transfer.js"));
    for kind in ["base64", "binary"] {
        for (size, block) in [(0, 1024), (1, 1024), (100_000, 1024), (1 << 20, 65_536)] {
            let file = scratch.file(&format!("{kind} {size}"), size);
            browser.evaluate("document.body.innerHTML = '<input id=classic type=file>'; undefined");
            browser.choose("#classic", &[&file]);
            let options =
                json!({"url": format!("ws://{addr}/x"), "type": kind, "blockSize": block});
            let loaded = browser.evaluate(&format!(
                "new Promise((success, error) => new ClassicTransfer({{
                    ...{options}, file: document.getElementById('classic').files[0],
                    success, error: (e) => error(new Error(e.message)) }}).start())
                 .then((event) => event.loaded)"
            ));
            assert_eq!(loaded, size, "{kind} {size}");
            assert_identical(
                &file,
                &scratch.inbox().join(file.file_name().expect("a name")),
            );
        }
    }
    assert!(browser.console().is_empty(), "{:?}", browser.console());
}

/// A line for `--auth`, made as people make it.
fn hash(password: &str) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new(bytestreams_interop::cli::binary())
        .args(["upload-server", "--hash-password"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program under test");
    let mut input = child.stdin.take().expect("piped");
    writeln!(input, "{password}").expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("a child of ours");
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .trim()
        .to_owned()
}
