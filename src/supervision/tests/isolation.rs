//! A panic takes down one incarnation of one actor, and nothing else.

use super::*;

fn panicked(error: &CallError) -> &str {
    match error {
        CallError::Panicked { text, .. } => text,
        other => panic!("{other} is not a panic"),
    }
}

#[actix::test]
async fn a_panic_in_a_handler_is_told_to_its_caller_and_a_fresh_behaviour_follows() {
    let (_root, registry, probe, _) = start_probe();
    assert_eq!(probe.ask(Do::count()).await, Ok(1));
    let error = probe.ask(Do::panic()).await.unwrap_err();
    assert_eq!(panicked(&error), "boom");
    assert_eq!(probe.ask(Do::count()).await, Ok(1));
    let actor = snapshot(&registry, "hive/probe").unwrap();
    assert_eq!((actor.incarnation, actor.restarts), (2, 1));
    assert_eq!(&*actor.last_error.unwrap().text, "boom");
}

#[actix::test]
async fn a_panic_in_the_future_of_an_answer_is_told_to_its_caller_and_restarts_the_actor() {
    let (_root, _, probe, journal) = start_probe();
    let act = Do::new(|_, _| Reply::later(async { panic!("late boom") }));
    let error = probe.ask(act).await.unwrap_err();
    assert_eq!(panicked(&error), "late boom");
    assert_eq!(probe.ask(Do::count()).await, Ok(1));
    assert_eq!(journal.take(), ["probe 1", "probe dropped", "probe 2"]);
}

#[actix::test]
async fn a_panic_in_spawned_work_or_in_what_follows_it_restarts_the_actor() {
    let (_root, _, probe, journal) = start_probe();
    let in_future = Do::new(|_, cx| {
        cx.spawn(async { panic!("in the future") }, |_, (), _| {});
        Reply::Now(0)
    });
    probe.ask(in_future).await.unwrap();
    settle().await;
    let in_continuation = Do::new(|_, cx| {
        cx.spawn(async { 7 }, |_, seven, _| panic!("after {seven}"));
        Reply::Now(0)
    });
    probe.ask(in_continuation).await.unwrap();
    settle().await;
    assert_eq!(journal.take(), ["probe 1", "probe dropped", "probe 2", "probe dropped", "probe 3"]);
}

#[actix::test]
async fn a_panic_at_a_timer_restarts_the_actor() {
    tokio::time::pause();
    let (_root, registry, probe, _) = start_probe();
    let act = Do::new(|_, cx| {
        cx.notify_later(Do::panic(), SECOND);
        Reply::Now(0)
    });
    probe.ask(act).await.unwrap();
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(snapshot(&registry, "hive/probe").unwrap().restarts, 1);
}

#[actix::test]
async fn a_panic_in_the_factory_is_a_failure_and_the_factory_is_tried_again() {
    let journal = Journal::default();
    let tries = Mutex::new(0);
    let in_factory = journal.clone();
    let spec = ChildSpec::new("probe", move || {
        *tries.lock() += 1;
        assert!(*tries.lock() > 2, "no luck yet");
        Probe::new("probe", &in_factory)
    });
    let probe = spec.actor_ref();
    let (_root, registry) = start(patient("hive").child(spec));
    assert_eq!(probe.ask(Do::count()).await, Ok(1));
    assert_eq!(journal.take(), ["probe 3"]);
    assert_eq!(&*registry.recent_failures()[0].text, "no luck yet");
}

#[actix::test]
async fn a_panic_in_the_drop_of_the_state_is_contained() {
    let (_root, registry, probe, _) = start_probe();
    let act = Do::new(|probe, _| {
        probe.panics_when_dropped = true;
        panic!("boom")
    });
    probe.ask(act).await.unwrap_err();
    assert_eq!(probe.ask(Do::count()).await, Ok(1));
    let error = snapshot(&registry, "hive/probe").unwrap().last_error.unwrap();
    assert_eq!(&*error.text, "boom in drop");
}

#[actix::test]
async fn messages_queued_behind_a_panic_are_handled_by_the_fresh_behaviour_after_the_backoff() {
    tokio::time::pause();
    let journal = Journal::default();
    let spec = Probe::spec("probe", &journal);
    let probe = spec.actor_ref();
    let backoff = Backoff::new(SECOND, SECOND, 60 * SECOND);
    let (_root, _) = start(patient("hive").backoff(backoff).child(spec));
    let begun = tokio::time::Instant::now();
    let boom = probe.request(Do::panic()).unwrap();
    let first = probe.request(Do::count()).unwrap();
    let second = probe.request(Do::count()).unwrap();
    assert!(matches!(boom.answer().await, Err(CallError::Panicked { .. })));
    assert!(!probe.is_running());
    assert_eq!(probe.depth(), 2);
    assert_eq!(first.answer().await, Ok(1));
    assert_eq!(second.answer().await, Ok(2));
    assert!(begun.elapsed() >= SECOND / 2);
}

#[actix::test]
async fn the_state_of_a_failed_incarnation_is_dropped_before_the_backoff() {
    tokio::time::pause();
    let journal = Journal::default();
    let spec = Probe::spec("probe", &journal);
    let probe = spec.actor_ref();
    let (_root, _) =
        start(patient("hive").backoff(Backoff::new(60 * SECOND, 60 * SECOND, SECOND)).child(spec));
    let (release, held) = oneshot::channel();
    let waiting = probe.request(Do::when(held)).unwrap();
    probe.ask(Do::panic()).await.unwrap_err();
    assert_eq!(journal.take(), ["probe 1", "probe dropped"]);
    assert!(release.is_closed());
    assert!(matches!(waiting.answer().await, Err(CallError::Interrupted { .. })));
}

#[actix::test]
async fn neighbours_on_the_same_arbiter_do_not_notice_a_panic() {
    let journal = Journal::default();
    let (bad, good) = (Probe::spec("bad", &journal), Probe::spec("good", &journal));
    let (bad_ref, good_ref) = (bad.actor_ref(), good.actor_ref());
    let (_root, _) = start(patient("hive").child(bad).child(good));
    let (answer, waiting) = oneshot::channel();
    let pending = good_ref.request(Do::when(waiting)).unwrap();
    bad_ref.ask(Do::panic()).await.unwrap_err();
    answer.send(5).unwrap();
    assert_eq!(pending.answer().await, Ok(5));
    assert_eq!(good_ref.ask(Do::count()).await, Ok(2));
}

#[actix::test]
async fn an_actor_can_fail_without_a_panic() {
    let (_root, registry, probe, _) = start_probe();
    let act = Do::new(|_, cx| {
        cx.fail("the queue is gone");
        Reply::Now(1)
    });
    assert_eq!(probe.ask(act).await, Ok(1));
    assert_eq!(probe.ask(Do::count()).await, Ok(1));
    let actor = snapshot(&registry, "hive/probe").unwrap();
    assert_eq!(&*actor.last_error.unwrap().text, "the queue is gone");
}

#[actix::test]
async fn a_promise_answers_when_it_is_fulfilled_and_interrupts_when_it_is_dropped() {
    let (_root, _, probe, _) = start_probe();
    let (hand_out, promises) = std::sync::mpsc::channel();
    let promise = |hand_out: std::sync::mpsc::Sender<_>| {
        Do::new(move |_, _| {
            let (promise, reply) = Reply::promise();
            hand_out.send(promise).unwrap();
            reply
        })
    };
    let kept = probe.request(promise(hand_out.clone())).unwrap();
    let broken = probe.request(promise(hand_out)).unwrap();
    settle().await;
    promises.recv().unwrap().fulfil(9);
    drop(promises.recv().unwrap());
    assert_eq!(kept.answer().await, Ok(9));
    assert!(matches!(broken.answer().await, Err(CallError::Interrupted { .. })));
}

#[actix::test]
async fn canceled_work_and_canceled_timers_do_not_go_on() {
    tokio::time::pause();
    let (_root, _, probe, _) = start_probe();
    let act = Do::new(|_, cx| {
        cx.notify_later(Do::panic(), SECOND).cancel();
        cx.spawn(std::future::pending::<()>(), |_, (), _| {}).cancel();
        Reply::Now(0)
    });
    probe.ask(act).await.unwrap();
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(probe.ask(Do::count()).await, Ok(2));
}
