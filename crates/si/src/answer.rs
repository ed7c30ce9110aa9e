//! The Receiver's side.

use crate::method::named;
use crate::offer::STREAM_METHOD;
use crate::{Method, Methods};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytestreams_stanza::{
    AppCondition, Condition, ErrorType, Field, FieldType, File, Form, FormType, Id, Iq, IqBody,
    Jid, Payload, Range, Si, Sid, StanzaError, ns,
};

/// A peer's offer, read, and the means to answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    from: Jid,
    id: Id,
    sid: Sid,
    file: File,
    mime_type: Option<Arc<str>>,
    methods: Methods,
    takes_several: bool,
}

impl Answer {
    /// Reads an offer of a file. `enabled` are the methods to be had here, preferred ones first.
    ///
    /// The name and the size may be missing, and the field may be of any type.
    ///
    /// # Errors
    /// The error to answer with: bad-profile for an offer that is not of a file, no-valid-streams
    /// where no method is common (XEP-0095, section 4.2), bad-request for one without a stream
    /// identifier or a sender, and for anything else than a set of `<si/>`.
    pub fn read(iq: &Iq, enabled: &[Method]) -> Result<Self, StanzaError> {
        let IqBody::Set(Payload::Si(si)) = &iq.body else {
            return Err(Condition::BadRequest.into());
        };
        if si.profile.as_deref() != Some(ns::FILE_TRANSFER) {
            return Err(with_app(ErrorType::Modify, AppCondition::BadProfile));
        }
        let (Some(from), Some(sid), Some(file)) = (&iq.from, &si.id, &si.file) else {
            return Err(Condition::BadRequest.into());
        };
        let methods = common(si, sid, enabled);
        if methods.is_empty() {
            return Err(with_app(ErrorType::Cancel, AppCondition::NoValidStreams));
        }
        Ok(Self {
            from: from.clone(),
            id: iq.id.clone(),
            sid: sid.clone(),
            file: file.clone(),
            mime_type: si.mime_type.clone(),
            methods,
            takes_several: takes_several(si, sid),
        })
    }

    /// Who offers.
    pub fn from(&self) -> &Jid {
        &self.from
    }

    /// The id of the request, by which a repeated one is known.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// The stream to be.
    pub fn sid(&self) -> &Sid {
        &self.sid
    }

    /// The file, as the peer describes it.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The MIME type, as the peer says.
    pub fn mime_type(&self) -> Option<&Arc<str>> {
        self.mime_type.as_ref()
    }

    /// The methods that both sides have, the ones preferred here first; never empty. In-band
    /// streams are not among them where the sid is no NMTOKEN (XEP-0047, section 2.1).
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// Builds the acceptance by one method (XEP-0095, section 3.2; XEP-0096, example 2). A range is
    /// in it only where it is not the whole file: one peer cannot read a bare `<file/>`.
    ///
    /// A Sender that lets several be chosen is told of every method from this one on, the preferred
    /// ones first: it goes on to the next by itself, under the same sid, when one comes to nothing.
    pub fn accept(&self, method: Method, range: Range) -> Iq {
        let file = (range != Range::default()).then(|| File {
            range: Some(range),
            ..File::default()
        });
        let mut values = Vec::from([Arc::from(method.namespace())]);
        let mut others = self.methods.iter();
        if self.takes_several && others.any(|other| *other == method) {
            others.for_each(|other| values.push(Arc::from(other.namespace())));
        }
        let si = Si {
            file,
            feature: Some(Form {
                kind: FormType::Submit,
                fields: Vec::from([Field {
                    var: Arc::from(STREAM_METHOD),
                    kind: FieldType::Unspecified,
                    values,
                    options: Vec::new(),
                }]),
            }),
            ..Si::default()
        };
        self.reply(IqBody::Result(Some(Payload::Si(Box::new(si)))))
    }

    /// Builds the refusal of somebody who does not want the file (XEP-0095, example 8).
    pub fn decline(&self, text: Option<Arc<str>>) -> Iq {
        let mut error = StanzaError::new(ErrorType::Cancel, Condition::Forbidden);
        error.text = text;
        self.refuse(error)
    }

    /// Builds a refusal for any other reason.
    pub fn refuse(&self, error: impl Into<StanzaError>) -> Iq {
        self.reply(IqBody::Error(Box::new(error.into())))
    }

    fn reply(&self, body: IqBody) -> Iq {
        Iq::answer(Some(self.from.clone()), self.id.clone(), body)
    }
}

/// The methods that the offer and `enabled` have in common, in the order of `enabled`: peers differ
/// in whether their order means anything.
fn common(si: &Si, sid: &Sid, enabled: &[Method]) -> Methods {
    let mut methods = named(si.feature.as_ref(), enabled, true);
    methods.retain(|method| *method != Method::Ibb || sid.is_nmtoken());
    methods
}

/// Says whether the Sender takes several methods for an answer. Smack does up to 4.3, and falls back
/// from SOCKS5 to in band only then: 3 offers a list-multi, and 4.0 to 4.3, which do not, have sids of
/// up to 19 digits. Later ones cannot read such an answer; their sids have 10 digits at most.
fn takes_several(si: &Si, sid: &Sid) -> bool {
    let field = |field: &Field| &*field.var == STREAM_METHOD && field.kind == FieldType::ListMulti;
    let digits = sid.as_str().strip_prefix("jsi_").unwrap_or_default();
    si.feature.iter().flat_map(|form| &form.fields).any(field)
        || (digits.len() > 11 && digits.bytes().all(|digit| digit.is_ascii_digit()))
}

fn with_app(kind: ErrorType, app: AppCondition) -> StanzaError {
    StanzaError {
        app: Some(app),
        ..StanzaError::new(kind, Condition::BadRequest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENABLED: [Method; 2] = [Method::Socks5, Method::Ibb];

    fn si(kind: FieldType, options: &[&str], values: &[&str]) -> Si {
        let texts = |list: &[&str]| list.iter().map(|&v| Arc::from(v)).collect();
        Si {
            id: Sid::new("82B0C697-C1DE").ok(),
            profile: Some(ns::FILE_TRANSFER.into()),
            file: Some(File {
                name: Some("img0545.png".into()),
                size: Some(152_443),
                ..File::default()
            }),
            feature: Some(Form {
                kind: FormType::Form,
                fields: Vec::from([Field {
                    var: STREAM_METHOD.into(),
                    kind,
                    values: texts(values),
                    options: texts(options),
                }]),
            }),
            ..Si::default()
        }
    }

    fn read(si: Si) -> Result<Answer, StanzaError> {
        let mut iq = Iq::set(None, "iq_13".into(), Payload::Si(Box::new(si)));
        iq.from = Jid::new("iphone@192.168.1.113/xiff").ok();
        Answer::read(&iq, &ENABLED)
    }

    fn error(result: Result<Answer, StanzaError>) -> StanzaError {
        result.expect_err("a refusal")
    }

    #[test]
    fn methods_stand_in_our_order_whatever_the_offer_looks_like() {
        let both = si(FieldType::ListSingle, &[ns::IBB, ns::BYTESTREAMS], &[]);
        assert_eq!(read(both).expect("an offer").methods(), ENABLED);
        for kind in [
            FieldType::Unspecified,
            FieldType::ListMulti,
            FieldType::Other,
        ] {
            let offer = si(kind, &["jabber:iq:oob", ns::IBB], &["junk"]);
            assert_eq!(read(offer).expect("an offer").methods(), [Method::Ibb]);
        }
        let values = si(FieldType::Unspecified, &[], &[ns::BYTESTREAMS]);
        assert_eq!(read(values).expect("an offer").methods(), [Method::Socks5]);
    }

    #[test]
    fn an_offer_without_common_method_is_refused() {
        for options in [&[][..], &["jabber:iq:oob"]] {
            let refusal = error(read(si(FieldType::ListSingle, options, &[])));
            assert_eq!(refusal.app, Some(AppCondition::NoValidStreams));
            assert_eq!(refusal.condition, Condition::BadRequest);
            assert_eq!(refusal.kind, ErrorType::Cancel);
        }
        let mut without = si(FieldType::ListSingle, &[ns::IBB], &[]);
        without.feature = None;
        assert_eq!(error(read(without)).app, Some(AppCondition::NoValidStreams));
    }

    #[test]
    fn a_sid_that_is_no_nmtoken_cannot_go_in_band() {
        let mut offer = si(FieldType::ListSingle, &[ns::BYTESTREAMS, ns::IBB], &[]);
        offer.id = Sid::new("a b").ok();
        assert_eq!(read(offer).expect("an offer").methods(), [Method::Socks5]);
    }

    #[test]
    fn another_profile_is_a_bad_profile() {
        for profile in [
            None,
            Some("http://jabber.org/protocol/si/profile/tree".into()),
        ] {
            let mut offer = si(FieldType::ListSingle, &[ns::IBB], &[]);
            offer.profile = profile;
            assert_eq!(error(read(offer)).app, Some(AppCondition::BadProfile));
        }
    }

    #[test]
    fn an_offer_without_sid_or_file_is_a_bad_request() {
        let mut offer = si(FieldType::ListSingle, &[ns::IBB], &[]);
        offer.id = None;
        assert_eq!(error(read(offer)), Condition::BadRequest.into());
        let mut offer = si(FieldType::ListSingle, &[ns::IBB], &[]);
        offer.file = None;
        assert_eq!(error(read(offer)), Condition::BadRequest.into());
    }

    #[test]
    fn a_file_without_name_and_size_is_still_a_file() {
        let mut offer = si(FieldType::ListSingle, &[ns::IBB], &[]);
        offer.file = Some(File::default());
        assert_eq!(read(offer).expect("an offer").file(), &File::default());
    }

    #[test]
    fn what_is_no_offer_is_a_bad_request() {
        let get = Iq::get(None, "1".into(), Payload::Si(Box::default()));
        assert_eq!(
            Answer::read(&get, &ENABLED),
            Err(Condition::BadRequest.into())
        );
        let ping = Iq::set(None, "1".into(), Payload::Ping);
        assert_eq!(
            Answer::read(&ping, &ENABLED),
            Err(Condition::BadRequest.into())
        );
    }

    #[test]
    fn the_acceptance_holds_one_value_and_a_file_only_with_a_range() {
        let answer = read(si(FieldType::ListSingle, &[ns::IBB], &[])).expect("an offer");
        let accepted = |range| {
            let iq = answer.accept(Method::Ibb, range);
            let IqBody::Result(Some(Payload::Si(si))) = iq.body else {
                panic!("{iq:?}")
            };
            *si
        };
        let plain = accepted(Range::default());
        assert_eq!((plain.id, plain.profile, plain.file), (None, None, None));
        let form = plain.feature.expect("a form");
        assert_eq!(form.kind, FormType::Submit);
        let [field] = &*form.fields else {
            panic!("one field")
        };
        assert_eq!(field.values, [Arc::from(ns::IBB)]);
        let range = Range {
            offset: Some(9),
            length: None,
        };
        let ranged = accepted(range).file.expect("a file");
        assert_eq!(ranged.range, Some(range));
        assert_eq!(ranged.name, None);
    }

    fn values(offer: Si, method: Method) -> Vec<Arc<str>> {
        let answer = read(offer).expect("an offer");
        let IqBody::Result(Some(Payload::Si(si))) = answer.accept(method, Range::default()).body
        else {
            panic!("an acceptance")
        };
        let form = si.feature.expect("a form");
        form.fields.into_iter().flat_map(|f| f.values).collect()
    }

    #[test]
    fn a_sender_that_takes_several_methods_is_told_of_the_one_to_fall_back_to() {
        let both = [Arc::from(ns::BYTESTREAMS), Arc::from(ns::IBB)];
        let smack = |kind, sid| {
            let mut offer = si(kind, &[ns::BYTESTREAMS, ns::IBB], &[]);
            offer.id = Sid::new(sid).ok();
            values(offer, Method::Socks5)
        };
        assert_eq!(smack(FieldType::ListMulti, "82B0C697-C1DE"), both);
        assert_eq!(
            smack(FieldType::ListSingle, "jsi_7426137453418613473"),
            both
        );
        for later in [
            "jsi_2147483647",
            "jsi_-2147483648",
            "jsi_74261374534186134a",
        ] {
            assert_eq!(smack(FieldType::ListSingle, later), both[..1], "{later}");
        }
        let offer = || si(FieldType::ListMulti, &[ns::BYTESTREAMS, ns::IBB], &[]);
        assert_eq!(values(offer(), Method::Ibb), both[1..]);
        let alone = si(FieldType::ListMulti, &[ns::BYTESTREAMS], &[]);
        assert_eq!(values(alone, Method::Socks5), both[..1]);
    }

    #[test]
    fn declining_is_forbidden_with_words() {
        let answer = read(si(FieldType::ListSingle, &[ns::IBB], &[])).expect("an offer");
        let iq = answer.decline(Some("no room".into()));
        assert_eq!(iq.id.as_str(), "iq_13");
        assert!(matches!(&iq.body, IqBody::Error(e)
            if e.condition == Condition::Forbidden && e.text.as_deref() == Some("no room")));
    }
}
