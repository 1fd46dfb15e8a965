//! What is fuzzed, with every file of the corpora: findings that were mended stay mended, on stable and without a fuzzer.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

#[path = "fuzz/targets.rs"]
mod targets;

use targets::TARGETS;

#[test]
fn every_file_of_the_corpora_passes_its_target() -> Result<()> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let there: BTreeSet<_> = std::fs::read_dir(&corpora)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    assert_eq!(there, TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect());
    for (name, target) in TARGETS {
        let mut files: Vec<_> = std::fs::read_dir(corpora.join(name))?
            .map(|entry| anyhow::Ok(entry?.path()))
            .collect::<Result<_>>()?;
        files.sort();
        assert!(files.len() >= 3, "the corpus of {name} has {} files", files.len());
        for file in files {
            let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
            target(&bytes);
        }
    }
    Ok(())
}
