//! What goes wrong with files.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A file could not be received into a directory.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The name is not one plain component of a path.
    Name,
    /// The disk, or what this user may use of it, is full.
    Full {
        /// The directory or file.
        path: PathBuf,
        /// How many octets are free, where that was known beforehand.
        free: Option<u64>,
    },
    /// More octets came than were declared.
    TooLong {
        /// The size in the offer.
        declared: u64,
    },
    /// More octets came than are taken; no size was declared.
    TooLarge {
        /// How many are taken.
        most: u64,
    },
    /// Fewer octets came than were declared.
    TooShort {
        /// The size in the offer.
        declared: u64,
        /// What came.
        got: u64,
    },
    /// The content is not what the offer's hash says.
    Hash,
    /// There are files of this name, and of all others that it could have had, already.
    Taken {
        /// The file that there is.
        path: PathBuf,
    },
    /// The operating system refused.
    Io {
        /// What was tried, as in "create".
        action: &'static str,
        /// The directory or file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl StoreError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        if matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        ) {
            return Self::Full {
                path: path.to_owned(),
                free: None,
            };
        }
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("the name is not that of a file"),
            Self::Full { path, free: None } => {
                write!(f, "no space is left for {}", path.display())
            }
            Self::Full {
                path,
                free: Some(free),
            } => write!(
                f,
                "no space is left in {}: {free} bytes are free",
                path.display()
            ),
            Self::TooLong { declared } => {
                write!(f, "more octets came than the {declared} declared")
            }
            Self::TooLarge { most } => write!(f, "more octets came than the {most} that are taken"),
            Self::TooShort { declared, got } => {
                write!(f, "{got} octets came of the {declared} declared")
            }
            Self::Hash => f.write_str("the content does not match the offer's hash"),
            Self::Taken { path } => write!(f, "{} exists already", path.display()),
            Self::Io {
                action,
                path,
                source,
            } => write!(f, "cannot {action} {}: {source}", path.display()),
        }
    }
}

impl core::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        if let Self::Io { source, .. } = self {
            Some(source)
        } else {
            None
        }
    }
}

/// A file cannot be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum SourceError {
    /// It is a directory.
    Directory(PathBuf),
    /// It is a device, a pipe or a socket: it has no size to declare.
    NotRegular(PathBuf),
    /// It was changed while it was read.
    Changed(PathBuf),
    /// The operating system refused.
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{} is a directory", path.display()),
            Self::NotRegular(path) => write!(f, "{} is not a regular file", path.display()),
            Self::Changed(path) => {
                write!(f, "{} was changed while it was sent", path.display())
            }
            Self::Io { path, source } => write!(f, "cannot read {}: {source}", path.display()),
        }
    }
}

impl core::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        if let Self::Io { source, .. } = self {
            Some(source)
        } else {
            None
        }
    }
}
