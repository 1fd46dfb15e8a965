//! The notes of the layer, as `shim.c` writes them.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A process begins; `value` is its id.
    Start,
    /// Bit 0 of `value`: the file is new; bit 1: it is emptied; bit 2: it is a folder.
    Open,
    /// A descriptor is given back.
    Close,
    /// `value` stands for the same as `fd`.
    Dup,
    /// `content` goes to `place`.
    Write,
    /// `place` is the new size.
    Truncate,
    /// A sync is asked for.
    SyncBegin,
    /// It has returned, with the error number in `value`.
    SyncEnd,
    /// It has returned well, and nothing was done.
    Lie,
    /// `content` is the new name.
    Rename,
    /// A name is gone.
    Unlink,
    /// A folder is new.
    Mkdir,
    /// A folder is gone.
    Rmdir,
    /// `content` begins to leave over a connection.
    Sent,
    /// A file is mapped so that it can be written.
    Map,
    /// Something that the layer does not follow.
    Blind,
}

impl Kind {
    const ALL: [Self; 16] = [
        Self::Start,
        Self::Open,
        Self::Close,
        Self::Dup,
        Self::Write,
        Self::Truncate,
        Self::SyncBegin,
        Self::SyncEnd,
        Self::Lie,
        Self::Rename,
        Self::Unlink,
        Self::Mkdir,
        Self::Rmdir,
        Self::Sent,
        Self::Map,
        Self::Blind,
    ];
}

/// One note.
#[derive(Debug)]
pub struct Record<'a> {
    /// What happened.
    pub kind: Kind,
    /// To which descriptor.
    pub fd: i32,
    /// As the kind says.
    pub value: i32,
    /// As the kind says.
    pub place: i64,
    /// The name, where it is about one.
    pub path: PathBuf,
    /// As the kind says.
    pub content: &'a [u8],
}

impl Record<'_> {
    /// The new name of a rename.
    #[must_use]
    pub fn renamed(&self) -> PathBuf {
        PathBuf::from(String::from_utf8_lossy(self.content).into_owned())
    }
}

const MAGIC: u32 = 0x4849_5645;
const HEAD: usize = 32;

/// All notes. The last one may be cut off: the program was killed while it was written, and has not done what it says.
///
/// # Errors
/// When something else is in the file.
pub fn records(noted: &[u8]) -> Result<Vec<Record<'_>>> {
    let (mut found, mut left) = (Vec::new(), noted);
    while let Some((head, rest)) = left.split_at_checked(HEAD) {
        let word = |at: usize| {
            let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_le_bytes).context("a word")
        };
        ensure!(word(0)? == MAGIC, "the notes are broken after {} bytes", noted.len() - left.len());
        let kind = usize::try_from(word(4)?)?.checked_sub(1).and_then(|at| Kind::ALL.get(at));
        let place = i64::from(word(16)?) | i64::from(word(20)?) << 32;
        let Some((path, rest)) = rest.split_at_checked(usize::try_from(word(24)?)?) else { break };
        let Some((content, rest)) = rest.split_at_checked(usize::try_from(word(28)?)?) else { break };
        found.push(Record {
            kind: *kind.with_context(|| format!("no kind has the number {:?}", word(4)))?,
            fd: i32::from_le_bytes(word(8)?.to_le_bytes()),
            value: i32::from_le_bytes(word(12)?.to_le_bytes()),
            place,
            path: PathBuf::from(String::from_utf8_lossy(path).into_owned()),
            content,
        });
        left = rest;
    }
    Ok(found)
}
