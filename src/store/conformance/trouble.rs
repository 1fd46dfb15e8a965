//! What goes wrong below SQLite, and what becomes of a batch then.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use domain::{Link, ProcessLink, Secret};

use super::Rig;
use super::sqlite_rig::SqliteRig;
use super::world::{ME, World, process};
use crate::command::{AgentEdit, ChangeAgent, Command};
use crate::error::{ReadError, WriteError};
use crate::outcome::Registered;
use crate::port::{BatchError, BatchWriter};

fn large(world: &mut World<SqliteRig>) -> Command {
    let input = format!("\"{}\"", "x".repeat(100_000));
    world.submit_command("large", |task| task.input = Some(input.into())).into()
}

fn writer_does(world: &mut World<SqliteRig>, sql: &str) {
    world.rig.writer().connection().batch_execute(sql).unwrap();
}

#[test]
fn a_full_disk_loses_nothing_and_works_again_once_there_is_room() {
    let mut world = World::<SqliteRig>::new();
    let first = world.submit("first");
    let before = world.ask(|readers| readers.census());
    // The database may not grow: what SQLite then says is what it says of a full disk.
    writer_does(&mut world, "PRAGMA max_page_count = 1");
    let (small, large) = (world.submit_command("small", |_| {}).into(), large(&mut world));
    let refused = world.rig.writer().apply(&[small, large.clone()]);
    let Err(BatchError::Unavailable(why)) = refused else { panic!("{refused:?}") };
    assert_eq!(why, "database or disk is full");
    assert_eq!(world.ask(|readers| readers.census()), before, "the small one is not half there");
    assert_eq!(world.task(first.id), first);
    world.rig.reopen();
    let outcomes = world.batch(&[large]).outcomes;
    assert!(outcomes[0].is_ok());
    assert_eq!(world.ask(|readers| readers.events_raw(0, 9)), world.events);
}

#[test]
fn a_full_disk_needs_no_new_connection_to_work_again() {
    let mut world = World::<SqliteRig>::new();
    world.submit("first");
    writer_does(&mut world, "PRAGMA max_page_count = 1");
    let large = large(&mut world);
    assert!(matches!(
        world.rig.writer().apply(std::slice::from_ref(&large)),
        Err(BatchError::Unavailable(_))
    ));
    writer_does(&mut world, "PRAGMA max_page_count = 1000000");
    assert!(world.batch(&[large]).outcomes[0].is_ok());
    assert_eq!(world.ask(|readers| readers.events_raw(0, 9)), world.events);
}

#[test]
fn a_database_that_has_become_read_only_is_unavailable() {
    let mut world = World::<SqliteRig>::new();
    writer_does(&mut world, "PRAGMA query_only = ON");
    let command = world.submit_command("t", |_| {}).into();
    let refused = world.rig.writer().apply(&[command]);
    let Err(BatchError::Unavailable(why)) = refused else { panic!("{refused:?}") };
    assert_eq!(why, "attempt to write a readonly database");
    world.rig.reopen();
    world.submit("afterwards");
}

#[test]
fn a_batch_waits_for_another_program_that_holds_the_database() {
    let mut world = World::<SqliteRig>::new();
    let mut other = world.rig.connection();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            other.batch_execute("COMMIT").unwrap();
        });
        world.submit("waits");
    });
}

#[test]
fn a_batch_gives_up_when_another_program_never_lets_go() {
    let mut world = World::<SqliteRig>::new();
    writer_does(&mut world, "PRAGMA busy_timeout = 1");
    let mut other = world.rig.connection();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    let command: Command = world.submit_command("t", |_| {}).into();
    let refused = world.rig.writer().apply(std::slice::from_ref(&command));
    let Err(BatchError::Busy(why)) = refused else { panic!("{refused:?}") };
    assert_eq!(why, "database is locked");
    other.batch_execute("COMMIT").unwrap();
    assert!(world.batch(&[command]).outcomes[0].is_ok());
}

#[test]
fn a_log_that_grew_too_large_is_emptied_between_batches() {
    let mut world = World::<SqliteRig>::new();
    for _ in 0..20 {
        let large = large(&mut world);
        world.batch(&[large]);
    }
    let wal = world.rig.wal();
    let bytes = || std::fs::metadata(&wal).unwrap().len();
    assert!(bytes() > 2_000_000);
    world.rig.writer().tidy_above(u64::MAX);
    assert!(bytes() > 2_000_000, "below its limit it is left alone");
    world.rig.writer().tidy_above(1_000_000);
    assert_eq!(bytes(), 0);
    assert_eq!(world.ask(|readers| readers.events_raw(0, 99)).len(), 20);
}

#[test]
fn a_log_that_a_checkpoint_copied_all_but_the_end_of_is_written_over_once_no_reader_needs_it() {
    let mut world = World::<SqliteRig>::new();
    let (wal, checkpoints) = (world.rig.wal(), world.rig.checkpoint_loop());
    let bytes = || std::fs::metadata(&wal).unwrap().len();
    let write = |world: &mut World<SqliteRig>| {
        let large = large(world);
        assert!(world.batch(&[large]).outcomes[0].is_ok());
    };
    let grows = |world: &mut World<SqliteRig>| {
        let before = bytes();
        write(world);
        bytes() > before
    };
    while bytes() < 18_000_000 {
        write(&mut world);
    }
    let mut reader = world.rig.connection();
    for is_in_the_way in [true, false] {
        reader.batch_execute("BEGIN; SELECT * FROM hive;").unwrap();
        write(&mut world);
        checkpoints.tick();
        if !is_in_the_way {
            reader.batch_execute("COMMIT").unwrap();
        }
        world.rig.writer().tidy();
        assert_eq!(grows(&mut world), is_in_the_way);
        if is_in_the_way {
            reader.batch_execute("COMMIT").unwrap();
        }
    }
    let written = world.ask(|readers| readers.events_raw(0, 999)).len();
    world.rig.reopen();
    assert_eq!(world.ask(|readers| readers.events_raw(0, 999)).len(), written);
    assert_eq!(
        world.ask(|readers| readers.census()).tasks.values().sum::<u64>(),
        u64::try_from(written).unwrap()
    );
}

#[test]
fn the_writer_is_asked_to_begin_the_log_anew_only_where_that_gains_much_and_costs_little() {
    let mut world = World::<SqliteRig>::new();
    let (wal, checkpoints) = (world.rig.wal(), world.rig.checkpoint_loop());
    let fill = |world: &mut World<SqliteRig>, bytes: u64| {
        while std::fs::metadata(&wal).unwrap().len() < bytes {
            let large = large(world);
            assert!(world.batch(&[large]).outcomes[0].is_ok());
        }
    };
    let is_asked = |world: &World<SqliteRig>| {
        checkpoints.tick();
        world.rig.is_rewind_asked()
    };
    let mut reader = world.rig.connection();
    reader.batch_execute("BEGIN; SELECT * FROM hive;").unwrap();
    fill(&mut world, 15_000_000);
    assert!(!is_asked(&world), "a log of less than 4,096 pages is small");
    fill(&mut world, 18_000_000);
    assert!(!is_asked(&world), "a reader needs more than 4,096 pages as they were");
    reader.batch_execute("COMMIT").unwrap();
    world.submit("one more");
    assert!(is_asked(&world));
    assert!(!is_asked(&world), "nothing was written since");
}

#[test]
fn a_reader_in_the_way_only_puts_it_off() {
    let mut world = World::<SqliteRig>::new();
    let mut reader = world.rig.connection();
    reader.batch_execute("BEGIN; SELECT * FROM hive;").unwrap();
    let large = large(&mut world);
    world.batch(&[large]);
    world.rig.writer().tidy_above(1_000);
    assert!(std::fs::metadata(world.rig.wal()).unwrap().len() > 1_000);
    world.submit("works all the same");
    reader.batch_execute("COMMIT").unwrap();
    world.rig.writer().tidy_above(1_000);
    assert_eq!(std::fs::metadata(world.rig.wal()).unwrap().len(), 0);
}

#[test]
fn a_checkpoint_moves_the_log_into_the_database_and_disturbs_nobody() {
    let mut world = World::<SqliteRig>::new();
    for _ in 0..5 {
        let large = large(&mut world);
        world.batch(&[large]);
    }
    let database = world.rig.database();
    let bytes = || std::fs::metadata(&database).unwrap().len();
    assert!(bytes() < 500_000);
    world.rig.checkpoint_loop().tick();
    assert!(bytes() > 500_000);
    world.submit("afterwards");
    world.rig.checkpoint_loop().run(&|| true);
}

/// Asserts that a read of an agent, and a change of it, say that it cannot be understood, and answers why.
fn not_understood(world: &mut World<SqliteRig>, agent: domain::AgentId) -> String {
    let read = world.runtime().block_on(world.rig.readers().agent(ME, agent));
    let Err(ReadError::Corrupt { what, why }) = read else { panic!("{read:?}") };
    assert_eq!(what, format!("agent {agent}"));
    let change = AgentEdit::Drain(true);
    let changed = world.try_apply(ChangeAgent { tenant: ME, agent, change, correlation_id: "r".into() });
    let Err(WriteError::Refused(refused)) = changed else { panic!("{changed:?}") };
    assert_eq!(refused, format!("a stored agent {agent} cannot be understood: {why}"));
    why
}

#[test]
fn a_link_that_cannot_be_understood_names_its_agent_and_no_secret() {
    let mut world = World::<SqliteRig>::new();
    let env = [("KEY".to_owned(), Secret::new("hunter2"))].into();
    let link = ProcessLink { command: vec!["true".into()], env, ..ProcessLink::default() };
    let answer = world.agent_with("ada", |agent| agent.link = Link::Process(Box::new(link)));
    let Registered::Accepted(agent) = answer else { panic!() };
    let mut conn = world.rig.connection();
    for (sql, why) in [
        ("link_spec = NULL", "a process without a word of how it is started"),
        (
            "link_spec = '{\"command\": 7}'",
            "link: invalid type: integer `7`, expected a sequence at line 1 column 13",
        ),
        ("link_spec = '{\"command\": []}', link_env = '\"hunter2\"'", "no JSON map of texts"),
        ("link_env = '{\"KEY\": {\"hunter2\": 1}}'", "no JSON map of texts"),
        ("link = 'telepathy'", "unknown link"),
    ] {
        conn.batch_execute(&format!("UPDATE agents SET {sql}")).unwrap();
        let told = not_understood(&mut world, agent.id);
        assert!(told.contains(why) && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_claim_does_not_read_how_its_agent_is_reached() {
    let mut world = World::<SqliteRig>::new();
    let Registered::Accepted(agent) = world.agent_with("ada", |agent| agent.link = process()) else {
        panic!()
    };
    world.rig.connection().batch_execute("UPDATE agents SET link_spec = 'no JSON'").unwrap();
    let record = world.submit_with("pinned", |task| task.agent_id = Some(agent.id));
    assert_eq!(world.claim(record.lane, agent.id, 1).len(), 1);
    world.working_by(agent.id, "eager", |_| {});
}
