//! What is fuzzed: whatever bytes come, each function ends, and what it says of them holds. A panic is a finding.
//!
//! `cargo fuzz` calls these with bytes that it makes up, the suite (`tests/fuzzed.rs`) with the files of the corpora.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use domain::{AgentId, ApiKeyId, Limits, Name, ResultFormat, Secret, TaskId};
use hive::settings::{Flags, Settings};
use links::output::{PIECE_BYTES_MAX, Shaper, Stream};
use links::result::{Exit, ResultReader};
use protocol::live::client::{ClientFrame, Place};
use protocol::live::topic::Topic;
use protocol::output_stream::OutputPlace;
use protocol::query::{ActorQuery, EventQuery, EventStreamQuery, OutputQuery, PageQuery, Pairs, TaskQuery};
use protocol::worker_session::{ITEMS_MAX, SLOTS_MAX, WorkerFrame, WorkerSays};
use protocol::{Request, request};

/// A target: bytes in, nothing out.
pub type Target = fn(&[u8]);

/// The targets by name; each has a corpus of the same name.
pub const TARGETS: [(&str, Target); 6] = [
    ("ids", ids),
    ("cursors", cursors),
    ("settings", settings),
    ("bodies", bodies),
    ("frames", frames),
    ("output", output),
];

/// A text that is read is written as it was.
fn is_canonical<T: FromStr + Display>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        assert_eq!(read.to_string(), text);
    }
}

/// Ids, names and times.
pub fn ids(bytes: &[u8]) {
    if let Some((raw, _)) = bytes.split_first_chunk::<8>() {
        let raw = i64::from_le_bytes(*raw) & i64::MAX;
        assert_eq!(TaskId::from_raw(raw).to_string().parse(), Ok(TaskId::from_raw(raw)));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    is_canonical::<TaskId>(text);
    is_canonical::<AgentId>(text);
    is_canonical::<ApiKeyId>(text);
    is_canonical::<Name>(text);
    if let Ok(at) = protocol::time::read(text) {
        assert_eq!(protocol::time::read(&protocol::time::show(at)), Ok(at), "{text}");
    }
}

/// What is read from parameters is read the same from the parameters that it is written as.
fn survives<Q: PartialEq + Debug, E: Debug>(
    pairs: &Pairs,
    read: impl Fn(Pairs) -> Result<Q, E>,
    write: impl Fn(&Q) -> Pairs,
) {
    if let Ok(query) = read(pairs.clone()) {
        let again = read(write(&query)).expect("what was written can be read");
        assert_eq!(query, again);
    }
}

/// Cursors and other parameters of lists, and places in the log and in outputs.
pub fn cursors(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let pairs: Pairs = text
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    survives(&pairs, PageQuery::read, PageQuery::pairs);
    survives(&pairs, TaskQuery::read, TaskQuery::pairs);
    survives(&pairs, EventQuery::read, EventQuery::pairs);
    survives(&pairs, EventStreamQuery::read, EventStreamQuery::pairs);
    survives(&pairs, OutputQuery::read, OutputQuery::pairs);
    survives(&pairs, ActorQuery::read, ActorQuery::pairs);
    for (_, value) in pairs.iter().chain(&[(String::new(), text.to_owned())]) {
        if let Ok(place) = value.parse::<OutputPlace>() {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        if let Some(place) = Place::read(value) {
            assert_eq!(Place::read(&format!("{}:{}", place.epoch, place.offset)), Some(place));
        }
    }
}

/// Settings, a variable of the environment a line.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let env: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (format!("HIVE__{name}"), value.to_owned()))
        .collect();
    match Settings::load(&Flags::default(), env.into_iter()) {
        Ok(settings) => drop(format!("{settings:?}")),
        Err(problems) => assert!(!problems.to_string().is_empty() && !problems.0.is_empty()),
    }
}

fn body<R: Request>(body: &[u8]) -> Option<R::Asked> {
    request::read::<R>(body, &Limits::default()).ok()
}

/// Bodies of requests; the first byte says which.
pub fn bodies(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % 12 {
        0 => {
            if let Some(asked) = body::<protocol::submit_task::SubmitTask>(bytes) {
                asked.review(&Limits::default()).expect("what was read is within the rules");
            }
        }
        1 => drop(body::<protocol::submit_many::SubmitMany>(bytes)),
        2 => drop(body::<protocol::RegisterAgent>(bytes)),
        3 => drop(body::<protocol::PatchAgent>(bytes)),
        4 => drop(body::<protocol::CompleteRequest>(bytes)),
        5 => drop(body::<protocol::FailRequest>(bytes)),
        6 => drop(body::<protocol::HeartbeatRequest>(bytes)),
        7 => drop(body::<protocol::OutputRequest>(bytes)),
        8 => drop(body::<protocol::FinishMany>(bytes)),
        9 => drop(body::<protocol::Redrive>(bytes)),
        10 => drop(body::<protocol::CreateApiKey>(bytes)),
        _ => drop(body::<protocol::LeaseRequest>(bytes)),
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if domain::json::check(text).is_ok()
        && let Ok(value) = serde_json::from_str(text)
    {
        assert!(!has_nul(&value), "it holds U+0000");
    }
}

/// Whether a text in it holds the character that the hive cannot keep.
fn has_nul(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(items) => items.iter().any(has_nul),
        serde_json::Value::Object(fields) => {
            fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value))
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => false,
    }
}

/// Frames of WebSocket clients: of dashboards and of workers.
pub fn frames(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(topic) = Topic::read(text) {
        assert_eq!(Topic::read(topic.as_str()), Some(topic));
    }
    if let Err(refused) = ClientFrame::read(text) {
        assert!(!refused.to_string().is_empty());
    }
    match WorkerFrame::read(text) {
        Ok(WorkerFrame { said: WorkerSays::Report(_, items), .. }) => {
            assert!((1..=ITEMS_MAX).contains(&items.len()), "{} items", items.len());
        }
        Ok(WorkerFrame { said: WorkerSays::Ready(slots), .. }) => assert!(slots <= SLOTS_MAX),
        Ok(_) => {}
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
}

/// The secrets that a process knows.
const SECRETS: [&str; 2] = ["swordfish", "hunter22"];

/// What processes print: the first two bytes say how much may be kept and in which steps the others come.
pub fn output(bytes: &[u8]) {
    let Some(([most, step], bytes)) = bytes.split_first_chunk::<2>() else { return };
    let secrets = SECRETS.map(Secret::new);
    let bytes_max = u64::from(*most) * 8;
    let steps = usize::from(*step).max(1);
    let shaped = |steps: usize| {
        let mut shaper = Shaper::new(bytes_max, &secrets);
        let mut text = String::new();
        for part in bytes.chunks(steps) {
            shaper.push(Stream::Stdout, part);
            while let Some(piece) = shaper.take() {
                assert!(piece.text.len() <= PIECE_BYTES_MAX);
                text += &piece.text;
            }
        }
        shaper.finish().iter().for_each(|piece| text += &piece.text);
        text
    };
    let text = shaped(steps);
    assert_eq!(text, shaped(usize::MAX), "how it came makes a difference");
    assert!(u64::try_from(text.len()).is_ok_and(|length| length <= bytes_max) && !text.contains('\0'));
    no_secret(&text);
    let formats =
        [ResultFormat::Text, ResultFormat::JsonLast, ResultFormat::ClaudeStreamJson, ResultFormat::CodexJson];
    for format in formats {
        let reported = |steps: usize| {
            let mut reader = ResultReader::new(format, usize::from(*most) * 8, &secrets);
            bytes.chunks(steps).for_each(|part| reader.push(part));
            reader.finish(Exit::Code(0), None)
        };
        let report = reported(steps);
        assert_eq!(report, reported(usize::MAX), "{format:?}: how it came makes a difference");
        match &report {
            domain::Report::Succeeded { result: Some(result), .. } => {
                assert!(
                    serde_json::from_str::<&serde_json::value::RawValue>(result).is_ok(),
                    "{format:?}: {result}"
                );
                no_secret(result);
            }
            domain::Report::Failed { error, .. } => no_secret(&error.message),
            _ => {}
        }
    }
}

fn no_secret(text: &str) {
    assert!(!SECRETS.iter().any(|secret| text.contains(secret)), "a secret shows: {text}");
}
