//! How a tree ends.

use super::*;

#[actix::test]
async fn children_stop_in_reverse_order_of_their_start_and_nothing_stays_registered() {
    let journal = Journal::default();
    let below = patient("below").child(Probe::spec("b1", &journal)).child(Probe::spec("b2", &journal));
    let hive =
        patient("hive").child(Probe::spec("a", &journal)).supervisor(below).child(Probe::spec("c", &journal));
    let (root, registry) = start(hive);
    settle().await;
    journal.take();
    assert_eq!(root.shutdown().await, ShutdownReport::default());
    assert_eq!(journal.take(), ["c dropped", "b2 dropped", "b1 dropped", "a dropped"]);
    assert_eq!(registry.actor_count(), 0);
}

#[actix::test]
async fn what_was_queued_and_what_is_under_way_is_finished_within_the_grace() {
    tokio::time::pause();
    let (root, _, probe, _) = start_probe();
    let slow = Do::new(|_, _| {
        Reply::later(async {
            tokio::time::sleep(SECOND).await;
            3
        })
    });
    let slow = probe.request(slow).unwrap();
    let queued = probe.request(Do::count()).unwrap();
    let (report, slow, queued) = tokio::join!(root.shutdown(), slow.answer(), queued.answer());
    assert_eq!((report, slow, queued), (ShutdownReport::default(), Ok(3), Ok(2)));
}

#[actix::test]
async fn a_shutdown_says_who_did_not_stop_in_time_and_goes_on() {
    tokio::time::pause();
    let journal = Journal::default();
    let stuck = Probe::spec("stuck", &journal).grace(2 * SECOND);
    let stuck_ref = stuck.actor_ref();
    let below = patient("below").child(Probe::spec("good", &journal)).child(stuck);
    let (root, registry) = start(patient("hive").supervisor(below));
    let (_never, answer) = oneshot::channel();
    let pending = stuck_ref.request(Do::when(answer)).unwrap();
    settle().await;
    let begun = tokio::time::Instant::now();
    let report = root.shutdown().await;
    assert_eq!(report.late, ["hive/below/stuck".into()]);
    assert!(begun.elapsed() >= 2 * SECOND && begun.elapsed() < 3 * SECOND);
    assert!(matches!(pending.answer().await, Err(CallError::Closed { .. })));
    settle().await;
    assert_eq!(journal.take(), ["good 1", "stuck 1", "stuck dropped", "good dropped"]);
    assert_eq!(registry.actor_count(), 0);
}

#[actix::test]
async fn children_added_at_run_time_share_one_wait() {
    tokio::time::pause();
    let journal = Journal::default();
    let (root, _) = start(patient("hive"));
    let mut keep = Vec::new();
    for number in 0..50 {
        let spec = Probe::spec(&format!("task_{number}"), &journal).grace(2 * SECOND);
        let task = root.supervisor().start_child(spec).unwrap();
        let (never, answer) = oneshot::channel();
        task.tell(Do::when(answer)).unwrap();
        keep.push(never);
    }
    settle().await;
    let begun = tokio::time::Instant::now();
    assert_eq!(root.shutdown().await.late.len(), 50);
    assert!(begun.elapsed() < 3 * SECOND);
}

#[actix::test]
async fn a_draining_behaviour_may_end_at_once() {
    tokio::time::pause();
    let journal = Journal::default();
    let inside = journal.clone();
    let spec = ChildSpec::new("probe", move || {
        let mut probe = Probe::new("probe", &inside);
        probe.on_draining = |cx| cx.stop();
        probe
    });
    let probe = spec.actor_ref();
    let (root, _) = start(patient("hive").child(spec));
    let act = Do::new(|_, cx| {
        cx.spawn(std::future::pending::<()>(), |_, (), _| {});
        Reply::Now(0)
    });
    probe.ask(act).await.unwrap();
    let begun = tokio::time::Instant::now();
    assert_eq!(root.shutdown().await, ShutdownReport::default());
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[actix::test]
async fn a_grace_of_zero_waits_for_nothing() {
    tokio::time::pause();
    let journal = Journal::default();
    let spec = Probe::spec("probe", &journal).grace(Duration::ZERO);
    let probe = spec.actor_ref();
    let (root, _) = start(patient("hive").child(spec));
    let (_never, answer) = oneshot::channel();
    let pending = probe.request(Do::when(answer)).unwrap();
    settle().await;
    let begun = tokio::time::Instant::now();
    assert_eq!(root.shutdown().await, ShutdownReport::default());
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(matches!(pending.answer().await, Err(CallError::Closed { .. })));
}

#[actix::test]
async fn timers_do_not_hold_up_a_shutdown_and_do_not_fire_in_it() {
    tokio::time::pause();
    let (root, registry, probe, _) = start_probe();
    let act = Do::new(|_, cx| {
        cx.notify_later(Do::panic(), SECOND);
        Reply::Now(0)
    });
    probe.ask(act).await.unwrap();
    assert_eq!(root.shutdown().await, ShutdownReport::default());
    tokio::time::sleep(2 * SECOND).await;
    assert!(registry.recent_failures().is_empty());
}

#[actix::test]
async fn a_shutdown_in_the_middle_of_a_group_restart_wins() {
    tokio::time::pause();
    let journal = Journal::default();
    let [a, b] = ["a", "b"].map(|id| Probe::spec(id, &journal));
    let (a_ref, b_ref) = (a.actor_ref(), b.actor_ref());
    let (root, registry) = start(patient("hive").strategy(Strategy::OneForAll).child(a).child(b));
    let (_never, answer) = oneshot::channel();
    b_ref.tell(Do::when(answer)).unwrap();
    settle().await;
    a_ref.ask(Do::panic()).await.unwrap_err();
    settle().await;
    assert_eq!(root.shutdown().await.late, ["hive/b".into()]);
    settle().await;
    assert_eq!(journal.take(), ["a 1", "b 1", "a dropped", "b dropped"]);
    assert_eq!(registry.actor_count(), 0);
}

#[actix::test]
async fn everybody_who_asks_for_the_shutdown_gets_the_report_and_later_ones_an_empty_one() {
    let (root, ..) = start_probe();
    let again = root.supervisor().clone();
    let (one, two) = tokio::join!(root.shutdown(), again.shutdown());
    assert_eq!((one, two), (ShutdownReport::default(), ShutdownReport::default()));
    assert_eq!(root.shutdown().await, ShutdownReport::default());
}

#[actix::test]
async fn a_panic_in_the_shutdown_is_recorded_and_does_not_hold_it_up() {
    let journal = Journal::default();
    let inside = journal.clone();
    let spec = ChildSpec::new("probe", move || {
        let mut probe = Probe::new("probe", &inside);
        probe.on_draining = |_| panic!("boom while draining");
        probe
    });
    let (root, registry) = start(patient("hive").child(spec));
    assert_eq!(root.shutdown().await, ShutdownReport::default());
    assert_eq!(journal.take(), ["probe 1", "probe dropped"]);
    assert_eq!(&*registry.recent_failures()[0].text, "boom while draining");
}
