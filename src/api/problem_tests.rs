//! Every error with its status and code.

use super::*;
use domain::TaskId;
use protocol::ProblemCode as Code;

fn broken() -> Violations {
    Violations::one("title", "must be there")
}

#[test]
fn every_problem_has_its_status_code_and_retry() {
    let cause = String::new;
    #[rustfmt::skip]
    let table = [
        (Problem::Malformed(cause()), 400, Code::MalformedJson, None),
        (Problem::UnknownField(broken()), 422, Code::UnknownField, None),
        (Problem::InvalidValue(broken()), 422, Code::InvalidValue, None),
        (Problem::Refused { cause: cause() }, 422, Code::InvalidValue, None),
        (Problem::IdempotencyMismatch, 422, Code::IdempotencyMismatch, None),
        (Problem::Unauthorized, 401, Code::Unauthorized, None),
        (Problem::Forbidden { right: Right::ManageKeys, role: Role::Viewer }, 403, Code::Forbidden, None),
        (Problem::not_found("task", TaskId::from_raw(1)), 404, Code::NotFound, None),
        (Problem::NoSuchRoute, 404, Code::NotFound, None),
        (Problem::NoSuchMethod { allowed: "GET" }, 405, Code::NotFound, None),
        (Problem::StaleLease { attempt: 1 }, 409, Code::StaleLease, None),
        (Problem::StateConflict(TaskState::Failed), 409, Code::StateConflict, None),
        (Problem::NotAWorker, 409, Code::StateConflict, None),
        (Problem::NameTaken("a".into()), 409, Code::UniqueConflict, None),
        (Problem::KeyNameTaken("a".into()), 409, Code::UniqueConflict, None),
        (Problem::TooManyKeys { max: 1 }, 409, Code::StateConflict, None),
        (Problem::PayloadTooLarge { bytes_max: 1 }, 413, Code::PayloadTooLarge, None),
        (Problem::QueueFull(cause()), 429, Code::QueueFull, Some("1")),
        (Problem::RateLimited { retry_after_s: 7 }, 429, Code::RateLimited, Some("7")),
        (Problem::Overloaded, 503, Code::Overloaded, Some("1")),
        (Problem::FateUnknown { cause: cause() }, 503, Code::Overloaded, Some("1")),
        (Problem::StoreUnavailable { cause: cause() }, 503, Code::StoreUnavailable, Some("2")),
        (Problem::NotReady("starting"), 503, Code::NotReady, Some("2")),
        (Problem::Internal { cause: cause() }, 500, Code::Internal, None),
    ];
    for (problem, status, code, retry) in table {
        let response = problem.respond("/api/v2/tasks", "c-1");
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!((response.status().as_u16(), problem.code()), (status, code), "{problem:?}");
        assert_eq!(header(header::RETRY_AFTER), retry, "{problem:?}");
        assert_eq!(header(header::CONTENT_TYPE), Some("application/problem+json"));
        assert_eq!(header(header::WWW_AUTHENTICATE), (status == 401).then_some("Bearer"));
        assert_eq!(header(header::ALLOW), (status == 405).then_some("GET"));
        let details = problem.details("/api/v2/tasks", "c-1");
        assert_eq!((details.status, details.correlation_id.as_str()), (status, "c-1"));
        let has_errors = matches!(problem, Problem::UnknownField(_) | Problem::InvalidValue(_));
        assert_eq!(details.errors.len(), usize::from(has_errors));
    }
}

#[test]
fn every_error_of_the_layers_below_has_its_code() {
    let text = || "disk /secret is full".to_owned();
    let queue = "q".parse().unwrap();
    let table = [
        (runtime::Error::Overloaded, Code::Overloaded),
        (runtime::Error::QueueFull { queue, max: 5 }, Code::QueueFull),
        (runtime::Error::NotReady("draining"), Code::NotReady),
        (runtime::Error::Unavailable(text()), Code::StoreUnavailable),
        (runtime::Error::Refused(text()), Code::InvalidValue),
        (runtime::Error::Crashed(text()), Code::Overloaded),
        (runtime::Error::Late, Code::Overloaded),
        (runtime::Error::NotAWorker, Code::StateConflict),
        (runtime::Error::Workspace(text()), Code::Internal),
    ];
    for (error, code) in table {
        let problem = Problem::from(error);
        assert_eq!(problem.code(), code);
        assert!(!serde_json::to_string(&problem.details("/", "c")).unwrap().contains("secret"));
    }
    let corrupt = Problem::from(store::ReadError::Corrupt { what: "task".into(), why: text() });
    let told = serde_json::to_string(&corrupt.details("/", "c")).unwrap();
    assert_eq!(corrupt.code(), Code::Internal);
    assert!(told.contains("the stored task cannot be understood") && !told.contains("secret"), "{told}");
    assert_eq!(Problem::from(store::ReadError::Unavailable(text())).code(), Code::StoreUnavailable);
    assert_eq!(Problem::from(Unreadable::Malformed(text())).code(), Code::MalformedJson);
    assert_eq!(Problem::from(Unreadable::UnknownField(broken())).code(), Code::UnknownField);
    assert_eq!(Problem::from(Unreadable::InvalidValue(broken())).code(), Code::InvalidValue);
}

#[test]
fn what_actix_refuses_by_itself_gets_a_code_of_the_closed_list() {
    for status in 400..600 {
        let status = StatusCode::from_u16(status).unwrap();
        let problem = Problem::of_status(status);
        assert!(Code::ALL.contains(&problem.code()));
        assert_eq!(problem.status().is_server_error(), status.is_server_error());
    }
}
