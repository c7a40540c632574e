//! Whether the chains give the client the same answers. Comparing them means nothing otherwise.

use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::wire::{Request, Response};

use super::chain::{BODY, Chain, HEADERS, ORIGIN, PATH, Tokens, Traffic, Work};
use super::rounds::Running;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Every difference from the answers that all chains owe, or nothing.
pub(super) fn check(running: &[Running], tokens: &Tokens) -> Result<(), String> {
    let mut differences = Vec::new();
    for each in running {
        let traffic = each.chain.traffic;
        let mut expect = |what: &str, credential: Option<&str>, status: u16| {
            let request = request_with(traffic, credential);
            let found = match client::send(each.addr, &request, TIMEOUT) {
                Ok(response) => difference(&response, status, &each.chain),
                Err(error) => Some(format!("no answer: {error}")),
            };
            let name = each.chain.id;
            differences.extend(found.map(|found| format!("{name}: {what}: {found}")));
        };
        if traffic == Traffic::Proof {
            let (proven, bare) = (tokens.proofs.one(super::now()), tokens.proofs.token());
            expect("a proof", Some(&proven), 200);
            expect("the same proof", Some(&proven), 401);
            expect("no proof", Some(bare), 401);
            continue;
        }
        if let Some((good, bad)) = traffic.credentials() {
            // Envoy has one status for what is missing and what is not known, the module two.
            let refused = |ours: u16, theirs: u16| match each.chain.id.starts_with("portcullis") {
                true => ours,
                false => theirs,
            };
            let (missing, unknown) = match traffic {
                Traffic::Certificate => (refused(401, 403), 403),
                // `ext_authz` hands over what comes, and the service lets all pass.
                Traffic::Opaque => (refused(401, 200), refused(401, 200)),
                _ => (401, 401),
            };
            expect("a good credential", Some(good), 200);
            expect("none", None, missing);
            expect("one of nobody", Some(bad), unknown);
            continue;
        }
        let is_spent = each.chain.traffic == Traffic::OverLimit;
        if is_spent && let Some((_, token)) = tokens.good.first() {
            expect("the one request of a limit", Some(token), 200);
        }
        let passes = if is_spent { 429 } else { 200 };
        for (algorithm, token) in &tokens.good {
            expect(
                &format!("a good token ({algorithm:?})"),
                Some(token),
                passes,
            );
        }
        if each.chain.work == Work::Access {
            let other = Request {
                path: b"/others/1".to_vec(),
                ..request_with(traffic, None)
            };
            let name = each.chain.id;
            let status = client::send(each.addr, &other, TIMEOUT).map(|response| response.status);
            if !matches!(status, Ok(403)) {
                differences.push(format!("{name}: another path: {status:?}, not 403"));
            }
            continue;
        }
        if matches!(each.chain.work, Work::Token | Work::Whole) {
            let refused = if is_spent { 429 } else { 401 };
            expect("no token", None, refused);
            expect("an expired token", Some(&tokens.expired), refused);
            expect("a forged token", Some(&tokens.forged), refused);
        }
    }
    match differences.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "the chains do not answer alike:\n{}",
            differences.join("\n")
        )),
    }
}

/// What every request looks like, but for its token.
pub(super) fn request(token: Option<&str>) -> Request {
    request_with(Traffic::None, token)
}

fn request_with(traffic: Traffic, credential: Option<&str>) -> Request {
    let field = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    let mut headers = vec![
        field("accept", "application/json"),
        field("accept-encoding", "gzip"),
        field("user-agent", "portcullis-bench/1"),
        field("origin", ORIGIN),
    ];
    let (name, prefix) = traffic.field();
    // As the load generator has it: behind a blank stands a proof.
    let (value, proof) = match credential.and_then(|credential| credential.split_once(' ')) {
        Some((token, proof)) => (Some(token), Some(proof)),
        None => (credential, None),
    };
    headers.extend(value.map(|value| field(name, &[prefix, value].concat())));
    headers.extend(proof.map(|proof| field("dpop", proof)));
    Request {
        method: b"GET".to_vec(),
        path: PATH.into(),
        authority: b"api.bench.test".to_vec(),
        headers,
        ..Request::default()
    }
}

fn difference(response: &Response, status: u16, chain: &Chain) -> Option<String> {
    let work = chain.work;
    if response.status != status {
        return Some(format!("status {}, not {status}", response.status));
    }
    let passed = status == 200;
    if passed && response.body != BODY.as_bytes() {
        return Some("another body than the service's".to_owned());
    }
    if work != Work::Credential
        && status == 401
        && !value(response, "www-authenticate").starts_with("Bearer")
    {
        return Some("no www-authenticate".to_owned());
    }
    let limited = match work {
        Work::Limit => true,
        // A token that is refused is refused before there is a limit.
        Work::Whole => status != 401,
        Work::Nothing | Work::Token | Work::Credential | Work::Access | Work::Headers => false,
    };
    if limited {
        let names = [
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
        ];
        if let Some(name) = names
            .into_iter()
            .find(|name| value(response, name).is_empty())
        {
            return Some(format!("no {name}"));
        }
    }
    if !matches!(work, Work::Headers | Work::Whole) {
        return None;
    }
    let granted = value(response, "access-control-allow-origin");
    // Envoy's own filter has nothing to say on answers that the proxy gives itself.
    let has_something_to_say = chain.service.is_some() || chain.id.starts_with("portcullis");
    if passed && granted != ORIGIN && has_something_to_say {
        return Some(format!("access-control-allow-origin: `{granted}`"));
    }
    let wrong = |name: &str, wanted: &str| {
        let found = value(response, name);
        (found != wanted).then(|| format!("{name}: `{found}`, not `{wanted}`"))
    };
    match &chain.service {
        None => HEADERS
            .iter()
            .find_map(|(name, wanted)| wrong(name, wanted)),
        Some(service) => {
            let mut fields = service.fields.iter();
            fields.find_map(|(name, wanted)| wrong(name, wanted))
        }
    }
}

/// All values of a field, joined.
fn value(response: &Response, name: &str) -> String {
    let values = response.headers.iter().filter(|(each, _)| each == name);
    let values = values.map(|(_, value)| String::from_utf8_lossy(value));
    values.collect::<Vec<_>>().join(", ")
}
