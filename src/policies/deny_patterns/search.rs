//! One look through a head or a body.

use std::borrow::Cow;

use portcullis_detect::base64::{self, text_in_base64};
use portcullis_detect::{Class, Classes, Context, Found, Scores};
use portcullis_exchange::exchange::Request;
use portcullis_exchange::host::Host;
use portcullis_exchange::meter::Event;
use portcullis_exchange::policy::Verdict;
use portcullis_exchange::refusal::{Detail, Disclosure, Fact, Refusal};
use portcullis_formats::xml::{
    XmlFault, XmlLimits, XmlName, XmlText, XmlWatch, watch as watch_xml,
};
use portcullis_schema::Violation;
use portcullis_wire::effort::TooCostly;
use portcullis_wire::headers::Headers;
use portcullis_wire::regex::Effort;

use super::except::LeftAlone;
use super::place::SearchedPart;
use super::whereabouts::Whereabouts;
use super::{BODY_UNREAD, DenyPatterns, EFFORT, json};
use crate::forms::multipart::{self, FormPart};
use crate::rate_limits::key::query::decode as decode_leniently;

/// How many parts a form may have to be read.
const MOST_PARTS: usize = 200;

/// A look through texts of one request.
pub(super) struct Search<'p> {
    policy: &'p DenyPatterns,
    effort: Effort,
    /// What there is so far.
    pub(super) scores: Scores,
    outcome: Option<(Refusal, Option<Class>)>,
}

/// What was found in a text.
enum Finding {
    Nothing,
    Evidence(Found),
    /// In what the text is in Base64.
    Encoded(Found),
    /// The pattern of the document's at that place.
    Own(usize),
}

impl<'p> Search<'p> {
    pub(super) fn new(policy: &'p DenyPatterns, effort: Effort, scores: Scores) -> Self {
        Self {
            policy,
            effort,
            scores,
            outcome: None,
        }
    }

    /// What comes of it; none if there is nothing to object to.
    pub(super) fn verdict(&mut self, host: &dyn Host) -> Option<Verdict> {
        let (refusal, class) = self.outcome.take()?;
        if let Some(class) = class {
            host.count(event(class).counter());
        }
        Some(Verdict::Refuse(refusal))
    }

    pub(super) fn head(&mut self, request: &Request<'_>) {
        for place in &self.policy.places {
            match place {
                SearchedPart::Path => {
                    let path = request.target.path().as_bytes();
                    self.see(path, Context::Path, Whereabouts::of(*place));
                }
                SearchedPart::Query => self.pairs(*place, request.query().unwrap_or_default()),
                SearchedPart::Headers => self.headers(request.headers),
                SearchedPart::Cookies => self.cookies(request.headers),
                SearchedPart::Json
                | SearchedPart::Form
                | SearchedPart::Multipart
                | SearchedPart::Xml
                | SearchedPart::Text => {}
            }
        }
    }

    pub(super) fn body(&mut self, place: SearchedPart, bytes: &[u8], boundary: Option<&str>) {
        match (place, boundary) {
            (SearchedPart::Json, _) => self.json(bytes),
            (SearchedPart::Xml, _) => self.xml(bytes),
            (SearchedPart::Text, _) => self.see(bytes, Context::Text, Whereabouts::of(place)),
            (SearchedPart::Multipart, Some(boundary)) => self.parts(bytes, boundary),
            (SearchedPart::Multipart, None) => self.refuse(Refusal::new(&BODY_UNREAD)),
            _ => self.pairs(place, bytes),
        }
    }

    fn headers(&mut self, headers: &Headers) {
        let own = |name: &[u8]| name.starts_with(b":") || name == b"cookie";
        for (name, value) in headers.iter().filter(|(name, _)| !own(name)) {
            let at = Whereabouts {
                name: Some(name),
                ..Whereabouts::of(SearchedPart::Headers)
            };
            let context = match is_file_name(name) {
                true => Context::FileName,
                false => Context::Header,
            };
            self.see(value, context, at);
            if matches!(name, b"authorization" | b"proxy-authorization") {
                self.basic(value, at);
            }
        }
    }

    /// Name and password of the scheme `Basic`.
    fn basic(&mut self, value: &[u8], at: Whereabouts<'_>) {
        let (scheme, encoded) = value.split_at_checked(5).unwrap_or_default();
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return;
        }
        let Some(text) = text_in_base64(encoded, 1) else {
            return;
        };
        let finding = self.credentials(&text, &at);
        self.settle(finding, &at);
    }

    fn credentials(&mut self, text: &[u8], at: &Whereabouts<'_>) -> Result<Finding, TooCostly> {
        let Some(left_out) = self.left_out(at)? else {
            return Ok(Finding::Nothing);
        };
        for half in text.splitn(2, |b| *b == b':') {
            if let Some(found) = self.evidence(half, Context::Value, left_out)? {
                return Ok(Finding::Encoded(found));
            }
        }
        Ok(Finding::Nothing)
    }

    fn cookies(&mut self, headers: &Headers) {
        let cookies = headers
            .all("cookie")
            .flat_map(|line| line.split(|b| *b == b';'));
        for (index, cookie) in cookies.enumerate() {
            let mut halves = cookie.splitn(2, |b| *b == b'=').map(<[u8]>::trim_ascii);
            let mut half = || match halves.next().unwrap_or_default() {
                half if half.contains(&b'%') => Cow::Owned(decode_leniently(half)),
                half => Cow::Borrowed(half),
            };
            let (name, value) = (half(), half());
            self.named(SearchedPart::Cookies, index, &name, &value);
        }
    }

    /// Names and values of a query or a form, read as leniently as any service reads them.
    fn pairs(&mut self, place: SearchedPart, pairs: &[u8]) {
        for (index, pair) in pairs.split(|b| *b == b'&').enumerate() {
            let mut halves = pair.splitn(2, |b| *b == b'=');
            let mut half = || match halves.next().unwrap_or_default() {
                half if half.iter().any(|b| matches!(b, b'%' | b'+')) => {
                    Cow::Owned(decode_leniently(half))
                }
                half => Cow::Borrowed(half),
            };
            let (name, value) = (half(), half());
            self.named(place, index, &name, &value);
        }
    }

    fn parts(&mut self, bytes: &[u8], boundary: &str) {
        let Ok(parts) = multipart::parse(bytes, boundary, MOST_PARTS) else {
            return self.refuse(Refusal::new(&BODY_UNREAD));
        };
        for (index, part) in parts.iter().enumerate() {
            let at = Whereabouts::nth(SearchedPart::Multipart, index, part.name.as_bytes());
            self.see(part.name.as_bytes(), Context::Name, at.as_name());
            match part.filename {
                None => self.see(part.content, Context::Value, at),
                Some(filename) => {
                    self.see(filename.as_bytes(), Context::FileName, at);
                    if is_text(part) {
                        self.see(part.content, Context::Text, at);
                    }
                }
            }
        }
    }

    fn named(&mut self, place: SearchedPart, index: usize, name: &[u8], value: &[u8]) {
        let at = Whereabouts::nth(place, index, name);
        self.see(name, Context::Name, at.as_name());
        self.see(value, Context::Value, at);
    }

    fn json(&mut self, text: &[u8]) {
        if json::walk(text, self).is_err() {
            self.refuse(Refusal::new(&BODY_UNREAD));
        }
    }

    fn xml(&mut self, text: &[u8]) {
        let mut watch = XmlTexts {
            search: self,
            content: Vec::new(),
        };
        if watch_xml(text, &XmlLimits::GENEROUS, &mut watch).is_err() {
            self.refuse(Refusal::new(&BODY_UNREAD));
        }
    }

    /// Whether it is known why the request may not pass.
    pub(super) fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    #[cfg(test)]
    pub(super) fn reason(&self) -> Option<&'static str> {
        let (refusal, _) = self.outcome.as_ref()?;
        Some(refusal.reason.name)
    }

    #[cfg(test)]
    pub(super) fn left(&self) -> u64 {
        self.effort.left()
    }

    /// Whether what comes of a text is the same wherever in a body it stands.
    pub(super) fn is_the_same_everywhere(&self) -> bool {
        self.policy.except.is_empty() && self.policy.own.is_empty()
    }

    /// Looks at a text. How many steps that took, if there is nothing in it.
    pub(super) fn measure(
        &mut self,
        text: &[u8],
        context: Context,
        at: Whereabouts<'_>,
    ) -> Option<u64> {
        let (left, scores) = (self.effort.left(), self.scores);
        self.see(text, context, at);
        let is_nothing = self.outcome.is_none() && self.scores == scores;
        is_nothing.then(|| left.saturating_sub(self.effort.left()))
    }

    /// Takes the steps of a text that has been looked at before.
    pub(super) fn take(&mut self, steps: u64) {
        if self.outcome.is_none() && self.effort.spend(steps).is_err() {
            self.refuse(Refusal::new(&EFFORT));
        }
    }

    /// Looks at a text, unless what there is suffices.
    pub(super) fn see(&mut self, text: &[u8], context: Context, at: Whereabouts<'_>) {
        if text.is_empty() || self.outcome.is_some() {
            return;
        }
        let finding = self.find(text, context, &at);
        self.settle(finding, &at);
    }

    fn settle(&mut self, finding: Result<Finding, TooCostly>, at: &Whereabouts<'_>) {
        match finding {
            Ok(Finding::Nothing) => {}
            Ok(finding) if self.outcome.is_none() => {
                self.outcome = Some(self.policy.finding(finding, at));
            }
            Ok(_) => {}
            Err(TooCostly) => self.refuse(Refusal::new(&EFFORT)),
        }
    }

    fn find(
        &mut self,
        text: &[u8],
        context: Context,
        at: &Whereabouts<'_>,
    ) -> Result<Finding, TooCostly> {
        let policy = self.policy;
        let Some(left_out) = self.left_out(at)? else {
            return Ok(Finding::Nothing);
        };
        if let Some(found) = self.evidence(text, context, left_out)? {
            return Ok(Finding::Evidence(found));
        }
        // Names are what the service calls them, and header fields have formats of their own.
        if matches!(context, Context::Value | Context::Json) && !at.is_name {
            let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
            self.effort.spend(length.saturating_mul(2))?;
            if let Some(text) = text_in_base64(text, base64::LEAST)
                && let Some(found) = self.evidence(&text, context, left_out)?
            {
                return Ok(Finding::Encoded(found));
            }
        }
        if !policy.own.is_empty() {
            let text = String::from_utf8_lossy(text);
            for (index, own) in policy.own.iter().enumerate() {
                if own.regex.is_match(&text, &self.effort)? {
                    return Ok(Finding::Own(index));
                }
            }
        }
        Ok(Finding::Nothing)
    }

    /// The classes that are not looked for there; none if nothing is.
    fn left_out(&self, at: &Whereabouts<'_>) -> Result<Option<Classes>, TooCostly> {
        let except = &self.policy.except;
        self.effort
            .spend(u64::try_from(except.len()).unwrap_or(u64::MAX))?;
        Ok(match LeftAlone::by(except, at) {
            LeftAlone::Wholly => None,
            LeftAlone::Of(classes) => Some(classes),
        })
    }

    /// What there is of evidence with this text, if it is enough.
    fn evidence(
        &mut self,
        text: &[u8],
        context: Context,
        left_out: Classes,
    ) -> Result<Option<Found>, TooCostly> {
        let policy = self.policy;
        policy
            .detector
            .judge(text, context, left_out, &self.effort, &mut self.scores)?;
        Ok(self.scores.found(policy.sensitivity))
    }

    /// Notes why it may not pass, unless that is known.
    fn refuse(&mut self, refusal: Refusal) {
        self.outcome.get_or_insert((refusal, None));
    }
}

/// Who sees the texts of an XML text: values of attributes, and all that stands between two tags as one.
struct XmlTexts<'s, 'p> {
    search: &'s mut Search<'p>,
    content: Vec<u8>,
}

impl XmlTexts<'_, '_> {
    fn tag(&mut self) -> Result<(), XmlFault> {
        let at = Whereabouts::of(SearchedPart::Xml);
        self.search.see(&self.content, Context::Value, at);
        self.content.clear();
        Ok(())
    }
}

impl XmlWatch for XmlTexts<'_, '_> {
    fn begins(&mut self, _: usize, _: XmlName<'_>) -> Result<(), XmlFault> {
        self.tag()
    }

    fn attribute(&mut self, _: XmlName<'_>, value: XmlText<'_>) {
        let at = Whereabouts::of(SearchedPart::Xml);
        self.search.see(&value.decoded(), Context::Value, at);
    }

    fn text(&mut self, _: usize, text: XmlText<'_>) -> Result<(), XmlFault> {
        text.decode(&mut |part| self.content.extend_from_slice(part));
        Ok(())
    }

    fn ends(&mut self, _: usize) -> Result<(), XmlFault> {
        self.tag()
    }
}

impl DenyPatterns {
    fn finding(&self, finding: Finding, at: &Whereabouts<'_>) -> (Refusal, Option<Class>) {
        let encoded = matches!(finding, Finding::Encoded(_));
        let (keyword, name, class, detail) = match finding {
            Finding::Evidence(found) | Finding::Encoded(found) => {
                let detail = Detail::within("/classes")
                    .and("class", Fact::Word(found.class.name()))
                    .and("evidence", Fact::Word(found.kind))
                    .and("score", Fact::Number(found.score.into()));
                let detail = match encoded {
                    true => detail.and("encoding", Fact::Word("base64")),
                    false => detail,
                };
                (found.kind, found.class.name(), Some(found.class), detail)
            }
            Finding::Own(index) => {
                let name = self.own.get(index).map_or("", |own| own.name.as_str());
                let detail = Detail::within(format!("/patterns/{index}"));
                (
                    "pattern",
                    name,
                    None,
                    detail.and("pattern", Fact::trusted(name)),
                )
            }
            Finding::Nothing => ("", "", None, Detail::default()),
        };
        let violation = Violation {
            instance: at.pointer(),
            keyword,
            schema: name.to_owned(),
        };
        let refusal = Refusal::new(at.place.reason())
            .with_violations(vec![violation], Disclosure::CodeOnly)
            .because(at.tell(detail));
        (refusal, class)
    }
}

/// Whether a header field names a file that is sent: `x-filename`, `x-file-name`, `x_filename`.
fn is_file_name(name: &[u8]) -> bool {
    let letters = |name: &[u8]| {
        name.iter()
            .filter(|b| b.is_ascii_alphabetic())
            .eq(b"xfilename")
    };
    name.starts_with(b"x") && letters(name)
}

/// Whether what is in a file is text, as its head says, or does not say.
fn is_text(part: &FormPart<'_>) -> bool {
    let media_type = part
        .media_type
        .unwrap_or(b"text/plain")
        .to_ascii_lowercase();
    let ends = |part: &str| {
        media_type
            .windows(part.len())
            .any(|each| each == part.as_bytes())
    };
    media_type.starts_with(b"text/") || ["json", "xml", "javascript"].iter().any(|each| ends(each))
}

/// What is counted where a class was found.
fn event(class: Class) -> Event {
    match class {
        Class::Sql => Event::FoundSql,
        Class::Script => Event::FoundScript,
        Class::Files => Event::FoundFiles,
        Class::Shell => Event::FoundShell,
        Class::Php => Event::FoundPhp,
        Class::Java => Event::FoundJava,
        Class::Node => Event::FoundNode,
        Class::Template => Event::FoundTemplate,
        Class::NullBytes => Event::FoundNullBytes,
    }
}

#[cfg(test)]
pub(super) mod tests;
