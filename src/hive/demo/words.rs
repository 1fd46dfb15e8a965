//! What a demo says before and after, for people and as JSON.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::audit::Audit;
use crate::cli::{Facts, counted, text};

/// What came of a demo, cleaning up included.
#[derive(Debug)]
pub struct Summary {
    /// What was found; the processes and the folder that could not be removed are among the differences.
    pub audit: Audit,
    /// From the command's start to its end.
    pub wall: Duration,
}

impl Summary {
    /// Whether everything is as it must be.
    pub fn is_right(&self) -> bool {
        self.audit.differences.is_empty()
    }

    /// One object for programs.
    pub fn json(&self, kept: Option<&Path>) -> Value {
        let Audit { figures, differences } = &self.audit;
        json!({
            "ok": self.is_right(),
            "agents": figures.agents,
            "tasks": figures.tasks,
            "tasks_right": figures.tasks_right,
            "attempts": figures.attempts,
            "attempts_succeeded": figures.succeeded,
            "attempts_crashed": figures.crashed,
            "attempt_time": figures.durations(),
            "cpu_ms": figures.cpu_ms,
            "peak_rss_bytes": figures.peak_rss_bytes,
            "work_ms": figures.work_us() / 1_000,
            "wall_ms": u64::try_from(self.wall.as_millis()).unwrap_or(u64::MAX),
            "differences": differences,
            "folder": kept.map(|path| path.display().to_string()),
        })
    }

    /// The figures for people.
    pub fn facts(&self, kept: Option<&Path>) -> Facts {
        let figures = &self.audit.figures;
        let durations = figures.durations();
        let mut facts = Facts::default();
        let results = format!(
            "{} of {} right: computed a second time, and compared",
            figures.tasks_right,
            counted(wide(figures.tasks), "task")
        );
        facts.add("results", text(results));
        let attempts = format!(
            "{}: {} succeeded, {} crashed on purpose and were tried again",
            figures.attempts, figures.succeeded, figures.crashed
        );
        facts.add("attempts", text(attempts));
        let time = format!(
            "half of them within {} ms, 95 of 100 within {} ms, the longest {} ms",
            ms(durations.p50_us),
            ms(durations.p95_us),
            ms(durations.max_us)
        );
        facts.add("each took", text(time));
        let cost = format!(
            "{} ms of processor time, at most {} KiB of memory an attempt",
            figures.cpu_ms,
            figures.peak_rss_bytes / 1_024
        );
        facts.add("cost", text(cost));
        let whole = format!(
            "{} ms for the work, {} ms with start, check and clean-up",
            figures.work_us() / 1_000,
            self.wall.as_millis()
        );
        facts.add("in all", text(whole));
        let left = kept.map_or_else(
            || "no process and no folder".to_owned(),
            |path| format!("{}, because you asked for it (--keep)", path.display()),
        );
        facts.add("left", text(left));
        facts
    }
}

/// What people read first.
pub fn welcome(agents: usize, tasks: usize, stumbling: usize) -> String {
    format!(
        "
   ⬡ ⬢ ⬡    Meet the hive: {agents} agents, {tasks} tasks, one honey business
    ⬢ ⬡

A real hive starts in a throw-away folder, and its agents get to work: they write letters and pages, look up
customers, count words, plan harvests and check files. Each agent is a shell script that the hive runs and guards.
One kind of agent, integration, kills itself in the middle of {stumbling} tasks. Watch the hive pick up the pieces.
In the end every result is computed a second time, here, and compared. Ctrl-C stops it all and cleans up.
"
    )
}

/// What people read last when all went well.
pub const FAREWELL: &str = "
All of that was this very program, over its public API. Your turn: `hive serve` starts a hive of your own, and
docs/agents.md gets your first agent to work in five minutes.";

fn ms(us: u64) -> String {
    format!("{}.{}", us / 1_000, us % 1_000 / 100)
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_right_only_without_differences() {
        let mut summary = Summary { audit: Audit::default(), wall: Duration::from_millis(1_234) };
        assert_eq!(summary.json(None)["ok"], true);
        assert_eq!(summary.json(None)["wall_ms"], 1_234);
        summary.audit.differences.push("x".to_owned());
        assert_eq!(summary.json(None)["ok"], false);
        assert_eq!(summary.json(Some(Path::new("/x")))["folder"], "/x");
    }

    #[test]
    fn milliseconds_have_one_place_behind_the_point() {
        assert_eq!([ms(0), ms(999), ms(12_345)], ["0.0", "0.9", "12.3"]);
    }
}
