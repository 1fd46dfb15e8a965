//! WebSocket itself, byte by byte: the cases of Autobahn's groups 1 to 7 and 10 that a server with a protocol of its own can be
//! asked. Where Autobahn has an echo compared, a ping of ours comes back with what it carried.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Hive, Options, PATIENCE};

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const MORE: u8 = 0;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;

/// A connection that answers nothing by itself, behind its handshake and its first frames.
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    pub fn open(hive: &Hive) -> Result<Self> {
        let mut stream = TcpStream::connect(hive.url.trim_start_matches("http://"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let head = format!(
            "GET /api/dashboard/ws/system?subscriptions= HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {}\r\n\r\n",
            hive.token
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            answer.extend(byte);
        }
        let answer = String::from_utf8(answer)?.to_lowercase();
        ensure!(answer.starts_with("http/1.1 101 "), "{answer}");
        // Source of the pair: RFC 6455, section 1.3.
        ensure!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
        let mut raw = Self { stream };
        raw.json()?;
        raw.json()?;
        Ok(raw)
    }

    fn send(&mut self, first: u8, payload: &[u8]) -> Result<()> {
        // A server that has refused what came before may be gone.
        let _ = self.stream.write_all(&frame(first, payload));
        Ok(())
    }

    /// The next frame: its opcode and its payload; `None` at the end.
    fn read(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        let mut head = [0; 2];
        match self.stream.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Err(error.into()),
            Err(_) => return Ok(None),
        }
        ensure!(
            head[0] & 0x70 == 0 && head[1] & 0x80 == 0,
            "a server's frame is neither extended nor masked"
        );
        let length = match head[1] {
            126 => {
                let mut bytes = [0; 2];
                self.stream.read_exact(&mut bytes)?;
                usize::from(u16::from_be_bytes(bytes))
            }
            127 => {
                let mut bytes = [0; 8];
                self.stream.read_exact(&mut bytes)?;
                usize::try_from(u64::from_be_bytes(bytes))?
            }
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok(Some((head[0] & 15, payload)))
    }

    fn json(&mut self) -> Result<Value> {
        let (opcode, payload) = self.read()?.context("the end")?;
        ensure!(opcode == TEXT, "{opcode}: {}", String::from_utf8_lossy(&payload));
        let frame = serde_json::from_slice(&payload)?;
        tests::watcher::check(&frame)?;
        Ok(frame)
    }

    /// Expects the answer to a ping of ours with this correlation id.
    fn pong(&mut self, id: &str) -> Result<()> {
        let frame = self.json()?;
        ensure!(frame["type"] == "pong" && frame["correlation_id"] == id, "{frame}");
        Ok(())
    }

    /// Expects the connection to be closed with this code.
    pub fn closed(mut self, code: u16) -> Result<()> {
        loop {
            let (opcode, payload) = self.read()?.context("the end without a closing frame")?;
            if opcode == CLOSE {
                let told = payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
                ensure!(told == Some(code), "{told:?} in place of {code}");
                return Ok(());
            }
        }
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x5a, 0xa5, 0x0f, 0xf1];
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        middle @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend(u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A ping of ours, of at least so many bytes.
fn ask(id: &str, bytes: usize) -> Vec<u8> {
    let mut text = json!({"type": "ping", "correlation_id": id}).to_string();
    text.push_str(&" ".repeat(bytes.saturating_sub(text.len())));
    text.into_bytes()
}

async fn hive() -> Result<Hive> {
    Hive::start_with(Options::default().set("HIVE__WEBSOCKET__BURST", 10_000)).await
}

#[tokio::test]
async fn group_1_messages_of_every_length_are_read() -> Result<()> {
    let hive = hive().await?;
    let mut raw = Raw::open(&hive)?;
    for bytes in [0, 125, 126, 127, 128, 4_096, 65_535, 65_536] {
        let id = format!("1.{bytes}");
        raw.send(FIN | TEXT, &ask(&id, bytes))?;
        raw.pong(&id)?;
        raw.send(FIN | BINARY, &vec![0xfe; bytes])?;
        ensure!(raw.json()?["code"] == "invalid_json", "a binary message is answered, too");
    }
    for bytes in frame(FIN | TEXT, &ask("1.octets", 997)) {
        raw.stream.write_all(&[bytes])?;
    }
    raw.pong("1.octets")
}

#[tokio::test]
async fn group_2_pings_come_back_with_what_they_carried_and_lone_pongs_are_nothing() -> Result<()> {
    let hive = hive().await?;
    let mut raw = Raw::open(&hive)?;
    for payload in [&b""[..], b"hello", &[0x00, 0xff, 0xfe], &[0xfe; 125]] {
        raw.send(FIN | PING, payload)?;
        ensure!(raw.read()? == Some((PONG, payload.to_vec())));
    }
    for number in 0..10_u8 {
        raw.send(FIN | PING, &[number])?;
    }
    for number in 0..10_u8 {
        ensure!(raw.read()? == Some((PONG, vec![number])), "in order");
    }
    raw.send(FIN | PONG, b"nobody asked")?;
    for byte in frame(FIN | PING, b"octets") {
        raw.stream.write_all(&[byte])?;
    }
    ensure!(raw.read()? == Some((PONG, b"octets".to_vec())));
    raw.send(FIN | PING, &[0xfe; 126])?;
    raw.closed(1002)
}

#[tokio::test]
async fn groups_3_and_4_reserved_bits_opcodes_and_missing_masks_are_refused() -> Result<()> {
    let hive = hive().await?;
    for bits in 1..=7_u8 {
        let mut raw = Raw::open(&hive)?;
        raw.send(FIN | TEXT, &ask("before", 0))?;
        raw.send(FIN | (bits << 4) | TEXT, &ask("never", 0))?;
        raw.pong("before")?;
        raw.closed(1002).with_context(|| format!("bits {bits}"))?;
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        let mut raw = Raw::open(&hive)?;
        raw.send(FIN | opcode, b"")?;
        raw.send(FIN | PING, b"never")?;
        raw.closed(1002).with_context(|| format!("opcode {opcode}"))?;
    }
    let mut raw = Raw::open(&hive)?;
    raw.stream.write_all(&[FIN | TEXT, 2, b'{', b'}'])?;
    raw.closed(1002)
}

#[tokio::test]
async fn groups_5_and_10_messages_of_many_frames_are_read_and_others_of_them_refused() -> Result<()> {
    let hive = hive().await?;
    let mut raw = Raw::open(&hive)?;
    let whole = ask("5.1", 200);
    raw.send(TEXT, &whole[..10])?;
    raw.send(FIN | PING, b"between")?;
    raw.send(MORE, b"")?;
    raw.send(MORE, &whole[10..50])?;
    raw.send(FIN | MORE, &whole[50..])?;
    ensure!(raw.read()? == Some((PONG, b"between".to_vec())));
    raw.pong("5.1")?;
    let long = ask("10.1", 65_536);
    let pieces: Vec<&[u8]> = long.chunks(1_300).collect();
    let (last, others) = pieces.split_last().context("pieces")?;
    for (number, piece) in others.iter().enumerate() {
        raw.send(if number == 0 { TEXT } else { MORE }, piece)?;
    }
    raw.send(FIN | MORE, last)?;
    raw.pong("10.1")?;
    let too_many: [&[(u8, &[u8])]; 6] = [
        &[(FIN | MORE, b"x")],
        &[(MORE, b"x")],
        &[(TEXT, b"x"), (FIN | TEXT, b"y")],
        &[(TEXT, b"x"), (FIN | MORE, b"y"), (FIN | MORE, b"z")],
        &[(PING, b"x"), (FIN | MORE, b"y")],
        &[(PONG, b"x"), (FIN | MORE, b"y")],
    ];
    for frames in too_many {
        let mut raw = Raw::open(&hive)?;
        frames.iter().try_for_each(|(first, payload)| raw.send(*first, payload))?;
        raw.closed(1002).with_context(|| format!("{frames:?}"))?;
    }
    // A frame counts as a byte, so that frames of nothing do not go on for ever.
    let mut raw = Raw::open(&hive)?;
    raw.send(TEXT, b"")?;
    let _ = raw.stream.write_all(&frame(MORE, b"").repeat(1 << 20));
    raw.closed(1009)?;
    let mut raw = Raw::open(&hive)?;
    raw.send(TEXT, &vec![b' '; 700_000])?;
    raw.send(FIN | MORE, &vec![b' '; 700_000])?;
    raw.closed(1009)
}

#[tokio::test]
async fn a_message_that_comes_slowly_is_a_sign_of_life() -> Result<()> {
    let options = Options::default().set("HIVE__WEBSOCKET__IDLE_S", 2).set("HIVE__WEBSOCKET__PING_S", 1_000);
    let hive = Hive::start_with(options).await?;
    let mut raw = Raw::open(&hive)?;
    let whole = ask("slow", 200);
    let (first, rest) = whole.split_at(1);
    raw.send(TEXT, first)?;
    let pieces: Vec<&[u8]> = rest.chunks(20).collect();
    let (last, others) = pieces.split_last().context("pieces")?;
    for piece in others {
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        raw.send(MORE, piece)?;
    }
    raw.send(FIN | MORE, last)?;
    loop {
        let (opcode, payload) = raw.read()?.context("the end")?;
        // The hive's own pings are not answered here: they are no sign of life.
        if opcode == PING {
            continue;
        }
        let frame: Value = serde_json::from_slice(&payload)?;
        ensure!(frame["type"] != "disconnect_notice", "{frame}");
        if frame["type"] == "pong" {
            return raw.closed(4410);
        }
    }
}

#[tokio::test]
async fn group_6_texts_are_utf_8_however_they_are_cut() -> Result<()> {
    let hive = hive().await?;
    let mut raw = Raw::open(&hive)?;
    let id = "κόσμε-\u{1f600}-\u{10ffff}-\u{fffe}";
    let whole = serde_json::to_vec(&json!({"type": "ping", "correlation_id": id}))?;
    raw.send(FIN | TEXT, &whole)?;
    raw.pong(id)?;
    for (number, byte) in whole.iter().enumerate() {
        let first = if number == 0 { TEXT } else { MORE };
        let fin = if number + 1 == whole.len() { FIN } else { 0 };
        raw.send(fin | first, &[*byte])?;
    }
    raw.pong(id)?;
    for broken in [
        &b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"[..],
        b"\xf4\x90\x80\x80",
        b"\xc0\xaf",
        b"\xe0\x80\x80",
        b"\xff",
        b"\xce",
        b"\x80",
        b"\xed\xbf\xbf",
    ] {
        let mut raw = Raw::open(&hive)?;
        raw.send(FIN | TEXT, broken)?;
        raw.closed(1007).with_context(|| format!("{broken:x?}"))?;
        let mut raw = Raw::open(&hive)?;
        raw.send(TEXT, &broken[..1])?;
        raw.send(FIN | MORE, &broken[1..])?;
        raw.closed(1007).with_context(|| format!("{broken:x?} in two frames"))?;
    }
    Ok(())
}

#[tokio::test]
async fn group_7_a_closing_frame_is_answered_and_nothing_after_it_is() -> Result<()> {
    let hive = hive().await?;
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999_u16] {
        let mut raw = Raw::open(&hive)?;
        raw.send(FIN | CLOSE, &[&code.to_be_bytes()[..], b"goodbye"].concat())?;
        raw.closed(code).with_context(|| code.to_string())?;
    }
    let mut raw = Raw::open(&hive)?;
    raw.send(FIN | CLOSE, b"")?;
    raw.send(FIN | PING, b"never")?;
    raw.send(FIN | TEXT, &ask("never", 0))?;
    ensure!(raw.read()? == Some((CLOSE, vec![])), "without a code, and nothing before it");
    ensure!(raw.read()?.is_none(), "nothing after it");
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16] {
        let mut raw = Raw::open(&hive)?;
        raw.send(FIN | CLOSE, &code.to_be_bytes())?;
        raw.closed(1002).with_context(|| code.to_string())?;
    }
    let broken: [&[u8]; 3] =
        [b"\x03", &[&1000_u16.to_be_bytes()[..], &[b'x'; 124]].concat(), b"\x03\xe8\xce\xba\xff"];
    for payload in broken {
        let mut raw = Raw::open(&hive)?;
        raw.send(FIN | CLOSE, payload)?;
        let mut codes = Vec::new();
        while let Some((opcode, payload)) = raw.read()? {
            if opcode == CLOSE {
                codes.push(u16::from_be_bytes([payload[0], payload[1]]));
            }
        }
        ensure!(matches!(codes[..], [1002 | 1007]), "{payload:x?}: {codes:?}");
    }
    Ok(())
}
