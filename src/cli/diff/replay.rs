//! Requests made again from records of the access log, as far as these say what was asked.

use std::path::Path;

use portcullis::policy::{Rounding, rfc3339};
use portcullis_cases::keys::{FoundKeys, KeyRing as _, LOCAL};
use portcullis_cases::tokens;
use portcullis_cases::wire::{Request, Response};
use serde_json::{Map, Value, json};

use super::sides::{Judgement, Verdict};

/// A request that was made again, and what its record says became of it.
pub(crate) struct Replayed {
    pub(crate) request: Request,
    pub(crate) upstream: Response,
    /// When it was recorded, in seconds since 1970.
    pub(crate) at: u64,
    pub(crate) client: Option<String>,
    recorded: Recorded,
}

struct Recorded {
    route: Option<String>,
    outcome: String,
    code: Option<String>,
    reason: Option<String>,
}

/// The record of a line of the log; none if it has none.
pub(crate) fn record(line: &str) -> Option<Map<String, Value>> {
    // Envoy writes something of its own in front.
    let text = line.get(line.find('{')?..)?;
    let record: Value = serde_json::from_str(text.trim_end()).ok()?;
    let Value::Object(record) = record else {
        return None;
    };
    record.contains_key("portcullis.outcome").then_some(record)
}

/// Makes the request of a record again.
///
/// # Errors
/// Why that cannot be done.
pub(crate) fn replay(
    record: &Map<String, Value>,
    old: &Value,
    keys: &FoundKeys,
) -> Result<Replayed, String> {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let outcome = text("portcullis.outcome").unwrap_or_default();
    if !["allowed", "denied", "answered"].contains(&outcome) {
        return Err(format!("it was not judged to its end: {outcome}"));
    }
    if let Some(kind) = text("portcullis.credential") {
        return Err(format!(
            "its credential, of the kind {kind}, is in no record"
        ));
    }
    let method = text("http.request.method").ok_or("the record has no method")?;
    let path = text("url.path").ok_or("the record has no path")?;
    let time = text("timestamp").or(text("@timestamp"));
    let time = time.and_then(|time| rfc3339(time.as_bytes(), Rounding::Down));
    let at = time.and_then(|at| u64::try_from(at).ok());
    let at = at.ok_or("the record has no time")?;
    let path = match text("url.query") {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut request = Request {
        method: method.into(),
        path: path.into_bytes(),
        authority: text("server.address").unwrap_or("localhost").into(),
        ..Request::default()
    };
    let mut header = |name: &str, value: &str| {
        request.headers.push((name.into(), value.into()));
    };
    if let Some(scheme) = text("url.scheme") {
        header("x-forwarded-proto", scheme);
    }
    if let Some(agent) = text("user_agent.original") {
        header("user-agent", agent);
    }
    for (member, values) in record {
        let Some(name) = member.strip_prefix("http.request.header.") else {
            continue;
        };
        for value in values.as_array().into_iter().flatten() {
            header(name, value.as_str().unwrap_or_default());
        }
    }
    if let Some(provider) = text("portcullis.provider") {
        let (name, value) = token(record, provider, old, keys, at)?;
        header(&name, &value);
    }
    let status = record
        .get("http.response.status_code")
        .and_then(Value::as_u64);
    let status = status.and_then(|status| u16::try_from(status).ok());
    let is_passed_on = outcome == "allowed";
    Ok(Replayed {
        request,
        upstream: Response {
            status: status.filter(|_| is_passed_on).unwrap_or(200),
            ..Response::default()
        },
        at,
        client: text("client.address").map(str::to_owned),
        recorded: Recorded {
            route: text("portcullis.route").map(str::to_owned),
            outcome: outcome.to_owned(),
            code: text("portcullis.code").map(str::to_owned),
            reason: text("portcullis.reason").map(str::to_owned),
        },
    })
}

/// A token that says what the record says of the one that was accepted, and the header field that it stands in.
fn token(
    record: &Map<String, Value>,
    provider: &str,
    old: &Value,
    keys: &FoundKeys,
    at: u64,
) -> Result<(String, String), String> {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let config = old.pointer(&format!("/providers/{provider}"));
    let config = config.ok_or_else(|| format!("the old document has no provider `{provider}`"))?;
    let mut claims = Map::new();
    claims.insert("iat".to_owned(), at.into());
    claims.insert("exp".to_owned(), at.saturating_add(300).into());
    if let Some(issuer) = text("portcullis.issuer") {
        claims.insert("iss".to_owned(), issuer.into());
    }
    // A hash is as good as a name where it is only told from others.
    if let Some(subject) = text("user.id").or(text("user.hash")) {
        claims.insert("sub".to_owned(), subject.into());
    }
    if let Some(Value::Array(audiences)) = config.get("audiences") {
        claims.extend(
            audiences
                .first()
                .map(|first| ("aud".to_owned(), first.clone())),
        );
    }
    for (member, value) in record {
        let name = member.strip_prefix("portcullis.claim.");
        if let Some(name) = name.filter(|name| !name.starts_with('/')) {
            // What is neither text, number nor boolean is recorded as its JSON.
            let inner = value.as_str().filter(|text| text.starts_with(['[', '{']));
            let inner = inner.and_then(|text| serde_json::from_str(text).ok());
            claims.insert(name.to_owned(), inner.unwrap_or_else(|| value.clone()));
        }
    }
    if ["from_headers", "from_params", "from_cookies"]
        .iter()
        .any(|place| config.get(place).is_some())
    {
        return Err(format!(
            "tokens of `{provider}` do not stand in `authorization`"
        ));
    }
    let key = keys.key(Path::new(""), LOCAL)?;
    let kind = config.get("typ").and_then(|kind| match kind {
        Value::Array(kinds) => kinds.first().cloned(),
        kind => Some(kind.clone()),
    });
    let mut header = json!({ "kid": LOCAL });
    if let (Some(kind), Value::Object(header)) = (kind, &mut header) {
        header.insert("typ".to_owned(), kind);
    }
    let token = tokens::sign(&*key, &json!({ "header": header, "claims": claims }), at)?;
    Ok(("authorization".to_owned(), format!("Bearer {token}")))
}

impl Replayed {
    /// Whether the old document makes of it what the record says became of it.
    ///
    /// # Errors
    /// What it makes of it instead: then what was asked is not all in the record, and nothing can be said of it.
    pub(crate) fn agrees(&self, old: &Judgement) -> Result<(), String> {
        let recorded = &self.recorded;
        let outcome = match old.verdict {
            Verdict::Allowed => "allowed",
            Verdict::Denied => "denied",
            Verdict::Answered => "answered",
        };
        let is_same = recorded.outcome == outcome
            && recorded.route == old.route
            && recorded.code.as_deref() == old.code
            && recorded.reason.as_deref() == old.reason;
        if is_same {
            return Ok(());
        }
        let mut was = recorded.outcome.clone();
        if let (Some(code), Some(reason)) = (&recorded.code, &recorded.reason) {
            was += &format!(" {code} ({reason})");
        }
        Err(format!(
            "what the record says does not suffice: it was {was}, and made again it is {}",
            old.shown()
        ))
    }
}
