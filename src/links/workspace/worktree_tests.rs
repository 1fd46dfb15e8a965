//! Tests of making, verifying and settling worktrees, with real repositories.

use std::collections::HashSet;
use std::path::Path;

use domain::Keep;

use super::super::WorkspaceError;
use super::super::fixture::{Bench, assignment, commit_all, git, make_repository, write};
use super::{Left, verify};

#[test]
fn a_worktree_is_on_its_own_branch_at_its_base_although_the_base_moves_on() {
    let bench = Bench::new();
    let base = bench.head();
    let wish = bench.wish_from(&bench.repository, Some("main"), Keep::Changed);
    let prepared = bench.workspaces.prepare(&assignment(5, wish)).unwrap();
    write(&bench.repository.join("read me"), "moved on\n");
    commit_all(&bench.repository, "move on");
    assert_eq!(git(prepared.path(), &["rev-parse", "HEAD"]), base);
    assert_eq!(git(prepared.path(), &["branch", "--show-current"]), "hive/task_0000000000005-1");
    assert_eq!(std::fs::read_to_string(prepared.path().join("src/ä.txt")).unwrap(), "umlaut\n");
    assert_eq!(git(prepared.path(), &["status", "--porcelain"]), "");
    let report = prepared.settle(&[]).unwrap();
    assert_eq!((report.base.as_ref(), report.head.as_ref()), (Some(&base), Some(&base)));
    assert_eq!((report.files_changed, report.diff), (Some(0), None));
}

#[test]
fn a_base_may_be_a_branch_a_tag_or_an_older_commit() {
    let bench = Bench::new();
    let first = bench.head();
    git(&bench.repository, &["tag", "--annotate", "--message", "x", "v1"]);
    write(&bench.repository.join("read me"), "second\n");
    commit_all(&bench.repository, "second");
    for (task, base) in [(1, "v1"), (2, "main~1"), (3, first.as_str()), (4, &first[..9])] {
        let wish = bench.wish_from(&bench.repository, Some(base), Keep::Changed);
        let prepared = bench.workspaces.prepare(&assignment(task, wish)).unwrap();
        assert_eq!(git(prepared.path(), &["rev-parse", "HEAD"]), first, "{base}");
        assert_eq!(prepared.settle(&[]).unwrap().base.as_ref(), Some(&first));
    }
}

#[test]
fn an_untouched_worktree_goes_with_its_branch_and_its_record() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Changed);
    write(&prepared.path().join("ignored.log"), "noise");
    let report = prepared.settle(&[]).unwrap();
    assert!(!report.is_kept);
    assert_eq!(bench.left(), Vec::<String>::new());
    assert_eq!((bench.branches(), bench.worktrees()), (vec![], 0));
}

#[test]
fn an_untouched_worktree_stays_where_it_always_should() {
    let bench = Bench::new();
    let report = bench.prepare(1, Keep::Always).settle(&[]).unwrap();
    assert!(report.is_kept && Path::new(&report.path).join("read me").exists());
    assert_eq!(bench.worktrees(), 1);
}

#[test]
fn work_that_is_not_committed_survives() {
    type Work = fn(&Path);
    let kinds: [(&str, Work); 6] = [
        ("an edit", |path| write(&path.join("read me"), "edited\n")),
        ("a new file", |path| write(&path.join("new/file"), "new\n")),
        ("an empty new file", |path| write(&path.join("empty"), "")),
        ("a deletion", |path| std::fs::remove_file(path.join("read me")).unwrap()),
        ("a staged edit whose file was put back", |path| {
            write(&path.join("read me"), "staged\n");
            git(path, &["add", "read me"]);
            write(&path.join("read me"), "one\ntwo\nthree\n");
        }),
        ("a repository in it", |path| make_repository(&path.join("inner"))),
    ];
    let bench = Bench::new();
    for (task, (what, work)) in (1..).zip(kinds) {
        let prepared = bench.prepare(task, Keep::Changed);
        let path = prepared.path().to_path_buf();
        work(&path);
        let report = prepared.settle(&[]).unwrap();
        assert!(report.is_kept && path.join(".git").exists(), "{what}");
    }
    for pruned in bench.workspaces.prune(false).unwrap() {
        assert!(!pruned.is_removed && Path::new(&pruned.record.path).join(".git").exists(), "{pruned:?}");
        assert!(!pruned.record.is_clean);
    }
}

#[test]
fn edits_that_git_was_told_to_overlook_are_seen() {
    let bench = Bench::new();
    for (task, flag) in [(1, "--assume-unchanged"), (2, "--skip-worktree")] {
        let prepared = bench.prepare(task, Keep::Changed);
        git(prepared.path(), &["update-index", flag, "read me"]);
        write(&prepared.path().join("read me"), "hidden\n");
        assert_eq!(git(prepared.path(), &["status", "--porcelain"]), "", "git overlooks it");
        let report = prepared.settle(&[]).unwrap();
        assert!(report.is_kept, "{flag}");
        assert_eq!(report.files_changed, Some(1), "{flag}");
        assert!(report.diff.unwrap().contains("+hidden"), "{flag}");
    }
}

#[test]
fn commits_keep_a_worktree_and_outlive_one_that_never_stays() {
    let bench = Bench::new();
    for (task, keep) in [(1, Keep::Changed), (2, Keep::Never)] {
        let prepared = bench.prepare(task, keep);
        let path = prepared.path().to_path_buf();
        write(&path.join("read me"), "better\n");
        let head = commit_all(&path, "improve");
        if keep == Keep::Never {
            write(&path.join("read me"), "not committed\n");
        }
        let report = prepared.settle(&[]).unwrap();
        assert_eq!(report.is_kept, keep == Keep::Changed);
        assert_eq!(path.exists(), report.is_kept);
        assert_eq!(report.head.as_ref(), Some(&head));
        assert_eq!(report.files_changed, Some(1));
        let branch = report.branch.unwrap();
        assert_eq!(git(&bench.repository, &["rev-parse", &branch]), head);
    }
    assert_eq!(bench.worktrees(), 1);
}

#[test]
fn a_commit_that_was_taken_back_by_another_still_keeps_the_worktree() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Changed);
    write(&prepared.path().join("read me"), "better\n");
    commit_all(prepared.path(), "improve");
    git(prepared.path(), &["revert", "--no-edit", "HEAD"]);
    let report = prepared.settle(&[]).unwrap();
    assert_eq!((report.files_changed, report.is_kept), (Some(0), true));
}

#[test]
fn work_on_our_branch_keeps_a_worktree_that_went_back_to_its_base() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Changed);
    write(&prepared.path().join("read me"), "better\n");
    commit_all(prepared.path(), "improve");
    git(prepared.path(), &["checkout", "--quiet", "--detach", "main"]);
    assert!(prepared.settle(&[]).unwrap().is_kept);
}

#[test]
fn commits_that_no_branch_leads_to_stay_whatever_was_said() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Never);
    git(prepared.path(), &["checkout", "--quiet", "--detach"]);
    write(&prepared.path().join("read me"), "loose\n");
    let head = commit_all(prepared.path(), "loose");
    let report = prepared.settle(&[]).unwrap();
    assert!(report.is_kept);
    assert_eq!(report.head, Some(head));
    let pruned = bench.workspaces.prune(false).unwrap();
    assert_eq!(pruned[0].kept_because, Some("it is on a commit that no branch leads to"));
}

#[test]
fn a_reference_that_goes_with_the_worktree_leads_to_no_commit() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Never);
    git(prepared.path(), &["checkout", "--quiet", "--detach"]);
    write(&prepared.path().join("read me"), "loose\n");
    let head = commit_all(prepared.path(), "loose");
    git(prepared.path(), &["bisect", "start"]);
    git(prepared.path(), &["bisect", "bad"]);
    git(prepared.path(), &["update-ref", "refs/worktree/mine", "HEAD"]);
    assert_eq!(git(prepared.path(), &["rev-parse", "refs/bisect/bad"]), head);
    assert!(prepared.settle(&[]).unwrap().is_kept);
}

#[test]
fn every_reason_to_stay_counts_as_the_user_said() {
    let left = |is_changed, has_loose_commits, has_submodules| Left {
        is_changed,
        has_loose_commits,
        has_submodules,
    };
    let table = [
        (left(false, false, false), [true, false, false]),
        (left(true, false, false), [true, true, false]),
        (left(true, true, false), [true, true, true]),
        (left(false, false, true), [true, true, false]),
    ];
    for (left, stays) in table {
        assert_eq!(
            [Keep::Always, Keep::Changed, Keep::Never].map(|keep| left.stays(keep)),
            stays,
            "{left:?}"
        );
    }
}

#[test]
fn no_two_attempts_share_a_folder_a_record_or_a_branch() {
    let bench = Bench::new();
    let prepared = bench.prepare(77, Keep::Always);
    let (path, tip) = (prepared.path().to_path_buf(), bench.head());
    let wish = || bench.wish(Keep::Changed);
    assert!(matches!(bench.refusal(wish()), WorkspaceError::InUse(_)));
    drop(prepared);
    let exists = |what: &str| match bench.refusal(wish()) {
        WorkspaceError::Exists { what: found } => assert!(found.starts_with(what), "{found}"),
        other => panic!("{other:?}"),
    };
    exists(path.to_str().unwrap());
    git(&bench.repository, &["worktree", "remove", path.to_str().unwrap()]);
    exists("the record of");
    std::fs::remove_file(path.with_extension("json")).unwrap();
    exists("the branch hive/task_");
    // Git would take an empty folder.
    std::fs::create_dir(&path).unwrap();
    exists(path.to_str().unwrap());
    std::fs::remove_dir(&path).unwrap();
    assert_eq!(git(&bench.repository, &["rev-parse", &bench.branches()[0]]), tip, "it is not ours to delete");
    assert_eq!(bench.left(), Vec::<String>::new());
}

#[test]
fn a_worktree_of_the_user_that_has_the_same_name_is_no_trouble() {
    let bench = Bench::new();
    let users = bench.root.path().join("elsewhere/task_0000000000001-1");
    git(&bench.repository, &["worktree", "add", "--quiet", "--detach", users.to_str().unwrap()]);
    let prepared = bench.prepare(1, Keep::Always);
    write(&prepared.path().join("new"), "new\n");
    assert_eq!(prepared.settle(&[]).unwrap().files_changed, Some(1));
    assert!(bench.workspaces.prune(true).unwrap()[0].is_removed);
    assert_eq!((bench.worktrees(), git(&users, &["status", "--porcelain"])), (1, String::new()));
}

#[test]
fn a_worktree_that_was_swapped_while_it_was_made_is_refused_and_nothing_of_it_is_deleted() {
    let bench = Bench::new();
    let other = bench.root.path().join("other");
    make_repository(&other);
    write(&other.join("read me"), "other\n");
    commit_all(&other, "other");
    // A filter runs while files are checked out: it stands for whoever has a hand in the folder at that time.
    let swap = format!("sh -c 'echo \"gitdir: {}/.git\" > .git; cat'", other.display());
    git(&bench.repository, &["config", "filter.swap.smudge", &swap]);
    write(&bench.repository.join(".gitattributes"), "*.txt filter=swap\n");
    commit_all(&bench.repository, "filter");
    match bench.refusal(bench.wish(Keep::Changed)) {
        WorkspaceError::NotVerified { path, found } => {
            assert!(found.contains("git folder") && path.join("read me").exists(), "{found}");
        }
        error => panic!("{error:?}"),
    }
    assert_eq!(std::fs::read_to_string(other.join("read me")).unwrap(), "other\n");
    let listed = bench.workspaces.list().unwrap();
    assert_eq!((listed.len(), listed[0].is_in_use), (1, false), "it is on record, and given back");
}

#[test]
fn what_git_says_of_a_worktree_must_be_what_was_asked_for() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Changed);
    let super::super::Kind::Worktree(worktree) = &prepared.kind else { panic!("no worktree") };
    verify(&worktree.record, &worktree.git_dir).unwrap();
    let refused = |found: &str| match verify(&worktree.record, &worktree.git_dir) {
        Err(WorkspaceError::NotVerified { found: said, .. }) => assert!(said.contains(found), "{said}"),
        other => panic!("{other:?}"),
    };
    git(prepared.path(), &["checkout", "--quiet", "--detach"]);
    refused("its branch is `HEAD`");
    git(prepared.path(), &["commit", "--quiet", "--allow-empty", "--message", "x"]);
    refused("its commit is");
    std::fs::remove_file(prepared.path().join(".git")).unwrap();
    refused("not a git repository");
    make_repository(prepared.path());
    refused("fatal");
}

#[test]
fn thirty_two_attempts_make_and_settle_worktrees_of_one_repository_at_once() {
    let bench = Bench::new();
    let base = bench.head();
    let paths: HashSet<_> = std::thread::scope(|scope| {
        let attempts: Vec<_> = (0..32)
            .map(|task| {
                let bench = &bench;
                scope.spawn(move || {
                    let keep = if task % 2 == 0 { Keep::Changed } else { Keep::Never };
                    let prepared = bench.prepare(task, keep);
                    if keep == Keep::Never {
                        write(&prepared.path().join("new"), "new\n");
                    }
                    let report = prepared.settle(&[]).unwrap();
                    assert!(!report.is_kept, "{report:?}");
                    assert_eq!(report.files_changed, Some(u64::from(keep == Keep::Never)));
                    report.path
                })
            })
            .collect();
        attempts.into_iter().map(|attempt| attempt.join().unwrap()).collect()
    });
    assert_eq!(paths.len(), 32);
    assert_eq!((bench.branches(), bench.worktrees(), bench.left()), (vec![], 0, vec![]));
    assert_eq!(bench.head(), base);
    assert_eq!(git(&bench.repository, &["status", "--porcelain"]), "");
}

#[test]
fn an_agent_that_removed_its_folder_leaves_a_report_and_a_record() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Always);
    std::fs::remove_dir_all(prepared.path()).unwrap();
    let report = prepared.settle(&[]).unwrap();
    assert_eq!((report.is_kept, report.head, report.files_changed), (false, None, None));
    assert!(bench.workspaces.prune(false).unwrap()[0].is_removed);
    assert_eq!((bench.branches(), bench.worktrees(), bench.left()), (vec![], 0, vec![]));
}

#[test]
fn what_cannot_be_looked_at_stays() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Never);
    write(&prepared.path().join("read me"), "edited\n");
    let broken = bench.repository.join(".git/worktrees/task_0000000000001-1/HEAD");
    write(&broken, "nonsense\n");
    let report = prepared.settle(&[]).unwrap();
    assert_eq!((report.is_kept, report.head), (true, None));
    assert_eq!(std::fs::read_to_string(Path::new(&report.path).join("read me")).unwrap(), "edited\n");
}

#[test]
fn each_refusal_says_what_to_do() {
    let bench = Bench::new();
    let top = bench.root.path();
    let (empty, plain, file) = (top.join("empty"), top.join("plain"), top.join("file"));
    make_repository(&empty);
    write(&plain.join("x"), "");
    write(&file, "");
    let said = |repository: &Path, base: Option<&str>| {
        bench.refusal(bench.wish_from(repository, base, Keep::Changed)).to_string()
    };
    for (repository, base, sentence) in [
        (&empty, None, "has no commit yet: commit something there first"),
        (&empty, Some("main"), "`main` is no branch, tag or commit of"),
        (&plain, None, "is not a git repository: name the top folder of one, or run `git init` there"),
        (&top.join("missing"), None, "is not a folder that the hive can use: create it, or name another"),
        (&file, None, "file is not a folder that the hive can use"),
        (&bench.repository.join("src"), None, "lies inside a git repository: name its top folder, /"),
        (&bench.repository.join(".git"), None, "lies inside a git repository: name its top folder"),
        (&bench.repository, Some("nowhere"), "git says: fatal: Needed a single revision"),
        (&bench.repository, Some("HEAD:read me"), "`HEAD:read me` is no branch, tag or commit of"),
        (&bench.repository, Some("--all"), "`--all` is no branch, tag or commit of"),
    ] {
        let said = said(repository, base);
        assert!(said.contains(sentence), "{said}");
    }
    assert_eq!((bench.left(), bench.worktrees(), bench.branches()), (vec![], 0, vec![]));
}

#[test]
fn a_branch_that_cannot_be_made_leaves_nothing_behind() {
    let bench = Bench::new();
    git(&bench.repository, &["branch", "hive"]);
    let said = bench.refusal(bench.wish(Keep::Changed)).to_string();
    assert!(
        said.contains("cannot add the worktree: git says: ") && said.contains("'refs/heads/hive'"),
        "{said}"
    );
    assert_eq!((bench.left(), bench.worktrees()), (vec![], 0));
}

#[test]
fn a_checkout_that_fails_leaves_nothing_behind() {
    let bench = Bench::new();
    git(&bench.repository, &["config", "filter.broken.smudge", "false"]);
    git(&bench.repository, &["config", "filter.broken.clean", "cat"]);
    git(&bench.repository, &["config", "filter.broken.required", "true"]);
    write(&bench.repository.join(".gitattributes"), "*.txt filter=broken\n");
    commit_all(&bench.repository, "attributes");
    let said = bench.refusal(bench.wish(Keep::Changed)).to_string();
    assert!(said.contains("cannot check the worktree out: git says: ") && said.contains("smudge"), "{said}");
    assert_eq!((bench.left(), bench.worktrees(), bench.branches()), (vec![], 0, vec![]));
}
