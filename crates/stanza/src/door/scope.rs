//! Prefixes and what they are bound to, element by element.

use super::{Context, XmlFault};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

/// The namespace of the prefix `xml`.
const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of the prefix `xmlns`.
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// Prefixes bound at once.
const MOST: usize = 256;

/// The bindings in force within one element of a stream (Namespaces in XML 1.0).
#[derive(Debug, Default)]
pub(super) struct Scope {
    prefixes: Vec<Binding>,
    /// The default namespaces, apart, since every element asks for the last.
    defaults: Vec<Binding>,
    /// The texts of prefixes and namespaces.
    names: String,
    /// How many elements are open.
    depth: usize,
}

#[derive(Debug)]
struct Binding {
    /// In `names`; empty for the default namespace.
    prefix: Range<usize>,
    /// In `names`; empty for none.
    namespace: Range<usize>,
    depth: usize,
}

impl Scope {
    pub(super) fn clear(&mut self) {
        self.prefixes.clear();
        self.defaults.clear();
        self.names.clear();
        self.depth = 0;
    }

    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    /// Begins an element: its bindings follow.
    pub(super) const fn enter(&mut self) {
        self.depth += 1;
    }

    /// Ends the element begun last.
    pub(super) fn leave(&mut self) {
        for bindings in [&mut self.prefixes, &mut self.defaults] {
            while let Some(binding) = bindings.pop_if(|binding| binding.depth == self.depth) {
                let kept = self.names.len().min(binding.prefix.start);
                self.names.truncate(kept);
            }
        }
        self.depth = self.depth.saturating_sub(1);
    }

    /// Binds `prefix`, or the default namespace where it is empty.
    pub(super) fn bind(&mut self, prefix: &str, namespace: &str) -> Result<(), XmlFault> {
        let allowed = match prefix {
            "xml" => namespace == XML,
            "xmlns" => false,
            // Only the default namespace can be taken away (section 6.2).
            _ => !matches!(namespace, XML | XMLNS) && (prefix.is_empty() || !namespace.is_empty()),
        };
        if !allowed {
            return Err(XmlFault::Namespace);
        }
        let bindings = if prefix.is_empty() {
            &mut self.defaults
        } else if self.prefixes.len() < MOST {
            &mut self.prefixes
        } else {
            // They are searched for each prefix: this bounds what a stanza can cost.
            return Err(XmlFault::Restricted);
        };
        let from = self.names.len();
        self.names.push_str(prefix);
        let middle = self.names.len();
        self.names.push_str(namespace);
        bindings.push(Binding {
            prefix: from..middle,
            namespace: middle..self.names.len(),
            depth: self.depth,
        });
        Ok(())
    }

    /// What `prefix` is bound to; the default namespace where it is empty.
    pub(super) fn resolve<'a>(
        &'a self,
        prefix: &str,
        context: &'a Context,
    ) -> Result<&'a str, XmlFault> {
        let text = |range: &Range<usize>| self.names.get(range.clone()).unwrap_or_default();
        if prefix.is_empty() {
            return Ok(self
                .defaults
                .last()
                .map_or_else(|| context.content(), |binding| text(&binding.namespace)));
        }
        if let Some(binding) = self
            .prefixes
            .iter()
            .rev()
            .find(|binding| text(&binding.prefix) == prefix)
        {
            return Ok(text(&binding.namespace));
        }
        match prefix {
            "xml" => Ok(XML),
            _ => context.resolve(prefix).ok_or(XmlFault::Namespace),
        }
    }
}
