//! What callers see of a mailbox.

use super::*;

fn assert_send<T: Send>(value: T) -> T {
    value
}

#[actix::test]
async fn a_full_mailbox_refuses_at_once_and_queues_nothing() {
    let (_root, _, probe, _) = start_probe();
    // The actor has had no turn yet.
    for _ in 0..Probe::MAILBOX_CAPACITY {
        probe.tell(Do::count()).unwrap();
    }
    assert_eq!(probe.depth(), 4);
    let full = CallError::Full { path: "hive/probe".into(), capacity: 4 };
    assert_eq!(probe.tell(Do::count()), Err(full.clone()));
    assert_eq!(probe.clone().ask(Do::count()).await, Err(full));
    settle().await;
    assert_eq!(probe.depth(), 0);
    assert_eq!(probe.ask(Do::count()).await, Ok(5));
}

#[actix::test]
async fn a_caller_can_wait_for_room() {
    let (_root, _, probe, _) = start_probe();
    for _ in 0..Probe::MAILBOX_CAPACITY {
        probe.tell(Do::count()).unwrap();
    }
    assert_eq!(probe.ask_waiting(Do::count()).await, Ok(5));
}

#[actix::test]
async fn a_call_with_a_limit_of_time_gives_up_and_its_message_is_not_handled_later() {
    tokio::time::pause();
    let journal = Journal::default();
    let spec = Probe::spec("probe", &journal);
    let probe = spec.actor_ref();
    let (_root, _) = start(patient("hive").backoff(Backoff::new(9 * SECOND, 9 * SECOND, SECOND)).child(spec));
    probe.ask(Do::panic()).await.unwrap_err();
    let error = probe.ask_within(Do::count(), SECOND).await.unwrap_err();
    assert_eq!(error, CallError::TimedOut { path: "hive/probe".into(), within: SECOND });
    assert_eq!(probe.ask(Do::count()).await, Ok(1));
}

#[actix::test]
async fn a_reference_is_good_before_the_start_and_says_closed_until_then() {
    let journal = Journal::default();
    let spec = Probe::spec("probe", &journal);
    let probe = spec.actor_ref();
    assert_eq!(probe.ask(Do::count()).await, Err(CallError::Closed { path: "probe".into() }));
    let (_root, _) = start(patient("hive").child(spec));
    assert_eq!(probe.ask(Do::count()).await, Ok(1));
}

#[actix::test]
async fn calls_to_an_actor_that_is_gone_say_closed_and_so_do_those_that_were_queued() {
    let journal = Journal::default();
    let spec = Probe::spec("probe", &journal).restart(Restart::Temporary);
    let probe = spec.actor_ref();
    let (_root, _) = start(patient("hive").child(spec));
    let stop = probe.request(Do::stop()).unwrap();
    let queued = probe.request(Do::count()).unwrap();
    assert_eq!(stop.answer().await, Ok(0));
    let closed = CallError::Closed { path: "hive/probe".into() };
    assert_eq!(queued.answer().await, Err(closed.clone()));
    assert_eq!(probe.ask(Do::count()).await, Err(closed.clone()));
    assert_eq!(probe.ask_waiting(Do::count()).await, Err(closed));
}

#[actix::test]
async fn an_actor_can_be_asked_from_another_thread() {
    let (_root, _, probe, _) = start_probe();
    let (done, answer) = oneshot::channel();
    let asking = elsewhere(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        done.send(runtime.block_on(assert_send(probe.ask(Do::count())))).unwrap();
    });
    assert_eq!(answer.await.unwrap(), Ok(1));
    asking.join().unwrap();
}
