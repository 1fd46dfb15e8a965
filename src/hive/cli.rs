//! The command line: one file a command, named after it.
//!
//! Invariant: data goes to stdout, notes to stderr; `--json` prints exactly what the API answered.
//!
//! Invariant: no flag takes a token, because every user of a machine can read the flags of every process.

mod agent;
mod agent_add;
mod agent_drain;
mod agent_lease;
mod agent_list;
mod agent_remove;
mod agent_restart;
mod agent_resume;
mod agent_show;
mod agent_update;
mod auth;
mod auth_key_create;
mod auth_key_list;
mod auth_key_remove;
mod backup;
mod backup_create;
mod backup_restore;
mod backup_verify;
mod completions;
mod config;
mod config_check;
mod config_show;
mod copy;
mod demo;
mod doctor;
mod env_file;
mod events;
mod events_follow;
mod exec_guard;
mod help;
mod input;
mod json_lines;
mod link_flags;
mod link_words;
mod man;
mod migrate;
mod migrate_run;
mod migrate_status;
mod monitor;
mod output_follow;
mod process_flags;
mod queue;
mod queue_limit;
mod queue_list;
mod queue_pause;
mod queue_resume;
mod queue_show;
mod screen;
mod serve;
mod session;
mod session_broadcast;
mod session_contract;
mod session_disconnect;
mod session_health;
mod session_limits;
mod session_list;
mod session_metrics;
mod size;
mod system;
mod system_actors;
mod system_health;
mod system_metrics;
mod system_nodes;
mod system_performance;
mod table;
mod task;
mod task_append;
mod task_attempts;
mod task_bulk;
mod task_cancel;
mod task_complete;
mod task_explain;
mod task_fail;
mod task_finish;
mod task_heartbeat;
mod task_list;
mod task_output;
mod task_redrive;
mod task_retry;
mod task_show;
mod task_submit;
mod task_update;
mod task_wait;
#[cfg(test)]
mod tests;
mod usage_flags;
mod words;
mod workspace;
mod workspace_list;
mod workspace_prune;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use client::Client;

use crate::connection::{Connection, Wishes};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings::Flags;
pub use screen::Screen;
pub(crate) use table::{Facts, Table, number, text, toned};
pub use table::{Tone, tone_of};
pub use words::{count, counted, now, one_line};

/// Runs the hive, a durable home for teams of AI agents, and talks to it.
#[derive(Debug, Parser)]
#[command(
    name = "hive",
    version,
    about = help::ABOUT,
    after_help = help::AFTER,
    after_long_help = help::after_long(),
    disable_help_subcommand = true,
    max_term_width = 100,
)]
pub struct Cli {
    /// What to do; serves when nothing is named.
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeFlags,
    #[command(flatten)]
    common: GlobalFlags,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
struct GlobalFlags {
    /// Data folder [default: ./hive-data]; commands find server and token in it
    #[arg(long, global = true, value_name = "PATH", help_heading = "Which hive")]
    data_dir: Option<PathBuf>,
    /// Address of the server, like http://127.0.0.1:18080, when the data folder is elsewhere
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "HIVE_SERVER",
        hide_env_values = true,
        help_heading = "Which hive"
    )]
    server: Option<String>,
    /// File with the token; HIVE_TOKEN may hold the token itself
    #[arg(long, global = true, value_name = "PATH", help_heading = "Which hive")]
    token_file: Option<PathBuf>,
    /// Print the API's JSON instead of tables
    #[arg(long, global = true)]
    json: bool,
}

/// Flags of `serve` and `config`.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeFlags {
    /// Listen here [default: 127.0.0.1:18080]; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Serving")]
    bind: Option<String>,
    /// Read settings from this TOML file
    #[arg(long, value_name = "PATH", help_heading = "Serving")]
    config: Option<PathBuf>,
    /// Keep everything in this PostgreSQL database, not in a file of the data folder
    ///
    /// A password in it would stand in the list of processes: write it into HIVE__DATABASE__URL or a settings file.
    #[arg(long, value_name = "URL", help_heading = "Serving")]
    database_url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the hive (also without any command)
    Serve(ServeFlags),
    /// See a hive work: agents, tasks, a few crashes, and proof that all results are right
    Demo(demo::Demo),
    /// Submit tasks and follow them
    #[command(subcommand)]
    Task(task::Task),
    /// Register the agents that do the work, and see how they do
    #[command(subcommand)]
    Agent(agent::Agent),
    /// See and clean up the worktrees that agents left
    #[command(subcommand)]
    Workspace(workspace::Workspace),
    /// See, pause, resume and limit queues
    #[command(subcommand)]
    Queue(queue::Queue),
    /// Say who else gets in
    #[command(subcommand)]
    Auth(auth::Auth),
    /// Read the log: everything that happened, in order
    Events(events::Events),
    /// Watch the hive work, on a terminal
    Monitor(monitor::Monitor),
    /// Show how the hive is doing, or look closer
    System(system::System),
    /// See and manage who watches the hive over a WebSocket
    #[command(subcommand)]
    Session(session::Session),
    /// Look at everything a hive needs and say what is missing
    Doctor(doctor::Doctor),
    /// Make, check and restore backups
    #[command(subcommand)]
    Backup(backup::Backup),
    /// Show the schema of the database, or bring it up to date
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    /// Take a hive that is stopped from one database to another
    Copy(copy::Copy),
    /// Show or check the settings
    #[command(subcommand)]
    Config(config::Config),
    /// Print the completions of your shell
    Completions(completions::Completions),
    /// Print or write the manual pages
    Man(man::Man),
}

/// What a command that talks to a hive works with.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) screen: Screen,
}

impl ServeFlags {
    fn is_empty(&self) -> bool {
        self.bind.is_none() && self.config.is_none() && self.database_url.is_none()
    }

    fn with_folder(self, common: &GlobalFlags) -> Flags {
        Flags {
            config: self.config,
            bind: self.bind,
            data_dir: common.data_dir.clone(),
            database_url: self.database_url,
        }
    }
}

/// The program: reads the command line, runs the command, tells how it ended.
#[must_use]
pub fn run() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(ended) = exec_guard::run(&words) {
        return ended.unwrap_or_else(|failure| tell(&failure)).into();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => {
            // help and version go to stdout and are no mistake; a reader that went away is none either
            let _ = answer.print();
            return if answer.use_stderr() { Exit::Usage } else { Exit::Fine }.into();
        }
    };
    cli.run().unwrap_or_else(|failure| tell(&failure)).into()
}

impl Cli {
    fn run(self) -> Result<Exit, Failure> {
        let Self { command, serve, common } = self;
        match command {
            None => serve::run(&serve.with_folder(&common)),
            Some(Command::Serve(own)) => {
                let flags = ServeFlags {
                    bind: own.bind.or(serve.bind),
                    config: own.config.or(serve.config),
                    database_url: own.database_url.or(serve.database_url),
                };
                serve::run(&flags.with_folder(&common))
            }
            Some(_) if !serve.is_empty() => {
                Err(Failure::usage("--bind, --config and --database-url go with serving")
                    .hint("write them after `hive serve`"))
            }
            Some(Command::Demo(command)) => command.run(&common),
            Some(Command::Backup(command)) => command.run(&common),
            Some(Command::Migrate(command)) => command.run(&common),
            Some(Command::Copy(command)) => command.run(&common),
            Some(Command::Doctor(command)) => command.run(&common),
            Some(Command::Config(command)) => command.run(&common),
            Some(Command::Completions(command)) => command.run(),
            Some(Command::Man(command)) => command.run(),
            Some(Command::Task(command)) => talk(common, async |context| command.run(context).await),
            Some(Command::Agent(command)) => talk(common, async |context| command.run(context).await),
            Some(Command::Workspace(command)) => talk(common, async |context| command.run(context).await),
            Some(Command::Queue(command)) => talk(common, async |context| command.run(context).await),
            Some(Command::Auth(command)) => talk(common, async |context| command.run(context).await),
            Some(Command::Events(command)) => talk(common, async |context| command.run(context).await),
            Some(Command::Monitor(command)) => talk(common, async |context| command.run(context).await),
            Some(Command::Session(command)) => talk(common, async |context| command.run(context).await),
            Some(Command::System(command)) => talk(common, async |context| command.run(context).await),
        }
    }
}

/// Runs a command that talks to a hive, on a small runtime of this thread.
fn talk(
    common: GlobalFlags,
    command: impl AsyncFnOnce(&mut Context) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let env_text = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let wishes = Wishes {
        server: common.server.filter(|server| !server.is_empty()),
        token_file: common.token_file,
        token: env_text("HIVE_TOKEN"),
        data_dir: common.data_dir.or_else(|| env_text("HIVE__STORE__DATA_DIR").map(PathBuf::from)),
    };
    let connection = Connection::find(wishes)?;
    let mut context = Context { client: connection.client()?, screen: Screen::of_process(common.json) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::surroundings(&error))?;
    let ended = runtime.block_on(command(&mut context));
    // what was written before a failure is still worth reading
    let flushed = context.screen.finish();
    let exit = ended.map_err(|failure| connection.explain(failure))?;
    flushed?;
    Ok(exit)
}

fn tell(failure: &Failure) -> Exit {
    use std::io::Write;
    if !failure.message.is_empty() {
        let mut told = format!("hive: {}\n", failure.message);
        if let Some(hint) = &failure.hint {
            told = format!("{told}  {hint}\n");
        }
        // when nobody can read it there is nobody left to tell
        let _ = std::io::stderr().write_all(told.as_bytes());
    }
    failure.exit
}
