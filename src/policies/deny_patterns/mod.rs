//! Texts that look like attempts at injection. A net with wide meshes and no wall: what it misses is as
//! dangerous as before, and what it catches may be harmless.

mod builtin;

use std::borrow::Cow;

use portcullis_wire::regex::{self, Effort, Regex, TooCostly};

use self::builtin::{BUILT_IN, BuiltIn, Searcher};
use super::payload::head::is_upgrade;
use super::payload::untold::{Declared, begins_like_json};
use super::rate_limits::key::query::decode as decode_leniently;
use portcullis_document::{Case, Fields, LeftOut, Node, Problems};
use portcullis_exchange::body::{BodyNeed, Inspection, RequestBody};
use portcullis_exchange::exchange::{BodyState, Exchange};
use portcullis_exchange::host::Host;
use portcullis_exchange::media_type::{Format, MediaType};
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::refusal::core::NO_MEMORY;
use portcullis_exchange::refusal::{Blame, Code, Detail, Disclosure, Fact, Reason, Refusal, grpc};
use portcullis_exchange::route::read_header_name;
use portcullis_schema::Violation;
use portcullis_wire::budget;
use portcullis_wire::budget::Share;
use portcullis_wire::headers::{HeaderName, Headers};
use portcullis_wire::json_gate;
use portcullis_wire::json_gate::Limits;

/// `deny_patterns: { sets, patterns, in, … }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "deny_patterns",
    role: Role::Guards,
    codes: &[&DENIED],
    compile: Compile::Shadowed(compile),
    rules: &[],
};

pub static DENIED: Code = Code {
    name: "pattern_denied",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "The request has a text that is not allowed.",
    reasons: &[
        &IN_PATH,
        &IN_QUERY,
        &IN_HEADERS,
        &IN_JSON,
        &IN_FORM,
        &BODY_UNREAD,
        &EFFORT,
    ],
};

pub static IN_PATH: Reason = Reason::new("path", &DENIED, Blame::Request);
pub static IN_QUERY: Reason = Reason::new("query", &DENIED, Blame::Request);
pub static IN_HEADERS: Reason = Reason::new("headers", &DENIED, Blame::Request);
pub static IN_JSON: Reason = Reason::new("json", &DENIED, Blame::Request);
pub static IN_FORM: Reason = Reason::new("form", &DENIED, Blame::Request);
pub static BODY_UNREAD: Reason = Reason::new("body_unread", &DENIED, Blame::Request);
pub static EFFORT: Reason = Reason::new("effort", &DENIED, Blame::Request);

/// What is looked for, and where.
struct DenyPatterns {
    built_in: Searcher,
    own: Vec<Own>,
    places: Vec<SearchedPart>,
    /// In lower case.
    ignored_headers: Vec<HeaderName>,
    /// How much of a body is read.
    max_bytes: u64,
    inspection: Inspection,
}

/// A pattern of the document's.
struct Own {
    name: String,
    regex: Regex,
}

/// What was found: a set, or the pattern of the document's at that place.
struct Finding<'n> {
    name: &'n str,
    own: Option<usize>,
}

/// Where texts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SearchedPart {
    Path,
    Query,
    Headers,
    Json,
    Form,
}

const PLACES: [(&str, SearchedPart); 5] = [
    ("path", SearchedPart::Path),
    ("query", SearchedPart::Query),
    ("headers", SearchedPart::Headers),
    ("json", SearchedPart::Json),
    ("form", SearchedPart::Form),
];

impl SearchedPart {
    /// What is found there is refused for that.
    fn reason(self) -> &'static Reason {
        match self {
            SearchedPart::Path => &IN_PATH,
            SearchedPart::Query => &IN_QUERY,
            SearchedPart::Headers => &IN_HEADERS,
            SearchedPart::Json => &IN_JSON,
            SearchedPart::Form => &IN_FORM,
        }
    }
}

/// How a body is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// As that.
    As(SearchedPart),
    /// As what it begins like: what it is cannot be told.
    AsItBegins,
    /// It cannot be read.
    Unread,
}

/// What looking through one head or one body may cost: so much in any case, and more for more bytes and
/// more patterns. Long texts of people need a tenth.
const STEPS: u64 = 1_000_000;
const STEPS_PER_BYTE: u64 = 8;

/// What a text may nest to be read. What is deeper is not JSON that a service reads either.
const LIMITS: Limits = Limits {
    depth: 128,
    ..Limits::GENEROUS
};

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let problems = &mut *context.problems;
    if !regex::AVAILABLE {
        problems.report(fields.pointer(), LeftOut::PATTERNS);
        return None;
    }
    let sets = fields.or_default(
        "sets",
        BUILT_IN.iter().collect::<Vec<_>>(),
        problems,
        |node, problems| {
            let choices: Vec<(&str, &'static BuiltIn)> =
                BUILT_IN.iter().map(|set| (set.name, set)).collect();
            let items = node.items(problems)?;
            let sets: Vec<_> = items
                .iter()
                .map(|item| item.choice(problems, &choices))
                .collect();
            sets.into_iter().collect()
        },
    );
    let own = fields.or_default("patterns", Vec::new(), problems, |node, problems| {
        node.list(problems, Own::read)
    });
    let every = PLACES.map(|(_, place)| place).to_vec();
    let places = fields.or_default("in", every, problems, |node, problems| {
        node.list(problems, |node, problems| node.choice(problems, &PLACES))
    });
    let ignored_headers =
        fields.or_default("ignore_headers", Vec::new(), problems, |node, problems| {
            node.list(problems, read_header_name)
        });
    let max_bytes = fields.or_default("max_bytes", 64 << 10, problems, Node::bytes_read);
    let (sets, own) = (sets?, own?);
    if sets.is_empty() && own.is_empty() {
        let reason = "looks for nothing; name one of `sets`, or write `patterns`";
        problems.report(fields.pointer(), reason);
    }
    let built_in = Searcher::new(&sets);
    built_in.account(fields.pointer(), problems);
    let policy = DenyPatterns {
        built_in,
        own,
        places: places?,
        ignored_headers: ignored_headers?,
        max_bytes: max_bytes?,
        inspection: context.inspection,
    };
    Some(ChainPart::only(Stage::Content, policy))
}

impl Own {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems);
        let name = name.and_then(|node| node.non_empty(problems).map(str::to_owned));
        let case = fields.or_default(
            "ignore_case",
            Case::Significant,
            problems,
            |node, problems| {
                Some(match node.boolean(problems)? {
                    true => Case::Ignored,
                    false => Case::Significant,
                })
            },
        );
        let regex = fields.required("regex", problems);
        let regex = regex.and_then(|node| node.search(problems, case?));
        fields.deny_unknown(problems);
        Some(Self {
            name: name?,
            regex: regex?,
        })
    }
}

impl Policy for DenyPatterns {
    fn check_request(&self, exchange: &mut Exchange<'_>, _host: &dyn Host) -> Verdict {
        let headers = exchange.request.headers;
        if let Some(refusal) = self.judge_head(exchange) {
            return Verdict::Refuse(refusal);
        }
        match self.look(headers) {
            None => Verdict::Pass,
            Some(_) if exchange.body == BodyState::Complete => Verdict::Pass,
            // The body cannot be waited for: the service is to ask for it.
            Some(_)
                if self.inspection == Inspection::HoldHeaders
                    && headers.all("expect").next().is_some() =>
            {
                Verdict::Refuse(Refusal::new(&BODY_UNREAD))
            }
            Some(_) => Verdict::AwaitBody(BodyNeed::Bytes {
                most: self.max_bytes,
            }),
        }
    }

    fn declares(&self) -> Declaration {
        Declaration {
            later_request_fields: &["content-encoding", "content-type"],
            ..Declaration::default()
        }
    }

    fn request_body(&self, body: &mut RequestBody<'_>, _host: &dyn Host) -> Verdict {
        let (look, size) = (self.look(body.request), body.progress.size);
        if size > self.max_bytes || (size > 0 && look == Some(Look::Unread)) {
            return Verdict::Refuse(Refusal::new(&BODY_UNREAD));
        }
        if body.progress.state == BodyState::Open {
            return Verdict::AwaitBody(body.need);
        }
        // Decoding, reading as UTF-8 and lowering copy a text, which may become three times as long.
        const COPIES: u64 = 7;
        let copies = size.saturating_mul(COPIES);
        let copies = usize::try_from(copies).unwrap_or(usize::MAX);
        let Some(_memory) = budget::reserve(Share::Bodies, copies) else {
            return Verdict::Refuse(Refusal::new(&NO_MEMORY));
        };
        let effort = self.allowance(size);
        let refusal = match (look, body.bytes()) {
            (Some(look), Ok(bytes)) => match self.place(look, bytes) {
                Some(SearchedPart::Json) => self.judge_json(bytes, &effort),
                Some(place) => self.find_pairs(place, bytes, &effort),
                None => None,
            },
            _ => None,
        };
        refusal.map_or(Verdict::Pass, Verdict::Refuse)
    }
}

impl DenyPatterns {
    /// What it may cost to look through so many bytes.
    fn allowance(&self, bytes: u64) -> Effort {
        let patterns = u64::try_from(self.own.len()).unwrap_or(u64::MAX);
        let each = patterns.saturating_add(1).saturating_mul(STEPS_PER_BYTE);
        Effort::new(bytes.saturating_mul(each).saturating_add(STEPS))
    }

    fn judge_head(&self, exchange: &Exchange<'_>) -> Option<Refusal> {
        let request = &exchange.request;
        let (mut found, effort) = (None, self.allowance(0));
        for place in &self.places {
            found = found.or_else(|| match place {
                SearchedPart::Path => self.find(*place, request.target.path(), &effort),
                SearchedPart::Query => {
                    let query = request.query().unwrap_or_default();
                    self.find_pairs(*place, query, &effort)
                }
                SearchedPart::Headers => self.find_headers(request.headers, &effort),
                SearchedPart::Json | SearchedPart::Form => None,
            });
        }
        found
    }

    /// How the body is looked at, if it is.
    fn look(&self, headers: &Headers) -> Option<Look> {
        let identity = |coding: &[u8]| coding.eq_ignore_ascii_case(b"identity");
        let is_encoded = !headers.all("content-encoding").all(identity);
        let look = match Declared::of(headers) {
            Declared::As(media_type) => match place_of(&media_type) {
                Some(place) if !self.places.contains(&place) => return None,
                Some(SearchedPart::Form) if !is_like_ascii(&media_type) => Look::Unread,
                Some(place) => Look::As(place),
                None => return None,
            },
            Declared::Untold if !self.reads_bodies() => return None,
            // What comes over it is no body, unless one is declared besides.
            Declared::Untold if is_upgrade(headers) => {
                let mut lengths = headers.all("content-length");
                lengths
                    .find(|length| *length != b"0")
                    .map(|_| Look::Unread)?
            }
            Declared::Untold => Look::AsItBegins,
        };
        Some(if is_encoded { Look::Unread } else { look })
    }

    fn reads_bodies(&self) -> bool {
        let mut places = self.places.iter();
        places.any(|place| matches!(place, SearchedPart::Json | SearchedPart::Form))
    }

    /// What a body is looked at as.
    fn place(&self, look: Look, body: &[u8]) -> Option<SearchedPart> {
        let place = match look {
            Look::As(place) => place,
            Look::AsItBegins if begins_like_json(body) => SearchedPart::Json,
            Look::AsItBegins => SearchedPart::Form,
            Look::Unread => return None,
        };
        self.places.contains(&place).then_some(place)
    }

    fn find_headers(&self, headers: &Headers, effort: &Effort) -> Option<Refusal> {
        let ignored = |name: &[u8]| {
            let mut ignored = self.ignored_headers.iter();
            name.starts_with(b":") || ignored.any(|each| each.as_str().as_bytes() == name)
        };
        let mut values = headers.iter().filter(|(name, _)| !ignored(name));
        values.find_map(|(_, value)| {
            self.find(
                SearchedPart::Headers,
                &String::from_utf8_lossy(value),
                effort,
            )
        })
    }

    /// Names and values of a query or a form, read as leniently as any service reads them.
    fn find_pairs(&self, place: SearchedPart, pairs: &[u8], effort: &Effort) -> Option<Refusal> {
        let halves = |pair| <[u8]>::splitn(pair, 2, |b| *b == b'=');
        let mut pieces = pairs.split(|b| *b == b'&').flat_map(halves);
        pieces.find_map(|piece| {
            let decoded = match piece.iter().any(|b| matches!(b, b'%' | b'+')) {
                true => Cow::Owned(decode_leniently(piece)),
                false => Cow::Borrowed(piece),
            };
            self.find(place, &String::from_utf8_lossy(&decoded), effort)
        })
    }

    fn judge_json(&self, text: &[u8], effort: &Effort) -> Option<Refusal> {
        let mut found = None;
        let walked = json_gate::walk(text, &LIMITS, &mut |text| {
            if found.is_none() {
                found = self.find(
                    SearchedPart::Json,
                    &String::from_utf8_lossy(&text.decoded()),
                    effort,
                );
            }
        });
        let unread = || Some(Refusal::new(&BODY_UNREAD));
        found.or_else(|| walked.err().and_then(|_| unread()))
    }

    /// The name of what is found in a text: a set, or a pattern of the document's.
    fn name_in(&self, text: &str, effort: &Effort) -> Result<Option<Finding<'_>>, TooCostly> {
        if let Some(set) = self.built_in.search(&text.to_ascii_lowercase(), effort)? {
            return Ok(Some(Finding {
                name: set,
                own: None,
            }));
        }
        for (index, Own { name, regex }) in self.own.iter().enumerate() {
            if regex.is_match(text, effort)? {
                let own = Some(index);
                return Ok(Some(Finding { name, own }));
            }
        }
        Ok(None)
    }

    fn find(&self, place: SearchedPart, text: &str, effort: &Effort) -> Option<Refusal> {
        let Finding { name, own } = match self.name_in(text, effort) {
            Ok(named) => named?,
            Err(TooCostly) => return Some(Refusal::new(&EFFORT)),
        };
        let reason = place.reason();
        let violation = Violation {
            instance: ["/", reason.name].concat(),
            keyword: "pattern",
            schema: name.to_owned(),
        };
        let refusal = Refusal::new(reason).with_violations(vec![violation], Disclosure::CodeOnly);
        let detail = match own {
            Some(index) => Detail::within(format!("/patterns/{index}")),
            None => Detail::within("/sets"),
        };
        Some(refusal.because(detail.and("pattern", Fact::trusted(name))))
    }
}

/// What bodies of a type are looked at as, if they are.
fn place_of(media_type: &MediaType<'_>) -> Option<SearchedPart> {
    match media_type.format() {
        Format::Json => Some(SearchedPart::Json),
        _ if media_type.is("application", "x-www-form-urlencoded") => Some(SearchedPart::Form),
        _ => None,
    }
}

/// Whether letters are what they are in ASCII. In others a form says what nobody finds in it; JSON has
/// no other.
fn is_like_ascii(media_type: &MediaType<'_>) -> bool {
    const LIKE_ASCII: [&str; 5] = ["utf-8", "utf8", "us-ascii", "iso-8859-1", "windows-1252"];
    let charset = media_type.parameter("charset");
    let known = |charset: &str| {
        LIKE_ASCII
            .iter()
            .any(|each| each.eq_ignore_ascii_case(charset))
    };
    charset.is_none_or(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_over_an_upgrade_is_no_body() {
        let policy = DenyPatterns {
            built_in: Searcher::new(&[]),
            own: Vec::new(),
            places: vec![SearchedPart::Form],
            ignored_headers: Vec::new(),
            max_bytes: 100,
            inspection: Inspection::Stream,
        };
        let look = |fields: &[(&str, &str)]| {
            let mut headers = Headers::default();
            for (name, value) in fields {
                headers.push(name.as_bytes(), value.as_bytes());
            }
            policy.look(&headers)
        };
        let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(look(&[]), Some(Look::AsItBegins));
        assert_eq!(look(&upgrade), None);
        assert_eq!(look(&[(":method", "CONNECT")]), None);
        let empty = [upgrade[0], upgrade[1], ("content-length", "0")];
        assert_eq!(look(&empty), None);
        let with_body = [upgrade[0], upgrade[1], ("content-length", "7")];
        assert_eq!(look(&with_body), Some(Look::Unread));
    }
}
