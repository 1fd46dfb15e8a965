//! Children that something else runs.

use super::*;
use crate::{Guest, GuestSpec};

fn host(root: &Root, id: &str, journal: &Journal) -> Guest {
    let (told, name) = (journal.clone(), id.to_owned());
    let spec = GuestSpec::new(id, "session", move || told.note(format!("end {name}")));
    root.supervisor().host(&spec).unwrap()
}

#[actix::test]
async fn a_guest_is_seen_as_long_as_it_is_held() {
    let journal = Journal::default();
    let (root, registry) = start(patient("hive"));
    let guest = host(&root, "ws_1", &journal);
    assert_eq!(&*guest.path(), "hive/ws_1");
    let seen = snapshot(&registry, "hive/ws_1").unwrap();
    assert_eq!((seen.kind, seen.state, seen.incarnation), ("session", ActorState::Running, 1));
    drop(guest);
    settle().await;
    assert!(snapshot(&registry, "hive/ws_1").is_none());
    assert!(registry.recent_failures().is_empty());
    host(&root, "ws_1", &journal);
}

#[actix::test]
async fn a_guest_is_asked_to_end_and_the_stop_waits_for_it() {
    let journal = Journal::default();
    let (root, _) = start(patient("hive"));
    let guest = host(&root, "ws_1", &journal);
    let stop = async { root.supervisor().stop_child("ws_1").await };
    let end = async {
        settle().await;
        assert_eq!(journal.take(), ["end ws_1"]);
        drop(guest);
    };
    let (outcome, ()) = futures_util::future::join(stop, end).await;
    assert_eq!(outcome, Some(StopOutcome::InTime));
}

#[actix::test]
async fn a_guest_that_stays_holds_up_nobody() {
    let journal = Journal::default();
    let (root, _) = start(patient("hive"));
    let guest = host(&root, "ws_1", &journal);
    let report = root.shutdown().await;
    assert_eq!(report.late.iter().map(|path| &**path).collect::<Vec<_>>(), ["hive/ws_1"]);
    drop(guest);
}

#[actix::test]
async fn a_guest_that_ends_by_a_panic_is_a_failure_and_is_not_begun_again() {
    let journal = Journal::default();
    let (root, registry) = start(patient("hive"));
    let guest = host(&root, "ws_1", &journal);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _held = guest;
        panic!("in the session");
    }));
    assert!(ended.is_err());
    settle().await;
    let failures = registry.recent_failures();
    assert_eq!((failures.len(), &*failures[0].path), (1, "hive/ws_1"));
    assert_eq!((root.supervisor().child_count(), registry.restarts_total()), (0, 0));
}
