//! Clusters that can be called, and the calls on their way.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use portcullis_exchange::call::{Call, CallError, HostResponse, Token};
use portcullis_wire::headers::Headers;

/// What a cluster makes of a call.
pub(super) type Responder = Rc<dyn Fn(&Call) -> Result<MemoryResponse, CallError>>;

/// So many calls at the most wait to be taken, and as many ends. More are refused.
const MOST_CALLS: usize = 1024;

/// The clusters, the calls that nobody has taken yet, and their ends.
#[derive(Default)]
pub(super) struct Clusters {
    /// None is there for a cluster whose calls the test ends.
    clusters: BTreeMap<String, Option<Responder>>,
    made: VecDeque<(Token, Call)>,
    ended: VecDeque<(Token, CallEnd)>,
    last: Option<Token>,
}

/// A response that stands in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryResponse {
    /// Its fields, `:status` included.
    pub headers: Headers,
    /// Its body, whole.
    pub body: Vec<u8>,
}

/// How a call has ended.
#[derive(Clone, Debug)]
pub struct CallEnd(pub Result<MemoryResponse, CallError>);

impl MemoryResponse {
    /// One with a status and a body, and no other field.
    pub fn new(status: u16, body: &[u8]) -> Self {
        let mut headers = Headers::default();
        headers.push(b":status", status.to_string().as_bytes());
        Self {
            headers,
            body: body.to_vec(),
        }
    }
}

impl HostResponse for CallEnd {
    fn headers(&self) -> Result<Headers, CallError> {
        let Self(end) = self;
        end.as_ref()
            .map(|response| response.headers.clone())
            .map_err(|error| *error)
    }

    fn body_size(&self) -> usize {
        self.0.as_ref().map_or(0, |response| response.body.len())
    }

    fn body(&self) -> Result<Vec<u8>, CallError> {
        let Self(end) = self;
        end.as_ref()
            .map(|response| response.body.clone())
            .map_err(|error| *error)
    }
}

impl Clusters {
    pub(super) fn add(&mut self, name: &str, answer: Option<Responder>) {
        self.clusters.insert(name.to_owned(), answer);
    }

    /// What answers the calls of a cluster, if anything does at once.
    pub(super) fn responder(&self, call: &Call) -> Result<Option<Responder>, CallError> {
        let cluster = self.clusters.get(&*call.cluster);
        cluster.cloned().ok_or(CallError::NoCluster)
    }

    /// Notes a call, and its end if it has one already.
    pub(super) fn note(&mut self, call: &Call, end: Option<CallEnd>) -> Result<Token, CallError> {
        if self.made.len() >= MOST_CALLS || self.ended.len() >= MOST_CALLS {
            return Err(CallError::NoMemory);
        }
        let Token(last) = self.last.unwrap_or(Token(0));
        let token = Token(last.wrapping_add(1));
        self.last = Some(token);
        if let Some(end) = end {
            self.ended.push_back((token, end));
        }
        self.made.push_back((token, call.clone()));
        Ok(token)
    }

    pub(super) fn last(&self) -> Option<Token> {
        self.last
    }

    pub(super) fn take_calls(&mut self) -> Vec<(Token, Call)> {
        self.made.drain(..).collect()
    }

    pub(super) fn take_ended(&mut self) -> Vec<(Token, CallEnd)> {
        self.ended.drain(..).collect()
    }
}
