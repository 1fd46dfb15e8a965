//! The two databases side by side: the same batches give the same outcomes, the same events and the same rows.

use domain::TaskId;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::Rig;
use super::postgres_rig::PostgresRig;
use super::random::{Step, command, step};
use super::sqlite_rig::SqliteRig;
use super::world::{ME, World};
use crate::command::Command;
use crate::record::TaskFilter;

#[test]
fn any_history_is_the_same_on_both_databases() {
    let config = Config { cases: 16, failure_persistence: None, ..Config::default() };
    // Batches are longer than in other histories: what a batch's commands see of each other is what differs.
    let history = prop::collection::vec(prop::collection::vec(step(), 1..24), 1..16);
    TestRunner::new(config)
        .run(&history, |history| {
            let mut sqlite = Told::<SqliteRig>::new();
            let mut postgres = Told::<PostgresRig>::new();
            for batch in &history {
                prop_assert_eq!(sqlite.play(batch), postgres.play(batch));
            }
            prop_assert_eq!(sqlite.rows(), postgres.rows());
            Ok(())
        })
        .unwrap();
}

/// A store, and what it is told.
struct Told<R: Rig> {
    world: World<R>,
    agents: [domain::AgentId; 3],
    tasks: Vec<TaskId>,
}

impl<R: Rig> Told<R> {
    fn new() -> Self {
        let mut world = World::<R>::new();
        let agents = [world.agent("a"), world.process("b"), world.process("c")];
        let tasks = vec![world.submit("first").id];
        Self { world, agents, tasks }
    }

    /// Everything that the store says while these steps are taken.
    fn play(&mut self, steps: &[Step]) -> Vec<String> {
        let (mut commands, mut said) = (Vec::new(), Vec::new());
        let lane = self.world.lanes[0].0;
        for step in steps {
            match command(&mut self.world, &mut self.tasks, self.agents, lane, step) {
                Some(command) => commands.push(command),
                None => {
                    self.apply(&std::mem::take(&mut commands), &mut said);
                    match step {
                        Step::Wait { ms } => self.world.wait_ms(*ms),
                        _ => self.world.rig.reopen(),
                    }
                }
            }
        }
        self.apply(&commands, &mut said);
        self.world.wait_ms(1);
        said
    }

    fn apply(&mut self, commands: &[Command], said: &mut Vec<String>) {
        let committed = self.world.batch(commands);
        for (command, outcome) in commands.iter().zip(&committed.outcomes) {
            said.push(format!("{command:?}: {outcome:?}"));
        }
        said.extend(committed.events.iter().map(|event| format!("{event:?}")));
        said.extend(committed.new_lanes.iter().map(|lane| format!("{lane:?}")));
    }

    /// Everything that readers are told afterwards.
    fn rows(&self) -> Vec<String> {
        let world = &self.world;
        let page = world.ask(|readers| readers.tasks(ME, TaskFilter::default(), None, 1_000));
        let mut rows: Vec<_> = page.items.iter().map(|task| format!("{task:?}")).collect();
        for task in &page.items {
            rows.push(format!("{:?}", world.ask(|readers| readers.task(ME, task.id))));
            rows.push(format!("{:?}", world.ask(|readers| readers.attempts(ME, task.id, u32::MAX, 100))));
            rows.push(format!("{:?}", world.ask(|readers| readers.output(ME, task.id, (0, 0), 100))));
            rows.push(format!("{:?}", world.ask(|readers| readers.events(ME, 0, 1_000, Some(task.id)))));
        }
        rows.push(format!("{:?}", world.ask(|readers| readers.events_raw(0, 100_000))));
        rows.push(format!("{:?}", world.ask(|readers| readers.census())));
        rows.push(format!("{:?}", world.ask(|readers| readers.leases())));
        rows.push(format!("{:?}", world.ask(|readers| readers.queues(ME))));
        rows.push(format!("{:?}", world.ask(|readers| readers.agents(ME))));
        rows
    }
}
