//! Reports of a session, item by item, as the single calls take them.

use std::sync::Arc;
use std::task::{Context, Waker};

use domain::{Limits, TaskId, Violations};
use futures_util::future::{join_all, maybe_done};
use protocol::worker_session::{Ack, AckItem, HeartbeatItem, OutputItem, ReportKind};
use protocol::{FinishItem, Request, request};
use runtime::{OutputPiece, ProgressReport};
use serde::Deserialize;
use serde_json::value::RawValue;
use store::outcome::{Appended, Renewed};

use crate::complete_task::finish;
use crate::path;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::state::Hive;

/// What is reported of an attempt, read and judged.
enum Report {
    Heartbeat(ProgressReport),
    Output(OutputPiece),
    Finish(domain::Report),
}

/// One item.
pub(super) struct Item {
    task_id: Option<String>,
    attempt: Option<u32>,
    /// What it reports; or what is wrong with it.
    report: Result<(TaskId, u32, Report), Problem>,
}

/// What can be read of an item that is broken.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    task_id: Option<String>,
    attempt: Option<u32>,
}

impl Item {
    /// Reads an item.
    pub(super) fn read(kind: ReportKind, text: &RawValue, limits: &Limits) -> Self {
        match read(kind, text, limits) {
            Ok((task_id, attempt, report)) => {
                let task = path::read::<TaskId>(&task_id);
                let report = task.map(|task| (task, attempt, report));
                Self { task_id: Some(task_id), attempt: Some(attempt), report }
            }
            Err(problem) => {
                let Named { task_id, attempt } = serde_json::from_str(text.get()).unwrap_or_default();
                let task_id = task_id.map(|id| id.chars().take(64).collect());
                Self { task_id, attempt, report: Err(problem) }
            }
        }
    }

    /// Which attempt it is about.
    pub(super) fn about(&self) -> Option<(TaskId, u32)> {
        self.report.as_ref().ok().map(|(task, attempt, _)| (*task, *attempt))
    }
}

fn read(kind: ReportKind, text: &RawValue, limits: &Limits) -> Result<(String, u32, Report), Problem> {
    let bytes = text.get().as_bytes();
    Ok(match kind {
        ReportKind::Heartbeat => {
            let (task_id, asked) = request::read::<HeartbeatItem>(bytes, limits)?;
            let (fraction, message, usage) = (asked.progress, asked.message, asked.usage);
            (task_id, asked.attempt, Report::Heartbeat(ProgressReport { fraction, message, usage }))
        }
        ReportKind::Output => {
            let (task_id, asked) = request::read::<OutputItem>(bytes, limits)?;
            let piece = OutputPiece { text: asked.text, after_bytes: asked.after_bytes };
            (task_id, asked.attempt, Report::Output(piece))
        }
        ReportKind::Complete | ReportKind::Fail => {
            let (task_id, asked) = request::read::<Finish>(bytes, limits)?;
            let has_failed = matches!(asked.report, domain::Report::Failed { .. });
            match (kind, has_failed) {
                (ReportKind::Complete, true) => {
                    return Err(Problem::invalid(
                        "error",
                        "stands in a report of type `fail`, not `complete`",
                    ));
                }
                (ReportKind::Fail, false) => return Err(Problem::invalid("error", "is required")),
                _ => (task_id, asked.attempt, Report::Finish(asked.report)),
            }
        }
    })
}

/// A [`FinishItem`] that keeps its task's name.
#[derive(Deserialize)]
#[serde(transparent)]
struct Finish(FinishItem);

impl Request for Finish {
    type Asked = (String, protocol::report::ReportAsked);

    fn check(mut self, limits: &Limits) -> Result<Self::Asked, Violations> {
        let task_id = std::mem::take(&mut self.0.task_id);
        Ok((task_id, self.0.check(limits)?))
    }
}

/// Answers each item of a report in its order. All begin at once, in order and before this returns, so that they reach the
/// writer before what is reported later, and share a commit.
pub(super) fn answer(
    hive: &Hive,
    principal: &Principal,
    place: &Arc<str>,
    (of, items): (ReportKind, Vec<Item>),
) -> impl Future<Output = Ack> + use<> {
    let begin = |item| {
        let (hive, principal, place) = (hive.clone(), principal.clone(), Arc::clone(place));
        let mut answer = Box::pin(maybe_done(answer_one(hive, principal, place, item)));
        // It is polled again by whoever waits for it.
        let _ = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        answer
    };
    let begun: Vec<_> = items.into_iter().map(begin).collect();
    async move {
        let ends = begun.into_iter().map(|mut answer| async move {
            answer.as_mut().await;
            answer.as_mut().take_output().unwrap_or_default()
        });
        Ack { of, items: join_all(ends).await }
    }
}

async fn answer_one(hive: Hive, principal: Principal, place: Arc<str>, item: Item) -> AckItem {
    let Item { task_id, attempt, report } = item;
    let answered = match report {
        Ok((task, attempt, report)) => take(&hive, &principal, (task, attempt), report).await,
        Err(problem) => Err(problem),
    };
    match answered {
        Ok(answer) => AckItem { status: 200, task_id, attempt, ..answer },
        Err(problem) => AckItem {
            task_id,
            attempt,
            status: problem.status().as_u16(),
            problem: Some(problem.details(&place, &principal.caller.correlation_id)),
            ..AckItem::default()
        },
    }
}

async fn take(
    hive: &Hive,
    principal: &Principal,
    (task, attempt): (TaskId, u32),
    report: Report,
) -> Result<AckItem, Problem> {
    let (stale, unknown) = (|| Problem::StaleLease { attempt }, || Problem::not_found("task", task));
    let mut answer = AckItem::default();
    match report {
        Report::Heartbeat(progress) => {
            match hive.runtime.heartbeat(&principal.caller, task, attempt, progress).await? {
                Renewed::Until { lease_expires_at, is_cancel_requested } => {
                    answer.lease_expires_at = Some(lease_expires_at);
                    answer.cancel_requested = Some(is_cancel_requested);
                }
                Renewed::Stale => return Err(stale()),
                Renewed::NotFound => return Err(unknown()),
            }
        }
        Report::Output(piece) => {
            match hive.runtime.append_output(&principal.caller, task, attempt, piece).await? {
                Appended::Done { stored_bytes, is_truncated } => {
                    answer.stored_bytes = Some(stored_bytes);
                    answer.truncated = Some(is_truncated);
                }
                Appended::Stale => return Err(stale()),
                Appended::NotFound => return Err(unknown()),
            }
        }
        Report::Finish(report) => {
            let asked = protocol::report::ReportAsked { attempt, report };
            answer.state = Some(finish(hive, principal, task, asked).await?);
        }
    }
    Ok(answer)
}
