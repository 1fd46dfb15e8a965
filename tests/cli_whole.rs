//! The command line does everything that the client can, and docs/cli.md tells every command and flag.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cli::{bare, run};

/// Methods of the client that no command calls, and why.
const NOT_COMMANDS: [(&str, &str); 1] =
    [("dead_letters", "`hive task list --state failed` lists the same tasks")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of every Rust file in a folder, without those of tests.
fn sources(folder: &str) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(root().join(folder))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).context("a name")?;
        if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            texts.push(std::fs::read_to_string(&path)?);
        }
    }
    Ok(texts)
}

/// The public methods of `Client`: what stands in its `impl` blocks.
fn methods() -> Result<BTreeSet<String>> {
    let mut methods = BTreeSet::new();
    for source in sources("src/client")? {
        for block in source.split("\nimpl Client {\n").skip(1) {
            let block = block.split("\n}\n").next().unwrap_or_default();
            for line in block.lines() {
                let line = line.trim_start();
                let Some(rest) = line.strip_prefix("pub async fn ").or_else(|| line.strip_prefix("pub fn "))
                else {
                    continue;
                };
                let name = rest.split(['(', '<']).next().unwrap_or_default();
                methods.extend((name != "new").then(|| name.to_owned()));
            }
        }
    }
    Ok(methods)
}

#[test]
fn every_method_of_the_client_is_what_some_command_does() -> Result<()> {
    let methods = methods()?;
    for known in ["submit", "explain", "redrive", "finish_many", "health", "follow_output", "put_queue"] {
        assert!(methods.contains(known), "{known} in {methods:?}");
    }
    let commands = [sources("src/hive/cli")?, sources("src/hive/monitor")?]
        .concat()
        .join("\n")
        .replace(char::is_whitespace, "");
    let called = |name: &str| {
        ["client.", ".client()."].iter().any(|before| commands.contains(&format!("{before}{name}(")))
    };
    let not_commands: BTreeSet<&str> = NOT_COMMANDS.iter().map(|(name, _)| *name).collect();
    for name in &methods {
        assert!(
            called(name) || not_commands.contains(name.as_str()),
            "no command calls Client::{name}: build one, or say in NOT_COMMANDS why not"
        );
    }
    for name in not_commands {
        assert!(methods.contains(name), "{name} is no method of the client any more");
    }
    Ok(())
}

/// The words of every command below one, as its help tells them.
fn commands(words: &[&str], found: &mut Vec<String>) -> Result<()> {
    let told = run(bare(&[words, &["--help"]].concat()))?;
    anyhow::ensure!(told.code == 0, "hive {words:?} --help: {}", told.err);
    let below: Vec<&str> = told
        .out
        .split("Commands:\n")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next())
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()))
        .collect();
    found.extend((!words.is_empty()).then(|| format!("hive {}", words.join(" "))));
    below.iter().try_for_each(|name| commands(&[words, &[name]].concat(), found))
}

#[test]
fn the_manual_tells_every_command() -> Result<()> {
    let page = std::fs::read_to_string(root().join("docs/cli.md"))?;
    let mut found = Vec::new();
    commands(&[], &mut found)?;
    assert!(found.len() > 45 && found.contains(&"hive task explain".to_owned()), "{found:?}");
    for command in &found {
        // a command that only leads to others is told by those
        let is_told = [" ", "`"].iter().any(|after| page.contains(&format!("`{command}{after}")));
        let leads = found.iter().any(|other| other.starts_with(&format!("{command} ")));
        assert!(is_told || leads, "docs/cli.md does not tell `{command}`");
    }
    Ok(())
}
