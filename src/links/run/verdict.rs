//! What is reported of an attempt that ran under guard. Pure.

use domain::{AttemptError, Report, Usage};

use super::guarded::Held;
use crate::attempt::Why;
use crate::guard::words::{Ended, How};
use crate::result::Exit;

/// The signal of the kernel for a file that got too long (`SIGXFSZ`).
const FILE_TOO_LONG: i32 = 25;

/// What is reported, and whether the command never ran.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) report: Report,
    pub(super) is_launch_failure: bool,
}

/// What the result is to be read with: how the command ended by itself, or as one that was killed.
pub(super) fn exit(held: &Held) -> Exit {
    match held.ended.as_ref().map(|ended| &ended.how) {
        Some(How::Exited { code }) => Exit::Code(*code),
        Some(How::Signaled { signal }) => Exit::Signal(*signal),
        _ => Exit::Signal(rustix::process::Signal::KILL.as_raw()),
    }
}

/// Judges an attempt. `read` is what its output says, `timeout_ms` the time it had.
pub(super) fn judge(held: &Held, read: Report, timeout_ms: Option<u64>) -> Verdict {
    let usage = usage(&read, held.ended.as_ref());
    let Some(ended) = &held.ended else { return lost(held, usage) };
    let failed = |kind, message: &str| Report::Failed {
        error: AttemptError::stated(kind, message),
        retryable: true,
        usage,
    };
    let mut is_launch_failure = false;
    let report = match &ended.how {
        How::Signaled { signal: FILE_TOO_LONG } => {
            failed("file_limit", "it wrote a file longer than its limit allows, and was ended")
        }
        How::Exited { .. } | How::Signaled { .. } => with_usage(read, usage),
        How::TimedOut => timed_out(timeout_ms, usage),
        How::Asked | How::HiveGone => asked(held.asked, usage),
        How::CpuLimit => {
            failed("cpu_limit", "it used more processor time than its limit allows, and was ended")
        }
        How::MemoryLimit => {
            failed("memory_limit", "it used more memory than its limit allows, and was ended")
        }
        How::FailedToStart { message } => {
            is_launch_failure = true;
            failed("failed_to_start", message)
        }
    };
    Verdict { report, is_launch_failure }
}

/// What is reported of an attempt that was asked to end.
pub(super) fn asked(why: Option<Why>, usage: Option<Usage>) -> Report {
    match why {
        Some(Why::Canceled) => Report::Failed {
            error: AttemptError::stated("canceled", "it was canceled"),
            retryable: false,
            usage,
        },
        Some(Why::Draining) => Report::HandedBack { reason: "the hive stopped", usage },
        None => Report::HandedBack { reason: "nobody waited for it any more", usage },
    }
}

/// What is reported of an attempt whose time was over.
pub(super) fn timed_out(timeout_ms: Option<u64>, usage: Option<Usage>) -> Report {
    let time = spoken(timeout_ms.unwrap_or_default());
    let message = format!("it took longer than the {time} that it had, and was ended");
    Report::TimedOut { error: AttemptError::stated("timeout", message), usage }
}

/// The guard was killed. When an end was asked for, this is one: stopping a service ends all its processes.
fn lost(held: &Held, usage: Option<Usage>) -> Verdict {
    if held.asked.is_some() {
        return Verdict { report: asked(held.asked, usage), is_launch_failure: false };
    }
    let message = "the process that guards the agent's command ended before it; what it left was ended too";
    let error = AttemptError::stated("guard_lost", message);
    Verdict { report: Report::Failed { error, retryable: true, usage }, is_launch_failure: !held.is_started }
}

/// What the output says of tokens and money, and the guard of time and memory.
fn usage(read: &Report, ended: Option<&Ended>) -> Option<Usage> {
    let (Report::Succeeded { usage, .. }
    | Report::Failed { usage, .. }
    | Report::TimedOut { usage, .. }
    | Report::HandedBack { usage, .. }) = read;
    let Some(ended) = ended else { return *usage };
    Some(Usage {
        cpu_ms: Some(ended.cpu_ms),
        peak_rss_bytes: Some(ended.peak_rss_bytes),
        ..usage.unwrap_or_default()
    })
}

fn with_usage(report: Report, usage: Option<Usage>) -> Report {
    match report {
        Report::Succeeded { result, usage: _ } => Report::Succeeded { result, usage },
        Report::Failed { error, retryable, usage: _ } => Report::Failed { error, retryable, usage },
        Report::TimedOut { error, usage: _ } => Report::TimedOut { error, usage },
        Report::HandedBack { reason, usage: _ } => Report::HandedBack { reason, usage },
    }
}

fn spoken(time_ms: u64) -> String {
    if time_ms.is_multiple_of(1_000) { format!("{} s", time_ms / 1_000) } else { format!("{time_ms} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Report = Report::Succeeded {
        result: None,
        usage: Some(Usage {
            input_tokens: Some(5),
            output_tokens: None,
            cost_usd: None,
            cpu_ms: None,
            peak_rss_bytes: None,
        }),
    };

    fn held(how: How, asked: Option<Why>) -> Held {
        let ended = Ended { how, cpu_ms: 70, peak_rss_bytes: 4_096, left_count: 0 };
        Held { ended: Some(ended), is_started: true, asked }
    }

    /// The report in short, and whether the command never ran.
    fn judged(held: &Held) -> (String, bool) {
        let Verdict { report, is_launch_failure } = judge(held, READ, Some(90_000));
        let (short, usage) = match report {
            Report::Succeeded { usage, .. } => ("succeeded".to_owned(), usage),
            Report::Failed { error, retryable, usage } => (format!("{} {retryable}", error.kind), usage),
            Report::TimedOut { error, usage } => (error.message, usage),
            Report::HandedBack { reason, usage } => (reason.to_owned(), usage),
        };
        let usage = usage.unwrap();
        assert_eq!(usage.input_tokens, Some(5), "{short}");
        assert_eq!(usage.cpu_ms, held.ended.as_ref().map(|_| 70), "{short}");
        assert_eq!(usage.peak_rss_bytes, held.ended.as_ref().map(|_| 4_096), "{short}");
        (short, is_launch_failure)
    }

    #[test]
    fn each_end_has_its_report() {
        let message = "no folder".to_owned();
        let nobody = "nobody waited for it any more";
        for (how, asked, expected, is_launch_failure) in [
            (How::Exited { code: 0 }, None, "succeeded", false),
            (How::Exited { code: 0 }, Some(Why::Canceled), "succeeded", false),
            (How::Signaled { signal: 9 }, None, "succeeded", false),
            (How::Signaled { signal: 25 }, None, "file_limit true", false),
            (How::TimedOut, None, "it took longer than the 90 s that it had, and was ended", false),
            (How::Asked, Some(Why::Canceled), "canceled false", false),
            (How::Asked, Some(Why::Draining), "the hive stopped", false),
            (How::HiveGone, None, nobody, false),
            (How::HiveGone, Some(Why::Draining), "the hive stopped", false),
            (How::CpuLimit, None, "cpu_limit true", false),
            (How::MemoryLimit, None, "memory_limit true", false),
            (How::FailedToStart { message }, None, "failed_to_start true", true),
        ] {
            assert_eq!(judged(&held(how, asked)), (expected.to_owned(), is_launch_failure));
        }
    }

    #[test]
    fn a_lost_guard_is_a_failure_unless_an_end_was_asked_for() {
        for (is_started, asked, expected, is_launch_failure) in [
            (true, None, "guard_lost true", false),
            (false, None, "guard_lost true", true),
            (true, Some(Why::Draining), "the hive stopped", false),
            (false, Some(Why::Canceled), "canceled false", false),
        ] {
            let lost = Held { ended: None, is_started, asked };
            assert_eq!(judged(&lost), (expected.to_owned(), is_launch_failure));
        }
    }

    #[test]
    fn a_time_is_spoken_in_seconds_where_it_has_no_others() {
        assert_eq!([spoken(1_500), spoken(2_000)], ["1500 ms", "2 s"]);
    }

    #[test]
    fn only_an_end_of_its_own_is_read_with_its_code() {
        assert!(matches!(exit(&held(How::Exited { code: 3 }, None)), Exit::Code(3)));
        assert!(matches!(exit(&held(How::Signaled { signal: 11 }, None)), Exit::Signal(11)));
        assert!(matches!(exit(&held(How::TimedOut, None)), Exit::Signal(9)));
    }
}
