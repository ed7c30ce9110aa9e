use super::*;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

fn all() -> Vec<Reason> {
    let mut all = Vec::from([
        Reason::NoCommonMethod,
        Reason::BadProfile,
        Reason::Stream(bytestreams_ibb::Reason::Overrun),
        Reason::Unconfirmed { octets: 9 },
        Reason::BadRange {
            offset: 7,
            length: Some(3),
        },
        Reason::TooLong { expected: 9 },
        Reason::RangeIgnored { expected: 9 },
        Reason::TooShort {
            expected: 9,
            got: 7,
        },
        Reason::SourceChanged {
            expected: 9,
            got: 7,
        },
        Reason::Incomplete(Incomplete::NoSpace),
        Reason::Incomplete(Incomplete::HashMismatch),
        Reason::TooMany,
        Reason::SidInUse,
        Reason::LinkLost,
    ]);
    for by in [Side::Us, Side::Peer] {
        all.push(Reason::Cancelled { by });
        all.push(Reason::Declined {
            by,
            text: Some("not now".into()),
        });
    }
    #[cfg(feature = "socks5")]
    {
        all.push(Reason::GivenUp);
        for reason in [
            bytestreams_socks5::Reason::NoStreamHosts,
            bytestreams_socks5::Reason::NoneUsable,
            bytestreams_socks5::Reason::NotConnected,
            bytestreams_socks5::Reason::Unreachable,
            bytestreams_socks5::Reason::NotActivated(Condition::Forbidden.into()),
        ] {
            all.push(Reason::Socks5(reason));
        }
        for end in [ConnEnd::Reset, ConnEnd::TimedOut, ConnEnd::Broken] {
            all.push(Reason::Connection(end));
        }
    }
    for step in [
        Step::Offer,
        Step::Decision,
        Step::Open,
        Step::Data,
        Step::Close,
    ] {
        all.push(Reason::TimedOut { step });
        for condition in [Condition::ServiceUnavailable, Condition::NotAcceptable] {
            let error = Box::new(condition.into());
            all.push(Reason::Refused { step, error });
        }
    }
    all
}

#[test]
fn reasons_are_sentences_that_differ() {
    let mut texts: Vec<String> = all().iter().map(ToString::to_string).collect();
    for text in &texts {
        assert!(
            text.starts_with(|c: char| c.is_lowercase() || c.is_numeric()),
            "{text}"
        );
        assert!(!text.ends_with('.') && !text.contains("  "), "{text}");
        assert!(text.split(' ').count() > 4, "{text}");
    }
    let count = texts.len();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), count);
}

#[test]
fn a_choice_is_nobodys_fault() {
    for reason in all() {
        let chosen = matches!(reason, Reason::Declined { .. } | Reason::Cancelled { .. });
        assert_eq!(reason.fault() == Blame::Choice, chosen, "{reason:?}");
    }
}
