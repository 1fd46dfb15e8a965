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
fn a_process_needs_exactly_one_start_and_its_flags_need_it() {
    let add = |flags: &[&str]| Cli::try_parse_from([&["hive", "agent", "add", "ada"], flags].concat());
    for good in [
        &[][..],
        &["--preset", "shell", "--arg", "-x", "--env-file", "-", "--timeout", "10m", "--memory", "2G"],
        &["--repository", ".", "--base", "main", "--keep", "never", "--", "cat", "--preset", "-x"],
        &["--directory", ".", "--cwd", "src", "--prompt", "file", "--result", "codex-json", "--", "cat"],
    ] {
        assert!(add(good).is_ok(), "{good:?}");
    }
    for bad in [
        &["--preset", "shell", "--", "cat"][..],
        &["--env-file", "x"],
        &["--timeout", "10m"],
        &["--base", "main", "--", "cat"],
        &["--repository", ".", "--directory", ".", "--", "cat"],
        &["--prompt", "pigeon", "--", "cat"],
        &["--memory", "2", "--", "cat"],
        &["cat"],
    ] {
        assert!(add(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn the_help_of_agent_add_names_every_preset_and_says_what_it_is() {
    let mut command = Cli::command();
    let add = command.find_subcommand_mut("agent").unwrap().find_subcommand_mut("add").unwrap();
    let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = joined(&add.render_help().to_string());
    let presets = links::Presets::embedded().unwrap();
    assert!(presets.all().count() >= 6);
    for preset in presets.all() {
        let entry = format!("{} {}", preset.name, joined(&preset.about));
        assert!(help.contains(&entry), "{entry} in {help}");
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
