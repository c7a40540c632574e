//! Messages as they reach the filter: in which pieces, and what ends them.

use super::headers::HeaderMap;
use super::http;
use crate::wire::{Request, Response};

/// A message on its way to the filter.
pub(super) struct Incoming<'a> {
    pub(super) head: HeaderMap,
    /// The pieces of the body, each with whether it ends the message. No pieces and no
    /// trailers: the head does.
    pub(super) pieces: Vec<(&'a [u8], bool)>,
    pub(super) trailers: HeaderMap,
}

impl<'a> Incoming<'a> {
    pub(super) fn request(head: HeaderMap, request: &'a Request) -> Incoming<'a> {
        let pieces = request.body.as_deref().unwrap_or_default();
        let pieces = pieces.iter().map(Vec::as_slice).collect();
        let mut incoming = Incoming::streamed(head, pieces, http::trailers(&request.trailers));
        if http::ends_with_head(request) {
            incoming.pieces.clear();
        }
        incoming
    }

    pub(super) fn upstream(upstream: &'a Response, to_head: bool) -> Incoming<'a> {
        let head = http::upstream_head(upstream, to_head);
        let trailers: Vec<_> = (upstream.trailers.iter())
            .map(|(name, value)| (name.clone().into_bytes(), value.clone()))
            .collect();
        if to_head || upstream.body.is_empty() {
            return Incoming {
                head,
                pieces: Vec::new(),
                trailers: http::trailers(if to_head { &[] } else { &trailers }),
            };
        }
        Incoming::streamed(head, vec![&upstream.body], http::trailers(&trailers))
    }

    /// The end of a body comes as a piece of its own, unless trailers are the end.
    fn streamed(head: HeaderMap, pieces: Vec<&'a [u8]>, trailers: HeaderMap) -> Incoming<'a> {
        let filled = pieces.into_iter().filter(|piece| !piece.is_empty());
        let mut pieces: Vec<(&[u8], bool)> = filled.map(|piece| (piece, false)).collect();
        if trailers.len() == 0 {
            pieces.push((&[], true));
        }
        Incoming {
            head,
            pieces,
            trailers,
        }
    }

    /// The body of a local reply comes in one piece.
    pub(super) fn reply(head: HeaderMap, body: &'a [u8]) -> Incoming<'a> {
        let whole = (!body.is_empty()).then_some((body, true));
        Incoming {
            head,
            pieces: whole.into_iter().collect(),
            trailers: http::trailers(&[]),
        }
    }

    pub(super) fn ends_with_head(&self) -> bool {
        self.pieces.is_empty() && self.trailers.len() == 0
    }
}
