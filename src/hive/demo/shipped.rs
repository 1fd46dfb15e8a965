//! The files of the demo, built into the program: the agents' scripts and the office that they work on.

use std::fs;
use std::io;
use std::path::Path;

/// Where the scripts are, seen from the demo's folder.
pub const AGENTS: &str = "agents";
/// Where the agents work, seen from the demo's folder.
pub const OFFICE: &str = "office";

macro_rules! files {
    ($folder:literal: $($path:literal,)*) => {
        &[$(($path, include_str!(concat!("../../../config/demo/", $folder, "/", $path))),)*]
    };
}

/// Every script, by its name.
pub const SCRIPTS: &[(&str, &str)] = files![
    "agents":
    "documentation.sh",
    "integration.sh",
    "intelligence.sh",
    "orchestration.sh",
    "production.sh",
    "quality.sh",
];

/// Every file of the office, by its path in it.
pub const PAPERS: &[(&str, &str)] = files![
    "office":
    "customers.csv",
    "handbook.md",
    "letter.txt",
    "orders.csv",
    "plans/candles.txt",
    "plans/harvest.txt",
    "plans/honey-cake.txt",
    "plans/market.txt",
    "plans/move.txt",
    "plans/new-hive.txt",
    "plans/spring.txt",
    "plans/swarm.txt",
    "plans/visit.txt",
    "plans/winter.txt",
    "texts/dance.txt",
    "texts/market.txt",
    "texts/night.txt",
    "texts/queue.txt",
    "texts/storm.txt",
];

/// A file of the office; empty where there is none of that path.
pub fn paper(path: &str) -> &'static str {
    PAPERS.iter().find(|(name, _)| *name == path).map_or("", |(_, text)| text)
}

/// Lays all of them out in `folder`.
///
/// # Errors
/// What the system says.
pub fn lay_out(folder: &Path) -> io::Result<()> {
    for (place, files) in [(AGENTS, SCRIPTS), (OFFICE, PAPERS)] {
        for (name, text) in files {
            let path = folder.join(place).join(name);
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(path, text)?;
        }
    }
    Ok(())
}
