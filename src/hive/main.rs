//! The program; everything is in the library, so that tests can start a hive inside their own process.

fn main() -> std::process::ExitCode {
    hive::cli::run()
}
