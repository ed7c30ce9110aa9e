//! The world's own laws: each is broken on purpose, and noticed.
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::wildcard_enum_match_arm,
    reason = "tests run where std is"
)]

use bytestreams_machine::{Input, Instant, Machine, Output};
use bytestreams_sim::{
    App, Broken, Chooser, Context, Faults, Outcome, Scripted, Seeded, Side, Stranger, World,
    every_run, seeds,
};
use bytestreams_stanza::{Iq, IqBody, Jid, Payload, Stanza};
use core::cell::Cell;
use core::time::Duration;
use std::collections::VecDeque;

fn jid(text: &str) -> Jid {
    Jid::new(text).expect("an address")
}

/// What a machine does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    DeadlineStaysBehind,
    DeadlineMovesWhenRead,
    Floods,
    TalksAfterTheEnd,
    NeverEnds,
    Hangs,
}

/// Sends pings, one after the other's answer; answers pings.
struct Pinger {
    fault: Fault,
    to: Jid,
    left: u32,
    waiting: Option<Instant>,
    out: VecDeque<Output<&'static str>>,
    read: Cell<u64>,
    got: Vec<Stanza>,
}

impl Pinger {
    fn new(to: &str, left: u32, fault: Fault) -> Self {
        Self {
            fault,
            to: jid(to),
            left,
            waiting: None,
            out: VecDeque::new(),
            read: Cell::new(0),
            got: Vec::new(),
        }
    }

    fn ping(&mut self, now: Instant) {
        if self.left == 0 {
            self.waiting = None;
            self.out.push_back(Output::Event("end"));
            if self.fault == Fault::TalksAfterTheEnd {
                self.out.push_back(Output::Event("more"));
            }
            return;
        }
        let id = format!("{}", self.left);
        let ping = Iq::get(Some(self.to.clone()), id.as_str().into(), Payload::Ping);
        self.out.push_back(Output::Stanza(ping.into()));
        self.waiting = Some(now + Duration::from_secs(30));
        if self.fault != Fault::NeverEnds {
            self.left -= 1;
        }
    }
}

impl Machine for Pinger {
    type Event = &'static str;

    fn handle_input(&mut self, input: Input, now: Instant) -> Option<Input> {
        let Input::Stanza(stanza) = input else {
            return Some(input);
        };
        self.got.push(stanza.clone());
        match &stanza {
            Stanza::Iq(iq) if iq.request().is_some() => {
                let times = if self.fault == Fault::Floods {
                    5_000
                } else {
                    1
                };
                for _ in 0..times {
                    self.out.push_back(Output::Stanza(iq.result(None).into()));
                }
            }
            Stanza::Iq(iq) if iq.from.as_ref() == Some(&self.to) => {
                if self.waiting.is_some() && self.fault != Fault::Hangs {
                    self.ping(now);
                } else {
                    self.waiting = None;
                }
            }
            _ => {}
        }
        None
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.fault != Fault::DeadlineStaysBehind && self.waiting.is_some_and(|due| due <= now) {
            self.left = 0;
            self.ping(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output<&'static str>> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.read.set(self.read.get() + 1);
        let moved = match self.fault {
            Fault::DeadlineMovesWhenRead => self.read.get(),
            _ => 0,
        };
        self.waiting.map(|due| due + Duration::from_micros(moved))
    }
}

struct User {
    starts: bool,
    done: bool,
}

impl App for User {
    type Machine = Pinger;

    fn event(&mut self, _: &mut Pinger, _: &'static str, _: &mut Context<'_>) {
        self.done = true;
    }

    fn act(&mut self, machine: &mut Pinger, cx: &mut Context<'_>) {
        if core::mem::take(&mut self.starts) {
            machine.ping(cx.now);
        }
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn session(event: &&'static str) -> Option<(u64, bool)> {
        Some((0, *event == "end"))
    }

    fn offline(&mut self, machine: &mut Pinger, _: &mut Context<'_>) {
        machine.waiting = None;
        self.done = true;
    }
}

fn world(fault: Fault, faults: Faults) -> World<User, User> {
    let user = |starts: bool| User {
        starts,
        done: !starts,
    };
    let mut world = World::new(
        (jid("a@x/r"), Pinger::new("b@y/r", 3, fault), user(true)),
        (jid("b@y/r"), Pinger::new("a@x/r", 0, fault), user(false)),
    );
    world.link.faults = faults;
    world
}

fn run(fault: Fault) -> Result<Outcome, Broken> {
    world(fault, Faults::NONE).run(&mut Seeded::new(1), |_| Ok(()))
}

#[test]
fn a_good_machine_breaks_no_law() {
    assert_eq!(
        seeds(0..500, |chooser| world(Fault::None, Faults::SOME)
            .run(chooser, |_| Ok(()))),
        500
    );
}

#[test]
fn every_broken_law_is_told() {
    for (fault, law) in [
        (Fault::DeadlineMovesWhenRead, "reading the deadline"),
        (Fault::Floods, "more than 1000 outputs"),
        (Fault::TalksAfterTheEnd, "after the last event"),
        (Fault::NeverEnds, "longer than 3600s"),
        (Fault::Hangs, "nothing will happen any more"),
    ] {
        let broken = run(fault).expect_err(law);
        assert!(broken.law.contains(law), "{}", broken.law);
        assert!(!broken.trace.is_empty());
    }
}

#[test]
fn a_deadline_that_does_not_move_is_told() {
    let faults = Faults {
        drop: 1,
        budget: 1,
        ..Faults::NONE
    };
    let broken = world(Fault::DeadlineStaysBehind, faults)
        .run(&mut Seeded::new(1), |_| Ok(()))
        .expect_err("the ping is lost, and its deadline comes");
    assert!(broken.law.contains("the next deadline is"), "{broken}");
}

#[test]
fn a_law_of_the_user_is_asked_after_each_step() {
    let broken = world(Fault::None, Faults::NONE)
        .run(&mut Seeded::new(1), |world| match world.link.sent() {
            0..5 => Ok(()),
            n => Err(format!("{n} stanzas")),
        })
        .expect_err("there are six stanzas");
    assert!(broken.law.contains("5 stanzas"), "{broken}");
}

#[test]
fn the_choices_of_a_report_repeat_the_run() {
    let mut seeded = Seeded::new(11);
    let first = world(Fault::None, Faults::SOME).run(&mut seeded, |_| Ok(()));
    let mut script = Scripted::from_choices(seeded.choices().to_vec());
    let again = world(Fault::None, Faults::SOME).run(&mut script, |_| Ok(()));
    assert_eq!(first, again);
}

#[test]
fn every_run_with_one_lost_stanza_is_walked() {
    let faults = Faults {
        drop: 1,
        budget: 1,
        ..Faults::NONE
    };
    let mut ends = std::collections::BTreeSet::new();
    let runs = every_run(1_000, |chooser| {
        let mut world = world(Fault::None, faults);
        world.link.delays = vec![Duration::from_millis(1)];
        let outcome = world.run(chooser, |_| Ok(()))?;
        ends.insert(outcome.hash);
        Ok(outcome)
    });
    // Each of six stanzas, or none.
    assert_eq!((runs, ends.len()), (7, 7));
}

#[test]
fn order_is_kept_and_time_jumps_to_the_deadline() {
    seeds(0..200, |chooser: &mut Seeded| {
        let mut world = world(Fault::None, Faults::NONE);
        world.link.delays = vec![Duration::from_millis(700), Duration::ZERO];
        let outcome = world.run(chooser, |_| Ok(()))?;
        let ids = world.right.machine.got.iter().map(|got| match got {
            Stanza::Iq(iq) => iq.id.as_str().to_owned(),
            _ => String::new(),
        });
        assert_eq!(ids.collect::<Vec<_>>(), ["3", "2", "1"]);
        assert_eq!(outcome.at.as_micros() % 700_000, 0);
        Ok(outcome)
    });
}

#[test]
fn a_stranger_speaks_under_its_own_name_only() {
    let stranger = jid("eve@z/r");
    let faults = Faults {
        forge: 1,
        budget: 3,
        ..Faults::NONE
    };
    let mut world = world(Fault::None, faults);
    world.link.stranger = Some(Stranger::parrot(stranger.clone()));
    world
        .run(&mut Seeded::new(3), |_| Ok(()))
        .expect("the stranger changes nothing");
    let strange = |side: Side| {
        let machine = match side {
            Side::Left => &world.left.machine,
            Side::Right | Side::Third => &world.right.machine,
        };
        let from = |got: &&Stanza| got.from() == Some(&stranger);
        machine.got.iter().filter(from).count()
    };
    assert_eq!(strange(Side::Left) + strange(Side::Right), 3);
}

#[test]
fn a_bandwidth_makes_stanzas_queue() {
    let mut world = world(Fault::None, Faults::NONE);
    world.link.delays = vec![Duration::ZERO];
    // A ping and its answer take 150 octets each.
    world.link.bandwidth = Some(1_200);
    let outcome = world
        .run(&mut Seeded::new(3), |_| Ok(()))
        .expect("no law broken");
    assert_eq!(outcome.at, Instant::from_micros(6_000_000));
}

#[test]
fn what_nobody_takes_is_answered() {
    struct Deaf;
    impl Machine for Deaf {
        type Event = ();
        fn handle_input(&mut self, input: Input, _: Instant) -> Option<Input> {
            Some(input)
        }
        fn handle_timeout(&mut self, _: Instant) {}
        fn poll_output(&mut self) -> Option<Output<()>> {
            None
        }
        fn poll_timeout(&self) -> Option<Instant> {
            None
        }
    }
    struct Nobody;
    impl App for Nobody {
        type Machine = Deaf;
        fn event(&mut self, _: &mut Deaf, _event: (), _: &mut Context<'_>) {}
        fn act(&mut self, _: &mut Deaf, _: &mut Context<'_>) {}
        fn is_done(&self) -> bool {
            true
        }
    }
    let mut world = World::new(
        (
            jid("a@x/r"),
            Pinger::new("b@y/r", 1, Fault::None),
            User {
                starts: true,
                done: false,
            },
        ),
        (jid("b@y/r"), Deaf, Nobody),
    );
    world.link.faults = Faults::NONE;
    world
        .run(&mut Seeded::new(3), |_| Ok(()))
        .expect("no law broken");
    let got = world.left.machine.got.first();
    let Some(Stanza::Iq(Iq {
        body: IqBody::Error(error),
        ..
    })) = got
    else {
        panic!("{got:?}");
    };
    assert_eq!(error.condition.as_str(), "service-unavailable");
}

#[test]
fn an_odometer_and_a_seed_agree_on_what_is_harmless() {
    let mut odometer = bytestreams_sim::Odometer::default();
    let first = world(Fault::None, Faults::SOME).run(&mut odometer, |_| Ok(()));
    let mut script = Scripted::from_octets(&[]);
    let dry = world(Fault::None, Faults::SOME).run(&mut script, |_| Ok(()));
    assert_eq!(first, dry);
    assert!(script.choices().is_empty());
}
