//! Tests of the command line as a whole.

use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn nothing_takes_a_token_as_a_flag() {
    fn flags(command: &clap::Command) -> Vec<String> {
        let own = command.get_arguments().filter_map(|arg| arg.get_long().map(ToOwned::to_owned));
        own.chain(command.get_subcommands().flat_map(flags)).collect()
    }
    assert!(!flags(&Cli::command()).iter().any(|flag| flag == "token"));
}

#[test]
fn durations_on_the_command_line_are_read_whole() {
    let parse = |span: &str| Cli::try_parse_from(["hive", "task", "submit", "t", "--delay", span]);
    assert!(parse("42m30s").is_ok());
    let refused = parse("42m30sx").unwrap_err().to_string();
    assert!(refused.contains("must be like 42m30s"), "{refused}");
}

#[test]
fn the_long_help_has_every_exit_code() {
    let help = Cli::command().render_long_help().to_string();
    for exit in Exit::ALL {
        assert!(help.contains(&format!("{:>3}  {}", exit.code(), exit.meaning())), "{}", exit.code());
    }
}

#[test]
fn timeout_without_wait_is_a_mistake() {
    assert!(Cli::try_parse_from(["hive", "task", "submit", "t", "--timeout", "5s"]).is_err());
    assert!(Cli::try_parse_from(["hive", "task", "submit", "t", "--timeout", "5s", "--wait"]).is_ok());
}

#[test]
fn a_serving_flag_before_another_command_is_a_mistake() {
    let cli = Cli::try_parse_from(["hive", "--bind", "127.0.0.1:1", "config", "show"]).unwrap();
    assert_eq!(cli.run().unwrap_err().exit, Exit::Usage);
}
