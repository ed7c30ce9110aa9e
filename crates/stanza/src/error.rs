//! Stanza errors (RFC 6120, 8.3).

use alloc::sync::Arc;
use core::fmt;

/// The content of an `<error/>` element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender of the request may do about it.
    pub kind: ErrorType,
    /// What is wrong. [`Condition::UndefinedCondition`] where a peer names none.
    pub condition: Condition,
    /// What is wrong in the terms of a specification.
    pub app: Option<AppCondition>,
    /// A text for people.
    pub text: Option<Arc<str>>,
}

/// The `type` of an error (RFC 6120, 8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// It was only a warning.
    Continue,
    /// Retry after changing the data.
    Modify,
    /// Retry after waiting.
    Wait,
}

macro_rules! conditions {
    ($(#[$outer:meta])* $vis:vis enum $name:ident { $($(#[$meta:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$outer])*
        $vis enum $name { $($(#[$meta])* #[doc = concat!("`", $text, "`")] $variant,)* }

        impl $name {
            /// The element's local name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The condition of that local name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

conditions! {
    /// The defined conditions (RFC 6120, 8.3.3).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Condition {
        BadRequest = "bad-request",
        Conflict = "conflict",
        FeatureNotImplemented = "feature-not-implemented",
        Forbidden = "forbidden",
        Gone = "gone",
        InternalServerError = "internal-server-error",
        ItemNotFound = "item-not-found",
        JidMalformed = "jid-malformed",
        NotAcceptable = "not-acceptable",
        NotAllowed = "not-allowed",
        NotAuthorized = "not-authorized",
        PolicyViolation = "policy-violation",
        RecipientUnavailable = "recipient-unavailable",
        Redirect = "redirect",
        RegistrationRequired = "registration-required",
        RemoteServerNotFound = "remote-server-not-found",
        RemoteServerTimeout = "remote-server-timeout",
        ResourceConstraint = "resource-constraint",
        ServiceUnavailable = "service-unavailable",
        SubscriptionRequired = "subscription-required",
        UndefinedCondition = "undefined-condition",
        UnexpectedRequest = "unexpected-request",
    }
}

conditions! {
    /// Conditions in the namespace of Stream Initiation (XEP-0095, section 4).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum AppCondition {
        NoValidStreams = "no-valid-streams",
        BadProfile = "bad-profile",
    }
}

impl ErrorType {
    /// The value of the attribute.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "auth" => Self::Auth,
            "cancel" => Self::Cancel,
            "continue" => Self::Continue,
            "modify" => Self::Modify,
            "wait" => Self::Wait,
            _ => return None,
        })
    }
}

impl StanzaError {
    /// Makes an error without text.
    pub const fn new(kind: ErrorType, condition: Condition) -> Self {
        Self {
            kind,
            condition,
            app: None,
            text: None,
        }
    }
}

impl From<Condition> for StanzaError {
    /// Makes an error with the type that RFC 6120 recommends for the condition.
    fn from(condition: Condition) -> Self {
        use Condition as C;
        let kind = match condition {
            C::Forbidden | C::NotAuthorized | C::RegistrationRequired | C::SubscriptionRequired => {
                ErrorType::Auth
            }
            C::BadRequest
            | C::JidMalformed
            | C::NotAcceptable
            | C::PolicyViolation
            | C::Redirect => ErrorType::Modify,
            C::RecipientUnavailable
            | C::RemoteServerTimeout
            | C::ResourceConstraint
            | C::UnexpectedRequest => ErrorType::Wait,
            C::Conflict
            | C::FeatureNotImplemented
            | C::Gone
            | C::InternalServerError
            | C::ItemNotFound
            | C::NotAllowed
            | C::RemoteServerNotFound
            | C::ServiceUnavailable
            | C::UndefinedCondition => ErrorType::Cancel,
        };
        Self::new(kind, condition)
    }
}

impl fmt::Display for StanzaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.as_str())?;
        if let Some(app) = self.app {
            write!(f, " ({app})")?;
        }
        if let Some(text) = &self.text {
            write!(f, ": {text}")?;
        }
        Ok(())
    }
}

impl core::error::Error for StanzaError {}
