//! Who may report about an attempt.

use domain::{AgentId, TenantId};

use super::Rig;
use super::world::{ME, World, failure, handed_back, success};
use crate::command::{AppendOutput, FinishAttempt, RenewLease, Reporter};
use crate::outcome::{Appended, ClaimedTask, Finished, Renewed};

/// What each report of this reporter about an attempt is answered, as words; the end comes last.
fn told<R: Rig>(world: &mut World<R>, claimed: &ClaimedTask, reporter: Reporter) -> [&'static str; 3] {
    let (task, attempt, reporter) = (claimed.task, claimed.attempt, Some(reporter));
    let renewed = match world.apply(RenewLease { task, attempt, reporter }) {
        Renewed::Until { .. } => "yes",
        Renewed::Stale => "stale",
        Renewed::NotFound => "none",
    };
    let appended = match world.apply(AppendOutput {
        task,
        attempt,
        text: "x".into(),
        bytes_max: 100,
        follows_cut: false,
        after_bytes: None,
        reporter,
    }) {
        Appended::Done { .. } => "yes",
        Appended::Stale => "stale",
        Appended::NotFound => "none",
    };
    let finished = match world.apply(FinishAttempt {
        task,
        attempt,
        report: success(),
        workspace: None,
        chance: 0.5,
        correlation_id: "r".into(),
        reporter,
    }) {
        Finished::Done { .. } => "yes",
        Finished::Repeated { .. } => "repeated",
        Finished::Stale => "stale",
        Finished::NotFound => "none",
    };
    [renewed, appended, finished]
}

const fn by(agent: AgentId) -> Reporter {
    Reporter { tenant: ME, agent: Some(agent) }
}

pub(super) fn only_the_holder_of_an_attempt_reports_about_it<R: Rig>() {
    let mut world = World::<R>::new();
    let eve = world.agent("eve");
    let claimed = world.working("ada");
    let before = world.task(claimed.task);
    let events = world.told(|world| assert_eq!(told(world, &claimed, by(eve)), ["none"; 3]));
    assert_eq!((events, world.task(claimed.task)), (vec![], before), "nothing has changed");
    assert_eq!(told(&mut world, &claimed, by(claimed.agent)), ["yes"; 3]);
    assert_eq!(told(&mut world, &claimed, by(claimed.agent)), ["stale", "stale", "repeated"]);
    assert_eq!(told(&mut world, &claimed, by(eve)), ["none"; 3], "not even that it has ended");
    let on_behalf = world.working("bob");
    assert_eq!(told(&mut world, &on_behalf, Reporter { tenant: ME, agent: None }), ["yes"; 3]);
}

pub(super) fn who_held_an_attempt_is_told_that_it_is_over_and_who_never_did_is_not<R: Rig>() {
    let mut world = World::<R>::new();
    let (ada, eve) = (world.agent("ada"), world.agent("eve"));
    let first = world.working_by(ada, "t", |_| {});
    world.finish(first.task, 1, handed_back());
    let lane = world.task(first.task).lane;
    let second = world.claim(lane, eve, 1).remove(0);
    assert_eq!((second.task, second.attempt), (first.task, 2));
    assert_eq!(told(&mut world, &first, by(ada)), ["stale"; 3], "it held the first");
    assert_eq!(told(&mut world, &second, by(ada)), ["none"; 3], "the second is not its own");
    assert_eq!(told(&mut world, &first, by(eve)), ["none"; 3]);
    let future = ClaimedTask { attempt: 3, ..second.clone() };
    assert_eq!(told(&mut world, &future, by(eve)), ["none"; 3], "nobody has held the third");
    world.finish(second.task, 2, failure());
    assert_eq!(told(&mut world, &second, by(eve)), ["stale"; 3], "also while it waits for its backoff");
}

pub(super) fn another_tenants_attempt_is_one_that_does_not_exist<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    for agent in [None, Some(claimed.agent)] {
        assert_eq!(told(&mut world, &claimed, Reporter { tenant: TenantId(2), agent }), ["none"; 3]);
    }
    assert_eq!(told(&mut world, &claimed, Reporter { tenant: ME, agent: None }), ["yes"; 3]);
}
