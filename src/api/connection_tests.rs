//! What stands below the protocol: refusals that nobody wrote a body for, and what the kernel is asked for.

use std::future::poll_fn;

use super::*;

fn told(bytes: &[u8]) -> Option<(usize, u16)> {
    bare_refusal(bytes).map(|(answers, problem)| (answers.len(), problem.status().as_u16()))
}

#[test]
fn a_bare_refusal_is_found_behind_other_answers_and_nothing_else_is() {
    let bare = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\ndate: x\r\n\r\n";
    assert_eq!(told(bare), Some((0, 400)));
    let before = b"HTTP/1.1 204 No Content\r\ndate: x\r\n\r\n";
    assert_eq!(told(before), None);
    assert_eq!(told(&[&before[..], &bare[..]].concat()), Some((before.len(), 400)));
    assert_eq!(told(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}"), None);
    assert_eq!(told(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"), None);
    assert_eq!(told(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), None);
    assert_eq!(told(b""), None);
    let large = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(told(large), Some((0, 431)));
}

#[tokio::test]
async fn the_kernel_gives_up_a_client_that_acknowledges_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(connecting, listener.accept());
    let (_client, (stream, _)) = (client.unwrap(), accepted.unwrap());
    let mut connection = Connection::new(stream, &ApiSettings::default());
    let timeout =
        |connection: &Connection| rustix::net::sockopt::tcp_user_timeout(&connection.stream).unwrap();
    poll_fn(|cx| Pin::new(&mut connection).poll_write(cx, b"x")).await.unwrap();
    assert_eq!(timeout(&connection), 0, "an answer has the limit on writes alone");
    let client = Client(Some(connection.traffic()));
    client.limit_writes(Duration::from_secs(20));
    poll_fn(|cx| Pin::new(&mut connection).poll_write(cx, b"x")).await.unwrap();
    assert_eq!(timeout(&connection), 20_000);
}

#[tokio::test(start_paused = true)]
async fn a_client_takes_nothing_from_when_there_is_no_more_room_until_it_reads() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let (reader, accepted) = tokio::join!(connecting, listener.accept());
    let (reader, (stream, _)) = (reader.unwrap(), accepted.unwrap());
    let mut connection = Connection::new(stream, &ApiSettings::default());
    let client = Client(Some(connection.traffic()));
    client.limit_writes(Duration::from_secs(20));
    let mut write = |cx: &mut Context<'_>| Pin::new(&mut connection).poll_write(cx, &[0; 64 << 10]);
    let mut written = 0;
    while let Poll::Ready(taken) = poll_fn(|cx| Poll::Ready(write(cx))).await {
        written += taken.unwrap();
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(poll_fn(|cx| Poll::Ready(write(cx).is_pending())).await, "it still takes nothing");
    assert_eq!(client.takes_nothing_for(), Duration::from_secs(2));
    let mut buffer = vec![0; written];
    while written > 0 {
        reader.readable().await.unwrap();
        written -= reader.try_read(&mut buffer).unwrap_or(0);
    }
    poll_fn(write).await.unwrap();
    assert_eq!(client.takes_nothing_for(), Duration::ZERO);
}
