//! Data forms (XEP-0004), as Feature Negotiation (XEP-0020) uses them.

use alloc::sync::Arc;
use alloc::vec::Vec;

/// `<x/>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Its type.
    pub kind: FormType,
    /// Its fields, in order.
    pub fields: Vec<Field>,
}

/// The type of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormType {
    /// `form`
    Form,
    /// `submit`
    Submit,
    /// `cancel`
    Cancel,
    /// `result`
    Result,
}

/// `<field/>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub var: Arc<str>,
    /// Its type, where it names one.
    pub kind: FieldType,
    /// The values chosen.
    pub values: Vec<Arc<str>>,
    /// The values of the options offered, labels dropped.
    pub options: Vec<Arc<str>>,
}

/// The type of a field, as far as the difference matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldType {
    /// No `type` attribute.
    Unspecified,
    /// `list-single`
    ListSingle,
    /// `list-multi`
    ListMulti,
    /// Any other.
    Other,
}
