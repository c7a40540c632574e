//! Proofs of others, and what one request tells the next.

use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use hmac_sha256::Hash;

use super::*;
use crate::authn::certificate::set::CertificateSets;
use portcullis_document::{Node, Problems};
use portcullis_exchange::connection::Connection;
use portcullis_exchange::exchange::{BodyState, Facts, Request};
use portcullis_exchange::host::{HostVerdict, Property};
use portcullis_exchange::section::Finishing;
use portcullis_exchange::target::{Authority, Target};
use portcullis_memory_host::MemoryHost;
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::Headers;
use portcullis_wire::json::Json;

const NOW: u64 = 1_800_000_000;
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

fn binding(bound: &str) -> Binding {
    let text = format!(r#"{{"bound":{bound}}}"#);
    let json = Json::parse(text.as_bytes(), 8).unwrap();
    let mut problems = Problems::default();
    let mut fields = Node::root(&json).fields(&mut problems).unwrap();
    let provider = OfAuthority {
        authority: TokenAuthority::Provider("corp".into()),
        clock_skew: Duration::from_secs(5),
        backend: SignatureBackend::Auto,
    };
    let read = Binding::read(
        &mut fields,
        &provider,
        &CertificateSets::default(),
        &mut problems,
    );
    problems.into_result(read).unwrap()
}

/// A request over TLS with what it shows.
struct ProofRequest<'s> {
    method: &'s str,
    uri: &'s str,
    token: &'s str,
    jkt: &'s str,
    proof: &'s str,
}

/// What comes of a request at that time: the nonce that its client is to use next, or the name of the reason and
/// the nonce that comes with it.
fn judge(
    binding: &Binding,
    sent: &ProofRequest<'_>,
    now: u64,
    host: &MemoryHost,
) -> Result<Option<String>, (&'static str, Option<String>)> {
    let rest = sent.uri.strip_prefix("https://").unwrap();
    let (authority, path) = rest.split_at(rest.find('/').unwrap());
    // No request has a fragment.
    let path = path.split('#').next().unwrap();
    let mut headers = Headers::default();
    headers.push(b":method", sent.method.as_bytes());
    headers.push(b":scheme", b"https");
    headers.push(b":authority", authority.as_bytes());
    headers.push(b":path", path.as_bytes());
    headers.push(b"dpop", sent.proof.as_bytes());
    let authority = Authority::parse(authority.as_bytes()).unwrap();
    let mut facts = Facts::default();
    facts.connection = Connection::of(&headers);
    let mut exchange = Exchange {
        arrived: Duration::from_secs(now),
        request: Request {
            headers: &headers,
            authority: &authority,
            target: &Target::parse(path.as_bytes()).unwrap(),
            effort: &Effort::new(1000),
        },
        body: BodyState::Complete,
        route: "r",
        facts: &mut facts,
        preflight: None,
        notes_claimed: false,
        edits: Vec::new(),
        shadow: Vec::new(),
    };
    let claims = format!(r#"{{"cnf":{{"jkt":"{}"}}}}"#, sent.jkt);
    let claims = Compact::parse(claims.as_bytes(), 4).unwrap();
    let token = SentToken {
        token: sent.token.as_bytes(),
        scheme: AuthScheme::Dpop,
        lists: &UsedLists::default(),
    };
    let text = |value: &HeaderValue| String::from_utf8(value.as_bytes().to_vec()).unwrap();
    match binding.check(&token, &claims, &mut exchange, host) {
        Ok(shown) => {
            assert_eq!(shown, Shown::Proof);
            Ok(exchange.facts.proofs.next_nonce.as_ref().map(text))
        }
        Err(refusal) => {
            let nonce = refusal
                .headers
                .iter()
                .find(|(name, _)| name.as_str() == "dpop-nonce");
            Err((refusal.reason.name, nonce.map(|(_, value)| text(value))))
        }
    }
}

fn host() -> MemoryHost {
    MemoryHost::new().with_property(Property::TlsVersion, "TLSv1.3")
}

fn vectors(name: &str) -> Json {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/dpop");
    Json::parse(&fs::read(folder.join(name)).unwrap(), 8).unwrap()
}

fn text<'j>(of: &'j Json, name: &str) -> &'j str {
    of.step(name).and_then(Json::as_str).unwrap()
}

fn seconds(of: &Json, name: &str) -> u64 {
    match of.step(name) {
        Some(Json::Number(number)) => number.as_u64().unwrap(),
        _ => panic!("{name}"),
    }
}

/// A proof of one key.
fn proof(id: &str, issued: u64, more: &str) -> (String, String) {
    let key = SigningKey::from_bytes(&[7; 32]);
    let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let jkt = URL_SAFE_NO_PAD.encode(Hash::hash(jwk.as_bytes()));
    let header = format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{jwk}}}"#);
    let ath = URL_SAFE_NO_PAD.encode(Hash::hash(TOKEN.as_bytes()));
    let claims = format!(
        r#"{{"jti":"{id}","htm":"GET","htu":"https://a.example/","iat":{issued},"ath":"{ath}"{more}}}"#
    );
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signed = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).to_bytes());
    (jkt, format!("{signed}.{signature}"))
}

fn judge_own(
    binding: &Binding,
    (id, issued, more): (&str, u64, &str),
    now: u64,
    host: &MemoryHost,
) -> Result<Option<String>, (&'static str, Option<String>)> {
    let (jkt, proof) = proof(id, issued, more);
    let sent = ProofRequest {
        method: "GET",
        uri: "https://a.example/",
        token: TOKEN,
        jkt: &jkt,
        proof: &proof,
    };
    judge(binding, &sent, now, host)
}

/// RFC 9449 §7.1, figures 12 and 13; the proofs of §5 are for the authorization server and name no token.
#[test]
fn rfc9449_7_1_the_examples_are_judged_as_the_standard_has_it() {
    let file = vectors("rfc9449.json");
    let example = file.step("resource_request").unwrap();
    let sent = ProofRequest {
        method: text(example, "method"),
        uri: text(example, "uri"),
        token: text(example, "token"),
        jkt: text(&file, "jkt"),
        proof: text(example, "proof"),
    };
    let binding = binding(r#"{"dpop":"required"}"#);
    let issued = seconds(example, "iat");
    let judge = |sent: &ProofRequest<'_>, now, host: &MemoryHost| judge(&binding, sent, now, host);
    assert_eq!(judge(&sent, issued, &host()), Ok(None));
    assert_eq!(judge(&sent, issued + 66, &host()), Err(("expired", None)));
    assert_eq!(
        judge(&sent, issued - 6, &host()),
        Err(("issued_in_future", None))
    );
    let other = |change: fn(&mut ProofRequest<'_>)| {
        let mut other = ProofRequest { ..sent };
        change(&mut other);
        judge(&other, issued, &host()).unwrap_err().0
    };
    assert_eq!(other(|sent| sent.method = "HEAD"), "method");
    assert_eq!(
        other(|sent| sent.uri = "https://resource.example.org/other"),
        "uri"
    );
    assert_eq!(other(|sent| sent.token = "another"), "token");
    assert_eq!(
        other(|sent| sent.jkt = "1ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
        "key"
    );
    let Some(Json::Array(requests)) = file.step("token_requests") else {
        panic!();
    };
    assert_eq!(requests.len(), 2);
    for request in requests {
        let sent = ProofRequest {
            proof: request.as_str().unwrap(),
            ..sent
        };
        assert_eq!(judge(&sent, issued, &host()), Err(("claims", None)));
    }
}

#[test]
fn proofs_of_another_library_are_accepted_once() {
    let file = vectors("npm-dpop.json");
    let Some(Json::Array(proofs)) = file.step("proofs") else {
        panic!();
    };
    assert_eq!(proofs.len(), 12);
    let binding = binding(r#"{"dpop":"required"}"#);
    let host = host();
    for each in proofs {
        let sent = ProofRequest {
            method: text(each, "method"),
            uri: text(each, "uri"),
            token: text(each, "token"),
            jkt: text(each, "jkt"),
            proof: text(each, "proof"),
        };
        let issued = seconds(each, "iat");
        let about = format!("{} {}", text(each, "alg"), sent.method);
        assert_eq!(judge(&binding, &sent, issued, &host), Ok(None), "{about}");
        let again = judge(&binding, &sent, issued, &host);
        assert_eq!(again, Err(("replayed", None)), "{about}");
    }
}

#[test]
fn rfc9449_8_clients_are_led_from_one_nonce_to_the_next() {
    let binding = binding(r#"{"dpop":{"mode":"required","nonce":"required"}}"#);
    let host = host();
    let (reason, given) = judge_own(&binding, ("1", NOW, ""), NOW, &host).unwrap_err();
    assert_eq!(reason, "missing");
    let with = |nonce: &str| format!(r#","nonce":"{nonce}""#);
    let first = with(&given.unwrap());
    // RFC 9449 §11.3: nor is it taken from then on.
    assert!(judge_own(&binding, ("2", NOW, ""), NOW, &host).is_err());
    // RFC 9449 §4.3 (11): the client's clock is an hour behind, and a day ahead.
    assert_eq!(
        judge_own(&binding, ("3", NOW - 3600, &first), NOW, &host),
        Ok(None)
    );
    assert_eq!(
        judge_own(&binding, ("4", NOW + 86_400, &first), NOW, &host),
        Ok(None)
    );
    // It may be used again, and a proof with it may not: RFC 9449 §11.1.
    let (reason, nonce) = judge_own(&binding, ("3", NOW, &first), NOW + 1, &host).unwrap_err();
    assert_eq!((reason, nonce.is_some()), ("replayed", true));
    // RFC 9449 §8.2: the next comes with a response.
    let second = judge_own(&binding, ("5", NOW, &first), NOW + 200, &host);
    let second = with(&second.unwrap().unwrap());
    assert_ne!(first, second);
    assert_eq!(
        judge_own(&binding, ("6", NOW, &second), NOW + 200, &host),
        Ok(None)
    );
    // For as long as it is taken, what came with it is remembered.
    let late = judge_own(&binding, ("3", NOW, &first), NOW + 299, &host);
    assert_eq!(late.unwrap_err().0, "replayed");
    // RFC 9449 §8: afterwards it is refused.
    let (reason, nonce) = judge_own(&binding, ("7", NOW, &first), NOW + 300, &host).unwrap_err();
    assert_eq!(reason, "stale");
    let third = with(&nonce.unwrap());
    assert_eq!(
        judge_own(&binding, ("7", NOW, &third), NOW + 300, &host),
        Ok(None)
    );
    // A worker takes what another has given; another proxy does not.
    let worker = MemoryHost::new()
        .with_property(Property::TlsVersion, "TLSv1.3")
        .with_cells_of(&host)
        .with_seed(9);
    assert_eq!(
        judge_own(&binding_of_worker(), ("8", NOW, &third), NOW + 300, &worker),
        Ok(None)
    );
    let other = self::host().with_seed(9);
    let said = judge_own(&binding_of_worker(), ("9", NOW, &third), NOW + 300, &other);
    assert_eq!(said.unwrap_err().0, "stale");
}

fn binding_of_worker() -> Binding {
    binding(r#"{"dpop":{"mode":"required","nonce":"required"}}"#)
}

#[test]
fn a_proof_is_remembered_for_as_long_as_it_is_accepted() {
    let binding = binding(r#"{"dpop":{"proof_lifetime":"10s"}}"#);
    let host = host();
    let at = |now| judge_own(&binding, ("1", NOW, ""), now, &host).map_err(|(name, _)| name);
    // With 5s between the clocks.
    assert_eq!(at(NOW - 6), Err("issued_in_future"));
    assert_eq!(at(NOW - 5), Ok(None));
    for now in [NOW - 5, NOW, NOW + 14, NOW + 15] {
        assert_eq!(at(now), Err("replayed"), "{now}");
    }
    assert_eq!(at(NOW + 16), Err("expired"));
}

#[test]
fn what_cannot_be_told_is_refused() {
    let binding = binding(r#""if_bound""#);
    let judged = |id, host: &MemoryHost| {
        let judged = judge_own(&binding, (id, NOW, ""), NOW, host);
        judged.map_err(|(name, _)| name)
    };
    let without = host().without_cells();
    assert_eq!(judged("1", &without), Err("cells"));
    let host = host();
    assert_eq!(judged("1", &host), Ok(None));
    host.lose_writes(1000);
    assert_eq!(judged("2", &host), Err("contended"));
    host.lose_writes(0);
    assert_eq!(judged("2", &host), Ok(None));
}

#[test]
fn a_proof_costs_one_check_of_a_signature_and_only_if_all_else_fits() {
    let checks = Rc::new(std::cell::Cell::new(0));
    let file = vectors("rfc9449.json");
    let example = file.step("resource_request").unwrap();
    let binding = binding(r#"{"dpop":"required"}"#);
    let counted = Rc::clone(&checks);
    let host = host().with_signatures(move |_| {
        counted.set(counted.get() + 1);
        HostVerdict::Valid
    });
    let sent = ProofRequest {
        method: text(example, "method"),
        uri: text(example, "uri"),
        token: text(example, "token"),
        jkt: text(&file, "jkt"),
        proof: text(example, "proof"),
    };
    let issued = seconds(example, "iat");
    for wrong in [
        ProofRequest {
            method: "PUT",
            ..sent
        },
        ProofRequest {
            uri: "https://a.example/",
            ..sent
        },
        ProofRequest { token: "x", ..sent },
        ProofRequest {
            jkt: "1ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
            ..sent
        },
    ] {
        assert!(judge(&binding, &wrong, issued, &host).is_err());
    }
    assert!(judge(&binding, &sent, issued + 1000, &host).is_err());
    assert_eq!(checks.get(), 0);
    assert_eq!(judge(&binding, &sent, issued, &host), Ok(None));
    assert_eq!(checks.get(), 1);
}

/// A client writes the scheme over HTTP/2 and in an absolute URI.
#[test]
fn the_scheme_of_a_target_is_not_what_the_client_says() {
    for claims_tls in [true, false] {
        let connection = Connection::said(claims_tls, false);
        assert_eq!(connection.scheme(&host()).name(), "https");
        let connection = Connection::said(claims_tls, true);
        assert_eq!(connection.scheme(&MemoryHost::new()).name(), "http");
        let mut trusted = Connection::said(claims_tls, true);
        trusted.trust_forwarded_proto(true);
        assert_eq!(trusted.scheme(&MemoryHost::new()).name(), "https");
    }
}

/// What was used may be forgotten once it would be refused for its age: by the time that it is, not by that at
/// which the request came.
#[test]
fn a_request_that_has_waited_brings_an_old_proof() {
    let binding = binding(r#"{"dpop":{"proof_lifetime":"10s"}}"#);
    let host = host();
    let judged = |id, at: u64| {
        host.set_wall_clock(Duration::from_secs(at));
        judge_own(&binding, (id, NOW, ""), NOW, &host).map_err(|(name, _)| name)
    };
    assert_eq!(judged("1", NOW), Ok(None));
    assert_eq!(judged("1", NOW + 15), Err("replayed"));
    assert_eq!(judged("1", NOW + 17), Err("expired"));
    assert_eq!(judged("2", NOW + 17), Err("expired"));
}

#[test]
fn the_hosts_of_a_service_are_told_or_asked_for() {
    let finished = |bound: &str, hosts: &str| {
        let text = format!(
            r#"{{"bound":{bound},"routes":[{{"name":"r","match":{{{hosts}}},"jwt":{{"provider":"corp"}}}}]}}"#
        );
        let json = Json::parse(text.as_bytes(), 8).unwrap();
        let (mut problems, mut notes) = (Problems::default(), Vec::new());
        binding(bound).finish(&mut Finishing {
            document: &Node::root(&json),
            routes: &["r"],
            is_whole: true,
            notes: &mut notes,
            problems: &mut problems,
        });
        let problems = match problems.into_result(Some(())) {
            Ok(()) => Vec::new(),
            Err(error) => error.problems.iter().map(ToString::to_string).collect(),
        };
        (problems, notes)
    };
    let hosts = r#""hosts":["a.example"]"#;
    for demanded in [
        r#"{"dpop":"required"}"#,
        r#"{"dpop":{"mode":"required","nonce":"required"}}"#,
    ] {
        let (problems, notes) = finished(demanded, "");
        assert!(notes.is_empty(), "{notes:?}");
        let [problem] = &problems[..] else {
            panic!("{problems:?}");
        };
        let start = "/providers/corp/bound/dpop: needs `origins`: route \"r\" has no `hosts`";
        assert!(problem.starts_with(start), "{problem}");
        assert_eq!(finished(demanded, hosts), (Vec::new(), Vec::new()));
    }
    for taken in [r#""required""#, r#"{"dpop":"if_bound"}"#, r#"{"dpop":{}}"#] {
        let (problems, notes) = finished(taken, "");
        assert!(problems.is_empty(), "{problems:?}");
        let [note] = &notes[..] else {
            panic!("{notes:?}");
        };
        assert!(note.contains("has no `origins`, and route \"r\""), "{note}");
        assert_eq!(finished(taken, hosts), (Vec::new(), Vec::new()));
    }
    for fine in [
        r#"{"dpop":{"mode":"required","origins":["https://a.example"]}}"#,
        r#"{"dpop":{"mode":"required","origins":"any"}}"#,
        r#""if_bound""#,
        r#"{"dpop":"off"}"#,
    ] {
        assert_eq!(finished(fine, ""), (Vec::new(), Vec::new()), "{fine}");
    }
}
