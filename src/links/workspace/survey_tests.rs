//! Tests of what a worktree is found to hold, with real repositories.

use std::path::Path;
use std::time::{Duration, Instant};

use domain::attempt::DIFF_BYTES_MAX;
use domain::{Keep, WorkspaceReport};

use super::super::Prepared;
use super::super::fixture::{Bench, command, commit_all, git, make_repository, write};
use super::NEW_FILE_BYTES_MAX;

/// What is reported of a worktree after some work.
fn reported(bench: &Bench, work: impl FnOnce(&Path)) -> WorkspaceReport {
    let prepared = bench.prepare(1, Keep::Always);
    work(prepared.path());
    prepared.settle(&[]).unwrap()
}

fn git_dir(prepared: &Prepared) -> std::path::PathBuf {
    git(prepared.path(), &["rev-parse", "--absolute-git-dir"]).into()
}

#[test]
fn commits_edits_and_new_files_are_counted_and_shown_and_ignored_files_are_not() {
    let bench = Bench::new();
    let report = reported(&bench, |path| {
        write(&path.join("committed"), "committed\n");
        commit_all(path, "work");
        write(&path.join("read me"), "one\n2\nthree\n");
        write(&path.join("new/fïle"), "new\n");
        write(&path.join("noise.log"), "noise\n");
    });
    assert_eq!(report.files_changed, Some(3));
    let diff = report.diff.unwrap();
    for shown in [
        "+++ b/committed\n@@ -0,0 +1 @@\n+committed\n",
        "--- a/read me\t\n+++ b/read me\t\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n",
        "diff --git a/new/fïle b/new/fïle\nnew file mode 100644\n",
        "--- /dev/null\n+++ b/new/fïle\n@@ -0,0 +1 @@\n+new\n",
    ] {
        assert!(diff.contains(shown), "{diff}");
    }
    assert!(!diff.contains("noise"), "{diff}");
}

#[test]
fn a_shown_diff_can_be_applied_to_the_base() {
    let bench = Bench::new();
    let report = reported(&bench, |path| {
        write(&path.join("read me"), "one\n2\nthree\n");
        std::fs::remove_file(path.join("src/ä.txt")).unwrap();
        write(&path.join("src/ä.txt/now a folder"), "deep\n");
        std::os::unix::fs::symlink("read me", path.join("link")).unwrap();
        write(&path.join("empty"), "");
    });
    assert_eq!(report.files_changed, Some(5));
    let patch = bench.root.path().join("patch");
    write(&patch, report.diff.unwrap());
    git(&bench.repository, &["apply", "--index", patch.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(bench.repository.join("src/ä.txt/now a folder")).unwrap(), "deep\n");
    assert_eq!(std::fs::read_link(bench.repository.join("link")).unwrap(), Path::new("read me"));
    assert!(bench.repository.join("empty").exists());
}

#[test]
fn a_look_changes_neither_the_index_nor_the_objects() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Always);
    write(&prepared.path().join("new"), "new\n");
    write(&prepared.path().join("read me"), "edited\n");
    let index = git_dir(&prepared).join("index");
    let state = || {
        let time = std::fs::metadata(&index).unwrap().modified().unwrap();
        let objects = git(&bench.repository, &["count-objects", "--verbose"]);
        (std::fs::read(&index).unwrap(), time, objects)
    };
    let before = state();
    assert_eq!(prepared.settle(&[]).unwrap().files_changed, Some(2));
    assert!(state() == before);
    assert!(!bench.left().iter().any(|name| name.contains("survey")));
}

#[test]
fn an_edit_of_the_same_length_in_the_same_moment_is_seen() {
    let bench = Bench::new();
    git(&bench.repository, &["config", "core.trustctime", "false"]);
    let prepared = bench.prepare(1, Keep::Always);
    let (file, index) = (prepared.path().join("read me"), git_dir(&prepared).join("index"));
    let moment = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let at_that_moment = |path: &Path| {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_times(std::fs::FileTimes::new().set_modified(moment)).unwrap();
    };
    at_that_moment(&file);
    git(prepared.path(), &["update-index", "--refresh"]);
    write(&file, "eno\nowt\neerht\n");
    at_that_moment(&file);
    at_that_moment(&index);
    assert_eq!(prepared.settle(&[]).unwrap().files_changed, Some(1));
}

#[test]
fn a_huge_diff_is_cut_and_its_files_are_counted() {
    let bench = Bench::new();
    let began = Instant::now();
    let report = reported(&bench, |path| {
        for number in 0..40 {
            write(&path.join(format!("new/{number}")), "ä line of text\n".repeat(60_000));
        }
    });
    assert_eq!(report.files_changed, Some(40));
    let diff = report.diff.unwrap();
    assert!(diff.len() <= DIFF_BYTES_MAX && diff.len() > DIFF_BYTES_MAX - 200, "{}", diff.len());
    assert!(diff.ends_with("[the diff is cut here: it is longer than 65536 bytes]\n"));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_large_new_file_is_named_without_being_read() {
    let bench = Bench::new();
    let began = Instant::now();
    let report = reported(&bench, |path| {
        let file = std::fs::File::create(path.join("large")).unwrap();
        file.set_len(1 << 40).unwrap();
        let file = std::fs::File::create(path.join("not large")).unwrap();
        file.set_len(NEW_FILE_BYTES_MAX).unwrap();
    });
    assert_eq!(report.files_changed, Some(2));
    let diff = report.diff.unwrap();
    assert!(diff.contains("Binary files /dev/null and b/large differ\n"), "{diff}");
    assert!(diff.contains("Binary files /dev/null and b/not large differ\n"), "{diff}");
    assert!(began.elapsed() < Duration::from_secs(20), "a TiB was read");
}

#[test]
fn a_large_file_that_was_edited_is_named_without_being_compared() {
    let bench = Bench::new();
    let mut content = "a line of text\n".repeat(1_200_000);
    write(&bench.repository.join("large"), &content);
    commit_all(&bench.repository, "large");
    content.push_str("one more\n");
    let report = reported(&bench, |path| write(&path.join("large"), &content));
    assert_eq!(report.files_changed, Some(1));
    assert!(report.diff.unwrap().ends_with("Binary files a/large and b/large differ\n"));
}

#[test]
fn binary_files_are_named_as_git_does() {
    let bench = Bench::new();
    let report = reported(&bench, |path| write(&path.join("image"), [0, 159, 146, 150]));
    assert_eq!(report.files_changed, Some(1));
    assert!(report.diff.unwrap().ends_with("Binary files /dev/null and b/image differ\n"));
}

#[test]
fn text_that_is_no_unicode_is_shown_as_far_as_it_is() {
    let bench = Bench::new();
    let report = reported(&bench, |path| write(&path.join("latin"), b"gr\xfc\xdfe\n"));
    assert!(report.diff.unwrap().contains("+gr\u{fffd}\u{fffd}e\n"));
}

#[test]
fn repositories_in_the_worktree_count_once_each() {
    let bench = Bench::new();
    let report = reported(&bench, |path| {
        make_repository(&path.join("without a commit"));
        make_repository(&path.join("with one"));
        write(&path.join("with one/file"), "x\n");
        commit_all(&path.join("with one"), "x");
        write(&path.join("new"), "new\n");
    });
    assert_eq!(report.files_changed, Some(3));
    assert!(report.diff.unwrap().contains("+new\n"));
}

#[test]
fn settings_of_the_user_do_not_change_the_diff() {
    let bench = Bench::new();
    let work = |path: &Path| {
        std::fs::rename(path.join("src/ä.txt"), path.join("moved")).unwrap();
        write(&path.join("read me"), "one\n2\nthree\n");
        git(path, &["add", "--all"]);
    };
    let plain = reported(&bench, work);
    for (name, value) in [
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("diff.renames", "copies"),
        ("diff.context", "0"),
        ("diff.relative", "true"),
        ("color.ui", "always"),
        ("color.diff", "always"),
        ("status.showUntrackedFiles", "no"),
        ("status.renames", "copies"),
        ("core.quotePath", "true"),
    ] {
        git(&bench.repository, &["config", name, value]);
    }
    let prepared = bench.prepare(2, Keep::Always);
    work(prepared.path());
    let set = prepared.settle(&[]).unwrap();
    assert_eq!(plain.files_changed, Some(3));
    assert!(plain.diff.as_ref().unwrap().contains("deleted file"), "a patch of whole files, not of renames");
    assert_eq!((set.files_changed, set.diff), (plain.files_changed, plain.diff));
}

#[test]
fn both_sides_of_a_merge_that_is_not_resolved_count_once() {
    let bench = Bench::new();
    let report = reported(&bench, |path| {
        git(path, &["checkout", "--quiet", "-b", "theirs"]);
        write(&path.join("read me"), "theirs\n");
        commit_all(path, "theirs");
        git(path, &["checkout", "--quiet", "-"]);
        write(&path.join("read me"), "ours\n");
        commit_all(path, "ours");
        assert!(!command(path).args(["merge", "--quiet", "theirs"]).output().unwrap().status.success());
    });
    assert_eq!(report.files_changed, Some(1));
    assert!(report.diff.unwrap().contains("<<<<<<<"));
}

#[test]
fn a_worktree_without_an_index_is_still_read() {
    let bench = Bench::new();
    let prepared = bench.prepare(1, Keep::Changed);
    std::fs::remove_file(git_dir(&prepared).join("index")).unwrap();
    write(&prepared.path().join("read me"), "edited\n");
    let report = prepared.settle(&[]).unwrap();
    assert_eq!((report.files_changed, report.is_kept), (Some(1), true));
}
