//! Preflights: granted whole or not at all, but for a private network, which is a question of its own.

use super::Sender;
use super::settings::{Credentials, PrivateNetwork, Settings};
use portcullis_exchange::refusal::{Reply, grpc};
use portcullis_wire::headers::{HeaderName, HeaderValue};
use portcullis_wire::preflight::{NAME_STEPS, Preflight, SameRoutes};

/// What a preflight is granted.
pub(super) struct Grant<'p> {
    origin: &'p [u8],
    method: &'p str,
    headers: &'p [HeaderName],
    private_network: Network,
}

/// What is said of a private network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    NotAsked,
    Open,
    /// Browsers that ask go no further; others never look.
    Closed,
}

/// Whether everything that a preflight asks for is allowed; else what is not.
pub(super) fn judge<'p>(
    settings: &Settings,
    preflight: &'p Preflight<'_>,
) -> Result<Grant<'p>, &'static str> {
    let fields = preflight.fields();
    let Sender::Allowed(origin) = settings.sender(fields, preflight.effort()) else {
        return Err("origin");
    };
    let method = preflight.method.ok_or("method")?;
    if !settings.methods.has_method(method) {
        return Err("method");
    }
    let headers = preflight.headers().map_err(|_| "headers")?;
    let steps = headers.len().saturating_mul(settings.headers.count());
    let steps = NAME_STEPS.saturating_mul(steps as u64);
    preflight.effort().spend(steps).map_err(|_| "headers")?;
    if !headers.iter().all(|name| settings.headers.has_header(name)) {
        return Err("headers");
    }
    let mut asked = fields.all(REQUEST_PRIVATE_NETWORK);
    let private_network = match (asked.next(), settings.private_network) {
        (Some(b"true"), PrivateNetwork::Open) => Network::Open,
        (Some(b"true"), PrivateNetwork::Closed) => Network::Closed,
        _ => Network::NotAsked,
    };
    Ok(Grant {
        origin,
        method,
        headers,
        private_network,
    })
}

/// The response to a preflight. Without `routes` it grants nothing.
pub(super) fn reply(
    settings: &Settings,
    preflight: &Preflight<'_>,
    routes: Option<SameRoutes<'_>>,
) -> Reply {
    let granted = match routes {
        None => Err("route"),
        Some(routes) => judge(settings, preflight).map(|grant| (grant, routes)),
    };
    let mut fields = Vec::new();
    let mut add = |name: &str, value: &[u8]| {
        let name = HeaderName::parse(name).ok();
        fields.extend(name.zip(HeaderValue::parse(value).ok()));
    };
    add("vary", vary(settings).as_bytes());
    let outcome = match granted {
        Err(lacking) => lacking,
        Ok((grant, routes)) => {
            grant.write(settings, routes, add);
            match grant.private_network {
                Network::Closed => "private_network",
                Network::NotAsked | Network::Open => "granted",
            }
        }
    };
    Reply {
        status: 204,
        grpc_status: grpc::OK,
        headers: fields,
        body: Vec::new(),
        details: format!("portcullis.preflight.{outcome}"),
    }
}

const REQUEST_PRIVATE_NETWORK: &str = "access-control-request-private-network";

/// A response depends on all that was asked, whether or not it was asked this time.
fn vary(settings: &Settings) -> String {
    let mut names = vec![
        "access-control-request-method",
        "access-control-request-headers",
    ];
    if !settings.origins.has_all() {
        names.insert(0, "origin");
    }
    names.push(REQUEST_PRIVATE_NETWORK);
    names.join(", ")
}

impl Grant<'_> {
    fn write(&self, settings: &Settings, routes: SameRoutes<'_>, mut add: impl FnMut(&str, &[u8])) {
        let any = settings.origins.has_any();
        add(
            "access-control-allow-origin",
            if any { b"*" } else { self.origin },
        );
        if settings.credentials == Credentials::Allowed {
            add("access-control-allow-credentials", b"true");
        }
        add(
            "access-control-allow-methods",
            self.methods(settings, routes).as_bytes(),
        );
        // Not the whole list: a browser remembers each name that stands here for all requests to this
        // address, and another name may lead them to another route.
        let headers: Vec<&str> = self.headers.iter().map(HeaderName::as_str).collect();
        if !headers.is_empty() {
            add(
                "access-control-allow-headers",
                headers.join(", ").as_bytes(),
            );
        }
        // Of no use to a browser here; the conformance suite of the Gateway API looks for it.
        if let Some(exposed) = &settings.exposed {
            add("access-control-expose-headers", exposed.as_bytes());
        }
        if let Some(max_age) = &settings.max_age {
            add("access-control-max-age", max_age.as_bytes());
        }
        if self.private_network == Network::Open {
            add("access-control-allow-private-network", b"true");
        }
    }

    /// All that is allowed of the same routes, so that a browser need not ask for each.
    fn methods(&self, settings: &Settings, routes: SameRoutes<'_>) -> String {
        let others = settings.methods.names.iter().map(String::as_str);
        let others = others.filter(|method| *method != self.method && routes.take(method));
        let mut methods: Vec<&str> = vec![self.method];
        methods.extend(others);
        methods.join(", ")
    }
}
