//! Ten bugs that are planted in a copy of the program, to see that the simulation finds them. Each is a patch of the real
//! code (`planted/*.patch`) that does nothing until `HIVE_PLANTED` names it, so that one copy is built for all; the program
//! itself knows nothing of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{report, seeds};

/// The bugs: the patch, and what is wrong with it.
const BUGS: [(&str, &str); 10] = [
    ("01-stale-attempt", "a report is believed whichever attempt it names"),
    ("02-attempt-reset", "a redrive begins to count attempts anew, so that a number fences nothing"),
    ("03-one-try-too-many", "a task is tried once more than was asked for"),
    ("04-answer-before-commit", "every other batch is answered before it is committed"),
    ("05-renewal-not-stored", "a heartbeat is answered with an expiry that is not stored"),
    ("06-hasty-reaper", "the reaper takes leases half a second before they expire"),
    ("07-leaked-slot", "slots whose claim brought less than was planned stay taken"),
    ("08-forgotten-holders", "a coordinator that begins anew forgets who holds what"),
    ("09-limit-of-the-held", "the limit of a queue does not count claims that are on their way"),
    ("10-key-after-the-fact", "the key of a request is not stored when its task begins at once"),
];
/// Within so many seeds each is found.
const SEEDS: &str = "1-500";
/// What is mutated, and built without optimizing it: the build takes longer than the seeds.
const CRATES: [&str; 8] =
    ["domain", "scheduling", "supervision", "store", "feed", "links", "runtime", "simulation"];
/// So many seeds break no promise in the copy while no bug is switched on.
const SOUND_SEEDS: &str = "1-60";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn patch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("planted/{name}.patch"))
}

/// `git apply` with all patches, in order.
fn apply(tree: &Path, is_check: bool) -> Result<()> {
    let mut git = Command::new("git");
    git.arg("apply").args(is_check.then_some("--check")).args(BUGS.map(|(name, _)| patch(name)));
    // Where the tree is not a repository of its own, the one around it must not count.
    git.current_dir(tree).env("GIT_CEILING_DIRECTORIES", tree.join(".."));
    let done = git.output().context("git")?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

#[test]
fn every_planted_bug_still_fits_into_the_code() -> Result<()> {
    let listed: BTreeSet<String> = BUGS.iter().map(|(name, _)| format!("{name}.patch")).collect();
    let mut there = BTreeSet::new();
    for entry in std::fs::read_dir(patch("x").with_file_name(""))? {
        there.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    assert_eq!(listed, there);
    for (name, what) in BUGS {
        let text = std::fs::read_to_string(patch(name))?;
        ensure!(text.starts_with(&format!("Planted: {what}")), "{name} is not described as {what:?}");
        let word = name.get(3..).context("a number in front")?;
        ensure!(text.contains(&format!("Ok(\"{word}\")")), "{name} is not switched by its name");
    }
    apply(&root(), true).context("a patch does not fit any more: make it anew for the code as it is")
}

#[test]
fn chaos_every_planted_bug_is_found_within_five_hundred_seeds() -> Result<()> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let tree = target.join("planted");
    copy(&root(), &tree)?;
    apply(&tree, false)?;
    let program = build(&tree, &target)?;
    let sound = played(&program, "none", SOUND_SEEDS)?;
    ensure!(sound.is_none(), "without a bug the copy breaks a promise: {sound:?}");
    let mut missed = Vec::new();
    for (name, what) in BUGS {
        match played(&program, &name[3..], SEEDS)? {
            Some((seed, breach)) => {
                println!("{name} ({what}): seed {seed}: {breach}");
                report::found(name, what, seed, &breach)?;
            }
            None => missed.push(name),
        }
    }
    ensure!(missed.is_empty(), "not found within {SEEDS}: {missed:?}");
    Ok(())
}

/// Copies what git knows or would; the copy has nothing else, except what it was built to.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(from)
        .output()
        .context("git")?;
    ensure!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    for name in String::from_utf8(listed.stdout)?.split('\0').filter(|name| !name.is_empty()) {
        let (source, copied) = (from.join(name), to.join(name));
        if source.is_file() {
            std::fs::create_dir_all(copied.parent().context("a folder")?)?;
            std::fs::copy(&source, &copied).with_context(|| name.to_owned())?;
        }
    }
    Ok(())
}

/// Builds this very test from the copy; answers where it is.
fn build(tree: &Path, target: &Path) -> Result<PathBuf> {
    let plain = CRATES.map(|name| format!("--config=profile.release.package.{name}.opt-level=0"));
    let built = Command::new("cargo")
        .args(plain)
        .args(["test", "--release", "-p", "simulation", "--no-run", "--message-format=json"])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .context("cargo")?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let messages = String::from_utf8(built.stdout)?;
    for message in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(message)?;
        if let (Some(program), Some("simulation")) =
            (message["executable"].as_str(), message["target"]["name"].as_str())
        {
            return Ok(program.into());
        }
    }
    bail!("cargo built no test")
}

/// Plays seeds with one bug switched on; answers the first that breaks a promise, and which.
fn played(program: &Path, bug: &str, wanted: &str) -> Result<Option<(u64, String)>> {
    let done = Command::new(program)
        .args(["--exact", "five_hundred_seeds_break_no_promise", "--nocapture"])
        .env("HIVE_PLANTED", bug)
        .env("HIVE_SIM_SEEDS", wanted)
        .env(seeds::STOP, "1")
        .env("RUST_BACKTRACE", "0")
        .output()?;
    let told = String::from_utf8_lossy(&done.stderr).into_owned() + &String::from_utf8_lossy(&done.stdout);
    let found = told.lines().find_map(|line| line.strip_prefix("seed ")?.split_once(": "));
    match (found, done.status.success()) {
        (Some((seed, breach)), false) => Ok(Some((seed.parse()?, breach.to_owned()))),
        (None, true) => Ok(None),
        _ => bail!("with {bug}: {told}"),
    }
}
