//! How real processes begin under the real guard: prompt, environment, surroundings, and what is told when they cannot.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use domain::{ProcessLink, PromptVia, Report, Secret};
use links::{LinkSettings, Links};
use tests::PATIENCE;

use crate::process_guard::{Rig, failure, rest, stat, until_printed, words};

#[tokio::test]
async fn the_prompt_arrives_on_stdin_as_an_argument_and_in_a_file() -> Result<()> {
    let rig = Rig::new()?;
    let stdin = rig.shell("cat; echo; readlink /proc/self/fd/0 | cut -d: -f1");
    assert_eq!(rig.run(stdin).await?.0, "Say hello\n/memfd\n");

    let mut argument = rig.shell("echo \"$0,$1\"; cat");
    argument.prompt = PromptVia::Argument;
    argument.args = vec!["first".to_owned()];
    assert_eq!(rig.run(argument).await?.0, "first,Say hello\n");

    let mut file = rig.shell("cat \"$1\"; [ \"$1\" = \"$HIVE_PROMPT_FILE\" ] && stat -c ' %a' \"$1\"; cat");
    file.prompt = PromptVia::File;
    file.args = ["sh", "{prompt_file}", "x"].map(str::to_owned).into();
    assert_eq!(rig.run(file).await?.0, "Say hello 600\n");
    Ok(())
}

#[tokio::test]
async fn the_environment_is_exactly_what_was_allowed() -> Result<()> {
    let rig = Rig::new()?;
    let mut link = rig.shell("");
    link.command = ["env", "-0"].map(str::to_owned).into();
    link.env.insert("LANG".to_owned(), Secret::new("xx"));
    link.inherit_env.insert("CARGO_MANIFEST_DIR".to_owned());
    let (output, ended) = rig.run(link).await?;
    assert!(matches!(ended.report, Report::Succeeded { .. }), "{ended:?}");
    let output = output.replace('\u{fffd}', "\0");
    let mut names: Vec<&str> =
        output.split('\0').filter_map(|entry| Some(entry.split_once('=')?.0)).collect();
    names.sort_unstable();
    let usual = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"];
    let mut expected: Vec<String> =
        usual.into_iter().filter(|name| std::env::var(name).is_ok()).map(str::to_owned).collect();
    expected.extend(std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("LC_")));
    expected.extend(
        [
            "CARGO_MANIFEST_DIR",
            "HIVE_AGENT",
            "HIVE_ATTEMPT",
            "HIVE_PROCESS",
            "HIVE_TASK_ID",
            "HIVE_WORKSPACE",
            "LANG",
            "PROBE",
        ]
        .map(str::to_owned),
    );
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert!(output.contains("\0LANG=xx\0") || output.starts_with("LANG=xx\0"), "{output}");
    Ok(())
}

#[tokio::test]
async fn a_command_begins_with_three_files_in_a_session_of_its_own_behind_the_hive() -> Result<()> {
    let rig = Rig::new()?;
    let (output, ended) = rig.run(rig.shell("ulimit -c; kill -PIPE $$; echo no")).await?;
    assert_eq!(output, "0\n");
    assert_eq!(failure(&ended).0, "signal");

    // a file that programs inherit, as some starters of a hive leave one open
    let inherited = rustix::io::dup(std::fs::File::open("/dev/null")?)?;
    let mut running = rig.start(rig.shell("echo up; exec sleep 600"));
    until_printed(&mut running, "up").await?;
    drop(inherited);
    let command = rig.until_living(1).await?[0].0;
    let files = std::fs::read_dir(format!("/proc/{command}/fd"))?;
    let mut files: Vec<_> = files.map(|file| file.map(|file| file.file_name())).collect::<Result<_, _>>()?;
    files.sort();
    assert_eq!(files, ["0", "1", "2"]);
    assert_eq!(std::fs::read_to_string(format!("/proc/{command}/oom_score_adj"))?, "500\n");
    let guard = i32::try_from(stat(command, 4))?;
    let myself = i32::try_from(std::process::id())?;
    let (group, session, terminal, nice) = (5, 6, 7, 19);
    let own = i64::from(command);
    assert_eq!((stat(command, group), stat(command, session)), (own, own));
    assert_eq!(stat(command, terminal), 0);
    assert_eq!(stat(command, nice), stat(myself, nice) + 5);
    assert_eq!(stat(guard, group), i64::from(guard), "a Ctrl-C for the hive would reach the guard");
    assert_eq!(stat(guard, nice), stat(myself, nice));
    assert_eq!(words(guard), ["hive", "exec-guard"]);
    assert_eq!(std::fs::read(format!("/proc/{guard}/environ"))?, b"", "secrets of the hive");
    drop(running);
    rig.until_empty().await?;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_started_is_told_apart_from_what_fails() -> Result<()> {
    let rig = Rig::new()?;
    let with = |command: &str| ProcessLink { command: vec![command.to_owned()], ..rig.shell("") };

    let (_, ended) = rig.run(with("no-such-program")).await?;
    assert_eq!(
        failure(&ended),
        ("program_missing", "the program `no-such-program` was not found on the PATH")
    );
    assert!(ended.is_launch_failure && matches!(ended.report, Report::Failed { retryable: true, .. }));
    assert_eq!(rig.links.program_missing(&with("no-such-program")).as_deref(), Some(failure(&ended).1));
    assert_eq!(rig.links.program_missing(&rig.shell("")), None);

    let script = rig.folder.path().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n")?;
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let script = script.to_str().context("a path")?;
    let (output, ended) = rig.run(with(script)).await?;
    let expected =
        format!("{script} cannot be started: the interpreter that its first line names is missing");
    assert_eq!(failure(&ended), ("failed_to_start", expected.as_str()));
    assert!(ended.is_launch_failure);
    assert_eq!(output, "");

    let (_, ended) =
        rig.run(ProcessLink { cwd: Some("/no/such/folder".to_owned()), ..rig.shell("true") }).await?;
    assert!(ended.is_launch_failure && failure(&ended).1.contains("/no/such/folder"), "{ended:?}");

    let (_, ended) = rig.run(rig.shell("echo hm >&2; exit 127")).await?;
    assert_eq!(failure(&ended).0, "exit_code");
    assert!(!ended.is_launch_failure);
    Ok(())
}

#[tokio::test]
async fn a_guard_that_is_none_is_no_fault_of_the_command() -> Result<()> {
    let mut rig = Rig::new()?;
    for (guard, kind) in [("/bin/false", "guard_lost"), ("/no/such/guard", "guard_failed")] {
        let data_dir = rig.folder.path().join("data");
        rig.links = Links::open(LinkSettings { data_dir, guard: guard.into(), kill_grace_ms: 300 })?;
        let (_, ended) = rig.run(rig.shell("echo up")).await?;
        assert_eq!(failure(&ended).0, kind);
        assert!(ended.is_launch_failure);
    }
    Ok(())
}

#[tokio::test]
async fn a_process_whose_output_nobody_takes_is_held_up_and_goes_on() -> Result<()> {
    let rig = Rig::new()?;
    let flag = rig.folder.path().join("flag");
    let script = format!("head -c 2000000 /dev/zero | tr '\\0' x; touch {}; echo done", flag.display());
    let running = rig.start(rig.shell(&script));
    // it stands still when a pipe is full, and what came before it has been read
    let began = Instant::now();
    let mut waits = 0;
    while waits < 20 {
        let is_waiting = rig.living().iter().any(|(pid, words)| words.starts_with("tr") && is_held_up(*pid));
        waits = if is_waiting { waits + 1 } else { 0 };
        assert!(began.elapsed() < PATIENCE, "nobody is held up");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!Path::exists(&flag));
    let (output, _) = rest(running).await?;
    assert_eq!((output.len(), output.ends_with("xdone\n")), (2_000_005, true));
    assert!(Path::exists(&flag));
    rig.is_empty()
}

fn is_held_up(pid: i32) -> bool {
    // the number of the call, and its first argument: `write` (1, and 64 on ARM) to the standard output
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    call.starts_with("1 0x1 ") || call.starts_with("64 0x1 ")
}
