//! Threads as children.

use std::sync::mpsc;

use super::*;

/// Waits for what another thread does, without holding up this arbiter.
async fn until(mut is_true: impl FnMut() -> bool) {
    while !is_true() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn idle(id: &str, journal: &Journal) -> ThreadSpec {
    let journal = journal.clone();
    ThreadSpec::new(id, move |cx| {
        journal.note(format!("{} {}", cx.path(), cx.incarnation()));
        while !cx.sleep(Duration::from_millis(1)) {
            cx.checkpoint();
        }
        Ok(())
    })
}

#[actix::test]
async fn a_thread_that_panics_or_returns_an_error_is_restarted() {
    let journal = Journal::default();
    let inside = journal.clone();
    let writer = ThreadSpec::new("writer", move |cx| {
        inside.note(format!("{}", cx.incarnation()));
        match cx.incarnation() {
            1 => panic!("the disk is gone"),
            2 => Err(std::io::Error::other("the disk is full"))?,
            _ => while !cx.sleep(SECOND) {},
        }
        Ok(())
    })
    .kind("writer");
    let (root, registry) = start(patient("hive").thread(writer));
    until(|| snapshot(&registry, "hive/writer").unwrap().incarnation == 3).await;
    assert_eq!(journal.take(), ["1", "2", "3"]);
    let texts: Vec<_> = registry.recent_failures().into_iter().map(|failure| failure.text).collect();
    assert_eq!(texts, ["the disk is full".into(), "the disk is gone".into()]);
    assert_eq!(registry.restarts_by_kind(), [("writer", 2)].into());
    assert_eq!(root.shutdown().await, ShutdownReport::default());
}

#[actix::test]
async fn a_thread_counts_in_the_intensity_of_its_supervisor() {
    let writer = ThreadSpec::new("writer", |_| Err("no database")?);
    let hive = patient("hive").intensity(Intensity::shared(2, 60 * SECOND)).thread(writer);
    let (root, registry) = start(hive);
    let failure = root.failed().await;
    assert_eq!(&*failure.text, "too many failures, last of hive/writer: no database");
    assert_eq!(registry.restarts_total(), 2);
}

#[actix::test]
async fn a_transient_thread_may_end() {
    let job = ThreadSpec::new("job", |_| Ok(())).restart(Restart::Transient);
    let (root, registry) = start(patient("hive").thread(job));
    until(|| snapshot(&registry, "hive/job").unwrap().state == ActorState::Stopped).await;
    assert_eq!(root.shutdown().await, ShutdownReport::default());
}

#[actix::test]
async fn a_stop_wakes_a_thread_that_waits_for_work() {
    let (wake, work) = mpsc::channel::<()>();
    let work = Mutex::new(work);
    let writer = ThreadSpec::new("writer", move |cx| {
        while !cx.is_stopping() {
            work.lock().recv()?;
        }
        Ok(())
    })
    .on_stop(move || wake.send(()).unwrap());
    let (root, _) = start(patient("hive").thread(writer));
    assert_eq!(root.shutdown().await, ShutdownReport::default());
}

#[actix::test]
async fn a_thread_that_does_not_stop_in_time_is_reported() {
    let (let_go, held) = mpsc::channel::<()>();
    let (begun, has_begun) = oneshot::channel();
    let (held, begun) = (Mutex::new(held), Mutex::new(Some(begun)));
    let stuck = ThreadSpec::new("stuck", move |_| {
        begun.lock().take().unwrap().send(()).unwrap();
        held.lock().recv()?;
        Ok(())
    })
    .grace(Duration::from_millis(3));
    let (root, _) = start(patient("hive").thread(stuck));
    has_begun.await.unwrap();
    assert_eq!(root.shutdown().await.late, ["hive/stuck".into()]);
    let_go.send(()).unwrap();
}

#[actix::test]
async fn a_thread_is_restarted_along_with_its_group() {
    let journal = Journal::default();
    let (quiet, spec) = (Journal::default(), Probe::spec("probe", &Journal::default()));
    let probe = spec.actor_ref();
    let hive = patient("hive").strategy(Strategy::OneForAll);
    let (root, registry) =
        start(hive.thread(idle("writer", &journal)).child(spec).thread(idle("other", &quiet)));
    until(|| !quiet.take().is_empty()).await;
    probe.ask(Do::panic()).await.unwrap_err();
    probe.ask(Do::count()).await.unwrap();
    until(|| snapshot(&registry, "hive/writer").unwrap().incarnation == 2).await;
    until(|| !quiet.take().is_empty()).await;
    assert_eq!(journal.take(), ["hive/writer 1", "hive/writer 2"]);
    assert_eq!(root.shutdown().await, ShutdownReport::default());
}

#[actix::test]
async fn a_thread_that_is_late_for_its_group_begins_again_when_it_ends_and_never_runs_twice_at_once() {
    let journal = Journal::default();
    let (let_go, held) = mpsc::channel::<()>();
    let (held, inside) = (Mutex::new(held), journal.clone());
    let writer = ThreadSpec::new("writer", move |cx| {
        inside.note(format!("begin {}", cx.incarnation()));
        held.lock().recv()?;
        inside.note(format!("end {}", cx.incarnation()));
        Ok(())
    })
    .grace(Duration::from_millis(2));
    let spec = Probe::spec("probe", &Journal::default());
    let probe = spec.actor_ref();
    let hive = patient("hive").strategy(Strategy::OneForAll).thread(writer).child(spec);
    let (root, registry) = start(hive);
    until(|| journal.take() == ["begin 1"]).await;
    probe.ask(Do::panic()).await.unwrap_err();
    // The group does not wait for ever.
    probe.ask(Do::count()).await.unwrap();
    assert!(journal.take().is_empty());
    let_go.send(()).unwrap();
    until(|| snapshot(&registry, "hive/writer").unwrap().incarnation == 2).await;
    let_go.send(()).unwrap();
    until(|| snapshot(&registry, "hive/writer").unwrap().incarnation == 3).await;
    drop(let_go);
    assert_eq!(journal.take()[..3], ["end 1", "begin 2", "end 2"]);
    root.shutdown().await;
}

#[actix::test]
async fn a_drill_fails_a_thread_at_its_next_checkpoint() {
    let journal = Journal::default();
    let (root, registry) = start(patient("hive").thread(idle("writer", &journal)));
    registry.inject("hive/writer", Fault::PanicInHandler).unwrap();
    until(|| snapshot(&registry, "hive/writer").unwrap().incarnation == 2).await;
    assert_eq!(&*registry.recent_failures()[0].text, "fault drill: panic in handler");
    assert_eq!(root.shutdown().await, ShutdownReport::default());
}

#[actix::test]
async fn a_shutdown_does_not_wait_for_the_backoff_of_a_thread() {
    let hour = Backoff::new(3600 * SECOND, 3600 * SECOND, SECOND);
    let writer = ThreadSpec::new("writer", |_| Err("no database")?);
    let (root, registry) = start(patient("hive").backoff(hour).thread(writer));
    until(|| !registry.recent_failures().is_empty()).await;
    assert_eq!(root.shutdown().await, ShutdownReport::default());
}
