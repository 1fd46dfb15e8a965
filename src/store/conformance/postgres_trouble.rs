//! What goes wrong between a writer and its PostgreSQL server, and what becomes of a batch then.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::sql_types::BigInt;
use domain::{EventKind, Secret, TaskState};

use super::Rig;
use super::postgres_rig::PostgresRig;
use super::world::{ME, World, success};
use crate::command::{CancelTask, Chore, Command, PatchTask, RecordSystemEvent};
use crate::error::{OpenError, WriteError};
use crate::open::{OpenOptions, open};
use crate::port::{BatchError, BatchWriter, Committed};
use crate::postgres::connection::Address;
use crate::sql::statement::statement;
use crate::timeouts::Timeouts;

pub(super) type Pg = World<PostgresRig>;

/// Who a writer is to the server.
const WRITER: &str = "hive writer";

pub(super) fn patch(task: domain::TaskId, priority: u8) -> Command {
    PatchTask { tenant: ME, task, priority: Some(priority), labels: None, correlation_id: "r".into() }.into()
}

pub(super) fn event() -> Command {
    RecordSystemEvent { kind: EventKind::SystemStarted, data: "{}".into() }.into()
}

/// Waits until a statement of this schema's writer waits for a lock, and answers the writer's process.
fn waiting_writer(world: &Pg) -> i64 {
    let mut looks_on = world.rig.schema.connection();
    let began = Instant::now();
    loop {
        let schema = world.rig.schema.name();
        let found = looks_on.load::<(i64,), _>(WaitingWriter { name: WRITER, schema }).unwrap();
        if let Some((pid,)) = found.first() {
            return *pid;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "the writer does not wait for a lock");
        std::thread::yield_now();
    }
}

/// Applies a batch on a thread of its own while `meanwhile` runs.
fn applied_while(
    world: &mut Pg,
    batch: &[Command],
    meanwhile: impl FnOnce(&Pg),
) -> Result<Committed, BatchError> {
    let mut writer = world.rig.another_writer(world.rig.schema.url());
    std::thread::scope(|scope| {
        let applied = scope.spawn(move || {
            let applied = writer.apply(batch);
            assert_eq!(writer.replays(), 0, "nobody's command is to blame");
            applied
        });
        meanwhile(world);
        applied.join().unwrap()
    })
}

/// What a batch that was not applied says of it.
fn refusal(applied: Result<Committed, BatchError>) -> String {
    match applied {
        Err(BatchError::Unavailable(why) | BatchError::Busy(why)) => why,
        other => panic!("{other:?}"),
    }
}

pub(super) fn kinds(world: &Pg) -> Vec<(i64, EventKind)> {
    let events = world.ask(|readers| readers.events_raw(0, 1_000));
    events.into_iter().map(|event| (event.seq, event.kind)).collect()
}

#[test]
fn when_another_node_has_written_to_the_log_meanwhile_the_batch_goes_on_behind_it() {
    let mut world = Pg::new();
    let task = world.submit("t").id;
    let mut other = world.rig.schema.connection();
    other
        .batch_execute(
            "BEGIN; UPDATE log_head SET seq = 2 WHERE id = 1; INSERT INTO events (seq, at, tenant_id, kind, \
             correlation_id, data) VALUES (2, 5, 1, 'system.actor_restarted', 'other', '{}')",
        )
        .unwrap();
    let applied = applied_while(&mut world, &[patch(task, 7)], |world| {
        waiting_writer(world);
        other.batch_execute("COMMIT").unwrap();
    });
    let seqs: Vec<_> = applied.unwrap().events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [3]);
    let (first, second) = (EventKind::TaskSubmitted, EventKind::SystemActorRestarted);
    assert_eq!(kinds(&world), [(1, first), (2, second), (3, EventKind::TaskUpdated)]);
    let events = world.ask(|readers| readers.events(ME, 0, 9, Some(task)));
    assert_eq!(events.iter().map(|record| record.event.seq).collect::<Vec<_>>(), [1, 3], "the link holds");
}

#[test]
fn a_deadlock_is_tried_again() {
    let mut world = Pg::new();
    let (first, second) = (world.submit("first").id, world.submit("second").id);
    let mut other = world.rig.schema.connection();
    let lock = |task: domain::TaskId| format!("SELECT FROM tasks WHERE id = {} FOR UPDATE", task.raw());
    other.batch_execute(&format!("BEGIN; {}", lock(second))).unwrap();
    let applied = applied_while(&mut world, &[patch(first, 7), patch(second, 8)], |world| {
        waiting_writer(world);
        // It has the first and waits for the second: one of the two has to give way, and this one says it may wait long.
        other.batch_execute(&format!("SET deadlock_timeout = '60s'; {}; COMMIT", lock(first))).unwrap();
    });
    assert_eq!(applied.unwrap().events.len(), 2);
    assert_eq!((world.task(first).priority, world.task(second).priority), (7, 8));
}

#[test]
fn a_row_that_somebody_never_lets_go_makes_the_batch_unavailable_and_nothing_of_it_is_there() {
    let mut world = Pg::new();
    let (first, second) = (world.submit("first").id, world.submit("second").id);
    let before = world.ask(|readers| readers.census());
    let mut other = world.rig.schema.connection();
    other.batch_execute(&format!("BEGIN; SELECT FROM tasks WHERE id = {} FOR UPDATE", second.raw())).unwrap();
    let mut writer = world.rig.another_writer(world.rig.schema.url());
    writer.execute("SET lock_timeout = '10ms'");
    let why = refusal(writer.apply(&[patch(first, 7), patch(second, 8)]));
    assert!(why.starts_with("canceling statement due to lock timeout"), "{why}");
    assert_eq!(world.ask(|readers| readers.census()), before);
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(writer.apply(&[patch(first, 7), patch(second, 8)]).unwrap().events.len(), 2);
}

#[test]
fn a_serialization_failure_is_tried_again() {
    let mut world = Pg::new();
    let task = world.submit("t").id;
    let mut other = world.rig.schema.connection();
    other
        .batch_execute(&format!("BEGIN; UPDATE tasks SET attempts_max = 8 WHERE id = {}", task.raw()))
        .unwrap();
    let mut writer = world.rig.another_writer(world.rig.schema.url());
    // So that the server says 40001 where it would else go on with the row as it has become.
    writer.execute("SET default_transaction_isolation = 'repeatable read'");
    let applied = std::thread::scope(|scope| {
        let applied = scope.spawn(move || {
            let applied = writer.apply(&[patch(task, 7)]);
            (applied, writer.tries(), writer.replays())
        });
        waiting_writer(&world);
        other.batch_execute("COMMIT").unwrap();
        applied.join().unwrap()
    });
    let (applied, tries, replays) = applied;
    assert_eq!(
        (applied.unwrap().events.len(), tries, replays),
        (1, 1, 0),
        "tried again once, and nobody is to blame"
    );
    let record = world.task(task);
    assert_eq!((record.priority, record.status.attempts_max), (7, 8), "on top of what the other wrote");
}

#[test]
fn a_batch_whose_rows_are_foreseen_takes_two_round_trips() {
    let mut world = Pg::new();
    let task = world.submit("t").id;
    let count = |world: &Pg| {
        let seconds = &world.rig.metrics().writer_statement_seconds;
        ["begin", "commit", "settle", "read", "write"]
            .map(|kind| seconds.with_label_values(&[kind]).get_sample_count())
    };
    let before = count(&world);
    let commands: Vec<Command> = vec![
        patch(task, 7),
        world.submit_command("u", |_| {}).into(),
        world.submit_command("v", |_| {}).into(),
    ];
    world.batch(&commands);
    let after = count(&world);
    let taken: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(taken, [1, 1, 0, 0, 0]);
}

#[test]
fn many_tasks_leave_with_as_many_statements_as_one() {
    let mut world = Pg::new();
    let mut retire = |count: usize| {
        for _ in 0..count {
            let agent = world.next_id().to_string();
            let task = world.working(&format!("a{agent}")).task;
            world.finish(task, 1, success());
        }
        world.wait_ms(10);
        let seconds = world.rig.metrics().writer_statement_seconds.clone();
        let before = seconds.with_label_values(&["write"]).get_sample_count();
        let chore = Chore::RetireTasks(world.now());
        assert_eq!(world.sweep(chore).count, u32::try_from(count).unwrap());
        seconds.with_label_values(&["write"]).get_sample_count() - before
    };
    assert_eq!(retire(1), retire(40));
    assert_eq!(world.rig.orphan_count(), 0);
}

#[test]
fn a_connection_that_is_cut_between_batches_is_noticed_and_a_new_one_works() {
    let mut world = Pg::new();
    world.submit("before");
    let pid = world.rig.writer().server_process();
    world.rig.schema.execute(&format!("SELECT pg_terminate_backend({pid})"));
    let command: Command = world.submit_command("after", |_| {}).into();
    let applied = world.rig.writer().apply(std::slice::from_ref(&command));
    refusal(applied);
    assert_eq!(kinds(&world).len(), 1);
    world.rig.reopen();
    assert!(world.batch(&[command]).outcomes[0].is_ok());
}

#[test]
fn readers_whose_connections_were_cut_answer_on_new_ones() {
    let mut world = Pg::new();
    let id = world.submit("t").id;
    let folder = tempfile::tempdir().unwrap();
    let name = format!("reader of {}", world.rig.schema.name());
    let url = format!("{}&application_name={}", world.rig.schema.url(), name.replace(' ', "%20"));
    let options =
        OpenOptions { database_url: Some(Secret::new(url)), node: 1, ..OpenOptions::new(folder.path()) };
    let readers = open(&options).unwrap().readers;
    assert!(world.runtime().block_on(readers.task(ME, id)).unwrap().is_some());
    let cut =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'");
    world.rig.schema.execute(&cut);
    assert!(world.runtime().block_on(readers.task(ME, id)).unwrap().is_some());
}

#[test]
fn a_connection_that_is_cut_under_a_batch_leaves_nothing_of_it() {
    let mut world = Pg::new();
    let task = world.submit("t").id;
    let mut other = world.rig.schema.connection();
    other.batch_execute("BEGIN; UPDATE log_head SET seq = seq WHERE id = 1").unwrap();
    let commands = [patch(task, 7), world.submit_command("new", |_| {}).into()];
    let applied = applied_while(&mut world, &commands, |world| {
        // Everything is sent, COMMIT too, and waits for its turn at the log.
        let pid = waiting_writer(world);
        world.rig.schema.execute(&format!("SELECT pg_terminate_backend({pid})"));
    });
    let why = refusal(applied);
    assert!(why.starts_with("terminating connection"), "{why}");
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!((kinds(&world).len(), world.task(task).priority), (1, 5));
    assert_eq!(world.batch(&commands).events.len(), 2, "sent again, it is applied");
}

#[test]
fn a_commit_whose_answer_is_lost_is_told_as_unknown_and_sent_again_changes_nothing() {
    let mut world = Pg::new();
    let task = world.submit("t").id;
    let folder = tempfile::tempdir().unwrap();
    let (url, cut) = cut_after_commit(&world, folder.path());
    let mut writer = world.rig.another_writer(url.as_str());
    let commands: Vec<Command> = vec![
        CancelTask { tenant: ME, task, force: false, grace_ms: 0, correlation_id: "r".into() }.into(),
        world.submit_command("new", |_| {}).into(),
    ];
    std::fs::write(&cut, "").unwrap();
    refusal(writer.apply(&commands));
    assert_eq!(world.state(task), TaskState::Canceled, "it was committed all the same");
    let events = kinds(&world);
    assert_eq!(events.len(), 3);
    let again = world.rig.writer().apply(&commands).unwrap();
    assert!(again.outcomes.iter().all(Result::is_ok));
    assert_eq!((again.events.len(), kinds(&world)), (0, events));
}

/// A way to the world's server that is cut once a commit was applied and before its answer comes back, as soon as a file
/// of the name that is answered, too, is there.
fn cut_after_commit(world: &Pg, folder: &Path) -> (String, PathBuf) {
    let url = world.rig.schema.url();
    let (_, rest) = url.split_once('@').unwrap();
    let (host, rest) = rest.split_once('/').unwrap();
    let server = format!("{}/.s.PGSQL.5432", host.replace("%2F", "/"));
    let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap();
    let cut = folder.join("cut");
    let flag = cut.clone();
    let accepting = std::thread::Builder::new().spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            let Ok(server) = UnixStream::connect(&server) else { return };
            forward(client.try_clone().unwrap(), server.try_clone().unwrap(), |_| false);
            let flag = flag.clone();
            // An answer that says "committed".
            forward(server, client, move |bytes| {
                flag.exists() && bytes.windows(7).any(|window| window == b"COMMIT\0")
            });
        }
    });
    drop(accepting.unwrap());
    (format!("postgresql://hive@{}/{rest}", folder.to_string_lossy().replace('/', "%2F")), cut)
}

fn forward(mut from: UnixStream, mut to: UnixStream, is_cut: impl Fn(&[u8]) -> bool + Send + 'static) {
    let forwarding = std::thread::Builder::new().spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if is_cut(&bytes[..count]) || to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(std::net::Shutdown::Both);
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    drop(forwarding.unwrap());
}

#[test]
fn rows_that_cannot_be_understood_refuse_the_commands_that_need_them_and_no_others() {
    let mut world = Pg::new();
    let ids = [world.submit("a").id, world.submit("b").id, world.submit("c").id];
    let [row, spec, fine] = ids;
    world.rig.schema.execute(&format!(
        "UPDATE task_specs SET labels = 'no JSON' WHERE task_id = {}; ALTER TABLE tasks DROP CONSTRAINT \
         tasks_priority_check; UPDATE tasks SET priority = -1 WHERE id = {}",
        spec.raw(),
        row.raw()
    ));
    let outcomes = world.batch(&ids.map(|id| patch(id, 7))).outcomes;
    for (outcome, what) in outcomes.iter().zip([row, spec]) {
        let Err(WriteError::Refused(why)) = outcome else { panic!("{outcome:?}") };
        assert!(why.starts_with(&format!("a stored {what} cannot be understood")), "{why}");
    }
    assert!(outcomes[2].is_ok());
    assert_eq!(world.task(fine).priority, 7);
}

#[test]
fn a_hive_whose_number_was_taken_writes_nothing_any_more() {
    let mut world = Pg::new();
    let task = world.submit("t").id;
    let mut zombie = world.rig.another_writer(world.rig.schema.url());
    assert_eq!(zombie.apply(&[patch(task, 6)]).unwrap().events.len(), 1);
    world.rig.reopen();
    let before = kinds(&world);
    let why = refusal(zombie.apply(&[patch(task, 7), event()]));
    assert_eq!(why, "another hive has taken node number 0: end one of the two");
    assert_eq!((kinds(&world), world.task(task).priority), (before, 6), "its batch is refused whole");
    world.rig.writer().apply(&[patch(task, 8)]).unwrap();
}

#[test]
fn a_writer_opens_for_its_own_incarnation_alone_and_once_nothing_of_that_is_under_way() {
    let mut world = Pg::new();
    let (mine, url) = (world.rig.incarnation(), world.rig.schema.url().to_owned());
    let hurried = Timeouts { lock: Duration::from_millis(10), ..Timeouts::default() };
    let mut still = world.rig.another_writer(url.as_str());
    still.stand_still(&[event()]);
    let Err(refused) = world.rig.writer_of(mine, Address::new(&url, hurried)) else {
        panic!("it was opened")
    };
    assert_eq!(refused.to_string(), "cannot open the database: canceling statement due to lock timeout");
    drop(still);
    assert!(world.rig.writer_of(mine, url.as_str()).is_ok());
    world.rig.reopen();
    let refused = world.rig.writer_of(mine, url.as_str());
    assert!(matches!(refused, Err(OpenError::NodeInUse(0))), "another one has begun");
}

#[test]
fn a_second_hive_needs_another_number() {
    let world = Pg::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let second = OpenOptions { data_dir: elsewhere.path().to_owned(), ..world.rig.options() };
    let Err(refused) = open(&second) else { panic!("two hives have one number") };
    assert!(matches!(refused, OpenError::NodeInUse(0)), "{refused}");
    let other_number = OpenOptions { node: 1, ..second.clone() };
    let store = open(&other_number).unwrap();
    assert!(!store.is_new);
    drop(store);
    drop(world.rig.close());
    assert!(open(&second).is_ok(), "a number is free once its hive has gone");
}

#[test]
fn a_hive_that_waits_for_the_one_before_begins_where_that_one_ended() {
    let mut world = Pg::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let second = OpenOptions { data_dir: elsewhere.path().to_owned(), ..world.rig.options() };
    let mut looks_on = world.rig.schema.connection();
    let schema = world.rig.schema.name().to_owned();
    let (store, last) = std::thread::scope(|scope| {
        let opened = scope.spawn(|| open(&second));
        let began = Instant::now();
        while looks_on.load::<(i64,), _>(WaitsForNumber { schema: &schema }).unwrap().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(20), "nobody waits for the number");
            std::thread::yield_now();
        }
        let last = world.submit("the last one").id;
        drop(world.rig.close());
        (opened.join().unwrap().unwrap(), last)
    });
    assert_eq!(store.highest_id, last.raw());
}

#[test]
fn a_node_that_stands_still_in_a_transaction_holds_the_others_up_for_no_longer_than_five_seconds() {
    let mut world = Pg::new();
    let task = world.submit("t").id;
    let mut still = world.rig.another_writer(world.rig.schema.url());
    still.stand_still(&[patch(task, 6)]);
    let began = Instant::now();
    let applied = world.rig.writer().apply(&[patch(task, 7)]).unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!((applied.events.len(), world.task(task).priority), (1, 7));
    refusal(still.apply(&[event()]));
}

#[test]
fn the_clock_of_a_store_is_the_servers() {
    let folder = tempfile::tempdir().unwrap();
    let world = Pg::new();
    let options = OpenOptions { data_dir: folder.path().to_owned(), node: 7, ..world.rig.options() };
    let store = open(&options).unwrap();
    let mut conn = world.rig.schema.connection();
    let (before,): (i64,) = conn.get_result(ServerClock {}).unwrap();
    let now = store.clock.now().as_micros();
    let (after,): (i64,) = conn.get_result(ServerClock {}).unwrap();
    let second = 1_000_000;
    assert!(before - second <= now && now <= after + second, "{before} {now} {after}");
}

#[test]
fn a_server_that_is_not_there_or_a_url_that_is_none_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    for (url, word) in [
        ("postgresql://hive@%2Fnowhere/postgres", "No such file"),
        ("postgresql://hive@127.0.0.1:1/postgres?connect_timeout=3", "refused"),
        ("no url at all", "invalid"),
    ] {
        let options = OpenOptions { database_url: Some(Secret::new(url)), ..OpenOptions::new(folder.path()) };
        let Err(error) = open(&options) else { panic!("{url}") };
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn a_database_of_a_newer_hive_is_refused_and_left_alone() {
    let mut world = Pg::new();
    world.submit("t");
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions { data_dir: folder.path().to_owned(), ..world.rig.options() };
    drop(world.rig.close());
    let schema = super::postgres_rig::Schema::new();
    let options = OpenOptions { database_url: Some(Secret::new(schema.url())), ..options };
    drop(open(&options).unwrap());
    schema.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')");
    let Err(OpenError::Newer { found, .. }) = open(&options) else { panic!("it was opened") };
    assert_eq!(found, "99990101000000");
}

statement! {
    /// Writers of a schema that wait for a lock.
    WaitingWriter<'a> { name: &'a str, schema: &'a str } -> (BigInt,) =
    "SELECT a.pid::bigint FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid \
     JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE a.wait_event_type = 'Lock' AND a.application_name = "; name, " AND n.nspname = "; schema, " LIMIT 1"
}

statement! {
    /// Connections that wait for node number 0 of a schema.
    WaitsForNumber<'a> { schema: &'a str } -> (BigInt,) =
    "SELECT pid::bigint FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 0 \
     AND classid::bigint = hashtext('hive node ' || "; schema, ")::bigint & 4294967295"
}

statement! {
    /// What time it is for the server.
    ServerClock {} -> (BigInt,) = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
}
