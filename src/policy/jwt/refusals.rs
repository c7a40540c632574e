//! What is said of a token that is not accepted.

use super::claims::ClaimsError;
use super::location::LocationError;
use super::objection::Objection;
use super::requirement::Unmet;
use super::token::TokenError;
use crate::refusal::{Code, Detail, Fact, Refusal, grpc};

/// Every code with which tokens are refused.
pub(super) const CODES: &[&Code] = &[
    &MISSING,
    &REPEATED,
    &INVALID,
    &UNVERIFIABLE,
    &KEYS_UNAVAILABLE,
    &EXPIRED,
    &REVOKED,
    &NOT_YET_VALID,
    &INSUFFICIENT_SCOPE,
    &CLAIM_NOT_ALLOWED,
];

pub(super) const MISSING: Code = Code {
    name: "jwt_missing",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "A token is needed.",
    reasons: &["missing"],
};

pub(super) const REPEATED: Code = Code {
    name: "jwt_repeated",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "More than one token was sent.",
    reasons: &["repeated"],
};

pub(super) const INVALID: Code = Code {
    name: "jwt_invalid",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The token is not valid.",
    reasons: &[
        "format",
        "header",
        "algorithm",
        "key",
        "kid",
        "keys_untried",
        "signature",
        "claims",
        "claim_value",
        "issuer",
        "audience",
        "subject",
        "effort",
        "lifetime",
    ],
};

pub(super) const UNVERIFIABLE: Code = Code {
    name: "jwt_unverifiable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "Tokens cannot be verified right now.",
    reasons: &["no_checker"],
};

pub(super) const KEYS_UNAVAILABLE: Code = Code {
    name: "jwt_keys_unavailable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "Tokens cannot be verified right now.",
    reasons: &["keys"],
};

pub(super) const EXPIRED: Code = Code {
    name: "jwt_expired",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The token has expired.",
    reasons: &["expired", "age"],
};

pub(super) const REVOKED: Code = Code {
    name: "jwt_revoked",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The token has been revoked.",
    reasons: &["revoked"],
};

pub(super) const NOT_YET_VALID: Code = Code {
    name: "jwt_not_yet_valid",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The token is not valid yet.",
    reasons: &["not_yet_valid", "issued_in_future"],
};

pub(super) const INSUFFICIENT_SCOPE: Code = Code {
    name: "jwt_insufficient_scope",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The token does not grant what is needed here.",
    reasons: &["scope"],
};

pub(super) const CLAIM_NOT_ALLOWED: Code = Code {
    name: "jwt_claim_not_allowed",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The token does not grant what is needed here.",
    reasons: &["claim", "effort"],
};

impl From<LocationError> for Refusal {
    fn from(error: LocationError) -> Self {
        match error {
            LocationError::Missing => Refusal::new(&MISSING, "missing"),
            LocationError::Repeated => Refusal::new(&REPEATED, "repeated"),
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Format => Refusal::new(&INVALID, "format"),
            TokenError::Header => Refusal::new(&INVALID, "header"),
            TokenError::Algorithm => Refusal::new(&INVALID, "algorithm"),
            TokenError::Key => Refusal::new(&INVALID, "key"),
            TokenError::KeyId => Refusal::new(&INVALID, "kid"),
            TokenError::Untried => Refusal::new(&INVALID, "keys_untried"),
            TokenError::NoKeys => Refusal::new(&KEYS_UNAVAILABLE, "keys"),
            TokenError::Signature => Refusal::new(&INVALID, "signature"),
            TokenError::ClaimValue => {
                let detail = Detail::default().of_signed();
                Refusal::new(&INVALID, "claim_value").because(detail)
            }
            TokenError::Unverifiable => Refusal::new(&UNVERIFIABLE, "no_checker"),
        }
    }
}

impl From<Objection> for Refusal {
    fn from(objection: Objection) -> Self {
        let refusal = match objection.error {
            ClaimsError::Malformed => Refusal::new(&INVALID, "claims"),
            ClaimsError::Issuer => Refusal::new(&INVALID, "issuer"),
            ClaimsError::Audience => Refusal::new(&INVALID, "audience"),
            ClaimsError::Subject => Refusal::new(&INVALID, "subject"),
            ClaimsError::Effort => Refusal::new(&INVALID, "effort"),
            ClaimsError::Lifetime => Refusal::new(&INVALID, "lifetime"),
            ClaimsError::Revoked => Refusal::new(&REVOKED, "revoked"),
            ClaimsError::Age => Refusal::new(&EXPIRED, "age"),
            ClaimsError::Expired => Refusal::new(&EXPIRED, "expired"),
            ClaimsError::NotYetValid => Refusal::new(&NOT_YET_VALID, "not_yet_valid"),
            ClaimsError::IssuedInFuture => Refusal::new(&NOT_YET_VALID, "issued_in_future"),
        };
        refusal.because(objection.detail())
    }
}

/// Said of what stands at a place and is no token, and might be one to somebody.
pub(super) fn resembling(place: &str) -> Refusal {
    let detail = Detail::default().and("place", Fact::own(place));
    Refusal::new(&INVALID, "format").because(detail.and("fault", Fact::Word("resembles_token")))
}

/// Said of a token before anything of it is checked: none of those who are asked has issued it.
pub(super) fn unknown_issuer() -> Refusal {
    let detail = Detail::default().and("claim", Fact::Word("iss"));
    Refusal::new(&INVALID, "issuer").because(detail.and("fault", Fact::Word("not_listed")))
}

/// The field of a provider's block that decides, where the refusal does not say which.
pub(super) fn field_of_provider(refusal: &Refusal) -> Option<&'static str> {
    match refusal.reason {
        "algorithm" => Some("algorithms"),
        "issuer" => Some("issuer"),
        "key" | "signature" | "keys" => Some("jwks"),
        "kid" => Some("require_kid"),
        "keys_untried" => Some("max_signature_checks"),
        _ => None,
    }
}

impl From<Unmet> for Refusal {
    fn from(unmet: Unmet) -> Self {
        match unmet {
            Unmet::Scope => Refusal::new(&INSUFFICIENT_SCOPE, "scope"),
            Unmet::Claim(_) => Refusal::new(&CLAIM_NOT_ALLOWED, "claim"),
            Unmet::Effort(_) => Refusal::new(&CLAIM_NOT_ALLOWED, "effort"),
        }
    }
}
