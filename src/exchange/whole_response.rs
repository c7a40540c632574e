//! The one way in which the response to a call is read: nothing of it is copied before its length is
//! known and its memory has been asked for.

use crate::call::{CallError, CallResponse, HostResponse};
use portcullis_wire::budget::{Reservation, Share, reserve};
use portcullis_wire::headers::Headers;

/// The longest head of a response that is read, by the bytes of all names and values. Where the
/// proxy does not tell its size it is bounded by the proxy itself: in Envoy by the cluster's
/// `max_response_headers_kb`, 60 KiB unless written.
pub const LONGEST_HEAD: usize = 64 << 10;

/// A body that has been read. Its memory goes back as soon as this is dropped.
#[derive(Debug)]
pub struct ReadBody {
    bytes: Vec<u8>,
    _memory: Reservation,
}

impl ReadBody {
    /// None, of a response whose body does not matter.
    pub const fn empty() -> Self {
        Self {
            bytes: Vec::new(),
            _memory: Reservation::none(Share::Queues),
        }
    }

    /// Takes up bytes, and asks for their memory.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn of(bytes: Vec<u8>) -> Result<Self, CallError> {
        let memory = reserve(Share::Queues, bytes.len()).ok_or(CallError::NoMemory)?;
        Ok(Self::held(bytes, memory))
    }

    /// Bytes for which memory has been asked.
    pub const fn held(bytes: Vec<u8>, memory: Reservation) -> Self {
        Self {
            bytes,
            _memory: memory,
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the body of a response.
///
/// # Errors
/// It has more than `longest` bytes, or there is no memory for it, or the proxy does not hand it
/// over.
pub fn read_body(response: &dyn HostResponse, longest: usize) -> Result<ReadBody, CallError> {
    let size = response.body_size();
    if size > longest {
        return Err(CallError::TooLong(longest));
    }
    if size == 0 {
        return Ok(ReadBody::empty());
    }
    let memory = reserve(Share::Queues, size).ok_or(CallError::NoMemory)?;
    Ok(ReadBody {
        bytes: response.body()?,
        _memory: memory,
    })
}

/// A response that has been read.
#[derive(Debug)]
pub struct WholeResponse {
    headers: Headers,
    body: ReadBody,
}

impl WholeResponse {
    /// Reads a response; its body only where it matters by the status.
    ///
    /// # Errors
    /// Neither head nor body are read where one of them cannot be.
    pub fn read(
        response: &dyn HostResponse,
        longest: usize,
        matters: fn(Option<u16>) -> bool,
    ) -> Result<Self, CallError> {
        let mut whole = Self {
            headers: response.headers()?,
            body: ReadBody::empty(),
        };
        if matters(whole.as_response().status()) {
            whole.body = read_body(response, longest)?;
        }
        Ok(whole)
    }

    /// A response with these fields and that body.
    ///
    /// # Errors
    /// There is no memory for the body.
    pub fn of(headers: Headers, body: &[u8]) -> Result<Self, CallError> {
        let body = ReadBody::of(body.to_vec())?;
        Ok(Self { headers, body })
    }

    /// Its body alone.
    pub fn into_body(self) -> ReadBody {
        self.body
    }

    /// The same, as long as it is at hand.
    pub fn as_response(&self) -> CallResponse<'_> {
        CallResponse {
            headers: &self.headers,
            body: self.body.bytes(),
        }
    }
}
