//! How `access_log` is read.

use std::cell::OnceCell;
use std::rc::Rc;

use super::line;
use super::member::Member;
use super::members::MEMBERS;
use super::name::Convention;
use super::planned_line::WrittenSecond;
use super::sample::{FIELDS, SampleRate, Sampled};
use super::subject::Subjects;
use super::{AccessLog, Query, Sink};
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::condition::ClaimPath;
use portcullis_exchange::exchange::FilterStateKey;
use portcullis_exchange::route::read_header_name;
use portcullis_exchange::section::{Reading, Registry, Section, Variable};
use portcullis_wire::budget::Share;
use portcullis_wire::headers::HeaderName;

/// The key of the record among the values left for others.
const RECORD: &str = "record";

/// What the proxy is asked for unless the document says otherwise.
const USUAL: [&str; 2] = ["status", "client"];

impl AccessLog {
    /// Reads the block.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let sinks = fields.or_default("sinks", vec![Sink::ProxyLog], problems, read_sinks);
        let schema = fields.or_default(
            "schema",
            Convention::OpenTelemetry,
            problems,
            Convention::read,
        );
        let longest = fields.or_default("max_bytes", 8 << 10, problems, read_longest);
        let usual = || attributes().filter(|(name, _)| USUAL.contains(name));
        let usual: Vec<&Member> = usual().map(|(_, member)| member).collect();
        let attributes = fields.or_default("attributes", usual, problems, read_attributes);
        let subjects = Subjects::read(&mut fields, problems);
        let query = fields.or_default("query", Query::Names, problems, |node, problems| {
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
        let redacted = fields.or_default("redact", Vec::new(), problems, |node, problems| {
            node.list(problems, |item, problems| {
                item.non_empty(problems).map(str::to_ascii_lowercase)
            })
        });
        let more = fields.or_default("fields", More::default(), problems, More::read);
        let shares = fields.or_default("sample", Vec::new(), problems, read_shares);
        fields.deny_unknown(problems);
        let (more, schema) = (more?, schema?);
        // The memory of the last record is kept for the next. A text takes up to twice its length.
        let kept = longest?.saturating_mul(2);
        problems.account(node.pointer(), Share::Documents, kept);
        Some(Self {
            sinks: sinks?,
            schema,
            longest: longest?,
            members: members(schema, &attributes?),
            subjects: subjects?,
            query: query?,
            claims: more.claims,
            headers: more.headers,
            roles: more.roles,
            redacted: redacted?,
            shares: shares?,
            second: WrittenSecond::default(),
            keys: OnceCell::new(),
        })
    }
}

impl Section for AccessLog {
    const NAME: &'static str = "access_log";

    const MAY_BE_OFF: bool = true;

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        Self::read(node, reading.problems)
    }

    /// The value that is left for the proxy's own access loggers, and the key by which subjects are hashed.
    fn register(section: &Rc<Self>, registry: &mut Registry) {
        registry.exports.extend(section.export());
        let key = section.subjects.environment();
        let key = key.map(|key| Variable::new(Self::NAME, key, "records do not name subjects"));
        registry.environment.extend(key);
    }
}

/// Members beyond the usual ones.
#[derive(Debug, Default)]
struct More {
    claims: Vec<(String, ClaimPath)>,
    headers: Vec<(String, HeaderName)>,
    roles: bool,
}

impl More {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let claims = fields.or_default("claims", Vec::new(), problems, |node, problems| {
            node.list(problems, |item, problems| {
                let mut name = String::from("portcullis.claim.");
                line::escape(&mut name, item.non_empty(problems)?.as_bytes());
                Some((name, ClaimPath::read(item, problems)?))
            })
        });
        let headers = fields.or_default("headers", Vec::new(), problems, |node, problems| {
            node.list(problems, |item, problems| {
                let header = read_header_name(item, problems)?;
                Some((format!("http.request.header.{}", header.as_str()), header))
            })
        });
        let roles = fields.or_default("roles", false, problems, |node, problems| {
            node.boolean(problems)
        });
        fields.deny_unknown(problems);
        Some(Self {
            roles: roles?,
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
            Named::FilterState => Sink::FilterState(FilterStateKey::parse(RECORD)?),
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

fn read_shares(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<(Sampled, SampleRate)>> {
    let mut fields: Fields<'_> = node.fields(problems)?;
    let shares: Vec<Option<(Sampled, SampleRate)>> = FIELDS
        .iter()
        .map(|(name, sampled)| {
            let share = fields.or_default(name, SampleRate::ALL, problems, SampleRate::read);
            share.map(|share| (*sampled, share))
        })
        .collect();
    fields.deny_unknown(problems);
    shares.into_iter().collect()
}

/// The members that the proxy is asked for, as `attributes` names them: a list, or `"all"`.
fn read_attributes(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<&'static Member>> {
    let all: Vec<(&str, &Member)> = attributes().collect();
    if node.json().as_str() == Some("all") {
        return Some(all.into_iter().map(|(_, member)| member).collect());
    }
    let mut named: Vec<&Member> = Vec::new();
    for member in node.list(problems, |item, problems| item.choice(problems, &all))? {
        if !named.iter().any(|each| std::ptr::eq(*each, member)) {
            named.push(member);
        }
    }
    Some(named)
}

/// The members that the proxy can be asked for, each with the word that asks for it.
fn attributes() -> impl Iterator<Item = (&'static str, &'static Member)> {
    MEMBERS
        .iter()
        .filter_map(|member| Some((member.attribute()?, member)))
}

/// The members of records in their order; those that the proxy is asked for in the order in which
/// the document names them.
fn members(schema: Convention, asked: &[&'static Member]) -> Vec<(&'static str, &'static Member)> {
    let mut asked = asked.iter().copied();
    let members = MEMBERS
        .iter()
        .filter_map(|member| match member.attribute() {
            Some(_) => asked.next(),
            None => Some(member),
        });
    members
        .filter_map(|member| Some((member.name_in(schema)?, member)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

    /// The names of the members that the proxy is asked for, in the order of a record.
    fn asked(attributes: &str) -> Vec<&'static str> {
        let document = format!(
            r#"{{"version":1,"access_log":{{"attributes":{attributes}}},"routes":[{{"name":"a","match":{{}},"open":true}}]}}"#
        );
        let engine = Engine::compile(document.as_bytes()).unwrap();
        let members = engine.access_log().unwrap().members.iter();
        members
            .filter_map(|(_, member)| member.attribute())
            .collect()
    }

    #[test]
    fn the_proxy_is_asked_once_for_what_the_document_names() {
        assert_eq!(
            asked(r#"["upstream", "client", "upstream"]"#),
            ["upstream", "client"]
        );
        let all: Vec<_> = attributes().map(|(name, _)| name).collect();
        assert_eq!(asked(r#""all""#), all);
    }
}
