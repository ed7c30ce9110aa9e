//! What a client did wrong, and what a server refuses.

use crate::{Code, Encoding};
use alloc::string::String;
use core::fmt;

/// Something that a client may not say. It is answered with its code and ends the upload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// `AUTH` or `STOR` cannot be read.
    Malformed(Malformed),
    /// A block came before `STOR` was answered with 200.
    BlockBeforeStor,
    /// A message came before the one before it was answered, which no window allows.
    Impatient,
    /// `STOR` came a second time: one connection uploads one file.
    SecondStor,
    /// `AUTH` came a second time, or after `STOR`.
    SecondAuth,
    /// A block came in the way that was not declared.
    OtherEncoding {
        /// What was declared.
        declared: Encoding,
    },
    /// A block is not base64.
    Base64,
    /// `STOR` needs an `AUTH` before it.
    Unauthenticated,
    /// The login or the password is wrong.
    WrongLogin,
    /// The declared size is more than is taken.
    FileTooLarge {
        /// Octets declared.
        declared: u64,
        /// Octets taken.
        most: u64,
    },
    /// A block has more octets than are taken.
    BlockTooLarge {
        /// Octets taken.
        most: u32,
    },
    /// A message is longer than any that means something.
    MessageTooLong,
    /// More octets came than were declared.
    TooMany {
        /// Octets declared.
        declared: u64,
    },
    /// An empty block came before all the octets that were declared.
    TooFew {
        /// Octets declared.
        declared: u64,
        /// Octets that came.
        got: u64,
    },
}

/// Why an `AUTH` or `STOR` cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// It is not JSON.
    Json {
        /// The column where it ceases to be.
        column: usize,
    },
    /// It is nested too deeply.
    Depth {
        /// The depth taken.
        most: usize,
    },
    /// It is not an object.
    NoObject,
    /// `filename` is missing or no text.
    Filename,
    /// `filename` is too long.
    FilenameTooLong {
        /// Octets taken.
        most: usize,
    },
    /// `size` is missing or no whole number of octets.
    Size,
    /// `type` is neither `base64` nor `binary`.
    Type,
    /// `login` or `password` is missing or no text.
    Login,
}

impl Fault {
    /// The code that answers it.
    pub const fn code(&self) -> Code {
        match self {
            Self::Malformed(_)
            | Self::BlockBeforeStor
            | Self::Impatient
            | Self::SecondStor
            | Self::SecondAuth
            | Self::OtherEncoding { .. }
            | Self::Base64 => Code::Malformed,
            Self::Unauthenticated | Self::WrongLogin => Code::Unauthenticated,
            Self::FileTooLarge { .. } | Self::BlockTooLarge { .. } | Self::MessageTooLong => {
                Code::TooLarge
            }
            Self::TooMany { .. } | Self::TooFew { .. } => Code::WrongLength,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::BlockBeforeStor => f.write_str("a block came before STOR"),
            Self::Impatient => f.write_str("a message came before the one before it was answered"),
            Self::SecondStor => f.write_str("a second STOR: one connection uploads one file"),
            Self::SecondAuth => f.write_str("AUTH comes once, before STOR"),
            Self::OtherEncoding { declared } => {
                let other = match declared {
                    Encoding::Base64 => "binary",
                    Encoding::Binary => "text",
                };
                write!(f, "a {other} message where {declared} was declared")
            }
            Self::Base64 => f.write_str("the block is not base64"),
            Self::Unauthenticated => f.write_str("log in first"),
            Self::WrongLogin => f.write_str("wrong login or password"),
            Self::FileTooLarge { declared, most } => write!(
                f,
                "the file is too large: {declared} bytes, and at most {most} are taken"
            ),
            Self::BlockTooLarge { most } => {
                write!(f, "the block is too large: at most {most} bytes are taken")
            }
            Self::MessageTooLong => f.write_str("the message is too long"),
            Self::TooMany { declared } => {
                write!(f, "more bytes came than the {declared} declared")
            }
            Self::TooFew { declared, got } => {
                write!(
                    f,
                    "an empty block after {got} of the {declared} bytes declared"
                )
            }
        }
    }
}

impl core::error::Error for Fault {}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json { column } => write!(f, "not JSON, at character {column}"),
            Self::Depth { most } => write!(f, "JSON nested deeper than {most}"),
            Self::NoObject => f.write_str("the JSON is not an object"),
            Self::Filename => f.write_str("filename is missing or no text"),
            Self::FilenameTooLong { most } => {
                write!(f, "filename is longer than {most} bytes")
            }
            Self::Size => f.write_str("size is missing or no whole number of bytes"),
            Self::Type => f.write_str("type is neither base64 nor binary"),
            Self::Login => f.write_str("login or password is missing or no text"),
        }
    }
}

impl core::error::Error for Malformed {}

/// What the application refuses, and what the client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub code: Code,
    /// For the person who uploads.
    pub message: String,
}

impl Refusal {
    /// Refuses with a code other than [`Code::Ok`].
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code: if code == Code::Ok {
                Code::Refused
            } else {
                code
            },
            message: message.into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Refusal {}
