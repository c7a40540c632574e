//! The members of a record, in the order of their weight.

use std::time::Duration;

use super::finished::Finished;
use super::line::{self, JsonLine};
use super::member::{Member, PropertyForm, attribute, elastic, member, named, of_line};
use super::name::{Convention, ECS_VERSION, EVENT, Name, REQUEST_ID, TIMESTAMP, TRACE_ID};
use super::redact::{self, REDACTED};
use super::subject::Provenance;
use super::time::without_port;
use super::verdict;
use crate::record::Ending;
use portcullis_exchange::host::Property;
use portcullis_exchange::lifecycle::RequestVersion;
use portcullis_exchange::principal::CredentialKind;
use portcullis_exchange::target::Authority;

/// Every member. What does not fit into a record any more is left out: what comes first is what
/// was decided, and why.
pub const MEMBERS: &[Member] = &[
    named(TIMESTAMP, |line, name, of| line.time(name, of.written)),
    named(EVENT, |line, name, _| {
        line.trusted(name, "portcullis.access")
    }),
    elastic("ecs.version", |line, name, _| {
        line.trusted(name, ECS_VERSION)
    }),
    elastic("event.kind", |line, name, _| line.trusted(name, "event")),
    elastic("event.outcome", |line, name, of| {
        let outcome = match of.exchange.ending {
            Ending::Allowed | Ending::Answered => "success",
            Ending::Denied => "failure",
            Ending::Unfinished | Ending::NotJudged => "unknown",
        };
        line.trusted(name, outcome);
    }),
    member("portcullis.outcome", |line, name, of| {
        line.trusted(name, of.exchange.ending.name());
    }),
    member("portcullis.route", |line, name, of| {
        trusted(line, name, of.exchange.route_name);
    }),
    member("portcullis.version", |line, name, of| {
        let version = of.exchange.facts.version();
        trusted(line, name, version.and_then(RequestVersion::name));
    }),
    member("portcullis.version_state", |line, name, of| {
        let version = of.exchange.facts.version();
        trusted(line, name, version.map(|version| version.state.name()));
    }),
    member("portcullis.policy", |line, name, of| {
        let record = of.exchange.record;
        trusted(line, name, record.refused_by.or(record.responded_by));
    }),
    member("portcullis.code", |line, name, of| {
        let refusal = of.exchange.record.refusal;
        trusted(line, name, refusal.map(|reason| reason.code.name));
    }),
    member("portcullis.reason", |line, name, of| {
        let refusal = of.exchange.record.refusal;
        trusted(line, name, refusal.map(|reason| reason.name));
    }),
    member("portcullis.detail", |line, name, of| {
        if let Some(detail) = &of.exchange.record.detail {
            line.detail(name, detail, of.log.parameters());
        }
    }),
    member("portcullis.errors", |line, name, of| {
        let violations = &of.exchange.record.violations;
        if !violations.is_empty() {
            line.structure(name, |out| verdict::errors(out, violations));
        }
    }),
    member("portcullis.verdicts", |line, name, of| {
        let verdicts = &of.exchange.verdicts;
        if !verdicts.is_empty() {
            line.structure(name, |out| verdict::verdicts(out, verdicts));
        }
    }),
    member("portcullis.shadow", |line, name, of| {
        let shadow = &of.exchange.record.shadow;
        if !shadow.is_empty() {
            line.structure(name, |out| {
                verdict::shadow(out, shadow, of.log.parameters());
            });
        }
    }),
    member("portcullis.redacted", |line, name, of| {
        let redacted = &of.exchange.record.redacted;
        if !redacted.is_empty() {
            line.structure(name, |out| verdict::redacted(out, redacted));
        }
    }),
    member("portcullis.unjudged", |line, name, of| {
        let seldom = of.exchange.facts.seldom();
        let reason = seldom.and_then(|seldom| seldom.response_unjudged);
        trusted(line, name, reason.map(|reason| reason.name));
    }),
    member("portcullis.rollout", |line, name, of| {
        let sampled = &of.exchange.record.sampled;
        let limits = of.exchange.facts.limits.shares();
        if !sampled.is_empty() || !limits.is_empty() {
            line.structure(name, |out| verdict::rollout(out, sampled, limits));
        }
    }),
    named(REQUEST_ID, |line, name, of| {
        match (of.request_id, of.log.schema) {
            (None, _) => {}
            (Some(id), Convention::OpenTelemetry) => line.list(name, std::iter::once(id)),
            (Some(id), Convention::Elastic) => line.untrusted(name, id),
        }
    })
    .reads(&["x-request-id"]),
    named(TRACE_ID, |line, name, of| {
        trusted(line, name, of.trace.map(|trace| trace.trace_id));
    })
    .reads(&["traceparent"]),
    named(
        Name {
            otel: "parent_span_id",
            ecs: "span.id",
        },
        |line, name, of| trusted(line, name, of.trace.map(|trace| trace.parent_id)),
    )
    .reads(&["traceparent"]),
    member("http.request.method", |line, name, of| {
        line.optional(name, of.field(":method"));
    })
    .reads(&[":method"]),
    member("url.scheme", |line, name, of| {
        line.optional(name, of.field(":scheme"));
    })
    .reads(&[":scheme"]),
    member("server.address", |line, name, of| {
        if let Some(sent) = of.field(":authority") {
            let authority = Authority::parse(sent);
            // What is no host is shown as it was sent.
            let host = authority
                .as_ref()
                .map_or(sent, |each| each.host().as_bytes());
            line.untrusted(name, without_port(host));
        }
    })
    .reads(&[":authority"]),
    member("url.path", |line, name, of| line.path(name, of.path()))
        .reads(&[":path"])
        .personal(),
    member("url.query", |line, name, of| {
        if let (Some(query), Some(shown)) = (of.query(), of.log.shown()) {
            line.query(name, query, &shown);
        }
    })
    .reads(&[":path"])
    .personal(),
    member("user_agent.original", |line, name, of| {
        line.optional(name, of.field("user-agent"));
    })
    .reads(&["user-agent"])
    .personal(),
    member("user.id", |line, name, of| {
        line.optional(name, of.plain(Provenance::Accepted, of.subject()));
    })
    .personal(),
    member("user.hash", |line, name, of| {
        trusted(
            line,
            name,
            of.hashed(Provenance::Accepted, of.subject()).as_deref(),
        );
    })
    .personal(),
    member("portcullis.issuer", |line, name, of| {
        let issuer = of.principal.and_then(|principal| principal.issuer());
        line.optional(name, issuer.map(str::as_bytes));
    }),
    member("portcullis.provider", |line, name, of| {
        trusted(
            line,
            name,
            of.principal.map(|principal| &*principal.authority),
        );
    }),
    member("portcullis.credential", |line, name, of| {
        // Most are tokens, and each record would say so.
        let kind = of.principal.map(|principal| principal.kind);
        let other = kind.filter(|kind| *kind != CredentialKind::Jwt);
        trusted(line, name, other.map(CredentialKind::name));
    }),
    member("portcullis.claimed.signature", |line, name, of| {
        let signature = |signed| if signed { "valid" } else { "unverified" };
        trusted(
            line,
            name,
            of.claimed.map(|claimed| signature(claimed.signed)),
        );
    }),
    member("portcullis.claimed.issuer", |line, name, of| {
        let issuer = of.claimed.and_then(|claimed| claimed.issuer.as_deref());
        line.optional(name, of.plain(Provenance::Claimed, issuer));
    }),
    member("portcullis.claimed.issuer_hash", |line, name, of| {
        let issuer = of.claimed.and_then(|claimed| claimed.issuer.as_deref());
        trusted(
            line,
            name,
            of.hashed(Provenance::Claimed, issuer).as_deref(),
        );
    }),
    member("portcullis.claimed.subject", |line, name, of| {
        let subject = of.claimed.and_then(|claimed| claimed.subject.as_deref());
        line.optional(name, of.plain(Provenance::ClaimedSubject, subject));
    })
    .personal(),
    member("portcullis.claimed.subject_hash", |line, name, of| {
        let subject = of.claimed.and_then(|claimed| claimed.subject.as_deref());
        trusted(
            line,
            name,
            of.hashed(Provenance::ClaimedSubject, subject).as_deref(),
        );
    })
    .personal(),
    member("portcullis.claimed.key_id", |line, name, of| {
        let key_id = of.claimed.and_then(|claimed| claimed.key_id.as_deref());
        line.optional(name, of.plain(Provenance::Claimed, key_id));
    }),
    member("portcullis.claimed.key_id_hash", |line, name, of| {
        let key_id = of.claimed.and_then(|claimed| claimed.key_id.as_deref());
        trusted(
            line,
            name,
            of.hashed(Provenance::Claimed, key_id).as_deref(),
        );
    }),
    member("portcullis.claimed.audience", |line, name, of| {
        let shown = of
            .audiences()
            .filter_map(|each| of.plain(Provenance::Claimed, Some(each)));
        let mut shown = shown.peekable();
        if shown.peek().is_some() {
            line.list(name, shown);
        }
    }),
    member("portcullis.claimed.audience_hash", |line, name, of| {
        let hashes = of
            .audiences()
            .filter_map(|each| of.hashed(Provenance::Claimed, Some(each)));
        let hashes: Vec<String> = hashes.collect();
        if !hashes.is_empty() {
            line.list(name, hashes.iter().map(String::as_bytes));
        }
    }),
    member("portcullis.claimed.algorithm", |line, name, of| {
        let algorithm = of.claimed.and_then(|claimed| claimed.algorithm.as_deref());
        line.optional(name, of.plain(Provenance::Claimed, algorithm));
    }),
    member("portcullis.rate_limit.name", |line, name, of| {
        trusted(line, name, of.limit.map(|(limit, _)| limit));
    }),
    member("portcullis.rate_limit.remaining", |line, name, of| {
        line.number(name, of.limit.map(|(_, standing)| standing.remaining));
    }),
    member("portcullis.waited_us", |line, name, of| {
        let waited = of.exchange.waited;
        line.number(name, (!waited.is_zero()).then(|| micros(waited)));
    }),
    member("portcullis.duration_us", |line, name, of| {
        line.number(name, of.elapsed.map(micros));
    }),
    member("portcullis.filter_us", |line, name, of| {
        line.number(name, of.exchange.judging.map(micros));
    }),
    attribute(
        "status",
        Name::same("http.response.status_code"),
        Property::ResponseStatus,
        PropertyForm::NumberOrNone,
    ),
    attribute(
        "client",
        Name::same("client.address"),
        Property::ClientAddress,
        PropertyForm::Address,
    )
    .personal(),
    attribute(
        "details",
        Name::same("portcullis.response_details"),
        Property::ResponseDetails,
        PropertyForm::Text,
    ),
    attribute(
        "flags",
        Name::same("portcullis.response_flags"),
        Property::ResponseFlags,
        PropertyForm::Number,
    ),
    attribute(
        "protocol",
        Name {
            otel: "network.protocol.version",
            ecs: "http.version",
        },
        Property::Protocol,
        PropertyForm::Without(b"HTTP/"),
    ),
    attribute(
        "tls",
        Name {
            otel: "tls.protocol.version",
            ecs: "tls.version",
        },
        Property::TlsVersion,
        PropertyForm::Without(b"TLSv"),
    ),
    attribute(
        "request_size",
        Name {
            otel: "http.request.size",
            ecs: "http.request.bytes",
        },
        Property::RequestSize,
        PropertyForm::Number,
    ),
    attribute(
        "response_size",
        Name {
            otel: "http.response.size",
            ecs: "http.response.bytes",
        },
        Property::ResponseSize,
        PropertyForm::Number,
    ),
    attribute(
        "upstream",
        Name::same("portcullis.upstream"),
        Property::UpstreamAddress,
        PropertyForm::Text,
    ),
    member("user.roles", roles).personal(),
    member("portcullis.claim.<claim>", |line, _, of| claims(line, of)).personal(),
    member("http.request.header.<name>", |line, _, of| fields(line, of)).personal(),
    of_line(line::CUT),
];

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn trusted(line: &mut JsonLine, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        line.trusted(name, value);
    }
}

/// The roles of who calls, if the document asks for them.
fn roles(line: &mut JsonLine, name: &str, of: &Finished<'_>) {
    let Some(principal) = of.principal.filter(|_| of.log.roles) else {
        return;
    };
    if !principal.roles.is_empty() {
        line.list(name, principal.roles.iter().map(str::as_bytes));
    }
}

/// The claims that the document names, each a member.
fn claims(line: &mut JsonLine, of: &Finished<'_>) {
    let Some(principal) = of.principal else {
        return;
    };
    for (name, path) in &of.log.claims {
        if let Some(claim) = path.value(&principal.attributes) {
            line.claim(name, claim);
        }
    }
}

/// The request's header fields that the document names, each a member.
fn fields(line: &mut JsonLine, of: &Finished<'_>) {
    for (name, field) in &of.log.headers {
        let secret = of.log.hides(field);
        let shown = |value| if secret { REDACTED } else { value };
        let mut values = of.headers.all(field.as_str()).map(shown).peekable();
        if values.peek().is_none() {
            continue;
        }
        match redact::is_url_header(field.as_str()) {
            true => line.urls(name, values, of.log.shown().as_ref()),
            false => line.list(name, values),
        }
    }
}
