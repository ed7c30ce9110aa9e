//! The door of quick-xml, which splits the text into tags and texts.

use super::tags::{self, Tags};
use super::{Context, Door, DoorError, XmlFault};
use crate::TokenSink;
use quick_xml::Reader;
use quick_xml::errors::{Error, SyntaxError};
use quick_xml::events::Event;

/// Reads with quick-xml: the fast door, for targets with the standard library.
///
/// It keeps its buffers from element to element.
#[derive(Debug, Default)]
pub struct QuickXml {
    tags: Tags,
}

impl Door for QuickXml {
    fn read<S: TokenSink>(
        &mut self,
        element: &[u8],
        context: &Context,
        sink: &mut S,
    ) -> Result<(), DoorError<S::Error>> {
        let element = core::str::from_utf8(element).map_err(|_| XmlFault::Encoding)?;
        // The reader would pass over a byte order mark.
        if !element.starts_with('<') {
            return Err(XmlFault::NotWellFormed.into());
        }
        let mut reader = Reader::from_str(element);
        self.tags.clear();
        // Whether the element has begun and ended.
        let mut begun = false;
        loop {
            let event = reader.read_event().map_err(|error| fault(&error))?;
            let inside = self.tags.depth() > 0;
            match event {
                Event::Start(_) | Event::Empty(_) if begun && !inside => {
                    return Err(XmlFault::NotWellFormed.into());
                }
                Event::Start(tag) => {
                    begun = true;
                    self.tags.start(
                        tag.name().into_inner(),
                        tag.attributes_raw(),
                        context,
                        sink,
                    )?;
                }
                Event::Empty(tag) => {
                    begun = true;
                    self.tags.start(
                        tag.name().into_inner(),
                        tag.attributes_raw(),
                        context,
                        sink,
                    )?;
                    self.tags.end(sink)?;
                }
                Event::End(_) if inside => self.tags.end(sink)?,
                Event::Text(piece) if inside => self.tags.text(&piece, sink)?,
                Event::CData(piece) if inside => self.tags.cdata(&piece, sink)?,
                Event::GeneralRef(name) if inside => tags::reference(&name, sink)?,
                Event::Eof if begun && !inside => return Ok(()),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => {
                    return Err(XmlFault::Restricted.into());
                }
                // Text around the element, or its end missing.
                Event::Eof
                | Event::Text(_)
                | Event::CData(_)
                | Event::GeneralRef(_)
                | Event::End(_) => return Err(XmlFault::NotWellFormed.into()),
            }
        }
    }
}

/// A comment, an instruction or a declaration that is cut short is still one.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "all others are faults of the grammar"
)]
fn fault(error: &Error) -> XmlFault {
    match error {
        Error::Syntax(
            SyntaxError::InvalidBangMarkup
            | SyntaxError::UnclosedPI
            | SyntaxError::UnclosedXmlDecl
            | SyntaxError::UnclosedComment
            | SyntaxError::UnclosedDoctype,
        ) => XmlFault::Restricted,
        _ => XmlFault::NotWellFormed,
    }
}
