//! Stream Initiation (XEP-0095), its file-transfer profile (XEP-0096), Feature Negotiation
//! (XEP-0020) and its data form (XEP-0004).

use super::{Draft, Emit, Node, Tools, number, room, shared, sid, trim};
use crate::{
    Fault, Field, FieldType, File, Form, FormType, Payload, Range, Si, Sid, TokenSink, ns,
};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Si {
    /// An offer has its file first; a result, which has no id, has its feature first and a file
    /// only with a range: there are peers that go by position, and one that a bare file breaks.
    pub(super) fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        sink.open(ns::SI, "si")?;
        sink.attr_if("id", self.id.as_ref().map(Sid::as_str))?;
        sink.attr_if("mime-type", self.mime_type.as_deref())?;
        sink.attr_if("profile", self.profile.as_deref())?;
        if self.id.is_some() {
            self.emit_file(sink)?;
            self.emit_feature(sink)?;
        } else {
            self.emit_feature(sink)?;
            if self.file.as_ref().is_some_and(|file| file.range.is_some()) {
                self.emit_file(sink)?;
            }
        }
        sink.close()
    }

    fn emit_file<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        self.file.as_ref().map_or(Ok(()), |file| file.emit(sink))
    }

    fn emit_feature<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        let Some(form) = &self.feature else {
            return Ok(());
        };
        sink.open(ns::FEATURE_NEG, "feature")?;
        form.emit(sink)?;
        sink.close()
    }
}

impl File {
    fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        sink.open(ns::FILE_TRANSFER, "file")?;
        sink.attr_if("name", self.name.as_deref())?;
        if let Some(size) = self.size {
            sink.number("size", size)?;
        }
        if let Some(hash) = &self.hash {
            let mut hex = [0; 32];
            for (pair, octet) in hex.chunks_exact_mut(2).zip(hash) {
                pair.copy_from_slice(&[hex_digit(octet >> 4), hex_digit(octet & 15)]);
            }
            sink.attr("hash", core::str::from_utf8(&hex).unwrap_or_default())?;
        }
        sink.attr_if("date", self.date.as_deref())?;
        if let Some(desc) = &self.desc {
            sink.leaf(ns::FILE_TRANSFER, "desc", desc)?;
        }
        if let Some(range) = &self.range {
            sink.open(ns::FILE_TRANSFER, "range")?;
            if let Some(offset) = range.offset {
                sink.number("offset", offset)?;
            }
            if let Some(length) = range.length {
                sink.number("length", length)?;
            }
            sink.close()?;
        }
        sink.close()
    }
}

impl Form {
    fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        sink.open(ns::DATA_FORMS, "x")?;
        sink.attr(
            "type",
            match self.kind {
                FormType::Form => "form",
                FormType::Submit => "submit",
                FormType::Cancel => "cancel",
                FormType::Result => "result",
            },
        )?;
        for field in &self.fields {
            sink.open(ns::DATA_FORMS, "field")?;
            sink.attr("var", &field.var)?;
            match field.kind {
                FieldType::Unspecified => {}
                FieldType::ListSingle => sink.attr("type", "list-single")?,
                FieldType::ListMulti => sink.attr("type", "list-multi")?,
                // Which it was is not kept; this one is the default of XEP-0004.
                FieldType::Other => sink.attr("type", "text-single")?,
            }
            for value in &field.values {
                sink.leaf(ns::DATA_FORMS, "value", value)?;
            }
            for choice in &field.options {
                sink.open(ns::DATA_FORMS, "option")?;
                sink.leaf(ns::DATA_FORMS, "value", choice)?;
                sink.close()?;
            }
            sink.close()?;
        }
        sink.close()
    }
}

#[derive(Debug, Default)]
pub(crate) struct SiDraft {
    si: Si,
    form: FormDraft,
}

#[derive(Debug, Default)]
struct FormDraft {
    kind: Option<FormType>,
    fields: Vec<Field>,
    /// Whether the option under way has its value.
    chosen: bool,
}

impl SiDraft {
    fn file(&mut self) -> &mut File {
        self.si.file.get_or_insert_default()
    }
}

impl Draft for SiDraft {
    fn open(&mut self, node: Node, tools: &mut Tools) -> Result<(), Fault> {
        match node {
            Node::File => _ = self.file(),
            Node::Range => self.file().range = Some(Range::default()),
            Node::Form => self.form = FormDraft::default(),
            Node::Field => {
                room(&self.form.fields, &tools.limits)?;
                self.form.fields.push(Field {
                    var: Arc::default(),
                    kind: FieldType::Unspecified,
                    values: Vec::new(),
                    options: Vec::new(),
                });
            }
            Node::Choice => self.form.chosen = false,
            _ => {}
        }
        Ok(())
    }

    fn attr(
        &mut self,
        node: Node,
        name: &str,
        value: &str,
        tools: &mut Tools,
    ) -> Result<(), Fault> {
        let range = self.si.file.as_mut().and_then(|file| file.range.as_mut());
        match (node, name) {
            (Node::Si, "id") if !value.is_empty() => self.si.id = Some(sid(value, tools)?),
            (Node::Si, "profile") => self.si.profile = shared(value),
            (Node::Si, "mime-type") => self.si.mime_type = shared(value),
            (Node::File, "name") => self.file().name = shared(value),
            // Where it is missing it is not known: no more is it where it is no number, such as the
            // negative ones of peers that count in 32 bits.
            (Node::File, "size") => self.file().size = number(value, "size").ok(),
            // It is optional, and one that is no MD5 is as good as none.
            (Node::File, "hash") => self.file().hash = md5(trim(value)),
            (Node::File, "date") => self.file().date = shared(value),
            (Node::Range, "offset") => {
                let offset = number(value, "offset")?;
                if let Some(range) = range {
                    range.offset = Some(offset);
                }
            }
            (Node::Range, "length") => {
                let length = number(value, "length")?;
                if let Some(range) = range {
                    range.length = Some(length);
                }
            }
            (Node::Form, "type") => {
                self.form.kind = match trim(value) {
                    "form" => Some(FormType::Form),
                    "submit" => Some(FormType::Submit),
                    "cancel" => Some(FormType::Cancel),
                    "result" => Some(FormType::Result),
                    _ => None,
                }
            }
            (Node::Field, _) => {
                if let Some(field) = self.form.fields.last_mut() {
                    match name {
                        "var" => field.var = Arc::from(value),
                        "type" => {
                            field.kind = match trim(value) {
                                "list-single" => FieldType::ListSingle,
                                "list-multi" => FieldType::ListMulti,
                                _ => FieldType::Other,
                            }
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, node: Node, text: &str, tools: &mut Tools) -> Result<(), Fault> {
        let field = self.form.fields.last_mut();
        match (node, field) {
            (Node::Desc, _) => self.file().desc = shared(text),
            (Node::Value, Some(field)) => {
                room(&field.values, &tools.limits)?;
                field.values.push(Arc::from(trim(text)));
            }
            (Node::ChoiceValue, Some(field)) if !self.form.chosen => {
                room(&field.options, &tools.limits)?;
                self.form.chosen = true;
                field.options.push(Arc::from(trim(text)));
            }
            (Node::Form, _) => {
                let form = core::mem::take(&mut self.form);
                let asks = form.fields.iter().any(|field| !field.options.is_empty());
                // The first form is the one that negotiates.
                if self.si.feature.is_none() {
                    self.si.feature = Some(Form {
                        kind: form.kind.unwrap_or(if asks {
                            FormType::Form
                        } else {
                            FormType::Submit
                        }),
                        fields: form.fields,
                    });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn sid(&self) -> Option<Sid> {
        self.si.id.clone()
    }

    fn finish(self) -> Result<Payload, Fault> {
        Ok(Payload::Si(Box::new(self.si)))
    }
}

const fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + nibble - 10,
    }
}

fn md5(hex: &str) -> Option<[u8; 16]> {
    let mut octets = [0; 16];
    if hex.len() != 32 {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *octet = pair.iter().try_fold(0_u8, |sum, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            Some((sum << 4) | digit as u8)
        })?;
    }
    Some(octets)
}
