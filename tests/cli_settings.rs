//! `hive config …` and `hive completions` over the real program.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::program;

use crate::cli::{bare, run};

#[test]
fn config_show_tells_value_and_source_of_every_key() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("hive.toml");
    std::fs::write(&file, "[lease]\nttl_ms = 5000\n[server]\nweb_threads = 3\n[log]\nlevel = \"debug\"\n")?;
    let file = file.display().to_string();
    let arguments = ["config", "show", "--config", &file, "--data-dir", "/x/y", "--bind", "127.0.0.1:3"];
    let set = |mut command: Command| {
        command
            .env("HIVE__SERVER__WEB_THREADS", "4")
            .env("HIVE_SERVER", "http://x")
            .env("HIVE_TOKEN", "s3cret");
        command
    };
    let told = run(set(bare(&arguments)))?;
    assert_eq!((told.code, told.err.as_str()), (0, ""));
    let row = |key: &str| -> Vec<String> {
        let row = told.out.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        row.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("server.bind"), ["server.bind", "\"127.0.0.1:3\"", "flag", "--bind"]);
    assert_eq!(row("store.data_dir"), ["store.data_dir", "\"/x/y\"", "flag", "--data-dir"]);
    let threads = ["server.web_threads", "4", "environment", "HIVE__SERVER__WEB_THREADS"];
    assert_eq!(row("server.web_threads"), threads);
    assert_eq!(row("lease.ttl_ms"), ["lease.ttl_ms", "5000", "file", &file]);
    assert_eq!(row("lease.cancel_grace_ms"), ["lease.cancel_grace_ms", "30000", "default"]);
    let told = run(set(bare(&[&arguments[..], &["--json"]].concat())))?;
    let shown: Value = serde_json::from_str(&told.out)?;
    assert_eq!(shown["lease.ttl_ms"], json!({"value": 5000, "source": format!("file {file}")}));
    assert_eq!(shown["log.level"]["value"], "debug");
    let default = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/default.toml"))?;
    let keys = default.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
    assert_eq!(shown.as_object().context("an object")?.len(), keys);
    Ok(())
}

#[test]
fn config_show_prints_the_defaults_as_a_file_that_config_check_accepts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let told = run(bare(&["config", "show", "--default"]))?;
    assert_eq!(told.code, 0);
    assert!(told.out.contains("\n# ") && told.out.contains("ttl_ms = 30000"), "{}", told.out);
    let file = folder.path().join("hive.toml");
    std::fs::write(&file, &told.out)?;
    let told = run(bare(&["config", "check", "--config", &file.display().to_string()]))?;
    assert_eq!((told.code, told.out.as_str(), told.err.as_str()), (0, "", "the settings are fine\n"));
    Ok(())
}

#[test]
fn all_problems_of_all_sources_are_told_at_once_by_check_show_and_serve() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("hive.toml");
    std::fs::write(
        &file,
        "[server]\nweb_threads = 0\nbnid = 1\n[lease]\nttl_ms = \"30s\"\n[colour]\nx = 1\n",
    )?;
    let file = file.display().to_string();
    for command in [&["config", "check"][..], &["config", "show"], &["serve"], &[]] {
        let flags = ["--config", &file, "--bind", "nowhere"];
        let mut command = bare(&[command, &flags[..]].concat());
        command.env("HIVE__LOG__LEVEL", "loud==").env("HIVE__AUTH__PASSWORD", "s3cret");
        command.current_dir(folder.path());
        let told = run(command)?;
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{}", told.err);
        let expected = [
            "7 problems".to_owned(),
            "flag --bind: server.bind = \"nowhere\"".to_owned(),
            format!("file {file}: server.web_threads = 0 must be a whole number from 1 to 64"),
            format!("file {file}: lease.ttl_ms = \"30s\""),
            "environment HIVE__LOG__LEVEL: log.level = \"loud==\"".to_owned(),
            format!("file {file}: unknown key server.bnid; did you mean server.bind?"),
            format!("file {file}: unknown key colour.x"),
            "environment HIVE__AUTH__PASSWORD: unknown key auth.password".to_owned(),
        ];
        for problem in &expected {
            assert!(told.err.contains(problem), "{problem} in {}", told.err);
        }
        assert!(!told.err.contains("s3cret"), "what nobody knows may be a secret: {}", told.err);
    }
    assert!(!folder.path().join("hive-data").exists(), "nothing was started");
    Ok(())
}

#[test]
fn a_settings_file_that_is_missing_or_no_toml_is_told_with_its_place() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("hive.toml");
    std::fs::write(&file, "[server]\nbind = \n")?;
    let told = run(bare(&["config", "check", "--config", &file.display().to_string()]))?;
    assert_eq!(
        (told.code, told.err.contains("is not TOML") && told.err.contains("line 2")),
        (2, true),
        "{}",
        told.err
    );
    let mut serve = bare(&["serve", "--config", "/nowhere/hive.toml"]);
    serve.current_dir(folder.path());
    let told = run(serve)?;
    assert_eq!(
        (told.code, told.err.contains("/nowhere/hive.toml: cannot be read")),
        (2, true),
        "{}",
        told.err
    );
    Ok(())
}

#[test]
fn bash_accepts_its_completions_and_completes_commands_and_flags() -> Result<()> {
    let told = run(bare(&["completions", "bash"]))?;
    assert_eq!((told.code, told.err.as_str()), (0, ""));
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("hive.bash");
    std::fs::write(&script, &told.out)?;
    let checked = Command::new("bash").arg("-n").arg(&script).output()?;
    assert!(checked.status.success() && checked.stderr.is_empty(), "{}", String::from_utf8(checked.stderr)?);
    let completed = |words: &str| -> Result<Vec<String>> {
        let line = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _hive hive \"${{COMP_WORDS[COMP_CWORD]}}\" x; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let output = Command::new("bash").args(["--norc", "-c", &line]).stdin(Stdio::null()).output()?;
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
    };
    assert_eq!(completed("hive task su")?, ["submit"]);
    assert_eq!(completed("hive sy")?, ["system"]);
    assert_eq!(completed("hive task submit --timeout-heart")?, ["--timeout-heartbeat"]);
    let line = format!("set -eu; source <('{}' completions bash); complete -p hive", program().display());
    let output = Command::new("bash").args(["--norc", "-c", &line]).output()?;
    assert!(String::from_utf8(output.stdout)?.contains("_hive"), "as the manual says");
    Ok(())
}

#[test]
fn zsh_and_fish_get_completions_of_every_command() -> Result<()> {
    for (shell, beginning) in [("zsh", "#compdef hive\n"), ("fish", "")] {
        let told = run(bare(&["completions", shell]))?;
        assert_eq!((told.code, told.err.as_str()), (0, ""));
        assert!(told.out.starts_with(beginning), "{shell}");
        for word in
            ["submit", "retry", "drain", "pause", "events", "system", "completions", "timeout-heartbeat"]
        {
            assert!(told.out.contains(word), "{word} for {shell}");
        }
        assert_eq!(told.out.matches('\u{1b}').count(), 0);
    }
    assert!(run(bare(&["completions", "fish"]))?.out.contains("complete -c hive "));
    Ok(())
}
