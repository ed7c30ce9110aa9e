//! The door behind minidom's own parser.

use alloc::collections::BTreeMap;
use bytestreams_stanza::TokenSink;
use bytestreams_stanza::door::{Context, Door, DoorError, XmlFault, read_element};
use minidom::Element;

/// Minidom's parser with our walk behind it.
pub(crate) struct Minidom;

impl Door for Minidom {
    fn read<S: TokenSink>(
        &mut self,
        element: &[u8],
        context: &Context,
        sink: &mut S,
    ) -> Result<(), DoorError<S::Error>> {
        let mut prefixes: BTreeMap<_, _> = context
            .prefixes()
            .map(|(prefix, ns)| (Some(prefix.to_owned()), ns.to_owned()))
            .collect();
        prefixes.insert(None, context.content().to_owned());
        let element = Element::from_reader_with_prefixes(element, prefixes)
            .map_err(|_| XmlFault::NotWellFormed)?;
        read_element(&element, sink).map_err(DoorError::Sink)
    }
}
