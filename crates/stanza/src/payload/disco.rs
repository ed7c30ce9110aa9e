//! Service discovery (XEP-0030).

use crate::Jid;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// `<query/>` of disco#info.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DiscoInfo {
    /// The node asked about.
    pub node: Option<Arc<str>>,
    /// What the entity is; empty in a get.
    pub identities: Vec<Identity>,
    /// What the entity can do; empty in a get.
    pub features: Vec<Arc<str>>,
}

/// `<identity/>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its category, such as `proxy`.
    pub category: Arc<str>,
    /// Its type, such as `bytestreams`.
    pub kind: Arc<str>,
    /// A name for people.
    pub name: Option<Arc<str>>,
}

/// `<query/>` of disco#items.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DiscoItems {
    /// The node asked about.
    pub node: Option<Arc<str>>,
    /// The items; empty in a get.
    pub items: Vec<DiscoItem>,
}

/// `<item/>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoItem {
    /// Its address.
    pub jid: Jid,
    /// Its node.
    pub node: Option<Arc<str>>,
    /// A name for people.
    pub name: Option<Arc<str>>,
}
