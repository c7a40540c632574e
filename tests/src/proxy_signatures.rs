//! Signatures that a real Envoy checks, without a token around them.
//!
//! A filter of a few lines (`proxy_signatures.wat`) passes on what it is sent to the same function
//! of the proxy that the module calls. So any message and any signature can be put to the proxy's
//! code, in the very form that the filter's keys give them.

use std::cell::RefCell;
use std::fs;
use std::time::Duration;

use portcullis::host::{Hash, HostVerdict, SignatureCheck};
use portcullis::memory_host::MemoryHost;
use serde_json::Value;

use crate::client::Connection;
use crate::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, wasm_filter,
};
use crate::still::still;
use crate::wire::Request;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A host whose signatures are checked by an Envoy of its own; its clock stands still.
///
/// # Panics
/// When Envoy does not start, or later does not answer.
pub fn proxy_signatures(now: u64) -> MemoryHost {
    let wasm = wat::parse_str(include_str!("proxy_signatures.wat")).expect("the text is right");
    let name = format!("portcullis-signatures-{}.wasm", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::write(&path, wasm).expect("a file can be written");
    let filter = wasm_filter("signatures", &path, Value::Null, WasmOptions::default());
    let listener = listener("signatures", vec![filter], ListenerOptions::default());
    // The filter answers every request itself, so nobody listens there.
    let nobody = cluster("upstream", ([127, 0, 0, 1], 9).into());
    let options = Options {
        concurrency: 1,
        ..Options::default()
    };
    let envoy = Envoy::start(bootstrap(vec![listener], vec![nobody]), &options);
    let envoy = envoy.unwrap_or_else(|error| panic!("{error}"));
    let _ = fs::remove_file(&path);
    let addr = envoy.listener_addr("signatures").expect("it listens");
    let connection = RefCell::new(Connection::new(addr));
    still(now).with_signatures(move |check| {
        // It runs as long as there is something to ask.
        let _running = &envoy;
        verify(&mut connection.borrow_mut(), check)
    })
}

fn verify(connection: &mut Connection, check: SignatureCheck<'_>) -> HostVerdict {
    let arguments: String = message(check).iter().map(|b| format!("{b:02x}")).collect();
    let request = Request {
        method: b"GET".to_vec(),
        path: b"/".to_vec(),
        authority: b"signatures.test".to_vec(),
        headers: vec![(b"arguments".to_vec(), arguments.into_bytes())],
        ..Request::default()
    };
    let answer = connection.send(&request, TIMEOUT);
    let answer = answer.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answer.status, 200, "the proxy has no such function");
    // `VerifySignatureResult` with `result: true` and nothing else.
    match answer.body.as_slice() {
        [8, 1] => HostVerdict::Valid,
        _ => HostVerdict::Invalid,
    }
}

/// `VerifySignatureArguments`: hash, key, signature, text.
fn message(check: SignatureCheck<'_>) -> Vec<u8> {
    let hash: &[u8] = match check.hash {
        Hash::Sha256 => b"sha256",
        Hash::Sha384 => b"sha384",
        Hash::Sha512 => b"sha512",
    };
    let mut message = Vec::new();
    let fields = [hash, check.public_key, check.signature, check.signed];
    for (number, field) in (1_u8..).zip(fields) {
        message.push(number << 3 | 2);
        let mut length = field.len();
        while length > 0x7f {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(field);
    }
    message
}
