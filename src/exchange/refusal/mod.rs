//! Why a request may not pass, and the one shape in which the client learns of it.

mod audience;
pub mod core;
pub mod detail;
mod document;
mod grpc_web;
mod reason;

use std::rc::Rc;

use self::core::NO_ROUTE;
use crate::edit::Edit;
use portcullis_schema::Violation;
use portcullis_wire::headers::{HeaderName, HeaderValue};

pub use self::audience::ErrorProtocol;
pub use self::detail::{BlockPlace, Claimed, Detail, Fact};
pub use self::document::{ErrorDetails, ErrorFormat, ErrorPage, usable_id};
pub use self::grpc_web::GrpcWeb;
pub use self::reason::{Blame, Code, Reason, Selector};

/// The verdict that a request may not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why. Its code is what the client is told, its name what the log says.
    pub reason: &'static Reason,
    /// Header fields that the status asks for, such as `WWW-Authenticate`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log: what a schema found wrong, and where.
    pub violations: Vec<Violation>,
    /// How much of that the client learns.
    pub told: Disclosure,
    /// For the log: which rule was not met, and in what way.
    pub detail: Option<Box<Detail>>,
    /// What else stands in its problem document: members as JSON writes them, without braces.
    pub members: Option<Rc<str>>,
}

/// How much a client learns of what a schema found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disclosure {
    /// Nothing but the class of the refusal.
    CodeOnly,
    /// The places in its own message, without their values.
    Pointers,
    /// Not even that there is something which refuses: it gets what it would get if no route was for its
    /// request.
    NoRoute,
}

/// A response given in place of the service's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The gRPC status, which the proxy uses when the request is gRPC.
    pub grpc_status: u32,
    /// Header fields, `content-type` included.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; for gRPC requests the text of `grpc-message`.
    pub body: Vec<u8>,
    /// What `%RESPONSE_CODE_DETAILS%` shows.
    pub details: String,
}

/// `google.rpc.Code` values in use.
pub mod grpc {
    /// All is well.
    pub const OK: u32 = 0;
    /// The caller sent something malformed.
    pub const INVALID_ARGUMENT: u32 = 3;
    /// The credentials do not suffice.
    pub const PERMISSION_DENIED: u32 = 7;
    /// A limit.
    pub const RESOURCE_EXHAUSTED: u32 = 8;
    /// No such method.
    pub const UNIMPLEMENTED: u32 = 12;
    /// The service cannot answer now.
    pub const UNAVAILABLE: u32 = 14;
    /// No or bad credentials.
    pub const UNAUTHENTICATED: u32 = 16;
}

impl Refusal {
    /// A refusal without header fields of its own.
    pub fn new(reason: &'static Reason) -> Self {
        debug_assert!(
            reason.code.reasons.contains(&reason),
            "undocumented reason {reason:?}"
        );
        Self {
            reason,
            headers: Vec::new(),
            violations: Vec::new(),
            told: Disclosure::CodeOnly,
            detail: None,
            members: None,
        }
    }

    /// What the client is told.
    pub fn code(&self) -> &'static Code {
        self.reason.code
    }

    /// Says for the log which rule was not met, and in what way.
    pub fn because(self, detail: Detail) -> Self {
        Self {
            detail: Some(Box::new(detail)),
            ..self
        }
    }

    /// Says more of it.
    pub fn and(mut self, name: &'static str, fact: Fact) -> Self {
        let detail = self.detail.take().unwrap_or_default();
        self.detail = Some(Box::new(detail.and(name, fact)));
        self
    }

    /// Says more of it: what a client sent, if it did.
    pub fn telling(self, name: &'static str, sent: Option<&[u8]>) -> Self {
        match sent {
            Some(sent) => self.and(name, Fact::untrusted(sent)),
            None => self,
        }
    }

    /// Says in which block the rule stands; see [`Detail::place`].
    pub fn placed(mut self, block: &BlockPlace, usual: Option<&str>) -> Self {
        let detail = self.detail.get_or_insert_default();
        // A schema says it best, if it is one of the document's, and no metaschema.
        let schema = self.violations.first().map(|first| first.schema.as_str());
        let sections = ["/schemas/", "/apis/", "/routes/", "/defaults/"];
        let is_written = |schema: &&str| sections.iter().any(|section| schema.starts_with(section));
        if let Some(schema) = schema.filter(is_written) {
            detail.place_usually_at(schema);
        }
        detail.place(block, usual);
        self
    }

    /// Says what is wrong, and where.
    pub fn with_violations(self, violations: Vec<Violation>, told: Disclosure) -> Self {
        Self {
            violations,
            told,
            ..self
        }
    }

    /// Says more in the problem document: members as JSON writes them, without braces, of which the document
    /// decides every byte.
    pub fn with_members(self, members: Rc<str>) -> Self {
        Self {
            members: (!members.is_empty()).then_some(members),
            ..self
        }
    }

    /// Adds a header field to the response.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The response that the client gets. `request_id` is client input as often as not.
    pub fn reply(self, audience: ErrorProtocol<'_>, request_id: Option<&[u8]>) -> Reply {
        let Self {
            reason,
            mut headers,
            violations,
            told,
            // It is not for clients.
            detail: _,
            members,
        } = self;
        let code = match told {
            Disclosure::NoRoute => &NO_ROUTE,
            Disclosure::CodeOnly | Disclosure::Pointers => reason.code,
        };
        let mut status = code.status;
        let body = match audience {
            ErrorProtocol::Grpc => code.title.into(),
            ErrorProtocol::GrpcWeb(protocol) => {
                status = 200;
                let name = HeaderName::parse("content-type").ok();
                headers.extend(name.zip(protocol.media_type()));
                protocol.trailers(code.grpc_status, code.title)
            }
            ErrorProtocol::Http(form) => {
                let (fields, body) = form.write(&ErrorDetails {
                    name: code.name,
                    status,
                    title: code.title,
                    request_id,
                    violations: match told {
                        Disclosure::CodeOnly | Disclosure::NoRoute => &[],
                        Disclosure::Pointers => &violations,
                    },
                    members: match told {
                        Disclosure::CodeOnly | Disclosure::Pointers => members.as_deref(),
                        Disclosure::NoRoute => None,
                    },
                });
                headers.extend(fields);
                body
            }
        };
        Reply {
            status,
            grpc_status: code.grpc_status,
            headers,
            body,
            details: format!("portcullis.{}.{}", reason.code.name, reason.name),
        }
    }
}

impl Reply {
    /// Changes its header fields.
    pub fn edit(&mut self, edit: &Edit) {
        match edit {
            Edit::Remove(name) => self.headers.retain(|(each, _)| each != name),
            Edit::Set(name, value) => {
                self.headers.retain(|(each, _)| each != name);
                self.headers.push((name.clone(), value.clone()));
            }
            Edit::Add(name, value) => self.headers.push((name.clone(), value.clone())),
            Edit::Prepared(edits) => edits.iter().for_each(|edit| self.edit(edit)),
            Edit::SetPath(_) | Edit::FilterState(..) | Edit::HitsAddend(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::headers::Headers;
    use portcullis_wire::json::Json;

    static TEAPOT: Code = Code {
        name: "teapot",
        status: 418,
        grpc_status: grpc::INVALID_ARGUMENT,
        title: "This is a teapot.",
        reasons: &[&SPOUT],
    };

    static SPOUT: Reason = Reason::new("spout", &TEAPOT, Blame::Request);

    fn http() -> ErrorProtocol<'static> {
        ErrorProtocol::Http(ErrorFormat::of(&Headers::default(), None))
    }

    #[test]
    fn the_body_is_a_problem_document() {
        let reply = Refusal::new(&SPOUT).reply(http(), Some(b"6f9a-1"));
        let body = Json::parse(&reply.body, 2).unwrap();
        let member = |name| body.as_object().unwrap().member(name).unwrap().clone();
        assert_eq!(member("code"), Json::String("teapot".to_owned()));
        assert_eq!(member("status"), Json::Number(418.into()));
        assert_eq!(member("instance"), Json::String("6f9a-1".to_owned()));
        assert_eq!(reply.details, "portcullis.teapot.spout");
        assert!(!String::from_utf8_lossy(&reply.body).contains("spout"));
    }

    #[test]
    fn a_client_is_told_places_only_where_it_may_know_them() {
        let violation = |instance: &str| Violation {
            instance: instance.to_owned(),
            keyword: "type",
            schema: "/schemas/a/type".to_owned(),
        };
        let violations = vec![violation("/a"), violation("/\"\n")];
        let body = |told| {
            let refusal = Refusal::new(&SPOUT);
            let refusal = refusal.with_violations(violations.clone(), told);
            String::from_utf8(refusal.reply(http(), None).body).unwrap()
        };
        assert!(!body(Disclosure::CodeOnly).contains("errors"));
        let told = body(Disclosure::Pointers);
        let errors = r#""errors":[{"pointer":"/a"},{"pointer":"/\"\u000a"}]}"#;
        assert!(told.ends_with(errors), "{told}");
    }

    #[test]
    fn a_hostile_request_id_is_left_out() {
        let long = [b'a'; 129];
        for id in [&b"\"},{\""[..], b"a b", b"", b"\xff", b"a\r\n", &long] {
            let reply = Refusal::new(&SPOUT).reply(http(), Some(id));
            let body = String::from_utf8_lossy(&reply.body);
            assert!(!body.contains("instance"), "{id:?}");
        }
    }

    #[test]
    fn grpc_gets_words() {
        let reply = Refusal::new(&SPOUT).reply(ErrorProtocol::Grpc, None);
        assert_eq!(
            (reply.body.as_slice(), reply.grpc_status),
            (&b"This is a teapot."[..], 3)
        );
        assert!(reply.headers.is_empty());
    }
}
