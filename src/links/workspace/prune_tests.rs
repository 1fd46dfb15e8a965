//! Tests of listing and pruning, with real repositories.

use std::path::Path;
use std::time::Duration;

use domain::{Keep, Workspace};

use super::super::fixture::{Bench, assignment, commit_all, git, write};
use super::super::{Kind, Pruned, Workspaces};
use super::list_within;

fn only(pruned: Vec<Pruned>) -> Pruned {
    assert_eq!(pruned.len(), 1, "{pruned:?}");
    pruned.into_iter().next().unwrap()
}

/// The same data folder after a restart of the hive.
fn reopened(bench: &Bench) -> Workspaces {
    Workspaces::open(&bench.data_dir)
}

#[test]
fn a_list_tells_what_is_there_oldest_first() {
    let bench = Bench::new();
    let first = bench.prepare(9, Keep::Always);
    let path = first.path().display().to_string();
    write(&first.path().join("new"), "new\n");
    drop(first.settle(&[]));
    let second = bench.prepare(2, Keep::Always);
    let listed = bench.workspaces.list().unwrap();
    assert_eq!(listed.len(), 2);
    let shown = &listed[0];
    assert_eq!((shown.task.raw(), shown.attempt, shown.agent.as_str()), (9, 1, "coder"));
    assert_eq!((&shown.path, &shown.repository), (&path, &bench.repository.display().to_string()));
    assert_eq!((shown.branch.as_str(), &shown.base), ("hive/task_0000000000009-1", &bench.head()));
    assert_eq!((shown.head.as_ref(), shown.files_changed), (Some(&bench.head()), Some(1)));
    assert_eq!((shown.is_clean, shown.is_in_use), (false, false));
    assert!(shown.created_at.as_micros() > 0);
    assert_eq!((listed[1].is_clean, listed[1].is_in_use), (true, true));
    drop(second);
    assert!(!bench.workspaces.list().unwrap()[1].is_in_use);
}

#[test]
fn a_list_that_runs_out_of_time_names_the_rest_as_unknown() {
    let bench = Bench::new();
    drop(bench.prepare(1, Keep::Always).settle(&[]));
    let listed = list_within(&bench.workspaces.place, Duration::ZERO).unwrap();
    assert_eq!((listed.len(), listed[0].head.as_ref(), listed[0].is_clean), (1, None, false));
}

#[test]
fn an_empty_data_folder_has_nothing_to_list_or_prune() {
    let bench = Bench::new();
    assert_eq!(bench.workspaces.list().unwrap(), []);
    assert_eq!(bench.workspaces.prune(true).unwrap(), []);
}

#[test]
fn one_in_use_is_never_pruned_not_even_by_force() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Always);
    for force in [false, true] {
        let pruned = only(bench.workspaces.prune(force).unwrap());
        assert_eq!((pruned.is_removed, pruned.kept_because), (false, Some("it is in use")));
        assert!(pruned.record.is_in_use && prepared.path().join("read me").exists());
    }
}

#[test]
fn a_worktree_that_somebody_works_in_as_a_folder_is_in_use() {
    let bench = Bench::new();
    let report = bench.prepare(1, Keep::Always).settle(&[]).unwrap();
    let wish = Workspace::Directory { path: report.path.clone() };
    let held = bench.workspaces.prepare(&assignment(2, wish)).unwrap();
    assert_eq!(only(bench.workspaces.prune(true).unwrap()).kept_because, Some("it is in use"));
    drop(held);
    assert!(only(bench.workspaces.prune(true).unwrap()).is_removed);
}

#[test]
fn a_clean_worktree_is_pruned_and_its_commits_stay_on_their_branch() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Changed);
    write(&prepared.path().join("read me"), "better\n");
    let head = commit_all(prepared.path(), "improve");
    drop(prepared.settle(&[]));
    let pruned = only(bench.workspaces.prune(false).unwrap());
    assert!(pruned.is_removed && pruned.kept_because.is_none());
    assert!(pruned.record.is_clean);
    assert_eq!((bench.worktrees(), bench.left()), (0, vec![]));
    assert_eq!(git(&bench.repository, &["rev-parse", &pruned.record.branch]), head);
}

#[test]
fn force_removes_work_that_is_not_committed_but_no_commit() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Changed);
    write(&prepared.path().join("read me"), "better\n");
    let head = commit_all(prepared.path(), "improve");
    write(&prepared.path().join("read me"), "not committed\n");
    drop(prepared.settle(&[]));
    let kept = only(bench.workspaces.prune(false).unwrap());
    assert_eq!(kept.kept_because, Some("it has work that is not committed"));
    assert!(only(bench.workspaces.prune(true).unwrap()).is_removed);
    assert_eq!((bench.worktrees(), bench.left()), (0, vec![]));
    assert_eq!(git(&bench.repository, &["rev-parse", &kept.record.branch]), head);
}

#[test]
fn not_even_force_removes_a_commit_that_no_branch_leads_to() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Changed);
    git(prepared.path(), &["checkout", "--quiet", "--detach"]);
    write(&prepared.path().join("read me"), "loose\n");
    let head = commit_all(prepared.path(), "loose");
    write(&prepared.path().join("read me"), "not committed\n");
    let path = prepared.path().to_path_buf();
    drop(prepared.settle(&[]));
    for force in [false, true] {
        let kept = only(bench.workspaces.prune(force).unwrap());
        let why = Some("it is on a commit that no branch leads to");
        assert_eq!((kept.is_removed, kept.kept_because), (false, why));
        assert_eq!(git(&path, &["rev-parse", "HEAD"]), head);
    }
    git(&bench.repository, &["branch", "rescued", &head]);
    assert!(only(bench.workspaces.prune(true).unwrap()).is_removed);
}

#[test]
fn what_a_crash_left_between_the_record_and_the_worktree_is_found_and_pruned() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Always);
    let Kind::Worktree(_) = &prepared.kind else { panic!("no worktree") };
    let (path, record) = (prepared.path().to_path_buf(), prepared.path().with_extension("json"));
    let written = std::fs::read(&record).unwrap();
    drop(prepared);
    let workspaces = reopened(&bench);
    assert!(only(workspaces.prune(true).unwrap()).is_removed);
    // Only the record was written.
    write(&record, &written);
    let listed = workspaces.list().unwrap();
    assert_eq!((listed[0].head.as_ref(), listed[0].is_in_use), (None, false));
    assert!(only(workspaces.prune(false).unwrap()).is_removed);
    // The branch was made, too.
    write(&record, &written);
    git(&bench.repository, &["branch", "hive/task_0000000000001-1"]);
    assert!(only(workspaces.prune(false).unwrap()).is_removed);
    assert_eq!((bench.left(), bench.branches(), path.exists()), (vec![], vec![], false));
}

#[test]
fn what_a_crash_left_of_an_attempt_is_listed_after_the_restart_and_keeps_its_work() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Never);
    let path = prepared.path().to_path_buf();
    write(&path.join("new"), "new\n");
    std::mem::forget(prepared);
    let workspaces = reopened(&bench);
    let listed = workspaces.list().unwrap();
    assert_eq!((listed.len(), listed[0].is_in_use, listed[0].files_changed), (1, false, Some(1)));
    assert!(!only(workspaces.prune(false).unwrap()).is_removed);
    assert!(path.join("new").exists());
}

#[test]
fn a_missing_folder_is_cleaned_up_and_missing_worktrees_of_the_user_are_not() {
    let bench = Bench::new();
    let users = bench.root.path().join("away");
    git(&bench.repository, &["worktree", "add", "--quiet", "--detach", users.to_str().unwrap()]);
    std::fs::remove_dir_all(&users).unwrap();
    let report = bench.prepare(1, Keep::Always).settle(&[]).unwrap();
    std::fs::remove_dir_all(&report.path).unwrap();
    let listed = bench.workspaces.list().unwrap();
    assert_eq!((listed[0].head.as_ref(), listed[0].files_changed), (None, None));
    assert!(only(bench.workspaces.prune(false).unwrap()).is_removed);
    assert_eq!((bench.left(), bench.branches()), (vec![], vec![]));
    assert!(bench.repository.join(".git/worktrees/away").exists());
    assert_eq!(bench.worktrees(), 1);
}

#[test]
fn a_locked_worktree_is_pruned_all_the_same() {
    let bench = Bench::new();
    let report = bench.prepare(1, Keep::Always).settle(&[]).unwrap();
    git(&bench.repository, &["worktree", "lock", &report.path]);
    assert!(only(bench.workspaces.prune(false).unwrap()).is_removed);
    assert_eq!((bench.worktrees(), bench.branches()), (0, vec![]));
}

#[test]
fn a_branch_that_the_user_has_checked_out_stays() {
    let bench = Bench::new();
    let report = bench.prepare(1, Keep::Always).settle(&[]).unwrap();
    let branch = report.branch.unwrap();
    git(Path::new(&report.path), &["checkout", "--quiet", "--detach"]);
    git(&bench.repository, &["checkout", "--quiet", &branch]);
    assert!(only(bench.workspaces.prune(false).unwrap()).is_removed);
    assert_eq!(bench.branches(), [branch]);
    assert_eq!(git(&bench.repository, &["status", "--porcelain"]), "");
}

#[test]
fn a_worktree_whose_repository_is_gone_goes_by_force_only() {
    let bench = Bench::new();
    let report = bench.prepare(1, Keep::Always).settle(&[]).unwrap();
    std::fs::remove_dir_all(&bench.repository).unwrap();
    let kept = only(bench.workspaces.prune(false).unwrap());
    assert_eq!((kept.is_removed, kept.kept_because), (false, Some("its repository is gone")));
    assert!(!kept.record.is_clean && Path::new(&report.path).exists());
    assert!(only(bench.workspaces.prune(true).unwrap()).is_removed);
    assert_eq!(bench.left(), Vec::<String>::new());
}

#[test]
fn a_worktree_that_git_forgot_goes_by_force_only() {
    let bench = Bench::new();
    let report = bench.prepare(1, Keep::Always).settle(&[]).unwrap();
    write(&Path::new(&report.path).join("new"), "new\n");
    std::fs::remove_dir_all(bench.repository.join(".git/worktrees")).unwrap();
    let kept = only(bench.workspaces.prune(false).unwrap());
    assert_eq!(kept.kept_because, Some("git no longer has it on its list"));
    assert!(only(bench.workspaces.prune(true).unwrap()).is_removed);
    assert_eq!((bench.left(), bench.branches()), (vec![], vec![]));
}

#[test]
fn worktrees_of_a_data_folder_that_was_moved_are_listed_and_pruned() {
    let bench = Bench::new();
    for task in [1, 2] {
        drop(bench.prepare(task, Keep::Always).settle(&[]));
    }
    let moved = bench.root.path().join("moved");
    std::fs::rename(&bench.data_dir, &moved).unwrap();
    let worktree = moved.join("workspaces/task_0000000000001-1");
    write(&worktree.join("new"), "new\n");
    let workspaces = Workspaces::open(&moved);
    let listed = workspaces.list().unwrap();
    assert_eq!(listed[0].path, std::fs::canonicalize(&worktree).unwrap().display().to_string());
    assert_eq!((listed[0].files_changed, listed[1].files_changed), (Some(1), Some(0)));
    let removed: Vec<bool> =
        workspaces.prune(false).unwrap().iter().map(|pruned| pruned.is_removed).collect();
    assert_eq!(removed, [false, true]);
    assert!(worktree.join("new").exists());
    assert!(only(workspaces.prune(true).unwrap()).is_removed);
    assert_eq!((bench.worktrees(), bench.branches()), (0, vec![]));
}

#[test]
fn a_record_that_cannot_be_read_or_is_about_another_is_left_alone() {
    let bench = Bench::new();
    let report = bench.prepare(1, Keep::Always).settle(&[]).unwrap();
    let record = Path::new(&report.path).with_extension("json");
    let folder = record.parent().unwrap();
    let strange = ["torn.json", "task_0000000000002-1.json", "note.txt"].map(|name| folder.join(name));
    write(&strange[0], "{\"task\": ");
    std::fs::copy(&record, &strange[1]).unwrap();
    write(&strange[2], "of the user\n");
    assert!(only(bench.workspaces.prune(true).unwrap()).is_removed);
    assert!(strange.iter().all(|path| path.exists()));
}

#[test]
fn prunes_and_new_attempts_at_once_do_not_disturb_each_other() {
    let bench = Bench::new();
    std::thread::scope(|scope| {
        for task in 0..12 {
            let bench = &bench;
            scope.spawn(move || {
                let prepared = bench.prepare(task, Keep::Always);
                assert!(prepared.path().join("read me").exists());
                assert!(prepared.settle(&[]).unwrap().files_changed == Some(0));
            });
            scope.spawn(move || {
                bench.workspaces.list().unwrap();
                for pruned in bench.workspaces.prune(true).unwrap() {
                    assert!(matches!(pruned.kept_because, None | Some("it is in use")), "{pruned:?}");
                }
            });
        }
    });
    bench.workspaces.prune(false).unwrap();
    assert_eq!((bench.left(), bench.branches(), bench.worktrees()), (vec![], vec![], 0));
}
