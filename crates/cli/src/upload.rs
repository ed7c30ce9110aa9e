//! `bytestreams upload`

use crate::account::secret;
use crate::escape::{escape, json_string};
use crate::failure::{DECLINED, FAILED, Failure, UNCONNECTED};
use crate::report::{Object, Reporter, hex, octets, pace};
use crate::send;
use crate::stop::Stop;
use bytestreams_upload::{
    Credentials, Encoding, Progress, Reason, UploadError, UploadOptions, Uploaded, upload,
};
use clap::{Args, ValueEnum};
use core::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

/// Uploads a file over a WebSocket, to `bytestreams upload-server` or another server that speaks STOR.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bytestreams upload photo.jpg ws://192.0.2.7:8080/upload
  bytestreams upload photo.jpg wss://files.example.org/upload --login romeo --password-file secret.txt

ws:// is in clear: everyone on the way can read the password and the file. wss:// wants a
certificate that is valid for the host; extra authorities are named by SSL_CERT_FILE.

The password is the first line of --password-file, or BYTESTREAMS_PASSWORD.

Exit status: 0 done, 1 failed or cancelled, 2 usage, 3 refused, 4 could not connect or log in.")]
pub(crate) struct Upload {
    /// The file.
    pub(crate) file: PathBuf,
    /// The address of the WebSocket.
    #[arg(value_name = "WS-URL")]
    pub(crate) url: String,
    /// How the blocks travel.
    #[arg(long = "type", value_enum, default_value_t = Type::Binary)]
    pub(crate) encoding: Type,
    /// The name that the server is told, instead of the file's.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Log in first.
    #[arg(long, value_name = "NAME")]
    pub(crate) login: Option<String>,
    /// A file whose first line is the password; otherwise it is taken from BYTESTREAMS_PASSWORD.
    #[arg(long, value_name = "FILE", requires = "login")]
    pub(crate) password_file: Option<PathBuf>,
    /// The parameters of STOR, for servers that know some.
    #[arg(long, value_name = "JSON", default_value = "[]")]
    pub(crate) parameters: String,
    /// The octets in one block at most. By default what the server announces, 16384 towards servers
    /// that announce nothing.
    #[arg(long, value_name = "N")]
    pub(crate) block_size: Option<NonZeroU32>,
    /// How many blocks to have unanswered at most. Towards servers that announce none there is one.
    #[arg(long, value_name = "N")]
    pub(crate) window: Option<NonZeroU16>,
    /// Compute the SHA-256.
    #[arg(long)]
    pub(crate) hash: bool,
    /// Print one JSON object a line instead of sentences.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Type {
    /// As text, a third longer.
    Base64,
    /// As it is.
    Binary,
}

impl From<Type> for Encoding {
    fn from(encoding: Type) -> Self {
        match encoding {
            Type::Base64 => Self::Base64,
            Type::Binary => Self::Binary,
        }
    }
}

pub(crate) async fn run(args: &Upload, reporter: &Reporter, stop: &Stop) -> Result<(), Failure> {
    let source = send::open(&args.file)?;
    let options = options(args)?;
    let (size, own) = (source.size(), source.name().to_owned());
    let name = args.name.as_deref().unwrap_or(&own);
    let mut follow = None;
    let progress = |progress| match progress {
        Progress::Accepted { window, block } => {
            reporter.object(
                Object::new("accepted")
                    .text("method", "websocket")
                    .value("window", window)
                    .value("block", block),
            );
            follow = Some(reporter.follow("", name, 0, Some(size)));
        }
        Progress::Stored(octets) => {
            if let Some(follow) = &follow {
                follow.moved(octets);
            }
        }
        _ => {}
    };
    let result = tokio::select! {
        result = upload(&args.url, source, &options, progress) => result,
        () = stop.wanted() => Err(UploadError::Failed(Reason::Stopped)),
    };
    drop(follow);
    match result {
        Ok(uploaded) => {
            done(name, &uploaded, reporter);
            Ok(())
        }
        Err(error) => Err(failed(&error, reporter)),
    }
}

fn options(args: &Upload) -> Result<UploadOptions, Failure> {
    let mut options = UploadOptions::default();
    options.name.clone_from(&args.name);
    options.encoding = args.encoding.into();
    options.parameters.clone_from(&args.parameters);
    options.block = args.block_size;
    options.window = args.window;
    options.sha256 = args.hash;
    if let Some(login) = &args.login {
        options.credentials = Some(Credentials {
            login: login.clone(),
            password: secret(
                args.password_file.as_deref(),
                "--password-file",
                "BYTESTREAMS_PASSWORD",
                "password",
            )?,
        });
    }
    Ok(options)
}

fn done(name: &str, uploaded: &Uploaded, reporter: &Reporter) {
    let mut object = Object::new("done")
        .text("name", name)
        .value("bytes", uploaded.octets)
        .text("method", "websocket")
        .value("seconds", format!("{:.6}", uploaded.took.as_secs_f64()))
        .maybe("stored_as", uploaded.name.as_deref().map(json_string));
    let mut sentence = format!(
        "Uploaded \"{}\": {}, {}.",
        escape(name),
        octets(uploaded.octets),
        pace(uploaded.octets, uploaded.took)
    );
    if let Some(stored) = uploaded.name.as_deref().filter(|&stored| stored != name) {
        sentence = format!("{sentence} It is called \"{}\" there.", escape(stored));
    }
    if let Some(sha256) = &uploaded.sha256 {
        let sha256 = hex(sha256);
        object = object.text("sha256", &sha256);
        sentence = format!("{sentence}\nSHA-256 {sha256}");
    }
    reporter.either(object, &sentence);
}

fn failed(error: &UploadError, reporter: &Reporter) -> Failure {
    let status = match error {
        UploadError::Url(_) | UploadError::Parameters => return Failure::usage(error.to_string()),
        UploadError::Connect(_) => UNCONNECTED,
        UploadError::Failed(Reason::Refused { code, .. }) => match code {
            401 => UNCONNECTED,
            403 | 409 | 413 => DECLINED,
            _ => FAILED,
        },
        _ => FAILED,
    };
    let words = match error {
        UploadError::Failed(Reason::Stopped) => "cancelled".into(),
        UploadError::Connect(_) => {
            format!("{error}; check the address, and that a server for uploads listens there")
        }
        error => error.to_string(),
    };
    if reporter.is_json() {
        reporter.object(
            Object::new("failed")
                .maybe("code", code(error))
                .text("reason", &words),
        );
        Failure::told(status)
    } else {
        Failure {
            status,
            message: words,
        }
    }
}

fn code(error: &UploadError) -> Option<i64> {
    match error {
        UploadError::Failed(Reason::Refused { code, .. }) => Some(*code),
        _ => None,
    }
}
