//! The whole XML vocabulary: five tokens, used in both directions.

/// One step of an element's content.
///
/// Attributes follow their `Open` before anything else does. Adjacent `Text` tokens are one text,
/// so a source may cut where it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// An element begins.
    Open {
        /// Its namespace, resolved.
        ns: &'a str,
        /// Its local name.
        name: &'a str,
    },
    /// An attribute without namespace of the element just opened. Attributes with a namespace
    /// (`xml:lang` among them) are dropped by the sources: nothing here has a use for them.
    Attr {
        /// Its name.
        name: &'a str,
        /// Its value, entities resolved.
        value: &'a str,
    },
    /// A piece of character data, entities resolved.
    Text(&'a str),
    /// Octets that stand as base64 wherever there is a wire. A source that reads a wire gives
    /// `Text`; only a loopback without XML gives this.
    Octets(&'a [u8]),
    /// The element opened last ends.
    Close,
}

/// Takes tokens.
pub trait TokenSink {
    /// What can go wrong in this sink.
    type Error;

    /// Takes the next token.
    ///
    /// # Errors
    /// The sink's own; after one the sink is good for nothing until reset.
    fn token(&mut self, token: Token<'_>) -> Result<(), Self::Error>;
}
