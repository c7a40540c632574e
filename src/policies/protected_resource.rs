//! Tells clients which authorization servers issue tokens for a resource: protected resource metadata,
//! RFC 9728.

use std::fmt::Write as _;

use portcullis_document::{Fields, Node, Problems, Quoted};
use portcullis_exchange::exchange::Exchange;
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::refusal::{Blame, Code, Reason, Refusal, Reply, grpc};
use portcullis_wire::headers::{HeaderName, HeaderValue, is_token_byte};
use portcullis_wire::json::{Json, quoted};

/// `protected_resource: { resource, authorization_servers, scopes_supported, … }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "protected_resource",
    role: Role::Guards,
    codes: &[&METHOD],
    compile: Compile::Object(compile),
    rules: &[],
};

static METHOD: Code = Code {
    name: "metadata_method",
    status: 405,
    grpc_status: grpc::UNIMPLEMENTED,
    title: "This can only be read.",
    reasons: &[&NOT_A_READ],
};

static NOT_A_READ: Reason = Reason::new("method", &METHOD, Blame::Request);

/// Where metadata stands, before the path of the resource: RFC 9728 §3.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// How a member of the metadata is written, RFC 9728 §2.
#[derive(Clone, Copy)]
enum Form {
    /// A URL of the web.
    Url,
    /// URLs of issuers, RFC 8414 §2: without query.
    Issuers,
    /// What may stand in `scope`, RFC 6749 §3.3.
    Scopes,
    /// How a bearer token may be sent, RFC 6750 §2. None of these is a list too.
    BearerMethods,
    /// Names of algorithms, RFC 7518 §3.1, without `none`.
    Algorithms,
    Texts,
    Text,
    Boolean,
}

/// The fields beside `resource`, in the order in which they are written.
const FIELDS: [(&str, Form); 13] = [
    ("authorization_servers", Form::Issuers),
    ("jwks_uri", Form::Url),
    ("scopes_supported", Form::Scopes),
    ("bearer_methods_supported", Form::BearerMethods),
    ("resource_signing_alg_values_supported", Form::Algorithms),
    ("resource_name", Form::Text),
    ("resource_documentation", Form::Url),
    ("resource_policy_uri", Form::Url),
    ("resource_tos_uri", Form::Url),
    ("tls_client_certificate_bound_access_tokens", Form::Boolean),
    ("authorization_details_types_supported", Form::Texts),
    ("dpop_signing_alg_values_supported", Form::Algorithms),
    ("dpop_bound_access_tokens_required", Form::Boolean),
];

/// What clients get.
struct ProtectedResource {
    reply: Reply,
    allow: (HeaderName, HeaderValue),
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let problems = &mut *context.problems;
    let node = fields.required("resource", problems);
    let resource = node.and_then(|node| read_url(&node, problems, Url::Resource));
    let mut body = String::from("{");
    if let Some(resource) = resource {
        let _ = write!(body, "\"resource\":{}", quoted(resource));
    }
    let mut good = resource.is_some();
    for (name, form) in FIELDS {
        if let Some(node) = fields.optional(name) {
            good &= form.check(&node, problems);
            let _ = write!(body, ",{}:{}", quoted(name), node.json());
        }
    }
    body.push('}');
    let at = fields.pointer().to_string();
    if at.split('/').any(|step| step == "shadow") {
        problems.report(
            fields.pointer(),
            "`protected_resource` refuses no request that could pass, so there is nothing to try",
        );
        return None;
    }
    let path = metadata_path(resource?);
    if !is_matched_by(&path, context) {
        context.problems.report(
            fields.pointer(),
            format_args!(
                "stands in a route that is matched by \"path\": {{\"exact\": {}}}: there clients look for the metadata of this resource, RFC 9728 §3.1",
                Quoted(&path)
            ),
        );
        return None;
    }
    let header = |name, value: &str| {
        let value = HeaderValue::parse(value.as_bytes()).ok()?;
        Some((HeaderName::parse(name).ok()?, value))
    };
    let policy = ProtectedResource {
        reply: Reply {
            status: 200,
            grpc_status: grpc::OK,
            headers: vec![header("content-type", "application/json")?],
            body: body.into_bytes(),
            details: "portcullis.protected_resource".to_owned(),
        },
        allow: header("allow", "GET, HEAD")?,
    };
    good.then(|| ChainPart::only(Stage::Content, policy))
}

/// The resources whose metadata a document serves, in its order, each once. One that is only tried is answered
/// by somebody else.
pub(crate) fn served<'d>(document: &'d Node<'d>) -> Vec<&'d str> {
    let routes = document.json().step("routes");
    let Some(Json::Array(routes)) = routes else {
        return Vec::new();
    };
    let mut all: Vec<&str> = Vec::new();
    for route in routes {
        let Some(block) = route.step(KIND.name) else {
            continue;
        };
        let is_tried = block.step("mode").and_then(Json::as_str) == Some("shadow");
        let resource = block.step("resource").and_then(Json::as_str);
        let resource = resource.filter(|text| !is_tried && is_url(text, Url::Resource));
        all.extend(resource.filter(|text| !all.contains(text)));
    }
    all
}

/// Where clients find the metadata of a resource.
pub(crate) fn metadata_url(resource: &str) -> String {
    let rest = resource.strip_prefix("https://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    format!("https://{host}{}", metadata_path(resource))
}

/// Where the metadata of a resource stands: between its host and its path, RFC 9728 §3.1.
fn metadata_path(resource: &str) -> String {
    let path = resource.strip_prefix("https://").unwrap_or_default();
    let path = path.find('/').and_then(|at| path.get(at..));
    match path {
        None | Some("/") => WELL_KNOWN.to_owned(),
        Some(path) => format!("{WELL_KNOWN}{path}"),
    }
}

/// Whether the block stands in a route for that path and no other.
fn is_matched_by(path: &str, context: &Context<'_>) -> bool {
    let Some(name) = context.place.strip_prefix("routes/") else {
        return false;
    };
    let Some(Json::Array(routes)) = context.document.member("routes").map(|node| node.json())
    else {
        return false;
    };
    routes.iter().any(|route| {
        let exact = route.step("match").and_then(|block| block.step("path"));
        let exact = exact.and_then(|path| path.step("exact"));
        route.step("name").and_then(Json::as_str) == Some(name)
            && exact.and_then(Json::as_str) == Some(path)
    })
}

impl Form {
    /// Whether the value is of this form; what is wrong is reported.
    fn check(self, node: &Node<'_>, problems: &mut Problems) -> bool {
        match self {
            Form::Url => read_url(node, problems, Url::Page).is_some(),
            Form::Issuers => {
                let issuers = node.list(problems, |item, problems| {
                    read_url(item, problems, Url::Issuer)
                });
                issuers.is_some()
            }
            Form::Scopes => {
                let in_scope = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
                let wanted = "a scope: visible ASCII without quotes, backslashes and blanks";
                words(node, problems, wanted, |text| text.bytes().all(in_scope))
            }
            Form::Algorithms => {
                let wanted = "the name of an algorithm, and not `none`";
                words(node, problems, wanted, |text| {
                    text.bytes().all(is_token_byte) && !text.eq_ignore_ascii_case("none")
                })
            }
            Form::Texts => words(node, problems, "", |_| true),
            Form::Text => node.non_empty(problems).is_some(),
            Form::Boolean => node.boolean(problems).is_some(),
            Form::BearerMethods => {
                let choices = [("header", ()), ("body", ()), ("query", ())];
                let Some(items) = node.items(problems) else {
                    return false;
                };
                let mut good = true;
                for item in &items {
                    good &= item.choice(problems, &choices).is_some();
                }
                good
            }
        }
    }
}

/// Whether it is a list of such texts.
fn words(
    node: &Node<'_>,
    problems: &mut Problems,
    wanted: &str,
    fits: impl Fn(&str) -> bool,
) -> bool {
    let read = node.list(problems, |item, problems| {
        let text = item.non_empty(problems)?;
        let fits = fits(text);
        if !fits {
            item.report(problems, format_args!("must be {wanted}"));
        }
        fits.then_some(())
    });
    read.is_some()
}

/// What a URL is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Url {
    /// RFC 9728 §1.2: without fragment. With a query, no path would be its own.
    Resource,
    /// RFC 8414 §2: without query and fragment.
    Issuer,
    Page,
}

/// Whether a text is such a URL.
fn is_url(text: &str, of: Url) -> bool {
    path_of(text, of).is_some_and(|path| of != Url::Resource || is_normal(path))
}

/// What follows the host of such a URL.
fn path_of(text: &str, of: Url) -> Option<&str> {
    let rest = text.strip_prefix("https://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, after) = rest.split_at_checked(end)?;
    let in_host = |b: u8| b.is_ascii_alphanumeric() || b"-._~:[]".contains(&b);
    let in_url = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b);
    let has_host = !host.is_empty() && !host.starts_with(':') && host.bytes().all(in_host);
    let may_have = match of {
        Url::Page => &[][..],
        Url::Resource | Url::Issuer => &['?', '#'][..],
    };
    let plain = after.bytes().all(in_url) && !after.contains(may_have);
    (has_host && plain).then_some(after)
}

fn read_url<'d>(node: &Node<'d>, problems: &mut Problems, of: Url) -> Option<&'d str> {
    let text = node.non_empty(problems)?;
    if is_url(text, of) {
        return Some(text);
    }
    if path_of(text, of).is_some() {
        node.report(
            problems,
            "has `.`, `..` or nothing between two slashes of its path: clients would look for its metadata elsewhere",
        );
        return None;
    }
    let without = match of {
        Url::Page => "",
        Url::Resource | Url::Issuer => ", without query and fragment",
    };
    node.report(
        problems,
        format_args!("must be a URL that begins with https://{without}"),
    );
    None
}

/// Whether a path has neither dot segments, spelled in any way, nor empty ones but at its end.
fn is_normal(path: &str) -> bool {
    let path = path.to_ascii_lowercase().replace("%2e", ".");
    let path = path.strip_prefix('/').unwrap_or_default();
    let segments = path.strip_suffix('/').unwrap_or(path).split('/');
    let is_odd = |segment: &str| matches!(segment, "" | "." | "..");
    path.is_empty() || segments.filter(|each| is_odd(each)).count() == 0
}

impl Policy for ProtectedResource {
    fn check_request(&self, exchange: &mut Exchange<'_>, _: &dyn Host) -> Verdict {
        match exchange.request.method() {
            "GET" | "HEAD" => Verdict::Respond(self.reply.clone()),
            _ => {
                let (name, value) = self.allow.clone();
                Verdict::Refuse(Refusal::new(&NOT_A_READ).with_header(name, value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments_and_empty_ones_are_seen() {
        for fine in ["", "/", "/a", "/a/", "/a/b.c", "/...", "/a/..b"] {
            assert!(is_normal(fine), "{fine}");
        }
        for odd in [
            "/../a", "/a/./b", "/a//b", "//", "//a", "/a//", "/..", "/a/.", "/%2E./a", "/a/%2e/",
        ] {
            assert!(!is_normal(odd), "{odd}");
        }
    }

    #[test]
    fn metadata_stands_between_host_and_path() {
        for (resource, path) in [
            ("https://a.example", WELL_KNOWN.to_owned()),
            ("https://a.example/", WELL_KNOWN.to_owned()),
            ("https://a.example:8443/b", format!("{WELL_KNOWN}/b")),
            ("https://a.example/b/c/", format!("{WELL_KNOWN}/b/c/")),
        ] {
            assert_eq!(metadata_path(resource), path, "{resource}");
            assert!(metadata_url(resource).ends_with(&path), "{resource}");
        }
        assert_eq!(
            metadata_url("https://a.example:8443/b"),
            format!("https://a.example:8443{WELL_KNOWN}/b")
        );
    }
}
