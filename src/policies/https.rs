//! Asks for TLS between the client and the proxy, by what the connection says.

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::connection::says_https;
use portcullis_exchange::exchange::{Exchange, Request};
use portcullis_exchange::host::{Host, Property};
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::refusal::{
    Blame, Code, ErrorProtocol, Fact, Reason, Refusal, Reply, Selector, grpc,
};
use portcullis_exchange::route::HostPattern;
use portcullis_wire::headers::{HeaderName, HeaderValue};

/// `https: { on_cleartext, hosts, port, min_tls_version, trust_forwarded_proto }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "https",
    role: Role::Guards,
    codes: &[&REQUIRED, &TOO_OLD],
    compile: Compile::Object(compile),
    rules: &[
        (Selector::Code(&TOO_OLD), "min_tls_version"),
        (Selector::Reason(&REDIRECT_HOST), "hosts"),
        (Selector::Code(&REQUIRED), "on_cleartext"),
    ],
};

static REQUIRED: Code = Code {
    name: "https_required",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "This is available over HTTPS only.",
    reasons: &[&CLEARTEXT, &REDIRECT_HOST],
};

static CLEARTEXT: Reason = Reason::new("cleartext", &REQUIRED, Blame::Request);
static REDIRECT_HOST: Reason = Reason::new("host", &REQUIRED, Blame::Request);

static TOO_OLD: Code = Code {
    name: "tls_version_too_old",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "A newer version of TLS is needed.",
    reasons: &[&TLS_VERSION],
};

static TLS_VERSION: Reason = Reason::new("tls_version", &TOO_OLD, Blame::Request);

/// The block, ready to judge.
struct Https {
    on_cleartext: OnCleartext,
    trust: Trust,
}

enum OnCleartext {
    Refuse,
    Redirect(Redirect),
}

/// To the same path on the same host. Hosts are named, because a client names any it likes.
struct Redirect {
    hosts: Vec<HostPattern>,
    /// Stands behind the host: nothing, or a colon and the port.
    port: String,
    location: HeaderName,
}

/// By what a connection is known to be encrypted.
enum Trust {
    /// It has TLS itself, of that version or a later one.
    Connection(TlsVersion),
    /// Or the proxy in front says so, of which nobody else can reach this one.
    ForwardedProto,
}

/// Versions in order. Anything older than 1.2, SSL included, is as good as none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TlsVersion {
    Older,
    V1_2,
    V1_3,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let problems = &mut *context.problems;
    let on_cleartext = fields.or_default(
        "on_cleartext",
        CleartextAction::Refuse,
        problems,
        |node, problems| {
            node.choice(
                problems,
                &[
                    ("refuse", CleartextAction::Refuse),
                    ("redirect", CleartextAction::Redirect),
                ],
            )
        },
    );
    let hosts = fields.or_default("hosts", Vec::new(), problems, |node, problems| {
        node.list(problems, HostPattern::read)
    });
    let port = fields.or_default("port", String::new(), problems, read_port);
    let minimum = fields.optional("min_tls_version");
    let version = match &minimum {
        None => Some(TlsVersion::Older),
        Some(node) => node.choice(
            problems,
            &[("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)],
        ),
    };
    let forwarded = fields.or_default(
        "trust_forwarded_proto",
        false,
        problems,
        |node, problems| node.boolean(problems),
    );
    let trust = match (forwarded?, minimum) {
        (false, _) => Trust::Connection(version?),
        (true, None) => Trust::ForwardedProto,
        (true, Some(node)) => {
            node.report(problems, "does not go with `trust_forwarded_proto`: the version that a proxy in front has agreed on is not known here; set it there");
            return None;
        }
    };
    let (hosts, port) = (hosts?, port?);
    let on_cleartext = match (on_cleartext?, hosts.is_empty()) {
        (CleartextAction::Refuse, _) => OnCleartext::Refuse,
        (CleartextAction::Redirect, true) => {
            fields.lacks(
                &["hosts"],
                problems,
                "a redirect needs `hosts`: the request's own `Host` can name any, and would lead anywhere",
            );
            return None;
        }
        (CleartextAction::Redirect, false) => OnCleartext::Redirect(Redirect {
            hosts,
            port,
            location: HeaderName::parse("location").ok()?,
        }),
    };
    Some(ChainPart::only(
        Stage::Transport,
        Https {
            on_cleartext,
            trust,
        },
    ))
}

/// What `on_cleartext` says.
#[derive(Clone, Copy)]
enum CleartextAction {
    Refuse,
    Redirect,
}

fn read_port(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let port = node.integer(problems, 1..=65535)?;
    Some(if port == 443 {
        String::new()
    } else {
        format!(":{port}")
    })
}

impl Policy for Https {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let request = &exchange.request;
        let version = host.property(Property::TlsVersion);
        match (version.as_deref().map(TlsVersion::read), &self.trust) {
            (Some(version), Trust::Connection(minimum)) if version < *minimum => {
                let found = Fact::Word(version.name());
                Verdict::Refuse(Refusal::new(&TLS_VERSION).and("found", found))
            }
            (Some(_), _) => Verdict::Pass,
            (None, Trust::ForwardedProto) if says_https(request.headers) => Verdict::Pass,
            (None, _) => self.cleartext(request),
        }
    }

    fn declares(&self) -> Declaration {
        Declaration {
            trusts_forwarded_proto: matches!(self.trust, Trust::ForwardedProto),
            ..Declaration::default()
        }
    }
}

impl Https {
    fn cleartext(&self, request: &Request<'_>) -> Verdict {
        let refuse = |reason| Verdict::Refuse(Refusal::new(reason));
        match (&self.on_cleartext, ErrorProtocol::of(request.headers, None)) {
            (OnCleartext::Redirect(redirect), ErrorProtocol::Http(_)) => redirect
                .reply(request)
                .map_or_else(|| refuse(&REDIRECT_HOST), Verdict::Respond),
            // A gRPC client follows no redirect.
            _ => refuse(&CLEARTEXT),
        }
    }
}

impl Redirect {
    /// None if the request names a host that is not ours.
    fn reply(&self, request: &Request<'_>) -> Option<Reply> {
        let path = std::str::from_utf8(request.headers.one(":path").ok()??).ok()?;
        let host = request.host();
        if !self.hosts.iter().any(|pattern| pattern.matches(host)) {
            return None;
        }
        let location = format!("https://{host}{}{path}", self.port);
        let location = HeaderValue::parse(location.as_bytes()).ok()?;
        Some(Reply {
            status: 308,
            grpc_status: grpc::UNAVAILABLE,
            headers: vec![(self.location.clone(), location)],
            body: Vec::new(),
            details: "portcullis.https.redirect".to_owned(),
        })
    }
}

impl TlsVersion {
    /// The word in the log.
    fn name(self) -> &'static str {
        match self {
            TlsVersion::Older => "older",
            TlsVersion::V1_2 => "1.2",
            TlsVersion::V1_3 => "1.3",
        }
    }

    fn read(name: &[u8]) -> Self {
        match name {
            b"TLSv1.3" => TlsVersion::V1_3,
            b"TLSv1.2" => TlsVersion::V1_2,
            _ => TlsVersion::Older,
        }
    }
}
