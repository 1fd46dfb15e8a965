//! The one function that decides what happens to a task: every state times every happening.

use std::hint::black_box;

use anyhow::{Result, ensure};
use domain::{Happening, TaskState, TaskStatus, transition};

use crate::Round;

const ATTEMPT: u32 = 2;
const STALE: u32 = 1;

pub fn prepare() -> Result<Round> {
    let mut meetings = Vec::new();
    for state in TaskState::ALL {
        for is_cancel_requested in [false, true] {
            for failures in [0, 2] {
                let status = TaskStatus {
                    state,
                    attempt: ATTEMPT,
                    failures,
                    attempts_max: 3,
                    crashes: failures,
                    is_cancel_requested,
                };
                meetings.extend(happenings().map(|happening| (status, happening)));
            }
        }
    }
    let is_decided = |(status, happening): &(_, _)| transition(*status, *happening).is_ok();
    let decided = meetings.iter().filter(|meeting| is_decided(meeting)).count();
    ensure!((1..meetings.len()).contains(&decided), "everything follows, or nothing does");
    Ok(Box::new(move || {
        for (status, happening) in &meetings {
            // By reference, so that as little as may be is counted beside the decision.
            black_box(&transition(*black_box(status), *happening));
        }
        Ok(())
    }))
}

fn happenings() -> impl Iterator<Item = Happening> {
    let of_holders = [ATTEMPT, STALE].into_iter().flat_map(|attempt| {
        [
            Happening::Succeeded { attempt },
            Happening::Failed { attempt, retryable: true },
            Happening::Failed { attempt, retryable: false },
            Happening::TimedOut { attempt },
            Happening::LeaseLost { attempt },
            Happening::Interrupted { attempt },
            Happening::Crashed { attempt },
        ]
    });
    let others = [
        Happening::Due,
        Happening::Claimed,
        Happening::CancelRequested { force: false },
        Happening::CancelRequested { force: true },
        Happening::Expired,
        Happening::Redriven,
    ];
    of_holders.chain(others)
}
