//! Builds the crate anew when a migration changes: `embed_migrations!` does not tell cargo what it read.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/sqlite");
    println!("cargo:rerun-if-changed=../../migrations/postgres");
}
