//! Gauges that are read when somebody asks: queue depths, tasks by state, actors and their mailboxes.

use std::collections::BTreeMap;

use domain::{TaskState, TenantId};
use feed::FeedHandle;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};
use store::writer::WriterHandle;
use supervision::{Registry, SnapshotFilter};

/// Actors that have a mailbox gauge of their own; tasks and agents are summed up by kind.
const ACTORS_MAX: usize = 100_000;

/// Reads the projection and the registry at each scrape.
pub struct LiveCollector {
    feed: FeedHandle,
    writer: WriterHandle,
    registry: Registry,
    tasks: IntGaugeVec,
    queues: IntGaugeVec,
    actors: IntGaugeVec,
    mailboxes: IntGaugeVec,
    restarts: IntCounterVec,
    writer_depth: IntGaugeVec,
}

impl LiveCollector {
    /// A collector to be registered.
    ///
    /// # Errors
    /// Never with these names; the library's word is passed on.
    pub fn new(
        feed: FeedHandle,
        writer: WriterHandle,
        registry: Registry,
    ) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, text: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, text), labels);
        Ok(Self {
            feed,
            writer,
            registry,
            tasks: gauge("hive_tasks", "Tasks stored now, by state", &["state"])?,
            queues: gauge("hive_queue_tasks", "Tasks of a queue, by state", &["queue", "state"])?,
            actors: gauge("hive_actors", "Live actors, by kind", &["kind"])?,
            mailboxes: gauge("hive_mailbox_messages", "Messages that wait, by kind of actor", &["kind"])?,
            restarts: IntCounterVec::new(
                Opts::new("hive_actor_restarts_total", "Restarts of actors since the start, by kind"),
                &["kind"],
            )?,
            writer_depth: gauge("hive_writer_queue_commands", "Commands that wait for the writer", &[])?,
        })
    }

    fn gauges(&self) -> [&IntGaugeVec; 5] {
        [&self.tasks, &self.queues, &self.actors, &self.mailboxes, &self.writer_depth]
    }

    fn read(&self) {
        for family in self.gauges() {
            family.reset();
        }
        self.restarts.reset();
        let (totals, queues) =
            self.feed.read(|projection| (projection.totals(), projection.queues(TenantId::DEFAULT)));
        for state in TaskState::ALL {
            self.tasks.with_label_values(&[state.as_str()]).set(whole(totals.of(state)));
        }
        for (name, figures) in queues {
            for state in [TaskState::Scheduled, TaskState::Queued, TaskState::Working] {
                let gauge = self.queues.with_label_values(&[name.as_str(), state.as_str()]);
                gauge.set(whole(figures.counts.of(state)));
            }
        }
        let everything = SnapshotFilter { limit: ACTORS_MAX, ..SnapshotFilter::default() };
        let mut kinds: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
        for actor in self.registry.snapshot(&everything) {
            let (count, waiting) = kinds.entry(actor.kind).or_default();
            *count += 1;
            *waiting += i64::try_from(actor.mailbox_depth).unwrap_or(i64::MAX);
        }
        for (kind, (count, waiting)) in kinds {
            self.actors.with_label_values(&[kind]).set(count);
            self.mailboxes.with_label_values(&[kind]).set(waiting);
        }
        for (kind, count) in self.registry.restarts_by_kind() {
            self.restarts.with_label_values(&[kind]).inc_by(count);
        }
        let depth = i64::try_from(self.writer.depth()).unwrap_or(i64::MAX);
        self.writer_depth.with_label_values::<&str>(&[]).set(depth);
    }
}

impl Collector for LiveCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges().into_iter().flat_map(Collector::desc).chain(self.restarts.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read();
        self.gauges().into_iter().flat_map(Collector::collect).chain(self.restarts.collect()).collect()
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
