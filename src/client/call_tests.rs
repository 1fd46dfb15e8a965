//! Tests of one request, against a server that answers one prepared text.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers one request with `response` and gives back what was asked, with the client's result.
async fn exchange<T: DeserializeOwned>(response: &str, call: Call<'_>) -> (String, Result<Answer<T>, Error>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&format!("http://{}", listener.local_addr().unwrap()), Some("hive_x")).unwrap();
    let serve = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 8_192];
        let length = socket.read(&mut asked).await.unwrap();
        socket.write_all(response.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        String::from_utf8(asked[..length].to_vec()).unwrap()
    };
    tokio::join!(serve, client.call(call))
}

#[tokio::test]
async fn a_call_names_its_path_query_token_and_idempotency_key_and_keeps_the_answer_as_it_came() {
    let response =
        "HTTP/1.1 201 Created\r\nidempotent-replayed: true\r\ncontent-length: 14\r\n\r\n{\"n\" : 1.50}\r\n";
    let call = Call::new(Method::POST, &["queues", "a b/../c", "pause"])
        .query(vec![("limit".into(), "5".into())])
        .idempotency_key(Some("k1"))
        .body(&[1])
        .unwrap();
    let (asked, answer) = exchange::<serde_json::Value>(response, call).await;
    assert!(asked.starts_with("POST /api/v2/queues/a%20b%2F..%2Fc/pause?limit=5 HTTP/1.1\r\n"), "{asked}");
    for line in
        ["authorization: Bearer hive_x\r\n", "idempotency-key: k1\r\n", "content-type: application/json\r\n"]
    {
        assert!(asked.contains(line), "{line} in {asked}");
    }
    let answer = answer.unwrap();
    assert_eq!(answer.text(), "{\"n\" : 1.50}\r\n");
    assert_eq!(answer["n"], 1.5);
    assert!(answer.is_replayed());
}

#[tokio::test]
async fn a_problem_is_read_with_its_status_and_the_time_to_try_again() {
    let body = r#"{"type":"urn:x","title":"T","status":503,"detail":"D","instance":"/","code":"overloaded","correlation_id":"c"}"#;
    let response = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (_, answer) = exchange::<()>(&response, Call::new(Method::GET, &["tasks"])).await;
    let error = answer.unwrap_err();
    assert_eq!((error.status(), error.to_string().as_str()), (Some(503), "D"));
    assert!(matches!(error, Error::Problem { retry_after: Some(wait), .. } if wait.as_secs() == 2));
}

#[tokio::test]
async fn a_stranger_on_the_port_is_told_apart_from_a_hive() {
    let strange = [
        "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnope",
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>",
        "HTTP/1.1 302 Found\r\nlocation: http://elsewhere/\r\ncontent-length: 0\r\n\r\n",
    ];
    for response in strange {
        let (_, answer) =
            exchange::<protocol::SystemView>(response, Call::new(Method::GET, &["system"])).await;
        assert!(matches!(answer, Err(Error::Unexpected { .. })), "{response}");
    }
    let (_, answer) = exchange::<()>("SSH-2.0-OpenSSH\r\n", Call::new(Method::GET, &["system"])).await;
    assert!(matches!(answer, Err(Error::Unreachable { is_timeout: false, .. })));
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_names_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::new(&url, None).unwrap().system().await.unwrap_err();
    assert_eq!(error.to_string(), format!("no hive answers at {url}"));
}

#[test]
fn addresses_and_tokens_that_cannot_be_used_are_refused_at_once_and_the_token_is_not_shown() {
    let refused = |url: &str, token| Client::new(url, token).unwrap_err().to_string();
    assert!(refused("https://hive.example", None).contains("plain HTTP only"));
    for url in ["127.0.0.1:18080", "", "ftp://x", "localhost:18080", "http://"] {
        assert!(refused(url, None).contains("it is not like http://127.0.0.1:18080"), "{url}");
    }
    let told = refused("http://127.0.0.1:1", Some("s3cret\n"));
    assert_eq!(told, "cannot use the token: it holds characters no token has");
    let client = Client::new("http://127.0.0.1:1/", Some("s3cret")).unwrap();
    assert_eq!(client.base_url(), "http://127.0.0.1:1");
    assert!(!format!("{client:?}").contains("s3cret"));
}
