//! Builds the crate anew when a migration changes (`embed_migrations!` does not tell cargo what it read), and writes down
//! what each of them says, which the embedded ones keep to themselves.

use std::fmt::Write;
use std::path::Path;

fn main() {
    let mut texts = String::new();
    for database in ["sqlite", "postgres"] {
        let folder = Path::new("../../migrations").join(database);
        println!("cargo:rerun-if-changed={}", folder.display());
        let mut names: Vec<String> = std::fs::read_dir(&folder)
            .expect("the folder of migrations can be read")
            .map(|entry| entry.expect("an entry can be read").file_name())
            .map(|name| name.into_string().expect("a migration's name is text"))
            .collect();
        names.sort();
        let constant = database.to_uppercase();
        writeln!(texts, "pub(super) const {constant}: &[(&str, &str)] = &[").expect("memory takes it");
        for name in names {
            let file = folder.join(&name).join("up.sql").canonicalize().expect("a migration has an up.sql");
            writeln!(texts, "    ({name:?}, include_str!({file:?})),").expect("memory takes it");
        }
        writeln!(texts, "];").expect("memory takes it");
    }
    let out = std::env::var("OUT_DIR").expect("cargo says where to write");
    std::fs::write(Path::new(&out).join("migrations.rs"), texts).expect("it can be written");
}
