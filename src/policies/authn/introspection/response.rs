//! What a server says of a token: RFC 7662 §2.2.
//!
//! It is read strictly: what is not JSON without repeated members, with a boolean `active`, is no answer, and
//! nothing is concluded from it. RFC 9701 lets a server sign its answer; that is not asked for, and not read.

use std::time::Duration;

use super::refusals::AskError;
use crate::authn::jwt::claims::{ClaimRules, Times};
use crate::authn::jwt::objection::Objection;
use portcullis_exchange::call::CallResponse;
use portcullis_exchange::media_type::MediaType;
use portcullis_wire::json::compact::{Compact, Value};

/// The longest answer that is read, in bytes.
pub(super) const LONGEST_ANSWER: usize = 64 << 10;

/// How deep an answer may nest.
const MAX_DEPTH: usize = 16;

/// What a server has said of a token.
#[derive(Debug)]
pub(super) enum Said {
    /// It is active; what else is said of it is in accord with the rules.
    Active(Compact, Times),
    /// It is not active, RFC 7662 §2.2: nothing else is said.
    Inactive,
    /// It is active, and no token to call with.
    NoAccessToken,
    /// It is active, and a rule objects.
    Objected(Objection),
}

/// Reads a response, and judges it at `now`, by the wall clock.
pub(super) fn read(
    response: &CallResponse<'_>,
    rules: &ClaimRules,
    now: Duration,
) -> Result<Said, AskError> {
    match response.status() {
        Some(200) => {}
        // So the proxy says it in place of a server.
        Some(503) => return Err(AskError::Unreachable),
        Some(504) => return Err(AskError::Timeout),
        Some(status) => return Err(AskError::Status(status)),
        None => return Err(AskError::Response("status")),
    }
    if !is_json(response) {
        return Err(AskError::Response("media_type"));
    }
    read_body(response.body, rules, now)
}

/// RFC 7662 §2.2: `application/json`.
fn is_json(response: &CallResponse<'_>) -> bool {
    let field = response.headers.one("content-type").ok().flatten();
    let media_type = field.and_then(MediaType::parse);
    media_type.is_some_and(|media_type| media_type.is("application", "json"))
}

fn read_body(body: &[u8], rules: &ClaimRules, now: Duration) -> Result<Said, AskError> {
    if body.len() > LONGEST_ANSWER {
        return Err(AskError::Response("too_long"));
    }
    let answer = Compact::parse(body, MAX_DEPTH).ok_or(AskError::Response("json"))?;
    let members = answer.value().as_object();
    let members = members.ok_or(AskError::Response("json"))?;
    match members.member("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(Said::Inactive),
        _ => return Err(AskError::Response("active")),
    }
    let text = |name| match members.member(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(AskError::Response(name)),
    };
    for name in ["scope", "client_id", "username"] {
        text(name)?;
    }
    let token_type = text("token_type")?;
    let is = |text: &str, word: &str| text.eq_ignore_ascii_case(word);
    // Some servers answer for refresh tokens too, and say here that it is one.
    let others = ["refresh", "offline", "id", "logout"];
    let is_other = text("typ")?.is_some_and(|typ| others.iter().any(|each| is(typ, each)));
    let is_used_otherwise = text("token_use")?.is_some_and(|each| !is(each, "access_token"));
    let schemes = ["Bearer", "DPoP"];
    let is_to_call = |kind: &str| schemes.iter().any(|each| is(kind, each));
    if is_other || is_used_otherwise || token_type.is_some_and(|kind| !is_to_call(kind)) {
        return Ok(Said::NoAccessToken);
    }
    match rules.check(body, None, now) {
        Ok((claims, times)) => Ok(Said::Active(claims, times)),
        // A claim that is not what it must be is the server's doing.
        Err(objection) if objection.is_of_form() => Err(AskError::Response("claims")),
        Err(objection) => Ok(Said::Objected(objection)),
    }
}
