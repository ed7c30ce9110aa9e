//! The parts of XML 1.0 within a tag and a text: names, attributes, characters, references.

use super::XmlFault;
use crate::base64::is_space;
use alloc::string::String;
use core::ops::Range;

/// A name with its prefix, which is empty where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) local: &'a str,
}

impl<'a> Name<'a> {
    /// Takes a name apart and checks both parts (Namespaces in XML 1.0, section 4).
    pub(crate) fn split(name: &'a str) -> Result<Self, XmlFault> {
        let (prefix, local) = match name.split_once(':') {
            Some((prefix, local)) if is_ncname(prefix) => (prefix, local),
            Some(_) => return Err(XmlFault::NotWellFormed),
            None => ("", name),
        };
        if !is_ncname(local) {
            return Err(XmlFault::NotWellFormed);
        }
        Ok(Self { prefix, local })
    }
}

fn is_ncname(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start) && chars.all(is_name_char)
}

/// NameStartChar without the colon (XML 1.0, 2.3).
const fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}'
        | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}'
        | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

/// NameChar without the colon (XML 1.0, 2.3).
const fn is_name_char(c: char) -> bool {
    is_name_start(c)
        || matches!(c,
            '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// Char (XML 1.0, 2.2).
const fn is_char(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}')
}

/// Says quickly whether a text surely has none but legal characters and no line end to normalise.
fn is_plain(text: &str) -> bool {
    // 0xEF leads U+FFFE and U+FFFF, among others.
    let odd = |b: &u8| (*b < 0x20 && *b != b'\n' && *b != b'\t') || *b == 0xEF;
    !text.bytes().fold(false, |any, b| any | odd(&b))
}

/// A text as it counts, its references apart: characters checked, line ends normalised (2.11).
pub(crate) fn content<'a>(text: &'a str, scratch: &'a mut String) -> Result<&'a str, XmlFault> {
    if memchr::memchr(b']', text.as_bytes()).is_some() && split_once(text, "]]>").is_some() {
        return Err(XmlFault::NotWellFormed);
    }
    cdata(text, scratch)
}

/// What stands before and behind the first `what`. The search of the standard library is quicker in long
/// texts, and takes much more code.
pub(crate) fn split_once<'a>(text: &'a str, what: &str) -> Option<(&'a str, &'a str)> {
    let mut places = text.as_bytes().windows(what.len());
    let at = places.position(|place| place == what.as_bytes())?;
    Some((text.get(..at)?, text.get(at + what.len()..)?))
}

/// The same within a CDATA section.
pub(crate) fn cdata<'a>(text: &'a str, scratch: &'a mut String) -> Result<&'a str, XmlFault> {
    if is_plain(text) {
        return Ok(text);
    }
    if !text.chars().all(is_char) {
        return Err(XmlFault::NotWellFormed);
    }
    if !text.contains('\r') {
        return Ok(text);
    }
    scratch.clear();
    push_lines(text, scratch);
    Ok(scratch)
}

fn push_lines(text: &str, out: &mut String) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\r' {
            chars.next_if_eq(&'\n');
            out.push('\n');
        } else {
            out.push(c);
        }
    }
}

/// What stands for `&name;` (4.1, 4.6).
pub(crate) fn reference(name: &str) -> Result<char, XmlFault> {
    let number = |digits: &str, radix| {
        let add = |sum: u32, c: char| sum.checked_mul(radix)?.checked_add(c.to_digit(radix)?);
        digits
            .chars()
            .try_fold(0, add)
            .and_then(char::from_u32)
            .filter(|c| is_char(*c))
            .ok_or(XmlFault::NotWellFormed)
    };
    if let Some(digits) = name.strip_prefix("#x") {
        return number(digits, 16);
    }
    if let Some(digits) = name.strip_prefix('#') {
        return number(digits, 10);
    }
    match name {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        // Another could only come from a declaration, which a stream has not.
        _ if Name::split(name).is_ok() => Err(XmlFault::Restricted),
        _ => Err(XmlFault::NotWellFormed),
    }
}

/// One attribute of a start tag.
#[derive(Debug)]
pub(crate) struct Attribute {
    /// Where its name stands in the tag.
    pub(crate) name: Range<usize>,
    /// Where its value was appended to the values.
    pub(crate) value: Range<usize>,
}

/// The attributes of a start tag, in order (3.1).
#[derive(Debug)]
pub(crate) struct Attributes<'a> {
    raw: &'a str,
    at: usize,
}

impl<'a> Attributes<'a> {
    /// `raw` is what stands between the element's name and the tag's end.
    pub(crate) const fn new(raw: &'a str) -> Self {
        Self { raw, at: 0 }
    }

    fn rest(&self) -> &'a str {
        self.raw.get(self.at..).unwrap_or_default()
    }

    /// Skips white space and says whether there was any.
    fn skip_space(&mut self) -> bool {
        let from = self.at;
        self.at += self.rest().bytes().take_while(|b| is_space(*b)).count();
        self.at > from
    }

    /// The next attribute; its value, references resolved and white space normalised (3.3.3), is
    /// appended to `values`.
    pub(crate) fn next(&mut self, values: &mut String) -> Result<Option<Attribute>, XmlFault> {
        let spaced = self.skip_space();
        let rest = self.rest();
        if rest.is_empty() {
            return Ok(None);
        }
        let length = rest
            .bytes()
            .position(|b| b == b'=' || is_space(b))
            .ok_or(XmlFault::NotWellFormed)?;
        let name = self.at..self.at + length;
        self.at = name.end;
        self.skip_space();
        let after = self.rest().strip_prefix('=');
        if !spaced || after.is_none() {
            return Err(XmlFault::NotWellFormed);
        }
        self.at += 1;
        self.skip_space();
        let mut chars = self.rest().chars();
        let Some(quote @ ('"' | '\'')) = chars.next() else {
            return Err(XmlFault::NotWellFormed);
        };
        let (value, _) = chars
            .as_str()
            .split_once(quote)
            .ok_or(XmlFault::NotWellFormed)?;
        self.at += value.len() + 2;
        let from = values.len();
        push_value(value, values)?;
        Ok(Some(Attribute {
            name,
            value: from..values.len(),
        }))
    }
}

fn push_value(mut value: &str, out: &mut String) -> Result<(), XmlFault> {
    if value.contains('<') || !value.chars().all(is_char) {
        return Err(XmlFault::NotWellFormed);
    }
    while let Some((before, after)) = value.split_once('&') {
        push_spaces(before, out);
        let (name, after) = after.split_once(';').ok_or(XmlFault::NotWellFormed)?;
        out.push(reference(name)?);
        value = after;
    }
    push_spaces(value, out);
    Ok(())
}

/// Literal white space in a value counts as blanks, a line end as one.
fn push_spaces(text: &str, out: &mut String) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push(' ');
            }
            '\n' | '\t' => out.push(' '),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    fn attributes(raw: &str) -> Result<Vec<(String, String)>, XmlFault> {
        let mut values = String::new();
        let mut found = Vec::new();
        let mut rest = Attributes::new(raw);
        while let Some(Attribute { name, value }) = rest.next(&mut values)? {
            found.push((raw[name].to_string(), values[value].to_string()));
        }
        Ok(found)
    }

    #[test]
    fn attributes_are_read_however_they_are_spaced_and_quoted() {
        let found = attributes(" a='1'\n\tb = \"&lt;'&#x41;&#66;\"  c='x\r\ny\tz&#10;' ");
        let expected = [("a", "1"), ("b", "<'AB"), ("c", "x y z\n")]
            .map(|(name, value)| (name.to_string(), value.to_string()));
        assert_eq!(found.as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn attributes_that_are_not_well_formed_are_refused() {
        for raw in [
            " a",
            " a=",
            " a=b",
            " a='1",
            " a='1'b='2'",
            "a='1'",
            " a='<'",
            " a='&'",
            " a='&#0;'",
            " a='&#xD800;'",
            " a='&#+65;'",
            " a='\u{1}'",
            " a='&#;'",
            " a='& amp;'",
        ] {
            assert_eq!(attributes(raw), Err(XmlFault::NotWellFormed), "{raw}");
        }
        assert_eq!(attributes(" a='&x;'"), Err(XmlFault::Restricted));
    }

    #[test]
    fn names_have_at_most_one_colon_between_two_parts() {
        for name in [
            "", ":", "a:", ":a", "a:b:c", "1a", "-a", "a b", "a/", "a\u{d7}",
        ] {
            assert!(Name::split(name).is_err(), "{name}");
        }
        for name in ["a", "a:b", "_-.1", "\u{e9}:\u{516c}"] {
            assert!(Name::split(name).is_ok(), "{name}");
        }
    }
}
