//! The refusals of `responses`.

use portcullis_exchange::meter::Event;
use portcullis_exchange::refusal::{Blame, Code, Reason, grpc};
use portcullis_formats::sensitive::Kind;

pub static SENSITIVE: Code = Code {
    name: "response_sensitive",
    status: 502,
    grpc_status: grpc::UNAVAILABLE,
    title: "The service's answer has what may not be told.",
    reasons: &[&MEMBER, &CARD, &IBAN, &SSN, &PRIVATE_KEY, &TOKEN, &EMAIL],
};

static MEMBER: Reason = Reason::new("member", &SENSITIVE, Blame::Upstream);
static CARD: Reason = Reason::new("card", &SENSITIVE, Blame::Upstream);
static IBAN: Reason = Reason::new("iban", &SENSITIVE, Blame::Upstream);
static SSN: Reason = Reason::new("ssn", &SENSITIVE, Blame::Upstream);
static PRIVATE_KEY: Reason = Reason::new("private_key", &SENSITIVE, Blame::Upstream);
static TOKEN: Reason = Reason::new("token", &SENSITIVE, Blame::Upstream);
static EMAIL: Reason = Reason::new("email", &SENSITIVE, Blame::Upstream);

pub static UNJUDGED: Code = Code {
    name: "response_unjudged",
    status: 502,
    grpc_status: grpc::UNAVAILABLE,
    title: "The service's answer cannot be judged.",
    reasons: &[&SIZE, &STREAM, &JSON, &CHARSET, &CONTENT_ENCODING, &PARTIAL],
};

pub static SIZE: Reason = Reason::new("size", &UNJUDGED, Blame::Upstream);
pub static STREAM: Reason = Reason::new("stream", &UNJUDGED, Blame::Upstream);
pub static JSON: Reason = Reason::new("json", &UNJUDGED, Blame::Upstream);
pub static CHARSET: Reason = Reason::new("charset", &UNJUDGED, Blame::Upstream);
pub static CONTENT_ENCODING: Reason = Reason::new("content_encoding", &UNJUDGED, Blame::Upstream);
pub static PARTIAL: Reason = Reason::new("partial", &UNJUDGED, Blame::Upstream);

/// Why a response is refused that has something of a kind.
pub(super) fn reason(kind: Kind) -> &'static Reason {
    match kind {
        Kind::Member => &MEMBER,
        Kind::Card => &CARD,
        Kind::Iban => &IBAN,
        Kind::Ssn => &SSN,
        Kind::PrivateKey => &PRIVATE_KEY,
        Kind::Token => &TOKEN,
        Kind::Email => &EMAIL,
    }
}

/// What is counted of a kind.
pub(super) fn event(kind: Kind) -> Event {
    match kind {
        Kind::Member => Event::SensitiveMember,
        Kind::Card => Event::SensitiveCard,
        Kind::Iban => Event::SensitiveIban,
        Kind::Ssn => Event::SensitiveSsn,
        Kind::PrivateKey => Event::SensitivePrivateKey,
        Kind::Token => Event::SensitiveToken,
        Kind::Email => Event::SensitiveEmail,
    }
}
