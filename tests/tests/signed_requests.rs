//! Signed requests in a real Envoy of several workers: a message is used once by all of them, and large bodies
//! are judged as they come. Which signatures are good is in `tests/cases/signed_request`.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_tests::client;
use portcullis_tests::mesh::{Mesh, TIMEOUT};
use portcullis_tests::wire::{Request, Version};
use ring::hmac;
use serde_json::json;

const SECRET: &str = "a secret that these tests share";
/// How many send each message at once, over connections of their own.
const SENDERS: usize = 8;
const MESSAGES: usize = 20;

fn mesh() -> Mesh {
    let document = json!({
        "version": 1,
        "signers": { "partner": {
            "hmac": {
                "signature": { "header": "x-signature", "encoding": "hex" },
                "timestamp": { "header": "x-time" },
                "signed": "{timestamp}.{body}",
            },
            "secrets": [{ "env": "PARTNER_SECRET" }],
            "max_bytes": "1MiB",
        } },
        "routes": [{ "name": "all", "match": {}, "signed_request": { "signer": "partner", "head": "ahead" } }],
    });
    Mesh::start_in(&document, 3, &[], &[("PARTNER_SECRET", SECRET)])
}

/// A message of this moment with that body, in these pieces.
fn message(pieces: Vec<Vec<u8>>, tampered: bool) -> Request {
    #[allow(
        clippy::disallowed_methods,
        reason = "it is signed for the clock of a real proxy"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_secs().to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signed = [now.as_bytes(), b".", &pieces.concat()].concat();
    let tag = hmac::sign(&key, &signed);
    let tag: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let mut pieces = pieces;
    if tampered && let Some(last) = pieces.last_mut().and_then(|piece| piece.last_mut()) {
        *last ^= 1;
    }
    Request {
        version: Version::Http1,
        method: b"POST".to_vec(),
        path: b"/hooks".to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: vec![
            (b"x-time".to_vec(), now.into_bytes()),
            (b"x-signature".to_vec(), tag.into_bytes()),
        ],
        body: Some(pieces),
        trailers: Vec::new(),
    }
}

#[test]
fn messages_are_judged_as_they_come_and_used_once() {
    let mesh = mesh();
    of_all_who_send_one_message_at_once_one_is_let_through(&mesh);
    a_large_body_is_judged_in_its_pieces(&mesh);
}

fn of_all_who_send_one_message_at_once_one_is_let_through(mesh: &Mesh) {
    let addr = mesh.addr();
    for number in 0..MESSAGES {
        let request = message(vec![format!("message {number}").into_bytes()], false);
        let (request, start) = (Arc::new(request), Arc::new(Barrier::new(SENDERS)));
        let senders = (0..SENDERS).map(|_| {
            let (request, start) = (Arc::clone(&request), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                client::send(addr, &request, TIMEOUT).unwrap().status
            })
        });
        let senders: Vec<_> = senders.collect();
        let mut statuses: Vec<u16> = senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .collect();
        statuses.sort_unstable();
        let mut expected = vec![401; SENDERS];
        expected[0] = 200;
        assert_eq!(statuses, expected, "message {number}");
    }
}

fn a_large_body_is_judged_in_its_pieces(mesh: &Mesh) {
    let pieces = |number: u8| -> Vec<Vec<u8>> {
        let piece = |at: u8| vec![at.wrapping_mul(31).wrapping_add(number); 99_991];
        (0..10).map(piece).collect()
    };
    for number in 0..2 {
        let good = message(pieces(number), false);
        assert_eq!(
            client::send(mesh.addr(), &good, TIMEOUT).unwrap().status,
            200
        );
        let bad = message(pieces(number), true);
        assert_eq!(
            client::send(mesh.addr(), &bad, TIMEOUT).unwrap().status,
            401
        );
    }
}
