//! What becomes of a batch on a PostgreSQL server that is slow, or says nothing any more.

use std::time::{Duration, Instant};

use super::postgres_trouble::{Pg, event, kinds, patch};
use crate::command::Command;
use crate::error::WriteError;
use crate::port::{BatchError, BatchWriter};
use crate::postgres::connection::{Address, PgConn};
use crate::timeouts::Timeouts;

#[test]
fn what_a_writer_waits_for_others_is_a_setting() {
    let mut world = Pg::new();
    let task = world.submit("t").id;
    let mut other = world.rig.schema.connection();
    other.batch_execute(&format!("BEGIN; SELECT FROM tasks WHERE id = {} FOR UPDATE", task.raw())).unwrap();
    let lock = Timeouts { lock: Duration::from_millis(20), ..Timeouts::default() };
    let mut writer = world.rig.another_writer(Address::new(world.rig.schema.url(), lock));
    let refused = writer.apply(&[patch(task, 7)]);
    let Err(BatchError::Busy(why)) = refused else { panic!("{refused:?}") };
    assert_eq!(why, "canceling statement due to lock timeout");
    let statement = Timeouts { statement: Duration::from_millis(500), ..Timeouts::default() };
    let mut writer = world.rig.another_writer(Address::new(world.rig.schema.url(), statement));
    let outcomes = writer.apply(&[patch(task, 7)]).unwrap().outcomes;
    let [Err(WriteError::Unavailable(why))] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(why, TOO_SLOW);
    other.batch_execute("ROLLBACK").unwrap();
}

/// What the server says of a statement that took longer than it may.
const TOO_SLOW: &str = "canceling statement due to statement timeout";

#[test]
fn a_command_that_takes_too_long_is_answered_so_alone_once_and_two_of_them_are_the_servers_fault() {
    let mut world = Pg::new();
    world.rig.schema.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN IF NEW.title = 'slow' THEN PERFORM pg_sleep(600); END IF; RETURN NEW; END $$;
         CREATE TRIGGER slow BEFORE INSERT ON task_specs FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let timeouts = Timeouts { statement: Duration::from_secs(1), ..Timeouts::default() };
    let mut writer = world.rig.another_writer(Address::new(world.rig.schema.url(), timeouts));
    let process = writer.server_process();
    let submits = |world: &mut Pg, titles: [&str; 3]| {
        titles.map(|title| Command::from(world.submit_command(title, |_| {})))
    };
    let batch = submits(&mut world, ["one", "slow", "two"]);
    let outcomes = writer.apply(&batch).unwrap().outcomes;
    let [Ok(_), Err(WriteError::Unavailable(why)), Ok(_)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!((why.as_str(), writer.replays(), writer.tries()), (TOO_SLOW, 1, 0));
    let batch = submits(&mut world, ["slow", "three", "slow"]);
    let refused = writer.apply(&batch);
    let Err(BatchError::Busy(why)) = refused else { panic!("{refused:?}") };
    assert_eq!((why.as_str(), kinds(&world).len()), (TOO_SLOW, 2), "nothing of it is there");
    assert_eq!(writer.server_process(), process, "on the same connection");
}

#[test]
fn a_statement_of_a_reader_that_takes_too_long_is_ended_and_its_connection_works_on() {
    let world = Pg::new();
    let timeouts = Timeouts { statement: Duration::from_millis(20), ..Timeouts::default() };
    let mut conn = PgConn::reader(Address::new(world.rig.schema.url(), timeouts)).unwrap();
    let refused = conn.batch_execute("SELECT pg_sleep(60)").unwrap_err();
    assert_eq!(refused.to_string(), "canceling statement due to statement timeout");
    conn.batch_execute("SELECT 1").unwrap();
}

#[test]
fn a_server_that_takes_connections_and_says_nothing_is_given_up_after_the_time_to_connect() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgresql://hive@{}/hive", listener.local_addr().unwrap());
    let timeouts = Timeouts { connect: Duration::from_millis(100), ..Timeouts::default() };
    let Err(refused) = PgConn::reader(Address::new(&url, timeouts)) else { panic!("it is no server") };
    assert!(refused.to_string().contains("does not answer within 100 ms"), "{refused}");
}

/// A process that stands still as long as this lives.
struct StandsStill(String);

impl StandsStill {
    fn process(pid: i32) -> Self {
        signal("-STOP", &pid.to_string());
        Self(pid.to_string())
    }
}

impl Drop for StandsStill {
    fn drop(&mut self) {
        signal("-CONT", &self.0);
    }
}

fn signal(word: &str, pid: &str) {
    assert!(std::process::Command::new("kill").args([word, pid]).status().unwrap().success());
}

#[test]
fn a_server_that_stands_still_is_given_up_after_the_time_of_a_statement_and_a_connect_and_not_asked_again() {
    let world = Pg::new();
    let second = Duration::from_secs(1);
    let timeouts = Timeouts { statement: second, connect: second, ..Timeouts::default() };
    let mut writer = world.rig.another_writer(Address::new(world.rig.schema.url(), timeouts));
    let still = StandsStill::process(writer.server_process());
    let began = Instant::now();
    let silent = |applied| match applied {
        Err(BatchError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(silent(writer.apply(&[event()])), "the server has not answered for 2000 ms");
    let waited = began.elapsed();
    assert!(waited >= 2 * second && waited < 20 * second, "{waited:?}");
    drop(still);
    // Its answer may come now; nothing may be taken for the answer to another question.
    assert_ne!(silent(writer.apply(&[event()])), "the server has not answered for 2000 ms");
    assert_eq!(kinds(&world), []);
}
