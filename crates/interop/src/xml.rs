//! Just enough XML to cut a stream of a well-behaved server or client into stanzas.

/// Cuts the octets of one direction of an XML stream into its top-level elements.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: Vec<u8>,
    scanned: usize,
    start: usize,
    depth: usize,
}

impl Splitter {
    /// Takes the next octets of the stream, cut anywhere.
    pub fn push(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// Gives the next whole top-level element; a stream header counts as one.
    pub fn next_stanza(&mut self) -> Option<Stanza> {
        loop {
            let open = self.scanned + position(&self.buffer[self.scanned..], b'<')?;
            let end = open + tag_end(&self.buffer[open..])?;
            let tag = &self.buffer[open..=end];
            let top = self.depth <= 1;
            let header = tag.starts_with(b"<stream:stream") || tag.starts_with(b"<?");
            let done = if header {
                self.depth = if tag.starts_with(b"<?") {
                    self.depth
                } else {
                    1
                };
                true
            } else if tag.starts_with(b"</") {
                self.depth = self.depth.saturating_sub(1);
                self.depth <= 1
            } else if tag.ends_with(b"/>") {
                top
            } else {
                self.depth += 1;
                false
            };
            if top {
                self.start = open;
            }
            self.scanned = end + 1;
            if done {
                let text = String::from_utf8_lossy(&self.buffer[self.start..=end]).into_owned();
                self.buffer.drain(..=end);
                self.scanned = 0;
                self.start = 0;
                if !text.starts_with("<?") {
                    return Some(Stanza(text));
                }
            }
        }
    }
}

fn position(octets: &[u8], wanted: u8) -> Option<usize> {
    octets.iter().position(|&octet| octet == wanted)
}

/// Finds the `>` that ends the tag at the start of `octets`, minding quotes.
fn tag_end(octets: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, &octet) in octets.iter().enumerate() {
        match (quote, octet) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(octet),
            (Some(open), _) if open == octet => quote = None,
            _ => {}
        }
    }
    None
}

/// One top-level element as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza(
    /// The element as it was on the wire.
    pub String,
);

impl Stanza {
    /// Gives an attribute of the outermost tag, entities left as they are.
    pub fn attr(&self, name: &str) -> Option<&str> {
        let tag = &self.0[..=tag_end(self.0.as_bytes())?];
        attr(tag, name)
    }

    /// Gives an attribute of the first tag of that local name anywhere in the stanza.
    pub fn child_attr(&self, element: &str, name: &str) -> Option<&str> {
        let at = self.find(element)?;
        let rest = &self.0[at..];
        attr(&rest[..=tag_end(rest.as_bytes())?], name)
    }

    /// Says whether the text is anywhere in the stanza.
    pub fn has(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    /// Says whether this is an IQ of that type.
    pub fn is_iq(&self, kind: &str) -> bool {
        self.0.starts_with("<iq") && self.attr("type") == Some(kind)
    }

    fn find(&self, element: &str) -> Option<usize> {
        let open = format!("<{element}");
        self.0
            .match_indices(&open)
            .map(|(at, _)| at)
            .find(|at| self.0[at + open.len()..].starts_with([' ', '>', '/', '\n', '\t']))
    }
}

fn attr<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    for quote in ['\'', '"'] {
        let key = format!(" {name}={quote}");
        if let Some(at) = tag.find(&key) {
            let value = &tag[at + key.len()..];
            return value.find(quote).map(|end| &value[..end]);
        }
    }
    None
}

/// Escapes text for an attribute or an element.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&apos;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_a_stream_at_any_cut() {
        let stream = "<?xml version='1.0'?><stream:stream to='a' version='1.0'><iq id='1' type='get'><q a='>'/>x</iq> \
                      <presence/><message><body>a</body></message></stream:stream>";
        let wanted = [
            "<stream:stream to='a' version='1.0'>",
            "<iq id='1' type='get'><q a='>'/>x</iq>",
            "<presence/>",
            "<message><body>a</body></message>",
            "</stream:stream>",
        ];
        for step in [1, 2, 7, stream.len()] {
            let mut splitter = Splitter::default();
            let mut got = Vec::new();
            for piece in stream.as_bytes().chunks(step) {
                splitter.push(piece);
                while let Some(stanza) = splitter.next_stanza() {
                    got.push(stanza.0);
                }
            }
            assert_eq!(got, wanted, "in pieces of {step}");
        }
    }

    #[test]
    fn reads_attributes() {
        let stanza = Stanza("<iq type=\"set\" id='7'><data seq='3' sid='s'/></iq>".into());
        assert_eq!(stanza.attr("id"), Some("7"));
        assert_eq!(stanza.child_attr("data", "seq"), Some("3"));
        assert!(stanza.is_iq("set"));
    }
}
