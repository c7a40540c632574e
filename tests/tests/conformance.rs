//! The vectors of others: the verdicts that are written down are reached again, on the engine, in
//! the module, and through Envoy with either code that checks signatures.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use portcullis::host::Host;
use portcullis::memory_host::MemoryHost;
use portcullis_tests::client::Connection;
use portcullis_tests::conformance::{
    CLOCK, Outcome, Question, SUITES, Says, Suite, TABLES_BEGIN, TABLES_END, Vector, document,
    engine, file, judge_in, judge_token, judge_with, path, refused_keys, tables,
};
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::fake_host::{FakeHost, HostOptions};
use portcullis_tests::fuzz::ring_host;
use portcullis_tests::module_path;
use portcullis_tests::proxy_signatures::proxy_signatures;
use portcullis_tests::still::still;
use portcullis_tests::tokens::{base64url, repository};
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(20);
fn proxy() -> MemoryHost {
    still(CLOCK)
}

fn judged(suite: &Suite) -> Vec<(Vector, Outcome)> {
    let vectors = (suite.vectors)().into_iter();
    vectors
        .map(|vector| {
            let outcome = judge_with(&vector, &proxy());
            (vector, outcome)
        })
        .collect()
}

#[test]
fn verdicts_are_those_written_down() {
    let mut files = Vec::new();
    let mut total = 0;
    for suite in SUITES {
        let judged = judged(suite);
        total += judged.len();
        let ids: BTreeSet<&String> = judged.iter().map(|(vector, _)| &vector.id).collect();
        assert_eq!(
            ids.len(),
            judged.len(),
            "{}: a name comes twice",
            suite.name
        );
        let text = file(suite, &judged).unwrap_or_else(|error| panic!("{error}"));
        let path = path(suite);
        let written = fs::read_to_string(&path).unwrap_or_default();
        for (now, then) in text.lines().zip(written.lines()) {
            assert_eq!(now, then, "{}; `make outcomes` writes it down", suite.name);
        }
        assert_eq!(text, written, "{}: vectors are new or missing", suite.name);
        files.push((suite, text));
    }
    assert!(total > 2500, "only {total} vectors");
    let folder = fs::read_dir(repository().join("tests/vectors/outcomes")).unwrap();
    assert_eq!(folder.count(), SUITES.len());
    let page = fs::read_to_string(repository().join("docs/conformance.md")).unwrap();
    let (_, rest) = page.split_once(TABLES_BEGIN).unwrap();
    let (written, _) = rest.split_once(TABLES_END).unwrap();
    assert_eq!(written, tables(&files), "`make outcomes` writes them");
}

#[test]
fn nothing_is_accepted_that_a_suite_refuses() {
    for suite in SUITES {
        for (vector, outcome) in judged(suite) {
            let refuses = vector.says == Says::Invalid;
            assert!(
                !refuses || !outcome.is_accepted(),
                "{} {}",
                suite.name,
                vector.id
            );
        }
    }
}

#[test]
fn another_library_in_the_place_of_the_proxy_says_the_same() {
    assert!(agree(&ring_host(CLOCK)) > 1500);
}

#[test]
fn the_proxy_itself_says_the_same_through_envoy() {
    assert!(agree(&proxy_signatures(CLOCK)) > 1500);
}

/// Asks about every signature that stands alone where the host has code of its own for it; how
/// many there are.
fn agree(host: &dyn Host) -> usize {
    let mut asked = 0;
    for suite in SUITES {
        for (vector, outcome) in judged(suite) {
            if let Question::Signature { .. } = vector.question {
                assert_eq!(judge_with(&vector, host), outcome, "{}", vector.id);
                asked += 1;
            }
        }
    }
    asked
}

/// The tests of jwt_verify_lib and of JOSE libraries turn every bit of a signature and cut it
/// everywhere.
#[test]
fn every_bit_of_a_signature_counts() {
    let lib = SUITES.iter().find(|suite| suite.name == "jwt-verify-lib");
    let mut families = BTreeSet::new();
    for (vector, outcome) in judged(lib.unwrap()) {
        let Question::Token {
            provider,
            token,
            at,
        } = &vector.question
        else {
            continue;
        };
        let (signed, signature) = token.rsplit_once('.').unwrap();
        // One token for each algorithm and length.
        if !outcome.is_accepted() || !families.insert((token[..18].to_owned(), signature.len())) {
            continue;
        }
        let signature = Base64UrlSafeNoPadding::decode_to_vec(signature, None).unwrap();
        let engine = engine(provider).unwrap();
        let with = |signature: &[u8]| {
            judge_in(&engine, &format!("{signed}.{}", base64url(signature)), *at)
        };
        let refused = Outcome::Refused("jwt_invalid.signature".to_owned());
        for bit in 0..signature.len() * 8 {
            let mut turned = signature.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(with(&turned), refused, "{}: bit {bit}", vector.id);
        }
        for length in 0..signature.len() {
            assert_eq!(
                with(&signature[..length]),
                refused,
                "{}: {length}",
                vector.id
            );
        }
    }
    assert!(families.len() >= 10, "only {families:?}");
}

/// A token and the place of its provider in a document.
struct Asked {
    id: String,
    route: usize,
    token: String,
    at: u64,
}

/// Every token whose provider's keys are loaded, and these providers.
fn tokens() -> (Vec<Value>, Vec<Asked>) {
    let mut places: BTreeMap<String, Option<usize>> = BTreeMap::new();
    let mut providers = Vec::new();
    let mut all = Vec::new();
    for suite in SUITES {
        for vector in (suite.vectors)() {
            let Question::Token {
                provider,
                token,
                at,
            } = vector.question
            else {
                continue;
            };
            let place = places.entry(provider.to_string()).or_insert_with(|| {
                if refused_keys(&provider).is_some() {
                    return None;
                }
                providers.push(provider);
                Some(providers.len() - 1)
            });
            if let Some(route) = *place {
                let id = format!("{}-{}", suite.name, all.len());
                all.push(Asked {
                    id,
                    route,
                    token,
                    at,
                });
            }
        }
    }
    assert!(all.len() > 800, "only {} tokens", all.len());
    (providers, all)
}

fn request(asked: &Asked) -> Request {
    let authorization = format!("Bearer {}", asked.token).into_bytes();
    Request {
        method: b"GET".to_vec(),
        path: format!("/{}", asked.route).into_bytes(),
        authority: b"api.example.com".to_vec(),
        headers: vec![
            (b"authorization".to_vec(), authorization),
            (b"x-request-id".to_vec(), asked.id.clone().into_bytes()),
        ],
        ..Request::default()
    }
}

/// What Envoy cannot be asked, since its clock cannot be set.
#[test]
fn in_the_module_by_the_clock_of_the_suite() {
    let wasm = fs::read(module_path()).expect("the module is built: make build");
    let (providers, all) = tokens();
    let document = document(&providers).to_string();
    let mut clocks: BTreeMap<u64, Vec<&Asked>> = BTreeMap::new();
    for asked in all.iter().filter(|asked| asked.at != CLOCK) {
        clocks.entry(asked.at).or_default().push(asked);
    }
    assert!(clocks.len() > 10, "only {} clocks", clocks.len());
    for (at, tokens) in clocks {
        // The host counts in nanoseconds; the year 292 billion is beyond that.
        let Some(now_nanos) = at.checked_mul(1_000_000_000) else {
            continue;
        };
        let options = HostOptions {
            now_nanos,
            ..HostOptions::default()
        };
        let mut host = FakeHost::start(&wasm, document.as_bytes(), options).unwrap();
        let upstream = Response {
            status: 200,
            ..Response::default()
        };
        for asked in tokens {
            let expected = judge_token(&providers[asked.route], &asked.token, at);
            let answer = host.exchange(&request(asked), &upstream).unwrap().response;
            let accepted = answer.status == 200;
            assert_eq!(accepted, expected.is_accepted(), "{} {expected}", asked.id);
        }
    }
}

#[test]
fn through_envoy() {
    let (providers, all) = tokens();
    let upstream = Upstream::start_forgetful().unwrap();
    let with = |signatures: &str| {
        let told = providers.iter().map(|provider| {
            let mut provider = provider.clone();
            provider["signatures"] = signatures.into();
            provider
        });
        let filter = wasm_filter(
            signatures,
            &module_path(),
            string_value(&document(&told.collect::<Vec<_>>()).to_string()),
            WasmOptions::default(),
        );
        let options = ListenerOptions {
            access_log: Some(format!(
                "{signatures} %REQ(x-request-id)% %RESPONSE_CODE_DETAILS%\n"
            )),
            ..ListenerOptions::default()
        };
        listener(signatures, vec![filter], options)
    };
    let options = Options {
        concurrency: 1,
        ..Options::reused()
    };
    let listeners = vec![with("auto"), with("filter")];
    let clusters = vec![cluster("upstream", upstream.addr())];
    let envoy = Envoy::start(bootstrap(listeners, clusters), &options).unwrap();
    for signatures in ["auto", "filter"] {
        let mut connection = Connection::new(envoy.listener_addr(signatures).unwrap());
        let mut statuses = Vec::new();
        for asked in &all {
            statuses.push(connection.send(&request(asked), TIMEOUT).unwrap().status);
        }
        let last = format!("{signatures} {} ", all.last().unwrap().id);
        envoy.wait_for_stdout(&last, TIMEOUT).unwrap();
        let log = envoy.stdout();
        let lines = log
            .lines()
            .filter_map(|line| line.strip_prefix(signatures)?.trim_start().split_once(' '));
        let details: BTreeMap<&str, &str> = lines.collect();
        for (asked, status) in all.iter().zip(statuses) {
            // Envoy's clock is the real one.
            let expected = judge_token(&providers[asked.route], &asked.token, now());
            let found = match status {
                200 => Outcome::Accepted,
                _ => Outcome::Refused(
                    details[asked.id.as_str()]
                        .trim_start_matches("portcullis.")
                        .into(),
                ),
            };
            assert_eq!(
                found, expected,
                "{signatures}: {} {}",
                asked.id, asked.token
            );
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "Envoy goes by the real clock")]
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}
