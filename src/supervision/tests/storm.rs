//! Everything fails at once, from two threads, over three arbiters.

use actix_rt::Arbiter;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Four supervisors of four probes each, with every strategy, and one for tasks.
fn stormy_tree(homes: &[Home], journal: &Journal) -> (SupervisorSpec, Vec<ActorRef<Probe>>, SupervisorRef) {
    let strategies = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne, Strategy::OneForOne];
    let mut hive = patient("hive").backoff(Backoff::new(MS / 10, MS, SECOND));
    let mut probes = Vec::new();
    for (number, strategy) in strategies.into_iter().enumerate() {
        let mut team = patient(&format!("team_{number}"))
            .strategy(strategy)
            .intensity(Intensity::shared(3, 5 * MS))
            .backoff(Backoff::new(MS / 10, MS, SECOND))
            .on(&homes[number % homes.len()]);
        for place in 0..4 {
            let spec =
                Probe::spec(&format!("probe_{place}"), journal).on(&homes[(number + place) % homes.len()]);
            probes.push(spec.actor_ref());
            team = team.child(spec);
        }
        hive = hive.supervisor(team);
    }
    let tasks = patient("tasks").intensity(Intensity::per_child(2, SECOND)).on_exhausted(OnExhausted::GiveUp);
    let tasks_ref = tasks.supervisor_ref();
    (hive.supervisor(tasks.on(&homes[0])), probes, tasks_ref)
}

/// Makes trouble, differently for each seed.
async fn rage(seed: usize, probes: Vec<ActorRef<Probe>>, tasks: SupervisorRef, registry: Registry) {
    for step in 0..200 {
        let roll = (seed * 104_729 + step * 31_337) % 1009;
        let probe = &probes[roll % probes.len()];
        // Full mailboxes, panics and closed actors are what the storm is about.
        match roll % 6 {
            0 => drop(probe.tell(Do::panic())),
            1 => drop(registry.inject(&probe.path(), Fault::PanicInFuture)),
            2 => drop(registry.inject(&format!("hive/team_{}", roll % 4), Fault::PanicInHandler)),
            3 => {
                let task =
                    tasks.start_child(Probe::spec(&format!("task_{}", roll % 50), &Journal::default()));
                drop(task.map(|task| task.tell(Do::panic())));
            }
            4 => drop(tasks.stop_child(&format!("task_{}", roll % 50)).await),
            _ => drop(probe.ask_within(Do::count(), 5 * SECOND).await),
        }
    }
}

#[actix::test]
async fn after_a_storm_of_failures_all_live_again_and_a_shutdown_leaves_nothing() {
    let arbiters = [Arbiter::new(), Arbiter::new(), Arbiter::new()];
    let homes = arbiters.each_ref().map(|arbiter| Home::new("storm", &arbiter.handle()));
    for round in 0..8 {
        let (hive, probes, tasks) = stormy_tree(&homes, &Journal::default());
        let registry = Registry::new();
        let root = Root::start(hive, &registry, &homes[1]).unwrap();
        let storms = [round * 2, round * 2 + 1].map(|seed| {
            let storm = rage(seed, probes.clone(), tasks.clone(), registry.clone());
            elsewhere(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                runtime.block_on(storm);
            })
        });
        // Every other storm is cut short by the shutdown.
        if round % 2 == 0 {
            for storm in &storms {
                while !storm.is_finished() {
                    tokio::time::sleep(MS).await;
                }
            }
            for probe in &probes {
                while probe.ask_within(Do::count(), 5 * SECOND).await.is_err() {
                    tokio::time::sleep(MS).await;
                }
            }
        }
        assert_eq!(root.shutdown().await, ShutdownReport::default());
        for storm in storms {
            while !storm.is_finished() {
                tokio::time::sleep(MS).await;
            }
            storm.join().unwrap();
        }
        assert_eq!(registry.snapshot(&SnapshotFilter::default()), [], "round {round}");
    }
}
