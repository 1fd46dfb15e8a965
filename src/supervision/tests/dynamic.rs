//! Children that come and go while the program runs.

use super::*;

fn start_tasks(spec: SupervisorSpec) -> (Root, Registry, SupervisorRef) {
    let tasks = spec.supervisor_ref();
    let (root, registry) = start(patient("hive").supervisor(spec));
    (root, registry, tasks)
}

#[actix::test]
async fn an_actor_can_start_children_from_inside_a_handler_and_talk_to_them_at_once() {
    let journal = Journal::default();
    let tasks = patient("tasks");
    let tasks_ref = tasks.supervisor_ref();
    let spec = Probe::spec("coordinator", &journal);
    let coordinator = spec.actor_ref();
    let (_root, _) = start(patient("hive").supervisor(tasks).child(spec));
    let act = Do::new(move |probe, _| {
        let child = tasks_ref.start_child(Probe::spec("task", &probe.journal)).unwrap();
        let answer = child.request(Do::count()).unwrap();
        Reply::later(async move { answer.answer().await.unwrap() })
    });
    assert_eq!(coordinator.ask(act).await, Ok(1));
}

#[actix::test]
async fn children_that_finish_leave_nothing_behind() {
    let journal = Journal::default();
    let (_root, registry, tasks) = start_tasks(patient("tasks"));
    for round in 0..3 {
        for number in 0..200 {
            let spec = Probe::spec(&format!("task_{number}"), &journal).restart(Restart::Temporary);
            tasks.start_child(spec).unwrap().tell(Do::stop()).unwrap();
        }
        assert_eq!(registry.actor_count(), 202, "round {round}");
        settle().await;
        assert_eq!((tasks.child_count(), registry.actor_count()), (0, 2));
    }
    assert!(registry.recent_failures().is_empty());
}

#[actix::test]
async fn a_child_can_be_started_from_another_thread() {
    let journal = Journal::default();
    let (_root, _, tasks) = start_tasks(patient("tasks"));
    let (done, child) = oneshot::channel();
    let starting = elsewhere(move || {
        done.send(tasks.start_child(Probe::spec("task", &journal)).unwrap()).unwrap();
    });
    assert_eq!(child.await.unwrap().ask(Do::count()).await, Ok(1));
    starting.join().unwrap();
}

#[actix::test]
async fn two_living_siblings_cannot_have_the_same_id() {
    let journal = Journal::default();
    let (_root, _, tasks) = start_tasks(patient("tasks"));
    tasks.start_child(Probe::spec("task", &journal)).unwrap();
    let error = tasks.start_child(Probe::spec("task", &journal)).unwrap_err();
    assert_eq!(error, StartError::AlreadyStarted { path: "hive/tasks/task".into() });
}

#[actix::test]
async fn an_id_that_would_break_a_path_is_refused() {
    let journal = Journal::default();
    let (_root, _, tasks) = start_tasks(patient("tasks"));
    for id in ["", "a/b"] {
        let error = tasks.start_child(Probe::spec(id, &journal)).unwrap_err();
        assert_eq!(error, StartError::InvalidId { id: id.into() });
    }
}

#[actix::test]
async fn a_supervisor_has_at_most_as_many_children_as_its_spec_allows() {
    let journal = Journal::default();
    let (_root, _, tasks) = start_tasks(patient("tasks").max_children(1));
    tasks.start_child(Probe::spec("one", &journal)).unwrap();
    let error = tasks.start_child(Probe::spec("two", &journal)).unwrap_err();
    assert_eq!(error, StartError::Full { path: "hive/tasks".into(), max: 1 });
}

#[actix::test]
async fn only_one_for_one_takes_children_at_run_time() {
    let journal = Journal::default();
    let (_root, _, tasks) = start_tasks(patient("tasks").strategy(Strategy::OneForAll));
    let error = tasks.start_child(Probe::spec("task", &journal)).unwrap_err();
    assert_eq!(error, StartError::NotDynamic { path: "hive/tasks".into() });
}

#[actix::test]
async fn a_supervisor_that_stopped_or_was_never_started_takes_no_children() {
    let journal = Journal::default();
    let never = patient("never").supervisor_ref();
    let error = never.start_child(Probe::spec("task", &journal)).unwrap_err();
    assert_eq!(error, StartError::NotRunning { path: "never".into() });
    let (root, _, tasks) = start_tasks(patient("tasks"));
    root.shutdown().await;
    let error = tasks.start_child(Probe::spec("task", &journal)).unwrap_err();
    assert_eq!(error, StartError::NotRunning { path: "hive/tasks".into() });
}

#[actix::test]
async fn one_child_can_be_stopped_and_its_id_is_free_again() {
    let journal = Journal::default();
    let (_root, _, tasks) = start_tasks(patient("tasks"));
    tasks.start_child(Probe::spec("task", &journal)).unwrap();
    assert_eq!(tasks.stop_child("task").await, Some(StopOutcome::InTime));
    assert_eq!(tasks.stop_child("task").await, None);
    tasks.start_child(Probe::spec("task", &journal)).unwrap();
    settle().await;
    assert_eq!(journal.take(), ["task 1", "task dropped", "task 1"]);
}

#[actix::test]
async fn a_child_that_does_not_stop_within_its_grace_is_reported_late() {
    tokio::time::pause();
    let journal = Journal::default();
    let (_root, _, tasks) = start_tasks(patient("tasks"));
    let child = tasks.start_child(Probe::spec("task", &journal).grace(SECOND)).unwrap();
    let (_never, answer) = oneshot::channel();
    child.tell(Do::when(answer)).unwrap();
    assert_eq!(tasks.stop_child("task").await, Some(StopOutcome::Late));
    settle().await;
    assert_eq!(tasks.child_count(), 0);
}

#[actix::test]
async fn children_added_at_run_time_are_not_restarted_with_their_supervisor() {
    let journal = Journal::default();
    let fixed = Probe::spec("fixed", &journal);
    let fixed_ref = fixed.actor_ref();
    let tasks = patient("tasks").intensity(Intensity::shared(0, SECOND)).child(fixed);
    let (_root, registry, tasks) = start_tasks(tasks);
    let task = tasks.start_child(Probe::spec("task", &journal)).unwrap();
    task.ask(Do::count()).await.unwrap();
    fixed_ref.ask(Do::panic()).await.unwrap_err();
    fixed_ref.ask(Do::count()).await.unwrap();
    assert!(matches!(task.ask(Do::count()).await, Err(CallError::Closed { .. })));
    assert_eq!(snapshot(&registry, "hive/tasks/task"), None);
    tasks.start_child(Probe::spec("task", &journal)).unwrap();
}

#[actix::test]
async fn a_supervisor_can_be_added_at_run_time() {
    let journal = Journal::default();
    let (_root, registry, sessions) = start_tasks(patient("sessions"));
    let worker = sessions.start_supervisor(patient("worker_0")).unwrap();
    worker.start_child(Probe::spec("session", &journal)).unwrap();
    assert!(snapshot(&registry, "hive/sessions/worker_0/session").is_some());
}
