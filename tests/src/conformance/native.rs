//! Vectors on the engine, without a proxy.

use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::host::Host;
use portcullis::policy::jwt::testing::KeySet;
use serde_json::{Map, Value, json};

use super::{Outcome, Question, Vector};
use crate::fuzz::{bearer, judge};
use crate::still::still;

/// The time where a suite does not say one: 2030, before the tokens that are to be good expire.
pub const CLOCK: u64 = 1_900_000_000;

/// A document with one route for each provider: `/0`, `/1`, ….
pub fn document(providers: &[Value]) -> Value {
    let named = |index: usize| format!("p{index}");
    let routes: Vec<Value> = (0..providers.len())
        .map(|index| {
            json!({
                "name": named(index),
                "match": { "path": { "exact": format!("/{index}") } },
                "jwt": { "provider": named(index) },
            })
        })
        .collect();
    let providers: Map<String, Value> = providers
        .iter()
        .enumerate()
        .map(|(index, each)| (named(index), each.clone()))
        .collect();
    json!({ "version": 1, "providers": providers, "routes": routes })
}

/// Why the filter does not load a provider's keys.
pub fn refused_keys(provider: &Value) -> Option<Outcome> {
    let error = engine(provider).err()?;
    Some(Outcome::KeyRefused(error))
}

/// The engine of a document with this provider alone.
///
/// # Errors
/// The first problem of the document.
pub fn engine(provider: &Value) -> Result<Rc<Engine>, String> {
    let document = document(std::slice::from_ref(provider)).to_string();
    match Engine::compile(document.as_bytes()) {
        Ok(engine) => Ok(Rc::new(engine)),
        Err(error) => Err(error.problems[0].reason.clone()),
    }
}

/// What a provider makes of a token at a time.
pub fn judge_token(provider: &Value, token: &str, at: u64) -> Outcome {
    let engine = match engine(provider) {
        Ok(engine) => engine,
        Err(reason) => return Outcome::KeyRefused(reason),
    };
    judge_in(&engine, token, at)
}

/// What the provider of an [`engine`] makes of a token at a time.
pub fn judge_in(engine: &Rc<Engine>, token: &str, at: u64) -> Outcome {
    // Blanks at the end of a field do not belong to its value.
    let value = format!("Bearer {token}");
    let headers = bearer(b"/0", value.trim_end().as_bytes());
    match judge(engine, headers, &still(at)).refusal {
        None => Outcome::Accepted,
        Some(details) => Outcome::Refused(details.trim_start_matches("401 portcullis.").into()),
    }
}

/// What the filter makes of a vector, where `host` may check signatures that stand alone.
pub fn judge_with(vector: &Vector, host: &dyn Host) -> Outcome {
    match &vector.question {
        Question::Token {
            provider,
            token,
            at,
        } => judge_token(provider, token, *at),
        Question::Keys { provider } => refused_keys(provider).unwrap_or(Outcome::Accepted),
        Question::Signature {
            jwks,
            algorithm,
            signed,
            signature,
        } => match KeySet::written(jwks.to_string().as_bytes()) {
            Err(error) => Outcome::KeyRefused(error.problems[0].reason.clone()),
            Ok(keys) => match keys.verify(algorithm, signed, signature, host) {
                None => Outcome::NoKey,
                Some(true) => Outcome::Accepted,
                Some(false) => Outcome::Unfit,
            },
        },
    }
}
