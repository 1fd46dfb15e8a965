//! Tests of how git is run, with the real one.

use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use rustix::process::{Pid, Signal, test_kill_process};

use super::super::fixture::{Bench, git, write};
use super::{Fault, Git, umask, waited_for};

#[test]
fn git_that_takes_too_long_is_ended_with_what_it_started() {
    let bench = Bench::new();
    let number = bench.root.path().join("number");
    let alias = format!("alias.linger=!echo $$ > '{}'; sleep 600; true", number.display());
    let began = Instant::now();
    let asked =
        Git::at(&bench.repository).taking_at_most(Duration::from_secs(2)).ask(&["-c", &alias, "linger"]);
    assert!(matches!(asked, Err(Fault::TimedOut { limit_s: 2 })), "{asked:?}");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let shell: i32 = std::fs::read_to_string(number).unwrap().trim().parse().unwrap();
    let shell = Pid::from_raw(shell).unwrap();
    while test_kill_process(shell).is_ok() {
        assert!(began.elapsed() < Duration::from_secs(60), "what git started lives on");
        std::thread::yield_now();
    }
}

#[test]
fn a_sink_that_breaks_off_ends_git_without_an_error() {
    let bench = Bench::new();
    let mut pieces = 0;
    let began = Instant::now();
    let words = ["-c", "alias.endless=!yes", "endless"];
    let streamed = Git::at(&bench.repository).stream(&words, None, &mut |_| {
        pieces += 1;
        if pieces == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(streamed.is_ok(), "{streamed:?}");
    assert_eq!(pieces, 3);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn only_the_last_lines_of_what_git_complains_of_are_told() {
    let bench = Bench::new();
    let words = ["-c", "alias.grumble=!seq 1 200000 >&2; false", "grumble"];
    match Git::at(&bench.repository).ask(&words) {
        Err(Fault::Refused { code: Some(1), said }) => assert_eq!(said, "199997; 199998; 199999; 200000"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_place_that_is_not_there_is_told_apart_from_a_missing_git() {
    let asked = Git::at(Path::new("/nonexistent")).ask(&["rev-parse", "HEAD"]);
    assert!(matches!(&asked, Err(Fault::Refused { said, .. }) if said.contains("/nonexistent")), "{asked:?}");
}

#[test]
fn a_told_git_folder_is_used_in_place_of_the_one_that_the_folder_names() {
    let bench = Bench::new();
    let elsewhere = bench.root.path().join("elsewhere");
    write(&elsewhere.join(".git"), "gitdir: /nonexistent\n");
    assert!(Git::at(&elsewhere).ask(&["rev-parse", "HEAD"]).is_err());
    let told = Git::within(&elsewhere, &bench.repository.join(".git"));
    assert_eq!(told.ask(&["rev-parse", "HEAD"]).unwrap(), git(&bench.repository, &["rev-parse", "HEAD"]));
}

#[test]
fn git_that_closed_its_outputs_and_does_not_end_is_ended_after_its_time() {
    let mut silent = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
    let status = waited_for(&mut silent, Instant::now() + Duration::from_millis(50)).unwrap();
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
    let mut quick = Command::new("true").process_group(0).spawn().unwrap();
    assert!(waited_for(&mut quick, Instant::now() + Duration::from_secs(60)).unwrap().success());
}

#[test]
fn git_makes_files_as_open_as_the_hive_was_started_with_and_the_hive_its_own_for_itself() {
    let bench = Bench::new();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    rustix::process::umask(Mode::from_bits_truncate(0o027));
    umask::close();
    Git::at(&bench.repository).ask(&["branch", "one's-$HOME"]).unwrap();
    assert_eq!(mode(&bench.repository.join(".git/refs/heads/one's-$HOME")), 0o640);
    write(&bench.repository.join("own"), "x");
    assert_eq!(mode(&bench.repository.join("own")), 0o600);
    let asked = Git::at(Path::new("/nonexistent")).ask(&["rev-parse", "HEAD"]);
    assert!(matches!(&asked, Err(Fault::Refused { said, .. }) if said.contains("/nonexistent")), "{asked:?}");
}
