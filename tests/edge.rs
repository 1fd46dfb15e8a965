//! What comes in over a socket and is not a request as it should be: refused in a word, by a problem, with nothing stored.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::sockets::{Socket, request};
use tests::{Hive, Options};

/// Sends bytes on a connection of their own; the first answer, and what came behind it until the end.
fn exchange(hive: &Hive, bytes: impl AsRef<[u8]>) -> Result<(tests::sockets::Answer, String)> {
    let mut socket = Socket::to(hive)?;
    // A refusal may come, and the connection end, before everything is sent.
    let _ = socket.send(bytes);
    let answer = socket.answer()?;
    Ok((answer, socket.rest()?))
}

async fn has_no_task(hive: &Hive) -> Result<()> {
    let tasks = hive.get("/api/v2/tasks").await?;
    ensure!(tasks["items"] == json!([]), "{tasks}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_http_is_refused_by_a_problem_closes_the_connection_and_fills_no_log() -> Result<()> {
    let hive = Hive::start().await?;
    let before = hive.log().lines().count();
    let token = format!("Authorization: Bearer {}\r\n", hive.token);
    let post = format!("POST /api/v2/tasks HTTP/1.1\r\nHost: h\r\n{token}");
    let task = r#"{"title":"t"}"#;
    let broken = [
        ("no request at all", "hello\r\n\r\n".to_owned()),
        ("an unknown version", "GET /health HTTP/3.0\r\nHost: h\r\n\r\n".to_owned()),
        ("no host", "GET /health HTTP/1.1\r\n\r\n".to_owned()),
        ("two hosts", "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned()),
        ("a space in a name", "GET /health HTTP/1.1\r\nHost: h\r\nContent-Length : 1\r\n\r\n".to_owned()),
        ("a folded line", "GET /health HTTP/1.1\r\nHost: h\r\nx: a\r\n b\r\n\r\n".to_owned()),
        ("a NUL", "GET /health HTTP/1.1\r\nHost: h\r\nx: a\0b\r\n\r\n".to_owned()),
        ("a length that is none", format!("{post}Content-Length: ten\r\n\r\n{task}")),
        ("a length with a sign", format!("{post}Content-Length: +13\r\n\r\n{task}")),
        ("a negative length", format!("{post}Content-Length: -1\r\n\r\n{task}")),
        ("two lengths", format!("{post}Content-Length: 13\r\nContent-Length: 13\r\n\r\n{task}")),
        ("a coding that is not chunked", format!("{post}Transfer-Encoding: gzip\r\n\r\n{task}")),
        ("two codings", format!("{post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")),
        ("a post of 1.0 without a length", format!("POST /api/v2/tasks HTTP/1.0\r\n{token}\r\n{task}")),
        (
            "chunks in 1.0",
            format!("POST /api/v2/tasks HTTP/1.0\r\n{token}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
    ];
    for (what, bytes) in broken {
        for is_half_closed in [false, true] {
            let mut socket = Socket::to(&hive)?;
            socket.send(&bytes)?;
            if is_half_closed {
                socket.close_sending()?;
            }
            let (answer, rest) = (socket.answer()?, socket.rest()?);
            ensure!(
                (answer.status, answer.problem()?.as_str()) == (400, "malformed_json"),
                "{what}: {answer:?}"
            );
            ensure!(
                answer.field("connection") == Some("close") && rest.is_empty(),
                "{what}: {answer:?} {rest}"
            );
        }
    }
    has_no_task(&hive).await?;
    assert_eq!(hive.log().lines().count(), before, "strangers fill no log: {}", hive.log());
    Ok(())
}

#[tokio::test]
async fn a_request_with_two_lengths_of_its_body_smuggles_nothing() -> Result<()> {
    let hive = Hive::start().await?;
    let hidden = request(&hive, "POST", "/api/v2/tasks", Some(&json!({"title": "hidden"})));
    let head = format!("POST /api/v2/tasks HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n", hive.token);
    for fields in [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", hidden.len() + 5),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", hidden.len() + 5),
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n".to_owned(),
        "Transfer-Encoding:\x0bchunked\r\nContent-Length: 5\r\n".to_owned(),
    ] {
        let (answer, rest) = exchange(&hive, format!("{head}{fields}\r\n0\r\n\r\n{hidden}"))?;
        ensure!(
            (answer.status, answer.problem()?.as_str()) == (400, "malformed_json"),
            "{fields}: {answer:?}"
        );
        ensure!(rest.is_empty(), "one answer and the end: {rest}");
    }
    has_no_task(&hive).await
}

#[tokio::test]
async fn a_head_of_96_fields_and_128_kib_is_taken_and_a_larger_one_is_431() -> Result<()> {
    let hive = Hive::start().await?;
    let with_fields = |count: usize| {
        let more: String = (0..count - 2).map(|number| format!("x-{number}: 1\r\n")).collect();
        format!("GET /health/live HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{more}\r\n")
    };
    let with_bytes = |count: usize| {
        let head = "GET /health/live HTTP/1.1\r\nHost: h\r\nConnection: close\r\nx: ";
        format!("{head}{}\r\n\r\n", "a".repeat(count - head.len() - 4))
    };
    for (what, bytes, status) in [
        ("96 fields", with_fields(96), 200),
        ("97 fields", with_fields(97), 431),
        ("131,072 bytes", with_bytes(131_072), 200),
        // What was read by then decides, so the last bytes are sent when nothing more would be read.
        ("a mebibyte", with_bytes(1 << 20), 431),
        ("a line without an end", format!("GET /{}", "a".repeat(1 << 20)), 431),
    ] {
        let (answer, rest) = exchange(&hive, bytes)?;
        ensure!(answer.status == status && rest.is_empty(), "{what}: {answer:?}");
        if status == 431 {
            ensure!(answer.problem()? == "payload_too_large", "{what}: {answer:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_path_of_65534_bytes_is_read_and_a_longer_one_is_400() -> Result<()> {
    let hive = Hive::start().await?;
    let get = |length: usize| {
        let path = format!("/api/v2/{}", "a".repeat(length - "/api/v2/".len()));
        request(&hive, "GET", &path, None).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
    };
    let (answer, _) = exchange(&hive, get(65_534))?;
    assert_eq!((answer.status, answer.problem()?.as_str()), (404, "not_found"));
    let (answer, _) = exchange(&hive, get(65_535))?;
    assert_eq!((answer.status, answer.problem()?.as_str()), (400, "malformed_json"));
    Ok(())
}

#[tokio::test]
async fn http_1_0_needs_no_host_and_keeps_a_connection_only_when_asked() -> Result<()> {
    let hive = Hive::start().await?;
    let (answer, rest) = exchange(&hive, "GET /health/live HTTP/1.0\r\n\r\n")?;
    assert_eq!((answer.status, answer.body.as_str(), rest.as_str()), (200, r#"{"status":"live"}"#, ""));
    assert!(answer.head.starts_with("HTTP/1.0 200 "), "{answer:?}");
    let mut socket = Socket::to(&hive)?;
    for _ in 0..3 {
        socket.send("GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")?;
        let answer = socket.answer()?;
        assert_eq!((answer.status, answer.field("connection")), (200, Some("keep-alive")));
    }
    let token = format!("Authorization: Bearer {}\r\n", hive.token);
    socket.send(format!(
        "POST /api/v2/tasks HTTP/1.0\r\n{token}Content-Length: 13\r\n\r\n{}",
        r#"{"title":"t"}"#
    ))?;
    assert_eq!(socket.answer()?.status, 201);
    assert_eq!(socket.rest()?, "", "the last one did not ask to keep it");
    Ok(())
}

#[tokio::test]
async fn a_body_in_chunks_is_taken_and_one_with_wrong_sizes_is_refused_and_not_stored() -> Result<()> {
    let hive = Hive::start().await?;
    let head = format!(
        "POST /api/v2/tasks HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        hive.token
    );
    for body in [
        "zz\r\n{\"title\":\"t\"}\r\n0\r\n\r\n",
        "-1\r\n{\"title\":\"t\"}\r\n0\r\n\r\n",
        "1\r\n{\"title\":\"t\"}\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n{\"title\":\"t\"}\r\n0\r\n\r\n",
        "d\r\n{\"title\":\"t\"}X\r\n0\r\n\r\n",
        "\r\n{\"title\":\"t\"}\r\n0\r\n\r\n",
    ] {
        let (answer, rest) = exchange(&hive, format!("{head}{body}"))?;
        ensure!((answer.status, answer.problem()?.as_str()) == (400, "malformed_json"), "{body}: {answer:?}");
        ensure!(rest.is_empty(), "{body}: {rest}");
    }
    has_no_task(&hive).await?;
    let mut socket = Socket::to(&hive)?;
    for piece in [head.as_str(), "5\r\n{\"tit\r\n", "8;name=value\r\nle\":\"t\"}\r\n", "0\r\n\r\n"] {
        socket.send(piece)?;
    }
    assert_eq!(socket.answer()?.status, 201);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_ends_in_the_middle_of_a_body_stores_nothing() -> Result<()> {
    let hive = Hive::start().await?;
    let whole =
        request(&hive, "POST", "/api/v2/tasks", Some(&json!({"title": "t", "input": "x".repeat(9_000)})));
    for cut in [1, 100, 8_900] {
        let part = &whole[..whole.len() - cut];
        let mut half_closed = Socket::to(&hive)?;
        half_closed.send(part)?;
        half_closed.close_sending()?;
        let answer = half_closed.answer()?;
        assert_eq!((answer.status, answer.problem()?.as_str()), (400, "malformed_json"), "{answer:?}");
        assert_eq!(half_closed.rest()?, "");
        let mut gone = Socket::to(&hive)?;
        gone.send(part)?;
        drop(gone);
    }
    // One that comes to its end is stored, and alone.
    hive.submit(&json!({"title": "whole"})).await?;
    let tasks = hive.get("/api/v2/tasks").await?;
    assert_eq!((&tasks["total_estimate"], &tasks["items"][0]["title"]), (&json!(1), &json!("whole")));
    Ok(())
}

#[tokio::test]
async fn a_path_means_the_same_however_its_letters_are_encoded_and_goes_past_no_login() -> Result<()> {
    let hive = Hive::start_with(Options::default()).await?;
    let ask = |method: &str, path: &str, with_token: bool| {
        let mut text =
            request(&hive, method, path, None).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        if !with_token {
            text = text.replace(&hive.token, "wrong");
        }
        exchange(&hive, text).map(|(answer, _)| answer)
    };
    for path in ["/api/v2/queues/a%2Db%2e1/pause", "/%61pi/v2/%71ueues/a-b.1/pause/"] {
        let answer = ask("POST", path, true)?;
        assert_eq!((answer.status, &answer.json()?["name"]), (200, &json!("a-b.1")), "{path}");
    }
    // A slash or a percent sign that is encoded is part of a name, and no name has one.
    for path in ["/api/v2/queues/a%2Fb", "/api/v2/queues/a%252Db", "/api/v2/queues/a%zz", "/api%2Fv2/queues"]
    {
        assert_eq!(ask("GET", path, true)?.status, 404, "{path}");
    }
    for path in ["/%61pi/v2/tasks", "/api/v2/t%61sks", "/%61%70%69/%76%32/agents"] {
        let answer = ask("GET", path, false)?;
        assert_eq!((answer.status, answer.problem()?.as_str()), (401, "unauthorized"), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn an_early_refusal_reaches_a_client_that_reads_only_after_it_has_sent_everything() -> Result<()> {
    let hive = Hive::start().await?;
    let mut socket = Socket::to(&hive)?;
    // Far more than the kernel buffers: it is all taken, so that a client that reads last is not told of a reset instead.
    socket.send(vec![b'a'; 16 << 20])?;
    let answer = socket.answer()?;
    assert_eq!((answer.status, answer.problem()?.as_str()), (431, "payload_too_large"));
    Ok(())
}
