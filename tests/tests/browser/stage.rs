//! A browser, pages of several sites, and a service behind Envoy with the filter.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use jwt_simple::reexports::ct_codecs::{Base64, Encoder as _};
use portcullis_tests::chromium::{Chromium, locate};
use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, downstream_tls, listener,
    string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens::{SigningKey, repository};
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Response};
use ring::signature::KeyPair as _;
use serde_json::{Value, json};

/// The service behind the filter, over TLS and in the clear.
pub(crate) const SERVICE: &str = "https://api.example.com";
pub(crate) const SERVICE_CLEARTEXT: &str = "http://api.example.com";
/// A page whose origin the policies name; of another site than the service.
pub(crate) const APP: &str = "https://www.app.test";
/// A page of a site that no policy names.
pub(crate) const OTHER: &str = "https://www.other.test";
/// A page of another host of the service's own site.
pub(crate) const NEIGHBOUR: &str = "https://blog.example.com";

const TIMEOUT: Duration = Duration::from_secs(60);
/// What Envoy notes of each request, parted by blanks.
const FORMAT: &str = "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% \
    %REQ(SEC-FETCH-SITE)% %REQ(SEC-FETCH-MODE)% %REQ(ORIGIN)% %REQ(ACCESS-CONTROL-REQUEST-PRIVATE-NETWORK)%\n";

pub(crate) struct Stage {
    // The browser goes first.
    pub(crate) browser: Chromium,
    pub(crate) envoy: Envoy,
    pub(crate) upstream: Upstream,
}

/// Where pages come from, for all that the browser knows.
#[derive(Clone, Copy)]
pub(crate) enum Network {
    /// From the machine that the service runs on.
    One,
    /// From the public network; the service is on this machine.
    PagesArePublic,
}

/// One request as Envoy saw it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) status: u16,
    /// Who answered, and why.
    pub(crate) details: String,
    pub(crate) site: String,
    pub(crate) mode: String,
    pub(crate) origin: String,
    /// What a preflight says of private networks.
    pub(crate) private_network: String,
}

impl Stage {
    /// None, and a line that says so, where there is no browser.
    pub(crate) fn open(test: &str, document: Value) -> Option<Self> {
        Self::set(test, document, Network::One)
    }

    pub(crate) fn set(test: &str, document: Value, network: Network) -> Option<Self> {
        let driver = locate(test)?;
        let upstream = Upstream::start().unwrap();
        let document = document.to_string();
        let guarded = |name: &str| {
            let wasm = WasmOptions {
                allow_on_headers_stop_iteration: true,
                ..WasmOptions::default()
            };
            let filter = wasm_filter(name, &module_path(), string_value(&document), wasm);
            let options = ListenerOptions {
                access_log: Some(FORMAT.into()),
                http_connection_manager: json!({ "upgrade_configs": [{ "upgrade_type": "websocket" }] }),
                ..ListenerOptions::default()
            };
            listener(name, vec![filter], options)
        };
        let mut listeners = vec![
            guarded("service"),
            guarded("service-cleartext"),
            pages("pages"),
            pages("pages-cleartext"),
        ];
        downstream_tls(&mut listeners[0]);
        downstream_tls(&mut listeners[2]);
        let clusters = vec![cluster("upstream", upstream.addr())];
        let envoy = Envoy::start(bootstrap(listeners, clusters), &Options::reused()).unwrap();
        let browser = browser(&driver, &envoy, network).unwrap();
        Some(Self {
            browser,
            envoy,
            upstream,
        })
    }

    /// Has the page fetch this, from an empty page of that origin.
    pub(crate) fn fetch_from(&self, origin: &str, url: &str, options: Value) -> Fetched {
        self.visit(origin);
        self.fetch(url, options)
    }

    /// Shows an empty page of that origin.
    pub(crate) fn visit(&self, origin: &str) {
        self.browser.open(&format!("{origin}/empty")).unwrap();
    }

    /// Has the page that is shown fetch this.
    pub(crate) fn fetch(&self, url: &str, options: Value) -> Fetched {
        const SCRIPT: &str = "const [url, options] = arguments;
            fetch(url, options).then(async answer => done({
                status: answer.status, type: answer.type, url: answer.url, redirected: answer.redirected,
                headers: Object.fromEntries(answer.headers), body: await answer.text(),
            })).catch(error => done({ error: String(error) }));";
        let fetched = self
            .browser
            .run(SCRIPT, &[url.into(), options])
            .unwrap_or_else(|error| panic!("{url}: {error}"));
        Fetched(fetched)
    }

    /// What Envoy has seen for this path, query included; there are to be that many at least.
    pub(crate) fn seen(&self, path: &str, at_least: usize) -> Vec<Seen> {
        let lines = || -> Vec<Seen> {
            let output = self.envoy.stdout();
            let lines = output.lines().filter_map(|line| seen(line, path));
            lines.collect()
        };
        // What comes later than those is written before this.
        let mark = format!("/mark{path}");
        let addr = self.envoy.listener_addr("service-cleartext").unwrap();
        for _ in 0..50 {
            let request = Request {
                method: b"GET".into(),
                path: mark.clone().into(),
                authority: b"mark".into(),
                ..Request::default()
            };
            client::send(addr, &request, TIMEOUT).unwrap();
            self.envoy.wait_for_stdout(&mark, TIMEOUT).unwrap();
            if lines().len() >= at_least {
                break;
            }
        }
        lines()
    }

    /// The methods of [`seen`](Self::seen) with what was answered.
    pub(crate) fn methods(&self, path: &str, at_least: usize) -> Vec<(String, u16)> {
        let seen = self.seen(path, at_least).into_iter();
        seen.map(|seen| (seen.method, seen.status)).collect()
    }

    /// What the service says to requests for this path, with this field and as HTML.
    pub(crate) fn serve(&self, path: &str, field: Option<(&str, &str)>, body: &str) {
        let mut headers = vec![("content-type".to_owned(), b"text/html".to_vec())];
        headers.extend(field.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())));
        let response = Response {
            status: 200,
            headers,
            body: body.into(),
            ..Response::default()
        };
        self.upstream.answer_path(path, Answer::Respond(response));
    }

    /// How many requests for this path have reached the service.
    pub(crate) fn served(&self, path: &str) -> usize {
        self.upstream.take_path(path).len()
    }
}

/// What came of a fetch, as far as the page was let see it.
#[derive(Debug)]
pub(crate) struct Fetched(Value);

impl Fetched {
    /// None if the browser has hidden the answer, or there was none.
    pub(crate) fn status(&self) -> Option<u64> {
        self.0["status"].as_u64()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.0["headers"][name].as_str()
    }

    pub(crate) fn body(&self) -> &str {
        self.0["body"].as_str().unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.body()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn kind(&self) -> &str {
        self.0["type"].as_str().unwrap_or_default()
    }

    pub(crate) fn url(&self) -> &str {
        self.0["url"].as_str().unwrap_or_default()
    }

    /// The script got a `TypeError` and nothing else, which is what browsers make of everything hidden.
    pub(crate) fn is_hidden(&self) -> bool {
        self.0["error"]
            .as_str()
            .is_some_and(|error| error.starts_with("TypeError"))
    }
}

fn seen(line: &str, path: &str) -> Option<Seen> {
    let mut words = line.split(' ').map(str::to_owned);
    let method = words.next()?;
    if words.next()? != path {
        return None;
    }
    Some(Seen {
        method,
        status: words.next()?.parse().ok()?,
        details: words.next()?,
        site: words.next()?,
        mode: words.next()?,
        origin: words.next()?,
        private_network: words.next()?,
    })
}

/// Pages of every site but the service's: empty ones.
fn pages(name: &str) -> Value {
    let route = json!({
        "route": null,
        "direct_response": { "status": 200, "body": { "inline_string": "<!doctype html><title>empty</title><p id=empty>empty" } },
        "response_headers_to_add": [{
            "header": { "key": "content-type", "value": "text/html; charset=utf-8" },
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }],
    });
    let options = ListenerOptions {
        route,
        ..ListenerOptions::default()
    };
    listener(name, Vec::new(), options)
}

/// A browser for which all names and their usual ports lead to Envoy.
fn browser(driver: &Path, envoy: &Envoy, network: Network) -> io::Result<Chromium> {
    let addr = |name: &str| envoy.listener_addr(name).unwrap();
    let lead = |from: &str, to: SocketAddr| format!("MAP {from} {to}");
    let rules = [
        lead("api.example.com:443", addr("service")),
        lead("api.example.com:80", addr("service-cleartext")),
        lead("*:443", addr("pages")),
        lead("*:80", addr("pages-cleartext")),
    ];
    let mut arguments = vec![
        format!("--host-resolver-rules={}", rules.join(",")),
        format!("--ignore-certificate-errors-spki-list={}", spki_hash()),
        // By itself the browser tries TLS where a page says `http`.
        "--disable-features=HttpsUpgrades,HttpsFirstBalancedMode,HttpsFirstBalancedModeAutoEnable"
            .to_owned(),
        "--disable-background-networking".to_owned(),
        "--no-proxy-server".to_owned(),
    ];
    if let Network::PagesArePublic = network {
        arguments.push(format!(
            "--ip-address-space-overrides={}=public,{}=public",
            addr("pages"),
            addr("pages-cleartext")
        ));
    }
    Chromium::start(driver, &arguments)
}

/// The SHA-256 of the public key of the tests' certificate, by which the browser takes it for good.
fn spki_hash() -> String {
    /// In front of a point on P-256 (RFC 5480).
    const PREFIX: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
    let key = SigningKey::from_pem_file(&repository().join("tests/keys/tls/key.pem"));
    let SigningKey::Ec(pair, _) = key else {
        panic!("the certificate has another kind of key");
    };
    let spki = [PREFIX, pair.public_key().as_ref()].concat();
    let hash = ring::digest::digest(&ring::digest::SHA256, &spki);
    Base64::encode_to_string(hash.as_ref()).expect("base64 of bytes in memory")
}
