//! Pages that come from the program: docs/settings.md and the manual pages.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use tests::program;

#[test]
fn the_page_about_settings_says_what_the_code_does() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let page = hive::settings::page::page()?;
    if std::env::var_os("HIVE_TESTS_UPDATE").is_some() {
        std::fs::write(&path, page)?;
    } else if std::fs::read_to_string(&path).unwrap_or_default() != page {
        bail!("docs/settings.md is not what the code says; HIVE_TESTS_UPDATE=1 writes it anew");
    }
    Ok(())
}

#[test]
fn man_prints_the_first_page_and_writes_all_of_them_into_a_folder() -> Result<()> {
    let printed = Command::new(program()).arg("man").output()?;
    let folder = tempfile::tempdir()?;
    let pages = folder.path().join("man1");
    let written = Command::new(program()).args(["man", "--dir"]).arg(&pages).output()?;
    assert_eq!((printed.status.code(), written.status.code()), (Some(0), Some(0)));
    assert_eq!(std::fs::read(pages.join("hive.1"))?, printed.stdout);
    for name in ["hive-serve.1", "hive-task-submit.1", "hive-backup-restore.1", "hive-man.1"] {
        let page = std::fs::read_to_string(pages.join(name))?;
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
    let nowhere = Command::new(program()).args(["man", "--dir", "/proc/nowhere"]).output()?;
    assert_eq!(nowhere.status.code(), Some(74));
    assert!(String::from_utf8(nowhere.stderr)?.contains("cannot write into /proc/nowhere"));
    Ok(())
}
