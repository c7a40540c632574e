//! GraphQL requests: read strictly, and within bounds on what they may ask for.
//!
//! No schema is needed, and none is known: fields are known by their names alone. What operations ask for is a
//! fact of the request, by which rules of access and the costs of limits go; so it is judged before those rules.
//!
//! Where a service could take one of several operations, documents or places in a request, all of them count, or
//! the request is refused.

mod envelope;
mod judge;
mod persisted;
mod read;
pub mod refusals;

use std::rc::Rc;

use portcullis_document::{Fields, LeftOut};
use portcullis_exchange::body::{BodyNeed, Inspection, NoBytes, RequestBody};
use portcullis_exchange::exchange::{BodyState, Exchange, Facts};
use portcullis_exchange::graphql::UnreadGraphql;
use portcullis_exchange::host::Host;
use portcullis_exchange::media_type::MediaType;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::refusal::core::NO_MEMORY;
use portcullis_exchange::refusal::{Fact, Reason, Refusal, Selector};
use portcullis_formats::graphql::{CostTable, OperationKind};
use portcullis_wire::budget::{Share, reserve};
use portcullis_wire::effort::{self, Effort};
use portcullis_wire::headers::{HeaderName, HeaderValue, Headers};

use self::envelope::{Envelope, Envelopes};
use self::judge::{Findings, SentRequest};
use self::persisted::Persisted;
use super::payload::head::is_upgrade;

/// `graphql: { max_depth, … }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "graphql",
    role: Role::Guards,
    codes: refusals::CODES,
    compile: Compile::Object(compile),
    rules: &[
        (Selector::Reason(&refusals::METHOD), "get"),
        (Selector::Code(&refusals::MEDIA_TYPE), "content_types"),
        (Selector::Code(&refusals::TOO_LARGE), "max_bytes"),
        (Selector::Reason(&refusals::TOKENS), "max_tokens"),
        (Selector::Reason(&refusals::OPERATIONS), "max_operations"),
        (Selector::Reason(&refusals::BATCH), "max_batch"),
        (Selector::Reason(&refusals::DEPTH), "max_depth"),
        (Selector::Reason(&refusals::FIELDS), "max_fields"),
        (Selector::Reason(&refusals::ROOT_FIELDS), "max_root_fields"),
        (Selector::Reason(&refusals::ALIASES), "max_aliases"),
        (Selector::Reason(&refusals::DIRECTIVES), "max_directives"),
        (Selector::Reason(&refusals::COST), "cost"),
        (Selector::Reason(&refusals::COST_UNKNOWN), "cost"),
        (Selector::Reason(&refusals::INTROSPECTION), "introspection"),
        (Selector::Reason(&refusals::OPERATION_KIND), "operations"),
        (
            Selector::Reason(&refusals::UNNAMED),
            "require_operation_name",
        ),
        (Selector::Reason(&refusals::UNKNOWN_DOCUMENT), "persisted"),
    ],
};

/// What requests may ask for.
struct Graphql {
    max_bytes: u64,
    types: Vec<ContentType>,
    /// Whether queries may come in the query of a GET request.
    by_get: bool,
    kinds: Vec<OperationKind>,
    needs_name: bool,
    introspects: bool,
    bounds: Bounds,
    costs: CostTable,
    max_cost: Option<u64>,
    persisted: Option<Persisted>,
    inspection: Inspection,
}

/// How a body holds a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContentType {
    Json,
    /// It is one.
    Document,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Tokens,
    Operations,
    Batch,
    Depth,
    Fields,
    RootFields,
    Aliases,
    Directives,
}

/// How many there may be of each.
struct Bounds([u64; Bound::ALL.len()]);

impl Bound {
    const ALL: [Bound; 8] = [
        Bound::Tokens,
        Bound::Operations,
        Bound::Batch,
        Bound::Depth,
        Bound::Fields,
        Bound::RootFields,
        Bound::Aliases,
        Bound::Directives,
    ];

    /// What says how many there may be, in the same order.
    const FIELDS: [&'static str; 8] = [
        "max_tokens",
        "max_operations",
        "max_batch",
        "max_depth",
        "max_fields",
        "max_root_fields",
        "max_aliases",
        "max_directives",
    ];

    fn field(self) -> &'static str {
        Self::FIELDS.get(self as usize).copied().unwrap_or_default()
    }

    fn reason(self) -> &'static Reason {
        match self {
            Bound::Tokens => &refusals::TOKENS,
            Bound::Operations => &refusals::OPERATIONS,
            Bound::Batch => &refusals::BATCH,
            Bound::Depth => &refusals::DEPTH,
            Bound::Fields => &refusals::FIELDS,
            Bound::RootFields => &refusals::ROOT_FIELDS,
            Bound::Aliases => &refusals::ALIASES,
            Bound::Directives => &refusals::DIRECTIVES,
        }
    }

    /// The least that the document may say: less would let nothing pass.
    fn least(self) -> u64 {
        match self {
            Bound::Aliases | Bound::Directives => 0,
            Bound::Tokens => 3,
            _ => 1,
        }
    }

    fn largest(self) -> u64 {
        match self {
            Bound::Operations | Bound::Batch => 100,
            Bound::Depth => 200,
            _ => 100_000,
        }
    }
}

impl Bounds {
    const USUAL: Self = Self([2000, 1, 1, 15, 500, 20, 30, 30]);

    fn most(&self, bound: Bound) -> u64 {
        self.0.get(bound as usize).copied().unwrap_or(0)
    }

    fn set(&mut self, bound: Bound, most: u64) {
        if let Some(place) = self.0.get_mut(bound as usize) {
            *place = most;
        }
    }
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    if !super::HAS_FORMATS {
        context.problems.report(fields.pointer(), LeftOut::FORMATS);
        return None;
    }
    let policy = read::read(fields, context)?;
    policy.check_known(fields, context)?;
    Some(ChainPart::only(Stage::Access, policy))
}

impl Policy for Graphql {
    fn check_request(&self, exchange: &mut Exchange<'_>, _: &dyn Host) -> Verdict {
        let judged = self.judge_head(exchange);
        match judged {
            Ok(verdict) => verdict,
            Err(refusal) => {
                exchange.facts.note_graphql(Some(Err(UnreadGraphql)));
                Verdict::Refuse(refusal)
            }
        }
    }

    fn request_body(&self, body: &mut RequestBody<'_>, _: &dyn Host) -> Verdict {
        if body.progress.size > self.max_bytes {
            let refusal = too_large(body.progress.size, self.max_bytes);
            return noted(body.facts, Findings::unread(refusal));
        }
        if body.progress.state == BodyState::Open {
            return Verdict::AwaitBody(body.need);
        }
        if body.request.method() != "POST" {
            return match body.progress.size {
                0 => Verdict::Pass,
                _ => noted(body.facts, Findings::unread(Refusal::new(&refusals::BODY))),
            };
        }
        let findings = match body.bytes() {
            Ok(bytes) => self.judge_body(body.request, bytes),
            Err(NoBytes::TooMany) => {
                Findings::unread(too_large(body.progress.size, self.max_bytes))
            }
            Err(NoBytes::Incomplete | NoBytes::Unavailable) => {
                Findings::unread(Refusal::new(&NO_MEMORY))
            }
        };
        noted(body.facts, findings)
    }

    fn declares(&self) -> Declaration {
        Declaration {
            later_request_fields: &["content-type", ":method"],
            reads_graphql: true,
            ..Declaration::default()
        }
    }
}

/// Leaves what has been found to others, and says what comes of it.
fn noted(facts: &mut Facts, findings: Findings) -> Verdict {
    let asked = findings.asked.map(Rc::new).ok_or(UnreadGraphql);
    facts.note_graphql(Some(asked));
    findings.refusal.map_or(Verdict::Pass, Verdict::Refuse)
}

fn too_large(bytes: u64, most: u64) -> Refusal {
    let refusal = Refusal::new(&refusals::BYTES).and("bytes", Fact::Number(bytes));
    refusal.and("most", Fact::Number(most))
}

/// The refusal of a method, with those that are allowed: RFC 9110 §15.5.6.
fn with_allowed(refusal: Refusal, methods: &'static str) -> Refusal {
    let name = HeaderName::parse("allow").ok();
    let value = HeaderValue::parse(methods.as_bytes()).ok();
    match name.zip(value) {
        Some((name, value)) => refusal.with_header(name, value),
        None => refusal,
    }
}

impl Graphql {
    /// Judges a head, and the operation in it, if that is where it stands.
    fn judge_head(&self, exchange: &mut Exchange<'_>) -> Result<Verdict, Refusal> {
        let request = exchange.request;
        if is_upgrade(request.headers) {
            return Err(Refusal::new(&refusals::UPGRADE));
        }
        let query = request.query().unwrap_or_default();
        if query.len() as u64 > self.max_bytes {
            return Err(too_large(query.len() as u64, self.max_bytes));
        }
        match request.method() {
            "GET" if self.by_get => {
                // Some services read a body whatever the method.
                if exchange.body == BodyState::Open && speaks_of_a_body(request.headers) {
                    return Err(Refusal::new(&refusals::BODY));
                }
                let effort = Effort::new(effort::HEAD);
                let Some(_memory) = reserve(Share::Bodies, query.len().saturating_mul(COPIES))
                else {
                    return Err(Refusal::new(&NO_MEMORY));
                };
                let findings = envelope::with_query(query, |envelopes| {
                    self.judge(&envelopes, SentRequest::Get, &effort)
                });
                let findings = findings.map_err(Refusal::new)?;
                let verdict = noted(exchange.facts, findings);
                Ok(match (verdict, exchange.body) {
                    // Whether one comes is not always said before.
                    (Verdict::Pass, BodyState::Open) => Verdict::AwaitBody(BodyNeed::Size),
                    (verdict, _) => verdict,
                })
            }
            "POST" => {
                // Some services take the operation from there, and not from the body.
                match envelope::has_parameters(query) {
                    Ok(false) => {}
                    Ok(true) => return Err(Refusal::new(&refusals::PARAMETER)),
                    Err(reason) => return Err(Refusal::new(reason)),
                }
                self.judge_head_of_body(request.headers, exchange.body)?;
                Ok(Verdict::AwaitBody(BodyNeed::Bytes {
                    most: self.max_bytes,
                }))
            }
            _ => {
                let methods = if self.by_get { "GET, POST" } else { "POST" };
                Err(with_allowed(Refusal::new(&refusals::METHOD), methods))
            }
        }
    }

    fn judge_head_of_body(&self, headers: &Headers, body: BodyState) -> Result<(), Refusal> {
        let identity = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"identity");
        if let Some(coding) = headers
            .all("content-encoding")
            .find(|coding| !identity(coding))
        {
            return Err(Refusal::new(&refusals::ENCODING).telling("content_encoding", Some(coding)));
        }
        if self.content_type(headers).is_none() {
            let sent = headers.all("content-type").next();
            return Err(Refusal::new(&refusals::CONTENT_TYPE).telling("content_type", sent));
        }
        let waits = headers.all("expect").next().is_some();
        // The service would have to ask for the body, and may not see the head.
        if self.inspection == Inspection::HoldHeaders && waits && body == BodyState::Open {
            return Err(Refusal::new(&refusals::EXPECT));
        }
        Ok(())
    }

    /// How the body holds a document, if it may. None of these types is sent across sites without a preflight.
    fn content_type(&self, headers: &Headers) -> Option<ContentType> {
        let sent = headers.one("content-type").ok().flatten()?;
        let sent = MediaType::parse(sent).filter(MediaType::is_utf8)?;
        let subtypes = [
            ("json", ContentType::Json),
            ("graphql", ContentType::Document),
        ];
        let found = subtypes
            .into_iter()
            .find(|(subtype, _)| sent.is("application", subtype));
        found
            .map(|(_, form)| form)
            .filter(|form| self.types.contains(form))
    }

    fn judge_body(&self, headers: &Headers, bytes: &[u8]) -> Findings {
        let Some(_memory) = reserve(Share::Bodies, bytes.len().saturating_mul(COPIES)) else {
            return Findings::unread(Refusal::new(&NO_MEMORY));
        };
        let effort = Effort::new(effort::HEAD);
        let most = self.bounds.most(Bound::Batch);
        let envelopes = match self.content_type(headers) {
            Some(ContentType::Json) => {
                envelope::read_json(bytes, usize::try_from(most).unwrap_or(usize::MAX))
            }
            Some(ContentType::Document) => Ok(of_text(bytes)),
            None => Err(&refusals::CONTENT_TYPE),
        };
        match envelopes {
            Ok(envelopes) => self.judge(&envelopes, SentRequest::Post, &effort),
            Err(reason) => Findings::unread(Refusal::new(reason)),
        }
    }

    /// Reports documents that are known, and would be refused.
    fn check_known(&self, fields: &Fields<'_>, context: &mut Context<'_>) -> Option<()> {
        for text in self.persisted.iter().flat_map(Persisted::texts) {
            let effort = Effort::new(effort::HEAD);
            let findings = self.judge(&of_text(text.as_bytes()), SentRequest::Post, &effort);
            // Which of several operations it is, and what lists cost, is for the request to say.
            let refusal = findings.refusal.filter(|refusal| {
                let told_later = [
                    &refusals::OPERATION,
                    &refusals::COST_UNKNOWN,
                    &refusals::COST,
                ];
                !told_later.contains(&refusal.reason)
            });
            if let Some(refusal) = refusal {
                let place = fields.pointer().member("persisted").member("documents");
                let digest = hmac_sha256::Hash::hash(text.as_bytes());
                let digest: String = digest
                    .iter()
                    .take(4)
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                context.problems.report(
                    &place,
                    format_args!(
                        "the document whose SHA-256 begins with {digest} could never pass: {:?}",
                        refusal.reason
                    ),
                );
                return None;
            }
        }
        Some(())
    }
}

/// Whether a head says that a body comes: then rules are not decided by the query alone.
fn speaks_of_a_body(headers: &Headers) -> bool {
    let is_empty = |length: &[u8]| length == b"0";
    !headers.all("content-length").all(is_empty)
        || headers.all("transfer-encoding").next().is_some()
}

/// What is made of a text takes so many times its size at most: texts whose escapes are resolved, and variables.
const COPIES: usize = 8;

fn of_text(text: &[u8]) -> Envelopes<'_> {
    Envelopes {
        all: vec![Envelope {
            query: Some(text.into()),
            ..Envelope::default()
        }],
        is_batch: false,
    }
}
