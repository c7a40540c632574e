//! How often the engine asks for memory while it judges a request.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::host::{
    CellUnavailable, Counter, Host, HostVerdict, Mark, Property, Side, SignatureCheck, Swap,
};
use portcullis::stream::{Action, Stream};
use portcullis_tests::tokens::{self, SigningKey};
use serde_json::json;

/// Counts what each thread asks for.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: all is done by the system's allocator; counting asks for no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NOW: u64 = 2_000_000_000;

/// A proxy that believes every signature, and whose own work is not counted.
#[derive(Default)]
struct Proxy {
    cells: RefCell<HashMap<String, (Vec<u8>, u32)>>,
}

/// Does something whose memory is not the engine's, but for one block that it is given.
fn uncounted<T>(given: u64, work: impl FnOnce() -> T) -> T {
    let before = ASKED.get();
    let done = work();
    ASKED.set(before + given);
    done
}

impl Host for Proxy {
    fn now(&self) -> Duration {
        Duration::from_secs(NOW)
    }

    fn count(&self, _: Counter) {}

    fn environment(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn verify_signature(&self, _: SignatureCheck<'_>) -> HostVerdict {
        HostVerdict::Valid
    }

    fn property(&self, property: Property) -> Option<Vec<u8>> {
        uncounted(1, || match property {
            Property::ClientAddress => Some(b"192.0.2.1:40000".to_vec()),
            Property::ResponseStatus => Some(200_u64.to_le_bytes().to_vec()),
            _ => None,
        })
    }

    fn cell(&self, key: &str) -> Result<Option<(Vec<u8>, Mark)>, CellUnavailable> {
        let cells = self.cells.borrow();
        let cell = cells.get(key);
        Ok(uncounted(1, || {
            cell.map(|(value, mark)| (value.clone(), Mark(*mark)))
        }))
    }

    fn swap_cell(&self, key: &str, _: Option<Mark>, value: &[u8]) -> Result<Swap, CellUnavailable> {
        uncounted(0, || {
            let mut cells = self.cells.borrow_mut();
            let mark = cells.get(key).map_or(1, |(_, mark)| mark + 1);
            cells.insert(key.to_owned(), (value.to_vec(), mark));
        });
        Ok(Swap::Written)
    }

    fn random(&self) -> u64 {
        4
    }

    fn body(&self, _: Side) -> Option<Vec<u8>> {
        None
    }
}

fn engine() -> Rc<Engine> {
    let document = json!({
        "version": 1,
        "access_log": { "sinks": ["filter_state"] },
        "providers": { "corp": {
            "issuer": "https://id.example.com/", "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
        } },
        "defaults": {
            "security_headers": { "preset": "api", "remove_revealing": false },
            "cors": { "allow_origins": [{ "exact": "https://app.example.com" }] },
            "rate_limits": [{
                "name": "all", "key": [], "headers": "x_ratelimit",
                "token_bucket": { "max_tokens": 1000, "tokens_per_fill": 1000, "fill_interval": "1s" },
            }],
        },
        "routes": [{ "name": "all", "match": { "path": { "prefix": "/" } }, "jwt": { "provider": "corp" } }],
    });
    Rc::new(Engine::compile(document.to_string().as_bytes()).unwrap())
}

fn headers() -> Headers {
    let claims = json!({ "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice", "exp": NOW + 60 });
    let token = tokens::mint(&json!({ "key": "p256", "claims": claims }), NOW);
    let mut headers = Headers::default();
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.example.com"),
        (":path", "/orders/1?page=2"),
        ("user-agent", "test"),
        ("origin", "https://app.example.com"),
        ("x-request-id", "6f1f6f0e-7a0e-4f0a-9a5d-0a4a0c0a0b0c"),
        ("authorization", &format!("Bearer {token}")),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    headers
}

/// The number for head, answer and record of one request.
fn exchange(engine: &Rc<Engine>, headers: &Headers, proxy: &Proxy) -> [u64; 3] {
    let headers = headers.clone();
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    ASKED.set(0);
    let action = stream.request_headers(headers, BodyState::Complete, proxy);
    let head = ASKED.replace(0);
    assert!(matches!(action, Action::Continue(_)), "{action:?}");
    ASKED.set(0);
    let answer = stream.response_headers(None, BodyState::Complete, proxy);
    let answered = ASKED.replace(0);
    assert!(!answer.edits.is_empty());
    ASKED.set(0);
    let log = engine.access_log().expect("there is a log");
    let record = log.record(&stream, None, proxy).expect("all are recorded");
    let recorded = ASKED.replace(0);
    assert!(record.contains("alice"), "{record}");
    [head, answered, recorded]
}

/// The whole chain with a token seen before. The figures are those of today: a request that needs
/// more memory is to be noticed.
#[test]
fn a_request_asks_for_memory_this_often() {
    let (engine, headers, proxy) = (engine(), headers(), Proxy::default());
    exchange(&engine, &headers, &proxy);
    let [head, answered, recorded] = exchange(&engine, &headers, &proxy);
    assert!(head <= 16, "the head of a request: {head}");
    assert!(answered <= 6, "the head of an answer: {answered}");
    assert!(recorded <= 6, "a record: {recorded}");
}
