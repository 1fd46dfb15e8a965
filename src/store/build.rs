//! Builds the crate anew when a migration changes (`embed_migrations!` does not tell cargo what it read), and writes down
//! what each of them says, which the embedded ones keep to themselves.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let mut texts = String::new();
    for database in ["sqlite", "postgres"] {
        let folder = Path::new("../../migrations").join(database);
        println!("cargo:rerun-if-changed={}", folder.display());
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            names.push(entry?.file_name());
        }
        names.sort();
        writeln!(texts, "pub(super) const {}: &[(&str, &str)] = &[", database.to_uppercase())?;
        for name in names {
            // Found from where the crate is when it is compiled, which need not be where this ran: a target may be shared.
            let name = name.to_str().ok_or("a migration's name is not UTF-8")?;
            let file = format!("/../../migrations/{database}/{name}/up.sql");
            writeln!(
                texts,
                "    ({name:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {file:?}))),"
            )?;
        }
        writeln!(texts, "];")?;
    }
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("migrations.rs"), texts)?;
    Ok(())
}
