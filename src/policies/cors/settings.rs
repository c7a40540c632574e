//! The `cors` block.

use std::time::Duration;

use super::forbidden;
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::origin::{AllowedOrigins, Power};
use portcullis_exchange::route::{read_header_name, read_method};
use portcullis_wire::headers::{HeaderName, HeaderValue};
use portcullis_wire::json::Json;

/// The block, ready to judge.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) origins: AllowedOrigins,
    pub(super) methods: Allowed<String>,
    pub(super) headers: Allowed<HeaderName>,
    /// The value of `Access-Control-Expose-Headers`.
    pub(super) exposed: Option<HeaderValue>,
    /// The value of `Access-Control-Max-Age`, in seconds.
    pub(super) max_age: Option<HeaderValue>,
    pub(super) credentials: Credentials,
    pub(super) private_network: PrivateNetwork,
    pub(super) on_disallowed: OnDisallowed,
}

/// What a script may use: names, and with `*` all others as well.
#[derive(Debug)]
pub(super) struct Allowed<T> {
    pub(super) any: bool,
    pub(super) names: Vec<T>,
}

/// Whether browsers may send cookies, client certificates and passwords of theirs along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    Allowed,
    Withheld,
}

/// Whether pages of the public network may use a service of a private one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PrivateNetwork {
    Open,
    Closed,
}

/// What becomes of a request from an origin that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnDisallowed {
    /// The service answers it, and the browser hides the response.
    Omit,
    /// It is refused.
    Refuse,
}

/// Methods that browsers send without a question (Fetch standard, CORS-safelisted method).
const SAFELISTED: [&str; 3] = ["GET", "HEAD", "POST"];

/// Fetch standard, forbidden methods, request-header and response-header names.
const NO_PAGE_SENDS: &str = "to no effect: browsers let no page send";
const NO_PAGE_READS: &str = "to no effect: browsers let no page read";

/// Fetch standard, §3.2: with credentials a `*` stands for nothing but itself.
const LITERAL: &str = "browsers then take it for a name; list the names";

impl Settings {
    pub(super) fn read(
        fields: &mut Fields<'_>,
        notes: &mut Vec<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let acts = fields.optional("allow_credentials");
        let power = match acts.map(|node| node.json()) {
            Some(Json::Bool(true)) => Power::ActAsUser,
            _ => Power::Read,
        };
        let origins = fields.required("allow_origins", problems);
        let origins = origins.and_then(|node| AllowedOrigins::read(&node, power, notes, problems));
        let methods = fields.or_default(
            "allow_methods",
            Allowed::none(),
            problems,
            |node, problems| Allowed::read(node, problems, read_method),
        );
        let headers = fields.or_default(
            "allow_headers",
            Allowed::none(),
            problems,
            |node, problems| Allowed::read(node, problems, read_header_name),
        );
        let exposed = fields.or_default(
            "expose_headers",
            Allowed::none(),
            problems,
            |node, problems| Allowed::read(node, problems, read_header_name),
        );
        let max_age = fields.or_default("max_age", None, problems, |node, problems| {
            read_seconds(node, notes, problems).map(Some)
        });
        let credentials = fields.or_default(
            "allow_credentials",
            Credentials::Withheld,
            problems,
            read_credentials,
        );
        let private_network = fields.or_default(
            "allow_private_network_access",
            PrivateNetwork::Closed,
            problems,
            read_private_network,
        );
        let on_disallowed = fields.or_default(
            "on_disallowed",
            OnDisallowed::Refuse,
            problems,
            |node, problems| {
                node.choice(
                    problems,
                    &[
                        ("omit", OnDisallowed::Omit),
                        ("refuse", OnDisallowed::Refuse),
                    ],
                )
            },
        );
        let place = fields.pointer();
        let names = |allowed: &Option<Allowed<HeaderName>>| -> Vec<String> {
            let names = allowed.iter().flat_map(|allowed| &allowed.names);
            names.map(|name| name.as_str().to_owned()).collect()
        };
        let methods_named = methods.iter().flat_map(|methods| methods.names.clone());
        for (field, unheard, why) in [
            (
                "allow_methods",
                forbidden::methods(methods_named),
                NO_PAGE_SENDS,
            ),
            (
                "allow_headers",
                forbidden::request(names(&headers)),
                NO_PAGE_SENDS,
            ),
            (
                "expose_headers",
                forbidden::reply(names(&exposed)),
                NO_PAGE_READS,
            ),
        ] {
            if !unheard.is_empty() {
                let place = place.member(field);
                notes.push(format!("{place}: {why} {}", unheard.join(", ")));
            }
        }
        let any = |allowed: &Option<Allowed<HeaderName>>| {
            allowed.as_ref().is_some_and(|allowed| allowed.any)
        };
        let wildcards = [
            (
                "allow_origins",
                origins.as_ref().is_some_and(AllowedOrigins::has_any),
                "every site on the web could act as the user; list the origins",
            ),
            (
                "allow_methods",
                methods.as_ref().is_some_and(|methods| methods.any),
                LITERAL,
            ),
            ("allow_headers", any(&headers), LITERAL),
            ("expose_headers", any(&exposed), LITERAL),
        ];
        let wildcards = wildcards.into_iter().filter(|(_, any, _)| *any);
        let mut fits = true;
        for (name, _, why) in wildcards.filter(|_| credentials == Some(Credentials::Allowed)) {
            let reason = format_args!(
                "`*` does not go with `allow_credentials`: {why}, or take `allow_credentials` away"
            )
            .to_string();
            problems.report(&fields.pointer().member(name), reason);
            fits = false;
        }
        if !fits {
            return None;
        }
        Some(Self {
            origins: origins?,
            methods: methods?,
            headers: headers?,
            exposed: exposed?.listed(HeaderName::as_str),
            max_age: max_age?,
            credentials: credentials?,
            private_network: private_network?,
            on_disallowed: on_disallowed?,
        })
    }
}

impl Allowed<String> {
    /// Whether a browser may send the method. The safelisted ones it sends anyway.
    pub(super) fn has_method(&self, method: &str) -> bool {
        self.any || SAFELISTED.contains(&method) || self.names.iter().any(|name| name == method)
    }
}

impl Allowed<HeaderName> {
    /// Whether a script may set the field. `Authorization` is never meant by `*` (Fetch standard,
    /// CORS non-wildcard request-header name).
    pub(super) fn has_header(&self, name: &HeaderName) -> bool {
        (self.any && name.as_str() != "authorization") || self.names.contains(name)
    }
}

impl<T> Allowed<T> {
    /// How many are named.
    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    fn none() -> Self {
        Self {
            any: false,
            names: Vec::new(),
        }
    }

    fn read(
        node: &Node<'_>,
        problems: &mut Problems,
        read: impl Fn(&Node<'_>, &mut Problems) -> Option<T>,
    ) -> Option<Self> {
        let items = node.list(problems, |item, problems| match item.json().as_str() {
            Some("*") => Some(None),
            _ => read(item, problems).map(Some),
        })?;
        Some(Self {
            any: items.iter().any(Option::is_none),
            names: items.into_iter().flatten().collect(),
        })
    }

    /// As the value of a field; none if nothing is allowed.
    fn listed(&self, text: impl Fn(&T) -> &str) -> Option<HeaderValue> {
        let mut names: Vec<&str> = self.names.iter().map(text).collect();
        if self.any {
            names.push("*");
        }
        let value = HeaderValue::parse(names.join(", ").as_bytes()).ok();
        value.filter(|_| !names.is_empty())
    }
}

fn read_seconds(
    node: &Node<'_>,
    notes: &mut Vec<String>,
    problems: &mut Problems,
) -> Option<HeaderValue> {
    const CHROMIUM: Duration = Duration::from_secs(7200);
    const FIREFOX: Duration = Duration::from_secs(86_400);
    let duration = node.duration(problems)?;
    if duration.subsec_nanos() != 0 {
        node.report(
            problems,
            "must be whole seconds: browsers know nothing shorter",
        );
        return None;
    }
    let place = node.pointer();
    if duration > FIREFOX {
        notes.push(format!(
            "{place}: browsers remember less: Chromium two hours, Firefox a day"
        ));
    } else if duration > CHROMIUM {
        notes.push(format!(
            "{place}: Chromium remembers no more than two hours"
        ));
    }
    HeaderValue::parse(duration.as_secs().to_string().as_bytes()).ok()
}

fn read_credentials(node: &Node<'_>, problems: &mut Problems) -> Option<Credentials> {
    Some(match node.boolean(problems)? {
        true => Credentials::Allowed,
        false => Credentials::Withheld,
    })
}

fn read_private_network(node: &Node<'_>, problems: &mut Problems) -> Option<PrivateNetwork> {
    Some(match node.boolean(problems)? {
        true => PrivateNetwork::Open,
        false => PrivateNetwork::Closed,
    })
}
