//! Refusals of requests on plans, prepared.

use std::rc::Rc;

use crate::access_log::prepared::Prepared;
use portcullis_exchange::host::Counter;
use portcullis_exchange::refusal::{ErrorFormat, ErrorProtocol, Refusal, Reply};
use portcullis_wire::digits::Digits;
use portcullis_wire::headers::{HeaderName, HeaderValue, Headers};
use portcullis_wire::pairs::{Block, BlockDraft};

/// What a field takes of memory beside its texts.
pub(crate) const FIELD: usize = 64;

/// A refusal, prepared: what the client gets and what the log says, but for what the request has part in.
#[derive(Debug)]
pub struct Refused {
    /// Why, with the place of the rule; without header fields.
    pub refusal: Refusal,
    /// The policy; none if it is the core.
    pub policy: Option<&'static str>,
    /// The place of its part in the chain.
    pub step: Option<usize>,
    /// What is counted of it besides, by its code and by whoever refused.
    pub counters: [Option<Counter>; 2],
    /// Its record; none if that is written by asking.
    pub record: Option<Prepared>,
    /// The reply, without the request's id.
    reply: Reply,
    /// Its details.
    details: Rc<str>,
    /// Where in its body the id goes.
    instance: usize,
}

impl Refused {
    /// Prepares a refusal for clients that get problem documents: no pages, no gRPC. The place of the
    /// request's id is found by comparing the bodies without an id and with one; none if they differ in
    /// more than that.
    pub fn new(
        refusal: Refusal,
        policy: Option<&'static str>,
        step: Option<usize>,
        counters: [Option<Counter>; 2],
        record: Option<Prepared>,
    ) -> Option<Self> {
        let audience = || ErrorProtocol::Http(ErrorFormat::of(&Headers::default(), None));
        let reply = refusal.clone().reply(audience(), None);
        let named = refusal.clone().reply(audience(), Some(b"x"));
        let mut both = reply.body.iter().zip(&named.body);
        let instance = both.position(|(one, other)| one != other)?;
        let refusal = Refusal {
            // They are in the reply.
            headers: Vec::new(),
            ..refusal
        };
        let refused = Self {
            refusal,
            policy,
            step,
            counters,
            record,
            details: reply.details.as_str().into(),
            reply,
            instance,
        };
        (refused.body(Some("x")) == named.body).then_some(refused)
    }

    pub(crate) fn memory(&self) -> usize {
        let field = |(name, value): &(HeaderName, HeaderValue)| {
            // Each is counted, with what a shared text needs beside itself.
            let texts = name.as_str().len().saturating_add(value.as_bytes().len());
            texts.saturating_add(FIELD)
        };
        let reply = self.reply.headers.iter().chain(&self.refusal.headers);
        let detail = self.refusal.detail.iter().map(|detail| detail.memory());
        let record = self.record.iter().map(Prepared::memory);
        let all = reply.map(field).chain(detail).chain(record);
        all.fold(self.reply.body.capacity(), usize::saturating_add)
            .saturating_add(self.reply.details.capacity())
            .saturating_add(self.details.len())
    }

    fn body(&self, id: Option<&str>) -> Vec<u8> {
        let body = &self.reply.body;
        let (Some(id), Some((start, end))) = (id, body.split_at_checked(self.instance)) else {
            return body.clone();
        };
        [start, b",\"instance\":\"", id.as_bytes(), b"\"", end].concat()
    }

    /// The fields of what the client gets, before the chain has shaped them.
    pub fn head(&self, retry_after: Option<u64>) -> BlockDraft {
        let mut head = BlockDraft::default();
        if let Some(seconds) = retry_after {
            head.add(b"retry-after", Digits::of(seconds).as_bytes());
        }
        for (name, value) in &self.reply.headers {
            head.add(name.as_str().as_bytes(), value.as_bytes());
        }
        head
    }

    /// What the client gets, with that head.
    pub fn reply(&self, id: Option<&str>, head: &BlockDraft) -> PlannedReply {
        PlannedReply {
            status: self.reply.status,
            grpc_status: self.reply.grpc_status,
            head: head.write(),
            body: self.body(id),
            details: Rc::clone(&self.details),
        }
    }
}

/// A [`Reply`] as proxies take it.
#[derive(Debug)]
pub struct PlannedReply {
    /// The HTTP status.
    pub status: u16,
    /// The gRPC status.
    pub grpc_status: u32,
    /// Its fields, as [`portcullis_wire::pairs`] has them.
    pub head: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
    /// What `%RESPONSE_CODE_DETAILS%` shows.
    pub details: Rc<str>,
}

impl PlannedReply {
    /// The same, field by field.
    pub fn into_reply(self) -> Reply {
        let block = Block::of(self.head);
        let fields = block.iter().flat_map(Block::iter);
        let fields = fields.filter_map(|(name, value)| {
            let name = HeaderName::parse(std::str::from_utf8(name).ok()?).ok()?;
            Some((name, HeaderValue::parse(value).ok()?))
        });
        Reply {
            status: self.status,
            grpc_status: self.grpc_status,
            headers: fields.collect(),
            body: self.body,
            details: (*self.details).to_owned(),
        }
    }
}
