//! What every accepted token must say: who issued it, for whom, and for how long.

use std::time::Duration;

use super::objection::{ClaimFault, Objection};
use super::token::MAX_DEPTH;
use portcullis_exchange::condition::Check;
use portcullis_wire::effort;
use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::json::compact::{Compact, Members, Value};

/// What a provider demands of the registered claims, RFC 7519 §4.1.
#[derive(Debug)]
pub(in crate::authn) struct ClaimRules {
    pub(in crate::authn) issuers: Accepted,
    pub(in crate::authn) audiences: Accepted,
    /// The subject matches one of these; any subject, and none, when there are none.
    pub(in crate::authn) subjects: Vec<Check>,
    pub(in crate::authn) clock_skew: Duration,
    pub(in crate::authn) expiration: Expiration,
    /// The longest time from `iat` (or `nbf`) to `exp`.
    pub(in crate::authn) max_lifetime: Option<Duration>,
    /// The longest time since `iat`.
    pub(in crate::authn) max_age: Option<Duration>,
    pub(in crate::authn) revoked: Revoked,
}

/// Tokens that are no longer good, whatever they say.
#[derive(Debug, Default)]
pub(in crate::authn) struct Revoked {
    pub(in crate::authn) token_ids: Vec<String>,
    pub(in crate::authn) subjects: Vec<String>,
    pub(in crate::authn) key_ids: Vec<String>,
    /// Every token issued before that second, and every one that does not say when.
    pub(in crate::authn) issued_before: Option<u64>,
}

/// Which values of a claim are accepted.
#[derive(Debug)]
pub(in crate::authn) enum Accepted {
    /// Any value, and none: the document says `any`.
    Any,
    /// One of these.
    OneOf(Vec<String>),
    /// The claim must not be there: a token for another audience is not for us
    /// (RFC 7519 §4.1.3), and the document does not say who we are.
    Absent,
}

/// Whether a token may live for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::authn) enum Expiration {
    /// `exp` must be there.
    Required,
    /// It may be absent.
    Optional,
}

/// Why the claims of a well-signed token are not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::authn) enum ClaimsError {
    /// Not a strict JSON object, or a registered claim of the wrong type or out of range, or
    /// one that is missing.
    Malformed,
    Issuer,
    Audience,
    Subject,
    /// It would take too much work to tell whether the subject is accepted.
    Effort,
    /// It lives longer than the provider allows, or does not say how long.
    Lifetime,
    Revoked,
    Expired,
    /// It is older than the provider allows, or does not say how old.
    Age,
    NotYetValid,
    IssuedInFuture,
}

/// The end of the year 9999 in seconds: a date beyond it is a mistake or an attack.
const LATEST: f64 = 253_402_300_799.0;

/// When a token is valid, in seconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::authn) struct Times {
    expires: Option<f64>,
    not_before: Option<f64>,
    issued: Option<f64>,
}

impl ClaimRules {
    /// Reads the payload of a token whose signature has been checked, and judges it at `now`.
    pub(in crate::authn) fn check(
        &self,
        payload: &[u8],
        key_id: Option<&str>,
        now: Duration,
    ) -> Result<(Compact, Times), Objection> {
        let json = Compact::parse(payload, MAX_DEPTH).ok_or(Objection::UNREADABLE)?;
        let claims = json.value().as_object().ok_or(Objection::UNREADABLE)?;
        for name in ["sub", "jti"] {
            text(claims, name)?;
        }
        self.check_issuer(claims)?;
        self.check_audience(claims)?;
        self.check_subject(claims)?;
        let times = Times::read(claims)?;
        if times.expires.is_none() && self.expiration == Expiration::Required {
            let missing = ClaimsError::Malformed.of("exp", ClaimFault::Missing);
            return Err(missing.by("/require_expiration"));
        }
        self.check_lifetime(times)?;
        let after = |objection: Objection| objection.after(times);
        self.check_times(times, now).map_err(after)?;
        match self.revoked.objection(claims, times, key_id) {
            Some(objection) => Err(after(objection)),
            None => Ok((json, times)),
        }
    }

    /// Whether claims that nobody has checked name an issuer that is accepted, or cannot be read.
    pub(in crate::authn) fn may_be_issuer(&self, claims: Option<&Compact>) -> bool {
        let claims = claims.and_then(|claims| claims.value().as_object());
        let is_other = |claims| {
            let objection = self.check_issuer(claims).err();
            objection.is_some_and(|objection| objection.error == ClaimsError::Issuer)
        };
        !claims.is_some_and(is_other)
    }

    fn check_issuer(&self, claims: Members<'_>) -> Result<(), Objection> {
        let issuer = text(claims, "iss")?;
        if self.issuers.accepts(issuer.as_slice()) {
            return Ok(());
        }
        let fault = self.issuers.fault(issuer.as_slice());
        Err(ClaimsError::Issuer.of("iss", fault).by("/issuer"))
    }

    fn check_audience(&self, claims: Members<'_>) -> Result<(), Objection> {
        let wrong =
            |value: Value<'_>| ClaimsError::Malformed.of("aud", ClaimFault::Kind(value.kind()));
        let audiences: Vec<&str> = match claims.member("aud") {
            None => Vec::new(),
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many
                .iter()
                .map(|item| item.as_str().ok_or_else(|| wrong(item)))
                .collect::<Result<_, _>>()?,
            Some(other) => return Err(wrong(other)),
        };
        if self.audiences.accepts(&audiences) {
            return Ok(());
        }
        let fault = self.audiences.fault(&audiences);
        Err(ClaimsError::Audience.of("aud", fault).by("/audiences"))
    }

    fn check_subject(&self, claims: Members<'_>) -> Result<(), Objection> {
        let subject = text(claims, "sub")?;
        if self.subjects.is_empty() {
            return Ok(());
        }
        let wrong = |error: ClaimsError, fault| error.of("sub", fault).by("/subjects");
        let subject = subject.ok_or_else(|| wrong(ClaimsError::Subject, ClaimFault::Missing))?;
        let effort = Effort::new(effort::HEAD);
        for each in &self.subjects {
            match each.matches(subject, &effort) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(TooCostly) => return Err(wrong(ClaimsError::Effort, ClaimFault::TooCostly)),
            }
        }
        Err(wrong(ClaimsError::Subject, ClaimFault::NotListed))
    }

    fn check_lifetime(&self, times: Times) -> Result<(), Objection> {
        let Some(longest) = self.max_lifetime else {
            return Ok(());
        };
        let wrong = |claim, fault| Err(ClaimsError::Lifetime.of(claim, fault).by("/max_lifetime"));
        match (times.expires, times.issued.or(times.not_before)) {
            (None, _) => wrong("exp", ClaimFault::Missing),
            (_, None) => wrong("iat", ClaimFault::Missing),
            (Some(end), Some(start)) if end - start <= longest.as_secs_f64() => Ok(()),
            (Some(end), Some(start)) => wrong(
                "exp",
                ClaimFault::TooLong(end - start - longest.as_secs_f64()),
            ),
        }
    }

    /// What has to be judged at every use of a token.
    pub(in crate::authn) fn check_times(
        &self,
        times: Times,
        now: Duration,
    ) -> Result<(), Objection> {
        let (now, skew) = (now.as_secs_f64(), self.clock_skew.as_secs_f64());
        // RFC 7519 §4.1.4: on or after that time it is not accepted.
        if let Some(expires) = times.expires.filter(|expires| now >= expires + skew) {
            return Err(ClaimsError::Expired.of("exp", ClaimFault::Past(now - expires)));
        }
        if let Some(oldest) = self.max_age {
            let wrong = |fault| Err(ClaimsError::Age.of("iat", fault).by("/max_age"));
            let most = oldest.as_secs_f64();
            match times.issued {
                None => return wrong(ClaimFault::Missing),
                Some(issued) if now - issued > most + skew => {
                    return wrong(ClaimFault::TooOld(now - issued - most));
                }
                Some(_) => {}
            }
        }
        let starts = [
            (ClaimsError::NotYetValid, "nbf", times.not_before),
            (ClaimsError::IssuedInFuture, "iat", times.issued),
        ];
        for (error, claim, start) in starts {
            if let Some(start) = start.filter(|start| now + skew < *start) {
                return Err(error.of(claim, ClaimFault::Future(start - now)));
            }
        }
        Ok(())
    }

    /// Whether a token with these times may be used now: what [`check_times`](Self::check_times) says, without saying
    /// why not.
    #[inline]
    pub(in crate::authn) fn hold(&self, times: Times, now: Duration) -> bool {
        let (now, skew) = (now.as_secs_f64(), self.clock_skew.as_secs_f64());
        let is_over = |expires: f64| now >= expires + skew;
        let begins_later = |start: f64| now + skew < start;
        let is_too_old = self.max_age.is_some_and(|oldest| {
            let is_within = |issued: f64| now - issued <= oldest.as_secs_f64() + skew;
            !times.issued.is_some_and(is_within)
        });
        !is_too_old
            && !times.expires.is_some_and(is_over)
            && !times.not_before.is_some_and(begins_later)
            && !times.issued.is_some_and(begins_later)
    }
}

impl Times {
    /// `iat`.
    pub(in crate::authn) fn issued(self) -> Option<f64> {
        self.issued
    }

    /// When it ends, if that is said.
    pub(in crate::authn) fn expires(self) -> Option<f64> {
        self.expires
    }

    fn read(claims: Members<'_>) -> Result<Self, Objection> {
        Ok(Self {
            expires: date(claims, "exp")?,
            not_before: date(claims, "nbf")?,
            issued: date(claims, "iat")?,
        })
    }
}

impl Revoked {
    fn objection(
        &self,
        claims: Members<'_>,
        times: Times,
        key_id: Option<&str>,
    ) -> Option<Objection> {
        let claim = |name| claims.member(name).and_then(Value::as_str);
        let lists = [
            ("jti", "/revoked/jti", &self.token_ids, claim("jti")),
            ("sub", "/revoked/sub", &self.subjects, claim("sub")),
            ("kid", "/revoked/kid", &self.key_ids, key_id),
        ];
        for (name, rule, list, value) in lists {
            if value.is_some_and(|value| list.iter().any(|each| each == value)) {
                return Some(ClaimsError::Revoked.of(name, ClaimFault::Listed).by(rule));
            }
        }
        // Whoever holds a key can leave its name out.
        if key_id.is_none() && !self.key_ids.is_empty() {
            let objection = ClaimsError::Revoked.of("kid", ClaimFault::Missing);
            return Some(objection.by("/revoked/kid"));
        }
        let limit = self.issued_before? as f64;
        let fault = match times.issued {
            None => ClaimFault::Missing,
            Some(issued) if issued < limit => ClaimFault::TooOld(limit - issued),
            Some(_) => return None,
        };
        let objection = ClaimsError::Revoked.of("iat", fault);
        Some(objection.by("/revoked/issued_before"))
    }
}

impl Accepted {
    fn accepts(&self, values: &[&str]) -> bool {
        match self {
            Accepted::Any => true,
            Accepted::OneOf(accepted) => values
                .iter()
                .any(|value| accepted.iter().any(|each| each == value)),
            Accepted::Absent => values.is_empty(),
        }
    }

    /// What is wrong with values that are not accepted.
    fn fault(&self, values: &[&str]) -> ClaimFault {
        match self {
            Accepted::Absent => ClaimFault::Unexpected,
            _ if values.is_empty() => ClaimFault::Missing,
            Accepted::Any | Accepted::OneOf(_) => ClaimFault::NotListed,
        }
    }
}

fn text<'c>(claims: Members<'c>, name: &'static str) -> Result<Option<&'c str>, Objection> {
    match claims.member(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(ClaimsError::Malformed.of(name, ClaimFault::Kind(other.kind()))),
    }
}

/// RFC 7519 §2 `NumericDate`: seconds, a fraction is allowed.
fn date(claims: Members<'_>, name: &'static str) -> Result<Option<f64>, Objection> {
    let wrong = |fault| ClaimsError::Malformed.of(name, fault);
    match claims.member(name) {
        None => Ok(None),
        Some(Value::Number(number)) => {
            let seconds = number.parse().ok();
            let seconds = seconds.filter(|seconds: &f64| (0.0..=LATEST).contains(seconds));
            seconds.map(Some).ok_or(wrong(ClaimFault::Range))
        }
        Some(other) => Err(wrong(ClaimFault::Kind(other.kind()))),
    }
}

#[cfg(test)]
mod tests;
