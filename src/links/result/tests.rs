//! What the reader makes of real streams (`fixtures`: what the programs printed, shortened), and of anything else.

use domain::Name;
use proptest::prelude::*;

use super::*;
use crate::preset::Presets;

const MAX: usize = 4_096;
const DONE: Exit = Exit::Code(0);

const CLAUDE_TEXT: &str = include_str!("fixtures/claude_text.jsonl");
const CLAUDE_WRITE: &str = include_str!("fixtures/claude_write.jsonl");
const CLAUDE_SIGNED_OUT: &str = include_str!("fixtures/claude_signed_out.jsonl");
const CLAUDE_WRONG_KEY: &str = include_str!("fixtures/claude_wrong_key.jsonl");
const CLAUDE_BAD_REQUEST: &str = include_str!("fixtures/claude_bad_request.jsonl");
const CLAUDE_MAX_TURNS: &str = include_str!("fixtures/claude_max_turns.jsonl");
const CLAUDE_MAX_BUDGET: &str = include_str!("fixtures/claude_max_budget.jsonl");
const CODEX_TEXT: &str = include_str!("fixtures/codex_text.jsonl");
const CODEX_COMMAND: &str = include_str!("fixtures/codex_command.jsonl");
const CODEX_BAD_REQUEST: &str = include_str!("fixtures/codex_bad_request.jsonl");
const CODEX_OVERLOADED: &str = include_str!("fixtures/codex_overloaded.jsonl");
const CODEX_WRONG_KEY: &str = include_str!("fixtures/codex_wrong_key.jsonl");
const CODEX_NO_KEY: &str = include_str!("fixtures/codex_no_key.jsonl");
const CODEX_SIGNED_OUT: &str = include_str!("fixtures/codex_signed_out.jsonl");

use ResultFormat::{ClaudeStreamJson, CodexJson, JsonLast, Text};

fn read(format: ResultFormat, stdout: &str, exit: Exit) -> Report {
    read_as(format, stdout, "", exit, None)
}

fn read_as(format: ResultFormat, stdout: &str, stderr: &str, exit: Exit, preset: Option<&str>) -> Report {
    let mut reader = ResultReader::new(format, MAX, &[Secret::new("hunter2")]);
    reader.push(stdout.as_bytes());
    reader.push_error(stderr.as_bytes());
    let presets = Presets::embedded().unwrap();
    let preset = preset.map(|name| presets.get(&name.parse::<Name>().unwrap()).unwrap());
    reader.finish(exit, preset)
}

fn succeeded(report: Report) -> (String, Option<Usage>) {
    match report {
        Report::Succeeded { result, usage } => (result.unwrap(), usage),
        other => panic!("{other:?}"),
    }
}

/// The kind, the message, and whether trying again may help.
fn failed(report: Report) -> (String, String, bool) {
    match report {
        Report::Failed { error, retryable, .. } => (error.kind, error.message, retryable),
        other => panic!("{other:?}"),
    }
}

fn usage_of(report: &Report) -> Usage {
    match report {
        Report::Succeeded { usage, .. } | Report::Failed { usage, .. } => usage.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn text_is_all_of_standard_output_without_its_last_line_end() {
    assert_eq!(
        succeeded(read(Text, "a \"b\"\n\nc\n\n", DONE)),
        (r#"{"text":"a \"b\"\n\nc"}"#.to_owned(), None)
    );
    assert_eq!(succeeded(read(Text, "", DONE)).0, r#"{"text":""}"#);
    assert_eq!(succeeded(read(Text, "a\0b hunter2", DONE)).0, "{\"text\":\"a\u{FFFD}b ***\"}");
}

#[test]
fn a_text_too_long_for_a_result_keeps_its_head_and_its_tail() {
    for lines in [1_000, 100_000] {
        let text: String = (0..lines).map(|line| format!("line {line} hunter2\n")).collect();
        let (result, _) = succeeded(read(Text, &text, DONE));
        let json: serde_json::Value = serde_json::from_str(&result).unwrap();
        assert!((MAX - 60..=MAX).contains(&result.len()), "{}", result.len());
        assert_eq!(json["truncated"], true);
        let kept = json["text"].as_str().unwrap();
        assert!(kept.starts_with("line 0 ***\nline 1 ***\n") && kept.contains(" bytes cut ...]\n"), "{kept}");
        assert!(kept.ends_with(&format!("line {} ***", lines - 1)) && !kept.contains("hunter"), "{kept}");
    }
}

#[test]
fn json_is_passed_on_byte_for_byte() {
    let pretty = "{\n  \"n\": 1.10,\n  \"list\": [\n    \"last line that is JSON\"\n  ]\n}\n";
    assert_eq!(succeeded(read(JsonLast, pretty, DONE)).0, pretty.trim());
    let chatter = "reading\n{\"n\":1}\n{\"n\" : 1e2}\n12 files\n{\"n\":\nbye";
    assert_eq!(succeeded(read(JsonLast, chatter, DONE)).0, r#"{"n" : 1e2}"#);
    assert_eq!(succeeded(read(JsonLast, "ok\nnull\r\n", DONE)).0, "null");
}

#[test]
fn output_without_json_has_no_result() {
    for stdout in ["", "done\n", "{\"n\":\none\n} and\nso on"] {
        let (kind, message, retryable) = failed(read(JsonLast, stdout, DONE));
        assert_eq!((kind.as_str(), retryable), ("no_result", true), "{message}");
    }
}

#[test]
fn json_is_found_behind_more_output_than_is_kept_but_half_a_line_is_none() {
    let chatter = "x".repeat(200) + "\n";
    let long = chatter.repeat(10_000) + "{\"n\":1}\n" + &chatter.repeat(1_000);
    assert_eq!(succeeded(read(JsonLast, &long, DONE)).0, r#"{"n":1}"#);
    assert_eq!(failed(read(JsonLast, &"1".repeat(1_000_000), DONE)).0, "no_result");
}

#[test]
fn json_that_no_store_can_hold_is_no_result() {
    let (kind, message, _) = failed(read(JsonLast, &"[".repeat(65), DONE));
    assert_eq!(kind, "no_result", "{message}");
    let deep = "[".repeat(65) + &"]".repeat(65);
    assert_eq!(failed(read(JsonLast, &deep, DONE)).1, "the result is nested deeper than 64 levels");
    assert_eq!(failed(read(JsonLast, r#""\u0000""#, DONE)).1, "the result holds the character U+0000");
    let (kind, message, retryable) = failed(read(JsonLast, &format!("\"{}\"", "x".repeat(MAX)), DONE));
    assert_eq!((kind.as_str(), retryable), ("result_too_large", false), "{message}");
}

#[test]
fn json_does_not_show_a_secret() {
    assert_eq!(succeeded(read(JsonLast, r#"{"key":"hunter2"}"#, DONE)).0, r#"{"key":"***"}"#);
    let mut reader = ResultReader::new(JsonLast, MAX, &[Secret::new("123456")]);
    reader.push(br#"{"pin":123456}"#);
    let (kind, message, _) = failed(reader.finish(DONE, None));
    assert_eq!(kind, "no_result");
    assert!(!message.contains("123456"), "{message}");
}

#[test]
fn claude_tells_its_answer_and_what_it_cost() {
    let report = read(ClaudeStreamJson, CLAUDE_TEXT, DONE);
    let usage = usage_of(&report);
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(900), Some(7)));
    assert!(usage.cost_usd.is_some_and(|cost| (cost - 0.004_675).abs() < 1e-9), "{usage:?}");
    assert_eq!(
        succeeded(report).0,
        r#"{"text":"PONG from aimock","session_id":"7f08ec74-062f-466f-b302-812e483a232b","turns":1,"duration_ms":85}"#
    );
    let report = read(ClaudeStreamJson, CLAUDE_WRITE, DONE);
    assert_eq!(usage_of(&report).input_tokens, Some(2_200));
    let (result, _) = succeeded(report);
    assert!(
        result.starts_with(r#"{"text":"DONE: file written","#) && result.contains(r#""turns":2"#),
        "{result}"
    );
}

#[test]
fn a_session_id_that_is_none_is_left_out() {
    let long = CLAUDE_TEXT.replace("7f08ec74", &"7".repeat(300));
    let (result, _) = succeeded(read(ClaudeStreamJson, &long, DONE));
    assert_eq!(result, r#"{"text":"PONG from aimock","turns":1,"duration_ms":85}"#);
}

#[test]
fn what_claude_read_from_and_wrote_to_its_cache_is_input_too() {
    let line = r#"{"type":"result","is_error":false,"result":"x","usage":{"input_tokens":1,
        "cache_creation_input_tokens":20,"cache_read_input_tokens":300,"output_tokens":4}}"#;
    let usage = usage_of(&read(ClaudeStreamJson, &line.replace('\n', ""), DONE));
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.cost_usd), (Some(321), Some(4), None));
}

#[test]
fn what_an_agent_tells_does_not_show_a_secret() {
    for (format, stream) in [(ClaudeStreamJson, CLAUDE_TEXT), (CodexJson, CODEX_TEXT)] {
        let (result, _) = succeeded(read(format, &stream.replace("PONG", "hunter2"), DONE));
        assert!(result.starts_with(r#"{"text":"*** from aimock","#), "{result}");
    }
    for (format, stream) in [(ClaudeStreamJson, CLAUDE_BAD_REQUEST), (CodexJson, CODEX_BAD_REQUEST)] {
        let said = stream.replace("rompt is too long", "hun\\u001b[0mter2 is too long");
        let (_, message, _) = failed(read(format, &said, Exit::Code(1)));
        assert!(message.contains("*** is too long"), "{message}");
    }
}

#[test]
fn an_error_that_claude_tells_of_fails_the_attempt_whatever_the_exit_code() {
    for exit in [DONE, Exit::Code(1)] {
        let told = failed(read(ClaudeStreamJson, CLAUDE_MAX_TURNS, exit));
        assert_eq!(told, ("agent_error".to_owned(), "Reached maximum number of turns (1)".to_owned(), true));
        let report = read(ClaudeStreamJson, CLAUDE_MAX_BUDGET, exit);
        assert_eq!(usage_of(&report).cost_usd, Some(0.0055), "money is told of failures too");
        assert_eq!(failed(report).1, "Reached maximum budget ($0.0001)");
        let (kind, message, retryable) = failed(read(ClaudeStreamJson, CLAUDE_BAD_REQUEST, exit));
        assert_eq!((kind.as_str(), retryable), ("agent_error", false), "asking again does not help");
        assert!(message.starts_with("Prompt is too long"), "{message}");
    }
}

#[test]
fn an_agent_that_is_not_signed_in_says_what_to_do() {
    for (preset, format, stdout, stderr, said) in [
        ("claude-code", ClaudeStreamJson, CLAUDE_SIGNED_OUT, "", "Not logged in · Please run /login"),
        ("claude-code", ClaudeStreamJson, CLAUDE_WRONG_KEY, "", "Invalid API key · Fix external API key"),
        ("codex", CodexJson, CODEX_SIGNED_OUT, "Reading prompt from stdin...\n", "401 Unauthorized"),
        ("codex", CodexJson, CODEX_WRONG_KEY, "", "401 Unauthorized: invalid x-api-key"),
        ("codex", CodexJson, CODEX_NO_KEY, "", "Missing environment variable: `OPENAI_API_KEY`."),
        (
            "gemini",
            Text,
            "",
            "\u{1B}[31mInvalid auth method selected.\u{1B}[0m\n",
            "Invalid auth method selected.",
        ),
        ("opencode", Text, "", "\u{1B}[91mError: \u{1B}[0minvalid x-api-key\n", "Error: invalid x-api-key"),
        ("aider", Text, "No LLM model was specified and no API keys were provided.\n", "", "no API keys"),
        ("aider", Text, "litellm.AuthenticationError: no\n", "warning: old\n", "exited with 1: warning: old"),
    ] {
        let (kind, message, retryable) = failed(read_as(format, stdout, stderr, Exit::Code(1), Some(preset)));
        assert_eq!((kind.as_str(), retryable), ("not_signed_in", true), "{message}");
        let presets = Presets::embedded().unwrap();
        let hint = presets.get(&preset.parse().unwrap()).unwrap().sign_in.clone().unwrap();
        assert!(
            message.starts_with(preset) && message.contains(said) && message.ends_with(&hint),
            "{message}"
        );
    }
}

#[test]
fn what_an_agent_read_or_answered_does_not_sign_it_out() {
    let answer = read_as(Text, "Users see: Invalid auth method selected.", "", DONE, Some("gemini"));
    assert!(matches!(answer, Report::Succeeded { .. }), "{answer:?}");
    let stream = format!("{{\"type\":\"user\",\"text\":\"Please run /login\"}}\n{CLAUDE_MAX_TURNS}");
    let (kind, ..) = failed(read_as(ClaudeStreamJson, &stream, "", Exit::Code(1), Some("claude-code")));
    assert_eq!(kind, "agent_error");
}

#[test]
fn codex_tells_its_answer_and_its_tokens() {
    let (result, usage) = succeeded(read(CodexJson, CODEX_TEXT, DONE));
    assert_eq!(
        result,
        r#"{"text":"PONG from aimock","session_id":"01a1fdbe-b216-7c42-a647-c908e7eed631","turns":1}"#
    );
    assert_eq!(usage.unwrap().input_tokens, Some(0));
    let report = read(CodexJson, CODEX_COMMAND, DONE);
    let usage = usage_of(&report);
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.cost_usd), (Some(2_200), Some(54), None));
    assert!(succeeded(report).0.starts_with(r#"{"text":"DONE: command ran","#));
}

#[test]
fn only_the_last_message_of_codex_is_its_answer_and_connecting_again_is_no_failure() {
    let noise = [
        r#"{"type":"error","message":"Reconnecting... 1/5"}"#,
        r#"{"type":"item.completed","item":{"id":"item_7","type":"agent_message","text":"I begin."}}"#,
        r#"{"type":"item.completed","item":{"id":"item_8","type":"agent_message","text":"Done \u0000."}}"#,
        r#"{"type":"item.completed","item":{"id":"item_9","type":"reasoning","text":"So that was it."}}"#,
        r#"{"type":"turn.completed","usage":{"input_tokens":5,"output_tokens":6}}"#,
    ];
    let (result, _) = succeeded(read(CodexJson, &noise.join("\n"), DONE));
    assert_eq!(result, "{\"text\":\"Done \u{FFFD}.\",\"turns\":1}");
}

#[test]
fn a_turn_of_codex_that_failed_fails_the_attempt_whatever_the_exit_code() {
    for exit in [DONE, Exit::Code(1)] {
        let told = failed(read(CodexJson, CODEX_BAD_REQUEST, exit));
        assert_eq!(told, ("agent_error".to_owned(), "prompt is too long".to_owned(), false));
        let (kind, message, retryable) = failed(read(CodexJson, CODEX_OVERLOADED, exit));
        assert_eq!((kind.as_str(), retryable), ("agent_error", true));
        assert!(message.starts_with("unexpected status 529"), "the last word, not `Reconnecting`: {message}");
    }
}

#[test]
fn a_stream_that_ends_early_has_no_result() {
    let early = CLAUDE_TEXT.split_once("{\"type\":\"result\"").unwrap().0;
    assert_eq!(failed(read(ClaudeStreamJson, early, DONE)).0, "no_result");
    assert_eq!(failed(read(CodexJson, "hello\n", DONE)).0, "no_result");
    let too_long = format!("{{\"type\":\"result\",\"result\":\"{}\"}}\n", "x".repeat(5 << 20));
    let (kind, message, _) = failed(read(ClaudeStreamJson, &too_long, DONE));
    assert!(kind == "no_result" && message.contains("1 lines longer than 4194304 bytes"), "{message}");
}

#[test]
fn an_exit_code_is_told_with_the_last_lines_of_standard_error_or_else_output() {
    let told = |stdout, stderr| failed(read_as(Text, stdout, stderr, Exit::Code(3), None));
    assert_eq!(told("out\n", "cannot open hunter2\n").1, "the command exited with 3: cannot open ***");
    assert_eq!(told("out\n", "").1, "the command exited with 3: out");
    assert_eq!(told("", ""), ("exit_code".to_owned(), "the command exited with 3".to_owned(), true));
    let (kind, message, _) = failed(read(ClaudeStreamJson, CLAUDE_TEXT, Exit::Code(3)));
    assert_eq!(kind, "exit_code", "a result does not make up for it: {message}");
}

#[test]
fn a_signal_is_told_by_its_name() {
    let told = |number| failed(read_as(Text, "", "out of memory\n", Exit::Signal(number), None));
    let message = "the command was ended by SIGKILL: out of memory".to_owned();
    assert_eq!(told(9), ("signal".to_owned(), message, true));
    assert!(told(40).1.contains("signal 40"));
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("hunter2".to_owned()),
        Just("\n".to_owned()),
        Just(CLAUDE_WRITE.to_owned()),
        Just(CLAUDE_MAX_TURNS.to_owned()),
        Just(CODEX_COMMAND.to_owned()),
        Just(CODEX_OVERLOADED.to_owned()),
        Just("{\"n\": [1, 2]}\n".to_owned()),
        "\\PC{0,40}",
        "[{}\",:a1\\[\\]\n€]{0,30}",
        (0..6_000_usize).prop_map(|count| "ab€\"".repeat(count)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_output_in_any_parts_gives_the_same_report_that_fits_and_shows_no_secret(
        pieces in prop::collection::vec(piece(), 0..6),
        lengths in prop::collection::vec(prop_oneof![1..8_usize, 1..5_000_usize], 1..5),
        result_bytes_max in 300..20_000_usize,
        code in 0..2,
    ) {
        let stream = pieces.concat();
        for format in [Text, JsonLast, ClaudeStreamJson, CodexJson] {
            let finish = |reader: ResultReader| reader.finish(Exit::Code(code), None);
            let mut at_once = ResultReader::new(format, result_bytes_max, &[Secret::new("hunter2")]);
            at_once.push(stream.as_bytes());
            at_once.push_error(stream.as_bytes());
            let mut in_parts = ResultReader::new(format, result_bytes_max, &[Secret::new("hunter2")]);
            let mut rest = stream.as_bytes();
            for length in lengths.iter().cycle() {
                let (part, later) = rest.split_at(rest.len().min(*length));
                in_parts.push(part);
                in_parts.push_error(part);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            let report = finish(at_once);
            prop_assert_eq!(&report, &finish(in_parts));
            prop_assert!(!format!("{report:?}").contains("hunter2"), "{report:?}");
            if let Report::Succeeded { result: Some(json), .. } = &report {
                prop_assert!(json.len() <= result_bytes_max, "{} of {result_bytes_max}", json.len());
                prop_assert!(domain::json::check(json).is_ok() && serde_json::from_str::<serde_json::Value>(json).is_ok());
            }
        }
    }
}

#[test]
fn an_empty_answer_of_claude_does_not_hide_what_it_says_of_its_errors() {
    let line = r#"{"type":"result","subtype":"error_during_execution","is_error":true,"result":"","errors":["no room","no time"]}"#;
    assert_eq!(failed(read(ClaudeStreamJson, line, DONE)).1, "no room; no time");
}
