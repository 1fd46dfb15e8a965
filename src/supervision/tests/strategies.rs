//! Who is restarted along with whom.

use super::*;

/// Three probes under one strategy; the one in the middle panics.
async fn fail_the_middle_of_three(strategy: Strategy) -> (Root, Registry, Vec<String>) {
    let journal = Journal::default();
    let [a, b, c] = ["a", "b", "c"].map(|id| Probe::spec(id, &journal));
    let refs = [a.actor_ref(), b.actor_ref(), c.actor_ref()];
    let (root, registry) = start(patient("hive").strategy(strategy).child(a).child(b).child(c));
    settle().await;
    assert_eq!(journal.take(), ["a 1", "b 1", "c 1"]);
    refs[1].ask(Do::panic()).await.unwrap_err();
    for probe in refs {
        probe.ask(Do::count()).await.unwrap();
    }
    (root, registry, journal.take())
}

#[actix::test]
async fn one_for_one_restarts_the_failed_child_alone() {
    let (_root, _, journal) = fail_the_middle_of_three(Strategy::OneForOne).await;
    assert_eq!(journal, ["b dropped", "b 2"]);
}

#[actix::test]
async fn one_for_all_ends_all_in_reverse_order_and_begins_them_in_order() {
    let (_root, registry, journal) = fail_the_middle_of_three(Strategy::OneForAll).await;
    assert_eq!(journal, ["b dropped", "c dropped", "a dropped", "a 2", "b 2", "c 2"]);
    assert_eq!(registry.restarts_total(), 3);
}

#[actix::test]
async fn rest_for_one_restarts_the_failed_child_and_those_after_it() {
    let (_root, _, journal) = fail_the_middle_of_three(Strategy::RestForOne).await;
    assert_eq!(journal, ["b dropped", "c dropped", "b 2", "c 2"]);
}

#[actix::test]
async fn siblings_that_are_restarted_along_keep_their_mailbox_and_their_queued_messages() {
    tokio::time::pause();
    let journal = Journal::default();
    let [a, b] = ["a", "b"].map(|id| Probe::spec(id, &journal));
    let (a_ref, b_ref) = (a.actor_ref(), b.actor_ref());
    let backoff = Backoff::new(SECOND, SECOND, SECOND);
    let hive = patient("hive").strategy(Strategy::OneForAll).backoff(backoff);
    let (_root, _) = start(hive.child(a).child(b));
    settle().await;
    a_ref.ask(Do::panic()).await.unwrap_err();
    settle().await;
    assert!(!b_ref.is_running());
    let queued = b_ref.request(Do::count()).unwrap();
    assert_eq!(queued.answer().await, Ok(1));
    assert_eq!(journal.take(), ["a 1", "b 1", "a dropped", "b dropped", "a 2", "b 2"]);
}

#[actix::test]
async fn a_temporary_sibling_ends_with_the_group_and_does_not_begin_again() {
    let journal = Journal::default();
    let a = Probe::spec("a", &journal);
    let b = Probe::spec("b", &journal).restart(Restart::Temporary);
    let a_ref = a.actor_ref();
    let (_root, _) = start(patient("hive").strategy(Strategy::OneForAll).child(a).child(b));
    settle().await;
    a_ref.ask(Do::panic()).await.unwrap_err();
    a_ref.ask(Do::count()).await.unwrap();
    settle().await;
    assert_eq!(journal.take(), ["a 1", "b 1", "a dropped", "b dropped", "a 2"]);
}

#[actix::test]
async fn a_sibling_that_does_not_end_within_its_grace_is_forced() {
    tokio::time::pause();
    let journal = Journal::default();
    let a = Probe::spec("a", &journal);
    let b = Probe::spec("b", &journal).grace(SECOND);
    let (a_ref, b_ref) = (a.actor_ref(), b.actor_ref());
    let (_root, _) = start(patient("hive").strategy(Strategy::OneForAll).child(a).child(b));
    let (_never, answer) = oneshot::channel();
    let stuck = b_ref.request(Do::when(answer)).unwrap();
    settle().await;
    a_ref.ask(Do::panic()).await.unwrap_err();
    assert!(matches!(stuck.answer().await, Err(CallError::Interrupted { .. })));
    b_ref.ask(Do::count()).await.unwrap();
    assert_eq!(journal.take(), ["a 1", "b 1", "a dropped", "b dropped", "a 2", "b 2"]);
}
