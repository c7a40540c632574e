//! Texts with places that a request fills: `{claim.sub}`, `{path.id}` and few others.
//!
//! INVARIANT: what is filled in is checked as bytes, by [`HeaderValue::parse`], or is written so that it means
//! itself in a URI. No value ends its line, and none names another host than the text does.

use portcullis_document::{DidYouMean, Node, Pointer, Problems, Quoted};
use portcullis_exchange::condition::ClaimPath;
use portcullis_exchange::exchange::{Facts, Request};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{Context, RedirectTarget, RoutePath};
use portcullis_exchange::refusal::usable_id;
use portcullis_exchange::target::Authority;
use portcullis_wire::headers::HeaderValue;
use portcullis_wire::json::Json;
use portcullis_wire::json::compact::Value;

/// A text with places that a request fills.
#[derive(Clone, Debug)]
pub(crate) struct ValueTemplate {
    parts: Vec<TemplatePart>,
}

#[derive(Clone, Debug)]
enum TemplatePart {
    Text(String),
    Place(TemplateSource),
}

/// What fills a place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplateSource {
    Claim(ClaimPath),
    Variable(Box<str>),
    Caller,
    ClientAddress,
    RequestId,
    Method,
    Host,
    RawPath,
    RawQuery,
    Route,
}

/// What a text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueUse {
    /// The value of a header field.
    Field,
    /// The address of a redirect.
    Location,
}

/// What texts are filled with.
#[derive(Clone, Copy)]
pub(crate) struct Filling<'f> {
    pub(crate) request: &'f Request<'f>,
    pub(crate) facts: &'f Facts,
    pub(crate) route: &'f str,
    pub(crate) path: &'f RoutePath,
    pub(crate) host: &'f dyn Host,
}

/// What comes of filling a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// The whole text.
    Value(HeaderValue),
    /// There is nothing for one of its places.
    Absent,
    /// What there is for one of its places cannot stand there.
    Unwritable,
}

/// The longest text that is made.
const LONGEST: usize = 4096;

/// The names of places that stand for themselves.
const PLAIN: [(&str, TemplateSource); 8] = [
    ("caller", TemplateSource::Caller),
    ("client.address", TemplateSource::ClientAddress),
    ("request.id", TemplateSource::RequestId),
    ("request.method", TemplateSource::Method),
    ("request.host", TemplateSource::Host),
    ("request.path", TemplateSource::RawPath),
    ("request.query", TemplateSource::RawQuery),
    ("route", TemplateSource::Route),
];

impl ValueTemplate {
    /// Reads one.
    pub(crate) fn read(
        node: &Node<'_>,
        usage: ValueUse,
        context: &mut Context<'_>,
    ) -> Option<Self> {
        let written = node.text(context.problems)?;
        let template = match Self::parse(written) {
            Ok(template) => template,
            Err(reason) => {
                node.report(context.problems, reason);
                return None;
            }
        };
        template.fits(node, usage, context)?;
        Some(template)
    }

    fn parse(written: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = written;
        while let Some(place) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(place);
            text.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                text.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                text.push('}');
                rest = after;
            } else {
                let inner = from
                    .strip_prefix('{')
                    .and_then(|inner| inner.split_once('}'));
                let Some((name, after)) = inner else {
                    return Err("has a brace that belongs to no place; a brace that stands for itself is written twice".to_owned());
                };
                if !text.is_empty() {
                    parts.push(TemplatePart::Text(std::mem::take(&mut text)));
                }
                parts.push(TemplatePart::Place(TemplateSource::parse(name)?));
                rest = after;
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(TemplatePart::Text(text));
        }
        if has_command(written) {
            return Err(
                "has a command of Envoy's, which nobody fills here; say it as a place, such as {claim.sub}, {client.address} or {request.id}"
                    .to_owned(),
            );
        }
        Ok(Self { parts })
    }

    /// Whether the text and its places can be what they are for. What cannot is reported.
    fn fits(&self, node: &Node<'_>, usage: ValueUse, context: &mut Context<'_>) -> Option<()> {
        if let Some(value) = self.constant()
            && let Err(error) = HeaderValue::parse(value.as_bytes())
        {
            node.report(context.problems, error);
            return None;
        }
        let mut texts = self.parts.iter();
        let is_text = |part: &TemplatePart| match part {
            TemplatePart::Text(text) => HeaderValue::parse(format!("x{text}x").as_bytes()).is_ok(),
            TemplatePart::Place(_) => true,
        };
        if !texts.all(is_text) {
            node.report(context.problems, "has a control character");
            return None;
        }
        let path = context.route_path();
        for name in self.variables() {
            let has = path.variables().is_some_and(|all| all.has(name));
            if !has && context.is_matched {
                let near = path.variables().map(|all| all.names()).unwrap_or_default();
                let near = DidYouMean(name, near.into_iter()).to_string();
                node.report(
                    context.problems,
                    format_args!(
                        "the template of the route's path has no variable {}{near}",
                        Quoted(name)
                    ),
                );
                return None;
            }
        }
        match usage {
            ValueUse::Field => Some(()),
            ValueUse::Location => self.leads(node, context.problems),
        }
    }

    /// Whether it says itself where it leads: no place may be, or be part of, the host.
    fn leads(&self, node: &Node<'_>, problems: &mut Problems) -> Option<()> {
        let first = match self.parts.first() {
            Some(TemplatePart::Text(text)) => text.as_str(),
            _ => "",
        };
        let next = self.parts.get(1);
        let is_path_next = matches!(next, Some(TemplatePart::Place(TemplateSource::RawPath)));
        let authority = first
            .strip_prefix("https://")
            .or_else(|| first.strip_prefix("http://"));
        let names_host = authority.is_some_and(|rest| {
            let end = rest.find(['/', '?', '#']);
            let host = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let is_whole = end.is_some() || next.is_none() || is_path_next;
            let plain = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
            is_whole && !host.is_empty() && host.bytes().all(plain)
        });
        let starts_path = first.starts_with('/')
            && !first.starts_with("//")
            && !first.starts_with("/\\")
            && (first.len() > 1 || next.is_none());
        let is_uri = |part: &TemplatePart| match part {
            TemplatePart::Text(text) => text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'),
            TemplatePart::Place(_) => true,
        };
        if !self.parts.iter().all(is_uri) {
            node.report(problems, "must be a URI: visible ASCII without `\\`");
            return None;
        }
        if names_host || starts_path {
            return Some(());
        }
        node.report(
            problems,
            "must say itself where it leads: begin with \"https://\", a host and \"/\" or {request.path}, or with a path that does not begin with a place, such as \"/new/{path.id}\"; otherwise a client could choose the host",
        );
        None
    }

    /// Whether it leads where anybody on the way can read and change what is asked.
    pub(crate) fn is_unencrypted(&self) -> bool {
        let first = self.parts.first();
        matches!(first, Some(TemplatePart::Text(text)) if text.starts_with("http://"))
    }

    /// Where it leads, for those who ask whether it leads in a circle; the methods that follow are given.
    pub(crate) fn target(
        &self,
        place: &Pointer,
        method: Option<&'static str>,
    ) -> Option<RedirectTarget> {
        let sample = |part: &TemplatePart| match part {
            TemplatePart::Text(text) => text.clone(),
            TemplatePart::Place(TemplateSource::RawPath) => "/x".to_owned(),
            TemplatePart::Place(TemplateSource::RawQuery) => String::new(),
            TemplatePart::Place(_) => "x".to_owned(),
        };
        let mut parts = self.parts.iter();
        let TemplatePart::Text(first) = parts.next()? else {
            return None;
        };
        let (host, begin) = match first.split_once("://") {
            None => (None, first.as_str()),
            Some((_, rest)) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (authority, path) = rest.split_at_checked(end)?;
                let authority = Authority::parse(authority.as_bytes()).ok()?;
                (Some(authority.host().into()), path)
            }
        };
        let next = self.parts.get(1);
        let is_own = matches!(next, Some(TemplatePart::Place(TemplateSource::RawPath)));
        let whole: String = std::iter::once(begin.to_owned())
            .chain(parts.map(sample))
            .collect();
        let path = whole.split(['?', '#']).next().unwrap_or_default();
        let path = if path.is_empty() { "/" } else { path };
        let is_whole = self
            .parts
            .get(2)
            .is_none_or(|part| matches!(part, TemplatePart::Place(TemplateSource::RawQuery)));
        Some(RedirectTarget {
            place: place.clone(),
            host,
            path: (!(begin.is_empty() && is_own && is_whole)).then(|| path.into()),
            is_constant: self.constant().is_some(),
            method,
        })
    }

    /// The text, if it has no places.
    pub(crate) fn constant(&self) -> Option<String> {
        let mut whole = String::new();
        for part in &self.parts {
            match part {
                TemplatePart::Text(text) => whole.push_str(text),
                TemplatePart::Place(_) => return None,
            }
        }
        Some(whole)
    }

    fn places(&self) -> impl Iterator<Item = &TemplateSource> {
        self.parts.iter().filter_map(|part| match part {
            TemplatePart::Text(_) => None,
            TemplatePart::Place(source) => Some(source),
        })
    }

    fn variables(&self) -> impl Iterator<Item = &str> {
        self.places().filter_map(|source| match source {
            TemplateSource::Variable(name) => Some(&**name),
            _ => None,
        })
    }

    /// Whether it tells who calls.
    pub(crate) fn tells_caller(&self) -> bool {
        self.places()
            .any(|source| matches!(source, TemplateSource::Claim(_) | TemplateSource::Caller))
    }

    /// The text for a request.
    pub(crate) fn fill(&self, usage: ValueUse, filling: &Filling<'_>) -> Filled {
        let mut whole: Vec<u8> = Vec::new();
        for part in &self.parts {
            match part {
                TemplatePart::Text(text) => whole.extend_from_slice(text.as_bytes()),
                TemplatePart::Place(source) => match source.bytes(filling) {
                    Filled::Value(value) if usage == ValueUse::Field => {
                        whole.extend_from_slice(value.as_bytes());
                    }
                    Filled::Value(value) => source.encode(value.as_bytes(), &mut whole),
                    other => return other,
                },
            }
            if whole.len() > LONGEST {
                return Filled::Unwritable;
            }
        }
        // One that began with "//" would be another host.
        if usage == ValueUse::Location && whole.starts_with(b"//") {
            return Filled::Unwritable;
        }
        match HeaderValue::parse(&whole) {
            Ok(value) => Filled::Value(value),
            Err(_) => Filled::Unwritable,
        }
    }
}

impl TemplateSource {
    fn parse(name: &str) -> Result<Self, String> {
        if let Some((_, source)) = PLAIN.iter().find(|(plain, _)| *plain == name) {
            return Ok(source.clone());
        }
        if let Some(variable) = name.strip_prefix("path.").filter(|name| !name.is_empty()) {
            return Ok(TemplateSource::Variable(variable.into()));
        }
        if let Some(claim) = name.strip_prefix("claim.").filter(|name| !name.is_empty()) {
            let mut problems = Problems::default();
            let json = Json::String(claim.to_owned());
            return ClaimPath::read(&Node::root(&json), &mut problems)
                .map(TemplateSource::Claim)
                .ok_or_else(|| format!("{} names no claim", Quoted(name)));
        }
        let names = PLAIN.iter().map(|(plain, _)| *plain);
        let near = DidYouMean(name, names.clone());
        let all: Vec<&str> = ["claim.<name>", "path.<variable>"]
            .into_iter()
            .chain(names)
            .collect();
        Err(format!(
            "{} is no place that a request fills{near}; there are {}",
            Quoted(name),
            all.join(", ")
        ))
    }

    /// What a request has for it.
    fn bytes(&self, filling: &Filling<'_>) -> Filled {
        let Filling {
            request,
            facts,
            route,
            path,
            host,
        } = filling;
        let written = |bytes: &[u8]| match HeaderValue::parse(bytes) {
            Ok(value) => Filled::Value(value),
            Err(_) => Filled::Unwritable,
        };
        let attributes = facts.principal.as_ref().map(|each| &each.attributes);
        match self {
            TemplateSource::Claim(claim) => {
                match attributes.and_then(|attributes| claim.value(attributes)) {
                    None | Some(Value::Null) => Filled::Absent,
                    Some(value) => match value.as_str() {
                        Some(text) => written(text.as_bytes()),
                        None if is_scalar(&value) => written(value.to_string().as_bytes()),
                        None => Filled::Unwritable,
                    },
                }
            }
            TemplateSource::Caller => {
                let names = ["sub", "client", "client_id"].into_iter();
                let name = attributes.and_then(|attributes| {
                    let mut found = names.filter_map(|name| attributes.member(name));
                    found.find_map(Value::as_str)
                });
                name.map_or(Filled::Absent, |name| written(name.as_bytes()))
            }
            TemplateSource::Variable(name) => {
                let mut readings = request.target.readings();
                let values = |reading: &str| {
                    let variables = path.variables()?;
                    variables
                        .value(name, reading)
                        .map(|value| value.into_owned())
                };
                let first = readings.next().and_then(|(path, _)| values(path));
                // What servers may read in two ways is written in none.
                match first {
                    Some(first)
                        if readings.all(|(path, _)| values(path).as_ref() == Some(&first)) =>
                    {
                        written(first.as_bytes())
                    }
                    Some(_) => Filled::Unwritable,
                    None => Filled::Absent,
                }
            }
            TemplateSource::ClientAddress => facts.client(*host).map_or(Filled::Absent, |client| {
                written(client.to_string().as_bytes())
            }),
            TemplateSource::RequestId => {
                let id = request.headers.one("x-request-id").ok().flatten();
                match id.map(usable_id) {
                    None => Filled::Absent,
                    Some(None) => Filled::Unwritable,
                    Some(Some(id)) => written(id.as_bytes()),
                }
            }
            TemplateSource::Method => written(request.method().as_bytes()),
            TemplateSource::Host => written(request.host().as_bytes()),
            TemplateSource::RawPath => {
                let raw = request
                    .headers
                    .one(":path")
                    .ok()
                    .flatten()
                    .unwrap_or_default();
                let path = raw.split(|b| matches!(b, b'?' | b'#')).next();
                match path.unwrap_or_default() {
                    path @ [b'/', ..] => written(path),
                    _ => Filled::Unwritable,
                }
            }
            TemplateSource::RawQuery => match request.query() {
                Some(query) => written(&[b"?", query].concat()),
                None => written(b""),
            },
            TemplateSource::Route => written(route.as_bytes()),
        }
    }

    /// Writes a value into an address, where it means itself.
    fn encode(&self, value: &[u8], out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let raw: &[u8] = match self {
            // These are parts of an address already.
            TemplateSource::RawPath => b"/-._~%!$&'()*+,;=:@",
            TemplateSource::RawQuery => b"/-._~%!$&'()*+,;=:@?",
            TemplateSource::Variable(_) => b"/-._~",
            _ => b"-._~",
        };
        for byte in value {
            if byte.is_ascii_alphanumeric() || raw.contains(byte) {
                out.push(*byte);
                continue;
            }
            let digit = |number: u8| HEX.get(usize::from(number)).copied().unwrap_or(b'0');
            out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// Whether a text has what Envoy fills in its own configuration: `%REQ(x-tenant)%`, `%PROTOCOL%`. What is
/// percent-encoded has two digits.
fn has_command(text: &str) -> bool {
    let is_named = |b: &u8| b.is_ascii_uppercase() || *b == b'_';
    text.match_indices('%').any(|(at, _)| {
        let after = text.as_bytes().get(at..).unwrap_or_default();
        let letters = after.iter().skip(1).take_while(|b| is_named(b)).count();
        let end = after.get(letters.saturating_add(1));
        letters > 2 && matches!(end, Some(b'%' | b'('))
    })
}

fn is_scalar(value: &Value<'_>) -> bool {
    let text = value.to_string();
    !matches!(text.as_bytes().first(), Some(b'{' | b'['))
}

#[cfg(test)]
mod tests;
