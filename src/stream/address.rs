//! Which host and path a request names.

use super::foreign::{Overrides, has_override};
use crate::engine::Engine;
use crate::headers::{HeaderValue, Headers};
use crate::refusal::Refusal;
use crate::refusal::core::{HOST_MALFORMED, OVERRIDDEN, PATH_MALFORMED, TOO_COSTLY};
use crate::target::{Authority, AuthorityError, Target, TargetError};

/// Reads which host and path a request names; why it may not pass if that cannot be told.
pub(super) fn address<'h>(
    engine: &Engine,
    headers: &'h Headers,
) -> Result<(Authority<'h>, Target), Refusal> {
    let malformed = |error: AuthorityError| Refusal::new(&HOST_MALFORMED, error.reason());
    let authority = Authority::of(headers).map_err(malformed)?;
    let raw = headers.one(":path").ok().flatten().unwrap_or_default();
    let target = Target::parse_by(raw, engine.path_rules).map_err(|error| match error {
        TargetError::TooCostly => Refusal::new(&TOO_COSTLY, error.reason()),
        error => Refusal::new(&PATH_MALFORMED, error.reason()),
    })?;
    if engine.overrides == Overrides::Refuse && has_override(headers) {
        return Err(Refusal::new(&OVERRIDDEN, "override_header"));
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
