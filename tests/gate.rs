//! What `.ci/gate` says of counts and of the history of its baseline; what it counts is another matter, see `load-tests/micro`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

const GATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/gate");

/// A repository that has a gate and nothing else.
struct Repository {
    folder: TempDir,
}

/// What the gate said.
struct Said {
    code: Option<i32>,
    text: String,
}

impl Repository {
    /// With a baseline of a million instructions for `plan`, and two for `submit_body`.
    fn new() -> Result<Self> {
        let repository = Self { folder: tempfile::tempdir()? };
        fs::create_dir(repository.path().join(".ci"))?;
        fs::copy(GATE, repository.path().join(".ci/gate"))?;
        repository.set_baseline(1_000_000)?;
        Ok(repository)
    }

    /// The same, with the baseline in a history of its own.
    fn with_history() -> Result<Self> {
        let repository = Self::new()?;
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        repository.commit("the gate, its cases and the first baseline")?;
        Ok(repository)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn set_baseline(&self, plan: u64) -> Result<()> {
        let baseline = json!({"made_with": {}, "instructions": {"plan": plan, "submit_body": 2_000_000}});
        Ok(fs::write(self.path().join(".ci/gate.json"), baseline.to_string())?)
    }

    fn git(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]);
        told(
            &command
                .args(arguments)
                .current_dir(self.path())
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .output()?,
        )
    }

    fn commit(&self, title: &str) -> Result<()> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", title])
    }

    /// What it says of these counts.
    fn ask(&self, counts: &Value) -> Result<Said> {
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), counts.to_string())?;
        let mut command = Command::new("python3");
        // A repository around the folder of temporary files is none of ours.
        command.arg(self.path().join(".ci/gate")).arg("--counts").arg(file.path()).env("LC_ALL", "C.UTF-8");
        let output =
            command.env("GIT_CEILING_DIRECTORIES", self.path().parent().context("a folder")?).output()?;
        let text = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
        Ok(Said { code: output.status.code(), text })
    }

    /// The same, where all is as in the baseline.
    fn ask_of_history(&self) -> Result<Said> {
        self.ask(&json!({"plan": 1_000_000, "submit_body": 2_000_000}))
    }
}

fn told(output: &Output) -> Result<()> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn a_case_that_takes_more_than_three_percent_more_fails_and_is_the_only_one_that_is_named() -> Result<()> {
    let repository = Repository::new()?;
    let said = repository.ask(&json!({"plan": 1_030_000, "submit_body": 2_000_000}))?;
    assert_eq!(said.code, Some(0), "three percent may be: {}", said.text);
    let said = repository.ask(&json!({"plan": 1_031_000, "submit_body": 2_000_000}))?;
    assert_eq!(said.code, Some(1), "{}", said.text);
    assert!(
        said.text.contains("gate: plan takes 3.1 % more instructions than its baseline"),
        "{}",
        said.text
    );
    assert!(!said.text.contains("gate: submit_body"), "{}", said.text);
    assert!(said.text.ends_with("gate: FAILED\n"), "{}", said.text);
    Ok(())
}

#[test]
fn a_case_that_became_cheaper_passes_and_its_baseline_can_be_lowered() -> Result<()> {
    let repository = Repository::new()?;
    let said = repository.ask(&json!({"plan": 969_000, "submit_body": 1_940_000}))?;
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert!(
        said.text.contains("gate: plan takes 3.1 % fewer instructions. So that it stays so"),
        "{}",
        said.text
    );
    assert!(!said.text.contains("submit_body takes"), "three percent are no more than that: {}", said.text);
    Ok(())
}

#[test]
fn a_case_without_a_baseline_fails_and_so_does_a_baseline_without_its_case() -> Result<()> {
    let said = Repository::new()?.ask(&json!({"plan": 1_000_000, "claim": 1}))?;
    assert_eq!(said.code, Some(1), "{}", said.text);
    assert!(said.text.contains("gate: claim has no baseline"), "{}", said.text);
    assert!(said.text.contains("gate: submit_body is in the baseline and not in micro"), "{}", said.text);
    Ok(())
}

#[test]
fn a_baseline_changes_in_commits_of_its_own() -> Result<()> {
    let repository = Repository::with_history()?;
    assert_eq!(repository.ask_of_history()?.code, Some(0), "the first one may come with its cases");

    repository.git(&["checkout", "--quiet", "-b", "side"])?;
    repository.set_baseline(1_000_001)?;
    repository.commit("the baseline alone")?;
    repository.git(&["checkout", "--quiet", "main"])?;
    fs::write(repository.path().join("plan.rs"), "slower")?;
    repository.commit("code alone")?;
    repository.git(&["merge", "--quiet", "--message", "both come together", "side"])?;
    let said = repository.ask_of_history()?;
    assert_eq!(said.code, Some(0), "{}", said.text);

    repository.set_baseline(1_000_002)?;
    fs::write(repository.path().join("plan.rs"), "slower again")?;
    repository.commit("code and the price of it")?;
    repository.set_baseline(1_000_000)?;
    repository.commit("the baseline alone, again")?;
    let said = repository.ask_of_history()?;
    assert_eq!(said.code, Some(1), "{}", said.text);
    assert!(
        said.text.contains("code and the price of it' changes .ci/gate.json and 1 more"),
        "{}",
        said.text
    );
    assert_eq!(said.text.matches("gate: commit ").count(), 1, "{}", said.text);
    Ok(())
}

#[test]
fn where_there_is_no_history_it_says_so_and_goes_on() -> Result<()> {
    let said = Repository::new()?.ask_of_history()?;
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert!(said.text.contains("gate: there is no git history here: not checked"), "{}", said.text);

    let whole = Repository::with_history()?;
    fs::write(whole.path().join("plan.rs"), "slower")?;
    whole.commit("code alone")?;
    let shallow = Repository { folder: tempfile::tempdir()? };
    let from = format!("file://{}", whole.path().display());
    shallow.git(&["clone", "--quiet", "--depth=1", &from, "."])?;
    let said = shallow.ask_of_history()?;
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert!(said.text.contains("gate: this clone is shallow: not checked"), "{}", said.text);
    Ok(())
}

#[test]
fn what_it_does_not_understand_is_no_verdict() -> Result<()> {
    for arguments in [&["--updaet"][..], &["--counts"], &["--counts", "/nowhere"]] {
        let output = Command::new("python3").arg(GATE).args(arguments).output()?;
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
