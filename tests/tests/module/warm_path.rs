//! What a request costs that is like the one before it, in what can be counted: host calls by name, allocations,
//! and functions that are entered. Each chain of the benchmark has its bounds in [`CHAINS`].
//!
//! Code that runs once for a request is cold: it waits for the processor's caches. So functions are counted, and
//! not only calls. `docs/performance.md` tells how to read what a test prints that fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use portcullis_tests::entries::{self, Entered, Function};
use portcullis_tests::fake_host::{Exchange, FakeHost, HostOptions};
use portcullis_tests::module_path;
use portcullis_tests::tokens::repository;
use portcullis_tests::wire::Request;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::{Value, json};

use super::{NOW, request, service};

/// What is aimed at, with a plan: no function more.
const FUNCTIONS_AIM: usize = 25;
/// None but those of the blocks that the proxy hands over.
const ALLOCATIONS_AIM: u32 = 0;

/// A chain of the benchmark, and what a warm request through it may cost: as measured, and a little more.
struct Chain {
    name: &'static str,
    /// Its blocks in `defaults`, and `jwt`.
    blocks: &'static [&'static str],
    recorded: bool,
    sends: Sends,
    status: u16,
    /// Host calls by name, each at most so often, and no others.
    calls: &'static [(&'static str, usize)],
    /// Besides those for the blocks that the proxy hands over.
    allocations: u32,
    /// Distinct functions, in the module as it is shipped.
    functions: usize,
    /// Of the code of these.
    bytes: usize,
}

/// Which request comes again and again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sends {
    Good,
    NoToken,
    Expired,
}

const ALL: &[&str] = &["jwt", "security_headers", "cors", "rate_limits"];
/// A limit that the second request finds spent, in place of one that nobody meets.
const SPENT: &str = "spent";

const CHAINS: [Chain; 8] = [
    Chain {
        name: "whole, token seen before",
        blocks: ALL,
        recorded: true,
        sends: Sends::Good,
        status: 200,
        calls: &[
            ("clock_time_get", 4),
            ("proxy_add_header_map_value", 10),
            ("proxy_get_header_map_pairs", 2),
            ("proxy_get_property", 1),
            ("proxy_remove_header_map_value", 1),
            ("proxy_set_property", 1),
            ("proxy_set_shared_data", 1),
        ],
        allocations: 2,
        functions: 73,
        bytes: 29_500,
    },
    Chain {
        name: "token alone",
        blocks: &["jwt"],
        recorded: false,
        sends: Sends::Good,
        status: 200,
        calls: &[
            ("clock_time_get", 1),
            ("proxy_get_header_map_pairs", 1),
            ("proxy_remove_header_map_value", 1),
        ],
        allocations: 2,
        functions: 40,
        bytes: 21_500,
    },
    Chain {
        name: "refused, no token",
        blocks: ALL,
        recorded: true,
        sends: Sends::NoToken,
        status: 401,
        calls: &[
            ("clock_time_get", 4),
            ("proxy_get_header_map_pairs", 1),
            ("proxy_get_property", 2),
            ("proxy_send_local_response", 1),
            ("proxy_set_property", 1),
            ("proxy_set_shared_data", 1),
        ],
        allocations: 11,
        functions: 107,
        bytes: 43_000,
    },
    Chain {
        name: "refused, expired",
        blocks: ALL,
        recorded: true,
        sends: Sends::Expired,
        status: 401,
        calls: &[
            ("clock_time_get", 4),
            ("proxy_get_header_map_pairs", 1),
            ("proxy_get_property", 2),
            ("proxy_send_local_response", 1),
            ("proxy_set_property", 1),
            ("proxy_set_shared_data", 1),
        ],
        allocations: 14,
        functions: 166,
        bytes: 52_000,
    },
    Chain {
        name: "refused, over the limit",
        blocks: &["jwt", "security_headers", "cors", "rate_limits", SPENT],
        recorded: true,
        sends: Sends::Good,
        status: 429,
        calls: &[
            ("clock_time_get", 4),
            ("proxy_get_header_map_pairs", 1),
            ("proxy_get_property", 2),
            ("proxy_get_shared_data", 1),
            ("proxy_send_local_response", 1),
            ("proxy_set_property", 1),
        ],
        allocations: 9,
        functions: 144,
        bytes: 49_500,
    },
    Chain {
        name: "one limit alone",
        blocks: &["rate_limits"],
        recorded: false,
        sends: Sends::NoToken,
        status: 200,
        calls: &[
            ("clock_time_get", 2),
            ("proxy_get_header_map_pairs", 1),
            ("proxy_replace_header_map_value", 3),
            ("proxy_set_shared_data", 1),
        ],
        allocations: 2,
        functions: 40,
        bytes: 24_500,
    },
    Chain {
        name: "CORS and headers alone",
        blocks: &["security_headers", "cors"],
        recorded: false,
        sends: Sends::NoToken,
        status: 200,
        calls: &[
            ("clock_time_get", 1),
            ("proxy_add_header_map_value", 7),
            ("proxy_get_header_map_pairs", 2),
        ],
        allocations: 2,
        functions: 31,
        bytes: 17_500,
    },
    Chain {
        name: "record alone",
        blocks: &[],
        recorded: true,
        sends: Sends::NoToken,
        status: 200,
        calls: &[
            ("clock_time_get", 4),
            ("proxy_get_header_map_pairs", 1),
            ("proxy_get_property", 2),
            ("proxy_set_property", 1),
        ],
        allocations: 2,
        functions: 47,
        bytes: 23_500,
    },
];

/// The proxy's function for signatures, as far as these tokens need it: ES256. The module tries it before it
/// believes it, so that it has to tell good ones from bad ones.
fn verify_signature(arguments: &[u8]) -> (u32, Vec<u8>) {
    /// An uncompressed point of P-256, the end of its `SubjectPublicKeyInfo`.
    const POINT: usize = 65;
    const BAD_ARGUMENT: u32 = 2;
    let mut rest = arguments;
    let fields: Vec<&[u8]> = std::iter::from_fn(|| field(&mut rest)).collect();
    let [b"sha256", key, signature, text] = fields.as_slice() else {
        return (BAD_ARGUMENT, Vec::new());
    };
    let point = key.len().checked_sub(POINT).and_then(|at| key.get(at..));
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point.unwrap_or_default());
    match key.verify(text, signature) {
        // `VerifySignatureResult` with `result: true`.
        Ok(()) => (0, vec![8, 1]),
        Err(_) => (0, Vec::new()),
    }
}

/// The next field of a message: a tag, a length in one byte or two, so many bytes.
fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = match rest.get(1..)? {
        [low, high, after @ ..] if *low >= 0x80 => {
            (usize::from(low & 0x7f) | usize::from(*high) << 7, after)
        }
        [low, after @ ..] => (usize::from(*low), after),
        [] => return None,
    };
    let (field, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(field)
}

/// Requests before the one that counts: the first makes the limit's cell and has its token verified, the second
/// learns the cell's mark.
const BEFORE: usize = 2;

impl Chain {
    /// Token, one limit for all, CORS, five header fields and a record, or some of it.
    fn document(&self) -> Vec<u8> {
        let has = |block: &str| self.blocks.contains(&block);
        let set = [
            "referrer-policy",
            "x-content-type-options",
            "x-frame-options",
            "x-a",
            "x-b",
        ];
        let set: BTreeMap<&str, &str> = set.into_iter().map(|name| (name, "x")).collect();
        let bucket = match has(SPENT) {
            true => json!({ "max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "1h" }),
            false => json!({ "max_tokens": 1000, "tokens_per_fill": 1000, "fill_interval": "1s" }),
        };
        let mut defaults = json!({
            "security_headers": { "preset": "none", "set": set },
            "cors": { "allow_origins": [{ "exact": "https://app.example.com" }] },
            "rate_limits": [{
                "name": "all", "key": [], "headers": "x_ratelimit", "token_bucket": bucket,
            }],
        });
        let kept = defaults.as_object_mut().expect("it is one");
        kept.retain(|name, _| has(name));
        let sinks = json!({ "sinks": ["filter_state"] });
        let written = super::document(if self.recorded { sinks } else { json!("off") });
        let mut document: Value = serde_json::from_slice(&written).expect("it is JSON");
        document["defaults"] = defaults;
        if !has("jwt") {
            let route = document["routes"][0].as_object_mut().expect("it is one");
            route.remove("jwt");
            route.insert("open".to_owned(), true.into());
        }
        document.to_string().into_bytes()
    }

    fn request(&self) -> Request {
        let exp = match self.sends {
            Sends::Expired => NOW - 3600,
            Sends::Good | Sends::NoToken => NOW + 60,
        };
        let mut request = request("alice", exp);
        if self.sends == Sends::NoToken {
            request.headers.retain(|(name, _)| name != b"authorization");
        }
        let origin = (b"origin".to_vec(), b"https://app.example.com".to_vec());
        request.headers.push(origin);
        request
    }

    /// A module that has had such requests, and one more through it.
    fn warm(&self, wasm: &[u8], begin: fn(&mut FakeHost)) -> (FakeHost, Exchange) {
        let options = HostOptions {
            now_nanos: NOW * 1_000_000_000,
            ..HostOptions::default()
        };
        let mut host = FakeHost::load(wasm, options).expect("it starts");
        host.set_foreign_function("verify_signature", verify_signature);
        host.configure(&self.document()).expect("it is a document");
        let request = self.request();
        for _ in 0..BEFORE {
            host.exchange(&request, &service()).expect("no trap");
        }
        begin(&mut host);
        let exchange = host.exchange(&request, &service()).expect("no trap");
        assert_eq!(exchange.response.status, self.status, "{}", self.name);
        (host, exchange)
    }

    /// Every bound that is not kept.
    fn exceeded(&self, cost: &Cost, is_shipped: bool) -> Vec<String> {
        let mut exceeded = Vec::new();
        for (name, count) in &cost.calls {
            let bound = self.calls.iter().find(|(each, _)| each == name);
            let bound = bound.map_or(0, |(_, bound)| *bound);
            if *count > bound {
                exceeded.push(format!("{count} calls of {name}, at most {bound}"));
            }
        }
        if cost.allocations > self.allocations {
            let (found, bound) = (cost.allocations, self.allocations);
            exceeded.push(format!("{found} allocations, at most {bound}"));
        }
        let entered = cost.entered.len();
        if is_shipped && entered > self.functions {
            exceeded.push(format!("{entered} functions, at most {}", self.functions));
        }
        let bytes = cost.bytes();
        if is_shipped && bytes > self.bytes {
            exceeded.push(format!(
                "functions of {bytes} bytes, at most {}",
                self.bytes
            ));
        }
        exceeded
    }
}

/// What one warm request took.
struct Cost {
    calls: BTreeMap<&'static str, usize>,
    allocations: u32,
    entered: Vec<Entered>,
}

impl Cost {
    fn of(chain: &Chain, counting: &entries::Counting, with_faults: &[u8]) -> Self {
        let (mut host, exchange) = chain.warm(&counting.wasm, |host| {
            host.entries();
        });
        let entered = counting.entered(&host.entries());
        let (mut host, other) = chain.warm(with_faults, |host| host.fail_allocation(0, false));
        let handed_over = u32::try_from(other.calls.returning_bytes).expect("they are few");
        Self {
            calls: exchange.calls.by_name,
            allocations: host.allocations().saturating_sub(handed_over),
            entered,
        }
    }

    fn line(&self, name: &str) -> String {
        let calls: usize = self.calls.values().sum();
        format!(
            "{name}: {calls} host calls, {} allocations (aim {ALLOCATIONS_AIM}), {} functions of {} bytes \
             (aim {FUNCTIONS_AIM}), of which {} run",
            self.allocations,
            self.entered.len(),
            self.bytes(),
            self.run()
        )
    }

    fn bytes(&self) -> usize {
        let bytes = self.entered.iter().map(|each| each.function.bytes);
        bytes.sum()
    }

    fn run(&self) -> usize {
        self.entered.iter().map(|each| each.run).sum()
    }

    fn all(&self) -> String {
        let mut text = String::new();
        for (name, count) in &self.calls {
            let _ = writeln!(text, "    {count} × {name}");
        }
        for each in &self.entered {
            let Function { name, bytes, .. } = &each.function;
            let (times, run) = (each.times, each.run);
            let _ = writeln!(
                text,
                "    {times} × {name}, {bytes} bytes, of which {run} run"
            );
        }
        text
    }
}

/// A module that is hardly optimised has many functions more, and tells nothing of how many are entered.
fn is_shipped() -> bool {
    !module_path().ends_with("portcullis-quick.wasm")
}

#[test]
fn a_request_like_the_one_before_takes_no_more_than_this() {
    let wasm = fs::read(module_path()).expect("the module is built: make build");
    let counting = entries::counting(&wasm).expect("it is a module");
    let with_faults = repository().join("target/portcullis-faults.wasm");
    let with_faults = fs::read(with_faults).expect("envoy/build.sh with-faults");
    let mut report = String::new();
    for chain in &CHAINS {
        let cost = Cost::of(chain, &counting, &with_faults);
        println!("{}\n{}", cost.line(chain.name), cost.all());
        let exceeded = chain.exceeded(&cost, is_shipped());
        if !exceeded.is_empty() {
            let (line, all) = (cost.line(chain.name), cost.all());
            let _ = writeln!(report, "{line}\n  {}\n{all}", exceeded.join("\n  "));
        }
    }
    assert!(report.is_empty(), "\n{report}");
}
