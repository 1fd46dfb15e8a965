//! The program: CLI, settings, telemetry set-up, composition root.
//!
//! ```text
//!   main --> cli::run --serve--> settings + telemetry --> serve::start --> until_stopped
//!                     --demo--> a hive as a child, spoken to as by any client
//!                     --backup, copy, migrate--> the database, beside a hive that serves or not
//!                     --monitor--> a session of the WebSocket, drawn on the terminal
//!                     --the rest--> connection (finds server and token) --> client --> screen
//! ```
//!
//! Invariant: the CLI is a client like any other; only `serve`, `backup`, `copy`, `migrate`, `doctor` and
//! `config` touch the inside.
//!
//! Invariant: the token is shown nowhere, not in logs, errors or the flags of a process, but for one place: the link that
//! `serve` writes to a terminal, and to nothing else.
//!
//! Reading order: [`cli`], [`settings`], [`serve`]; [`backup`], [`doctor`], [`demo`]; [`monitor`]; [`connection`], [`failure`], [`exit`]; then the small ones:
//! [`admin_token`], [`data_folder`], [`server_file`], [`pause`], [`span`], [`stops`], [`telemetry`].

pub mod admin_token;
pub mod backup;
pub mod cli;
pub mod connection;
pub mod data_folder;
pub mod demo;
pub mod doctor;
pub mod exit;
pub mod failure;
pub mod monitor;
pub mod pause;
pub mod serve;
pub mod server_file;
pub mod settings;
pub mod span;
pub mod stops;
pub mod telemetry;
