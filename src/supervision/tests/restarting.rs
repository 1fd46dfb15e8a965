//! Who is restarted, and when.

use super::*;

fn start_with(restart: Restart) -> (Root, Registry, ActorRef<Probe>, Journal) {
    let journal = Journal::default();
    let spec = Probe::spec("probe", &journal).restart(restart);
    let probe = spec.actor_ref();
    let (root, registry) = start(patient("hive").child(spec));
    (root, registry, probe, journal)
}

#[actix::test]
async fn a_permanent_child_is_restarted_after_a_normal_end_too() {
    let (_root, _, probe, journal) = start_with(Restart::Permanent);
    probe.ask(Do::stop()).await.unwrap();
    assert_eq!(probe.ask(Do::count()).await, Ok(1));
    assert_eq!(journal.take(), ["probe 1", "probe dropped", "probe 2"]);
}

#[actix::test]
async fn a_transient_child_is_restarted_after_a_failure_only() {
    let (_root, registry, probe, journal) = start_with(Restart::Transient);
    probe.ask(Do::panic()).await.unwrap_err();
    probe.ask(Do::stop()).await.unwrap();
    settle().await;
    assert_eq!(journal.take(), ["probe 1", "probe dropped", "probe 2", "probe dropped"]);
    assert_eq!(snapshot(&registry, "hive/probe").unwrap().state, ActorState::Stopped);
}

#[actix::test]
async fn a_temporary_child_is_never_restarted() {
    let (_root, registry, probe, journal) = start_with(Restart::Temporary);
    probe.ask(Do::panic()).await.unwrap_err();
    settle().await;
    assert_eq!(journal.take(), ["probe 1", "probe dropped"]);
    assert_eq!(snapshot(&registry, "hive/probe").unwrap().state, ActorState::Failed);
    assert_eq!(registry.recent_failures()[0].consequence, Consequence::Ended);
}

#[actix::test]
async fn each_failure_in_a_row_waits_longer_and_a_quiet_period_resets_it() {
    tokio::time::pause();
    let journal = Journal::default();
    let spec = Probe::spec("probe", &journal);
    let probe = spec.actor_ref();
    let backoff = Backoff::new(SECOND, 64 * SECOND, 600 * SECOND);
    let (_root, _) = start(patient("hive").backoff(backoff).child(spec));
    let mut waits = Vec::new();
    for _ in 0..4 {
        probe.ask(Do::panic()).await.unwrap_err();
        let failed_at = tokio::time::Instant::now();
        probe.ask(Do::count()).await.unwrap();
        waits.push(failed_at.elapsed());
    }
    // Jitter takes at most half, so eight seconds are surely more than two, and so on.
    assert!(waits[0] <= SECOND + SECOND / 100, "{waits:?}");
    assert!(waits[2] > waits[0] && waits[3] >= 4 * SECOND, "{waits:?}");
    tokio::time::sleep(1200 * SECOND).await;
    probe.ask(Do::panic()).await.unwrap_err();
    let failed_at = tokio::time::Instant::now();
    probe.ask(Do::count()).await.unwrap();
    assert!(failed_at.elapsed() <= SECOND + SECOND / 100);
}

#[actix::test]
async fn a_shutdown_does_not_wait_for_a_backoff() {
    tokio::time::pause();
    let journal = Journal::default();
    let spec = Probe::spec("probe", &journal);
    let probe = spec.actor_ref();
    let hour = Backoff::new(3600 * SECOND, 3600 * SECOND, SECOND);
    let (root, registry) = start(patient("hive").backoff(hour).child(spec));
    probe.ask(Do::panic()).await.unwrap_err();
    settle().await;
    let begun = tokio::time::Instant::now();
    assert_eq!(root.shutdown().await, ShutdownReport::default());
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(registry.actor_count(), 0);
}

#[actix::test]
async fn failures_spread_wider_than_the_period_are_borne_for_ever() {
    tokio::time::pause();
    let journal = Journal::default();
    let spec = Probe::spec("probe", &journal);
    let probe = spec.actor_ref();
    let supervisor = patient("hive").intensity(Intensity::shared(1, 5 * SECOND));
    let (_root, registry) = start(supervisor.child(spec));
    for _ in 0..10 {
        probe.ask(Do::panic()).await.unwrap_err();
        tokio::time::sleep(5 * SECOND).await;
    }
    assert_eq!(snapshot(&registry, "hive/probe").unwrap().restarts, 10);
}
