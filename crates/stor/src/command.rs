//! `AUTH` and `STOR`: told apart from blocks, read, and written.

use crate::answer::quoted;
use crate::{Encoding, Fault, Limits, Malformed, Message, Request, Upload};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use serde_json::Value;

/// A login and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who.
    pub login: String,
    /// The proof.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A password does not belong in a log.
        f.debug_struct("Credentials")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Auth,
    Stor,
}

/// Tells a command from a block of base64: behind the verb stands a colon, a brace or a bracket, none
/// of which is in the alphabet. Gives the JSON.
pub(crate) fn command(text: &[u8]) -> Option<(Verb, &[u8])> {
    let (verb, rest) = text.split_at_checked(4)?;
    let verb = match verb {
        b"AUTH" => Verb::Auth,
        b"STOR" => Verb::Stor,
        _ => return None,
    };
    let rest = rest.trim_ascii_start();
    match rest.split_first()? {
        (b':', json) => Some((verb, json.trim_ascii())),
        (b'{' | b'[', _) => Some((verb, rest.trim_ascii())),
        _ => None,
    }
}

pub(crate) fn read_auth(json: &[u8], limits: &Limits) -> Result<Credentials, Fault> {
    let object = object(json, limits)?;
    let text = |name| {
        let text = object.get(name).and_then(Value::as_str);
        text.map(ToString::to_string)
            .ok_or(Fault::Malformed(Malformed::Login))
    };
    Ok(Credentials {
        login: text("login")?,
        password: text("password")?,
    })
}

pub(crate) fn read_stor(json: &[u8], limits: &Limits) -> Result<Request, Fault> {
    let object = object(json, limits)?;
    let malformed = |what| Err(Fault::Malformed(what));
    let Some(name) = object.get("filename").and_then(Value::as_str) else {
        return malformed(Malformed::Filename);
    };
    if name.len() > limits.name {
        return malformed(Malformed::FilenameTooLong { most: limits.name });
    }
    let Some(size) = object.get("size").and_then(Value::as_u64) else {
        return malformed(Malformed::Size);
    };
    let encoding = match object.get("type").map(Value::as_str) {
        // The class's description knows nothing else.
        None | Some(Some("base64")) => Encoding::Base64,
        Some(Some("binary")) => Encoding::Binary,
        Some(_) => return malformed(Malformed::Type),
    };
    if size > limits.size {
        return Err(Fault::FileTooLarge {
            declared: size,
            most: limits.size,
        });
    }
    Ok(Request {
        name: name.to_string(),
        size,
        encoding,
        parameters: object
            .get("parameters")
            .map_or_else(|| "[]".to_string(), ToString::to_string),
    })
}

/// Reads a bounded JSON object, which may stand in brackets.
fn object(json: &[u8], limits: &Limits) -> Result<Value, Fault> {
    if depth(json) > limits.depth {
        let most = limits.depth;
        return Err(Fault::Malformed(Malformed::Depth { most }));
    }
    let value: Value = serde_json::from_slice(json).map_err(|error| {
        Fault::Malformed(Malformed::Json {
            column: error.column(),
        })
    })?;
    let value = match value {
        Value::Array(mut elements) if elements.len() == 1 => elements.remove(0),
        other @ (Value::Array(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Object(_)) => other,
    };
    if value.is_object() {
        Ok(value)
    } else {
        Err(Fault::Malformed(Malformed::NoObject))
    }
}

/// How deeply brackets and braces nest, outside of strings.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for octet in json {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                most = most.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most
}

pub(crate) fn write_auth(credentials: &Credentials) -> Message {
    let (login, password) = (quoted(&credentials.login), quoted(&credentials.password));
    let text = format!(r#"AUTH: {{"login":{login},"password":{password}}}"#);
    Message::Text(text.into())
}

pub(crate) fn write_stor(upload: &Upload) -> Message {
    let text = format!(
        r#"STOR: {{"filename":{},"size":{},"type":"{}","parameters":{}}}"#,
        quoted(&upload.name),
        upload.size,
        upload.encoding,
        upload.parameters
    );
    Message::Text(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn stor(json: &str) -> Result<Request, Fault> {
        read_stor(json.as_bytes(), &Limits::default())
    }

    #[test]
    fn commands_are_told_from_base64() {
        for (text, json) in [
            ("STOR: {}", "{}"),
            ("STOR:{}", "{}"),
            ("STOR {}", "{}"),
            ("STOR{}", "{}"),
            ("STOR [{}]", "[{}]"),
            ("STOR :\n{} ", "{}"),
            ("STOR:", ""),
            ("STOR: nonsense", "nonsense"),
        ] {
            assert_eq!(
                command(text.as_bytes()),
                Some((Verb::Stor, json.as_bytes()))
            );
        }
        assert_eq!(command(b"AUTH: 1"), Some((Verb::Auth, &b"1"[..])));
        for block in [
            "",
            "STO",
            "STOR",
            "STORAGE+",
            "AUTHAUTH",
            "STOR AAAA",
            "stor: {}",
            "MOVE: {}",
        ] {
            assert_eq!(command(block.as_bytes()), None, "{block}");
        }
    }

    #[test]
    fn a_request_is_read_in_any_order_with_what_is_unknown() {
        let request = stor(
            r#"{"later":{"a":[1]},"parameters":[{"album":7}],"type":"binary","size":9007199254740991,"filename":"a\u00fc/b"}"#,
        );
        assert_eq!(
            request,
            Ok(Request {
                name: "aü/b".into(),
                size: 9_007_199_254_740_991,
                encoding: Encoding::Binary,
                parameters: r#"[{"album":7}]"#.into(),
            })
        );
        let short = stor(r#"[{"filename":"","size":0}]"#).unwrap();
        assert_eq!(
            (short.encoding, short.parameters.as_str()),
            (Encoding::Base64, "[]")
        );
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let deep = format!(
            r#"{{"filename":"a","size":1,"parameters":{}{}}}"#,
            "[".repeat(16),
            "]".repeat(16)
        );
        let long = format!(r#"{{"filename":"{}","size":1}}"#, "a".repeat(4097));
        for (json, malformed) in [
            ("", Malformed::Json { column: 0 }),
            ("{", Malformed::Json { column: 1 }),
            (
                r#"{"filename":"a","size":1}x"#,
                Malformed::Json { column: 26 },
            ),
            ("[]", Malformed::NoObject),
            ("[{},{}]", Malformed::NoObject),
            ("7", Malformed::NoObject),
            (r#"{"size":1}"#, Malformed::Filename),
            (r#"{"filename":1,"size":1}"#, Malformed::Filename),
            (r#"{"filename":null,"size":1}"#, Malformed::Filename),
            (r#"{"filename":"a"}"#, Malformed::Size),
            (r#"{"filename":"a","size":-1}"#, Malformed::Size),
            (r#"{"filename":"a","size":1.5}"#, Malformed::Size),
            (r#"{"filename":"a","size":"1"}"#, Malformed::Size),
            (r#"{"filename":"a","size":1e30}"#, Malformed::Size),
            (
                r#"{"filename":"a","size":1,"type":"Binary"}"#,
                Malformed::Type,
            ),
            (r#"{"filename":"a","size":1,"type":null}"#, Malformed::Type),
            (&deep, Malformed::Depth { most: 16 }),
            (&long, Malformed::FilenameTooLong { most: 4096 }),
        ] {
            assert_eq!(stor(json), Err(Fault::Malformed(malformed)), "{json}");
        }
        let brackets = format!(r#"{{"filename":"{}\"[","size":1}}"#, "[{".repeat(30));
        assert!(stor(&brackets).is_ok(), "brackets in a text are no nesting");
    }

    #[test]
    fn what_is_written_is_read() {
        let mut upload = Upload::new("a \"b\"\\\u{7}.txt", 12);
        upload.parameters = r#"{"x":1}"#.into();
        let Message::Text(text) = write_stor(&upload) else {
            panic!()
        };
        let (verb, json) = command(&text).unwrap();
        assert_eq!(verb, Verb::Stor);
        let request = read_stor(json, &Limits::default()).unwrap();
        assert_eq!((request.name, request.size), (upload.name, 12));
        assert_eq!(request.parameters, r#"{"x":1}"#);
        let credentials = Credentials {
            login: "romeo".into(),
            password: "\"\u{1f}".into(),
        };
        let Message::Text(text) = write_auth(&credentials) else {
            panic!()
        };
        let (_, json) = command(&text).unwrap();
        assert_eq!(read_auth(json, &Limits::default()), Ok(credentials.clone()));
        assert!(!format!("{credentials:?}").contains("1f"));
        let wrong: Vec<_> = [r#"{"login":"a"}"#, r#"{"login":1,"password":"b"}"#]
            .map(|json| read_auth(json.as_bytes(), &Limits::default()))
            .into();
        assert!(
            wrong
                .iter()
                .all(|read| *read == Err(Fault::Malformed(Malformed::Login)))
        );
    }
}
