//! One connection of the upstream.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};

use jwt_simple::reexports::ct_codecs::{Base64, Encoder as _};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::json;

use super::{Answer, Arrival, Received, Shared};
use crate::client::message::{Framing, ReadError, Source};
use crate::client::message::{put_chunk, put_field};
use crate::wire::Response;

/// Serves requests until either side ends the connection.
pub(super) fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut source = Source::new(stream);
    loop {
        let head = match source.head() {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(()),
            Err(error) => return respond_malformed(&mut source, error),
        };
        let mut words = head.start.split(|&byte| byte == b' ');
        let mut word = || words.next().unwrap_or(b"").to_vec();
        let closes = head.lists("connection", "close");
        let continues = head.lists("expect", "100-continue");
        let framing = head.framing();
        let mut received = Received {
            method: word(),
            path: word(),
            headers: head.fields,
            body: Vec::new(),
            trailers: Vec::new(),
            arrival: Arrival::Arriving,
        };
        let number = shared.begin(&received);
        if continues {
            source
                .stream()
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let read = framing.and_then(|framing| {
            let framing = framing.unwrap_or(Framing::Length(0));
            source.body(framing, &mut received.body, &mut received.trailers)
        });
        received.arrival = match read {
            Ok(()) => Arrival::Whole,
            Err(_) => Arrival::CutOff,
        };
        shared.finish(number, &received);
        if let Err(error) = read {
            return respond_malformed(&mut source, error);
        }
        let answer = shared.answer_to(&received);
        let goes_on = carry_out(source.stream(), answer, &received, shared)?;
        if closes || !goes_on {
            return source.stream().shutdown(Shutdown::Both);
        }
    }
}

/// Answers, and says whether the connection goes on.
fn carry_out(
    mut stream: &TcpStream,
    answer: Option<Answer>,
    received: &Received,
    shared: &Shared,
) -> io::Result<bool> {
    let response = match answer {
        None => echo(received),
        Some(Answer::Respond(response)) => response,
        Some(Answer::Delay(delay, response)) => {
            // One that is gone answers nothing any more.
            if !shared.pause(delay) {
                return Ok(false);
            }
            response
        }
        Some(Answer::HangUp) => return Ok(false),
        Some(Answer::WebSocket(text)) => {
            stream.write_all(&websocket(received, &text))?;
            return Ok(false);
        }
        Some(Answer::Truncate(response)) => {
            let out = encode(&response, &received.method);
            let lost = response.body.len().div_ceil(2);
            stream.write_all(&out[..out.len() - lost.min(out.len())])?;
            return Ok(false);
        }
    };
    stream.write_all(&encode(&response, &received.method))?;
    let closes = response
        .headers
        .iter()
        .any(|(name, value)| name == "connection" && value.eq_ignore_ascii_case(b"close"));
    Ok(!closes)
}

/// The whole of what a WebSocket gets from here: the handshake, one message, the end (RFC 6455).
fn websocket(received: &Received, text: &str) -> Vec<u8> {
    const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let key = received.values("sec-websocket-key").next().unwrap_or(b"");
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, MAGIC].concat());
    let accept = Base64::encode_to_string(hash.as_ref()).expect("base64 of bytes in memory");
    let mut out = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
    put_field(&mut out, b"connection", b"Upgrade");
    put_field(&mut out, b"upgrade", b"websocket");
    put_field(&mut out, b"sec-websocket-accept", accept.as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&[0x81, u8::try_from(text.len()).expect("a short message")]);
    out.extend_from_slice(text.as_bytes());
    // "Going away".
    out.extend_from_slice(&[0x88, 2, 0x03, 0xe9]);
    out
}

fn encode(response: &Response, method: &[u8]) -> Vec<u8> {
    let has = |name| response.headers.iter().any(|(n, _)| n == name);
    let own_coding = has("transfer-encoding");
    let chunked = own_coding || !response.trailers.is_empty();
    let bodiless = matches!(response.status, 100..200 | 204 | 304);

    let mut out = format!("HTTP/1.1 {} Canned\r\n", response.status).into_bytes();
    for (name, value) in &response.headers {
        put_field(&mut out, name.as_bytes(), value);
    }
    if !bodiless && chunked && !own_coding {
        put_field(&mut out, b"transfer-encoding", b"chunked");
    }
    if !bodiless && !chunked && !has("content-length") {
        let length = response.body.len().to_string();
        put_field(&mut out, b"content-length", length.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    if bodiless || method == b"HEAD" {
        return out;
    }
    if !chunked {
        out.extend_from_slice(&response.body);
        return out;
    }
    put_chunk(&mut out, &response.body);
    out.extend_from_slice(b"0\r\n");
    for (name, value) in &response.trailers {
        put_field(&mut out, name.as_bytes(), value);
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn echo(received: &Received) -> Response {
    let text = String::from_utf8_lossy;
    let headers: Vec<_> = received
        .headers
        .iter()
        .map(|(name, value)| [text(name), text(value)])
        .collect();
    let body = json!({
        "method": text(&received.method),
        "path": text(&received.path),
        "headers": headers,
        "body": text(&received.body),
    });
    Response {
        status: 200,
        headers: vec![("content-type".into(), b"application/json".into())],
        body: body.to_string().into_bytes(),
        trailers: Vec::new(),
    }
}

fn respond_malformed(source: &mut Source, error: ReadError) -> io::Result<()> {
    let ReadError::Malformed { .. } = error else {
        return Ok(());
    };
    let response = Response {
        status: 400,
        body: b"the upstream could not read this request".to_vec(),
        ..Response::default()
    };
    source.stream().write_all(&encode(&response, b""))?;
    source.stream().shutdown(Shutdown::Both)
}
