//! What is said of a token that is not accepted.

use super::bound::refusals as bound;
use super::claims::ClaimsError;
use super::objection::Objection;
use super::token::TokenError;
use crate::authn::requirement::Insufficient;
use crate::authn::revocation::RevocationObjection;
use portcullis_exchange::refusal::{Blame, Code, Detail, Fact, Reason, Refusal, grpc};

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
    // Of all tokens that are bound, whatever they are.
    &bound::BINDING,
    &bound::PROOF_MISSING,
    &bound::PROOF,
    &bound::REPLAYED,
    &bound::NONCE,
    &bound::UNAVAILABLE,
];

pub static MISSING: Code = Code {
    name: "jwt_missing",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "A token is needed.",
    reasons: &[&NO_TOKEN],
};

pub static NO_TOKEN: Reason = Reason::new("missing", &MISSING, Blame::NoCredential);

pub static REPEATED: Code = Code {
    name: "jwt_repeated",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "More than one token was sent.",
    reasons: &[&SEVERAL_TOKENS],
};

pub static SEVERAL_TOKENS: Reason = Reason::new("repeated", &REPEATED, Blame::Credential);

pub static INVALID: Code = Code {
    name: "jwt_invalid",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The token is not valid.",
    reasons: &[
        &FORMAT,
        &HEADER,
        &ALGORITHM,
        &KEY,
        &KID,
        &KEYS_UNTRIED,
        &SIGNATURE,
        &CLAIMS,
        &CLAIM_VALUE,
        &ROLES,
        &ISSUER,
        &AUDIENCE,
        &SUBJECT,
        &INVALID_EFFORT,
        &LIFETIME,
    ],
};

pub static FORMAT: Reason = Reason::new("format", &INVALID, Blame::Credential);
pub static HEADER: Reason = Reason::new("header", &INVALID, Blame::Credential);
pub static ALGORITHM: Reason = Reason::new("algorithm", &INVALID, Blame::Credential);
pub static KEY: Reason = Reason::new("key", &INVALID, Blame::Credential);
pub static KID: Reason = Reason::new("kid", &INVALID, Blame::Credential);
pub static KEYS_UNTRIED: Reason = Reason::new("keys_untried", &INVALID, Blame::Credential);
pub static SIGNATURE: Reason = Reason::new("signature", &INVALID, Blame::Credential);
pub static CLAIMS: Reason = Reason::new("claims", &INVALID, Blame::Credential);
pub static CLAIM_VALUE: Reason = Reason::new("claim_value", &INVALID, Blame::Credential);
pub static ROLES: Reason = Reason::new("roles", &INVALID, Blame::Credential);
pub static ISSUER: Reason = Reason::new("issuer", &INVALID, Blame::Credential);
pub static AUDIENCE: Reason = Reason::new("audience", &INVALID, Blame::Credential);
pub static SUBJECT: Reason = Reason::new("subject", &INVALID, Blame::Credential);
pub static INVALID_EFFORT: Reason = Reason::new("effort", &INVALID, Blame::Credential);
pub static LIFETIME: Reason = Reason::new("lifetime", &INVALID, Blame::Credential);

pub static UNVERIFIABLE: Code = Code {
    name: "jwt_unverifiable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "Tokens cannot be verified right now.",
    reasons: &[&NO_CHECKER, &NO_REVOCATIONS],
};

pub static NO_CHECKER: Reason = Reason::new("no_checker", &UNVERIFIABLE, Blame::Ourselves);
pub static NO_REVOCATIONS: Reason = Reason::new("revocations", &UNVERIFIABLE, Blame::Dependency);

pub static KEYS_UNAVAILABLE: Code = Code {
    name: "jwt_keys_unavailable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "Tokens cannot be verified right now.",
    reasons: &[&NO_KEYS],
};

pub static NO_KEYS: Reason = Reason::new("keys", &KEYS_UNAVAILABLE, Blame::Dependency);

pub static EXPIRED: Code = Code {
    name: "jwt_expired",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The token has expired.",
    reasons: &[&PAST_EXPIRY, &AGE],
};

pub static PAST_EXPIRY: Reason = Reason::new("expired", &EXPIRED, Blame::ExpiredCredential);
pub static AGE: Reason = Reason::new("age", &EXPIRED, Blame::ExpiredCredential);

pub static REVOKED: Code = Code {
    name: "jwt_revoked",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The token has been revoked.",
    reasons: &[&LISTED_AS_REVOKED],
};

pub static LISTED_AS_REVOKED: Reason = Reason::new("revoked", &REVOKED, Blame::Credential);

pub static NOT_YET_VALID: Code = Code {
    name: "jwt_not_yet_valid",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The token is not valid yet.",
    reasons: &[&BEFORE_START, &ISSUED_IN_FUTURE],
};

pub static BEFORE_START: Reason = Reason::new("not_yet_valid", &NOT_YET_VALID, Blame::Credential);
pub static ISSUED_IN_FUTURE: Reason =
    Reason::new("issued_in_future", &NOT_YET_VALID, Blame::Credential);

pub static INSUFFICIENT_SCOPE: Code = Code {
    name: "jwt_insufficient_scope",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The token does not grant what is needed here.",
    reasons: &[&SCOPE],
};

pub static SCOPE: Reason = Reason::new("scope", &INSUFFICIENT_SCOPE, Blame::Caller);

pub static CLAIM_NOT_ALLOWED: Code = Code {
    name: "jwt_claim_not_allowed",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The token does not grant what is needed here.",
    reasons: &[&CLAIM, &ROLE, &CLAIM_EFFORT],
};

pub static CLAIM: Reason = Reason::new("claim", &CLAIM_NOT_ALLOWED, Blame::Caller);
pub static ROLE: Reason = Reason::new("role", &CLAIM_NOT_ALLOWED, Blame::Caller);
pub static CLAIM_EFFORT: Reason = Reason::new("effort", &CLAIM_NOT_ALLOWED, Blame::Caller);

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Format => Refusal::new(&FORMAT),
            TokenError::Header => Refusal::new(&HEADER),
            TokenError::Algorithm => Refusal::new(&ALGORITHM),
            TokenError::Key => Refusal::new(&KEY),
            TokenError::KeyId => Refusal::new(&KID),
            TokenError::Untried => Refusal::new(&KEYS_UNTRIED),
            TokenError::NoKeys => Refusal::new(&NO_KEYS),
            TokenError::Signature => Refusal::new(&SIGNATURE),
            TokenError::ClaimValue => {
                let detail = Detail::default().of_signed();
                Refusal::new(&CLAIM_VALUE).because(detail)
            }
            TokenError::Unverifiable => Refusal::new(&NO_CHECKER),
        }
    }
}

impl From<Objection> for Refusal {
    fn from(objection: Objection) -> Self {
        let refusal = match objection.error {
            ClaimsError::Malformed => Refusal::new(&CLAIMS),
            ClaimsError::Issuer => Refusal::new(&ISSUER),
            ClaimsError::Audience => Refusal::new(&AUDIENCE),
            ClaimsError::Subject => Refusal::new(&SUBJECT),
            ClaimsError::Effort => Refusal::new(&INVALID_EFFORT),
            ClaimsError::Lifetime => Refusal::new(&LIFETIME),
            ClaimsError::Revoked => Refusal::new(&LISTED_AS_REVOKED),
            ClaimsError::Age => Refusal::new(&AGE),
            ClaimsError::Expired => Refusal::new(&PAST_EXPIRY),
            ClaimsError::NotYetValid => Refusal::new(&BEFORE_START),
            ClaimsError::IssuedInFuture => Refusal::new(&ISSUED_IN_FUTURE),
        };
        refusal.because(objection.detail())
    }
}

impl From<RevocationObjection> for Refusal {
    fn from(objection: RevocationObjection) -> Self {
        match objection {
            RevocationObjection::Revoked(detail) => {
                Refusal::new(&LISTED_AS_REVOKED).because(detail.of_signed())
            }
            RevocationObjection::Missing(detail) => Refusal::new(&NO_REVOCATIONS).because(detail),
        }
    }
}

/// Said of what stands at a place and is no token, and might be one to a service.
pub(super) fn resembling(place: &str) -> Refusal {
    let detail = Detail::default().and("place", Fact::trusted(place));
    Refusal::new(&FORMAT).because(detail.and("fault", Fact::Word("resembles_token")))
}

/// Said of a token before anything of it is checked: none of those who are asked has issued it.
pub(super) fn unknown_issuer() -> Refusal {
    let detail = Detail::default().and("claim", Fact::Word("iss"));
    Refusal::new(&ISSUER).because(detail.and("fault", Fact::Word("not_listed")))
}

/// The field of a provider's block that decides, where the refusal does not say which.
const FIELDS_OF_PROVIDER: &[(&Reason, &str)] = &[
    (&ALGORITHM, "algorithms"),
    (&ISSUER, "issuer"),
    (&KEY, "jwks"),
    (&SIGNATURE, "jwks"),
    (&NO_KEYS, "jwks"),
    (&KID, "require_kid"),
    (&KEYS_UNTRIED, "max_signature_checks"),
];

/// The field of a provider's block that decides, where the refusal does not say which.
pub(super) fn field_of_provider(refusal: &Refusal) -> Option<&'static str> {
    let mut fields = FIELDS_OF_PROVIDER.iter();
    let found = fields.find(|(reason, _)| *reason == refusal.reason)?;
    Some(found.1)
}

/// Said of a token that is accepted and does not grant what is needed.
pub(super) const INSUFFICIENT: Insufficient = Insufficient {
    scope: &SCOPE,
    role: &ROLE,
    claim: &CLAIM,
    effort: &CLAIM_EFFORT,
};
