//! Fault drills fail an actor the way a bug would.

use super::*;

#[actix::test]
async fn a_drill_fails_an_idle_actor_and_it_is_restarted() {
    let (_root, registry, probe, _) = start_probe();
    settle().await;
    for (fault, text) in [
        (Fault::PanicInHandler, "fault drill: panic in handler"),
        (Fault::PanicInFuture, "fault drill: panic in future"),
    ] {
        registry.inject("hive/probe", fault).unwrap();
        settle().await;
        assert_eq!(&*registry.recent_failures()[0].text, text);
        assert_eq!(probe.ask(Do::count()).await, Ok(1));
    }
    assert_eq!(snapshot(&registry, "hive/probe").unwrap().restarts, 2);
}

#[actix::test]
async fn a_drill_at_the_next_message_is_seen_by_its_sender() {
    let (_root, registry, probe, _) = start_probe();
    for fault in [Fault::PanicInHandler, Fault::PanicInFuture] {
        registry.inject_at_next_message("hive/probe", fault).unwrap();
        assert!(matches!(probe.ask(Do::count()).await, Err(CallError::Panicked { .. })));
        assert_eq!(probe.ask(Do::count()).await, Ok(1));
    }
}

#[actix::test]
async fn a_drill_of_a_supervisor_escalates_or_replaces_it_with_all_its_children() {
    let journal = Journal::default();
    let spec = Probe::spec("a", &journal);
    let probe = spec.actor_ref();
    let (_root, registry) = start(patient("hive").supervisor(patient("teams").child(spec)));
    settle().await;
    registry.inject("hive/teams", Fault::PanicInFuture).unwrap();
    settle().await;
    assert_eq!(probe.ask(Do::count()).await, Ok(1));
    assert_eq!(journal.take(), ["a 1", "a dropped", "a 2"]);
    registry.inject("hive/teams", Fault::PanicInHandler).unwrap();
    settle().await;
    assert_eq!(probe.ask(Do::count()).await, Ok(1));
    assert_eq!(journal.take(), ["a dropped", "a 3"]);
    assert_eq!(snapshot(&registry, "hive/teams").unwrap().restarts, 2);
    assert_eq!(registry.actor_count(), 3);
}

#[actix::test]
async fn a_drill_of_nobody_is_an_error() {
    let (_root, registry, ..) = start_probe();
    let error = registry.inject("hive/nobody", Fault::PanicInHandler).unwrap_err();
    assert_eq!(error.to_string(), "there is no actor \"hive/nobody\"");
}
