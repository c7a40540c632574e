//! `responses`: what the service's JSON responses must be like.

use std::ops::RangeInclusive;
use std::rc::Rc;

use super::arriving::Coming;
use super::json::MOST_VALUES;
use super::refusals::{
    RESPONSE_CONTENT_ENCODING, RESPONSE_CONTENT_TYPE, RESPONSE_EFFORT, RESPONSE_JSON,
    RESPONSE_SCHEMA, RESPONSE_SIZE,
};
use super::schema::{MAX_DEPTH, find, unreadable};
use super::untold::Declared;
use portcullis_document::Node;
use portcullis_exchange::body::{BodyNeed, NoBytes, ResponseBody};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::{BodyState, Edit, Exchange, Response, ResponseCheck};
use portcullis_exchange::host::Host;
use portcullis_exchange::media_type::{Format, MediaRange, MediaType};
use portcullis_exchange::policy::{ChainPart, Context, Declaration, Policy, Stage, Verdict};
use portcullis_exchange::refusal::{Disclosure, Refusal};
use portcullis_schema::{Passed, Schema, Text, TextError, Unjudged, Verdict as Judged};
use portcullis_wire::headers::{HeaderName, Headers};
use portcullis_wire::json_gate;
use portcullis_wire::json_gate::Limits;

/// How much of a response is read where the document does not say.
const USUAL_BYTES: u64 = 1 << 20;

/// What is read of a response.
const LIMITS: Limits = Limits {
    depth: MAX_DEPTH,
    values: MOST_VALUES,
    ..Limits::GENEROUS
};

/// Judges JSON responses by schemas, by their status.
pub struct Responses {
    most: u64,
    mode: Mode,
    /// The first that have the status count, and of these the media type. Without a schema,
    /// anything goes.
    expected: Vec<Expected>,
    /// What asks the service for responses that cannot be read.
    unreadable: Rc<[Edit]>,
}

/// What answers of a media type with these statuses must be like.
pub struct Expected {
    pub statuses: RangeInclusive<u16>,
    /// None: any.
    pub range: Option<MediaRange>,
    pub schema: Option<Schema>,
}

impl Responses {
    pub fn new(mode: Mode, most: Option<u64>, expected: Vec<Expected>) -> Self {
        // Or a client could choose to get what cannot be read.
        let names = ["accept-encoding", "range"].map(HeaderName::parse);
        let unreadable = names.into_iter().flatten().map(Edit::Remove).collect();
        Self {
            most: most.unwrap_or(USUAL_BYTES),
            mode,
            expected,
            unreadable,
        }
    }

    /// Reads the block.
    pub(super) fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Self> {
        let mut fields = node.fields(context.problems)?;
        let mode = fields.or_default("mode", Mode::Shadow, context.problems, Mode::read);
        let most = fields.or_default("max_bytes", None, context.problems, |node, problems| {
            node.bytes_read(problems).map(Some)
        });
        let name = fields.required("json_schema", context.problems);
        let formats = fields.optional("formats");
        let patterns = fields.optional("patterns");
        fields.deny_unknown(context.problems);
        let schema = find(&name?, formats.as_ref(), patterns.as_ref(), context)?;
        let expected = Expected {
            statuses: 200..=299,
            range: None,
            schema: Some(schema),
        };
        Some(Self::new(mode?, most?, vec![expected]))
    }

    pub(super) fn into_part(self) -> ChainPart {
        ChainPart {
            stage: Stage::Response,
            policy: Rc::new(self),
        }
    }

    /// Who it is: it does not move while a request is judged.
    fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// What becomes of a response with this head; none if it is not judged.
    fn check(&self, headers: &Headers) -> Option<ResponseCheck> {
        let one = |name| headers.one(name).ok().flatten();
        let number = |value| std::str::from_utf8(value).ok()?.parse::<u64>().ok();
        let status = one(":status").and_then(number)?;
        let index = self.find(u16::try_from(status).ok()?, headers)?;
        self.expected.get(index)?.schema.as_ref()?;
        let is_untold = matches!(Declared::of(headers), Declared::Untold);
        if !is_untold && !is_json(headers) {
            return None;
        }
        let length = one("content-length").and_then(number);
        let is_plain = |coding: &[u8]| coding.eq_ignore_ascii_case(b"identity");
        Some(if !headers.all("content-encoding").all(is_plain) {
            ResponseCheck::Unreadable(&RESPONSE_CONTENT_ENCODING)
        } else if length.is_some_and(|length| length > self.most) {
            ResponseCheck::Unreadable(&RESPONSE_SIZE)
        } else if is_untold && !is_json(headers) {
            ResponseCheck::Untold(index)
        } else {
            ResponseCheck::Schema(index)
        })
    }

    /// What counts for a response: of those with its status the one that says most of its media
    /// type; where none does, the first that asks something of JSON.
    fn find(&self, status: u16, headers: &Headers) -> Option<usize> {
        let mut expected = self.expected.iter();
        let first = expected.position(|each| each.statuses.contains(&status))?;
        let rest = self.expected.get(first..)?;
        let statuses = &rest.first()?.statuses;
        let alike = rest.iter().take_while(|each| each.statuses == *statuses);
        let ranges = alike.clone().map_while(|each| each.range.as_ref());
        let best = match Declared::of(headers) {
            Declared::As(media_type) => MediaRange::best(ranges, &media_type),
            Declared::Untold => None,
        };
        let asks = |each: &Expected| {
            each.schema.is_some() && each.range.as_ref().is_none_or(MediaRange::has_json)
        };
        let mut alike = alike;
        best.or_else(|| alike.position(asks))
            .map(|place| first.saturating_add(place))
    }

    fn judge(&self, body: &mut ResponseBody<'_>) -> Result<(), Refusal> {
        let refuse = |reason| Err(Refusal::new(reason));
        let answers = body.facts.response_checks().iter();
        let mut checks = answers.filter(|(judge, _)| *judge == self.id());
        let (index, unreadable_as) = match checks.next().map(|(_, check)| *check) {
            None => return Ok(()),
            Some(ResponseCheck::Unreadable(reason)) => return refuse(reason),
            Some(ResponseCheck::Schema(index)) => (index, &RESPONSE_JSON),
            // Without a body there is nothing of which to tell what it is.
            Some(ResponseCheck::Untold(_)) if body.progress.size == 0 => return Ok(()),
            Some(ResponseCheck::Untold(index)) => (index, &RESPONSE_CONTENT_TYPE),
        };
        if body.progress.size > self.most {
            return refuse(&RESPONSE_SIZE);
        }
        let expected = self.expected.get(index);
        let schema = expected.and_then(|expected| expected.schema.as_ref());
        let mut coming = Coming {
            content: body.content,
            progress: body.progress,
            need: body.need,
            under_way: body.under_way,
        };
        if body.progress.state == BodyState::Open {
            if schema.is_some() {
                coming.look(schema, &LIMITS);
            }
            return Ok(());
        }
        let judged = match coming.end().transpose() {
            Ok(Some(Passed::Valid)) => return Ok(()),
            Err(fault) => Err(Unjudged::Gate(fault)),
            Ok(passed) => match body.bytes() {
                Ok(bytes) => judge_whole(bytes, schema, passed),
                Err(NoBytes::TooMany) => return refuse(&RESPONSE_SIZE),
                // There is nothing to say yet, and of the other the stream takes care.
                Err(NoBytes::Incomplete | NoBytes::Unavailable) => return Ok(()),
            },
        };
        let judged = judged.map_err(|error| match error {
            Unjudged::Gate(fault) => TextError::from(fault),
            Unjudged::Text(error) => error,
        });
        match judged {
            Ok(Judged::Valid) => Ok(()),
            Ok(Judged::Undecided) => refuse(&RESPONSE_EFFORT),
            Ok(Judged::Invalid(violations)) => {
                Err(Refusal::new(&RESPONSE_SCHEMA)
                    .with_violations(violations, Disclosure::CodeOnly))
            }
            Err(error @ TextError::Memory) => Err(unreadable(error)),
            Err(TextError::TooMany) => refuse(&RESPONSE_EFFORT),
            Err(_) => refuse(unreadable_as),
        }
    }
}

/// Judges all of a body, of which that is known from before.
fn judge_whole(
    bytes: &[u8],
    schema: Option<&Schema>,
    passed: Option<Passed>,
) -> Result<Judged, Unjudged> {
    match (schema, passed) {
        (Some(schema), Some(Passed::Unsure(unsure))) => {
            let judged = schema.judge_passed(bytes, &unsure, MAX_DEPTH);
            judged.map_err(Unjudged::Text)
        }
        (Some(schema), _) => schema.judge_bytes(bytes, &LIMITS, MAX_DEPTH),
        (None, _) => json_gate::measure(bytes, &LIMITS)
            .map_err(Unjudged::Gate)
            .and_then(|shape| Text::read(bytes, &shape, MAX_DEPTH).map_err(Unjudged::Text))
            .map(|_| Judged::Valid),
    }
}

/// Whether a client could read it as JSON.
fn is_json(headers: &Headers) -> bool {
    let mut types = headers.all("content-type").map(MediaType::parse);
    types.any(|media_type| media_type.is_some_and(|each| each.format() == Format::Json))
}

impl Policy for Responses {
    fn declares(&self) -> Declaration {
        Declaration {
            mode: self.mode,
            reads_response: true,
            later_request_fields: &[":method"],
            ..Declaration::default()
        }
    }

    fn check_request(&self, exchange: &mut Exchange<'_>, _host: &dyn Host) -> Verdict {
        exchange
            .edits
            .push(Edit::Prepared(Rc::clone(&self.unreadable)));
        Verdict::Pass
    }

    fn response_body_need(&self, response: &mut Response<'_>) -> Option<BodyNeed> {
        // What comes over a tunnel is no answer.
        if response.request.method() == "CONNECT" {
            return None;
        }
        let check = self.check(response.headers)?;
        let checks = &mut response.facts.seldom_mut().response_checks;
        checks.push((self.id(), check));
        Some(match check {
            ResponseCheck::Schema(_) | ResponseCheck::Untold(_) => {
                BodyNeed::Bytes { most: self.most }
            }
            // It is held until it is refused.
            ResponseCheck::Unreadable(_) => BodyNeed::Size,
        })
    }

    fn response_body(&self, body: &mut ResponseBody<'_>, _host: &dyn Host) -> Verdict {
        match (self.judge(body), body.progress.state) {
            (Err(refusal), _) => Verdict::Refuse(refusal),
            (Ok(()), BodyState::Open) => Verdict::AwaitBody(body.need),
            (Ok(()), BodyState::Complete) => Verdict::Pass,
        }
    }
}
