//! Tests of waiting, against a server that answers prepared texts, one connection an answer.

use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::cli::Screen;

const ID: &str = "task_0000000000001";

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

fn task(state: &str, more: &str) -> String {
    format!(
        r#"{{"id":"{ID}","tenant":"default","title":"t","kind":null,"queue":"default","priority":5,"requires":[],
        "labels":{{}},"state":"{state}","attempt":3,"failures":3,"crashes":0,"attempts_max":3,"progress":null,"agent_id":null,
        "cancel_requested":false,"eligible_at":null,"created_at":"2026-11-21T08:00:00.000000Z","started_at":null,
        "finished_at":null,"lease_expires_at":null,"usage":null,"timeouts":{{}},
        "backoff":{{"initial_ms":1000,"factor":2.0,"max_ms":300000,"jitter":0.2}},
        "correlation_id":"c","created_by":"admin",{more}}}"#
    )
}

fn problem(status: u16, code: &str) -> String {
    format!(
        r#"{{"type":"x","title":"T","status":{status},"detail":"the detail","instance":"/","code":"{code}","correlation_id":"c"}}"#
    )
}

/// Waits for as many tasks as asked while a server gives `answers` in turn; the outcome, stdout and stderr.
async fn waited(
    count: usize,
    is_json: bool,
    timeout: Option<Span>,
    answers: &[(u16, String)],
) -> (Result<Exit, Failure>, String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (out, notes) = (Paper::default(), Paper::default());
    let screen = Screen::into(Box::new(out.clone()), Box::new(notes.clone()), is_json);
    let mut context = Context { client: client::Client::new(&url, None).unwrap(), screen };
    let serve = async {
        for (status, body) in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4_096]).await.unwrap();
            let head =
                format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
        // the last answer stands for ever
        std::future::pending::<()>().await;
    };
    let ids = vec![ID.parse().unwrap(); count];
    let ended = tokio::select! {
        ended = wait_for(&mut context, &ids, Patience::of(timeout)) => ended,
        () = serve => unreachable!(),
    };
    (ended, out.text(), notes.text())
}

#[tokio::test]
async fn the_result_of_a_completed_task_is_handed_on_as_it_came() {
    let done = task("completed", r#""error":null,"result":{"n" : 1.50}"#);
    let (ended, out, notes) =
        waited(1, false, None, &[(200, task("working", r#""error":null"#)), (200, done)]).await;
    assert_eq!((ended, out.as_str(), notes.as_str()), (Ok(Exit::Fine), "{\"n\" : 1.50}\n", ""));
}

#[tokio::test]
async fn a_failed_task_ends_with_1_and_says_why_on_stderr() {
    let failed = task("failed", r#""error":{"kind":"oom","message":"no\nmemory"}"#);
    let (ended, out, notes) = waited(1, false, None, &[(200, failed)]).await;
    assert_eq!((ended, out.as_str()), (Ok(Exit::TaskFailed), ""));
    assert_eq!(notes, format!("{ID} failed after 3 attempts: oom: no\\nmemory\n"));
}

#[tokio::test]
async fn several_tasks_have_a_line_each_whatever_their_results_look_like() {
    let done = task("completed", "\"error\":null,\"result\":{\n \"a\": 1}");
    let none = task("canceled", r#""error":null"#);
    let (ended, out, notes) = waited(2, false, None, &[(200, done), (200, none)]).await;
    assert_eq!((ended, out.as_str()), (Ok(Exit::TaskFailed), "{\"a\":1}\nnull\n"));
    assert_eq!(notes, format!("{ID} is canceled\n"));
}

#[tokio::test]
async fn with_json_the_answer_of_the_api_is_printed() {
    let done = task("completed", r#""error":null,"result":1"#);
    let (_, out, _) = waited(1, true, None, &[(200, done.clone())]).await;
    assert_eq!(out, format!("{done}\n"));
}

#[tokio::test]
async fn a_hive_that_restarts_is_waited_for() {
    let done = task("completed", r#""error":null"#);
    let answers = [(503, problem(503, "not_ready")), (503, problem(503, "not_ready")), (200, done)];
    let (ended, _, notes) = waited(1, false, None, &answers).await;
    assert_eq!((ended, notes.as_str()), (Ok(Exit::Fine), "the hive does not answer; trying again\n"));
}

#[tokio::test]
async fn when_the_time_is_over_the_task_goes_on() {
    let working = (200, task("working", r#""error":null"#));
    let soon = Some(Span { ms: 60 });
    let (ended, out, _) = waited(1, false, soon, &[working.clone(), working.clone(), working]).await;
    let failure = ended.unwrap_err();
    assert_eq!((failure.exit, out.as_str()), (Exit::WaitedTooLong, ""));
    assert_eq!(failure.message, format!("{ID} is still working after 60 ms; it goes on"));
}

#[tokio::test]
async fn a_task_that_is_not_there_is_told_at_once() {
    let (ended, _, _) = waited(1, false, None, &[(404, problem(404, "not_found"))]).await;
    assert_eq!(ended.unwrap_err().exit, Exit::NotFound);
}
