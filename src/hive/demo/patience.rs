//! Calls that are made again when the hive is too busy to answer now, as every good client does.

use std::time::{Duration, Instant};

use client::Error;

use crate::failure::Failure;

/// How long a hive may be too busy; a machine that is this slow has other troubles.
const BUSY_MAX: Duration = Duration::from_secs(60);
/// The wait where the hive names none.
const PAUSE: Duration = Duration::from_millis(200);

/// Makes a call until the hive is not too busy for it. One that changes something has to carry an idempotency key.
///
/// # Errors
/// A [`Failure`] for every other answer, and when the hive stays too busy.
pub async fn patiently<T>(call: impl AsyncFn() -> Result<T, Error>) -> Result<T, Failure> {
    let began = Instant::now();
    loop {
        let pause = match call().await {
            Ok(answer) => return Ok(answer),
            Err(Error::Problem { problem, retry_after })
                if problem.status == 503 && began.elapsed() < BUSY_MAX =>
            {
                retry_after.unwrap_or(PAUSE)
            }
            Err(error) => return Err(error.into()),
        };
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use protocol::{ProblemCode, ProblemDetails};
    use std::cell::Cell;

    fn problem(code: ProblemCode, status: u16) -> Error {
        let problem = ProblemDetails {
            type_uri: code.type_uri().into(),
            title: code.title().into(),
            status,
            detail: "not now".into(),
            instance: "/api/v2/tasks".into(),
            code,
            correlation_id: "c1".into(),
            errors: Vec::new(),
        };
        Error::Problem { problem: Box::new(problem), retry_after: Some(Duration::from_millis(1)) }
    }

    #[tokio::test]
    async fn a_hive_that_is_too_busy_is_asked_again_and_one_that_refuses_is_not() {
        let calls = Cell::new(0);
        let answer = patiently(async || {
            calls.set(calls.get() + 1);
            if calls.get() < 3 { Err(problem(ProblemCode::Overloaded, 503)) } else { Ok(calls.get()) }
        });
        assert_eq!(answer.await, Ok(3));
        let refused = patiently(async || {
            calls.set(calls.get() + 1);
            Err::<(), _>(problem(ProblemCode::InvalidValue, 422))
        });
        assert_eq!(refused.await.unwrap_err().exit, Exit::Refused);
        assert_eq!(calls.get(), 4);
    }
}
