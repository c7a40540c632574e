//! Refuses requests that change something and that another site made a browser send.

use portcullis_document::Fields;
use portcullis_exchange::exchange::{Edit, Exchange, Request, Response};
use portcullis_exchange::host::Host;
use portcullis_exchange::origin::{AllowedOrigins, OriginMatch, Power, is_own};
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::refusal::{Blame, Code, Reason, Refusal, Selector, grpc};
use portcullis_wire::headers::{HeaderName, HeaderValue, Headers};
use portcullis_wire::preflight::Preflight;

/// `csrf: { additional_origins, on_missing, safe_methods }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "csrf",
    role: Role::Guards,
    codes: &[&CROSS_SITE],
    compile: Compile::Object(compile),
    rules: &[
        (Selector::Reason(&MISSING), "on_missing"),
        (Selector::Reason(&SUBRESOURCE), "safe_methods"),
        (Selector::Code(&CROSS_SITE), "additional_origins"),
    ],
};

pub static CROSS_SITE: Code = Code {
    name: "cross_site_request",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "Another site caused this request.",
    reasons: &[
        &FROM_CROSS_SITE,
        &FROM_SAME_SITE,
        &NAVIGATION,
        &SUBRESOURCE,
        &ORIGIN,
        &REFERER,
        &MISSING,
        &MALFORMED,
    ],
};

pub static FROM_CROSS_SITE: Reason = Reason::new("cross_site", &CROSS_SITE, Blame::Request);
pub static FROM_SAME_SITE: Reason = Reason::new("same_site", &CROSS_SITE, Blame::Request);
pub static NAVIGATION: Reason = Reason::new("navigation", &CROSS_SITE, Blame::Request);
pub static SUBRESOURCE: Reason = Reason::new("subresource", &CROSS_SITE, Blame::Request);
pub static ORIGIN: Reason = Reason::new("origin", &CROSS_SITE, Blame::Request);
pub static REFERER: Reason = Reason::new("referer", &CROSS_SITE, Blame::Request);
pub static MISSING: Reason = Reason::new("missing", &CROSS_SITE, Blame::Request);
pub static MALFORMED: Reason = Reason::new("malformed", &CROSS_SITE, Blame::Request);

/// Goes by what browsers say of where a request comes from: fetch metadata, else `Origin`, else `Referer`.
struct Csrf {
    additional: AllowedOrigins,
    on_missing: OnMissing,
    safe_methods: SafeMethods,
}

/// What becomes of a request that says nothing of where it comes from.
#[derive(Clone, Copy)]
enum OnMissing {
    Allow,
    Refuse,
}

/// Which requests of other sites that change nothing may come.
#[derive(Clone, Copy)]
enum SafeMethods {
    /// All.
    Allow,
    /// Navigations, which show their response to the user in place of the page: links.
    Isolate,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let Context {
        problems, notes, ..
    } = context;
    let additional = fields.or_default(
        "additional_origins",
        AllowedOrigins::default(),
        problems,
        |node, problems| {
            let origins = AllowedOrigins::read(node, Power::ActAsUser, notes, problems)?;
            if origins.has_any() {
                node.report(
                    problems,
                    "`*` would let every site in; list the origins, or turn `csrf` off",
                );
                return None;
            }
            Some(origins)
        },
    );
    let on_missing = fields.or_default(
        "on_missing",
        OnMissing::Refuse,
        problems,
        |node, problems| {
            node.choice(
                problems,
                &[("refuse", OnMissing::Refuse), ("allow", OnMissing::Allow)],
            )
        },
    );
    let safe_methods = fields.or_default(
        "safe_methods",
        SafeMethods::Allow,
        problems,
        |node, problems| {
            node.choice(
                problems,
                &[
                    ("allow", SafeMethods::Allow),
                    ("isolate", SafeMethods::Isolate),
                ],
            )
        },
    );
    let policy = Csrf {
        additional: additional?,
        on_missing: on_missing?,
        safe_methods: safe_methods?,
    };
    let mut parts = Vec::new();
    if let SafeMethods::Isolate = policy.safe_methods {
        let name = HeaderName::parse("vary").ok()?;
        let value =
            HeaderValue::parse(b"sec-fetch-site, sec-fetch-mode, sec-fetch-dest, origin").ok()?;
        parts.extend(ChainPart::only(
            Stage::Response,
            Varies(Edit::Add(name, value)),
        ));
    }
    parts.extend(ChainPart::only(Stage::Origin, policy));
    Some(parts)
}

/// Where answers to safe methods depend on the site, caches are told.
struct Varies(Edit);

impl Csrf {
    /// The reason of a refusal, if there is one.
    fn judge(&self, request: &Request<'_>) -> Result<(), &'static Reason> {
        let headers = request.headers;
        let changes = !is_safe(request.method()) || is_websocket(headers);
        let site = headers.one("sec-fetch-site").map_err(|_| &MALFORMED)?;
        match (site, changes, self.safe_methods) {
            (_, false, SafeMethods::Allow) => Ok(()),
            // An old browser, or none: a page it shows cannot be told from a part of one.
            (None, false, SafeMethods::Isolate) => Ok(()),
            (None, true, _) => self.judge_source(request),
            (Some(site), _, _) => self.judge_site(site, changes, request),
        }
    }

    /// By fetch metadata, which no page can forge. A scheme belongs to a site.
    fn judge_site(
        &self,
        site: &[u8],
        changes: bool,
        request: &Request<'_>,
    ) -> Result<(), &'static Reason> {
        let headers = request.headers;
        let objection = match site {
            b"same-origin" | b"none" => return Ok(()),
            b"same-site" => &FROM_SAME_SITE,
            b"cross-site" => &FROM_CROSS_SITE,
            _ => return Err(&MALFORMED),
        };
        let navigates = headers.one("sec-fetch-mode") == Ok(Some(b"navigate"));
        let replaces_page = navigates && headers.one("sec-fetch-dest") == Ok(Some(b"document"));
        if !changes && (replaces_page || Preflight::is(headers)) {
            return Ok(());
        }
        match headers.one("origin") {
            Err(_) => Err(&MALFORMED),
            Ok(Some(origin)) if self.is_listed(origin, request) => Ok(()),
            Ok(_) if !changes => Err(&SUBRESOURCE),
            Ok(_) if navigates => Err(&NAVIGATION),
            Ok(_) => Err(objection),
        }
    }

    /// By `Origin` or, in browsers that do not send it, by `Referer`.
    fn judge_source(&self, request: &Request<'_>) -> Result<(), &'static Reason> {
        let one = |name| request.headers.one(name).map_err(|_| &MALFORMED);
        if let Some(origin) = one("origin")? {
            return self.accepts(origin, request).then_some(()).ok_or(&ORIGIN);
        }
        if let Some(referer) = one("referer")? {
            let origin = origin_of(referer).ok_or(&MALFORMED)?;
            return self.accepts(origin, request).then_some(()).ok_or(&REFERER);
        }
        match self.on_missing {
            OnMissing::Allow => Ok(()),
            OnMissing::Refuse => Err(&MISSING),
        }
    }

    fn accepts(&self, origin: &[u8], request: &Request<'_>) -> bool {
        is_own(origin, request.headers) || self.is_listed(origin, request)
    }

    fn is_listed(&self, origin: &[u8], request: &Request<'_>) -> bool {
        self.additional.standing(origin, request.effort) == OriginMatch::Listed
    }
}

/// RFC 9110 §9.2.1.
fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
}

/// A WebSocket begins with `GET`, needs no CORS, and sends what it likes. Over HTTP/2 and HTTP/3 as
/// well: Envoy turns their extended CONNECT into this before filters see it.
fn is_websocket(headers: &Headers) -> bool {
    headers
        .all("upgrade")
        .flat_map(|protocols| protocols.split(|b| *b == b','))
        .any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

/// The origin in front of a URL's path.
fn origin_of(url: &[u8]) -> Option<&[u8]> {
    let scheme = url.windows(3).position(|bytes| bytes == b"://")?;
    let host = scheme.checked_add(3)?;
    let length = url.get(host..)?.iter().position(|b| b"/?#".contains(b));
    match length {
        Some(length) => url.get(..host.checked_add(length)?),
        None => Some(url),
    }
}

/// With what the request says of where it comes from.
fn refusal(reason: &'static Reason, headers: &Headers) -> Refusal {
    let sent = |name| headers.all(name).next();
    let referer = sent("referer").and_then(origin_of);
    Refusal::new(reason)
        .telling("site", sent("sec-fetch-site"))
        .telling("origin", sent("origin"))
        .telling("referer_origin", referer)
}

impl Policy for Csrf {
    fn check_request(&self, exchange: &mut Exchange<'_>, _host: &dyn Host) -> Verdict {
        match self.judge(&exchange.request) {
            Ok(()) => Verdict::Pass,
            Err(reason) => Verdict::Refuse(refusal(reason, exchange.request.headers)),
        }
    }
}

impl Policy for Varies {
    fn edit_response(&self, response: &mut Response<'_>, _host: &dyn Host) {
        response.edits.push(self.0.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_begin_with_their_origin() {
        for (url, origin) in [
            ("https://a.example/b?c", Some("https://a.example")),
            ("https://a.example", Some("https://a.example")),
            ("https://a.example:8443#x", Some("https://a.example:8443")),
            (
                "https://a.example?u=https://b.example/",
                Some("https://a.example"),
            ),
            ("about:blank", None),
            ("", None),
        ] {
            assert_eq!(
                origin_of(url.as_bytes()),
                origin.map(str::as_bytes),
                "{url}"
            );
        }
    }
}
