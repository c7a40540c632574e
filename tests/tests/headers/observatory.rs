//! The presets by the rules of the MDN HTTP Observatory: from its table of outcomes and grades always, and
//! by its own code where `OBSERVATORY` names its package, as `make observatory` does.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::{env, fs};

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, Update, WasmOptions, bootstrap, cluster, downstream_tls,
    listener, string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens::repository;
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Response};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use super::everywhere::TIMEOUT;

const HOST: &str = "localhost";

/// By test, what was found.
type Outcomes = BTreeMap<String, String>;

struct Service {
    envoy: Envoy,
    _upstream: Upstream,
}

impl Service {
    /// A page with a script and a cookie that says nothing of safety, behind this preset.
    fn start(preset: &str) -> Self {
        let upstream = Upstream::start().unwrap();
        let page = Response {
            status: 200,
            headers: vec![
                ("content-type".to_owned(), b"text/html".to_vec()),
                ("set-cookie".to_owned(), b"sessionid=1".to_vec()),
            ],
            body: b"<!doctype html><title>page</title><script src=/script.js></script>".to_vec(),
            ..Response::default()
        };
        upstream.answer_path("/", Answer::Respond(page));
        let guarded = |name: &str, https: Value| {
            let policy = json!({
                "version": 1,
                "routes": [{
                    "name": "pages", "match": {}, "open": true, "https": https,
                    "security_headers": { "preset": preset, "cookies": {} },
                }],
            });
            let configuration = string_value(&policy.to_string());
            let filter = wasm_filter(name, &module_path(), configuration, WasmOptions::default());
            listener(name, vec![filter], ListenerOptions::default())
        };
        let mut encrypted = guarded("encrypted", json!({}));
        downstream_tls(&mut encrypted);
        let clusters = vec![cluster("upstream", upstream.addr())];
        let bootstrap = bootstrap(Vec::new(), clusters);
        let listeners = [encrypted.clone()];
        let envoy = Envoy::start_with_lds(bootstrap, &listeners, &Options::reused()).unwrap();
        let port = envoy.listener_addr("encrypted").unwrap().port();
        let https = json!({ "on_cleartext": "redirect", "hosts": [HOST], "port": port });
        let update = envoy.update_listeners(&[encrypted, guarded("cleartext", https)]);
        assert!(matches!(update, Ok(Update::Accepted)), "{update:?}");
        Self {
            envoy,
            _upstream: upstream,
        }
    }

    fn addr(&self, listener: &str) -> SocketAddr {
        self.envoy.listener_addr(listener).unwrap()
    }

    /// The fields of the answer to a request for `/` over TLS.
    fn fields(&self, method: &str, asked: &str) -> Fields {
        let file = repository().join("tests/keys/tls/certificate.pem");
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(file).unwrap();
        roots.add(certificate).unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(HOST).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(self.addr("encrypted")).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        let head =
            format!("{method} / HTTP/1.1\r\nHost: {HOST}\r\n{asked}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // Envoy may close without a word of TLS; what had come is what counts.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, _) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let fields = head.lines().filter_map(|line| line.split_once(": "));
        Fields(
            fields
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    fn outcomes(&self) -> Outcomes {
        let page = self.fields("GET", "");
        let preflight =
            "Origin: https://observatory.example\r\nAccess-Control-Request-Method: GET\r\n";
        let shared = self.fields("OPTIONS", preflight);
        let redirect = {
            let request = Request {
                method: b"GET".into(),
                path: b"/".into(),
                authority: HOST.into(),
                ..Request::default()
            };
            client::send(self.addr("cleartext"), &request, TIMEOUT).unwrap()
        };
        let location = redirect.headers.iter().find(|(name, _)| name == "location");
        let leads = location.is_some_and(|(_, to)| to.starts_with(b"https://localhost:"));
        let frames_by_policy = page.policy("frame-ancestors") == Some(vec!["'none'"]);
        let outcomes = [
            ("content-security-policy", page.content_security()),
            ("cookies", page.cookies()),
            (
                "cross-origin-resource-sharing",
                match shared.one("access-control-allow-origin") {
                    None => "cross-origin-resource-sharing-not-implemented",
                    Some(_) => "cross-origin-resource-sharing-implemented-with-restricted-access",
                },
            ),
            (
                "redirection",
                if leads {
                    "redirection-to-https"
                } else {
                    "redirection-missing"
                },
            ),
            (
                "referrer-policy",
                match page.one("referrer-policy") {
                    Some("no-referrer" | "same-origin" | "strict-origin") => {
                        "referrer-policy-private"
                    }
                    _ => "referrer-policy-not-implemented",
                },
            ),
            ("strict-transport-security", page.strict_transport()),
            (
                "subresource-integrity",
                "sri-not-implemented-but-all-scripts-loaded-from-secure-origin",
            ),
            (
                "x-content-type-options",
                match page.one("x-content-type-options") {
                    Some("nosniff") => "x-content-type-options-nosniff",
                    _ => "x-content-type-options-not-implemented",
                },
            ),
            (
                "x-frame-options",
                match page.one("x-frame-options") {
                    _ if frames_by_policy => "x-frame-options-implemented-via-csp",
                    Some("deny") => "x-frame-options-sameorigin-or-deny",
                    _ => "x-frame-options-not-implemented",
                },
            ),
            (
                "cross-origin-resource-policy",
                match page.one("cross-origin-resource-policy") {
                    Some("same-origin") => "corp-implemented-with-same-origin",
                    _ => "corp-not-implemented",
                },
            ),
        ];
        outcomes
            .map(|(test, found)| (test.to_owned(), found.to_owned()))
            .into()
    }
}

struct Fields(Vec<(String, String)>);

impl Fields {
    fn one(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(each, _)| each == name)?;
        Some(value)
    }

    /// The sources of a directive.
    fn policy(&self, directive: &str) -> Option<Vec<&str>> {
        let mut directives = self.one("content-security-policy")?.split(';');
        directives.find_map(|each| {
            let mut words = each.split_whitespace();
            (words.next() == Some(directive)).then(|| words.collect())
        })
    }

    fn content_security(&self) -> &'static str {
        const BROAD: [&str; 6] = ["*", "http:", "https:", "ftp:", "http://*", "https://*"];
        let of = |name| self.policy(name).or_else(|| self.policy("default-src"));
        let Some(default) = self.policy("default-src") else {
            return "csp-not-implemented";
        };
        let open = |sources: Option<Vec<&str>>| {
            let sources = sources.unwrap_or(vec!["*"]);
            let broad = |source: &&str| {
                BROAD.contains(source) || source.starts_with("'unsafe") || *source == "data:"
            };
            sources.iter().any(broad)
        };
        if open(of("script-src")) || open(of("object-src")) {
            "csp-implemented-with-unsafe-inline"
        } else if open(of("style-src")) {
            "csp-implemented-with-unsafe-inline-in-style-src-only"
        } else if default == ["'none'"] {
            "csp-implemented-with-no-unsafe-default-src-none"
        } else {
            "csp-implemented-with-no-unsafe"
        }
    }

    fn cookies(&self) -> &'static str {
        let Some(cookie) = self.one("set-cookie") else {
            return "cookies-not-found";
        };
        let cookie = cookie.to_ascii_lowercase();
        let has = |attribute: &str| cookie.split("; ").any(|each| each.starts_with(attribute));
        match (has("secure"), has("httponly"), has("samesite=")) {
            (true, true, true) => "cookies-secure-with-httponly-sessions-and-samesite",
            (true, true, false) => "cookies-secure-with-httponly-sessions",
            (true, false, _) => "cookies-session-without-httponly-flag",
            (false, ..) => "cookies-session-without-secure-flag",
        }
    }

    fn strict_transport(&self) -> &'static str {
        const SIX_MONTHS: u64 = 15_552_000;
        let Some(value) = self.one("strict-transport-security") else {
            return "hsts-not-implemented";
        };
        let mut parameters = value
            .split("; ")
            .filter_map(|each| each.strip_prefix("max-age="));
        match parameters
            .next()
            .and_then(|seconds| seconds.parse::<u64>().ok())
        {
            Some(seconds) if seconds >= SIX_MONTHS => {
                "hsts-implemented-max-age-at-least-six-months"
            }
            Some(_) => "hsts-implemented-max-age-less-than-six-months",
            None => "hsts-header-invalid",
        }
    }
}

/// The score and the grade for these outcomes.
fn grade(rules: &Value, outcomes: &Outcomes) -> (i64, String) {
    let modifiers = outcomes.values().map(|outcome| {
        let modifier = rules["modifiers"][outcome].as_i64();
        modifier.unwrap_or_else(|| panic!("the rules know no {outcome}"))
    });
    let modifiers: Vec<i64> = modifiers.collect();
    let penalties = 100 + modifiers.iter().filter(|each| **each < 0).sum::<i64>();
    let enough = rules["minimum_score_for_extra_credit"].as_i64().unwrap();
    let score = match penalties >= enough {
        true => 100 + modifiers.iter().sum::<i64>(),
        false => penalties.max(0),
    };
    let grades = rules["grades"].as_array().unwrap();
    let step = (score - score % 5).min(100);
    let grade = grades.iter().find(|each| each["score"] == step);
    (score, grade.unwrap()["grade"].as_str().unwrap().to_owned())
}

#[test]
fn the_presets_get_the_best_grade() {
    let path = repository().join("tests/vectors/mdn-observatory/rules.json");
    let rules: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let version = rules["version"].as_str().unwrap();
    let page = fs::read_to_string(repository().join("docs/policies/security_headers.md")).unwrap();
    for (preset, expected) in [
        ("web", "A+"),
        ("strict", "A+"),
        ("api", "A+"),
        ("none", "D"),
    ] {
        let service = Service::start(preset);
        let outcomes = service.outcomes();
        let (score, grade) = grade(&rules, &outcomes);
        assert_eq!(grade, expected, "{preset}: {score} for {outcomes:#?}");
        if preset != "none" {
            let said = format!("| `{preset}` | {grade} | {score} |");
            assert!(
                page.contains(&said) && page.contains(version),
                "docs do not say {said}"
            );
        }
        let Some(package) = env::var_os("OBSERVATORY").filter(|path| !path.is_empty()) else {
            continue;
        };
        let port = |listener: &str| service.addr(listener).port().to_string();
        let scan = Command::new("node")
            .arg(repository().join("tests/observatory/scan.mjs"))
            .arg(package)
            .args([HOST, &port("cleartext"), &port("encrypted")])
            .env(
                "NODE_EXTRA_CA_CERTS",
                repository().join("tests/keys/tls/certificate.pem"),
            )
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&scan.stdout);
        let errors = String::from_utf8_lossy(&scan.stderr);
        let told: Value =
            serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}{errors}"));
        let theirs: Outcomes = serde_json::from_value(told["results"].clone()).unwrap();
        assert_eq!(
            theirs, outcomes,
            "{preset}: the Observatory finds something else"
        );
        assert_eq!(
            (&told["score"], &told["grade"]),
            (&json!(score), &json!(grade)),
            "{preset}"
        );
        println!("{preset}: {grade}, {score}, by the Observatory's own code, {version}");
    }
}
