//! The program; everything is in the library, so that tests can start a hive inside their own process.

/// What it allocates is mostly small and goes between threads, which this one is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hive::cli::run()
}
