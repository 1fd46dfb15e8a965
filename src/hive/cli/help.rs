//! The longer texts of the help.

use crate::exit::Exit;

/// One line about the whole.
pub const ABOUT: &str = "A home for your AI agents: give it tasks, it sees them through, crash or no crash.";

/// Under the short help.
pub const AFTER: &str = "\
First steps:
  hive                                    serve; everything lives in ./hive-data
  hive agent add ada --capabilities rust  tell the hive who works for you
  hive task submit \"Say hello\" --wait     hand in a task, get its result
  hive task list                          see what is going on

`hive --help` also lists exit codes and the environment.";

/// Under the long help.
pub fn after_long() -> String {
    format!("{AFTER_LONG_HEAD}\n\nExit codes:\n{}\n\n{AFTER_LONG_TAIL}", Exit::table())
}

const AFTER_LONG_HEAD: &str = "\
First steps:
  hive                                    serve; everything lives in ./hive-data
  hive agent add ada --capabilities rust  tell the hive who works for you
  hive task submit \"Say hello\" --wait     hand in a task, get its result
  hive task list                          see what is going on";

const AFTER_LONG_TAIL: &str = "\
Environment:
  HIVE_SERVER            address of the server, as --server
  HIVE_TOKEN             the token (a flag would show it to every user of the machine)
  HIVE__SECTION__KEY     a setting, like HIVE__LEASE__TTL_MS=60000; `hive config show` lists them
  NO_COLOR               any value: no colours

Output: data goes to stdout, notes go to stderr. Tables on a terminal, the API's own JSON with --json.
Spans of time are written like 42m30s, 500ms or 2d.";

/// Under `hive task submit`.
pub const SUBMIT: &str = "\
Examples:
  hive task submit \"Summarize the report\" --input @report.json --wait
  echo '{\"url\":\"https://example.org\"}' | hive task submit \"Fetch\" --input -
  hive task submit \"Nightly build\" --delay 8h --requires rust,docker --priority 9
  ID=$(hive task submit \"Think\"); hive task wait \"$ID\" --timeout 42m30s";

/// Under `hive task wait`.
pub const WAIT: &str = "\
Prints the result of each task, one line a task when there are several (null where there is none).
Ends with 0 when all completed, 1 when one failed or was canceled, 7 when the time was over.";

/// Under `hive agent add`.
pub const AGENT_ADD: &str = "\
Examples:
  hive agent add ada --capabilities rust,docker --capacity 4
  hive agent add --role reviewer bob --label team=blue";
