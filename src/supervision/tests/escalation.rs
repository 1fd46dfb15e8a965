//! What happens when restarts do not help.

use super::*;

/// `hive` -> `teams` -> `a`, `b`; `teams` bears one failure in five seconds.
async fn start_teams() -> (Root, Registry, [ActorRef<Probe>; 2], Journal) {
    let journal = Journal::default();
    let [a, b] = ["a", "b"].map(|id| Probe::spec(id, &journal));
    let refs = [a.actor_ref(), b.actor_ref()];
    let teams = patient("teams").intensity(Intensity::shared(1, 5 * SECOND)).child(a).child(b);
    let (root, registry) = start(patient("hive").supervisor(teams));
    settle().await;
    (root, registry, refs, journal)
}

#[actix::test]
async fn too_many_failures_restart_the_whole_subtree_from_its_spec() {
    let (_root, registry, [a, b], journal) = start_teams().await;
    for _ in 0..2 {
        a.ask(Do::panic()).await.unwrap_err();
        settle().await;
    }
    assert_eq!(a.ask(Do::count()).await, Ok(1));
    assert_eq!(b.ask(Do::count()).await, Ok(1));
    let expected = ["a 1", "b 1", "a dropped", "a 2", "a dropped", "b dropped", "a 3", "b 2"];
    assert_eq!(journal.take(), expected);
    let teams = snapshot(&registry, "hive/teams").unwrap();
    assert_eq!((teams.kind, teams.incarnation, teams.restarts), ("supervisor", 2, 1));
    assert!(teams.last_error.unwrap().text.contains("hive/teams/a: boom"));
}

#[actix::test]
async fn references_held_from_outside_survive_an_escalation() {
    let (_root, _, [a, b], _) = start_teams().await;
    let held = b.clone();
    for _ in 0..2 {
        a.ask(Do::panic()).await.unwrap_err();
    }
    // Asked while the subtree is being restarted: it waits.
    assert_eq!(held.ask(Do::count()).await, Ok(1));
}

#[actix::test]
async fn a_child_that_had_ended_for_good_begins_again_with_its_subtree_in_a_new_mailbox() {
    let journal = Journal::default();
    let a = Probe::spec("a", &journal);
    let b = Probe::spec("b", &journal).restart(Restart::Transient);
    let (a_ref, b_ref) = (a.actor_ref(), b.actor_ref());
    let teams = patient("teams").intensity(Intensity::shared(0, SECOND)).child(a).child(b);
    let (_root, registry) = start(patient("hive").supervisor(teams));
    b_ref.ask(Do::stop()).await.unwrap();
    settle().await;
    assert!(matches!(b_ref.ask(Do::count()).await, Err(CallError::Closed { .. })));
    a_ref.ask(Do::panic()).await.unwrap_err();
    settle().await;
    assert_eq!(b_ref.ask(Do::count()).await, Ok(1));
    assert_eq!(snapshot(&registry, "hive/teams/b").unwrap().incarnation, 2);
    assert_eq!(registry.actor_count(), 4);
}

#[actix::test]
async fn the_failure_of_the_root_ends_all_children_and_is_told() {
    let journal = Journal::default();
    let [a, b] = ["a", "b"].map(|id| Probe::spec(id, &journal));
    let a_ref = a.actor_ref();
    let hive = patient("hive").intensity(Intensity::shared(0, SECOND)).child(a).child(b);
    let (root, registry) = start(hive);
    settle().await;
    a_ref.ask(Do::panic()).await.unwrap_err();
    let failure = root.failed().await;
    assert_eq!(failure.to_string(), "the root supervisor failed: too many failures, last of hive/a: boom");
    assert_eq!(journal.take(), ["a 1", "b 1", "a dropped", "b dropped"]);
    assert_eq!(registry.actor_count(), 0);
    assert_eq!(root.shutdown().await, ShutdownReport::default());
}

#[actix::test]
async fn escalation_goes_up_level_by_level_until_it_is_borne() {
    let journal = Journal::default();
    let a = Probe::spec("a", &journal);
    let a_ref = a.actor_ref();
    let inner = patient("inner").intensity(Intensity::shared(0, SECOND)).child(a);
    let outer = patient("outer").intensity(Intensity::shared(0, SECOND)).supervisor(inner);
    let (_root, registry) = start(patient("hive").supervisor(outer));
    a_ref.ask(Do::panic()).await.unwrap_err();
    assert_eq!(a_ref.ask(Do::count()).await, Ok(1));
    for path in ["hive/outer", "hive/outer/inner", "hive/outer/inner/a"] {
        assert_eq!(snapshot(&registry, path).unwrap().incarnation, 2, "{path}");
    }
    assert_eq!(snapshot(&registry, "hive").unwrap().incarnation, 1);
}

#[actix::test]
async fn with_give_up_only_the_child_that_fails_too_often_is_removed() {
    let journal = Journal::default();
    let told = journal.clone();
    let tasks = patient("tasks")
        .intensity(Intensity::per_child(1, 5 * SECOND))
        .on_exhausted(OnExhausted::GiveUp)
        .on_give_up(move |child| told.note(format!("gave up {} {}", child.path, child.text)));
    let tasks_ref = tasks.supervisor_ref();
    let (_root, registry) = start(patient("hive").supervisor(tasks));
    let bad = tasks_ref.start_child(Probe::spec("bad", &journal)).unwrap();
    let good = tasks_ref.start_child(Probe::spec("good", &journal)).unwrap();
    good.ask(Do::panic()).await.unwrap_err();
    for _ in 0..2 {
        bad.ask(Do::panic()).await.unwrap_err();
        settle().await;
    }
    assert!(journal.take().contains(&"gave up hive/tasks/bad boom".to_owned()));
    assert_eq!(good.ask(Do::count()).await, Ok(1));
    assert!(matches!(bad.ask(Do::count()).await, Err(CallError::Closed { .. })));
    let failure = registry.recent_failures().remove(0);
    assert_eq!((&*failure.path, failure.consequence), ("hive/tasks/bad", Consequence::GivenUp));
    assert_eq!(snapshot(&registry, "hive/tasks/bad"), None);
}

#[actix::test]
async fn on_give_up_may_start_the_child_again_and_may_panic() {
    let journal = Journal::default();
    let slot: Arc<Mutex<Option<SupervisorRef>>> = Arc::default();
    let (inside, told) = (Arc::clone(&slot), journal.clone());
    let tasks = patient("tasks")
        .intensity(Intensity::per_child(0, SECOND))
        .on_exhausted(OnExhausted::GiveUp)
        .on_give_up(move |child| {
            let tasks = inside.lock().clone().unwrap();
            tasks.start_child(Probe::spec(&format!("{}_again", child.id), &told)).unwrap();
            panic!("in the callback");
        });
    *slot.lock() = Some(tasks.supervisor_ref());
    let tasks_ref = tasks.supervisor_ref();
    let (_root, registry) = start(patient("hive").supervisor(tasks));
    let bad = tasks_ref.start_child(Probe::spec("bad", &journal)).unwrap();
    bad.ask(Do::panic()).await.unwrap_err();
    settle().await;
    assert!(snapshot(&registry, "hive/tasks/bad_again").is_some());
    let next = tasks_ref.start_child(Probe::spec("next", &journal)).unwrap();
    assert_eq!(next.ask(Do::count()).await, Ok(1));
}
