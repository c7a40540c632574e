//! What operations ask for, and whether they may.

use std::borrow::Cow;

use hmac_sha256::Hash;
use portcullis_exchange::graphql::GraphqlRequest;
use portcullis_exchange::refusal::core::NO_MEMORY;
use portcullis_exchange::refusal::{Fact, Reason, Refusal};
use portcullis_formats::graphql::{
    Document, DocumentBounds, DocumentFault, GivenVariable, Operation, OperationKind, Totals,
};
use portcullis_wire::effort::Effort;

use super::envelope::{Envelope, Envelopes};
use super::persisted::{KnownDocument, digest};
use super::{Bound, Graphql, refusals};

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SentRequest {
    Get,
    Post,
}

/// What is found of a request.
pub(super) struct Findings {
    /// What it asks for; none if that cannot be told.
    pub(super) asked: Option<GraphqlRequest>,
    /// Why it may not pass: what comes first.
    pub(super) refusal: Option<Refusal>,
}

/// A request that is judged.
struct Judgement<'j> {
    policy: &'j Graphql,
    sent: SentRequest,
    effort: &'j Effort,
    asked: GraphqlRequest,
    refusal: Option<Refusal>,
    /// What all operations come to.
    sum: Totals,
    tokens: u64,
}

/// A step of the effort is enough to hash so many bytes.
const BYTES_HASHED_BY_A_STEP: u64 = 2;

impl Findings {
    /// It cannot be read.
    pub(super) fn unread(refusal: Refusal) -> Self {
        Self {
            asked: None,
            refusal: Some(refusal),
        }
    }
}

impl Graphql {
    /// Judges all operations of a request.
    pub(super) fn judge(
        &self,
        envelopes: &Envelopes<'_>,
        sent: SentRequest,
        effort: &Effort,
    ) -> Findings {
        let Some(asked) = GraphqlRequest::new() else {
            return Findings::unread(Refusal::new(&NO_MEMORY));
        };
        let mut judgement = Judgement {
            policy: self,
            sent,
            effort,
            asked,
            refusal: None,
            sum: Totals::default(),
            tokens: 0,
        };
        let most = self.bounds.most(Bound::Batch);
        if envelopes.is_batch && most <= 1 {
            judgement.bound(Bound::Batch, envelopes.all.len() as u64);
        }
        for envelope in &envelopes.all {
            if let Err(refusal) = judgement.envelope(envelope) {
                let refusal = judgement.refusal.unwrap_or(refusal);
                return Findings::unread(refusal);
            }
        }
        judgement.check_sum();
        Findings {
            asked: Some(judgement.asked),
            refusal: judgement.refusal,
        }
    }
}

impl Judgement<'_> {
    /// Judges one operation of the request. An error if it cannot be told what it asks for.
    fn envelope(&mut self, envelope: &Envelope<'_>) -> Result<(), Refusal> {
        let persisted = self.policy.persisted.as_ref();
        let sent = match &envelope.hash {
            None => None,
            Some(hash) => Some(digest(hash).ok_or_else(|| Refusal::new(&refusals::HASH))?),
        };
        let text: Cow<'_, [u8]> = match (&envelope.query, sent) {
            (Some(text), sent) => {
                if sent.is_some() || persisted.is_some() {
                    let price = text.len() as u64 / BYTES_HASHED_BY_A_STEP;
                    self.effort
                        .spend(price)
                        .map_err(|_| Refusal::new(&refusals::EFFORT))?;
                    let actual = Hash::hash(text);
                    if sent.is_some_and(|sent| sent != actual) {
                        return Err(Refusal::new(&refusals::HASH));
                    }
                    let is_strange = persisted
                        .is_some_and(|known| known.required && known.find(&actual).is_none());
                    if is_strange {
                        self.refuse(Refusal::new(&refusals::UNKNOWN_DOCUMENT));
                    }
                }
                Cow::Borrowed(text)
            }
            (None, Some(sent)) => match persisted.and_then(|known| known.find(&sent)) {
                Some(KnownDocument::Text(text)) => Cow::Borrowed(text.as_bytes()),
                Some(KnownDocument::Declared { fields, cost }) => {
                    for (kind, name) in fields {
                        self.check_kind(*kind);
                        self.field(*kind, name)?;
                    }
                    self.sum.cost = self.sum.cost.saturating_add(cost.unwrap_or(1));
                    self.asked.costs(*cost);
                    return Ok(());
                }
                None => return Err(Refusal::new(&refusals::UNKNOWN_DOCUMENT)),
            },
            (None, None) => return Err(Refusal::new(&refusals::QUERY_MISSING)),
        };
        self.text(
            &text,
            envelope.operation_name.as_deref(),
            &envelope.variables,
        )
    }

    fn text(
        &mut self,
        text: &[u8],
        operation_name: Option<&[u8]>,
        variables: &[GivenVariable<'_>],
    ) -> Result<(), Refusal> {
        let most = self.policy.bounds.most(Bound::Tokens);
        let bounds = DocumentBounds {
            tokens: u32::try_from(most.saturating_sub(self.tokens)).unwrap_or(u32::MAX),
            arguments: &self.policy.costs.list_arguments,
        };
        let document =
            Document::parse(text, bounds, self.effort).map_err(|fault| unread(fault, most))?;
        self.tokens = self.tokens.saturating_add(u64::from(document.tokens()));
        let operations = document.operations();
        let count = operations.len() as u64;
        if count > self.policy.bounds.most(Bound::Operations) {
            self.bound(Bound::Operations, count);
        }
        self.check_name(operations, operation_name)?;
        // Which of several a service takes does not matter: all of them are looked at, and the dearest is paid.
        let mut largest = Totals::default();
        for operation in operations {
            self.check_kind(operation.kind());
            if self.policy.needs_name && operation.name().is_none() {
                self.refuse(Refusal::new(&refusals::UNNAMED));
            }
            let totals = document
                .measure(operation, Some(&self.policy.costs), variables, self.effort)
                .map_err(|fault| unread(fault, most))?;
            largest = larger(&largest, &totals);
            let mut refused = None;
            let seen = document.root_fields(operation, self.effort, &mut |name| {
                let name = std::str::from_utf8(name).unwrap_or_default();
                let added = self.field(operation.kind(), name);
                added.map_err(|refusal| {
                    refused = Some(refusal);
                    DocumentFault::Memory
                })
            });
            seen.map_err(|fault| refused.unwrap_or_else(|| unread(fault, most)))?;
        }
        if largest.asks_for_schema && !self.policy.introspects {
            self.refuse(Refusal::new(&refusals::INTROSPECTION));
        }
        if largest.is_of_unknown_cost {
            self.refuse(Refusal::new(&refusals::COST_UNKNOWN));
        }
        let cost = (!largest.is_of_unknown_cost).then_some(largest.cost);
        self.asked.costs(cost);
        self.sum = sum(&self.sum, &largest);
        Ok(())
    }

    /// Whether the operation that is to be carried out is there.
    fn check_name(&self, operations: &[Operation<'_>], name: Option<&[u8]>) -> Result<(), Refusal> {
        let is_there = match (operations, name) {
            ([_], None) => true,
            (_, None) => return Err(Refusal::new(&refusals::OPERATION)),
            (operations, name) => operations.iter().any(|operation| operation.name() == name),
        };
        match is_there {
            true => Ok(()),
            false => Err(Refusal::new(&refusals::OPERATION_NAME)),
        }
    }

    fn check_kind(&mut self, kind: OperationKind) {
        if !self.policy.kinds.contains(&kind) {
            let refusal = Refusal::new(&refusals::OPERATION_KIND);
            self.refuse(refusal.and("operation", Fact::Word(kind.name())));
        } else if self.sent == SentRequest::Get && kind != OperationKind::Query {
            self.refuse(super::with_allowed(
                Refusal::new(&refusals::MUTATION_BY_GET),
                "POST",
            ));
        }
    }

    fn field(&mut self, kind: OperationKind, name: &str) -> Result<(), Refusal> {
        // It is compared with those that are known.
        let price = (self.asked.fields().len() as u64).saturating_add(1);
        self.effort
            .spend(price)
            .map_err(|_| Refusal::new(&refusals::EFFORT))?;
        let added = self.asked.add(kind.type_name(), name);
        added.ok_or_else(|| Refusal::new(&NO_MEMORY))
    }

    fn check_sum(&mut self) {
        let sum = self.sum;
        let counts = [
            (Bound::Depth, sum.depth),
            (Bound::Fields, sum.fields),
            (Bound::RootFields, sum.root_fields),
            (Bound::Aliases, sum.aliases),
            (Bound::Directives, sum.directives),
        ];
        for (bound, count) in counts {
            if count > self.policy.bounds.most(bound) {
                self.bound(bound, count);
            }
        }
        if let Some(most) = self.policy.max_cost.filter(|most| sum.cost > *most) {
            self.refuse(counted(Refusal::new(&refusals::COST), sum.cost, most));
        }
    }

    fn bound(&mut self, bound: Bound, count: u64) {
        let refusal = Refusal::new(bound.reason());
        self.refuse(counted(refusal, count, self.policy.bounds.most(bound)));
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }
}

fn counted(refusal: Refusal, count: u64, most: u64) -> Refusal {
    let refusal = refusal.and("count", Fact::Number(count));
    refusal.and("most", Fact::Number(most))
}

/// What may be asked for where it is one or the other.
fn larger(one: &Totals, other: &Totals) -> Totals {
    Totals {
        depth: one.depth.max(other.depth),
        fields: one.fields.max(other.fields),
        root_fields: one.root_fields.max(other.root_fields),
        aliases: one.aliases.max(other.aliases),
        directives: one.directives.max(other.directives),
        cost: one.cost.max(other.cost),
        is_of_unknown_cost: one.is_of_unknown_cost || other.is_of_unknown_cost,
        asks_for_schema: one.asks_for_schema || other.asks_for_schema,
    }
}

/// What is asked for in all.
fn sum(one: &Totals, other: &Totals) -> Totals {
    let mut sum = *one;
    sum.add(other);
    sum
}

fn unread(fault: DocumentFault, tokens: u64) -> Refusal {
    let reason: &'static Reason = match fault {
        DocumentFault::Characters => &refusals::CHARACTERS,
        DocumentFault::Syntax => &refusals::SYNTAX,
        DocumentFault::TypeSystem => &refusals::TYPE_SYSTEM,
        DocumentFault::Repeated => &refusals::REPEATED,
        DocumentFault::Unnamed => &refusals::OPERATION,
        DocumentFault::UnknownFragment => &refusals::FRAGMENT_UNKNOWN,
        DocumentFault::UnusedFragment => &refusals::FRAGMENT_UNUSED,
        DocumentFault::Cycle => &refusals::FRAGMENT_CYCLE,
        DocumentFault::Tokens => {
            let refusal = Refusal::new(&refusals::TOKENS);
            return refusal.and("most", Fact::Number(tokens));
        }
        DocumentFault::Nesting => &refusals::NESTING,
        DocumentFault::Effort => &refusals::EFFORT,
        DocumentFault::Memory => &NO_MEMORY,
    };
    Refusal::new(reason)
}
