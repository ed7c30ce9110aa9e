use super::*;
use bytestreams_stanza::ErrorType;

fn jid(text: &str) -> Jid {
    Jid::new(text).expect("a JID")
}

fn offer() -> Offer {
    let proposal = Proposal {
        sid: Sid::new("a0").expect("a sid"),
        file: File {
            name: Some("test.txt".into()),
            size: Some(1022),
            ..File::default()
        },
        mime_type: Some("text/plain".into()),
        methods: Methods::from_slice(&[Method::Socks5, Method::Ibb]),
    };
    let own = Own {
        jid: jid("sender@jabber.org/resource"),
    };
    let mut offer = Offer::new(
        own,
        jid("Receiver@jabber.org/resource"),
        proposal,
        &mut Ids::new("a0"),
        Instant::ZERO,
    );
    assert!(matches!(
        offer.poll_output(),
        Some(Output::Stanza(Stanza::Iq(_)))
    ));
    offer
}

fn submit(fields: &[(&str, &[&str])]) -> Si {
    Si {
        feature: Some(Form {
            kind: FormType::Submit,
            fields: fields
                .iter()
                .map(|(var, values)| Field {
                    var: Arc::from(*var),
                    kind: FieldType::Unspecified,
                    values: values.iter().map(|&v| Arc::from(v)).collect(),
                    options: Vec::new(),
                })
                .collect(),
        }),
        ..Si::default()
    }
}

fn answer(offer: &mut Offer, from: &str, body: IqBody) -> Option<OfferEvent> {
    let mut iq = Iq::answer(None, offer.id.clone(), body);
    iq.from = Some(jid(from));
    let rest = offer.handle_input(Input::Stanza(iq.into()), Instant::ZERO);
    match offer.poll_output() {
        Some(Output::Event(event)) => {
            assert!(rest.is_none());
            assert!(offer.poll_output().is_none(), "one outcome");
            assert_eq!(offer.poll_timeout(), None);
            Some(event)
        }
        _ => {
            assert!(rest.is_some());
            None
        }
    }
}

fn result(si: Si) -> IqBody {
    IqBody::Result(Some(Payload::Si(Box::new(si))))
}

fn outcome(body: IqBody) -> OfferEvent {
    answer(&mut offer(), "receiver@jabber.org/resource", body).expect("an outcome")
}

fn methods(si: Si) -> Option<Methods> {
    match outcome(result(si)) {
        OfferEvent::Accepted(accepted) => {
            assert_eq!(accepted.from.as_str(), "receiver@jabber.org/resource");
            Some(accepted.methods)
        }
        OfferEvent::Refused(refusal) => {
            assert_eq!(refusal, Refusal::NoValidStreams);
            None
        }
    }
}

#[test]
fn the_offer_is_the_one_of_the_specification() {
    let proposal = Proposal {
        sid: Sid::new("a0").expect("a sid"),
        file: File::default(),
        mime_type: None,
        methods: Methods::from_slice(&[Method::Socks5, Method::Ibb]),
    };
    let si = proposal.into_si();
    assert_eq!(si.profile.as_deref(), Some(ns::FILE_TRANSFER));
    let form = si.feature.expect("a form");
    assert_eq!(form.kind, FormType::Form);
    let [field] = &*form.fields else {
        panic!("one field")
    };
    assert_eq!(
        (&*field.var, field.kind),
        (STREAM_METHOD, FieldType::ListSingle)
    );
    assert_eq!(
        field.options,
        [Arc::from(ns::BYTESTREAMS), Arc::from(ns::IBB)]
    );
}

#[test]
fn the_first_method_offered_among_those_answered_is_taken() {
    let both = Methods::from_slice(&[Method::Socks5, Method::Ibb]);
    let one = |values| methods(submit(&[(STREAM_METHOD, values)]));
    assert_eq!(one(&[ns::IBB]), Some(Methods::from_slice(&[Method::Ibb])));
    assert_eq!(one(&[ns::BYTESTREAMS, ns::IBB]), Some(both.clone()));
    assert_eq!(one(&[ns::IBB, "x", ns::BYTESTREAMS]), Some(both));
    assert_eq!(
        one(&[ns::IBB, ns::IBB]),
        Some(Methods::from_slice(&[Method::Ibb]))
    );
    assert_eq!(
        one(&["\n  http://jabber.org/protocol/ibb "]),
        Some(Methods::from_slice(&[Method::Ibb]))
    );
    let split = submit(&[("other", &["1"]), (STREAM_METHOD, &[ns::BYTESTREAMS])]);
    assert_eq!(methods(split), Some(Methods::from_slice(&[Method::Socks5])));
}

#[test]
fn consent_to_nothing_that_was_offered_is_no_valid_streams() {
    assert_eq!(methods(Si::default()), None);
    assert_eq!(methods(submit(&[])), None);
    assert_eq!(methods(submit(&[(STREAM_METHOD, &[])])), None);
    assert_eq!(
        methods(submit(&[(STREAM_METHOD, &["jabber:iq:oob"])])),
        None
    );
    assert_eq!(methods(submit(&[("other", &[ns::IBB])])), None);
    assert_eq!(
        outcome(IqBody::Result(None)),
        OfferEvent::Refused(Refusal::NoValidStreams)
    );
    assert_eq!(
        outcome(IqBody::Result(Some(Payload::Ping))),
        OfferEvent::Refused(Refusal::NoValidStreams)
    );
}

#[test]
fn what_a_result_repeats_of_the_offer_is_ignored() {
    let mut si = submit(&[(STREAM_METHOD, &[ns::IBB])]);
    si.id = Sid::new("other").ok();
    si.profile = Some("x".into());
    si.file = Some(File::default());
    assert_eq!(methods(si), Some(Methods::from_slice(&[Method::Ibb])));
}

#[test]
fn a_range_is_read() {
    let mut si = submit(&[(STREAM_METHOD, &[ns::IBB])]);
    let range = Range {
        offset: Some(128),
        length: Some(256),
    };
    si.file = Some(File {
        range: Some(range),
        ..File::default()
    });
    let OfferEvent::Accepted(accepted) = outcome(result(si)) else {
        panic!("accepted")
    };
    assert_eq!(accepted.range, range);
}

#[test]
fn errors_are_read_by_their_condition() {
    let error = |kind, condition, app, text: Option<&str>| {
        outcome(IqBody::Error(Box::new(StanzaError {
            kind,
            condition,
            app,
            text: text.map(Arc::from),
        })))
    };
    for kind in [ErrorType::Cancel, ErrorType::Auth, ErrorType::Modify] {
        assert_eq!(
            error(kind, Condition::Forbidden, None, Some("Offer Declined")),
            OfferEvent::Refused(Refusal::Declined(Some("Offer Declined".into())))
        );
        // As Smack 3 says it.
        assert_eq!(
            error(kind, Condition::NotAcceptable, None, None),
            OfferEvent::Refused(Refusal::Declined(None))
        );
        assert_eq!(
            error(
                kind,
                Condition::BadRequest,
                Some(AppCondition::NoValidStreams),
                None
            ),
            OfferEvent::Refused(Refusal::NoValidStreams)
        );
        assert_eq!(
            error(
                kind,
                Condition::BadRequest,
                Some(AppCondition::BadProfile),
                None
            ),
            OfferEvent::Refused(Refusal::BadProfile)
        );
    }
    assert!(matches!(
        error(ErrorType::Cancel, Condition::ServiceUnavailable, None, None),
        OfferEvent::Refused(Refusal::Error(e)) if e.condition == Condition::ServiceUnavailable
    ));
}

#[test]
fn only_the_peer_that_was_asked_is_heard_and_only_once() {
    let mut offer = offer();
    let yes = || result(submit(&[(STREAM_METHOD, &[ns::IBB])]));
    for stranger in ["eve@jabber.org/resource", "receiver@jabber.org/Resource"] {
        assert_eq!(answer(&mut offer, stranger, yes()), None);
    }
    let peer = "receiver@jabber.org/resource";
    assert!(answer(&mut offer, peer, yes()).is_some());
    assert_eq!(answer(&mut offer, peer, yes()), None);
}

#[test]
fn an_offer_without_answer_times_out() {
    let mut offer = offer();
    let due = offer.poll_timeout().expect("a deadline");
    assert_eq!(due, Instant::ZERO + Offer::PATIENCE);
    offer.handle_timeout(Instant::from_micros(due.as_micros() - 1));
    assert_eq!(offer.poll_output(), None);
    offer.handle_timeout(due);
    assert_eq!(
        offer.poll_output(),
        Some(Output::Event(OfferEvent::Refused(Refusal::TimedOut)))
    );
    let late = result(submit(&[(STREAM_METHOD, &[ns::IBB])]));
    assert_eq!(
        answer(&mut offer, "receiver@jabber.org/resource", late),
        None
    );
}

#[test]
fn a_form_that_is_cancelled_declines() {
    let mut si = submit(&[(STREAM_METHOD, &[ns::IBB])]);
    if let Some(form) = &mut si.feature {
        form.kind = FormType::Cancel;
    }
    assert_eq!(
        outcome(result(si)),
        OfferEvent::Refused(Refusal::Declined(None))
    );
}
