//! JIDs as people type them.

use bytestreams_stanza::{InvalidJid, Jid};

/// Prepares an address as people type it (RFC 7622, 3): case folded and normalised, so that it is
/// what servers stamp.
///
/// # Errors
/// What is no address.
pub fn prepare_jid(text: &str) -> Result<Jid, InvalidJid> {
    let prepared = jid::Jid::new(text.trim()).map_err(|_| InvalidJid)?;
    Jid::new(prepared.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_becomes_what_servers_stamp() {
        let jid = prepare_jid(" J\u{fc}LIA@Example.ORG/Balcony ").unwrap();
        assert_eq!(jid.as_str(), "j\u{fc}lia@example.org/Balcony");
        assert!(prepare_jid("a b@example.org").is_err());
        assert!(prepare_jid("").is_err());
    }
}
