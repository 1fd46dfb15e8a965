//! Real processes under the real guard: how they begin, how they end, and that nothing of them is left.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use domain::{AgentId, ProcessLink, Report, Secret, TaskId};
use links::{Assignment, Ended, LinkSettings, Links, OutputLimits, Running, Why};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::{PATIENCE, program};

/// A shell that leaves all that one can leave behind: a child, a session of its own, and a daemon that forked twice.
const BROOD: &str = "sleep 600 & setsid sleep 600 & (setsid sh -c 'sleep 600 & sleep 600' &) ; echo up";

/// Speaks to a guard as a hive does, and waits to be killed.
const HIVE: &str = "
import json, socket, subprocess, sys
ours, theirs = socket.socketpair()
guard = subprocess.Popen([sys.argv[1], 'exec-guard'], stdin=theirs, stdout=subprocess.DEVNULL, env={}, process_group=0)
theirs.close()
ours.sendall(sys.argv[2].encode() + b'\\n')
print(guard.pid, flush=True)
while True: ours.recv(65536)
";

/// Links in a folder of their own, and a name by which their processes are found.
pub struct Rig {
    pub links: Links,
    pub folder: tempfile::TempDir,
    probe: String,
}

impl Rig {
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data_dir = folder.path().join("data");
        let links = Links::open(LinkSettings { data_dir, guard: program(), kill_grace_ms: 300 })?;
        let probe = format!("{}-{}", std::process::id(), folder.path().display());
        Ok(Self { links, folder, probe })
    }

    /// A link to a shell that runs `script`.
    pub fn shell(&self, script: &str) -> ProcessLink {
        ProcessLink {
            command: ["sh", "-c", script].map(str::to_owned).into(),
            env: [("PROBE".to_owned(), Secret::new(&self.probe))].into(),
            ..ProcessLink::default()
        }
    }

    pub fn start(&self, link: ProcessLink) -> Running {
        self.links.start(Assignment {
            task: TaskId::from_raw(7),
            attempt: 1,
            agent: AgentId::from_raw(8),
            agent_name: "ada".parse().expect("a name"),
            link,
            title: "Say hello".to_owned(),
            input: None,
            timeout_ms: None,
            limits: OutputLimits { output_bytes_max: 4 << 20, result_bytes_max: 1 << 20 },
        })
    }

    /// Runs a link to its end; what it printed and how it ended.
    pub async fn run(&self, link: ProcessLink) -> Result<(String, Ended)> {
        let (output, ended) = rest(self.start(link)).await?;
        self.is_empty()?;
        Ok((output, ended))
    }

    /// That nothing of it runs and nothing is on record.
    pub fn is_empty(&self) -> Result<()> {
        let left = self.living();
        if !left.is_empty() {
            bail!("still there: {left:?}");
        }
        let records = self.records();
        if !records.is_empty() {
            bail!("still on record: {records:?}");
        }
        Ok(())
    }

    pub fn records(&self) -> Vec<PathBuf> {
        let folder = self.folder.path().join("data/processes");
        let entries = std::fs::read_dir(folder).expect("the folder of records");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    /// Processes that carry the probe, with their command lines.
    pub fn living(&self) -> Vec<(i32, String)> {
        let probe = format!("PROBE={}", self.probe).into_bytes();
        let bears = |pid: &i32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == probe)
        };
        pids().into_iter().filter(bears).map(|pid| (pid, words(pid).join(" "))).collect()
    }

    /// Waits until nothing is left; how long that took.
    pub async fn until_empty(&self) -> Result<Duration> {
        let began = Instant::now();
        while let Err(error) = self.is_empty() {
            if began.elapsed() > PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(began.elapsed())
    }

    pub async fn until_living(&self, count: usize) -> Result<Vec<(i32, String)>> {
        let began = Instant::now();
        loop {
            // a fork shows its parent's words for a moment
            let living = self.living();
            if living.iter().filter(|(_, words)| words.starts_with("sleep")).count() == count {
                return Ok(living);
            }
            if began.elapsed() > PATIENCE {
                bail!("not {count}: {living:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What a hive says to a guard first.
    fn spec(&self, script: &str) -> Value {
        json!({
            "order": {
                "program": "/bin/sh",
                "words": ["sh", "-c", script],
                "env": {"PATH": std::env::var("PATH").expect("a path"), "PROBE": self.probe, "HIVE_PROCESS": self.probe},
                "folder": "/",
                "input": null,
                "limits": {},
            },
            "timeout_ms": null,
            "kill_grace_ms": 300,
            "record": self.folder.path().join("data/processes/one.json"),
            "mark": self.probe,
        })
    }

    /// A process that holds a guard as a hive does; with the guard's number.
    async fn hive(&self, script: &str) -> Result<(Child, i32)> {
        let mut hive = Command::new("python3")
            .args(["-c", HIVE])
            .arg(program())
            .arg(self.spec(script).to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = hive.stdout.take().context("its output")?;
        let guard = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).map(|_| line)
        });
        Ok((hive, guard.await??.trim().parse()?))
    }
}

/// Takes the output of a process and waits for its end.
pub async fn rest(mut running: Running) -> Result<(String, Ended)> {
    let mut output = String::new();
    let all = async {
        while let Some(piece) = running.output.recv().await {
            output.push_str(&piece.text);
        }
        running.ended.await
    };
    let ended = tokio::time::timeout(PATIENCE, all).await.context("it does not end")??;
    Ok((output, ended))
}

/// Waits until a process printed `word`.
pub async fn until_printed(running: &mut Running, word: &str) -> Result<()> {
    let mut output = String::new();
    while !output.contains(word) {
        let piece = tokio::time::timeout(PATIENCE, running.output.recv()).await?;
        output.push_str(&piece.with_context(|| format!("it ended with {output:?}"))?.text);
    }
    Ok(())
}

/// The kind and message of a failure.
pub fn failure(ended: &Ended) -> (&str, &str) {
    match &ended.report {
        Report::Failed { error, .. } | Report::TimedOut { error, .. } => (&error.kind, &error.message),
        report => panic!("no failure: {report:?}"),
    }
}

fn pids() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

pub fn words(pid: i32) -> Vec<String> {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = words.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    words.filter(|word| !word.is_empty()).collect()
}

/// A field of `/proc/PID/stat`, by its number there.
pub fn stat(pid: i32, number: usize) -> i64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a living process");
    let (_, rest) = text.rsplit_once(") ").expect("a name");
    rest.split(' ').nth(number - 3).expect("a field").parse().expect("a number")
}

fn kill(pid: i32) -> Result<()> {
    Ok(kill_process(Pid::from_raw(pid).context("a process id")?, Signal::KILL)?)
}

#[tokio::test]
async fn a_command_that_ends_takes_its_daemons_along() -> Result<()> {
    let rig = Rig::new()?;
    let began = Instant::now();
    let (output, ended) = rig.run(rig.shell(BROOD)).await?;
    assert_eq!(output, "up\n");
    assert!(matches!(ended.report, Report::Succeeded { .. }), "{ended:?}");
    assert!(!ended.is_launch_failure);
    // they hold both pipes open for ten minutes
    assert!(began.elapsed() < Duration::from_secs(10));
    Ok(())
}

#[tokio::test]
async fn a_dropped_leash_kills_everything() -> Result<()> {
    let rig = Rig::new()?;
    let Running { mut output, ended, leash } = rig.start(rig.shell(&format!("{BROOD}; exec sleep 600")));
    assert_eq!(output.recv().await.context("output")?.text.as_ref(), "up\n");
    rig.until_living(5).await?;
    drop(leash);
    let took = rig.until_empty().await?;
    assert!(took < Duration::from_secs(2), "{took:?}");
    let report = tokio::time::timeout(PATIENCE, ended).await??.report;
    assert!(
        matches!(report, Report::HandedBack { reason: "nobody waited for it any more", .. }),
        "{report:?}"
    );
    Ok(())
}

#[tokio::test]
async fn dropped_links_kill_everything() -> Result<()> {
    let rig = Rig::new()?;
    let other = Rig::new()?;
    let mut link = rig.shell(&format!("trap '' TERM; {BROOD}; exec sleep 600"));
    link.env.insert("PROBE".to_owned(), Secret::new(&other.probe));
    let mut running = rig.start(link);
    until_printed(&mut running, "up").await?;
    other.until_living(5).await?;
    drop(rig);
    let took = other.until_empty().await?;
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(running.ended.await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_hive_that_is_killed_leaves_nothing_running() -> Result<()> {
    let rig = Rig::new()?;
    let (mut hive, _) = rig.hive(&format!("trap '' TERM; {BROOD}; exec sleep 600")).await?;
    rig.until_living(5).await?;
    assert_eq!(rig.records().len(), 1);
    hive.kill()?;
    hive.wait()?;
    let took = rig.until_empty().await?;
    assert!(took < Duration::from_secs(2), "{took:?}");
    Ok(())
}

#[tokio::test]
async fn a_guard_that_is_killed_takes_all_along_and_the_attempt_fails() -> Result<()> {
    let rig = Rig::new()?;
    let mut running = rig.start(rig.shell(&format!("{BROOD}; exec sleep 600")));
    until_printed(&mut running, "up").await?;
    rig.until_living(5).await?;
    let main = rig.living().into_iter().map(|(pid, _)| pid).min().context("the command")?;
    kill(i32::try_from(stat(main, 4))?)?;
    let (_, ended) = rest(running).await?;
    assert_eq!(failure(&ended).0, "guard_lost");
    assert!(!ended.is_launch_failure);
    rig.is_empty()?;
    Ok(())
}

#[tokio::test]
async fn leftovers_of_a_hive_and_a_guard_that_were_killed_are_ended_at_the_next_start() -> Result<()> {
    let rig = Rig::new()?;
    let (mut hive, guard) = rig.hive(&format!("{BROOD}; exec sleep 600")).await?;
    rig.until_living(5).await?;
    // first, so that the guard cannot tidy up
    kill(guard)?;
    hive.kill()?;
    hive.wait()?;
    // the command itself dies with its guard, the others live on
    assert_eq!(rig.records().len(), 1);
    rig.until_living(4).await?;
    assert_eq!(rig.links.end_leftovers(), 1);
    rig.is_empty()?;
    assert_eq!(rig.links.end_leftovers(), 0);
    Ok(())
}

#[tokio::test]
async fn a_number_on_record_that_means_another_process_by_now_is_spared() -> Result<()> {
    let rig = Rig::new()?;
    let mut other = Command::new("sleep").arg("600").env("PROBE", &rig.probe).spawn()?;
    let pid = i32::try_from(other.id())?;
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let record = |started: i64, boot_id: &str| {
        let identity = json!({"pid": pid, "started": started});
        let record = json!({"guard": identity, "command": identity, "boot_id": boot_id, "mark": "m"});
        std::fs::write(rig.folder.path().join("data/processes/one.json"), record.to_string())
    };
    let started = stat(pid, 22);
    record(started - 1, boot_id.trim())?;
    assert_eq!(rig.links.end_leftovers(), 0);
    record(started, "another run of the machine")?;
    assert_eq!(rig.links.end_leftovers(), 0);
    assert_eq!(rig.living().len(), 1);
    assert_eq!(rig.records().len(), 0);
    record(started, boot_id.trim())?;
    assert_eq!(rig.links.end_leftovers(), 1);
    other.wait()?;
    rig.is_empty()
}

#[tokio::test]
async fn asked_to_end_a_command_may_say_goodbye() -> Result<()> {
    let rig = Rig::new()?;
    let script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done";
    for (why, kind) in [(Why::Draining, None), (Why::Canceled, Some("canceled"))] {
        let mut running = rig.start(rig.shell(script));
        until_printed(&mut running, "up").await?;
        running.leash.end(why);
        let (output, ended) = rest(running).await?;
        assert!(output.contains("bye\n"), "{output}");
        match (kind, &ended.report) {
            (Some(kind), Report::Failed { retryable: false, .. }) => assert_eq!(failure(&ended).0, kind),
            (None, Report::HandedBack { reason, .. }) => assert_eq!(*reason, "the hive stopped"),
            (_, report) => panic!("{report:?}"),
        }
        assert!(!ended.is_launch_failure);
        rig.is_empty()?;
    }
    Ok(())
}

#[tokio::test]
async fn a_command_that_does_not_listen_is_killed_after_its_time_and_the_grace() -> Result<()> {
    let rig = Rig::new()?;
    let mut link = rig.shell(
        "trap 'echo no' TERM; (setsid sh -c \"trap '' TERM; sleep 600\" &); while :; do sleep 0.01; done",
    );
    link.timeout_ms = Some(400);
    let began = Instant::now();
    let (output, ended) = rig.run(link).await?;
    let took = began.elapsed();
    assert!(output.contains("no\n"), "{output}");
    assert_eq!(failure(&ended).0, "timeout");
    assert!(matches!(ended.report, Report::TimedOut { .. }));
    assert!(took > Duration::from_millis(690) && took < Duration::from_secs(5), "{took:?}");
    Ok(())
}

#[test]
fn a_command_that_was_done_before_it_was_asked_to_end_ended_by_itself() -> Result<()> {
    let rig = Rig::new()?;
    let fifo = rig.folder.path().join("fifo");
    ensure!(Command::new("mkfifo").arg(&fifo).status()?.success());
    let (mut control, theirs) = UnixStream::pair()?;
    control.set_read_timeout(Some(PATIENCE))?;
    let mut guard = Command::new(program())
        .arg("exec-guard")
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()?;
    writeln!(control, "{}", rig.spec(&format!("read word < '{}'", fifo.display())))?;
    let mut told = BufReader::new(control.try_clone()?);
    let mut hear = || -> Result<Value> {
        let mut line = String::new();
        told.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    };
    let command = i32::try_from(hear()?["started"]["pid"].as_i64().context("a number")?)?;
    // the guard sees neither the end nor the word before it goes on, and then both at once
    let signal = |signal| kill_process(Pid::from_child(&guard), signal);
    signal(Signal::STOP)?;
    until_state(i32::try_from(guard.id())?, "T")?;
    std::fs::write(&fifo, "done\n")?;
    until_state(command, "Z")?;
    control.write_all(b"end\n")?;
    signal(Signal::CONT)?;
    let ended = hear()?;
    assert_eq!(ended["ended"]["how"], json!({"exited": {"code": 0}}), "{ended:#}");
    guard.wait()?;
    rig.is_empty()
}

/// Waits until a process is in a state, as `/proc/PID/stat` calls it.
fn until_state(pid: i32, state: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        if text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(state)) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{pid} is not in state {state}: {text}");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_pipe_that_an_outsider_holds_open_does_not_hold_up_the_end() -> Result<()> {
    let rig = Rig::new()?;
    let mut running = rig.start(rig.shell("echo up; exec sleep 600"));
    until_printed(&mut running, "up").await?;
    let command = rig.until_living(1).await?[0].0;
    let pipe = std::fs::OpenOptions::new().write(true).open(format!("/proc/{command}/fd/1"))?;
    let began = Instant::now();
    kill(command)?;
    let (_, ended) = rest(running).await?;
    assert_eq!(failure(&ended).0, "signal");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(pipe);
    rig.is_empty()
}
