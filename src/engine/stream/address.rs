//! Which host and path a request names.

use super::overrides::has_override;
use crate::engine::{Engine, Overrides};
use portcullis_exchange::refusal::Refusal;
use portcullis_exchange::refusal::core::{OVERRIDE_HEADER, of_authority, of_target};
use portcullis_exchange::target::{Authority, Target};
use portcullis_wire::headers::{HeaderValue, Headers};

/// Reads which host and path a request names; why it may not pass if that cannot be told.
pub(super) fn address<'h>(
    engine: &Engine,
    headers: &'h Headers,
) -> Result<(Authority<'h>, Target), Refusal> {
    let authority = Authority::of(headers);
    let authority = authority.map_err(|error| Refusal::new(of_authority(error)))?;
    let raw = headers.one(":path").ok().flatten().unwrap_or_default();
    let target = Target::parse_by(raw, engine.path_rules);
    let target = target.map_err(|error| Refusal::new(of_target(error)))?;
    if engine.overrides == Overrides::Refuse && has_override(headers) {
        return Err(Refusal::new(&OVERRIDE_HEADER));
    }
    Ok((authority, target))
}

/// Takes empty segments out of the path, where they are to be; the path for the service then.
pub(super) fn merge(engine: &Engine, headers: &mut Headers) -> Option<HeaderValue> {
    let raw = headers.one(":path").ok().flatten()?;
    let merged = HeaderValue::parse(&engine.path_rules.merged(raw)?).ok()?;
    headers.replace(":path", merged.as_bytes());
    Some(merged)
}
