//! The writer's loop: what it does with a database that works, fails or panics.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::{AcceptedTask, EventKind, NewTask, TaskId, TenantId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::command::{Command, RecordSystemEvent, SubmitTask};
use crate::error::{OpenError, WriteError};
use crate::metrics::Metrics;
use crate::open::{OpenOptions, open};
use crate::outcome::{Outcome, Submitted};
use crate::port::{BatchError, BatchWriter, Committed};
use crate::writer::{WriterHandle, WriterLoop, writer};

/// What a scripted database does with a batch.
#[derive(Debug, Clone, Copy)]
enum Act {
    Fail,
    BeBusy,
    Panic,
    LoseSync,
}

/// A database that follows a script, then works.
#[derive(Clone, Default)]
struct Script {
    acts: Arc<Mutex<VecDeque<Act>>>,
    opens: Arc<AtomicUsize>,
    batches: Arc<Mutex<Vec<usize>>>,
}

impl BatchWriter for Script {
    fn apply(&mut self, batch: &[Command]) -> Result<Committed, BatchError> {
        self.batches.lock().push(batch.len());
        let act = self.acts.lock().pop_front();
        match act {
            Some(Act::Fail) => Err(BatchError::Unavailable("disk full".into())),
            Some(Act::BeBusy) => Err(BatchError::Busy("others".into())),
            Some(Act::Panic) => panic!("as the script says"),
            Some(Act::LoseSync) => Err(BatchError::SyncFailed("as the script says".into())),
            None => Ok(Committed {
                outcomes: batch.iter().map(|_| Ok(Outcome::Recorded(()))).collect(),
                ..Committed::default()
            }),
        }
    }

    fn tidy(&mut self) {}
}

impl Script {
    fn with(acts: &[Act]) -> Self {
        let script = Self::default();
        script.acts.lock().extend(acts);
        script
    }

    fn start(&self, capacity: usize) -> (WriterHandle, WriterLoop) {
        let script = self.clone();
        let open = move || {
            script.opens.fetch_add(1, Ordering::SeqCst);
            let writer: Box<dyn BatchWriter> = Box::new(script.clone());
            Ok(writer)
        };
        writer(capacity, std::time::Duration::from_secs(1), Metrics::new().unwrap(), Box::new(open))
    }
}

type Answers = Arc<Mutex<Vec<Result<(), WriteError>>>>;

fn send(handle: &WriterHandle, answers: &Answers) -> Result<(), WriteError> {
    let answers = Arc::clone(answers);
    let event = RecordSystemEvent { kind: EventKind::SystemStarted, data: "{}".into() };
    handle.send(event, move |answer| answers.lock().push(answer))
}

/// The same on behalf of somebody who may go; answers at which end that one waits.
fn send_for(handle: &WriterHandle, answers: &Answers) -> oneshot::Receiver<()> {
    let (asker, asked) = oneshot::channel();
    let answers = Arc::clone(answers);
    let event = RecordSystemEvent { kind: EventKind::SystemStarted, data: "{}".into() };
    handle.send_for(asker, event, move |_, answer| answers.lock().push(answer)).unwrap();
    asked
}

/// Runs the loop until its queue is drained.
fn drain(writer: &WriterLoop) {
    writer.run(&|| {}, &|| true).unwrap();
}

#[test]
fn everything_that_waits_is_one_batch_and_each_is_answered() {
    let script = Script::default();
    let (handle, writer) = script.start(10);
    let answers = Answers::default();
    for _ in 0..5 {
        send(&handle, &answers).unwrap();
    }
    assert_eq!(handle.depth(), 5);
    assert!(!writer.is_open());
    drain(&writer);
    assert_eq!((handle.depth(), &*script.batches.lock()), (0, &vec![5]));
    assert_eq!(answers.lock().iter().filter(|answer| answer.is_ok()).count(), 5);
}

#[test]
fn a_full_queue_refuses_at_once_and_keeps_what_it_has() {
    let script = Script::default();
    let (handle, writer) = script.start(2);
    let answers = Answers::default();
    send(&handle, &answers).unwrap();
    send(&handle, &answers).unwrap();
    assert!(matches!(send(&handle, &answers), Err(WriteError::Overloaded)));
    drain(&writer);
    assert_eq!(answers.lock().len(), 2, "the refused one is not called back");
    assert_eq!(&*script.batches.lock(), &[2]);
}

#[test]
fn a_batch_has_at_most_two_thousand_commands() {
    let script = Script::default();
    let (handle, writer) = script.start(8_192);
    let answers = Answers::default();
    for _ in 0..4_500 {
        send(&handle, &answers).unwrap();
    }
    drain(&writer);
    assert_eq!(&*script.batches.lock(), &[2_000, 2_000, 500]);
}

#[test]
fn a_batch_has_at_most_four_mebibytes_but_a_larger_command_goes_alone() {
    let script = Script::default();
    let (handle, writer) = script.start(100);
    let submit = |bytes: usize| {
        let mut asked = NewTask::titled("t", "q".parse().unwrap());
        asked.input = Some("x".repeat(bytes).into());
        let task = AcceptedTask {
            id: TaskId::from_raw(1),
            tenant: TenantId::DEFAULT,
            asked,
            created_by: String::new(),
            correlation_id: "".into(),
        };
        handle
            .send(SubmitTask { task, key: None, eager: None, lease_ttl_ms: 1, has_room: true }, |_| {})
            .unwrap();
    };
    for megabytes in [1, 2, 3, 5, 1] {
        submit(megabytes << 20);
    }
    drain(&writer);
    assert_eq!(&*script.batches.lock(), &[2, 1, 1, 1]);
}

#[test]
fn a_panic_answers_its_batch_and_the_queue_outlives_it() {
    let script = Script::with(&[Act::Panic]);
    let (handle, writer) = script.start(10);
    let (first, second) = (Answers::default(), Answers::default());
    send(&handle, &first).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drain(&writer))).is_err());
    assert!(matches!(&first.lock()[..], [Err(WriteError::Unavailable(why))] if why == "the writer died"));
    assert!(!writer.is_open());
    send(&handle, &second).unwrap();
    drain(&writer);
    assert!(matches!(&second.lock()[..], [Ok(())]));
    assert_eq!(script.opens.load(Ordering::SeqCst), 2, "the next run opens anew");
}

#[test]
fn a_panic_between_batches_loses_nothing_that_waits() {
    let script = Script::default();
    let (handle, writer) = script.start(10);
    let answers = Answers::default();
    send(&handle, &answers).unwrap();
    let died = catch_unwind(AssertUnwindSafe(|| writer.run(&|| panic!("a drill"), &|| true)));
    assert!(died.is_err());
    assert_eq!((handle.depth(), answers.lock().len()), (1, 0));
    drain(&writer);
    assert!(matches!(&answers.lock()[..], [Ok(())]));
}

/// A batch meets this act, another one comes in the same run and is applied; the first is told why, and the database was
/// opened so often.
#[track_caller]
fn expect_unavailable(act: Act, reason: &str, opens: usize) {
    let script = Script::with(&[act]);
    let (handle, writer) = script.start(10);
    let (answers, after) = (Answers::default(), Answers::default());
    send(&handle, &answers).unwrap();
    let is_sent = AtomicBool::new(false);
    let is_stopping = || {
        if !is_sent.swap(true, Ordering::SeqCst) {
            send(&handle, &after).unwrap();
        }
        true
    };
    writer.run(&|| {}, &is_stopping).unwrap();
    assert!(matches!(&answers.lock()[..], [Err(WriteError::Unavailable(why))] if why == reason));
    assert!(matches!(&after.lock()[..], [Ok(())]));
    assert_eq!(script.opens.load(Ordering::SeqCst), opens);
}

#[test]
fn a_database_out_of_reach_answers_so_and_is_opened_anew_in_the_same_run() {
    expect_unavailable(Act::Fail, "disk full", 2);
}

#[test]
fn a_batch_that_others_were_in_the_way_of_is_answered_so_and_the_connection_stays() {
    expect_unavailable(Act::BeBusy, "others", 1);
}

#[test]
fn a_database_that_cannot_be_opened_ends_the_run_and_what_waits_keeps_waiting() {
    let is_broken = Arc::new(AtomicBool::new(true));
    let (flag, script) = (Arc::clone(&is_broken), Script::default());
    let open = move || {
        if flag.load(Ordering::SeqCst) {
            return Err(OpenError::Database("gone".into()));
        }
        let writer: Box<dyn BatchWriter> = Box::new(script.clone());
        Ok(writer)
    };
    let (handle, writer) =
        writer(10, std::time::Duration::from_secs(1), Metrics::new().unwrap(), Box::new(open));
    let answers = Answers::default();
    send(&handle, &answers).unwrap();
    assert!(writer.run(&|| {}, &|| true).is_err());
    assert_eq!((handle.depth(), writer.is_open()), (1, false));
    is_broken.store(false, Ordering::SeqCst);
    drain(&writer);
    assert!(matches!(&answers.lock()[..], [Ok(())]));
}

#[test]
fn a_database_that_went_away_is_opened_again_within_the_run_until_it_is_back() {
    let script = Script::with(&[Act::Fail]);
    let (opens, inner) = (Arc::clone(&script.opens), script.clone());
    let open = move || {
        // There, gone for three tries, there again.
        if (1..4).contains(&opens.fetch_add(1, Ordering::SeqCst)) {
            return Err(OpenError::Database("gone".into()));
        }
        let writer: Box<dyn BatchWriter> = Box::new(inner.clone());
        Ok(writer)
    };
    let (handle, writer) =
        writer(10, std::time::Duration::from_secs(1), Metrics::new().unwrap(), Box::new(open));
    let (answers, reopened) = (Answers::default(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&reopened);
    writer.on_reopen(Box::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    send(&handle, &answers).unwrap();
    let is_back = || script.opens.load(Ordering::SeqCst) > 4;
    writer.run(&|| {}, &is_back).unwrap();
    assert_eq!(script.opens.load(Ordering::SeqCst), 5);
    assert_eq!(
        reopened.load(Ordering::SeqCst),
        1,
        "whoever listens hears of it once it is back, and not of the first time"
    );
    assert!(matches!(&answers.lock()[..], [Err(WriteError::Unavailable(_))]));
}

#[test]
fn what_nobody_waits_for_any_more_is_not_begun_and_the_others_are() {
    let script = Script::default();
    let (handle, writer) = script.start(10);
    let (gone, waits, always) = (Answers::default(), Answers::default(), Answers::default());
    drop(send_for(&handle, &gone));
    let waiting = send_for(&handle, &waits);
    drop(send_for(&handle, &gone));
    send(&handle, &always).unwrap();
    drain(&writer);
    drop(waiting);
    assert_eq!((&*script.batches.lock(), handle.depth()), (&vec![2], 0));
    assert!(matches!((&waits.lock()[..], &always.lock()[..]), ([Ok(())], [Ok(())])));
    let gone = gone.lock();
    assert!(matches!(&gone[..], [Err(WriteError::NotBegun(_)), Err(WriteError::NotBegun(_))]), "{gone:?}");
}

#[test]
fn while_the_database_is_away_whoever_asks_is_told_so_and_the_rest_waits_for_it() {
    let script = Script::with(&[Act::Fail]);
    let (opens, inner) = (Arc::clone(&script.opens), script.clone());
    let (handle, answers) = (Arc::new(Mutex::new(None::<WriterHandle>)), Answers::default());
    let (asks, asked) = (Arc::clone(&handle), Answers::default());
    let (wants, rest, waiting) = (Arc::clone(&asked), Arc::clone(&answers), Mutex::new(Vec::new()));
    let open = move || {
        let (opened, handle) = (opens.fetch_add(1, Ordering::SeqCst), asks.lock().clone().unwrap());
        if opened == 1 {
            // It is away; somebody comes while it is looked for.
            waiting.lock().push(send_for(&handle, &wants));
            send(&handle, &rest).unwrap();
            return Err(OpenError::Database("gone".into()));
        }
        assert_eq!(wants.lock().len(), opened / 2, "told before it is looked for again");
        let writer: Box<dyn BatchWriter> = Box::new(inner.clone());
        Ok(writer)
    };
    let (sends, writer) =
        writer(10, std::time::Duration::from_secs(1), Metrics::new().unwrap(), Box::new(open));
    *handle.lock() = Some(sends.clone());
    let first = Answers::default();
    send(&sends, &first).unwrap();
    let is_back = || script.opens.load(Ordering::SeqCst) > 2;
    writer.run(&|| {}, &is_back).unwrap();
    let asked = asked.lock();
    assert!(matches!(&asked[..], [Err(WriteError::NotBegun(why))] if why.contains("gone")), "{asked:?}");
    assert!(matches!(&answers.lock()[..], [Ok(())]), "it is back");
    assert_eq!(&*script.batches.lock(), &[1, 1]);
}

#[test]
fn that_the_database_was_opened_again_is_told_within_a_run_and_by_the_next_one() {
    let script = Script::with(&[Act::Fail, Act::Panic]);
    let (handle, writer) = script.start(10);
    let told = Arc::new(AtomicUsize::new(0));
    let (count, batches) = (Arc::clone(&told), Arc::clone(&script.batches));
    writer.on_reopen(Box::new(move || {
        assert_eq!(count.fetch_add(1, Ordering::SeqCst) + 1, batches.lock().len(), "before the next batch");
    }));
    let answers = Answers::default();
    send(&handle, &answers).unwrap();
    assert_eq!(told.load(Ordering::SeqCst), 0);
    let sends = || {
        if handle.depth() == 0 && told.load(Ordering::SeqCst) == 1 {
            send(&handle, &answers).unwrap();
        }
        told.load(Ordering::SeqCst) == 0
    };
    assert!(catch_unwind(AssertUnwindSafe(|| writer.run(&|| {}, &sends))).is_err(), "as the script says");
    assert_eq!(told.load(Ordering::SeqCst), 1, "within the run");
    drain(&writer);
    assert_eq!(told.load(Ordering::SeqCst), 2, "by the next run");
}

#[test]
fn a_stopped_writer_refuses_until_it_runs_again() {
    let script = Script::default();
    let (handle, writer) = script.start(10);
    drain(&writer);
    let answers = Answers::default();
    assert!(matches!(send(&handle, &answers), Err(WriteError::NotBegun(_))));
    assert!(answers.lock().is_empty());
}

#[test]
fn a_receiver_that_panics_does_not_take_the_writer_down() {
    let script = Script::default();
    let (handle, writer) = script.start(10);
    let answers = Answers::default();
    let event = RecordSystemEvent { kind: EventKind::SystemStarted, data: "{}".into() };
    handle.send(event, |_| panic!("a receiver's own fault")).unwrap();
    send(&handle, &answers).unwrap();
    drain(&writer);
    assert!(matches!(&answers.lock()[..], [Ok(())]));
}

/// Set in the process that is to end.
const VICTIM: &str = "HIVE_STORE_TEST_VICTIM";

#[test]
fn a_sync_that_fails_ends_the_process() {
    if std::env::var_os(VICTIM).is_some() {
        let (handle, writer) = Script::with(&[Act::LoseSync]).start(10);
        send(&handle, &Answers::default()).unwrap();
        drain(&writer);
        return;
    }
    let name = "conformance::looping::a_sync_that_fails_ends_the_process";
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(VICTIM, "1")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!(signal, Some(6), "it aborts: {status}");
}

#[test]
fn many_senders_share_commits_and_every_reply_comes_after_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&OpenOptions::new(folder.path())).unwrap();
    let (told, is_stopping) = (Arc::new(Mutex::new(Vec::new())), AtomicBool::new(false));
    let sink = Arc::clone(&told);
    store.writer_loop.on_commit(Box::new(move |notice| {
        sink.lock().extend(notice.events.iter().map(|event| event.seq));
    }));
    let (tasks_of_each, senders) = (100_i64, 4_i64);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| store.writer_loop.run(&|| {}, &|| is_stopping.load(Ordering::SeqCst)));
        let workers: Vec<_> = (0..senders)
            .map(|sender| {
                let store = &store;
                scope.spawn(move || send_and_read(store, sender * tasks_of_each, tasks_of_each))
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        is_stopping.store(true, Ordering::SeqCst);
        running.join().unwrap().unwrap();
    });
    let all: Vec<i64> = (1..=senders * tasks_of_each).collect();
    assert_eq!(*told.lock(), all, "told of in order, each once");
    let batches = store.metrics.writer_batches.with_label_values(&["committed"]).get();
    assert!(batches < 400, "{batches} commits for 400 commands");
    let applied = store.metrics.writer_commands.with_label_values(&["submit_task", "applied"]).get();
    assert_eq!(applied, 400);
}

fn send_and_read(store: &crate::open::Store, first: i64, count: i64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for id in first + 1..=first + count {
        let task = AcceptedTask {
            id: TaskId::from_raw(id),
            tenant: TenantId::DEFAULT,
            asked: NewTask::titled("t", "q".parse().unwrap()),
            created_by: String::new(),
            correlation_id: "".into(),
        };
        let submit = SubmitTask { task, key: None, eager: None, lease_ttl_ms: 1, has_room: true };
        let answer = runtime.block_on(store.writer.apply(submit)).unwrap();
        assert!(matches!(answer, Submitted::Accepted { .. }));
        let found = runtime.block_on(store.readers.task(TenantId::DEFAULT, TaskId::from_raw(id)));
        assert!(found.unwrap().is_some(), "an acknowledged task is there");
    }
}

#[test]
fn the_loop_says_whether_it_is_open_and_stops_soon() {
    let (handle, writer) = Script::default().start(10);
    let is_stopping = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| writer.run(&|| {}, &|| is_stopping.load(Ordering::SeqCst)));
        let began = Instant::now();
        while !writer.is_open() {
            assert!(began.elapsed() < Duration::from_secs(5));
            std::thread::yield_now();
        }
        is_stopping.store(true, Ordering::SeqCst);
        running.join().unwrap().unwrap();
        assert!(began.elapsed() < Duration::from_secs(5));
    });
    assert!(!writer.is_open());
    drop(handle);
}
