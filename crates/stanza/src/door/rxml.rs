//! The door of rxml, which needs no standard library.

use super::{Context, Door, DoorError, XmlFault};
use crate::{Token, TokenSink};
use alloc::string::String;
use rxml::error::EndOrError;
use rxml::{Event, Options, Parse, Parser, WithOptions};

/// Reads with rxml: the door for targets without the standard library.
///
/// The parser stands inside a stream's header from one element to the next, and is fed in small
/// pieces, since its cost an octet grows with the piece. It holds room for the longest name or
/// attribute value from the first element on.
#[derive(Debug)]
pub struct Rxml {
    /// Inside the header of that context.
    parser: Option<(Context, Parser)>,
    token: usize,
}

impl Rxml {
    /// Makes a door for names and attribute values of up to `octets` each, which is what it
    /// allocates; longer ones end the stream. With the framer's
    /// [`Limits::stanza`](crate::Limits::stanza) none is longer.
    pub const fn with_longest(octets: usize) -> Self {
        Self {
            parser: None,
            token: octets,
        }
    }
}

impl Default for Rxml {
    /// A door for names and attribute values of up to 64 KiB.
    fn default() -> Self {
        Self::with_longest(TOKEN)
    }
}

impl Door for Rxml {
    fn read<S: TokenSink>(
        &mut self,
        element: &[u8],
        context: &Context,
        sink: &mut S,
    ) -> Result<(), DoorError<S::Error>> {
        let (context, mut parser) = match self.parser.take() {
            Some((known, parser)) if known == *context => (known, parser),
            _ => (context.clone(), stream(context, self.token)?),
        };
        // After a failure it is gone: the next element finds a new one.
        read(element, &mut parser, sink)?;
        self.parser = Some((context, parser));
        Ok(())
    }
}

fn read<S: TokenSink>(
    element: &[u8],
    parser: &mut Parser,
    sink: &mut S,
) -> Result<(), DoorError<S::Error>> {
    let mut depth = 0_usize;
    let mut ended = false;
    for mut piece in element.chunks(PIECE) {
        if ended {
            return Err(XmlFault::NotWellFormed.into());
        }
        while let Some(event) = next(parser, &mut piece)? {
            match event {
                Event::StartElement(_, (ns, name), attributes) => {
                    if ended {
                        return Err(XmlFault::NotWellFormed.into());
                    }
                    depth += 1;
                    push(
                        sink,
                        Token::Open {
                            ns: &ns,
                            name: &name,
                        },
                    )?;
                    for ((ns, name), value) in &attributes {
                        if ns.is_none() {
                            push(sink, Token::Attr { name, value })?;
                        }
                    }
                }
                Event::Text(_, text) if depth > 0 => push(sink, Token::Text(&text))?,
                Event::EndElement(_) if depth > 0 => {
                    depth -= 1;
                    ended = depth == 0;
                    push(sink, Token::Close)?;
                    // What follows would stay in the parser until the next element.
                    if ended && !piece.is_empty() {
                        return Err(XmlFault::NotWellFormed.into());
                    }
                }
                Event::Text(..) | Event::EndElement(_) => {
                    return Err(XmlFault::NotWellFormed.into());
                }
                Event::XmlDeclaration(..) => {
                    return Err(XmlFault::Restricted.into());
                }
            }
        }
    }
    if !ended {
        return Err(XmlFault::NotWellFormed.into());
    }
    Ok(())
}

fn push<S: TokenSink>(sink: &mut S, token: Token<'_>) -> Result<(), DoorError<S::Error>> {
    sink.token(token).map_err(DoorError::Sink)
}

/// The next event within the piece, or none once it is used up.
fn next(parser: &mut Parser, piece: &mut &[u8]) -> Result<Option<Event>, XmlFault> {
    match parser.parse(piece, false) {
        Ok(event) => Ok(event),
        Err(EndOrError::NeedMoreData) => Ok(None),
        Err(EndOrError::Error(error)) => Err(fault(error)),
    }
}

/// A parser inside the header that the context stands for.
fn stream(context: &Context, token: usize) -> Result<Parser, XmlFault> {
    let mut header = String::from("<?xml version='1.0'?><stream");
    let mut bind = |prefix: &str, namespace: &str| {
        header.push_str(" xmlns");
        if !prefix.is_empty() {
            header.push(':');
            header.push_str(prefix);
        }
        header.push_str("='");
        for c in namespace.chars() {
            match c {
                '&' => header.push_str("&amp;"),
                '<' => header.push_str("&lt;"),
                '\'' => header.push_str("&apos;"),
                c => header.push(c),
            }
        }
        header.push('\'');
    };
    bind("", context.content());
    for (prefix, namespace) in context.prefixes().filter(|(prefix, _)| *prefix != "xml") {
        bind(prefix, namespace);
    }
    header.push('>');
    let mut parser = Parser::with_options(Options {
        max_token_length: token,
        ..Options::default()
    });
    // Otherwise the last of a text would wait for the next element.
    parser.set_text_buffering(false);
    let mut rest = header.as_bytes();
    while next(&mut parser, &mut rest)?.is_some() {}
    Ok(parser)
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "all others are faults of the grammar"
)]
const fn fault(error: rxml::Error) -> XmlFault {
    use rxml::Error as E;
    match error {
        E::InvalidUtf8Byte(_) => XmlFault::Encoding,
        E::RestrictedXml(_) | E::UndeclaredEntity => XmlFault::Restricted,
        E::UndeclaredNamespacePrefix(_)
        | E::ReservedNamespacePrefix
        | E::ReservedNamespaceName
        | E::EmptyNamespaceUri => XmlFault::Namespace,
        _ => XmlFault::NotWellFormed,
    }
}

/// Octets fed at once.
const PIECE: usize = 512;
/// Octets of one name or attribute value, unless told; longer texts come in pieces.
const TOKEN: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoder, Limits};
    use alloc::format;

    #[test]
    fn a_door_with_little_room_refuses_what_is_longer_and_nothing_else() {
        let read = |octets: usize| {
            let element = format!("<presence id='{}'/>", "x".repeat(octets));
            let mut decoder = Decoder::new(Limits::SMALL);
            let context = Context::default();
            Rxml::with_longest(100).read(element.as_bytes(), &context, &mut decoder)
        };
        assert!(read(100).is_ok());
        assert!(read(101).is_err());
    }
}
