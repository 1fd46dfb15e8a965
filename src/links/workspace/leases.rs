//! Which workspaces are in use, in this hive, now.
//!
//! Invariant: a name is held once; a leased folder neither contains nor lies in another, nor in a held worktree.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

/// All leases of one hive. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Leases(Arc<Book>);

#[derive(Debug)]
struct Book {
    /// Where a name's worktree is.
    workspaces: PathBuf,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    names: HashSet<String>,
    folders: HashSet<PathBuf>,
}

/// A right to one workspace; dropped, it is given back.
#[derive(Debug)]
pub(super) struct Lease {
    book: Arc<Book>,
    what: What,
}

#[derive(Debug)]
enum What {
    Name(String),
    Folder(PathBuf),
}

impl Leases {
    pub(super) fn new(workspaces: PathBuf) -> Self {
        Self(Arc::new(Book { workspaces, held: Mutex::default() }))
    }

    /// The lease of the workspace of that name; `None` when it is held, or a leased folder lies in it.
    pub(super) fn claim_name(&self, name: &str) -> Option<Lease> {
        let mut held = self.0.held.lock();
        if held.has(name, &self.0.workspaces) {
            return None;
        }
        held.names.insert(name.to_owned());
        Some(Lease { book: Arc::clone(&self.0), what: What::Name(name.to_owned()) })
    }

    /// The lease of a folder, whose path must be canonical.
    pub(super) fn claim_folder(&self, folder: &Path) -> Option<Lease> {
        let mut held = self.0.held.lock();
        let overlaps =
            held.folders.iter().any(|other| other.starts_with(folder) || folder.starts_with(other));
        let is_inside = |name| folder.starts_with(self.0.workspaces.join(name));
        if overlaps || held.names.iter().any(is_inside) {
            return None;
        }
        held.folders.insert(folder.to_path_buf());
        Some(Lease { book: Arc::clone(&self.0), what: What::Folder(folder.to_path_buf()) })
    }

    /// Whether that name's workspace is in use.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.held.lock().has(name, &self.0.workspaces)
    }
}

impl Held {
    fn has(&self, name: &str, workspaces: &Path) -> bool {
        let folder = workspaces.join(name);
        self.names.contains(name) || self.folders.iter().any(|leased| leased.starts_with(&folder))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.book.held.lock();
        match &self.what {
            What::Name(name) => held.names.remove(name),
            What::Folder(folder) => held.folders.remove(folder),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leases() -> Leases {
        Leases::new(PathBuf::from("/hive/workspaces"))
    }

    #[test]
    fn a_folder_around_or_inside_a_leased_one_is_in_use_and_a_neighbor_is_not() {
        let leases = leases();
        let held = leases.claim_folder(Path::new("/a/b")).unwrap();
        for taken in ["/a/b", "/a", "/", "/a/b/c"] {
            assert!(leases.claim_folder(Path::new(taken)).is_none(), "{taken}");
        }
        for free in ["/a/bc", "/a/c"] {
            assert!(leases.claim_folder(Path::new(free)).is_some(), "{free}");
        }
        drop(held);
        assert!(leases.claim_folder(Path::new("/a")).is_some());
    }

    #[test]
    fn a_name_is_held_once_until_it_is_given_back() {
        let leases = leases();
        let held = leases.claim_name("one").unwrap();
        assert!(leases.claim_name("one").is_none());
        assert!(leases.has("one"));
        drop(held);
        assert!(!leases.has("one"));
        assert!(leases.claim_name("one").is_some());
    }

    #[test]
    fn a_worktree_and_a_folder_in_it_are_never_leased_at_once_but_the_folder_around_is_free() {
        let leases = leases();
        let name = leases.claim_name("one").unwrap();
        assert!(leases.claim_folder(Path::new("/hive/workspaces/one/src")).is_none());
        assert!(leases.claim_folder(Path::new("/hive/workspaces/one")).is_none());
        let around = leases.claim_folder(Path::new("/hive")).unwrap();
        drop((name, around));
        let inside = leases.claim_folder(Path::new("/hive/workspaces/one/src")).unwrap();
        assert!(leases.has("one"));
        assert!(leases.claim_name("one").is_none());
        drop(inside);
        assert!(leases.claim_name("one").is_some());
    }
}
