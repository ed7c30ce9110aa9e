//! What holds after each step, and at the end.

use crate::common::{initiator, responder};
use crate::host::Host;
use crate::user::{Initiator, Plan, User};
use bytestreams_ibb::{Config, Event, Session};
use bytestreams_machine::{Ids, Instant};
use bytestreams_sim::{Broken, Chooser, Outcome, World};
use bytestreams_stanza::Sid;

pub(crate) type Streams = World<Initiator, User>;

/// What holds at the end of a run.
pub(crate) type End = fn(&Streams) -> Result<(), String>;

pub(crate) fn world(left: Config, right: Config, there: Plan, back: Plan) -> Streams {
    let sid = Sid::new("i781hf64").expect("a sid");
    let session = Session::open(responder(), sid, left, Ids::new("romeo000"), Instant::ZERO);
    World::new(
        (
            initiator(),
            Host::new(Some(session), None),
            Initiator(User::new(there)),
        ),
        (responder(), Host::new(None, Some(right)), User::new(back)),
    )
}

/// What holds after each step, whatever goes wrong.
pub(crate) fn law(world: &Streams) -> Result<(), String> {
    let (left, right) = (&world.left.app.0, &world.right.app);
    let hosts = (&world.left.machine, &world.right.machine);
    for (from, to, host) in [(left, right, hosts.1), (right, left, hosts.0)] {
        if let Some(fault) = &from.fault {
            return Err(fault.clone());
        }
        if !from.plan.text.starts_with(&to.received) {
            return Err("what was received is no prefix of what was sent".into());
        }
        if to.received.len() as u64 > from.sent() {
            return Err("more was received than sent".into());
        }
        if from.plan.sure
            && from.acknowledged > to.received.len() as u64
            && to.end.is_none()
            && !to.offline
        {
            let buffered = host.session.as_ref().map_or(0, Session::buffered);
            if from.acknowledged > (to.received.len() + buffered) as u64 {
                return Err("more was acknowledged than received".into());
            }
        }
    }
    Ok(())
}

/// What holds at the end: who closed well has everything over there.
pub(crate) fn ends_well(world: &Streams) -> Result<(), String> {
    let (left, right) = (&world.left.app.0, &world.right.app);
    for (from, to) in [(left, right), (right, left)] {
        let whole = to.received.len() as u64 == from.sent();
        if from.end == Some(Event::Closed) && !whole {
            return Err("closed, and not everything is there".into());
        }
    }
    Ok(())
}

/// What holds at the end where nothing is lost and nobody gives up.
pub(crate) fn everything_crossed(world: &Streams) -> Result<(), String> {
    let (left, right) = (&world.left.app.0, &world.right.app);
    if left.end != Some(Event::Closed) || right.end != Some(Event::Closed) {
        return Err(format!("left {:?}, right {:?}", left.end, right.end));
    }
    for (from, to) in [(left, right), (right, left)] {
        if from.plan.text != to.received {
            return Err("not everything crossed".into());
        }
    }
    Ok(())
}

pub(crate) fn run(
    world: &mut Streams,
    chooser: &mut dyn Chooser,
    end: End,
) -> Result<Outcome, Broken> {
    let outcome = world.run(chooser, law)?;
    end(world).map_err(|broken| world.broken(broken))?;
    Ok(outcome)
}
