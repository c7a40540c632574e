//! Cases on the engine alone: no proxy, no module.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis::config::ConfigError;
use portcullis::engine::Engine;
use portcullis::host::Clock as _;
use portcullis::memory_host::MemoryHost;
use portcullis::refusal::Detail;
use portcullis::stream::Decision;
use portcullis_cases::judge;
use serde_json::Value;

use super::{Case, Outcome, compared};
use crate::both;
use crate::tokens::TestKeys;
use crate::wire::{Request, Response};

/// Runs a case; what differs from what it expects.
pub fn run(case: &Case) -> Vec<String> {
    let engine = match (Engine::compile(&case.document), case.problems.as_slice()) {
        (Ok(_), [_, ..]) => return vec!["the document is accepted".to_owned()],
        (Err(error), expected) => {
            let found: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
            return if found == expected {
                Vec::new()
            } else {
                vec![format!("problems: {found:#?}")]
            };
        }
        (Ok(engine), []) => Rc::new(engine),
    };
    // Tokens are minted anew for this moment.
    let host = Proxy::of(judge::of_case(MemoryHost::of_system(), case));
    let mut differences = Vec::new();
    for exchange in &case.fresh_exchanges(&TestKeys) {
        let outcome = judge(&engine, &exchange.request, &exchange.upstream, &host);
        let mut found = match outcome {
            Ok(outcome) => compared(&exchange.expect, &outcome),
            Err(error) => vec![error],
        };
        found.extend(astray(&case.document, &host.rules.take()));
        differences.extend(
            found
                .into_iter()
                .map(|difference| format!("{}: {difference}", exchange.name)),
        );
    }
    differences.extend(unlike(case));
    differences
}

/// What differs where requests are judged by plans, and where no refused token is remembered, each
/// three times.
fn unlike(case: &Case) -> Vec<String> {
    #[allow(
        clippy::disallowed_methods,
        reason = "tokens are minted for this moment"
    )]
    let now = MemoryHost::of_system().wall_clock();
    let engines = [
        Engine::compile(&case.document),
        Engine::compile(&case.document),
        Engine::compile(&case.document),
    ];
    let [Ok(planned), Ok(asked), Ok(forgetful)] = engines else {
        return vec!["the document is not accepted a second time".to_owned()];
    };
    let sides = [planned.with_plans(), asked, forgetful].map(|engine| {
        let host = judge::of_case(MemoryHost::new().at(now), case);
        (Rc::new(engine), Proxy::of(host))
    });
    let mut differences = Vec::new();
    for exchange in &case.fresh_exchanges(&TestKeys) {
        for _ in 0..3 {
            sides[2].0.forget_refused_tokens();
            let [planned, asked, forgetful] = sides.each_ref().map(|(engine, proxy)| {
                let outcome = judge(engine, &exchange.request, &exchange.upstream, proxy);
                let lines = proxy.left.take();
                let counted = both::counted(engine, &proxy.host);
                (format!("{outcome:?}"), lines, counted)
            });
            if planned != asked {
                differences.push(format!(
                    "{}: by a plan {planned:?}, by asking {asked:?}",
                    exchange.name
                ));
            }
            let but_for_memory = |(outcome, lines, counted)| -> (String, Vec<String>, _) {
                (outcome, lines, both::but_for_memory(counted))
            };
            let [asked, forgetful] = [asked, forgetful].map(but_for_memory);
            if asked != forgetful {
                differences.push(format!(
                    "{}: from memory {asked:?}, without {forgetful:?}",
                    exchange.name
                ));
            }
        }
    }
    let [(planned, _), _, _] = sides;
    PLANNED.fetch_add(planned.planned(), Ordering::Relaxed);
    differences
}

/// How many requests of all cases have been judged by plans.
static PLANNED: AtomicU64 = AtomicU64::new(0);

/// How many requests of all cases that have run have been judged by plans.
pub fn planned() -> u64 {
    PLANNED.load(Ordering::Relaxed)
}

/// What the access log has of a case, on the core alone; nothing of a document with problems.
pub fn records(case: &Case) -> Vec<Value> {
    let Ok(engine) = Engine::compile(&case.document).map(Rc::new) else {
        return Vec::new();
    };
    let host = Proxy::of(judge::host(case));
    let exchanges = case.exchanges.iter();
    let outcomes =
        exchanges.map(|exchange| judge(&engine, &exchange.request, &exchange.upstream, &host));
    outcomes
        .flat_map(|outcome| outcome.unwrap_or_else(|error| panic!("{error}")).log)
        .collect()
}

/// Whatever a policy refuses, the log says by which rule, and that is in the document.
fn astray(document: &[u8], rules: &[Option<String>]) -> Vec<String> {
    let document: Value = serde_json::from_slice(document).unwrap_or_default();
    let stray = |rule: &Option<String>| match rule {
        None => Some("a refusal does not say by which rule".to_owned()),
        Some(rule) if document.pointer(rule).is_none() => {
            Some(format!("a refusal is by {rule}, which is not there"))
        }
        Some(_) => None,
    };
    rules.iter().filter_map(stray).collect()
}

/// The rules by which policies refused, or would have.
fn rules(record: &Decision) -> Vec<Option<String>> {
    let enforced = record.refused_by.map(|_| &record.detail);
    let shadow = record.shadow.iter().filter(|each| each.policy.is_some());
    let details = enforced.into_iter().chain(shadow.map(|each| &each.detail));
    let rule = |detail: &Option<Box<Detail>>| Some(detail.as_ref()?.rule()?.to_owned());
    details.map(rule).collect()
}

/// What a client gets under a document, on the core alone.
///
/// # Errors
/// What is wrong with the document.
pub fn answer(
    document: &[u8],
    request: &Request,
    upstream: &Response,
) -> Result<Response, ConfigError> {
    let engine = Rc::new(Engine::compile(document)?);
    Ok(answer_by(&engine, request, upstream))
}

/// What a client gets on an engine, on the core alone.
pub fn answer_by(engine: &Rc<Engine>, request: &Request, upstream: &Response) -> Response {
    let host = MemoryHost::of_system().with_client(judge::CLIENT);
    let outcome = judge(engine, request, upstream, &Proxy::of(host));
    outcome.unwrap_or_else(|error| panic!("{error}")).response
}

/// A proxy, and what it has seen of the last exchange.
struct Proxy {
    host: MemoryHost,
    /// By which rules policies refused the last request.
    rules: RefCell<Vec<Option<String>>>,
    /// What the last exchange has left behind.
    left: RefCell<Vec<String>>,
}

impl Proxy {
    fn of(host: MemoryHost) -> Self {
        Self {
            host,
            rules: RefCell::default(),
            left: RefCell::default(),
        }
    }
}

fn judge(
    engine: &Rc<Engine>,
    request: &Request,
    upstream: &Response,
    proxy: &Proxy,
) -> Result<Outcome, String> {
    judge::exchange(engine, request, upstream, &proxy.host, |stream| {
        proxy.rules.replace(rules(stream.decision()));
        proxy.left.replace(both::left(stream, &proxy.host));
    })
}
