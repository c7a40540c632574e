//! Messages as Envoy hands them over, and what edits and local replies make of them.

use portcullis::exchange::Edit;
use portcullis::headers::Headers;
use portcullis::refusal::Reply;

use crate::wire::{Request, Response, Version};

/// The head as Envoy hands it over: pseudo-header fields first, names in lower case, repeated
/// fields joined where Envoy joins them.
pub(crate) fn head(request: &Request) -> Headers {
    const JOINED: [&[u8]; 6] = [
        b"authorization",
        b"content-type",
        b"origin",
        b"accept",
        b"user-agent",
        b"x-request-id",
    ];
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for (name, value) in &request.headers {
        let name = name.to_ascii_lowercase();
        let crumb = name == b"cookie" && request.version == Version::Http2;
        let separator: &[u8] = if crumb { b"; " } else { b"," };
        let joins = crumb || JOINED.contains(&name.as_slice());
        match fields.iter_mut().find(|(each, _)| joins && *each == name) {
            Some((_, joined)) => {
                if !joined.is_empty() {
                    joined.extend_from_slice(separator);
                }
                joined.extend_from_slice(value);
            }
            None => fields.push((name, value.clone())),
        }
    }
    let mut headers = Headers::default();
    headers.push(b":authority", &request.authority);
    headers.push(b":path", &request.path);
    headers.push(b":method", &request.method);
    headers.push(b":scheme", b"http");
    if let (Some(body), true) = (&request.body, request.trailers.is_empty()) {
        let declared = fields.iter().any(|(name, _)| name == b"content-length");
        if let ([one], false, Version::Http1) = (body.as_slice(), declared, request.version) {
            headers.push(b"content-length", one.len().to_string().as_bytes());
        }
    }
    for (name, value) in &fields {
        headers.push(name, value);
    }
    if headers.all("x-request-id").next().is_none() {
        headers.push(b"x-request-id", b"00000000-0000-4000-8000-000000000000");
    }
    headers
}

/// Trailers as Envoy hands them over.
pub(crate) fn trailers(request: &Request) -> Headers {
    let mut trailers = Headers::default();
    for (name, value) in &request.trailers {
        trailers.push(&name.to_ascii_lowercase(), value);
    }
    trailers
}

pub(crate) fn edit_trailers(request: &mut Request, edits: &[Edit]) -> Result<(), String> {
    for edit in edits {
        let Edit::Remove(name) = edit else {
            return Err(format!("trailers are only taken out: {edit:?}"));
        };
        let is_named = |each: &[u8]| each.eq_ignore_ascii_case(name.as_str().as_bytes());
        request.trailers.retain(|(each, _)| !is_named(each));
    }
    Ok(())
}

pub(crate) fn edit_request(request: &mut Request, edits: &[Edit]) {
    for edit in edits {
        let mut remove = |name: &str| {
            request
                .headers
                .retain(|(each, _)| !each.eq_ignore_ascii_case(name.as_bytes()));
        };
        match edit {
            Edit::Remove(name) => remove(name.as_str()),
            Edit::Set(name, value) => {
                remove(name.as_str());
                request
                    .headers
                    .push((name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()));
            }
            Edit::Add(name, value) => request
                .headers
                .push((name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec())),
            Edit::SetPath(path) => request.path = path.as_bytes().to_vec(),
            Edit::FilterState(..) | Edit::HitsAddend(_) => {}
            Edit::Prepared(edits) => edit_request(request, edits),
        }
    }
}

pub(crate) fn edit_response(
    headers: &mut Vec<(String, Vec<u8>)>,
    edits: &[Edit],
) -> Result<(), String> {
    for edit in edits {
        match edit {
            Edit::Remove(name) => headers.retain(|(each, _)| each != name.as_str()),
            Edit::Set(name, value) => {
                headers.retain(|(each, _)| each != name.as_str());
                headers.push((name.as_str().to_owned(), value.as_bytes().to_vec()));
            }
            Edit::Add(name, value) => {
                // Envoy joins this one to what is there.
                let joined = headers
                    .iter_mut()
                    .find(|(each, _)| each == "vary" && each == name.as_str());
                match joined {
                    Some((_, before)) => before.extend([b",", value.as_bytes()].concat()),
                    None => headers.push((name.as_str().to_owned(), value.as_bytes().to_vec())),
                }
            }
            Edit::Prepared(edits) => edit_response(headers, edits)?,
            Edit::SetPath(_) | Edit::FilterState(..) | Edit::HitsAddend(_) => {
                return Err(format!("a response has no such edit: {edit:?}"));
            }
        }
    }
    Ok(())
}

/// What a service sends: no body to HEAD.
pub(crate) fn sent(upstream: &Response, request: &Request) -> Response {
    let mut response = upstream.clone();
    if request.method == b"HEAD" {
        response.body.clear();
        response.trailers.clear();
    }
    response
}

/// What Envoy makes of a local reply.
pub(crate) fn local_reply(reply: Reply, request: &Request) -> Result<Response, String> {
    let is_grpc = request.headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case(b"content-type")
            && value.starts_with(b"application/grpc")
            && !value.starts_with(b"application/grpc-")
    });
    let mut headers = Vec::new();
    let added = reply.headers.into_iter();
    let added: Vec<Edit> = added.map(|(name, value)| Edit::Add(name, value)).collect();
    edit_response(&mut headers, &added)?;
    if is_grpc {
        headers.push(("content-type".to_owned(), b"application/grpc".to_vec()));
        headers.push((
            "grpc-status".to_owned(),
            reply.grpc_status.to_string().into_bytes(),
        ));
        headers.push(("grpc-message".to_owned(), reply.body));
        return Ok(Response {
            status: 200,
            headers,
            ..Response::default()
        });
    }
    let body = if request.method == b"HEAD" {
        Vec::new()
    } else {
        reply.body
    };
    Ok(Response {
        status: reply.status,
        headers,
        body,
        trailers: Vec::new(),
    })
}
