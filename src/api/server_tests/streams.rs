//! Output that is followed: what is stored, what comes, how it ends, and how many may follow.

use std::time::Instant;

use futures_util::future::try_join_all;

use super::*;

/// Longest that anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A stream as a client reads it.
struct Stream {
    response: Response,
    unread: String,
}

impl Stream {
    /// The next block that is no comment: its lines, or `None` at the end.
    async fn next(&mut self) -> Option<Vec<String>> {
        loop {
            let block = self.block().await?;
            if !block.starts_with(':') {
                return Some(block.lines().map(str::to_owned).collect());
            }
        }
    }

    /// The next block, comments too.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.unread.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.unread = rest;
                return Some(block);
            }
            let more = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("nothing came");
            let more = more.unwrap()?;
            self.unread.push_str(std::str::from_utf8(&more).unwrap());
        }
    }

    /// The texts of the next pieces, with their ids.
    async fn pieces(&mut self, count: usize) -> Vec<(String, String)> {
        let mut found = Vec::new();
        while found.len() < count {
            let block = self.next().await.expect("a piece");
            assert_eq!(block[0], "event: output", "{block:?}");
            let json: Value = serde_json::from_str(block[2].strip_prefix("data: ").unwrap()).unwrap();
            let id = block[1].strip_prefix("id: ").unwrap().to_owned();
            found.push((id, json["text"].as_str().unwrap().to_owned()));
        }
        found
    }
}

impl Hive {
    async fn follow(&self, task: &str, query: &str, last: Option<&str>) -> Stream {
        let mut request = self.ask(Method::GET, &format!("/api/v2/tasks/{task}/output?follow=true{query}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(response.headers().contains_key("x-correlation-id"));
        Stream { response, unread: String::new() }
    }

    /// A task that an agent works on.
    async fn working(&self, agent: &str) -> String {
        let (_, task) = self.post("/api/v2/tasks", json!({"title": "t", "backoff": {"initial_ms": 1}})).await;
        let task = task["id"].as_str().unwrap().to_owned();
        self.claim(agent, &task).await;
        task
    }

    async fn claim(&self, agent: &str, task: &str) {
        let lease = json!({"wait_ms": 10_000});
        let (_, leased) = self.post(&format!("/api/v2/agents/{agent}/lease"), lease).await;
        assert_eq!(leased["assignments"][0]["task_id"], task, "{leased}");
    }

    async fn write(&self, task: &str, attempt: u32, text: &str) {
        let body = json!({"attempt": attempt, "text": text});
        let (status, answer) = self.post(&format!("/api/v2/tasks/{task}/output"), body).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn complete(&self, task: &str, attempt: u32) {
        let body = json!({"attempt": attempt});
        assert_eq!(self.post(&format!("/api/v2/tasks/{task}/complete"), body).await.0, 200);
    }

    async fn until_streams(&self, count: usize) {
        let began = Instant::now();
        while self.in_flight.streams() != count {
            assert!(began.elapsed() < PATIENCE, "{} streams in place of {count}", self.in_flight.streams());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())).collect()
}

#[actix_web::test]
async fn a_stream_has_what_is_stored_then_what_comes_over_all_attempts_and_then_the_end() {
    let hive = Hive::start(ApiSettings::default()).await;
    let agent = hive.worker("coder", 1).await;
    let task = hive.working(&agent).await;
    for text in ["a", "b\n\ndata: x", "c", "d", "e"] {
        hive.write(&task, 1, text).await;
    }
    let mut stream = hive.follow(&task, "", None).await;
    let stored = [("1.1", "a"), ("1.2", "b\n\ndata: x"), ("1.3", "c"), ("1.4", "d"), ("1.5", "e")];
    assert_eq!(stream.pieces(5).await, pairs(&stored));
    let began = Instant::now();
    hive.write(&task, 1, "live").await;
    assert_eq!(stream.pieces(1).await, pairs(&[("1.6", "live")]));
    assert!(began.elapsed() < Duration::from_millis(800), "told of, not found by looking again");
    let failed = json!({"attempt": 1, "error": {"kind": "k", "message": "m"}});
    assert_eq!(hive.post(&format!("/api/v2/tasks/{task}/fail"), failed).await.0, 200);
    hive.claim(&agent, &task).await;
    hive.write(&task, 2, "again").await;
    assert_eq!(stream.pieces(1).await, pairs(&[("2.1", "again")]));
    hive.write(&task, 2, "last").await;
    hive.complete(&task, 2).await;
    assert_eq!(stream.pieces(1).await, pairs(&[("2.2", "last")]));
    assert_eq!(stream.next().await.unwrap(), ["event: end", r#"data: {"state":"completed"}"#]);
    assert_eq!(stream.next().await, None, "the server ends it");
    hive.until_streams(0).await;
}

#[actix_web::test]
async fn a_stream_is_taken_up_after_the_place_that_is_named() {
    let hive = Hive::start(ApiSettings::default()).await;
    let agent = hive.worker("coder", 1).await;
    let task = hive.working(&agent).await;
    for text in ["a", "b", "c"] {
        hive.write(&task, 1, text).await;
    }
    hive.complete(&task, 1).await;
    for (query, last, expected) in [
        ("&cursor=1.1", None, &[("1.2", "b"), ("1.3", "c")][..]),
        ("", Some("1.2"), &[("1.3", "c")]),
        ("&cursor=1.1", Some("1.2"), &[("1.3", "c")]),
        ("", Some("1.3"), &[]),
    ] {
        let mut stream = hive.follow(&task, query, last).await;
        assert_eq!(stream.pieces(expected.len()).await, pairs(expected), "{query} {last:?}");
        assert_eq!(stream.next().await.unwrap()[0], "event: end");
    }
    let path = format!("/api/v2/tasks/{task}/output?follow=true");
    let odd = hive.ask(Method::GET, &path).header("last-event-id", "later").send().await.unwrap();
    let (status, problem) = read(odd).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("Last-Event-ID")), "{problem}");
    for (query, field) in [("&cursor=x", "cursor"), ("&limit=5", "limit"), ("&follow=1", "follow")] {
        let (status, problem) = hive.get(&format!("{path}{query}")).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{problem}");
    }
    let (status, problem) = hive.get("/api/v2/tasks/task_0000000000001/output?follow=true").await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
    let head = hive.ask(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), &head.headers()["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    hive.until_streams(0).await;
}

#[actix_web::test]
async fn a_silent_stream_beats() {
    let beat = Duration::from_millis(150);
    let hive = Hive::start(ApiSettings { follow_beat: beat, ..ApiSettings::default() }).await;
    let (_, task) = hive.post("/api/v2/tasks", json!({"title": "t"})).await;
    let mut stream = hive.follow(task["id"].as_str().unwrap(), "", None).await;
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(stream.block().await.as_deref(), Some(":"));
    }
    assert!(began.elapsed() >= beat * 2, "no more often than said");
}

#[actix_web::test]
async fn beyond_the_most_streams_one_more_is_refused_until_a_client_goes() {
    let hive = Hive::start(ApiSettings { follows_max: 2, ..ApiSettings::default() }).await;
    let (_, task) = hive.post("/api/v2/tasks", json!({"title": "t"})).await;
    let task = task["id"].as_str().unwrap();
    let (one, two) = (hive.follow(task, "", None).await, hive.follow(task, "", None).await);
    assert_eq!(hive.in_flight.count(), 0, "a stream is no request under way");
    let refused =
        hive.ask(Method::GET, &format!("/api/v2/tasks/{task}/output?follow=true")).send().await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "1");
    let (status, problem) = read(refused).await;
    assert_eq!((status, &problem["code"]), (503, &json!("overloaded")), "{problem}");
    drop(one);
    hive.until_streams(1).await;
    let three = hive.follow(task, "", None).await;
    drop((two, three));
    hive.until_streams(0).await;
}

#[actix_web::test]
async fn a_drain_ends_every_stream_at_once_and_without_the_word_end() {
    let hive = Hive::start(ApiSettings::default()).await;
    let agent = hive.worker("coder", 1).await;
    let task = hive.working(&agent).await;
    hive.write(&task, 1, "a").await;
    let mut stream = hive.follow(&task, "", None).await;
    assert_eq!(stream.pieces(1).await, pairs(&[("1.1", "a")]));
    hive.runtime.handle.begin_drain();
    let began = Instant::now();
    assert_eq!(stream.next().await, None);
    assert!(began.elapsed() < Duration::from_millis(900), "it took {:?}", began.elapsed());
    hive.until_streams(0).await;
}

#[actix_web::test]
async fn what_is_written_while_a_task_ends_is_sent_before_the_end() {
    let hive = Hive::start(ApiSettings::default()).await;
    let agent = hive.worker("coder", 1).await;
    // Each of many streams looks for output and then for the state; in some of them both change in between.
    for _ in 0..10 {
        let task = hive.working(&agent).await;
        let streams = try_join_all((0..100).map(async |_| Ok::<_, ()>(hive.follow(&task, "", None).await)));
        let streams = streams.await.unwrap();
        hive.write(&task, 1, "first").await;
        let (output, last) = (format!("/api/v2/tasks/{task}/output"), json!({"attempt": 1, "text": "last"}));
        let (complete, done) = (format!("/api/v2/tasks/{task}/complete"), json!({"attempt": 1}));
        let ((status, _), _) = tokio::join!(hive.post(&output, last), hive.post(&complete, done));
        // What came after the report was refused and belongs to nobody.
        let expected =
            if status == 200 { &[("1.1", "first"), ("1.2", "last")][..] } else { &[("1.1", "first")] };
        for mut stream in streams {
            assert_eq!(stream.pieces(expected.len()).await, pairs(expected));
            assert_eq!(stream.next().await.unwrap()[0], "event: end");
        }
    }
}
