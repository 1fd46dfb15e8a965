//! Tests of worktrees in all kinds of repositories and surroundings, friendly and not.

use std::process::Command;

use domain::{Keep, Workspace};

use super::super::fixture::{Bench, assignment, commit_all, git, make_repository, tripwire, write};
use super::super::{WorkspaceError, Workspaces};

#[test]
fn nothing_that_the_repository_set_up_runs_in_the_hive() {
    let bench = Bench::new();
    let (program, mark) = tripwire(bench.root.path());
    let hooks = bench.repository.join("hooks");
    for hook in ["post-checkout", "post-index-change", "reference-transaction"] {
        write(&hooks.join(hook), "");
        std::fs::copy(bench.root.path().join("tripwire"), hooks.join(hook)).unwrap();
        std::fs::copy(hooks.join(hook), bench.repository.join(".git/hooks").join(hook)).unwrap();
    }
    write(&bench.repository.join(".gitattributes"), "*.txt diff=trap\n");
    commit_all(&bench.repository, "attributes");
    for (name, value) in [
        ("core.hooksPath", hooks.to_str().unwrap()),
        ("core.fsmonitor", &program),
        ("core.pager", &program),
        ("diff.external", &program),
        ("diff.trap.command", &program),
        ("diff.trap.textconv", &program),
    ] {
        git(&bench.repository, &["config", name, value]);
    }
    std::fs::remove_file(&mark).ok();
    let prepared = bench.prepare(1, Keep::Changed);
    write(&prepared.path().join("src/ä.txt"), "changed\n");
    let report = prepared.settle(&[]).unwrap();
    bench.workspaces.list().unwrap();
    bench.workspaces.prune(true).unwrap();
    assert!(report.diff.unwrap().contains("+changed"));
    assert!(!mark.exists());
    git(&bench.repository, &["checkout", "--quiet", "--detach"]);
    assert!(mark.exists(), "the trap works");
}

#[test]
fn a_git_file_that_the_agent_changed_is_not_believed() {
    let bench = Bench::new();
    let (program, mark) = tripwire(bench.root.path());
    let prepared = bench.prepare(1, Keep::Changed);
    let path = prepared.path().to_path_buf();
    let own = path.join("own");
    make_repository(&own);
    git(&own, &["config", "filter.trap.clean", &program]);
    write(&path.join(".git"), format!("gitdir: {}/.git\n", own.display()));
    write(&path.join(".gitattributes"), "* filter=trap\n");
    write(&path.join("read me"), "edited\n");
    let report = prepared.settle(&[]).unwrap();
    assert!(report.is_kept);
    // The edit, the attributes, and the repository in the worktree.
    assert_eq!(report.files_changed, Some(3));
    assert!(!mark.exists());
    git(&path, &["--work-tree=.", "add", "read me"]);
    assert!(mark.exists(), "the trap works");
    assert!(bench.workspaces.prune(true).unwrap()[0].is_removed);
    assert_eq!((bench.worktrees(), bench.left()), (0, vec![]));
}

#[test]
fn a_submodule_that_is_checked_out_keeps_the_worktree_and_no_git_runs_in_it() {
    let bench = Bench::new();
    let (program, mark) = tripwire(bench.root.path());
    let part = bench.root.path().join("part");
    make_repository(&part);
    write(&part.join("file"), "part\n");
    commit_all(&part, "part");
    git(&bench.repository, &["submodule", "--quiet", "add", part.to_str().unwrap(), "part"]);
    commit_all(&bench.repository, "add a part");

    let untouched = bench.prepare(1, Keep::Changed).settle(&[]).unwrap();
    assert!(!untouched.is_kept, "a submodule that nobody checked out is no work");

    let prepared = bench.prepare(2, Keep::Changed);
    let inner = prepared.path().join("part");
    git(prepared.path(), &["submodule", "--quiet", "update", "--init"]);
    git(&inner, &["config", "filter.trap.clean", &program]);
    write(&inner.join(".gitattributes"), "* filter=trap\n");
    write(&inner.join("file"), "trap\n");
    let report = prepared.settle(&[]).unwrap();
    assert!(report.is_kept && !mark.exists());
    let pruned = bench.workspaces.prune(false).unwrap();
    assert_eq!(pruned[0].kept_because, Some("it has submodules, which are not looked into"));
    git(&inner, &["status"]);
    assert!(mark.exists(), "the trap works");
    assert!(bench.workspaces.prune(true).unwrap()[0].is_removed);
    assert_eq!((bench.worktrees(), bench.left()), (0, vec![]));
}

#[test]
fn what_the_environment_of_the_hive_says_about_git_reaches_no_git() {
    let tests = module_path!().split_once("::").unwrap().1;
    let sentence = "a_data_folder_behind_a_link_works";
    let elsewhere = tempfile::tempdir().unwrap();
    make_repository(elsewhere.path());
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{tests}::{sentence}")])
        .env("GIT_DIR", elsewhere.path().join(".git"))
        .env("GIT_WORK_TREE", elsewhere.path())
        .env("GIT_INDEX_FILE", elsewhere.path().join("index"))
        .env("GIT_OBJECT_DIRECTORY", elsewhere.path())
        .env("GIT_CONFIG_PARAMETERS", "'core.bare'='true'")
        .env("GIT_CEILING_DIRECTORIES", "/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_data_folder_in_the_repository_works() {
    let bench = Bench::new();
    let inside = bench.repository.join("hive-data");
    std::fs::create_dir(&inside).unwrap();
    let workspaces = Workspaces::open(&inside);
    let prepared = workspaces.prepare(&assignment(1, bench.wish(Keep::Changed))).unwrap();
    write(&prepared.path().join("new"), "new\n");
    let report = prepared.settle(&[]).unwrap();
    assert_eq!((report.files_changed, report.is_kept), (Some(1), true));
    assert!(workspaces.prune(true).unwrap()[0].is_removed);
    assert_eq!(bench.worktrees(), 0);
}

#[test]
fn a_data_folder_behind_a_link_works() {
    let bench = Bench::new();
    let (real, link) = (bench.root.path().join("real"), bench.root.path().join("link"));
    std::fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let workspaces = Workspaces::open(&link);
    let prepared = workspaces.prepare(&assignment(1, bench.wish(Keep::Changed))).unwrap();
    assert!(!prepared.settle(&[]).unwrap().is_kept);
}

#[test]
fn a_bare_repository_and_a_worktree_of_a_user_can_be_worked_on() {
    let bench = Bench::new();
    let (bare, linked) = (bench.root.path().join("bare.git"), bench.root.path().join("linked"));
    git(&bench.repository, &["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    git(&bench.repository, &["worktree", "add", "--quiet", "-b", "side", linked.to_str().unwrap()]);
    write(&linked.join("read me"), "side\n");
    let side = commit_all(&linked, "side");
    for (task, repository, base) in [(1, &bare, bench.head()), (2, &linked, side)] {
        let wish = bench.wish_from(repository, None, Keep::Changed);
        let prepared = bench.workspaces.prepare(&assignment(task, wish)).unwrap();
        assert_eq!(git(prepared.path(), &["rev-parse", "HEAD"]), base);
        let report = prepared.settle(&[]).unwrap();
        assert_eq!((report.is_kept, report.base), (false, Some(base)));
    }
    let inside = bench.refusal(bench.wish_from(&bare.join("objects"), None, Keep::Changed));
    assert!(matches!(inside, WorkspaceError::NotTheTop { .. }), "{inside:?}");
}

#[test]
fn files_with_converted_line_ends_count_as_unchanged() {
    let bench = Bench::new();
    git(&bench.repository, &["config", "core.autocrlf", "true"]);
    git(&bench.repository, &["config", "core.safecrlf", "true"]);
    let prepared = bench.prepare(1, Keep::Changed);
    assert_eq!(std::fs::read(prepared.path().join("read me")).unwrap(), b"one\r\ntwo\r\nthree\r\n");
    write(&prepared.path().join("new"), "one\ntwo\r\n");
    let report = prepared.settle(&[]).unwrap();
    assert_eq!(report.files_changed, Some(1));
    assert!(!bench.prepare(2, Keep::Changed).settle(&[]).unwrap().is_kept);
}

#[test]
fn what_a_filter_changes_on_the_way_counts_as_unchanged() {
    let bench = Bench::new();
    git(&bench.repository, &["config", "filter.upper.smudge", "tr a-z A-Z"]);
    git(&bench.repository, &["config", "filter.upper.clean", "tr A-Z a-z"]);
    write(&bench.repository.join(".gitattributes"), "*.txt filter=upper\n");
    commit_all(&bench.repository, "attributes");
    let prepared = bench.prepare(1, Keep::Changed);
    let file = prepared.path().join("src/ä.txt");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "UMLAUT\n");
    write(&file, "UMLAUT\n");
    assert!(!prepared.settle(&[]).unwrap().is_kept);
}

#[test]
fn a_missing_git_is_named() {
    if std::env::var_os("HIVE_TEST_WITHOUT_GIT").is_some() {
        let top = tempfile::tempdir().unwrap();
        let repository = top.path().to_str().unwrap().to_owned();
        let wish = Workspace::GitWorktree { repository, base: None, keep: Keep::Changed };
        let error = Workspaces::open(top.path()).prepare(&assignment(1, wish)).unwrap_err();
        assert!(matches!(error, WorkspaceError::GitMissing), "{error:?}");
        return;
    }
    let tests = module_path!().split_once("::").unwrap().1;
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{tests}::a_missing_git_is_named")])
        .env("PATH", "/nonexistent")
        .env("HIVE_TEST_WITHOUT_GIT", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_repository_that_is_a_submodule_of_another_can_be_worked_on() {
    let bench = Bench::new();
    let around = bench.root.path().join("around");
    make_repository(&around);
    git(&around, &["submodule", "--quiet", "add", bench.repository.to_str().unwrap(), "part"]);
    let wish = bench.wish_from(&around.join("part"), None, Keep::Changed);
    let prepared = bench.workspaces.prepare(&assignment(1, wish)).unwrap();
    write(&prepared.path().join("new"), "new\n");
    assert_eq!(prepared.settle(&[]).unwrap().files_changed, Some(1));
    assert!(bench.workspaces.prune(true).unwrap()[0].is_removed);
}

#[test]
fn files_outside_a_sparse_checkout_count_as_unchanged() {
    let bench = Bench::new();
    git(&bench.repository, &["sparse-checkout", "set", "--no-cone", "src"]);
    let prepared = bench.prepare(1, Keep::Changed);
    assert!(prepared.path().join("src/ä.txt").exists() && !prepared.path().join("read me").exists());
    let report = prepared.settle(&[]).unwrap();
    assert_eq!((report.files_changed, report.is_kept), (Some(0), false));
}
