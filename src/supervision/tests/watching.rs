//! The watchdog, and actors on arbiters of their own.

use std::sync::mpsc;

use actix_rt::Arbiter;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Blocks its arbiter until the test lets go.
fn block(released: mpsc::Receiver<()>) -> Do {
    Do::new(move |_, _| {
        released.recv().unwrap();
        Reply::Now(0)
    })
}

#[actix::test]
async fn a_stalled_arbiter_is_reported_shown_and_reported_again_when_it_recovers() {
    let journal = Journal::default();
    let arbiter = Arbiter::new();
    let core = Home::new("core", &arbiter.handle());
    let spec = Probe::spec("probe", &journal).on(&core);
    let probe = spec.actor_ref();
    let registry = Registry::new();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let watchdog = Watchdog::new(&registry, [core])
        .interval(MS)
        .late_after(200 * MS)
        .on_change(move |stall| tell.send(stall.clone()).unwrap());
    let hive = patient("hive").child(spec).thread(watchdog.into_thread("watchdog"));
    let root = Root::start(hive, &registry, &Home::current("test").unwrap()).unwrap();
    let (let_go, released) = mpsc::channel();
    probe.tell(block(released)).unwrap();
    let stalled = told.recv().await.unwrap();
    assert_eq!((&*stalled.arbiter, stalled.is_stalled), ("core", true));
    assert!(stalled.waited >= 200 * MS);
    assert_eq!(snapshot(&registry, "hive/probe").unwrap().state, ActorState::Stalled);
    assert!(registry.arbiters()[0].is_stalled);
    let_go.send(()).unwrap();
    let recovered = told.recv().await.unwrap();
    assert_eq!((&*recovered.arbiter, recovered.is_stalled), ("core", false));
    assert_eq!(snapshot(&registry, "hive/probe").unwrap().state, ActorState::Running);
    assert_eq!(registry.arbiters()[0].stall_count, 1);
    assert_eq!(root.shutdown().await, ShutdownReport::default());
    arbiter.stop();
}

#[actix::test]
async fn an_actor_on_another_arbiter_is_supervised_like_any_other() {
    let journal = Journal::default();
    let arbiter = Arbiter::new();
    let other = Home::new("other", &arbiter.handle());
    let spec = Probe::spec("probe", &journal).on(&other);
    let probe = spec.actor_ref();
    let (root, registry) = start(patient("hive").child(spec));
    probe.ask(Do::panic()).await.unwrap_err();
    assert_eq!(probe.ask(Do::count()).await, Ok(1));
    let actor = snapshot(&registry, "hive/probe").unwrap();
    assert_eq!((actor.arbiter.as_deref(), actor.incarnation), (Some("other"), 2));
    assert_eq!(root.shutdown().await, ShutdownReport::default());
    assert_eq!(journal.take(), ["probe 1", "probe dropped", "probe 2", "probe dropped"]);
    arbiter.stop();
}

#[actix::test]
async fn the_death_of_an_arbiter_is_a_failure_of_its_actors_that_no_restart_can_help() {
    let journal = Journal::default();
    let arbiter = Arbiter::new();
    let other = Home::new("other", &arbiter.handle());
    let spec = Probe::spec("probe", &journal).on(&other);
    let probe = spec.actor_ref();
    let (root, _) = start(patient("hive").child(spec));
    probe.ask(Do::count()).await.unwrap();
    arbiter.stop();
    arbiter.join().unwrap();
    let failure = root.failed().await;
    assert_eq!(&*failure.text, "the thread for hive/probe cannot be had");
    assert!(matches!(probe.ask(Do::count()).await, Err(CallError::Closed { .. })));
}

#[actix::test]
async fn a_tree_can_be_started_from_a_thread_without_an_arbiter() {
    let journal = Journal::default();
    let home = Home::current("test").unwrap();
    let spec = Probe::spec("probe", &journal);
    let probe = spec.actor_ref();
    let registry = Registry::new();
    let starting = elsewhere(move || Root::start(patient("hive").child(spec), &registry, &home).unwrap());
    let root = starting.join().unwrap();
    assert_eq!(probe.ask(Do::count()).await, Ok(1));
    assert_eq!(root.shutdown().await, ShutdownReport::default());
}
