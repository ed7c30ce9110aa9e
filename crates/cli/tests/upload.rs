//! `bytestreams upload` and `upload-server`.

#![allow(
    clippy::unwrap_used,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "a test may fail anywhere"
)]

mod common;

use bytestreams_tokio::file::Source;
use bytestreams_upload::{UploadOptions, upload};
use common::{Running, command, content, file, gate, names, run};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

impl Running {
    /// `upload-server` on a free port, and the address of its WebSocket.
    fn upload_server(dir: &Path, args: &[&str]) -> (Self, String) {
        let mut command = command(&["upload-server", "--json", "--listen", "127.0.0.1:0"]);
        command.arg("--dir").arg(dir).args(args);
        Self::start(command).with_url()
    }

    fn with_url(mut self) -> (Self, String) {
        let addr = self.event("listening")["addr"].as_str().unwrap().to_owned();
        (self, format!("ws://{addr}/upload"))
    }

    fn upload(file: &Path, url: &str, args: &[&str]) -> Self {
        let mut command = command(&["upload", "--json"]);
        command.arg(file).arg(url).args(args);
        Self::start(command)
    }
}

#[test]
fn a_file_is_uploaded_in_both_ways_and_never_overwrites() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = content(3_000_000);
    let photo = file(here.path(), "photo.jpg", &content);
    let (mut server, url) = Running::upload_server(there.path(), &[]);
    for (encoding, name) in [("binary", "photo.jpg"), ("base64", "photo (1).jpg")] {
        let mut upload = Running::upload(&photo, &url, &["--type", encoding, "--hash"]);
        let accepted = upload.event("accepted");
        assert_eq!(
            (&accepted["window"], &accepted["block"]),
            (&16.into(), &262_144.into())
        );
        let done = upload.event("done");
        assert_eq!(
            (&done["bytes"], &done["stored_as"]),
            (&3_000_000.into(), &name.into())
        );
        assert_eq!(done["sha256"].as_str().unwrap().len(), 64);
        upload.exits(0);
        let offered = server.event("offered");
        assert_eq!(
            (&offered["name"], &offered["size"]),
            (&"photo.jpg".into(), &3_000_000.into())
        );
        let done = server.event("done");
        assert_eq!(done["path"], there.path().join(name).to_str().unwrap());
        assert!(std::fs::read(there.path().join(name)).unwrap() == content);
    }
}

#[test]
fn people_read_sentences() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", b"12345");
    let (_server, url) = Running::upload_server(there.path(), &["--max-size", "5"]);
    let photo = photo.to_str().unwrap();
    let (status, out, err) = run(&["upload", photo, &url]);
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(
        out.starts_with("Uploaded \"photo.jpg\": 5 bytes, "),
        "{out}"
    );
    let (status, out, _) = run(&["upload", photo, &url]);
    assert_eq!(status, 0);
    assert!(
        out.contains("It is called \"photo (1).jpg\" there."),
        "{out}"
    );
    let large = file(here.path(), "large", b"123456");
    let (status, _, err) = run(&["upload", large.to_str().unwrap(), &url]);
    assert_eq!(status, 3);
    assert_eq!(
        err,
        "error: the server refused: the file is too large: 6 bytes, and at most 5 are taken (413)\n"
    );
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    let here = tempfile::tempdir().unwrap();
    let photo = file(here.path(), "photo.jpg", b"x");
    let photo = photo.to_str().unwrap();
    let dir = here.path().to_str().unwrap();
    let listen = ["--listen", "127.0.0.1:0"];
    for args in [
        &["upload", photo, "http://a.example"][..],
        &["upload", dir, "ws://127.0.0.1:1"],
        &["upload", "-", "ws://127.0.0.1:1"],
        &["upload", photo, "ws://127.0.0.1:1", "--type", "hex"],
        &["upload", photo, "ws://127.0.0.1:1", "--window", "0"],
        &["upload", photo, "ws://127.0.0.1:1", "--login", "romeo"],
        &["upload", photo],
        &["upload-server", "--dir", dir],
        &["upload-server", listen[0], listen[1], "--dir", photo],
        &[
            "upload-server",
            listen[0],
            listen[1],
            "--dir",
            dir,
            "--origin",
            "example.org",
        ],
        &[
            "upload-server",
            listen[0],
            listen[1],
            "--dir",
            dir,
            "--auth",
            photo,
        ],
        &[
            "upload-server",
            listen[0],
            listen[1],
            "--dir",
            dir,
            "--tls-cert",
            photo,
        ],
        &[
            "upload-server",
            listen[0],
            listen[1],
            "--dir",
            dir,
            "--tls-cert",
            photo,
            "--tls-key",
            photo,
        ],
        &["upload-server", "--hash-password"],
    ] {
        let (status, out, err) = run(args);
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.starts_with("error: "), "{args:?}: {err}");
    }
    let (status, _, _) = run(&["upload", photo, "ws://127.0.0.1:1"]);
    assert_eq!(status, 4);
}

fn hash(password: &str) -> String {
    let mut command = command(&["upload-server", "--hash-password"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_login_is_asked_for() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", b"x");
    let logins = file(
        here.path(),
        "logins",
        format!("romeo:{}\n", hash("secret")).as_bytes(),
    );
    let right = file(here.path(), "right", b"secret\n");
    let wrong = file(here.path(), "wrong", b"Secret\n");
    let auth = ["--auth", logins.to_str().unwrap()];
    let (mut server, url) = Running::upload_server(there.path(), &auth);
    Running::upload(&photo, &url, &[]).exits(4);
    for (secret, status) in [(&wrong, 4), (&right, 0)] {
        let login = [
            "--login",
            "romeo",
            "--password-file",
            secret.to_str().unwrap(),
        ];
        Running::upload(&photo, &url, &login).exits(status);
    }
    assert_eq!(server.event("offered")["login"], "romeo");
    assert_eq!(names(there.path()).0, ["photo.jpg"]);
}

/// A certificate of our own for 127.0.0.1, made with openssl.
fn certificate(dir: &Path) -> (String, String) {
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=test"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    (cert.to_str().unwrap().into(), key.to_str().unwrap().into())
}

#[test]
fn tls_is_spoken_with_a_certificate_of_its_own() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = content(500_000);
    let photo = file(here.path(), "photo.jpg", &content);
    let (cert, key) = certificate(here.path());
    let tls = ["--tls-cert", &cert, "--tls-key", &key];
    let (_server, url) = Running::upload_server(there.path(), &tls);
    let secure = url.replace("ws:", "wss:");
    let mut trusting = command(&["upload", photo.to_str().unwrap(), &secure]);
    trusting
        .env("SSL_CERT_FILE", &cert)
        .env_remove("SSL_CERT_DIR");
    Running::start(trusting).exits(0);
    assert!(std::fs::read(there.path().join("photo.jpg")).unwrap() == content);
    Running::upload(&photo, &secure, &[]).exits(4);
    Running::upload(&photo, &url, &[]).exits(4);
}

#[test]
fn a_client_that_is_killed_leaves_nothing() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(3_000_000));
    let (mut server, url) = Running::upload_server(there.path(), &[]);
    let target = url.trim_start_matches("ws://").trim_end_matches("/upload");
    let through = format!("ws://{}/", gate(target, 1_000_000));
    let mut upload = Running::upload(&photo, &through, &[]);
    upload.event("progress");
    upload.kill();
    assert_eq!(
        server.event("failed")["reason"],
        "the client left before the end"
    );
    server.interrupt();
    server.exits(0);
    assert_eq!(names(there.path()), (vec![], vec![]));
}

#[test]
fn a_server_that_is_killed_leaves_no_short_file_under_a_final_name() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(3_000_000));
    let (server, url) = Running::upload_server(there.path(), &[]);
    let target = url.trim_start_matches("ws://").trim_end_matches("/upload");
    let through = format!("ws://{}/", gate(target, 1_000_000));
    let mut upload = Running::upload(&photo, &through, &[]);
    upload.event("progress");
    server.kill();
    upload.event("failed");
    upload.exits(1);
    let (whole, partial) = names(there.path());
    assert_eq!(whole, [""; 0]);
    assert_eq!(partial.len(), 1, "{partial:?}");
    assert!(partial[0].starts_with(".photo.jpg.") && partial[0].ends_with(".part"));
}

#[test]
fn a_server_that_is_told_twice_to_stop_leaves_nothing() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(3_000_000));
    let (mut server, url) = Running::upload_server(there.path(), &["--grace", "100"]);
    let target = url.trim_start_matches("ws://").trim_end_matches("/upload");
    let through = format!("ws://{}/", gate(target, 1_000_000));
    let mut upload = Running::upload(&photo, &through, &[]);
    upload.event("progress");
    server.interrupt();
    // Once it takes no more connections, it has heard that.
    while std::net::TcpStream::connect(target).is_ok() {
        std::thread::yield_now();
    }
    assert!(server.is_running());
    server.interrupt();
    server.exits(1);
    assert_eq!(names(there.path()), (vec![], vec![]));
    upload.event("failed");
    upload.exits(1);
}

/// The shell's bound on the size of a file stands for a disk that is full: writing fails midway.
#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(3_000_000));
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_bytestreams"))
        .args([
            "upload-server",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--dir",
        ])
        .arg(there.path())
        .stdin(Stdio::null());
    let (mut server, url) = Running::start(shell).with_url();
    let mut upload = Running::upload(&photo, &url, &[]);
    let failed = upload.event("failed");
    assert_eq!(failed["code"], 500);
    assert_eq!(
        failed["reason"],
        "the server refused: no space is left on the server (500)"
    );
    upload.exits(1);
    let reason = server.event("failed")["reason"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(reason.starts_with("no space is left for "), "{reason}");
    server.interrupt();
    server.exits(0);
    assert_eq!(names(there.path()), (vec![], vec![]));
}

#[test]
fn an_interrupted_upload_is_cancelled() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = file(here.path(), "photo.jpg", &content(3_000_000));
    let (mut server, url) = Running::upload_server(there.path(), &[]);
    let target = url.trim_start_matches("ws://").trim_end_matches("/upload");
    let through = format!("ws://{}/", gate(target, 1_000_000));
    let mut upload = Running::upload(&photo, &through, &[]);
    upload.event("progress");
    upload.interrupt();
    assert_eq!(upload.event("failed")["reason"], "cancelled");
    upload.exits(1);
    server.event("failed");
}

/// The most memory that a process held, in octets.
#[cfg(target_os = "linux")]
fn peak(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
    kib * 1024
}

/// 200 clients, each with a file of its own, all connected before the first octet moves.
#[cfg(target_os = "linux")]
#[test]
fn two_hundred_uploads_at_once_are_all_identical_and_bounded() {
    const COUNT: usize = 200;
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (server, url) = Running::upload_server(there.path(), &[]);
    let idle = peak(server.id());
    let whole = content((1 << 20) + COUNT);
    let files: Vec<_> = (0..COUNT)
        .map(|n| file(here.path(), &format!("{n}.bin"), &whole[n..n + (1 << 20)]))
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let start = std::time::Instant::now();
    let mut took: Vec<f64> = runtime.block_on(async {
        let all = std::sync::Arc::new(tokio::sync::Barrier::new(COUNT));
        let mut tasks = tokio::task::JoinSet::new();
        for path in files {
            let (url, all) = (url.clone(), all.clone());
            tasks.spawn(async move {
                all.wait().await;
                let source = Source::open(path).unwrap();
                upload(&url, source, &UploadOptions::default(), |_| {})
                    .await
                    .unwrap();
                start.elapsed().as_secs_f64()
            });
        }
        tasks.join_all().await
    });
    took.sort_by(f64::total_cmp);
    let held = peak(server.id());
    for n in 0..COUNT {
        let stored = std::fs::read(there.path().join(format!("{n}.bin"))).unwrap();
        assert!(stored == whole[n..n + (1 << 20)], "{n}.bin");
    }
    println!(
        "200 uploads of 1 MiB: {:.2} s for the first, {:.2} s for the median, {:.2} s for the last; \
         the server held {:.1} MB at most, {:.1} MB idle",
        took[0],
        took[COUNT / 2],
        took[COUNT - 1],
        held as f64 / 1e6,
        idle as f64 / 1e6
    );
    // A message, what waits and the library's buffers; far from what the files are together.
    assert!(held - idle < 110 << 20, "{held} octets");
}
