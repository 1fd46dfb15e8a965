//! Tests of plain folders as workspaces.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use domain::Workspace;

use super::super::fixture::{Bench, assignment, commit_all, write};
use super::super::{WorkspaceError, Workspaces};

fn directory(path: &Path) -> Workspace {
    Workspace::Directory { path: path.to_str().unwrap().to_owned() }
}

#[test]
fn a_folder_is_held_by_one_attempt_whatever_it_is_called() {
    let bench = Bench::new();
    let top = bench.root.path();
    let (folder, link) = (top.join("földer"), top.join("link"));
    std::fs::create_dir_all(folder.join("deep")).unwrap();
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let held = bench.workspaces.prepare(&assignment(1, directory(&folder))).unwrap();
    for same in [&folder, &link, &folder.join("deep/.."), &folder.join("deep"), &top.to_path_buf()] {
        let error = bench.refusal(directory(same));
        assert!(matches!(error, WorkspaceError::InUse(_)), "{error:?}");
    }
    drop(held.settle(&[]));
    assert!(bench.workspaces.prepare(&assignment(2, directory(&link))).is_ok());
}

#[test]
fn leases_are_shared_by_clones() {
    let bench = Bench::new();
    let held = bench.workspaces.clone().prepare(&assignment(1, directory(&bench.repository))).unwrap();
    assert!(matches!(bench.refusal(directory(&bench.repository)), WorkspaceError::InUse(_)));
    drop(held);
    assert!(bench.workspaces.prepare(&assignment(2, directory(&bench.repository))).is_ok());
}

#[test]
fn a_folder_in_a_repository_reports_its_commits_and_nothing_is_deleted() {
    let bench = Bench::new();
    let before = bench.head();
    let held = bench.workspaces.prepare(&assignment(1, directory(&bench.repository.join("src")))).unwrap();
    assert_eq!(held.path(), bench.repository.join("src"));
    write(&bench.repository.join("read me"), "better\n");
    let after = commit_all(&bench.repository, "improve");
    let report = held.settle(&[]).unwrap();
    assert_eq!((report.base, report.head), (Some(before), Some(after)));
    assert_eq!((report.branch, report.files_changed, report.diff), (None, None, None));
    assert!(report.is_kept && bench.repository.join("src/ä.txt").exists());
}

#[test]
fn a_folder_outside_any_repository_reports_its_path_only() {
    let bench = Bench::new();
    let report =
        bench.workspaces.prepare(&assignment(1, directory(&bench.data_dir))).unwrap().settle(&[]).unwrap();
    assert_eq!(Path::new(&report.path), bench.data_dir);
    assert_eq!((report.base, report.head), (None, None));
}

#[test]
fn a_folder_that_is_missing_or_is_a_file_is_refused() {
    let bench = Bench::new();
    for path in [bench.repository.join("missing"), bench.repository.join("read me")] {
        let error = bench.refusal(directory(&path));
        assert!(matches!(error, WorkspaceError::NotAFolder { .. }), "{error:?}");
        assert!(error.to_string().contains("create it, or name another"));
    }
}

#[test]
fn without_a_workspace_an_attempt_gets_an_empty_folder_of_its_own_that_goes_with_it() {
    let bench = Bench::new();
    for is_settled in [true, false] {
        let prepared = bench.workspaces.prepare(&assignment(1, Workspace::None)).unwrap();
        let path = prepared.path().to_path_buf();
        assert!(path.is_absolute() && path.ends_with("scratch/task_0000000000001-1"));
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(bench.refusal_of(1), WorkspaceError::InUse(_)));
        write(&path.join("deep/file"), "x");
        if is_settled {
            assert_eq!(prepared.settle(&[]), None);
        } else {
            drop(prepared);
        }
        assert!(!path.exists());
    }
}

#[test]
fn what_a_killed_hive_left_in_scratch_is_there_until_nothing_of_it_runs_and_removed_then() {
    let bench = Bench::new();
    let prepared = bench.workspaces.prepare(&assignment(1, Workspace::None)).unwrap();
    let left = prepared.path().join("left");
    write(&left, "x");
    std::mem::forget(prepared);
    let workspaces = Workspaces::open(&bench.data_dir);
    assert!(left.exists(), "what still runs may work in it");
    workspaces.remove_scratch();
    assert_eq!(bench.left(), Vec::<String>::new());
    let prepared = workspaces.prepare(&assignment(1, Workspace::None)).unwrap();
    assert_eq!(std::fs::read_dir(prepared.path()).unwrap().count(), 0);
}

#[test]
fn an_absolute_folder_of_the_command_needs_no_workspace() {
    let bench = Bench::new();
    let mut wanted = assignment(1, Workspace::None);
    wanted.link.cwd = Some(bench.repository.to_str().unwrap().to_owned());
    let (one, other) =
        (bench.workspaces.prepare(&wanted).unwrap(), bench.workspaces.prepare(&wanted).unwrap());
    assert_eq!((one.path(), other.path()), (bench.repository.as_path(), bench.repository.as_path()));
    assert_eq!(bench.left(), Vec::<String>::new());
    assert_eq!(one.settle(&[]), None);
    wanted.link.cwd = Some("/nonexistent".to_owned());
    assert!(matches!(bench.workspaces.prepare(&wanted), Err(WorkspaceError::NotAFolder { .. })));
}

impl Bench {
    /// Why a scratch folder for that task is refused.
    fn refusal_of(&self, task: i64) -> WorkspaceError {
        self.workspaces.prepare(&assignment(task, Workspace::None)).unwrap_err()
    }
}
