//! Stream Initiation (XEP-0095) and its file-transfer profile (XEP-0096).

use super::Form;
use crate::Sid;
use alloc::sync::Arc;

/// `<si/>`
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Si {
    /// The stream to be; absent in a result.
    pub id: Option<Sid>,
    /// The profile's namespace; absent in a result.
    pub profile: Option<Arc<str>>,
    /// The MIME type of the data.
    pub mime_type: Option<Arc<str>>,
    /// The file-transfer profile's `<file/>`.
    pub file: Option<File>,
    /// The form within `<feature/>`.
    pub feature: Option<Form>,
}

/// `<file/>` (XEP-0096, section 3).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct File {
    /// The name, as the peer gave it: not to be trusted as a path.
    pub name: Option<Arc<str>>,
    /// The size in octets.
    pub size: Option<u64>,
    /// The MD5 of the whole file.
    pub hash: Option<[u8; 16]>,
    /// When the file was changed last, as XEP-0082 writes it.
    pub date: Option<Arc<str>>,
    /// A description for people.
    pub desc: Option<Arc<str>>,
    /// In an offer: ranges can be had. In an answer: the range that is wanted.
    pub range: Option<Range>,
}

/// `<range/>` (XEP-0096, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Range {
    /// Where to begin; absent means 0.
    pub offset: Option<u64>,
    /// How many octets; absent means all the rest.
    pub length: Option<u64>,
}
