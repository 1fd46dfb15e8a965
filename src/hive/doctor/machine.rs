//! The machine: git for worktrees, and how many files may be open.

use std::process::{Command, Stdio};

use rustix::process::{Resource, getrlimit};

use super::Finding;

/// Each connection, stream and process takes a few.
const FILES_GOOD: u64 = 1_024;

/// Looks at it.
pub fn examine() -> Vec<Finding> {
    vec![git(), files()]
}

fn git() -> Finding {
    let output = Command::new("git").arg("--version").stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => {
            Finding::ok("git", String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(_) | Err(_) => Finding::note("git", "not installed")
            .advise("install it where agents work in worktrees (`--repository`); nothing else needs it"),
    }
}

fn files() -> Finding {
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < FILES_GOOD => {
            Finding::note("files", format!("{limit} files may be open at a time"))
                .advise("`ulimit -n 4096` before the start, or LimitNOFILE in its unit")
        }
        Some(limit) => Finding::ok("files", format!("{limit} files may be open at a time")),
        None => Finding::ok("files", "any number of files may be open"),
    }
}
