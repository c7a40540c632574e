//! One record for each finished exchange, a line of JSON.

mod attribute;
pub mod collector;
pub(crate) mod detail;
mod ending;
mod line;
mod name;
mod redact;
mod sample;
pub mod security;
mod subject;
mod time;
mod trace;

use std::fmt::Write as _;
use std::time::Duration;

use self::attribute::Attribute;
use self::detail::Parameters;
use self::line::Line;
use self::name::{ECS_VERSION, Name, Schema};
use self::redact::Shown;
use self::sample::Share;
use self::subject::Subjects;
use self::trace::Trace;
use crate::config::{Fields, Node, Problems};
use crate::exchange::PropertyName;
use crate::headers::{HeaderName, Headers};
use crate::host::Host;
use crate::metrics::Outcome;
use crate::policy::jwt::ClaimPath;
use crate::principal::Principal;
use crate::route::read_header_name;
use crate::schema::Violation;
use crate::stream::Stream;
use crate::target::Authority;

pub use self::ending::Ending;

/// `access_log`, ready to write.
#[derive(Debug)]
pub struct AccessLog {
    sinks: Vec<Sink>,
    schema: Schema,
    longest: usize,
    attributes: Vec<Attribute>,
    subjects: Subjects,
    query: Query,
    claims: Vec<(String, ClaimPath)>,
    headers: Vec<(String, HeaderName)>,
    redacted: Vec<String>,
    shares: Vec<(Ending, Share)>,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// The proxy's own log.
    ProxyLog,
    /// A value that the proxy's access loggers can print.
    FilterState(PropertyName),
    /// The document's collector.
    Collector,
}

/// What is shown of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Query {
    Off,
    Names,
    Values,
}

/// The key of the record among the values left for others.
const RECORD: &str = "record";

impl AccessLog {
    /// Reads the block.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let sinks = fields.or("sinks", vec![Sink::ProxyLog], problems, read_sinks);
        let schema = fields.or("schema", Schema::OpenTelemetry, problems, Schema::read);
        let longest = fields.or("max_bytes", 8 << 10, problems, read_longest);
        let attributes = fields.or(
            "attributes",
            Attribute::usual(),
            problems,
            Attribute::read_list,
        );
        let subjects = Subjects::read(&mut fields, problems);
        let query = fields.or("query", Query::Names, problems, |node, problems| {
            let choices = [
                ("names", Query::Names),
                ("values", Query::Values),
                ("off", Query::Off),
            ];
            if node.is_off() {
                return Some(Query::Off);
            }
            node.choice(problems, &choices)
        });
        let redacted = fields.or("redact", Vec::new(), problems, |node, problems| {
            node.list(problems, |item, problems| {
                item.name(problems).map(str::to_ascii_lowercase)
            })
        });
        let more = fields.or("fields", More::default(), problems, More::read);
        let shares = fields.or("sample", Vec::new(), problems, read_shares);
        fields.finish(problems);
        let More { claims, headers } = more?;
        Some(Self {
            sinks: sinks?,
            schema: schema?,
            longest: longest?,
            attributes: attributes?,
            subjects: subjects?,
            query: query?,
            claims,
            headers,
            redacted: redacted?,
            shares: shares?,
        })
    }

    /// Never shows the values of a header field.
    pub(crate) fn redact(&mut self, name: &HeaderName) {
        self.redacted.push(name.as_str().to_owned());
    }

    /// How many bytes a record has at most.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The request's fields that it shows, each with how many bytes of its values can matter.
    pub(crate) fn request_fields(&self) -> impl Iterator<Item = (&str, usize)> {
        let usual = [
            ":method",
            ":scheme",
            ":authority",
            ":path",
            "user-agent",
            "traceparent",
            "x-request-id",
        ];
        let more = self.headers.iter().map(|(_, field)| {
            let most = if self.hides(field) { 0 } else { usize::MAX };
            (field.as_str(), most)
        });
        usual.map(|name| (name, usize::MAX)).into_iter().chain(more)
    }

    /// Whether the values of a field are never shown.
    fn hides(&self, field: &HeaderName) -> bool {
        let named = self.redacted.iter().any(|each| each == field.as_str());
        named || redact::is_secret_header(field.as_str())
    }

    /// Where records go.
    pub fn sinks(&self) -> &[Sink] {
        &self.sinks
    }

    /// The value that it leaves for the proxy's access loggers, if it does.
    pub(crate) fn export(&self) -> Option<PropertyName> {
        self.sinks.iter().find_map(|sink| match sink {
            Sink::FilterState(name) => Some(name.clone()),
            Sink::ProxyLog | Sink::Collector => None,
        })
    }

    /// The variable of the VM's environment that it needs, if it needs one.
    pub fn environment(&self) -> Option<&str> {
        self.subjects.environment()
    }

    /// Whether records show what tokens say that are not accepted.
    pub(crate) fn shows_claimed(&self) -> bool {
        self.subjects.shows_claimed()
    }

    fn parameters(&self) -> Parameters {
        match self.query {
            Query::Off => Parameters::Hidden,
            Query::Names | Query::Values => Parameters::Shown,
        }
    }

    /// The record of an exchange, without a line break. `None` when it is not in the sample.
    ///
    /// `late` are the request's fields as the proxy still has them: the only ones there are for
    /// a request that never reached the filter.
    pub fn record(
        &self,
        stream: &Stream,
        late: Option<&Headers>,
        host: &dyn Host,
    ) -> Option<String> {
        let headers = match late {
            Some(headers) if stream.headers().is_empty() => headers,
            _ => stream.headers(),
        };
        let trace = headers.one("traceparent").ok().flatten();
        let trace = trace.and_then(Trace::parse);
        let request_id = headers.all("x-request-id").next();
        let share = self.share(stream);
        let trace_id = trace.map(|trace| trace.trace_id);
        if share != Share::ALL && !share.keeps(trace_id, request_id.unwrap_or_default()) {
            return None;
        }
        let mut line = Line::new(self.longest);
        let elapsed = stream.elapsed(host);
        // The date of the head and how long ago that was: a question less for the proxy.
        let written = match stream.started().zip(elapsed) {
            Some((started, elapsed)) => started.saturating_add(elapsed),
            None => time_stamp(host),
        };
        line.time(Name::Timestamp.of(self.schema), written);
        line.own(Name::Event.of(self.schema), "portcullis.access");
        self.kind(&mut line, stream);
        verdict(&mut line, stream, self.parameters());
        match (request_id, self.schema) {
            (None, _) => {}
            (Some(id), Schema::OpenTelemetry) => {
                line.list(Name::RequestId.of(self.schema), std::iter::once(id));
            }
            (Some(id), Schema::Elastic) => line.foreign(Name::RequestId.of(self.schema), id),
        }
        if let Some(Trace {
            trace_id,
            parent_id,
        }) = trace
        {
            line.own(Name::TraceId.of(self.schema), trace_id);
            line.own(Name::ParentId.of(self.schema), parent_id);
        }
        self.request(&mut line, headers);
        self.who(&mut line, stream, host);
        if let Some((name, standing)) = stream.facts().limits.tightest() {
            line.own("portcullis.rate_limit.name", name);
            line.number("portcullis.rate_limit.remaining", Some(standing.remaining));
        }
        line.number("portcullis.duration_us", elapsed.map(micros));
        line.number("portcullis.filter_us", stream.judging().map(micros));
        for attribute in &self.attributes {
            attribute.write(&mut line, self.schema, host);
        }
        self.more(&mut line, stream, headers);
        Some(line.finish())
    }

    fn share(&self, stream: &Stream) -> Share {
        let ending = match Ending::of(stream) {
            Ending::Judged(Outcome::Allowed) if !stream.record().shadow.is_empty() => {
                Ending::Judged(Outcome::ShadowDenied)
            }
            ending => ending,
        };
        let found = self.shares.iter().find(|(each, _)| *each == ending);
        found.map_or(Share::ALL, |(_, share)| *share)
    }

    /// What the Elastic Common Schema wants of every event.
    fn kind(&self, line: &mut Line, stream: &Stream) {
        if self.schema == Schema::Elastic {
            line.own("ecs.version", ECS_VERSION);
            line.own("event.kind", "event");
            let outcome = match Ending::of(stream) {
                Ending::Judged(Outcome::Allowed | Outcome::Answered) => "success",
                Ending::Judged(Outcome::Denied) => "failure",
                _ => "unknown",
            };
            line.own("event.outcome", outcome);
        }
    }

    fn request(&self, line: &mut Line, headers: &Headers) {
        let field = |name: &str| headers.all(name).next();
        line.optional("http.request.method", field(":method"));
        line.optional("url.scheme", field(":scheme"));
        if let Some(sent) = field(":authority") {
            let authority = Authority::parse(sent);
            // What is no host is shown as it was sent.
            let host = authority
                .as_ref()
                .map_or(sent, |each| each.host().as_bytes());
            line.foreign("server.address", time::without_port(host));
        }
        let mut target = field(":path").unwrap_or_default().splitn(2, |b| *b == b'?');
        line.path("url.path", target.next().filter(|path| !path.is_empty()));
        let query = target.next().filter(|query| !query.is_empty());
        if let (Some(query), Some(shown)) = (query, self.shown()) {
            line.query("url.query", query, &shown);
        }
        line.optional("user_agent.original", field("user-agent"));
    }

    /// What is shown of queries.
    fn shown(&self) -> Option<Shown<'_>> {
        match self.query {
            Query::Off => None,
            Query::Names => Some(Shown::Names),
            Query::Values => Some(Shown::Except(&self.redacted)),
        }
    }

    fn who(&self, line: &mut Line, stream: &Stream, host: &dyn Host) {
        if let Some(principal) = principal(stream) {
            self.subjects.write(line, principal, self.schema, host);
            line.optional("portcullis.issuer", principal.issuer().map(str::as_bytes));
            line.own("portcullis.provider", &principal.authority);
        }
        if let Some(claimed) = stream.record().claimed() {
            self.subjects.write_claimed(line, claimed, host);
        }
    }

    fn more(&self, line: &mut Line, stream: &Stream, headers: &Headers) {
        if let Some(principal) = principal(stream) {
            for (name, path) in &self.claims {
                if let Some(claim) = path.value(&principal.attributes) {
                    line.claim(name, claim);
                }
            }
        }
        for (name, field) in &self.headers {
            let secret = self.hides(field);
            let shown = |value| if secret { redact::REDACTED } else { value };
            let mut values = headers.all(field.as_str()).map(shown).peekable();
            if values.peek().is_none() {
                continue;
            }
            match redact::is_url_header(field.as_str()) {
                true => line.urls(name, values, self.shown().as_ref()),
                false => line.list(name, values),
            }
        }
    }
}

/// Whose token was accepted, whether or not it sufficed.
fn principal(stream: &Stream) -> Option<&Principal> {
    let accepted = stream.facts().principal.as_ref();
    accepted.or_else(|| stream.record().principal())
}

/// Members beyond the usual ones.
#[derive(Debug, Default)]
struct More {
    claims: Vec<(String, ClaimPath)>,
    headers: Vec<(String, HeaderName)>,
}

impl More {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let claims = fields.or("claims", Vec::new(), problems, |node, problems| {
            node.list(problems, |item, problems| {
                let mut name = String::from("portcullis.claim.");
                line::escape(&mut name, item.name(problems)?.as_bytes());
                Some((name, ClaimPath::read(item, problems)?))
            })
        });
        let headers = fields.or("headers", Vec::new(), problems, |node, problems| {
            node.list(problems, |item, problems| {
                let header = read_header_name(item, problems)?;
                Some((format!("http.request.header.{}", header.as_str()), header))
            })
        });
        fields.finish(problems);
        Some(Self {
            claims: claims?,
            headers: headers?,
        })
    }
}

fn read_sinks(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<Sink>> {
    #[derive(Clone, Copy)]
    enum Named {
        ProxyLog,
        FilterState,
        Collector,
    }
    let choices = [
        ("envoy_log", Named::ProxyLog),
        ("filter_state", Named::FilterState),
        ("otlp_http", Named::Collector),
    ];
    let mut sinks: Vec<Sink> = Vec::new();
    for item in node.list(problems, |item, problems| {
        Some((item.choice(problems, &choices)?, item.pointer().clone()))
    })? {
        let sink = match item.0 {
            Named::ProxyLog => Sink::ProxyLog,
            Named::Collector => Sink::Collector,
            Named::FilterState => Sink::FilterState(PropertyName::parse(RECORD)?),
        };
        if sinks.contains(&sink) {
            problems.report(&item.1, "is there twice");
            return None;
        }
        sinks.push(sink);
    }
    Some(sinks)
}

fn read_longest(node: &Node<'_>, problems: &mut Problems) -> Option<usize> {
    const RANGE: std::ops::RangeInclusive<u64> = 512..=64 << 10;
    let bytes = node.bytes(problems)?;
    if !RANGE.contains(&bytes) {
        node.report(problems, "must be from 512B to 64KiB");
        return None;
    }
    usize::try_from(bytes).ok()
}

fn read_shares(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<(Ending, Share)>> {
    let mut fields: Fields<'_> = node.fields(problems)?;
    let shares: Vec<Option<(Ending, Share)>> = Ending::ALL
        .iter()
        .map(|ending| {
            let share = fields.or(ending.name(), Share::ALL, problems, Share::read);
            share.map(|share| (*ending, share))
        })
        .collect();
    fields.finish(problems);
    shares.into_iter().collect()
}

/// When a record is written, for those who read it.
fn time_stamp(host: &dyn Host) -> Duration {
    #[allow(
        clippy::disallowed_methods,
        reason = "readers put records in order by the date"
    )]
    host.wall_clock()
}

fn verdict(line: &mut Line, stream: &Stream, parameters: Parameters) {
    let record = stream.record();
    line.own("portcullis.outcome", Ending::of(stream).name());
    if let Some(route) = stream.route_name() {
        line.own("portcullis.route", route);
    }
    if let Some(policy) = record.refused_by.or(record.answered_by) {
        line.own("portcullis.policy", policy);
    }
    if let Some(reason) = record.refusal {
        line.own("portcullis.code", reason.code.name);
        line.own("portcullis.reason", reason.name);
    }
    if let Some(detail) = &record.detail {
        line.detail("portcullis.detail", detail, parameters);
    }
    if !record.violations.is_empty() {
        line.structure("portcullis.errors", |out| errors(out, &record.violations));
    }
    let asked = stream.asked();
    if !asked.is_empty() {
        line.structure("portcullis.verdicts", |out| {
            out.push('{');
            for (index, (policy, verdict)) in asked.iter().enumerate() {
                for part in [
                    if index == 0 { "\"" } else { ",\"" },
                    policy,
                    "\":\"",
                    verdict.name(),
                    "\"",
                ] {
                    out.push_str(part);
                }
            }
            out.push('}');
        });
    }
    if !record.shadow.is_empty() {
        line.structure("portcullis.shadow", |out| {
            out.push('[');
            for (index, shadow) in record.shadow.iter().enumerate() {
                let separator = if index == 0 { "{" } else { ",{" };
                out.push_str(separator);
                if let Some(policy) = shadow.policy {
                    let _ = write!(out, "\"policy\":\"{policy}\",");
                }
                let (code, reason) = (shadow.reason.code.name, shadow.reason.name);
                let _ = write!(out, "\"code\":\"{code}\",\"reason\":\"{reason}\"");
                if let Some(detail) = &shadow.detail {
                    let before = out.len();
                    out.push_str(",\"detail\":");
                    if !detail::write(out, detail, parameters) {
                        out.truncate(before);
                    }
                }
                if !shadow.violations.is_empty() {
                    out.push_str(",\"errors\":");
                    errors(out, &shadow.violations);
                }
                out.push('}');
            }
            out.push(']');
        });
    }
}

/// What a schema found wrong. Names in the pointers may be a client's; values are never there.
pub(crate) fn errors(out: &mut String, violations: &[Violation]) {
    for (index, violation) in violations.iter().enumerate() {
        out.push_str(if index == 0 { "[{" } else { ",{" });
        for (name, value) in [
            ("instance", violation.instance.as_str()),
            ("keyword", violation.keyword),
            ("schema", violation.schema.as_str()),
        ] {
            let separator = if out.ends_with('{') { "" } else { "," };
            let _ = write!(out, "{separator}\"{name}\":");
            line::quoted(out, &redact::tokens(value.as_bytes()));
        }
        out.push('}');
    }
    out.push(']');
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
