//! Tests of how git is run, with the real one.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};

use super::super::fixture::{Bench, git, write};
use super::{Fault, Git};

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
