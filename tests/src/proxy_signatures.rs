//! Signatures that a real Envoy checks, without a token around them.
//!
//! A filter of a few lines (`proxy_signatures.wat`) passes on what it is sent to the same function
//! of the proxy that the module calls. So any message and any signature can be put to the proxy's
//! code, in the very form that the filter's keys give them.

use std::cell::RefCell;
use std::fs;
use std::time::Duration;

use portcullis::host::{
    CellUnavailable, Counter, Hash, Host, HostVerdict, Mark, Property, SignatureCheck, Swap,
};
use serde_json::Value;

use crate::client::Connection;
use crate::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, wasm_filter,
};
use crate::still::Still;
use crate::wire::Request;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A host whose signatures are checked by an Envoy of its own; its clock stands still.
pub struct ProxySignatures {
    still: Still,
    connection: RefCell<Connection>,
    _envoy: Envoy,
}

impl ProxySignatures {
    /// Starts Envoy.
    ///
    /// # Panics
    /// When that fails.
    pub fn start(now: u64) -> Self {
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
        Self {
            still: Still { now },
            connection: RefCell::new(Connection::new(addr)),
            _envoy: envoy,
        }
    }
}

impl Host for ProxySignatures {
    fn wall_clock(&self) -> Duration {
        #[allow(
            clippy::disallowed_methods,
            reason = "it hands on what it is asked for"
        )]
        self.still.wall_clock()
    }

    fn count(&self, counter: Counter) {
        self.still.count(counter);
    }

    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        self.still.environment(name)
    }

    fn verify_signature(&self, check: SignatureCheck<'_>) -> HostVerdict {
        let arguments: String = message(check).iter().map(|b| format!("{b:02x}")).collect();
        let request = Request {
            method: b"GET".to_vec(),
            path: b"/".to_vec(),
            authority: b"signatures.test".to_vec(),
            headers: vec![(b"arguments".to_vec(), arguments.into_bytes())],
            ..Request::default()
        };
        let answer = self.connection.borrow_mut().send(&request, TIMEOUT);
        let answer = answer.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(answer.status, 200, "the proxy has no such function");
        // `VerifySignatureResult` with `result: true` and nothing else.
        match answer.body.as_slice() {
            [8, 1] => HostVerdict::Valid,
            _ => HostVerdict::Invalid,
        }
    }

    fn property(&self, property: Property) -> Option<Vec<u8>> {
        self.still.property(property)
    }

    fn cell(&self, key: &str) -> Result<Option<(Vec<u8>, Mark)>, CellUnavailable> {
        self.still.cell(key)
    }

    fn swap_cell(
        &self,
        key: &str,
        seen: Option<Mark>,
        value: &[u8],
    ) -> Result<Swap, CellUnavailable> {
        self.still.swap_cell(key, seen, value)
    }

    fn random(&self) -> u64 {
        self.still.random()
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
