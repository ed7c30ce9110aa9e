//! The stream methods that an offer names.

use crate::offer::STREAM_METHOD;
use alloc::sync::Arc;
use bytestreams_stanza::{Field, Form, ns};
use core::fmt;
use smallvec::SmallVec;

/// A way to move octets: an option of the field `stream-method` (XEP-0095, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// SOCKS5 Bytestreams (XEP-0065).
    Socks5,
    /// In-Band Bytestreams (XEP-0047).
    Ibb,
}

/// Methods in the order of preference, each once.
pub type Methods = SmallVec<[Method; 2]>;

impl Method {
    /// The value that stands for it in the form: its namespace.
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::Socks5 => ns::BYTESTREAMS,
            Self::Ibb => ns::IBB,
        }
    }

    /// The method of that namespace; nothing for those not known here, such as `jabber:iq:oob`.
    ///
    /// White space around it is ignored: traces of peers show forms that were indented.
    pub fn from_namespace(value: &str) -> Option<Self> {
        match value.trim_ascii() {
            ns::BYTESTREAMS => Some(Self::Socks5),
            ns::IBB => Some(Self::Ibb),
            _ => None,
        }
    }

    /// Its short name: `socks5` or `ibb`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Socks5 => "socks5",
            Self::Ibb => "ibb",
        }
    }
}

/// Those of `own` that the form's field names, in the order of `own`: as a value, whatever its type,
/// or, where the form offers, as an option.
pub(crate) fn named(form: Option<&Form>, own: &[Method], offers: bool) -> Methods {
    let mut methods = Methods::new();
    for method in own {
        let is = |value: &Arc<str>| Method::from_namespace(value) == Some(*method);
        let names = |field: &Field| {
            &*field.var == STREAM_METHOD
                && (field.values.iter().any(is) || offers && field.options.iter().any(is))
        };
        if form.is_some_and(|form| form.fields.iter().any(names)) {
            methods.push(*method);
        }
    }
    methods
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
