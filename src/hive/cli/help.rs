//! The longer texts of the help.

use crate::exit::Exit;

/// One line about the whole.
pub const ABOUT: &str = "A home for your AI agents: give it tasks, it sees them through, crash or no crash.";

/// Under the short help.
pub const AFTER: &str = "\
First steps:
  hive                                    serve; everything lives in ./hive-data
  hive agent add ada -- cat               tell the hive who works for you: any command, or a preset
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
  hive agent add ada -- cat               tell the hive who works for you: any command, or a preset
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

/// Under `hive task bulk`.
pub const BULK: &str = "\
Each line is a task as POST /api/v2/tasks takes it; up to 1,000 lines are stored in one commit. A line that is refused
takes no other with it: it is named on stderr, and the command ends with 8.
Examples:
  hive task bulk tasks.jsonl
  jq -c '.[] | {title: .name, input: .}' orders.json | hive task bulk - --idempotency-key orders-2026-01-31";

/// Under `hive task wait`.
pub const WAIT: &str = "\
Prints the result of each task, one line a task when there are several (null where there is none).
Ends with 0 when all completed, 1 when one failed or was canceled, 7 when the time was over.";

/// Under `hive task output`.
pub const OUTPUT: &str = "\
With --follow it prints what the attempts write as they write it, from the latest one on, and ends with 0 when the
task has ended, however it ended.";

/// Under `hive events`.
pub const EVENTS: &str = "\
With --follow it begins with the newest events (as many as --limit says), after --after, or with all of --task, and prints each
event once, in order, also when the hive restarts meanwhile: --json one object a line. Ends with 0 by Ctrl-C or SIGTERM, with 5
when events that it has not printed yet are not kept any more, and with 6 when the log is another one (a restored backup).
Examples:
  hive events --limit 200
  hive events --follow --json | jq -r 'select(.kind == \"task.failed\") | .task_id'
  hive events --follow --after 0 --json >log.jsonl";

/// Under `hive monitor`.
pub const MONITOR: &str = "\
Keys: q or Ctrl-C ends, Tab and the arrows go from pane to pane and from row to row, p stops the picture, ? shows all keys. On a
terminal below 76 columns or 18 rows one pane is shown at a time. While the hive is away, it says so, shows what was before, and
goes on where it was when the hive is back. Needs a terminal; --once does not.
Examples:
  hive monitor
  hive monitor --once
  hive monitor --once --json | jq .system.tasks";

/// Under `hive task explain`.
pub const EXPLAIN: &str = "\
The reason that matters most stands first: hive_draining, delayed, backoff, queue_paused, limit, no_capable_agent, agents_draining,
agents_offline, agents_failed, agents_busy, agents_free, cancel_requested, working, completed, failed, canceled.
With --json each reason has its numbers.
Example:
  hive task explain task_0123456789abc";

/// Under `hive task update`.
pub const TASK_UPDATE: &str = "\
Labels are set together: those that are named take the place of all that the task has. A task that has ended keeps what
it has.
Examples:
  hive task update task_0123456789abc --priority 9
  hive task update task_0123456789abc --label team=blue --label month=may";

/// Under `hive task redrive`.
pub const REDRIVE: &str = "\
Prints the ids of those that were put back. One that is refused takes no other with it: it is named on stderr, and the
command ends with the code of the first one, 5 for no such task, 6 for one that is no dead letter.
Examples:
  hive task redrive task_0123456789abc task_0123456789abd
  hive task redrive --queue night --label team=blue --created-after 2h
  hive task redrive --all --limit 100";

/// Under `hive task heartbeat`.
pub const HEARTBEAT: &str = "\
A lease ends after 30 s without a heartbeat, unless the hive says otherwise; give one at a third of that. Ends with 6
when the attempt does not hold the task any more: then its work is in vain.
Example:
  hive task heartbeat task_0123456789abc --attempt 1 --progress 0.4 --message \"page 4 of 10\"";

/// Under `hive task append`.
pub const APPEND: &str = "\
An attempt writes 10 MiB at most, unless the hive says otherwise; what is more is cut.
Examples:
  hive task append task_0123456789abc --attempt 1 \"page 4 of 10\"
  ./work.sh 2>&1 >result.json | hive task append task_0123456789abc --attempt 1 -";

/// Under `hive task complete`.
pub const COMPLETE: &str = "\
The same report twice is answered the same. Ends with 6 when the attempt does not hold the task any more.
Examples:
  hive task complete task_0123456789abc --attempt 1 --result '{\"words\": 3}'
  hive task complete task_0123456789abc --attempt 1 --result @result.json --input-tokens 812 --cost-usd 0.01";

/// Under `hive task fail`.
pub const FAIL: &str = "\
The task is tried again after its backoff while attempts are left; with --no-retry it is a dead letter at once. Ends
with 6 when the attempt does not hold the task any more.
Example:
  hive task fail task_0123456789abc --attempt 1 --error-kind rate_limited --message \"the model is busy\"";

/// Under `hive task finish`.
pub const FINISH: &str = "\
Each line is a report as POST /api/v2/leases/complete takes it, with a result or an error; up to 1,000 lines are stored
in one commit. Prints each task with its state. A line that is refused takes no other with it: it is named on stderr,
and the command ends with 8.
Example:
  hive agent lease words --max 100 --json | jq -c '.assignments[] | {task_id, attempt, result: .input}' |
    hive task finish -";

/// Under `hive agent update`.
pub const AGENT_UPDATE: &str = "\
What is not named stays as it is. Capabilities, labels, --arg, --env-file, --inherit-env and the limits (--cpu,
--memory, --file-size, --open-files) are each set together: what is named takes the place of all there was. A new
command ends the tie to a preset. A worker stays a worker, and a process stays a process.
Examples:
  hive agent update ada --capacity 4 --capabilities rust,docker
  hive agent update bob --timeout 30m --memory 2G -- python3 /opt/agents/bob.py";

/// Under `hive agent restart`.
pub const AGENT_RESTART: &str = "\
For an agent that the hive has given up after too many failures, or that hangs. What it works on goes on; a worker that
waits for assignments is told that there are none, and asks again.
Example:
  hive agent restart ada";

/// Under `hive agent lease`.
pub const AGENT_LEASE: &str = "\
Each assignment is a task and the number of an attempt; report on it with `hive task heartbeat`, `append`, `complete`
and `fail`. --json has the input, too. When there is nothing to do, it prints nothing and ends with 0.
Examples:
  hive agent lease words --wait 30s --json
  hive agent lease words --max 10";

/// Under `hive queue limit`.
pub const QUEUE_LIMIT: &str = "\
A lower limit ends nothing that is worked on: nothing more begins until enough has ended. Survives restarts.
Examples:
  hive queue limit night 2
  hive queue limit night none";

/// Under `hive system actors`.
pub const ACTORS: &str = "\
MAILBOX is how many messages wait and how many may. Below the tree stand the last 10 failures and what the supervisor
did then: restarted, ended, given_up or escalated. --json has up to 256 of them.
Examples:
  hive system actors --prefix hive/agents
  hive system actors --json | jq '.items[] | select(.restarts > 0)'";

/// Under `hive system health`.
pub const HEALTH: &str = "\
Needs no token. Ends with 9 while the hive starts, drains or has no database, or when a part of it does not work.
Example:
  until hive system health >/dev/null 2>&1; do sleep 0.1; done";

/// Under `hive session broadcast`.
pub const BROADCAST: &str = "\
Needs the operator role. It is not kept: who is not connected does not hear it. It comes as `operator_message`, with the type
and the data.
Examples:
  hive session broadcast \"The hive restarts at 12:00\"
  hive session broadcast --topic tasks --type maintenance --data '{\"minutes\": 5}'";

/// Under `hive doctor`.
pub const DOCTOR: &str = "\
Each line is `ok`, a `note` (worth knowing) or a `problem`. Ends with 0 when there is no problem, else with the exit
code of the first one. It changes nothing.";

/// Under `hive backup create`.
pub const BACKUP_CREATE: &str = "\
It holds the whole database, also the secret values of agents' environments: keep it as you keep those. The admin token
is not in it. Nothing is overwritten.";

/// Under `hive backup restore`.
pub const BACKUP_RESTORE: &str = "\
The backup is verified first. Stop the hive of that folder, and workers that still hold tasks: what they did after the
backup was made is not known to it, and is done again.";

/// Under `hive migrate status`.
pub const MIGRATE_STATUS: &str = "\
Looks at the database of the settings, as `hive serve` would use it, whether a hive serves or not. It changes nothing, and
refuses a database that a newer hive has migrated.
Examples:
  hive migrate status
  hive migrate status --json | jq .pending";

/// Under `hive migrate run`.
pub const MIGRATE_RUN: &str = "\
A start does the same unless `database.migrate` is \"by_hand\". Safe to repeat: what is applied stays. A file is copied first
and must not be served from meanwhile; on PostgreSQL a hive may go on beside it, and is never held up for long.
Examples:
  hive migrate run --dry-run
  hive migrate run";

/// Under `hive copy`.
pub const COPY: &str = "\
Nobody may serve from either side meanwhile. Everything goes: tasks, output, events, keys, agents, under the same ids and the
same epoch; the token stays in its data folder. Every table is then read again on both sides and compared; only when all
are the same the copy is kept. The source stays as it is.
A password belongs into HIVE__DATABASE__URL or a settings file: `settings` names that database.
Examples:
  hive copy --from sqlite:./hive-data --to settings
  hive copy --from postgresql://hive@db.example/hive --to sqlite:./back";

/// Under `hive auth key create`.
pub const KEY_CREATE: &str = "\
Prints the key alone, this once: the hive keeps no more of it than a hash.

Roles: viewer reads; developer also hands in tasks; operator also manages queues and workers; admin does everything;
agent leases and reports for its one agent and nothing else.

Examples:
  KEY=$(hive auth key create ci --role developer --expires-in 90d)
  HIVE_TOKEN=$KEY hive task submit \"Nightly build\"
  hive auth key create words-1 --role agent --agent words >words-1.key";

/// Under `hive agent add`, with the presets that this program has.
pub fn agent_add() -> String {
    // the presets are part of the program and a test reads them; without them the help is still a help
    let presets = links::Presets::embedded().map(|presets| list(&presets)).unwrap_or_default();
    format!("{AGENT_ADD_HEAD}\n\nPresets:\n{presets}\n{AGENT_ADD_TAIL}")
}

fn list(presets: &links::Presets) -> String {
    presets.all().map(|preset| entry(preset.name.as_str(), &preset.about)).collect()
}

/// A name, and beside it what there is to say, in lines that fit.
fn entry(name: &str, about: &str) -> String {
    let mut text = format!("  {name:<ENTRY_INDENT$}");
    let mut column = 0;
    for word in about.split_whitespace() {
        if column > 0 && column + word.len() >= ENTRY_WIDTH {
            text = format!("{text}\n  {:<ENTRY_INDENT$}", "");
            column = 0;
        }
        let gap = if column > 0 { " " } else { "" };
        text = format!("{text}{gap}{word}");
        column += gap.len() + word.len();
    }
    text + "\n"
}

/// Columns of the names in a list.
const ENTRY_INDENT: usize = 13;
/// Columns of what stands beside them.
const ENTRY_WIDTH: usize = 80;

const AGENT_ADD_HEAD: &str = "\
Without a preset and without a command it is a worker: a program of yours that asks for work by HTTP.";

const AGENT_ADD_TAIL: &str = "\
Examples:
  hive agent add ada --preset claude-code --repository . --inherit-env ANTHROPIC_API_KEY
  hive agent add bob --capacity 4 --result json-last -- python3 /opt/agents/bob.py
  hive agent add eve --env-file eve.env --memory 2G -- sh -c 'tr a-z A-Z'
  hive agent add wim --role reviewer --capabilities rust,docker --label team=blue

The hive runs the command as its own user. It is not a sandbox: give agents commands that you trust.";
