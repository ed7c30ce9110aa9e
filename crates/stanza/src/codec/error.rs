//! Stanza errors (RFC 6120, 8.3).

use super::{Emit, Node, number, trim};
use crate::{AppCondition, Condition, ErrorType, StanzaError, TokenSink, ns};
use alloc::sync::Arc;

impl StanzaError {
    pub(super) fn emit<S: TokenSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        sink.open(ns::CLIENT, "error")?;
        sink.attr("type", self.kind.as_str())?;
        sink.leaf(ns::STANZA_ERRORS, self.condition.as_str(), "")?;
        if let Some(text) = &self.text {
            sink.leaf(ns::STANZA_ERRORS, "text", text)?;
        }
        if let Some(app) = self.app {
            sink.leaf(ns::SI, app.as_str(), "")?;
        }
        sink.close()
    }
}

/// An error under way. It takes whatever comes: an error that is badly written is still an error.
#[derive(Debug, Default)]
pub(crate) struct ErrorDraft {
    kind: Option<ErrorType>,
    code: Option<u64>,
    condition: Option<Condition>,
    app: Option<AppCondition>,
    text: Option<Arc<str>>,
}

impl ErrorDraft {
    pub(crate) fn open(&mut self, node: Node) {
        match node {
            Node::ErrorCondition(condition) => _ = self.condition.get_or_insert(condition),
            Node::ErrorApp(app) => _ = self.app.get_or_insert(app),
            _ => {}
        }
    }

    pub(crate) fn attr(&mut self, node: Node, name: &str, value: &str) {
        match (node, name) {
            (Node::Error, "type") => self.kind = ErrorType::from_name(trim(value)),
            (Node::Error, "code") => self.code = number(value, "code").ok(),
            _ => {}
        }
    }

    pub(crate) fn close(&mut self, node: Node, text: &str) {
        if node == Node::ErrorText && !text.is_empty() {
            self.text = Some(Arc::from(text));
        }
    }

    pub(crate) fn finish(self) -> StanzaError {
        let mut error = match (self.condition, self.code.and_then(legacy)) {
            (Some(condition), _) => StanzaError::from(condition),
            (None, Some((kind, condition))) => StanzaError::new(kind, condition),
            (None, None) => StanzaError::from(Condition::UndefinedCondition),
        };
        error.kind = self.kind.unwrap_or(error.kind);
        error.app = self.app;
        error.text = self.text;
        error
    }
}

/// What the numbers of old meant (XEP-0086, table 2).
const fn legacy(code: u64) -> Option<(ErrorType, Condition)> {
    use Condition as C;
    use ErrorType as T;
    Some(match code {
        302 => (T::Modify, C::Redirect),
        400 => (T::Modify, C::BadRequest),
        401 => (T::Auth, C::NotAuthorized),
        403 => (T::Auth, C::Forbidden),
        404 => (T::Cancel, C::ItemNotFound),
        405 => (T::Cancel, C::NotAllowed),
        406 => (T::Modify, C::NotAcceptable),
        407 => (T::Auth, C::RegistrationRequired),
        408 | 504 => (T::Wait, C::RemoteServerTimeout),
        409 => (T::Cancel, C::Conflict),
        500 => (T::Wait, C::InternalServerError),
        501 => (T::Cancel, C::FeatureNotImplemented),
        502 => (T::Wait, C::ServiceUnavailable),
        503 | 510 => (T::Cancel, C::ServiceUnavailable),
        _ => return None,
    })
}
