//! The one integration binary: the real program, spoken to from outside.

mod api_agents;
mod api_contract;
mod api_errors;
mod api_tasks;
mod cli;
mod cli_agents;
mod cli_exits;
mod cli_settings;
mod cli_tasks;
mod cli_terminal;
mod disk;
mod drills;
mod durability;
mod examples;
mod recovery;
mod serve;
mod serve_stops;
mod style;
mod workers;
