//! What the registry shows.

use super::*;

fn by_path(registry: &Registry, filter: &SnapshotFilter) -> Vec<Arc<str>> {
    registry.snapshot(filter).into_iter().map(|actor| actor.path).collect()
}

#[actix::test]
async fn a_snapshot_shows_the_live_tree() {
    let (_root, registry, probe, _) = start_probe();
    settle().await;
    probe.tell(Do::count()).unwrap();
    let actors = registry.snapshot(&SnapshotFilter::default());
    let json = serde_json::to_value(&actors).unwrap();
    let expected = serde_json::json!([
        {
            "path": "hive", "kind": "supervisor", "state": "running", "arbiter": "test", "incarnation": 1,
            "restarts": 0, "mailbox_depth": 0, "mailbox_capacity": 0, "last_error": null
        },
        {
            "path": "hive/probe", "kind": "probe", "state": "running", "arbiter": "test", "incarnation": 1,
            "restarts": 0, "mailbox_depth": 1, "mailbox_capacity": 4, "last_error": null
        }
    ]);
    assert_eq!(json, expected);
}

#[actix::test]
async fn a_snapshot_can_be_limited_to_a_subtree_a_kind_and_a_number() {
    let journal = Journal::default();
    let [one, two] = ["one", "two"].map(patient);
    let (one_ref, two_ref) = (one.supervisor_ref(), two.supervisor_ref());
    let (_root, registry) = start(patient("hive").supervisor(one).supervisor(two));
    for number in 0..700 {
        one_ref.start_child(Probe::spec(&format!("t{number:03}"), &journal)).unwrap();
    }
    two_ref.start_child(Probe::spec("x", &journal)).unwrap();
    let subtree = SnapshotFilter { prefix: "hive/two", ..SnapshotFilter::default() };
    assert_eq!(by_path(&registry, &subtree), ["hive/two".into(), "hive/two/x".into()]);
    let kind = SnapshotFilter { kind: Some("supervisor"), ..SnapshotFilter::default() };
    assert_eq!(by_path(&registry, &kind), ["hive".into(), "hive/one".into(), "hive/two".into()]);
    let few = SnapshotFilter { limit: 600, ..SnapshotFilter::default() };
    assert_eq!(by_path(&registry, &few).len(), 600);
    assert_eq!(registry.actor_count(), 704);
    assert_eq!(by_path(&registry, &SnapshotFilter { limit: 9999, ..few }).len(), 704);
}

#[actix::test]
async fn restarts_are_counted_in_total_by_kind_and_by_path() {
    let journal = Journal::default();
    let (root, registry) = start(patient("hive"));
    let task = root.supervisor().start_child(Probe::spec("task", &journal)).unwrap();
    for _ in 0..3 {
        task.ask(Do::panic()).await.unwrap_err();
    }
    task.ask(Do::count()).await.unwrap();
    assert_eq!(registry.restarts_by_path(), [("hive/task".into(), 3)].into());
    root.supervisor().stop_child("task").await.unwrap();
    // What is gone stays in the totals, which are counters.
    assert!(registry.restarts_by_path().is_empty());
    assert_eq!(registry.restarts_by_kind(), [("probe", 3)].into());
    assert_eq!(registry.restarts_total(), 3);
}

#[actix::test]
async fn the_state_follows_the_actor() {
    tokio::time::pause();
    let journal = Journal::default();
    let spec = Probe::spec("probe", &journal);
    let probe = spec.actor_ref();
    let (root, registry) = start(patient("hive").backoff(Backoff::new(SECOND, SECOND, SECOND)).child(spec));
    let state = || snapshot(&registry, "hive/probe").unwrap().state;
    assert_eq!(state(), ActorState::Starting);
    settle().await;
    assert_eq!(state(), ActorState::Running);
    probe.ask(Do::panic()).await.unwrap_err();
    assert_eq!(state(), ActorState::Restarting);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(state(), ActorState::Running);
    let (_never, answer) = oneshot::channel();
    probe.tell(Do::when(answer)).unwrap();
    let (_, ()) = tokio::join!(root.shutdown(), async {
        settle().await;
        assert_eq!(state(), ActorState::Stopping);
    });
    assert_eq!(snapshot(&registry, "hive/probe"), None);
}

#[actix::test]
async fn recent_failures_are_kept_newest_first_and_bounded() {
    let (_root, registry, probe, _) = start_probe();
    for number in 0..300 {
        let act = Do::new(move |_, _| panic!("boom {number}"));
        probe.ask(act).await.unwrap_err();
    }
    settle().await;
    let failures = registry.recent_failures();
    assert_eq!((failures.len(), &*failures[0].text), (256, "boom 299"));
    assert_eq!((failures[0].incarnation, failures[0].consequence), (300, Consequence::Restarted));
}

#[actix::test]
async fn a_long_panic_text_is_cut() {
    let (_root, registry, probe, _) = start_probe();
    let act = Do::new(|_, _| panic!("{}", "ä".repeat(4000)));
    probe.ask(act).await.unwrap_err();
    assert_eq!(snapshot(&registry, "hive/probe").unwrap().last_error.unwrap().text.len(), 2048);
}
