//! Says in the filter's own words that the service failed: what a service says then tells of its
//! insides.

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::exchange::{Author, BodyState, Edit, Response};
use portcullis_exchange::host::Host;
use portcullis_exchange::meter::Event;
use portcullis_exchange::plan::Draft;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage,
};
use portcullis_exchange::refusal::{ErrorDetails, ErrorFormat};
use portcullis_exchange::route::read_header_name;
use portcullis_wire::headers::{HeaderName, Headers};

/// `sanitize_errors: { statuses, keep_headers }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "sanitize_errors",
    role: Role::Guards,
    codes: &[],
    compile: Compile::Object(compile),
    rules: &[],
};

/// Replaces bodies of errors, and removes what goes with them.
struct SanitizeErrors {
    statuses: Vec<StatusPattern>,
    keep: Vec<HeaderName>,
}

/// One status, or all of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StatusPattern {
    Class(u16),
    One(u16),
}

/// Fields that say nothing of how a response came about. Any other may: frameworks put messages and
/// traces into fields of every name.
const KEPT: &[&str] = &[
    "allow",
    "cache-control",
    "connection",
    "content-security-policy",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "date",
    "expires",
    "permissions-policy",
    "pragma",
    "proxy-authenticate",
    "referrer-policy",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "upgrade",
    "vary",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
    "x-request-id",
];

/// The bodies of these types are streams, or have an end of their own.
const STREAMS: &[&[u8]] = &[
    b"application/grpc",
    b"multipart/x-mixed-replace",
    b"text/event-stream",
];

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let problems = &mut *context.problems;
    let statuses = fields.or_default(
        "statuses",
        vec![StatusPattern::Class(5)],
        problems,
        |node, problems| node.list(problems, read_status),
    );
    let keep = fields.or_default("keep_headers", Vec::new(), problems, |node, problems| {
        node.list(problems, read_kept)
    });
    let policy = SanitizeErrors {
        statuses: statuses?,
        keep: keep?,
    };
    Some(ChainPart::only(Stage::Response, policy))
}

fn read_status(node: &Node<'_>, problems: &mut Problems) -> Option<StatusPattern> {
    let classes = [("4xx", 400), ("5xx", 500)];
    let (status, is_class) = node.status(problems, 400..=599, &classes)?;
    let status = u16::try_from(status).ok()?;
    Some(match is_class {
        true => StatusPattern::Class(status / 100),
        false => StatusPattern::One(status),
    })
}

/// What describes the body that is replaced cannot stay.
fn read_kept(node: &Node<'_>, problems: &mut Problems) -> Option<HeaderName> {
    const OF_THE_BODY: &[&str] = &[
        "accept-ranges",
        "content-digest",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-md5",
        "content-range",
        "content-type",
        "digest",
        "etag",
        "last-modified",
        "repr-digest",
        "trailer",
        "want-content-digest",
    ];
    let name = read_header_name(node, problems)?;
    if OF_THE_BODY.contains(&name.as_str()) {
        node.report(
            problems,
            "describes the body that is replaced; it cannot be kept",
        );
        return None;
    }
    Some(name)
}

impl StatusPattern {
    fn include(self, status: u16) -> bool {
        match self {
            // RFC 9110 §15: what is no status counts as a failure of the service.
            StatusPattern::Class(5) => !(100..500).contains(&status),
            StatusPattern::Class(class) => status / 100 == class,
            StatusPattern::One(one) => status == one,
        }
    }
}

impl SanitizeErrors {
    fn concerns(&self, status: u16, headers: &Headers) -> bool {
        let is_stream = |media_type: &[u8]| {
            let media_type = media_type.to_ascii_lowercase();
            STREAMS.iter().any(|stream| media_type.starts_with(stream))
        };
        self.statuses.iter().any(|each| each.include(status))
            && !headers.all("content-type").any(is_stream)
    }

    /// Removes all fields of the service but those that may stay, and those that another policy
    /// has set in their place.
    fn removals(&self, response: &Response<'_>) -> Vec<Edit> {
        let mut removed: Vec<HeaderName> = Vec::new();
        for (name, _) in response.headers.iter() {
            let name = std::str::from_utf8(name).unwrap_or_default();
            // A pseudo-header field has no such name.
            let Ok(name) = HeaderName::parse(name) else {
                continue;
            };
            let kept = KEPT.contains(&name.as_str())
                || name.as_str().starts_with("access-control-")
                || self.keep.contains(&name)
                || removed.contains(&name)
                || writes(&response.edits, &name);
            if !kept {
                removed.push(name);
            }
        }
        removed.into_iter().map(Edit::Remove).collect()
    }
}

fn writes(edits: &[Edit], name: &HeaderName) -> bool {
    edits.iter().any(|edit| match edit {
        Edit::Set(each, _) | Edit::Add(each, _) => each == name,
        Edit::Prepared(edits) => writes(edits, name),
        _ => false,
    })
}

impl Policy for SanitizeErrors {
    /// It has nothing to say of requests.
    fn plan(&self, draft: &mut Draft<'_>) -> Option<()> {
        draft.asks_for_answers = true;
        Some(())
    }

    fn edit_response(&self, response: &mut Response<'_>, host: &dyn Host) {
        let status = status(response.headers);
        if response.author != Author::Upstream || !self.concerns(status, response.headers) {
            return;
        }
        host.count(Event::ErrorSanitized.counter());
        let removals = self.removals(response);
        response.edits.extend(removals);
        let failure = ErrorDetails {
            name: "upstream_error",
            status,
            title: title(status),
            request_id: response.request.all("x-request-id").next(),
            violations: &[],
            members: None,
        };
        let (fields, body) = ErrorFormat::of(response.request, response.page).write(&failure);
        let is_head = response.request.all(":method").next() == Some(b"HEAD");
        // Without a body there is none to replace, and none to describe.
        if response.rest == BodyState::Open || is_head {
            for (name, value) in fields {
                response.edits.push(match name.as_str() {
                    "vary" => Edit::Add(name, value),
                    _ => Edit::Set(name, value),
                });
            }
            response.body = Some(body);
        }
    }

    fn declares(&self) -> Declaration {
        Declaration {
            reads_response: true,
            later_request_fields: &[":method"],
            ..Declaration::default()
        }
    }
}

/// That of the response; a failure, if it is none.
fn status(headers: &Headers) -> u16 {
    let status = headers.one(":status").ok().flatten().unwrap_or_default();
    let status = std::str::from_utf8(status).ok();
    status.and_then(|status| status.parse().ok()).unwrap_or(500)
}

fn title(status: u16) -> &'static str {
    match status {
        502 | 503 => "The service is not available right now.",
        504 => "The service did not answer in time.",
        400..=499 => "The service did not accept the request.",
        _ => "The service failed to handle the request.",
    }
}
