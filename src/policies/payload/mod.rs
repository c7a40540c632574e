//! The shape of a request's body: how large it is, of which type, and whether it is well formed.
//! A body that is judged reaches the service whole or not at all. Nothing here changes one.

mod arriving;
mod content_types;
pub(super) mod head;
mod json;
pub mod refusals;
mod responses;
mod schema;
mod soap;
mod unknown_length;
pub(super) mod untold;
mod xml;

use self::arriving::Coming;
use self::content_types::{read_assumed, read_content_types, read_encodings};
use self::head::Upgrades;
pub use self::json::{USUAL as USUAL_JSON, read as read_limits};
use self::refusals::{
    BODY_FORBIDDEN, BODY_MISSING, BODY_TOO_LARGE, CHARSET, CONTENT_TYPE_ABSENT,
    CONTENT_TYPE_MALFORMED, DECLARED_TOO_LARGE, ENCODING, MALFORMED, MEDIA_TYPE, PRESENCE,
    RESPONSE, SCHEMA, STRUCTURE, TOO_LARGE, UPGRADE, with_hint,
};
pub(super) use self::responses::Expected;
pub use self::responses::Responses;
use self::schema::SchemaCheck;
use self::unknown_length::UnknownLength;
use self::untold::{Declared, begins_like_json};
use self::xml::{XmlBlock, XmlRules};
use crate::HAS_FORMATS;
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::body::{BodyNeed, Inspection, NoBytes, RequestBody};
use portcullis_exchange::exchange::{BodyState, Exchange};
use portcullis_exchange::host::Host;
use portcullis_exchange::media_type::{Format, MediaRange, MediaType};
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::refusal::{Disclosure, Fact, Refusal, Selector};
use portcullis_exchange::route::read_method;
use portcullis_schema::{Passed, Schema};
use portcullis_wire::headers::Headers;
use portcullis_wire::json_gate;
use portcullis_wire::json_gate::Limits;

/// `payload: { max_bytes, content_types, json, … }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "payload",
    role: Role::Guards,
    codes: &[
        &TOO_LARGE,
        &refusals::LENGTH_MALFORMED,
        &PRESENCE,
        &MEDIA_TYPE,
        &refusals::ENCODING,
        &refusals::EXPECTATION,
        &refusals::UPGRADE,
        &refusals::MALFORMED,
        &refusals::STRUCTURE,
        &refusals::SOAP,
        &refusals::SCHEMA,
        &refusals::RESPONSE,
    ],
    compile: Compile::Object(compile),
    rules: &[
        (Selector::Code(&TOO_LARGE), "max_bytes"),
        (Selector::Reason(&BODY_MISSING), "require_body"),
        (Selector::Reason(&BODY_FORBIDDEN), "forbid_body"),
        (Selector::Code(&MEDIA_TYPE), "content_types"),
        (Selector::Code(&ENCODING), "content_encodings"),
        (Selector::Code(&UPGRADE), "upgrades"),
        (Selector::Code(&MALFORMED), "json"),
        (Selector::Code(&STRUCTURE), "json"),
        (Selector::Code(&SCHEMA), "json_schema"),
        (Selector::Code(&RESPONSE), "responses"),
    ],
};

/// What a body must be like.
pub struct Payload {
    max_bytes: u64,
    /// None: any type, or none.
    content_types: Option<Vec<MediaRange>>,
    /// Of a body that does not say its own.
    assumed_type: Option<String>,
    encodings: Vec<String>,
    needs_body: Vec<String>,
    forbids_body: Vec<String>,
    upgrades: Upgrades,
    unknown_length: UnknownLength,
    json: Option<Limits>,
    xml: Option<XmlBlock>,
    schema: Option<SchemaCheck>,
    /// In its place, by media type; none where nothing is asked.
    schemas: Vec<(MediaRange, Option<SchemaCheck>)>,
    inspection: Inspection,
}

/// What is declared of the bodies of one method.
pub struct BodyRules<'r> {
    /// The method.
    pub method: &'r str,
    /// Whether there must be one; none if there must not.
    pub required: Option<bool>,
    /// The media types, each with a schema if JSON of it is judged by one.
    pub content: Vec<(MediaRange, Option<Schema>)>,
    /// See `max_bytes`.
    pub max_bytes: u64,
    /// See `json`.
    pub json: Limits,
    /// See `details`.
    pub told: Disclosure,
    /// See `body_inspection`.
    pub inspection: Inspection,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let schema = SchemaCheck::read(fields, context);
    let has_schema = !matches!(schema, Some(None));
    let responses = match fields.optional("responses").filter(|node| !node.is_off()) {
        None => Some(None),
        Some(node) => Responses::read(&node, context).map(Some),
    };
    let problems = &mut *context.problems;
    let max_bytes = fields.required("max_bytes", problems);
    let usual = has_schema.then_some(json::USUAL);
    let json = fields.or_default("json", usual, problems, |node, problems| {
        json::read(node, problems).map(Some)
    });
    let xml = fields.or_default("xml", None, problems, |node, problems| {
        XmlBlock::read(node, problems).map(Some)
    });
    let max_bytes = max_bytes.and_then(|node| match (&json, &xml) {
        (Some(None), Some(None)) => node.bytes(problems),
        _ => node.bytes_read(problems),
    });
    let content_types = read_content_types(fields, json, &xml, problems);
    let assumed_type =
        fields.or_default("assume_content_type", None, problems, |node, problems| {
            read_assumed(node, content_types.as_ref()?.as_deref(), problems).map(Some)
        });
    let encodings = fields.or_default("content_encodings", Vec::new(), problems, read_encodings);
    let read = match (&json, &xml) {
        (Some(Some(_)), _) => Some("json"),
        (_, Some(Some(_))) => Some("xml"),
        _ => None,
    };
    if let (Some([_, ..]), Some(read)) = (encodings.as_deref(), read) {
        problems.report(
            fields.pointer(),
            format_args!("`content_encodings` cannot stand beside `{read}`: an encoded body cannot be read; let the proxy decompress before this filter"),
        );
    }
    // What has a form has to be there.
    let usual: &[&str] = if has_schema {
        &["POST", "PUT", "PATCH"]
    } else {
        &[]
    };
    let usual = usual.iter().map(|&method| method.to_owned()).collect();
    let needs_body = fields.or_default("require_body", usual, problems, read_methods);
    let bodiless = ["GET", "HEAD", "TRACE"].map(str::to_owned).to_vec();
    let forbids_body = fields.or_default("forbid_body", bodiless, problems, read_methods);
    let upgrades = fields.or_default("upgrades", Upgrades::Refuse, problems, |node, problems| {
        let choices = [
            ("refuse", Upgrades::Refuse),
            ("uninspected", Upgrades::Uninspected),
        ];
        node.choice(problems, &choices)
    });
    let unknown_length = UnknownLength::read(fields, problems);
    let (needs_body, forbids_body) = (needs_body?, forbids_body?);
    if let Some(both) = needs_body.iter().find(|name| forbids_body.contains(name)) {
        problems.report(
            fields.pointer(),
            format_args!("`require_body` and `forbid_body` both name {both}"),
        );
    }
    let policy = Payload {
        max_bytes: max_bytes?,
        content_types: content_types?,
        assumed_type: assumed_type?,
        encodings: encodings?,
        needs_body,
        forbids_body,
        upgrades: upgrades?,
        unknown_length: unknown_length?,
        json: json?,
        xml: xml?,
        schema: schema?,
        schemas: Vec::new(),
        inspection: context.inspection,
    };
    let mut parts = ChainPart::only(Stage::Content, policy);
    parts.extend(responses?.map(Responses::into_part));
    Some(parts)
}

/// Unlike other lists it may be empty.
fn read_methods(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let items = node.items(problems)?;
    let methods: Vec<Option<String>> = items
        .iter()
        .map(|item| read_method(item, problems))
        .collect();
    methods.into_iter().collect()
}

impl Payload {
    /// For bodies whose declaration another reader has read.
    pub fn declared(rules: BodyRules<'_>) -> Self {
        let BodyRules {
            method,
            required,
            content,
            max_bytes,
            json,
            told,
            inspection,
        } = rules;
        let named = |yes: bool| yes.then(|| method.to_owned()).into_iter().collect();
        let schemas = content.into_iter().map(|(range, schema)| {
            let check = schema.map(|schema| SchemaCheck::new(schema, told));
            (range, check)
        });
        let schemas: Vec<_> = schemas.collect();
        let ranges: Vec<MediaRange> = schemas.iter().map(|(range, _)| range.clone()).collect();
        // Where a schema is asked, a body whose type cannot be told would be a way around it.
        let any = ranges.iter().any(MediaRange::is_any)
            && schemas.iter().all(|(_, check)| check.is_none());
        Self {
            max_bytes,
            content_types: (!any && required.is_some()).then_some(ranges),
            assumed_type: None,
            encodings: Vec::new(),
            needs_body: named(required == Some(true)),
            forbids_body: named(required.is_none()),
            upgrades: Upgrades::Refuse,
            unknown_length: UnknownLength::Pass,
            json: Some(json),
            xml: None,
            schema: None,
            schemas,
            inspection,
        }
    }

    /// The schema for bodies of that type.
    fn schema(&self, headers: &Headers) -> Option<&SchemaCheck> {
        if self.schemas.is_empty() {
            return self.schema.as_ref();
        }
        // What says nothing and is judged at all begins like JSON.
        let sent = headers.all("content-type").next();
        let media_type = MediaType::parse(sent.unwrap_or(b"application/json"))?;
        let ranges = self.schemas.iter().map(|(range, _)| range);
        let best = MediaRange::best(ranges, &media_type)?;
        self.schemas.get(best)?.1.as_ref()
    }

    /// Judges a head; what must be seen of the body, if there is one to judge.
    pub fn judge_head(&self, exchange: &Exchange<'_>) -> Result<Option<BodyNeed>, Refusal> {
        let judged = self.judge_whole_head(exchange);
        judged.map_err(|refusal| self.detailed(refusal, exchange.request.headers))
    }

    /// The refusal, with what was found in its place.
    fn detailed(&self, refusal: Refusal, headers: &Headers) -> Refusal {
        let sent = |name| headers.all(name).next();
        let code = refusal.code();
        if *code == TOO_LARGE {
            let refusal = match head::length(headers) {
                Ok(Some(length)) => refusal.and("bytes", Fact::Number(length)),
                _ => refusal,
            };
            refusal.and("most", Fact::Number(self.max_bytes))
        } else if *code == MEDIA_TYPE {
            refusal.telling("content_type", sent("content-type"))
        } else if *code == ENCODING {
            refusal.telling("content_encoding", sent("content-encoding"))
        } else {
            refusal
        }
    }

    fn judge_whole_head(&self, exchange: &Exchange<'_>) -> Result<Option<BodyNeed>, Refusal> {
        let headers = exchange.request.headers;
        let length = head::length(headers)?;
        if head::is_upgrade(headers) {
            return head::upgrade(self.upgrades, length).map(|()| None);
        }
        head::expectation(headers)?;
        if exchange.body == BodyState::Complete {
            // Whether there had to be one is judged where bodies are.
            return Ok(Some(BodyNeed::Count));
        }
        let method = exchange.request.method();
        self.judge_head_of_body(headers, method, length).map(Some)
    }

    fn judge_head_of_body(
        &self,
        headers: &Headers,
        method: &str,
        length: Option<u64>,
    ) -> Result<BodyNeed, Refusal> {
        if length.is_some_and(|length| length > 0) && names(&self.forbids_body, method) {
            return Err(Refusal::new(&BODY_FORBIDDEN));
        }
        if length.is_some_and(|length| length > self.max_bytes) {
            return Err(Refusal::new(&DECLARED_TOO_LARGE));
        }
        head::encoding(headers, &self.encodings)?;
        let need = self.need(headers, length)?;
        if need.holds() && self.inspection == Inspection::HoldHeaders {
            head::may_wait(headers)?;
        }
        Ok(need)
    }

    fn need(&self, headers: &Headers, length: Option<u64>) -> Result<BodyNeed, Refusal> {
        let Some(media_type) = self.media_type(headers)? else {
            // Whether there is a body at all cannot always be told from the head.
            return match length {
                Some(1..) if self.content_types.is_some() => Err(self.untyped()),
                Some(1..) | None if self.sniffs() => Ok(BodyNeed::Bytes {
                    most: self.max_bytes,
                }),
                Some(1..) => Ok(BodyNeed::Count),
                Some(0) | None => Ok(BodyNeed::Size),
            };
        };
        let most = self.max_bytes;
        Ok(match (media_type.format(), length) {
            (Format::Json, _) if self.json.is_some() => BodyNeed::Bytes { most },
            (Format::Xml, _) if self.xml.is_some() => {
                self.xml_rules(headers, &media_type)?;
                BodyNeed::Bytes { most }
            }
            // What is declared is what comes: the proxy sees to that.
            (Format::Grpc, _) | (_, Some(1..)) => BodyNeed::Count,
            (Format::Json | Format::Xml | Format::Opaque, Some(0) | None) => BodyNeed::Size,
        })
    }

    /// The media type, if the document says which are allowed, and the request which it has.
    fn media_type<'h>(&'h self, headers: &'h Headers) -> Result<Option<MediaType<'h>>, Refusal> {
        let Some(allowed) = &self.content_types else {
            let is_there = headers.all("content-type").next().is_some();
            return match Declared::of(headers) {
                Declared::As(media_type) => Ok(Some(media_type)),
                Declared::Untold if is_there && self.json.is_some() => {
                    Err(Refusal::new(&CONTENT_TYPE_MALFORMED))
                }
                Declared::Untold => Ok(None),
            };
        };
        let media_type = head::media_type(headers, self.assumed_type.as_deref(), allowed)?;
        let is_read = |sent: &MediaType<'_>| match sent.format() {
            Format::Json => true,
            Format::Xml => self.xml.is_some(),
            Format::Grpc | Format::Opaque => false,
        };
        match &media_type {
            Some(sent) if is_read(sent) && !sent.is_utf8() => Err(Refusal::new(&CHARSET)),
            _ => Ok(media_type),
        }
    }

    /// What a body of that media type is judged by, if it is XML that is judged.
    fn xml_rules<'h>(
        &'h self,
        headers: &'h Headers,
        media_type: &'h MediaType<'_>,
    ) -> Result<Option<XmlRules<'h>>, Refusal> {
        let Some(block) = self.xml.as_ref().filter(|_| HAS_FORMATS) else {
            return Ok(None);
        };
        if media_type.format() != Format::Xml {
            return Ok(None);
        }
        let soap = block.soap.as_ref();
        let soap = soap
            .map(|soap| soap.rules(headers, media_type))
            .transpose()?;
        Ok(Some(block.rules(soap)))
    }

    /// Whether any type may come and JSON is judged: then a body that does not say what it is is read
    /// as what it begins like.
    fn sniffs(&self) -> bool {
        self.content_types.is_none() && self.json.is_some()
    }

    fn untyped(&self) -> Refusal {
        let names: Vec<&str> = self
            .content_types
            .iter()
            .flatten()
            .map(MediaRange::as_str)
            .collect();
        let refusal = Refusal::new(&CONTENT_TYPE_ABSENT);
        with_hint(refusal, "accept", &names.join(", "))
    }

    /// Judges what has come of a body.
    fn judge(&self, body: &mut RequestBody<'_>) -> Result<(), Refusal> {
        let (headers, size) = (body.request, body.progress.size);
        if size > self.max_bytes {
            return Err(Refusal::new(&BODY_TOO_LARGE));
        }
        let typed = headers.all("content-type").next().is_some();
        if size > 0 {
            if names(&self.forbids_body, headers.method()) {
                return Err(Refusal::new(&BODY_FORBIDDEN));
            }
            let typed = typed || self.assumed_type.is_some();
            if self.content_types.is_some() && !typed {
                return Err(self.untyped());
            }
        }
        if body.progress.state == BodyState::Complete && size == 0 {
            return match names(&self.needs_body, headers.method()) {
                true => Err(Refusal::new(&BODY_MISSING)),
                false => Ok(()),
            };
        }
        let BodyNeed::Bytes { .. } = body.need else {
            return Ok(());
        };
        if self.xml.is_some() {
            let media_type = self.media_type(headers)?;
            let rules = media_type
                .as_ref()
                .map(|sent| self.xml_rules(headers, sent));
            if let Some(rules) = rules.transpose()?.flatten() {
                return xml::judge(body, &rules);
            }
        }
        match &self.json {
            Some(limits) => self.judge_json(body, limits, typed),
            None => Ok(()),
        }
    }

    /// Judges what has come of a body that is JSON, or is not `typed` and may be.
    fn judge_json(
        &self,
        body: &mut RequestBody<'_>,
        limits: &Limits,
        typed: bool,
    ) -> Result<(), Refusal> {
        let sniffs = self.sniffs() && !typed;
        let check = self.schema(body.request);
        let mut coming = Coming {
            content: body.content,
            progress: body.progress,
            need: body.need,
            under_way: body.under_way,
        };
        if body.progress.state == BodyState::Open {
            if !sniffs {
                coming.look(check.map(SchemaCheck::schema), limits);
            }
            return Ok(());
        }
        let passed = coming.end().transpose().map_err(json::refusal)?;
        if let Some(Passed::Valid) = passed {
            return Ok(());
        }
        match (body.bytes(), check, passed) {
            (Ok(bytes), Some(check), Some(Passed::Unsure(unsure))) => {
                check.judge_passed(bytes, &unsure)
            }
            (Ok(bytes), _, _) if sniffs && !begins_like_json(bytes) => Ok(()),
            (Ok(bytes), Some(check), _) => check.judge(bytes, limits),
            (Ok(bytes), None, _) => json_gate::check(bytes, limits).map_err(json::refusal),
            (Err(NoBytes::TooMany), _, _) => Err(Refusal::new(&BODY_TOO_LARGE)),
            // The first is not so, and of the other the stream takes care.
            (Err(NoBytes::Incomplete | NoBytes::Unavailable), _, _) => Ok(()),
        }
    }
}

fn names(methods: &[String], method: &str) -> bool {
    methods.iter().any(|each| each == method)
}

/// What of a request's head is asked again when its body comes.
pub const LATER_FIELDS: &[&str] = &["content-type", ":method"];

/// The same, where messages say there what they ask for.
const SOAP_FIELDS: &[&str] = &["content-type", ":method", "soapaction"];

impl Policy for Payload {
    fn check_request(&self, exchange: &mut Exchange<'_>, _host: &dyn Host) -> Verdict {
        match self.judge_head(exchange) {
            Ok(Some(need)) => Verdict::AwaitBody(need),
            Ok(None) => Verdict::Pass,
            Err(refusal) => Verdict::Refuse(refusal),
        }
    }

    fn declares(&self) -> Declaration {
        let is_soap = self.xml.as_ref().is_some_and(|xml| xml.soap.is_some());
        Declaration {
            later_request_fields: if is_soap { SOAP_FIELDS } else { LATER_FIELDS },
            ..Declaration::default()
        }
    }

    fn request_body(&self, body: &mut RequestBody<'_>, _host: &dyn Host) -> Verdict {
        match (self.judge(body), body.progress.state) {
            (Err(refusal), _) => Verdict::Refuse(self.detailed(refusal, body.request)),
            (Ok(()), BodyState::Open) => Verdict::AwaitBody(self.unknown_length.need_of_rest(body)),
            (Ok(()), BodyState::Complete) => Verdict::Pass,
        }
    }
}
