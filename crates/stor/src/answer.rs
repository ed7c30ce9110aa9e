//! The server's answers: written, and read.

use crate::Message;
use alloc::format;
use alloc::string::{String, ToString};
use core::num::{NonZeroU16, NonZeroU32};
use serde_json::Value;

/// What an answer answers: the `type` in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The login.
    Auth,
    /// The request.
    Stor,
    /// A block.
    Data,
}

impl Kind {
    /// The word in the answer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "AUTH",
            Self::Stor => "STOR",
            Self::Data => "DATA",
        }
    }
}

/// How an upload fares: the `code` in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// 200.
    Ok,
    /// 400: the message cannot be read, or has no place here.
    Malformed,
    /// 401: no login, or a wrong one.
    Unauthenticated,
    /// 403: not allowed.
    Refused,
    /// 409: there is a file of that name, and it is to have no other.
    NameTaken,
    /// 413: the file, the block or the message is too large.
    TooLarge,
    /// 422: more or fewer octets than declared.
    WrongLength,
    /// 500: the file could not be stored.
    Storage,
}

impl Code {
    /// The number in the answer.
    pub const fn as_u16(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::Malformed => 400,
            Self::Unauthenticated => 401,
            Self::Refused => 403,
            Self::NameTaken => 409,
            Self::TooLarge => 413,
            Self::WrongLength => 422,
            Self::Storage => 500,
        }
    }
}

/// An answer that is being written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer<'a> {
    /// The login is right.
    LoggedIn,
    /// The upload may begin.
    Accepted {
        window: NonZeroU16,
        block: NonZeroU32,
    },
    /// A block is stored.
    Stored { octets: usize },
    /// The last block is stored, and the file is in place.
    Complete { octets: usize, name: &'a str },
    /// It ends here.
    Refused {
        kind: Kind,
        code: Code,
        message: &'a str,
    },
}

impl Answer<'_> {
    /// Writes it, its members in the order of the class's description.
    pub(crate) fn write(self) -> Message {
        let text = match self {
            Self::LoggedIn => r#"{"type":"AUTH","message":"logged in","code":200}"#.to_string(),
            Self::Accepted { window, block } => format!(
                r#"{{"type":"STOR","message":"upload initialized, wait for data","code":200,"bytestreams":{{"window":{window},"block":{block}}}}}"#
            ),
            Self::Stored { octets } => {
                format!(r#"{{"type":"DATA","message":"stored","code":200,"bytesRead":{octets}}}"#)
            }
            Self::Complete { octets, name } => format!(
                r#"{{"type":"DATA","message":"complete","code":200,"bytesRead":{octets},"bytestreams":{{"filename":{}}}}}"#,
                quoted(name)
            ),
            Self::Refused {
                kind,
                code,
                message,
            } => format!(
                r#"{{"type":"{}","message":{},"code":{}}}"#,
                kind.as_str(),
                quoted(message),
                code.as_u16()
            ),
        };
        Message::Text(text.into())
    }
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// An answer that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) kind: Kind,
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) octets: Option<u64>,
    pub(crate) window: Option<NonZeroU16>,
    pub(crate) block: Option<NonZeroU32>,
    pub(crate) name: Option<String>,
}

/// The longest answer that is read, in octets.
pub(crate) const LONGEST: usize = 64 << 10;

impl Heard {
    /// Reads an answer; `None` where it is none.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        // serde_json itself stops at a depth of 128.
        let answer: Value = serde_json::from_slice(text).ok()?;
        let kind = match answer.get("type")?.as_str()? {
            "AUTH" => Kind::Auth,
            "STOR" => Kind::Stor,
            "DATA" => Kind::Data,
            _ => return None,
        };
        let ours = answer.get("bytestreams");
        let number = |name| ours.and_then(|ours| ours.get(name)).and_then(Value::as_u64);
        Some(Self {
            kind,
            code: answer.get("code")?.as_i64()?,
            message: text_of(answer.get("message")).unwrap_or_default(),
            octets: answer.get("bytesRead").and_then(Value::as_u64),
            window: number("window")
                .and_then(|n| NonZeroU16::new(u16::try_from(n).unwrap_or(u16::MAX))),
            block: number("block")
                .and_then(|n| NonZeroU32::new(u32::try_from(n).unwrap_or(u32::MAX))),
            name: text_of(ours.and_then(|ours| ours.get("filename"))),
        })
    }
}

fn text_of(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: Answer<'_>) -> String {
        match answer.write() {
            Message::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
            Message::Binary(_) => panic!("answers are text"),
        }
    }

    #[test]
    fn answers_have_the_members_of_the_description() {
        let (window, block) = (NonZeroU16::new(8).unwrap(), NonZeroU32::new(65536).unwrap());
        for (answer, expected) in [
            (
                Answer::LoggedIn,
                r#"{"type":"AUTH","message":"logged in","code":200}"#,
            ),
            (
                Answer::Accepted { window, block },
                r#"{"type":"STOR","message":"upload initialized, wait for data","code":200,"bytestreams":{"window":8,"block":65536}}"#,
            ),
            (
                Answer::Stored { octets: 1024 },
                r#"{"type":"DATA","message":"stored","code":200,"bytesRead":1024}"#,
            ),
            (
                Answer::Complete {
                    octets: 0,
                    name: "a\"\u{1}\\b",
                },
                r#"{"type":"DATA","message":"complete","code":200,"bytesRead":0,"bytestreams":{"filename":"a\"\u0001\\b"}}"#,
            ),
            (
                Answer::Refused {
                    kind: Kind::Data,
                    code: Code::Storage,
                    message: "no",
                },
                r#"{"type":"DATA","message":"no","code":500}"#,
            ),
        ] {
            assert_eq!(text(answer), expected);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let (window, block) = (NonZeroU16::new(8).unwrap(), NonZeroU32::new(65536).unwrap());
        let read = |answer: Answer<'_>| Heard::read(text(answer).as_bytes()).unwrap();
        let accepted = read(Answer::Accepted { window, block });
        assert_eq!((accepted.kind, accepted.code), (Kind::Stor, 200));
        assert_eq!(
            (accepted.window, accepted.block),
            (Some(window), Some(block))
        );
        let complete = read(Answer::Complete {
            octets: 7,
            name: "ü (1).txt",
        });
        assert_eq!(complete.octets, Some(7));
        assert_eq!(complete.name.as_deref(), Some("ü (1).txt"));
    }

    #[test]
    fn answers_of_others_are_read_and_nonsense_is_not() {
        let heard = Heard::read(br#" {"code":200, "type":"STOR","message":null,"x":[1]}"#).unwrap();
        assert_eq!(
            (heard.window, heard.block, heard.octets),
            (None, None, None)
        );
        let odd = br#"{"type":"STOR","code":200,"bytestreams":{"window":0,"block":99999999999}}"#;
        let heard = Heard::read(odd).unwrap();
        assert_eq!(
            (heard.window, heard.block),
            (None, NonZeroU32::new(u32::MAX))
        );
        for nonsense in [
            &b""[..],
            b"200",
            b"[]",
            b"{}",
            b"{\"type\":\"STOR\"}",
            b"{\"type\":\"MOVE\",\"code\":200}",
            b"{\"type\":\"DATA\",\"code\":\"200\"}",
            b"\xff",
        ] {
            assert_eq!(Heard::read(nonsense), None);
        }
        assert_eq!(Heard::read(&[b' '; LONGEST + 1]), None);
    }
}
