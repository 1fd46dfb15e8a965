//! What a disk would hold after a power cut: the notes of the layer before a hive are played again, and only what was synced
//! is sure to be there.
//!
//! The model is as strict as POSIX allows. A write is on the disk when a sync of its file, begun after it, has returned
//! well; a name (of a new, renamed or removed file or folder) when a sync of the folder it stands in has. Everything else may
//! be there or not: of each sector of 512 bytes any state since its last sync, of names the first few changes. What was not
//! synced when a sync failed is never there: the kernel has dropped it.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

mod record;

pub use record::{Kind, Record, records};

/// How the name of the file ends that SQLite maps into its memory, and makes anew after a crash.
const MAPPED: &str = "-shm";
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What becomes of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing of it is there.
    Strict,
    /// Of each sector some state since its last sync is there, drawn from this seed; of the names the first few changes.
    Torn(u64),
}

/// A change of a file that is not sure to be on the disk.
#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Size(usize),
}

#[derive(Debug, Default, Clone)]
struct Content {
    sure: Vec<u8>,
    /// With the number of the change.
    pending: Vec<(u64, Change)>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

type Names = BTreeMap<PathBuf, Node>;

/// A change of names that is not sure to be on the disk.
#[derive(Debug, Clone)]
struct Naming {
    /// The name, and what it stands for from now on.
    name: PathBuf,
    node: Option<Node>,
    /// The name that it had before.
    was: Option<PathBuf>,
}

impl Naming {
    fn apply(&self, names: &mut Names) {
        if let Some(was) = &self.was {
            names.remove(was);
        }
        match self.node {
            Some(node) => names.insert(self.name.clone(), node),
            None => names.remove(&self.name),
        };
    }
}

/// An open descriptor.
#[derive(Debug, Clone)]
struct Opened {
    name: PathBuf,
    node: Node,
    /// How many changes there had been when each of the syncs began that are under way.
    syncs: Vec<u64>,
}

/// A disk, as the notes tell of it.
#[derive(Debug, Default)]
pub struct Platter {
    root: PathBuf,
    files: Vec<Content>,
    /// As the program sees them.
    names: Names,
    sure: Names,
    pending: Vec<(u64, Naming)>,
    /// How many changes there have been.
    changes: u64,
    opened: HashMap<i32, Opened>,
}

impl Platter {
    /// A disk that holds what lies in a folder now, all of it for sure.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(root: &Path) -> Result<Self> {
        let mut platter = Self { root: root.to_owned(), ..Self::default() };
        platter.names.insert(root.to_owned(), Node::Folder);
        if root.join("data").exists() {
            platter.learn(&root.join("data"))?;
        }
        platter.sure = platter.names.clone();
        Ok(platter)
    }

    fn learn(&mut self, folder: &Path) -> Result<()> {
        self.names.insert(folder.to_owned(), Node::Folder);
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.learn(&path)?;
            } else {
                self.files.push(Content { sure: std::fs::read(&path)?, pending: Vec::new() });
                self.names.insert(path, Node::File(self.files.len() - 1));
            }
        }
        Ok(())
    }

    /// Plays one note.
    ///
    /// # Errors
    /// When something was done that the layer cannot see, or the notes contradict each other.
    pub fn play(&mut self, record: &Record<'_>) -> Result<()> {
        let fd = record.fd;
        match record.kind {
            Kind::Start => self.opened.clear(),
            Kind::Open => self.open(record)?,
            Kind::Close => drop(self.opened.remove(&fd)),
            Kind::Dup => {
                let same = self.at(fd)?.clone();
                self.opened.insert(record.value, Opened { syncs: Vec::new(), ..same });
            }
            Kind::Write => {
                let change =
                    Change::Write { at: usize::try_from(record.place)?, bytes: record.content.to_vec() };
                self.change(fd, change)?;
            }
            Kind::Truncate => self.change(fd, Change::Size(usize::try_from(record.place)?))?,
            Kind::SyncBegin => {
                self.opened.get_mut(&fd).context("a descriptor")?.syncs.push(self.changes);
            }
            Kind::SyncEnd => self.synced(fd, record.value == 0)?,
            Kind::Lie => drop(self.opened.get_mut(&fd).context("a descriptor")?.syncs.pop()),
            Kind::Rename => {
                let (was, name) = (record.path.clone(), record.renamed());
                let node = *self.names.get(&was).with_context(|| format!("{} is unknown", was.display()))?;
                ensure!(node != Node::Folder, "folders are not renamed here");
                self.rename(Naming { name, node: Some(node), was: Some(was) });
            }
            Kind::Unlink | Kind::Rmdir => {
                self.rename(Naming { name: record.path.clone(), node: None, was: None });
            }
            Kind::Mkdir => {
                self.rename(Naming { name: record.path.clone(), node: Some(Node::Folder), was: None });
            }
            Kind::Map => {
                let name = &self.at(fd)?.name;
                ensure!(name.to_string_lossy().ends_with(MAPPED), "{} is written past us", name.display());
            }
            Kind::Sent => {}
            Kind::Blind => bail!("something was done that the layer does not see: {record:?}"),
        }
        Ok(())
    }

    fn open(&mut self, record: &Record<'_>) -> Result<()> {
        let (is_new, is_emptied, is_folder) =
            (record.value & 1 != 0, record.value & 2 != 0, record.value & 4 != 0);
        let name = record.path.clone();
        if is_new {
            self.files.push(Content::default());
            let node = Some(Node::File(self.files.len() - 1));
            self.rename(Naming { name: name.clone(), node, was: None });
        }
        let node = match self.names.get(&name) {
            Some(node) => *node,
            // Beside the data folder: nothing that is kept.
            None if is_folder => Node::Folder,
            None => bail!("{} is unknown", name.display()),
        };
        self.opened.insert(record.fd, Opened { name, node, syncs: Vec::new() });
        if is_emptied && !is_new {
            self.change(record.fd, Change::Size(0))?;
        }
        Ok(())
    }

    fn at(&self, fd: i32) -> Result<&Opened> {
        self.opened.get(&fd).with_context(|| format!("descriptor {fd} is unknown"))
    }

    fn change(&mut self, fd: i32, change: Change) -> Result<()> {
        let Node::File(file) = self.at(fd)?.node else { bail!("a folder is not written to") };
        self.files[file].pending.push((self.changes, change));
        self.changes += 1;
        Ok(())
    }

    fn rename(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.pending.push((self.changes, naming));
        self.changes += 1;
    }

    fn synced(&mut self, fd: i32, is_well: bool) -> Result<()> {
        let opened = self.opened.get_mut(&fd).context("a descriptor")?;
        ensure!(!opened.syncs.is_empty(), "a sync returned that did not begin");
        // Two at a time on one descriptor: the earlier one claims less.
        let begun = opened.syncs.remove(0);
        let (node, folder) = (opened.node, opened.name.clone());
        match node {
            Node::File(file) => {
                let content = &mut self.files[file];
                let (done, left) = content.pending.drain(..).partition(|(number, _)| *number < begun);
                let done: Vec<(u64, Change)> = done;
                content.pending = left;
                if is_well {
                    done.iter().for_each(|(_, change)| apply(&mut content.sure, change));
                }
            }
            Node::Folder if is_well => {
                let (done, left): (Vec<_>, Vec<_>) = self.pending.drain(..).partition(|(number, naming)| {
                    *number < begun && naming.name.parent() == Some(folder.as_path())
                });
                done.iter().for_each(|(_, naming)| naming.apply(&mut self.sure));
                self.pending = left;
            }
            Node::Folder => {}
        }
        Ok(())
    }

    /// What is on the disk after a cut: files with their content, folders with none.
    #[must_use]
    pub fn after(&self, cut: Cut) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut dice = Dice::of(cut);
        let mut names = self.sure.clone();
        if let Some(dice) = &mut dice {
            let kept = dice.below(self.pending.len() + 1);
            self.pending.iter().take(kept).for_each(|(_, naming)| naming.apply(&mut names));
        }
        let mut there = BTreeMap::new();
        for (name, node) in &names {
            let is_reached = name.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root));
            if is_reached.into_iter().any(|folder| !names.contains_key(folder)) {
                continue;
            }
            let content = match node {
                Node::Folder => None,
                Node::File(file) => Some(match &mut dice {
                    None => self.files[*file].sure.clone(),
                    // It is written through the memory: anything may be in it.
                    Some(dice) if name.to_string_lossy().ends_with(MAPPED) => {
                        (0..32_768).map(|_| u8::try_from(dice.below(256)).unwrap_or(0)).collect()
                    }
                    Some(dice) => torn(&self.files[*file], dice),
                }),
            };
            there.insert(name.clone(), content);
        }
        there
    }

    /// Puts what is there after a cut in the place of the data folder, or into another folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn restore(&self, cut: Cut, to: &Path) -> Result<()> {
        let from = self.root.join("data");
        if to.exists() {
            std::fs::remove_dir_all(to)?;
        }
        for (name, content) in self.after(cut) {
            let Ok(within) = name.strip_prefix(&from) else { continue };
            let path = to.join(within);
            let mode = match content {
                Some(content) => std::fs::write(&path, content).map(|()| 0o600)?,
                None => std::fs::create_dir(&path).map(|()| 0o700)?,
            };
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
        }
        Ok(())
    }
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Size(size) => content.resize(*size, 0),
        Change::Write { at, bytes } => {
            let end = at + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*at..end].copy_from_slice(bytes);
        }
    }
}

/// Each sector in some state since the last sync, and the size likewise.
fn torn(content: &Content, dice: &mut Dice) -> Vec<u8> {
    let mut touched: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let (mut sizes, mut size) = (vec![content.sure.len()], content.sure.len());
    for (place, (_, change)) in content.pending.iter().enumerate() {
        match change {
            Change::Size(now) => size = *now,
            Change::Write { at, bytes } => {
                size = size.max(at + bytes.len());
                for sector in at / SECTOR..(at + bytes.len()).div_ceil(SECTOR) {
                    touched.entry(sector).or_default().push(place);
                }
            }
        }
        sizes.push(size);
    }
    let mut there = content.sure.clone();
    for (sector, changes) in touched {
        let kept = dice.below(changes.len() + 1);
        for place in changes.into_iter().take(kept) {
            let Change::Write { at, bytes } = &content.pending[place].1 else { continue };
            let (begin, end) = ((sector * SECTOR).max(*at), ((sector + 1) * SECTOR).min(at + bytes.len()));
            if there.len() < end {
                there.resize(end, 0);
            }
            there[begin..end].copy_from_slice(&bytes[begin - at..end - at]);
        }
    }
    there.resize(sizes[dice.below(sizes.len())], 0);
    there
}

/// Numbers that look random and are the same for the same seed. Source: SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
struct Dice(u64);

impl Dice {
    const fn of(cut: Cut) -> Option<Self> {
        match cut {
            Cut::Strict => None,
            Cut::Torn(seed) => Some(Self(seed)),
        }
    }

    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(count.max(1)).unwrap_or(1)).unwrap_or(0)
    }
}
