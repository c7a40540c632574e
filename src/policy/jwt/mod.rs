//! JSON Web Tokens: who asks, proven by a signature.
//!
//! Order is what keeps this safe. The token's form and header are read first; the header only
//! ever narrows which of our keys may have signed. Then the signature is checked. Only then is
//! the payload read, and only then are claims compared.

mod cache;
mod claim_path;
mod claims;
mod ec;
mod forwarding;
mod jwk;
mod key_source;
mod location;
mod provider;
mod requirement;
mod signature;
mod token;

use std::rc::Rc;

use self::claims::ClaimsError;
use self::location::LocationError;
use self::provider::Provider;
use self::requirement::{Requirement, Unmet};
use self::token::TokenError;
use super::{Context, Kind, Policy, Role, Verdict};
use crate::config::{DidYouMean, Fields, Node, Problems, Quoted};
use crate::exchange::{Exchange, Identity};
use crate::headers::{HeaderName, HeaderValue};
use crate::host::Host;
use crate::refusal::{Code, Refusal, grpc};

pub use self::provider::Providers;

/// `jwt: { provider, require, realm }`.
pub(super) const KIND: Kind = Kind {
    name: "jwt",
    role: Role::Authenticates,
    codes: &[
        &MISSING,
        &REPEATED,
        &INVALID,
        &UNVERIFIABLE,
        &EXPIRED,
        &REVOKED,
        &NOT_YET_VALID,
        &INSUFFICIENT_SCOPE,
        &CLAIM_NOT_ALLOWED,
    ],
    compile,
};

const MISSING: Code = Code {
    name: "jwt_missing",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "A token is needed.",
    reasons: &["missing"],
};

const REPEATED: Code = Code {
    name: "jwt_repeated",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "More than one token was sent.",
    reasons: &["repeated"],
};

const INVALID: Code = Code {
    name: "jwt_invalid",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The token is not valid.",
    reasons: &[
        "format",
        "header",
        "algorithm",
        "key",
        "signature",
        "claims",
        "claim_value",
        "issuer",
        "audience",
        "subject",
        "lifetime",
    ],
};

const UNVERIFIABLE: Code = Code {
    name: "jwt_unverifiable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "Tokens cannot be verified right now.",
    reasons: &["no_checker"],
};

const EXPIRED: Code = Code {
    name: "jwt_expired",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The token has expired.",
    reasons: &["expired", "age"],
};

const REVOKED: Code = Code {
    name: "jwt_revoked",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The token has been revoked.",
    reasons: &["revoked"],
};

const NOT_YET_VALID: Code = Code {
    name: "jwt_not_yet_valid",
    status: 401,
    grpc_status: grpc::UNAUTHENTICATED,
    title: "The token is not valid yet.",
    reasons: &["not_yet_valid", "issued_in_future"],
};

const INSUFFICIENT_SCOPE: Code = Code {
    name: "jwt_insufficient_scope",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The token does not grant what is needed here.",
    reasons: &["scope"],
};

const CLAIM_NOT_ALLOWED: Code = Code {
    name: "jwt_claim_not_allowed",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The token does not grant what is needed here.",
    reasons: &["claim"],
};

/// Asks for a token of one provider, and for what it must grant.
struct Jwt {
    provider: Rc<Provider>,
    requirement: Requirement,
    challenges: Challenges,
}

/// `WWW-Authenticate` for each class of answer, RFC 6750 §3.
struct Challenges {
    name: HeaderName,
    missing: HeaderValue,
    invalid_request: HeaderValue,
    invalid_token: HeaderValue,
    insufficient_scope: HeaderValue,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Rc<dyn Policy>> {
    let (providers, problems) = (context.providers, &mut *context.problems);
    let provider = fields
        .required("provider", problems)
        .and_then(|node| named_provider(&node, providers, problems));
    let requirement = fields.or(
        "require",
        Requirement::default(),
        problems,
        Requirement::read,
    );
    let realm = fields.or("realm", "api", problems, read_realm);
    let (provider, requirement) = (provider?, requirement?);
    let challenges = Challenges::new(realm?, &requirement.scopes())?;
    Some(Rc::new(Jwt {
        provider: provider?,
        requirement,
        challenges,
    }))
}

/// The provider, or `Some(None)` when its own block is wrong and has been reported there.
fn named_provider(
    node: &Node<'_>,
    providers: &Providers,
    problems: &mut Problems,
) -> Option<Option<Rc<Provider>>> {
    let name = node.name(problems)?;
    let found = providers.named(name);
    if found.is_none() {
        let near = DidYouMean(name, providers.names());
        node.report(
            problems,
            format_args!("no provider is named {}{near}", Quoted(name)),
        );
    }
    found
}

/// RFC 9110 §5.6.4: what may stand between quotes without escapes.
fn read_realm<'d>(node: &Node<'d>, problems: &mut Problems) -> Option<&'d str> {
    let realm = node.name(problems)?;
    let plain = realm
        .bytes()
        .all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\');
    if !plain {
        node.report(
            problems,
            "must be printable ASCII without quotes and backslashes",
        );
    }
    plain.then_some(realm)
}

impl Challenges {
    fn new(realm: &str, scopes: &str) -> Option<Self> {
        let value = |parameters: &str| {
            HeaderValue::parse(format!("Bearer realm=\"{realm}\"{parameters}").as_bytes()).ok()
        };
        let scope = if scopes.is_empty() {
            String::new()
        } else {
            format!(", scope=\"{scopes}\"")
        };
        Some(Self {
            name: HeaderName::parse("www-authenticate").ok()?,
            missing: value("")?,
            invalid_request: value(", error=\"invalid_request\"")?,
            invalid_token: value(", error=\"invalid_token\"")?,
            insufficient_scope: value(&format!(", error=\"insufficient_scope\"{scope}"))?,
        })
    }

    /// RFC 9110 §11.6.1: on 401, and here on 403; any other answer has nothing to ask for.
    fn attach(&self, refusal: Refusal) -> Refusal {
        if !matches!(refusal.code.status, 401 | 403) {
            return refusal;
        }
        let value = match refusal.code.name {
            name if name == MISSING.name => &self.missing,
            name if name == REPEATED.name => &self.invalid_request,
            _ if refusal.code.status == 403 => &self.insufficient_scope,
            _ => &self.invalid_token,
        };
        refusal.with_header(self.name.clone(), value.clone())
    }
}

impl Jwt {
    fn judge(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Result<(), Refusal> {
        let found = self.provider.locations.find(&exchange.request)?;
        let verified = self.provider.verify(found.token(), host)?;
        self.requirement.check(&verified.claims)?;
        if !self.provider.forwarding.forwards_token() {
            exchange.edits.extend(found.strip()?);
        }
        exchange.edits.extend(verified.headers.iter().cloned());
        exchange.facts.identity = Some(Identity {
            provider: Rc::clone(&self.provider.name),
            claims: verified.claims,
        });
        Ok(())
    }
}

impl Policy for Jwt {
    fn request_headers(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        match self.judge(exchange, host) {
            Ok(()) => Verdict::Pass,
            Err(refusal) => Verdict::Refuse(self.challenges.attach(refusal)),
        }
    }

    fn owned_request_headers(&self) -> Vec<HeaderName> {
        self.provider.forwarding.owned_headers()
    }
}

impl From<LocationError> for Refusal {
    fn from(error: LocationError) -> Self {
        match error {
            LocationError::Missing => Refusal::new(&MISSING, "missing"),
            LocationError::Repeated => Refusal::new(&REPEATED, "repeated"),
            LocationError::Malformed => Refusal::new(&INVALID, "format"),
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
            TokenError::Signature => Refusal::new(&INVALID, "signature"),
            TokenError::ClaimValue => Refusal::new(&INVALID, "claim_value"),
            TokenError::Unverifiable => Refusal::new(&UNVERIFIABLE, "no_checker"),
        }
    }
}

impl From<ClaimsError> for Refusal {
    fn from(error: ClaimsError) -> Self {
        match error {
            ClaimsError::Malformed => Refusal::new(&INVALID, "claims"),
            ClaimsError::Issuer => Refusal::new(&INVALID, "issuer"),
            ClaimsError::Audience => Refusal::new(&INVALID, "audience"),
            ClaimsError::Subject => Refusal::new(&INVALID, "subject"),
            ClaimsError::Lifetime => Refusal::new(&INVALID, "lifetime"),
            ClaimsError::Revoked => Refusal::new(&REVOKED, "revoked"),
            ClaimsError::Age => Refusal::new(&EXPIRED, "age"),
            ClaimsError::Expired => Refusal::new(&EXPIRED, "expired"),
            ClaimsError::NotYetValid => Refusal::new(&NOT_YET_VALID, "not_yet_valid"),
            ClaimsError::IssuedInFuture => Refusal::new(&NOT_YET_VALID, "issued_in_future"),
        }
    }
}

impl From<Unmet> for Refusal {
    fn from(unmet: Unmet) -> Self {
        match unmet {
            Unmet::Scope => Refusal::new(&INSUFFICIENT_SCOPE, "scope"),
            Unmet::Claim => Refusal::new(&CLAIM_NOT_ALLOWED, "claim"),
        }
    }
}
