//! What is said of a token that was asked about and is not accepted, or that could not be asked about.
//!
//! A client learns that its token is not accepted, and never why: its issuer does not say it to us (RFC 7662
//! §2.2), and what our rules object to is in the log.

use crate::authn::jwt::claims::ClaimsError;
use crate::authn::jwt::objection::Objection;
use crate::authn::requirement::Insufficient;
use portcullis_exchange::call::CallError;
use portcullis_exchange::refusal::{Blame, Code, Detail, Fact, Reason, Refusal, grpc};

/// Every code with which such tokens are refused.
pub(super) const CODES: &[&Code] = &[
    &MISSING,
    &REPEATED,
    &INVALID,
    &UNAVAILABLE,
    &INSUFFICIENT_SCOPE,
    &NOT_ALLOWED,
];

pub static MISSING: Code = Code {
    name: "introspection_missing",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "A token is needed.",
    reasons: &[&NO_TOKEN],
};

pub static NO_TOKEN: Reason = Reason::new("missing", &MISSING, Blame::NoCredential);

pub static REPEATED: Code = Code {
    name: "introspection_repeated",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "More than one token was sent.",
    reasons: &[&SEVERAL_TOKENS],
};

pub static SEVERAL_TOKENS: Reason = Reason::new("repeated", &REPEATED, Blame::Credential);

pub static INVALID: Code = Code {
    name: "introspection_invalid",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The token is not valid.",
    reasons: &[
        &MALFORMED,
        &NOT_OPAQUE,
        &INACTIVE,
        &TOKEN_TYPE,
        &ISSUER,
        &AUDIENCE,
        &SUBJECT,
        &EFFORT,
        &LIFETIME,
        &REVOKED,
        &EXPIRED,
        &AGE,
        &NOT_YET_VALID,
        &ISSUED_IN_FUTURE,
        &CLAIMS,
    ],
};

pub static MALFORMED: Reason = Reason::new("malformed", &INVALID, Blame::Credential);
pub static NOT_OPAQUE: Reason = Reason::new("not_opaque", &INVALID, Blame::Credential);
pub static INACTIVE: Reason = Reason::new("inactive", &INVALID, Blame::Credential);
pub static TOKEN_TYPE: Reason = Reason::new("token_type", &INVALID, Blame::Credential);
pub static ISSUER: Reason = Reason::new("issuer", &INVALID, Blame::Credential);
pub static AUDIENCE: Reason = Reason::new("audience", &INVALID, Blame::Credential);
pub static SUBJECT: Reason = Reason::new("subject", &INVALID, Blame::Credential);
pub static EFFORT: Reason = Reason::new("effort", &INVALID, Blame::Credential);
pub static LIFETIME: Reason = Reason::new("lifetime", &INVALID, Blame::Credential);
pub static REVOKED: Reason = Reason::new("revoked", &INVALID, Blame::Credential);
pub static EXPIRED: Reason = Reason::new("expired", &INVALID, Blame::ExpiredCredential);
pub static AGE: Reason = Reason::new("age", &INVALID, Blame::ExpiredCredential);
pub static NOT_YET_VALID: Reason = Reason::new("not_yet_valid", &INVALID, Blame::Credential);
pub static ISSUED_IN_FUTURE: Reason = Reason::new("issued_in_future", &INVALID, Blame::Credential);
pub static CLAIMS: Reason = Reason::new("claims", &INVALID, Blame::Credential);

pub static UNAVAILABLE: Code = Code {
    name: "introspection_unavailable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "Tokens cannot be verified right now.",
    reasons: &[
        &NO_SECRET,
        &UNREACHABLE,
        &TIMEOUT,
        &STATUS,
        &RESPONSE,
        &RESTING,
        &NO_MEMORY,
        &CLAIM_VALUE,
        &ROLES,
        &NO_REVOCATIONS,
    ],
};

pub static NO_SECRET: Reason = Reason::new("no_secret", &UNAVAILABLE, Blame::Ourselves);
pub static UNREACHABLE: Reason = Reason::new("unreachable", &UNAVAILABLE, Blame::Dependency);
pub static TIMEOUT: Reason = Reason::new("timeout", &UNAVAILABLE, Blame::Dependency);
pub static STATUS: Reason = Reason::new("status", &UNAVAILABLE, Blame::Dependency);
pub static RESPONSE: Reason = Reason::new("response", &UNAVAILABLE, Blame::Dependency);
pub static RESTING: Reason = Reason::new("resting", &UNAVAILABLE, Blame::Dependency);
pub static NO_MEMORY: Reason = Reason::new("memory", &UNAVAILABLE, Blame::Ourselves);
/// A list that has to be asked about the token is not there.
pub static NO_REVOCATIONS: Reason = Reason::new("revocations", &UNAVAILABLE, Blame::Dependency);
/// The server wrote it, and not the client.
pub static CLAIM_VALUE: Reason = Reason::new("claim_value", &UNAVAILABLE, Blame::Dependency);
/// So is this.
pub static ROLES: Reason = Reason::new("roles", &UNAVAILABLE, Blame::Dependency);

pub static INSUFFICIENT_SCOPE: Code = Code {
    name: "introspection_insufficient_scope",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The token does not grant what is needed here.",
    reasons: &[&SCOPE],
};

pub static SCOPE: Reason = Reason::new("scope", &INSUFFICIENT_SCOPE, Blame::Caller);

pub static NOT_ALLOWED: Code = Code {
    name: "introspection_not_allowed",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The token does not grant what is needed here.",
    reasons: &[&CLAIM, &ROLE, &CLAIM_EFFORT],
};

pub static CLAIM: Reason = Reason::new("claim", &NOT_ALLOWED, Blame::Caller);
pub static ROLE: Reason = Reason::new("role", &NOT_ALLOWED, Blame::Caller);
pub static CLAIM_EFFORT: Reason = Reason::new("effort", &NOT_ALLOWED, Blame::Caller);

/// Said of a token that is accepted and does not grant what is needed.
pub(super) const INSUFFICIENT: Insufficient = Insufficient {
    scope: &SCOPE,
    role: &ROLE,
    claim: &CLAIM,
    effort: &CLAIM_EFFORT,
};

/// Why there is no answer that could be judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskError {
    /// The environment has nothing to authenticate with.
    NoSecret,
    /// The server cannot be reached, or the proxy has no such cluster.
    Unreachable,
    /// It did not answer in time.
    Timeout,
    /// Nor did it, and it had less time: who asked first has left, and it was asked again.
    CutShort,
    /// It answered with another status than 200.
    Status(u16),
    /// What it answered is not what RFC 7662 §2.2 has, in that way.
    Response(&'static str),
    /// It has failed too often, and is left alone for a while.
    Resting,
    /// There is no memory to read its answer.
    NoMemory,
}

impl AskError {
    /// Whether it is the server that fails: of what we lack ourselves nobody can say that it will pass, and no
    /// document lets a token through for it.
    pub(super) fn is_of_server(self) -> bool {
        match self {
            Self::Unreachable
            | Self::Timeout
            | Self::Status(_)
            | Self::Response(_)
            | Self::Resting => true,
            Self::NoSecret | Self::NoMemory | Self::CutShort => false,
        }
    }

    /// Whether it says how the server does. Whatever clients can bring about by themselves does not, or they
    /// could have the server left alone.
    pub(super) fn counts(self) -> bool {
        self.is_of_server() && self != Self::Resting && !self.is_of_answer()
    }

    /// Whether the server has answered, and what it says of that token cannot be read: it is too long, nests too
    /// deep, or has a claim of another type. Whose token it is may have written that there.
    fn is_of_answer(self) -> bool {
        match self {
            Self::Response(fault) => !["status", "media_type", "active"].contains(&fault),
            _ => false,
        }
    }

    /// Whether the server has said it of the one token that it was asked about: it is too long for its limits,
    /// say. What it says of us (401, 403), of itself and of how many ask (408, 429) is another matter.
    pub(super) fn is_of_question(self) -> bool {
        match self {
            Self::Status(401 | 403 | 408 | 429) => false,
            Self::Status(status) => (400..500).contains(&status),
            _ => false,
        }
    }
}

impl From<CallError> for AskError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NoCluster | CallError::Unreachable => AskError::Unreachable,
            CallError::Timeout => AskError::Timeout,
            CallError::CutShort => AskError::CutShort,
            CallError::TooLong(_) => AskError::Response("too_long"),
            CallError::NoMemory => AskError::NoMemory,
        }
    }
}

impl From<AskError> for Refusal {
    fn from(error: AskError) -> Self {
        let said = |name, fact| Detail::default().and(name, fact);
        match error {
            AskError::NoSecret => Refusal::new(&NO_SECRET),
            AskError::Unreachable => Refusal::new(&UNREACHABLE),
            AskError::Timeout | AskError::CutShort => Refusal::new(&TIMEOUT),
            AskError::Status(status) => {
                let status = Fact::Number(status.into());
                Refusal::new(&STATUS).because(said("status", status))
            }
            AskError::Response(fault) => {
                Refusal::new(&RESPONSE).because(said("fault", Fact::Word(fault)))
            }
            AskError::Resting => Refusal::new(&RESTING),
            AskError::NoMemory => Refusal::new(&NO_MEMORY),
        }
    }
}

/// Said of a token to whose claims, as the server reports them, a rule objects.
pub(super) fn objected(objection: Objection) -> Refusal {
    let reason = match objection.error {
        ClaimsError::Malformed => &CLAIMS,
        ClaimsError::Issuer => &ISSUER,
        ClaimsError::Audience => &AUDIENCE,
        ClaimsError::Subject => &SUBJECT,
        ClaimsError::Effort => &EFFORT,
        ClaimsError::Lifetime => &LIFETIME,
        ClaimsError::Revoked => &REVOKED,
        ClaimsError::Age => &AGE,
        ClaimsError::Expired => &EXPIRED,
        ClaimsError::NotYetValid => &NOT_YET_VALID,
        ClaimsError::IssuedInFuture => &ISSUED_IN_FUTURE,
    };
    Refusal::new(reason).because(objection.detail())
}

/// Said of what is no token that could be asked about.
pub(super) fn malformed(fault: &'static str) -> Refusal {
    Refusal::new(&MALFORMED).because(Detail::default().and("fault", Fact::Word(fault)))
}

/// Said of what stands at a place and is no token, and might be one to a service.
pub(super) fn resembling(place: &str) -> Refusal {
    let detail = Detail::default().and("place", Fact::trusted(place));
    Refusal::new(&MALFORMED).because(detail.and("fault", Fact::Word("resembles_token")))
}

/// The field of a server's block that decides, where the refusal does not say which.
pub(super) fn field_of_server(refusal: &Refusal) -> Option<&'static str> {
    const DECIDING: &[(&Reason, &str)] = &[
        (&NOT_OPAQUE, "tokens"),
        (&ISSUER, "issuer"),
        (&NO_SECRET, "authentication"),
        (&UNREACHABLE, "cluster"),
        (&TIMEOUT, "timeout"),
        (&STATUS, "uri"),
        (&RESPONSE, "uri"),
        (&RESTING, "cooldown"),
        (&CLAIM_VALUE, "claim_to_headers"),
    ];
    let found = DECIDING
        .iter()
        .find(|(reason, _)| *reason == refusal.reason)?;
    Some(found.1)
}
