//! `GET /system/nodes`: the processes that form the hive. It is one, this.

use protocol::{Items, NodeView};

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::query::NoQuery;
use crate::show_system::word;
use crate::state::Hive;

/// List the nodes.
#[utoipa::path(get, path = "/api/v2/system/nodes", tag = "system",
    responses((status = 200, description = "As they stand now", body = Items<NodeView>)))]
pub(crate) async fn list_nodes(hive: Hive, _: Allowed<ReadHive>, _: NoQuery) -> Answer {
    let (facts, usage) = (&hive.facts, Usage::read());
    let node = NodeView {
        node: facts.node,
        phase: word(hive.runtime.phase()).to_owned(),
        version: facts.version.to_owned(),
        started_at: facts.started_at,
        uptime_seconds: hive.clock.now().ms_since(facts.started_at) / 1_000,
        pid: std::process::id(),
        attempts: hive.runtime.running_attempts(),
        cpu_ms: usage.cpu_ms,
        memory_bytes: usage.memory_bytes,
        threads: usage.threads,
    };
    ok(&Items { items: vec![node] })
}

/// Milliseconds of one tick in `/proc/self/stat`: Linux shows processor time to programs at 100 ticks a second.
const TICK_MS: u64 = 10;

/// What the operating system says of this process.
#[derive(Debug, Default, PartialEq, Eq)]
struct Usage {
    cpu_ms: Option<u64>,
    memory_bytes: Option<u64>,
    threads: Option<u32>,
}

impl Usage {
    fn read() -> Self {
        let text = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        Self::of(&text("stat"), &text("status"))
    }

    /// From the texts of `stat` and `status`.
    fn of(stat: &str, status: &str) -> Self {
        // The program's name stands in brackets and may hold anything; what follows it is numbers.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: Vec<u64> =
            after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        Self {
            cpu_ms: (ticks.len() == 2).then(|| ticks.iter().sum::<u64>() * TICK_MS),
            memory_bytes: field("VmRSS").map(|kib| kib * 1_024),
            threads: field("Threads").and_then(|count| u32::try_from(count).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_memory_and_threads_are_read_whatever_the_program_is_called() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 2 3 4 25 17 0 0 20 0 9 0 1 2 3";
        let status = "Name:\ta\nVmRSS:\t   2048 kB\nThreads:\t9\n";
        let expected = Usage { cpu_ms: Some(420), memory_bytes: Some(2 << 20), threads: Some(9) };
        assert_eq!(Usage::of(stat, status), expected);
        assert_eq!(Usage::of("", ""), Usage::default());
    }
}
