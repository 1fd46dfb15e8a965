//! The end of a backup's file: its manifest, and the checksum that covers every byte before it.
//!
//! ```text
//!   <manifest>\n<SHA-256 in hex, 64> <length of the manifest, 10 digits> hive-backup-1\n
//! ```

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::manifest::Manifest;
use crate::exit::Exit;
use crate::failure::Failure;

/// Names this form; another form gets another number.
const FORMAT: &str = "hive-backup-1";
/// Letters of the seal, with its line break.
const SEAL_BYTES: u64 = 64 + 1 + 10 + 1 + 13 + 1;
/// Longest manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 64 << 10;
/// What is read at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// What every SQLite database begins with.
const SQLITE: &[u8; 16] = b"SQLite format 3\0";

/// A backup whose seal is unbroken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// What it says about itself.
    pub manifest: Manifest,
    /// Its length, seal and all.
    pub bytes: u64,
    /// Checksum of the file, as `sha256sum` tells it.
    pub sha256: String,
}

/// Seals a file that holds a database and nothing else, and syncs it.
///
/// # Errors
/// What the system says.
pub fn write(path: &Path, manifest: Manifest) -> io::Result<Sealed> {
    let mut file = File::options().read(true).append(true).open(path)?;
    let mut hasher = Sha256::new();
    pass(&mut (&file).take(manifest.database_bytes), &mut hasher, &mut io::sink())?;
    let mut line = serde_json::to_string(&manifest).map_err(io::Error::other)?;
    line.push('\n');
    hasher.update(line.as_bytes());
    let seal = format!("{} {:010} {FORMAT}\n", hex(&hasher.clone().finalize()), line.len());
    hasher.update(seal.as_bytes());
    file.write_all(line.as_bytes())?;
    file.write_all(seal.as_bytes())?;
    file.sync_all()?;
    Ok(Sealed { manifest, bytes: file.metadata()?.len(), sha256: hex(&hasher.finalize()) })
}

/// Reads a backup from end to end, writes its database into `copy`, and checks the seal.
///
/// # Errors
/// A [`Failure`]: it cannot be read, is no backup, is cut off or damaged; or the copy cannot be written.
pub fn read(path: &Path, copy: &mut dyn Write) -> Result<Sealed, Failure> {
    let unreadable = |error: io::Error| failed(format!("cannot read {}: {error}", path.display()));
    let mut file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    let (seal, manifest_bytes) = last_words(&mut file, bytes).map_err(unreadable)?.ok_or_else(|| {
        let is_database = begins_as_database(&mut file);
        no_seal(path, is_database)
    })?;
    let Some(database_bytes) =
        bytes.checked_sub(SEAL_BYTES + manifest_bytes).filter(|_| manifest_bytes <= MANIFEST_BYTES_MAX)
    else {
        return Err(broken(path, "its seal tells of a manifest that cannot be"));
    };
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let mut hasher = Sha256::new();
    pass(&mut (&file).take(database_bytes), &mut hasher, copy)
        .map_err(|error| failed(format!("cannot copy {}: {error}", path.display())))?;
    let mut line = Vec::new();
    (&file).take(manifest_bytes).read_to_end(&mut line).map_err(unreadable)?;
    hasher.update(&line);
    if hex(&hasher.clone().finalize()) != seal {
        return Err(broken(path, "its checksum is another one than when it was made"));
    }
    hasher.update(format!("{seal} {manifest_bytes:010} {FORMAT}\n").as_bytes());
    let manifest: Manifest = serde_json::from_slice(&line)
        .map_err(|error| broken(path, &format!("its manifest cannot be understood: {error}")))?;
    if manifest.database_bytes != database_bytes {
        return Err(broken(path, "its manifest tells of a database of another length"));
    }
    Ok(Sealed { manifest, bytes, sha256: hex(&hasher.finalize()) })
}

/// The checksum and the length of the manifest, from the end of the file; `None` where no seal is.
fn last_words(file: &mut File, bytes: u64) -> io::Result<Option<(String, u64)>> {
    let Some(start) = bytes.checked_sub(SEAL_BYTES) else { return Ok(None) };
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    file.take(SEAL_BYTES).read_to_end(&mut text)?;
    let Some(text) = String::from_utf8(text).ok().and_then(|text| text.strip_suffix('\n').map(str::to_owned))
    else {
        return Ok(None);
    };
    let words: Vec<&str> = text.split(' ').collect();
    let &[seal, length, FORMAT] = words.as_slice() else { return Ok(None) };
    let is_seal = seal.len() == 64 && length.len() == 10;
    Ok(length.parse().ok().filter(|_| is_seal).map(|length| (seal.to_owned(), length)))
}

fn begins_as_database(file: &mut File) -> bool {
    let mut head = [0; SQLITE.len()];
    file.seek(SeekFrom::Start(0)).is_ok() && file.read_exact(&mut head).is_ok() && head == *SQLITE
}

/// Everything from `from` through the checksum into `into`.
fn pass(from: &mut dyn Read, hasher: &mut Sha256, into: &mut dyn Write) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk)?;
        let read = chunk.get(..length).unwrap_or_default();
        if read.is_empty() {
            return Ok(());
        }
        hasher.update(read);
        into.write_all(read)?;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn failed(message: String) -> Failure {
    Failure::new(Exit::Environment, message)
}

fn no_seal(path: &Path, is_database: bool) -> Failure {
    let shown = path.display();
    if is_database {
        failed(format!(
            "{shown} is no whole backup: it begins as a database and its seal is missing or broken"
        ))
        .hint("it was cut off or changed, or `hive backup create` did not make it")
    } else {
        failed(format!("{shown} is no backup of a hive"))
    }
}

fn broken(path: &Path, why: &str) -> Failure {
    failed(format!("the backup {} is damaged: {why}", path.display())).hint("use another backup")
}
