//! Answers in place of the service: with a status and a body of the document's own, or with a redirect.

use std::rc::Rc;

use crate::HAS_TRAFFIC;
use crate::response_headers::refuses_in_answers;
use crate::written::{Filled, Filling, ValueTemplate, ValueUse};
use portcullis_document::LeftOut;
use portcullis_document::header::changeable;
use portcullis_document::{Fields, Node, Pointer, Problems, Quoted};
use portcullis_exchange::exchange::Exchange;
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Misfits, Policy, PolicyKind, Role, RouteCredentials,
    RoutePath, Stage, Verdict,
};
use portcullis_exchange::refusal::{Blame, Code, Reason, Refusal, Reply, Selector, grpc};
use portcullis_wire::headers::{HeaderName, HeaderValue, are_alike};

/// `respond: { status, headers, body, json, content_type, redirect }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "respond",
    role: Role::Guards,
    codes: &[&NO_ADDRESS],
    compile: Compile::Object(compile),
    rules: &[(Selector::Code(&NO_ADDRESS), "redirect")],
};

static NO_ADDRESS: Code = Code {
    name: "redirect_impossible",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "This address cannot be redirected.",
    reasons: &[&VALUE],
};

static VALUE: Reason = Reason::new("value", &NO_ADDRESS, Blame::Request);

/// The largest body of a response.
const LONGEST: usize = 16 << 10;
/// Statuses of responses without a body (RFC 9110 §15).
const WITHOUT_BODY: [u16; 3] = [204, 205, 304];
/// Statuses with which a redirect may be made.
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// The response, but for where it leads.
struct Respond {
    status: u16,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Rc<[u8]>,
    redirect: Option<(HeaderName, ValueTemplate)>,
    /// Where the redirect stands in the document.
    place: Pointer,
    path: RoutePath,
}

/// A body with its media type.
struct Content {
    media_type: &'static str,
    bytes: Vec<u8>,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    if !HAS_TRAFFIC {
        context.problems.report(fields.pointer(), LeftOut::TRAFFIC);
        return None;
    }
    let redirect = match fields.optional("redirect") {
        None => Some(None),
        Some(node) => ValueTemplate::read(&node, ValueUse::Location, context).map(Some),
    };
    let problems = &mut *context.problems;
    let is_redirect = !matches!(redirect, Some(None));
    let status = match (fields.optional("status"), is_redirect) {
        (Some(node), _) => read_status(&node, is_redirect, problems),
        (None, true) => Some(308),
        (None, false) => {
            fields.lacks(
                &["status", "redirect"],
                problems,
                "needs a `status`, or a `redirect`",
            );
            None
        }
    };
    let content = read_content(fields, status, is_redirect, problems);
    let headers = fields.or_default("headers", Vec::new(), problems, read_headers);
    let (status, content, headers) = (status?, content?, headers?);
    let mut all = headers;
    let (media_type, bytes) = content;
    if let Some(media_type) = media_type {
        all.push((HeaderName::parse("content-type").ok()?, media_type));
    }
    let redirect = match redirect? {
        None => None,
        Some(to) => Some((HeaderName::parse("location").ok()?, to)),
    };
    let policy = Respond {
        status,
        headers: all,
        body: bytes.into(),
        redirect,
        place: fields.pointer().member("redirect"),
        path: context.route_path(),
    };
    Some(ChainPart::only(Stage::Content, policy))
}

fn read_status(node: &Node<'_>, is_redirect: bool, problems: &mut Problems) -> Option<u16> {
    let status = node.integer(problems, 200..=599)?;
    let status = u16::try_from(status).ok()?;
    let leads = REDIRECTS.contains(&status);
    match (is_redirect, leads) {
        (true, false) => {
            node.report(
                problems,
                "is no status of a redirect: 301, 302, 303, 307 or 308",
            );
            None
        }
        (false, true) => {
            node.report(
                problems,
                "leads nowhere without an address: say it in `redirect`",
            );
            None
        }
        _ => Some(status),
    }
}

/// The body, and its media type if it has one.
fn read_content(
    fields: &mut Fields<'_>,
    status: Option<u16>,
    is_redirect: bool,
    problems: &mut Problems,
) -> Option<(Option<HeaderValue>, Vec<u8>)> {
    let (body, json) = (fields.optional("body"), fields.optional("json"));
    let media_type = fields.optional("content_type");
    if let (Some(_), Some(json)) = (&body, &json) {
        json.report(problems, "there is a `body` already; keep one of them");
        return None;
    }
    let Some(node) = body.as_ref().or(json.as_ref()) else {
        if let Some(media_type) = media_type {
            media_type.report(problems, "there is no body; add `body`, or remove this");
            return None;
        }
        return Some((None, Vec::new()));
    };
    if is_redirect || status.is_some_and(|status| WITHOUT_BODY.contains(&status)) {
        node.report(
            problems,
            "a redirect, and a response of status 204, 205 or 304, has no body; remove it",
        );
        return None;
    }
    let content = match &body {
        Some(body) => Content {
            media_type: "text/plain; charset=utf-8",
            bytes: body.text(problems)?.as_bytes().to_vec(),
        },
        None => Content {
            media_type: "application/json",
            bytes: node.json().to_string().into_bytes(),
        },
    };
    if content.bytes.len() > LONGEST {
        node.report(problems, format_args!("must have at most {LONGEST} bytes"));
        return None;
    }
    let media_type = match media_type {
        None => HeaderValue::parse(content.media_type.as_bytes()).ok()?,
        Some(node) => match HeaderValue::parse(node.non_empty(problems)?.as_bytes()) {
            Ok(media_type) => media_type,
            Err(error) => {
                node.report(problems, error);
                return None;
            }
        },
    };
    Some((Some(media_type), content.bytes))
}

fn read_headers(
    node: &Node<'_>,
    problems: &mut Problems,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let mut all = Some(Vec::new());
    let mut named: Vec<HeaderName> = Vec::new();
    for (written, node) in node.members(problems)? {
        let name = changeable(&node, HeaderName::parse(written), problems);
        let value = node.text(problems).and_then(|text| {
            let value = HeaderValue::parse(text.as_bytes());
            if let Err(error) = value {
                node.report(problems, error);
            }
            value.ok()
        });
        let instead = name.as_ref().and_then(refuses_in_answers);
        if let Some(instead) = instead {
            node.report(problems, instead);
            all = None;
            continue;
        }
        if let Some(name) = &name {
            let own = name.as_str().as_bytes();
            let same = |each: &&HeaderName| are_alike(each.as_str().as_bytes(), own);
            if let Some(other) = named.iter().find(same) {
                node.report(
                    problems,
                    format_args!(
                        "this block names {} already, and clients read both as one; keep one of them",
                        Quoted(other.as_str())
                    ),
                );
                all = None;
                continue;
            }
            named.push(name.clone());
        }
        match (name.zip(value), &mut all) {
            (Some(field), Some(all)) => all.push(field),
            (Some(_), None) => {}
            (None, _) => all = None,
        }
    }
    all
}

impl Policy for Respond {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let mut headers = self.headers.clone();
        if let Some((name, to)) = &self.redirect {
            let filling = Filling {
                request: &exchange.request,
                facts: exchange.facts,
                route: exchange.route,
                path: &self.path,
                host,
            };
            match to.fill(ValueUse::Location, &filling) {
                Filled::Value(location) => headers.push((name.clone(), location)),
                Filled::Absent | Filled::Unwritable => {
                    return Verdict::Refuse(Refusal::new(&VALUE));
                }
            }
        }
        Verdict::Respond(Reply {
            status: self.status,
            grpc_status: grpc_status(self.status),
            headers,
            body: self.body.to_vec(),
            details: "portcullis.respond".to_owned(),
        })
    }

    fn misfits(&self, _: &RouteCredentials<'_>) -> Misfits {
        let note = || {
            "`redirect` leads to http://, where what is asked next, and what is answered, can be read and changed on the way; write https://".to_owned()
        };
        let redirect = self.redirect.as_ref();
        let is_unencrypted = redirect.is_some_and(|(_, to)| to.is_unencrypted());
        Misfits {
            problems: Vec::new(),
            notes: is_unencrypted.then(note).into_iter().collect(),
        }
    }

    fn declares(&self) -> Declaration {
        let redirect = self.redirect.as_ref();
        // RFC 9110 §15.4: browsers go on with GET, but after 307 and 308.
        let method = (!matches!(self.status, 307 | 308)).then_some("GET");
        Declaration {
            ends_chain: true,
            answers_with: self.headers.iter().map(|(name, _)| name.clone()).collect(),
            redirects_to: redirect.and_then(|(_, to)| to.target(&self.place, method)),
            ..Declaration::default()
        }
    }
}

/// What a gRPC client gets, for which there is no other response: never that all is well.
fn grpc_status(status: u16) -> u32 {
    match status {
        401 => grpc::UNAUTHENTICATED,
        403 => grpc::PERMISSION_DENIED,
        429 => grpc::RESOURCE_EXHAUSTED,
        500..=599 => grpc::UNAVAILABLE,
        _ => grpc::UNIMPLEMENTED,
    }
}
