//! What the head of a request says about its body: RFC 9110 §7.8, §8.3 to §8.6 and §10.1.1.

use super::refusals::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE_MALFORMED, CONTENT_TYPE_NOT_ALLOWED,
    EXPECT_CONTINUE, EXPECT_UNKNOWN, UPGRADE_REFUSED, UPGRADE_WITH_BODY, with_hint,
};
use portcullis_exchange::media_type::{MediaRange, MediaType};
use portcullis_exchange::refusal::{Reason, Refusal};
use portcullis_wire::headers::Headers;
pub(crate) use portcullis_wire::upgrade::is_upgrade;

/// The declared length. None if there is none.
pub(super) fn length(headers: &Headers) -> Result<Option<u64>, Refusal> {
    let malformed = || Refusal::new(&CONTENT_LENGTH);
    let declared = headers.one("content-length").map_err(|_| malformed())?;
    declared
        .map(|value| decimal(value).ok_or_else(malformed))
        .transpose()
}

/// RFC 9110 §8.6: digits and nothing else. A number too large to hold is larger than any limit.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(value).ok()?;
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// What becomes of connections that leave HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upgrades {
    /// They are refused: what comes over them is no body that could be judged.
    Refuse,
    /// They pass, and what comes over them is not looked at.
    Uninspected,
}

/// Judges a connection that is to leave HTTP.
pub(super) fn upgrade(upgrades: Upgrades, length: Option<u64>) -> Result<(), Refusal> {
    match (upgrades, length) {
        (Upgrades::Refuse, _) => Err(Refusal::new(&UPGRADE_REFUSED)),
        (Upgrades::Uninspected, None | Some(0)) => Ok(()),
        // Where its body ends and the other protocol begins is nobody's to guess.
        (Upgrades::Uninspected, Some(_)) => Err(Refusal::new(&UPGRADE_WITH_BODY)),
    }
}

/// Judges `Expect`, of which HTTP knows one.
pub(super) fn expectation(headers: &Headers) -> Result<(), Refusal> {
    let known = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if headers.all("expect").all(known) {
        Ok(())
    } else {
        Err(Refusal::new(&EXPECT_UNKNOWN))
    }
}

/// Judges whether a head may be held until its body comes. Envoy asks for the body itself and
/// removes `Expect`, unless it is told to leave that to the service, which would have to see the
/// head first.
pub(super) fn may_wait(headers: &Headers) -> Result<(), Refusal> {
    if headers.all("expect").next().is_none() {
        Ok(())
    } else {
        Err(Refusal::new(&EXPECT_CONTINUE))
    }
}

/// Judges `Content-Encoding` against the codings that may be used.
pub(super) fn encoding(headers: &Headers, allowed: &[String]) -> Result<(), Refusal> {
    let codings = headers
        .all("content-encoding")
        .flat_map(|value| value.split(|b| *b == b','))
        .map(<[u8]>::trim_ascii);
    let known = |coding: &[u8]| {
        let is = |name: &str| coding.eq_ignore_ascii_case(name.as_bytes());
        coding.is_empty() || is("identity") || allowed.iter().any(|name| is(name))
    };
    for coding in codings {
        if !known(coding) {
            let refusal = Refusal::new(&CONTENT_ENCODING);
            let hint = match allowed {
                [] => "identity".to_owned(),
                some => some.join(", "),
            };
            return Err(with_hint(refusal, "accept-encoding", &hint));
        }
    }
    Ok(())
}

/// The media type, if it is one of these. None if there is none.
pub(super) fn media_type<'h>(
    headers: &'h Headers,
    assumed: Option<&'h str>,
    allowed: &[MediaRange],
) -> Result<Option<MediaType<'h>>, Refusal> {
    let refuse = |reason| Err(hinted(reason, allowed));
    let Ok(sent) = headers.one("content-type") else {
        return refuse(&CONTENT_TYPE_MALFORMED);
    };
    let Some(value) = sent.or(assumed.map(str::as_bytes)) else {
        return Ok(None);
    };
    let Some(media_type) = MediaType::parse(value) else {
        return refuse(&CONTENT_TYPE_MALFORMED);
    };
    if !allowed.iter().any(|range| range.contains(&media_type)) {
        return refuse(&CONTENT_TYPE_NOT_ALLOWED);
    }
    Ok(Some(media_type))
}

/// A refusal that says which media types would be taken.
fn hinted(reason: &'static Reason, allowed: &[MediaRange]) -> Refusal {
    let names: Vec<&str> = allowed.iter().map(MediaRange::as_str).collect();
    with_hint(Refusal::new(reason), "accept", &names.join(", "))
}

/// A refusal of a media type that is none of these.
pub(super) fn media_type_not_allowed(allowed: &[MediaRange]) -> Refusal {
    hinted(&CONTENT_TYPE_NOT_ALLOWED, allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        headers
    }

    #[test]
    fn lengths_are_digits() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"0012"), Some(12));
        assert_eq!(decimal(b"99999999999999999999999"), Some(u64::MAX));
        for wrong in [&b""[..], b"+1", b"-1", b"1,1", b"1 ", b"0x1"] {
            assert_eq!(decimal(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn codings_are_taken_one_by_one() {
        let allowed = ["gzip".to_owned()];
        let judged = |value: &str| encoding(&headers(&[("content-encoding", value)]), &allowed);
        for good in ["gzip", "GZIP", "identity", "gzip, identity", ""] {
            assert!(judged(good).is_ok(), "{good}");
        }
        for bad in ["br", "gzip, br", "x-gzip", "gzip br"] {
            assert!(judged(bad).is_err(), "{bad}");
        }
    }
}
