//! Bodies that are forms: which fields and files they may have.

mod files;
pub mod multipart;
pub mod refusals;

use std::borrow::Cow;

use self::files::FileError;
pub(super) use self::files::FileRule;
use self::multipart::FormPart;
use self::refusals::{
    BODY_TOO_LARGE, BOUNDARY, CHARSET, CONTENT_ENCODING, CONTENT_TYPE, DECLARED_TOO_LARGE,
    EXPECT_CONTINUE, EXPECTATION, INVALID, MEDIA_TYPE, TOO_LARGE, TOO_MANY, UNDECLARED, broken,
    faulty, malformed, misfit,
};
use super::parameters::{
    Controls, Pair, ParameterError, ParameterLocation as Where, ParameterSet, pairs, read_list,
    read_told, vetted,
};
use portcullis_document::{Fields, Node, Problems, Quoted};
use portcullis_exchange::body::{BodyNeed, Inspection, NoBytes, RequestBody};
use portcullis_exchange::exchange::{BodyState, Exchange};
use portcullis_exchange::host::Host;
use portcullis_exchange::media_type::MediaType;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::refusal::{Disclosure, Fact, Refusal, Selector};
use portcullis_wire::headers::Headers;

/// `forms: { max_bytes, fields, files, … }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "forms",
    role: Role::Guards,
    codes: &[
        &TOO_LARGE,
        &MEDIA_TYPE,
        &EXPECTATION,
        &refusals::MALFORMED,
        &INVALID,
    ],
    compile: Compile::Object(compile),
    rules: &[
        (Selector::Code(&TOO_LARGE), "max_bytes"),
        (Selector::Reason(&CONTENT_TYPE), "other_types"),
        (Selector::Reason(&TOO_MANY), "max_parts"),
        (Selector::Reason(&UNDECLARED), "undeclared"),
    ],
};

/// How many parts a form may have, unless the document says so.
const USUAL_PARTS: usize = 100;

/// What a form must be like.
pub(super) struct Forms {
    max_bytes: u64,
    fields: ParameterSet,
    files: Vec<FileRule>,
    /// Those of them that may come as a field instead, each with whether it must come.
    either: Vec<(String, bool)>,
    max_parts: usize,
    /// What becomes of fields and files that nobody declared.
    undeclared: Others,
    /// What becomes of bodies that are no forms.
    other_types: Others,
    told: Disclosure,
    inspection: Inspection,
}

/// What is declared of the forms of one media type.
pub(super) struct FormRules {
    pub(super) max_bytes: u64,
    pub(super) fields: ParameterSet,
    pub(super) files: Vec<FileRule>,
    /// What is among both and may come as either, each with whether it must come.
    pub(super) either: Vec<(String, bool)>,
    /// Whether nothing else may be there.
    pub(super) closed: bool,
    pub(super) told: Disclosure,
    pub(super) inspection: Inspection,
}

/// A media type of forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormType {
    /// `application/x-www-form-urlencoded`.
    UrlEncoded,
    /// `multipart/form-data`.
    Multipart,
}

/// What becomes of what is not declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    Pass,
    Refuse,
}

/// What a body is.
enum FormEncoding {
    UrlEncoded,
    /// With its boundary.
    Multipart(String),
    Other,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let max_bytes = fields.required("max_bytes", context.problems);
    let max_bytes = max_bytes.and_then(|node| node.bytes_read(context.problems));
    let set = match fields.optional("fields") {
        None => Some(ParameterSet::new(Where::Form, Vec::new())),
        Some(node) => read_list(&node, Where::Form, context),
    };
    let problems = &mut *context.problems;
    let files = fields.or_default("files", Vec::new(), problems, FileRule::read_list);
    if let (Some(set), Some(files)) = (&set, &files) {
        for file in files.iter().filter(|file| set.declares(&file.name)) {
            let name = Quoted(&file.name);
            let reason = format_args!("`fields` and `files` both name {name}");
            problems.report(fields.pointer(), reason);
        }
    }
    let max_parts = fields.or_default("max_parts", USUAL_PARTS, problems, |node, problems| {
        let most = node.integer(problems, 1..=1000)?;
        usize::try_from(most).ok()
    });
    let undeclared = fields.or_default("undeclared", Others::Refuse, problems, read_others);
    let other_types = fields.or_default("other_types", Others::Refuse, problems, read_others);
    let told = read_told(fields.optional("details").as_ref(), problems);
    let policy = Forms {
        max_bytes: max_bytes?,
        fields: set?,
        files: files?,
        either: Vec::new(),
        max_parts: max_parts?,
        undeclared: undeclared?,
        other_types: other_types?,
        told: told?,
        inspection: context.inspection,
    };
    Some(ChainPart::only(Stage::Content, policy))
}

fn read_others(node: &Node<'_>, problems: &mut Problems) -> Option<Others> {
    node.choice(
        problems,
        &[("pass", Others::Pass), ("refuse", Others::Refuse)],
    )
}

impl Policy for Forms {
    fn check_request(&self, exchange: &mut Exchange<'_>, _host: &dyn Host) -> Verdict {
        match self.judge_head(exchange) {
            Ok(need) => Verdict::AwaitBody(need),
            Err(refusal) => Verdict::Refuse(self.detailed(refusal, exchange.request.headers)),
        }
    }

    fn declares(&self) -> Declaration {
        Declaration {
            later_request_fields: &["content-type"],
            ..Declaration::default()
        }
    }

    fn request_body(&self, body: &mut RequestBody<'_>, _host: &dyn Host) -> Verdict {
        match (self.judge(body), body.progress.state) {
            (Err(refusal), _) => Verdict::Refuse(self.detailed(refusal, body.request)),
            (Ok(()), BodyState::Open) => Verdict::AwaitBody(body.need),
            (Ok(()), BodyState::Complete) => Verdict::Pass,
        }
    }
}

impl FormType {
    /// The one of that name.
    pub(super) fn of(essence: &str) -> Option<Self> {
        Self::of_media_type(&MediaType::parse(essence.as_bytes())?)
    }

    /// The one that a body says it is.
    pub(super) fn of_body(headers: &Headers) -> Option<Self> {
        let sent = headers.all("content-type").next()?;
        Self::of_media_type(&MediaType::parse(sent)?)
    }

    fn of_media_type(media_type: &MediaType<'_>) -> Option<Self> {
        if media_type.is("application", "x-www-form-urlencoded") {
            Some(FormType::UrlEncoded)
        } else if media_type.is("multipart", "form-data") {
            Some(FormType::Multipart)
        } else {
            None
        }
    }
}

impl Forms {
    /// For forms whose declaration another reader has read.
    pub(super) fn declared(rules: FormRules) -> Self {
        Self {
            max_bytes: rules.max_bytes,
            fields: rules.fields,
            files: rules.files,
            either: rules.either,
            max_parts: USUAL_PARTS,
            undeclared: match rules.closed {
                true => Others::Refuse,
                false => Others::Pass,
            },
            other_types: Others::Pass,
            told: rules.told,
            inspection: rules.inspection,
        }
    }

    /// Judges a head; what must be seen of the body.
    pub(super) fn judge_head(&self, exchange: &Exchange<'_>) -> Result<BodyNeed, Refusal> {
        let headers = exchange.request.headers;
        let body = body_type(headers)?;
        let length = headers.one("content-length").ok().flatten();
        let length = length.and_then(|value| std::str::from_utf8(value).ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.max_bytes) {
            return Err(Refusal::new(&DECLARED_TOO_LARGE));
        }
        if matches!(body, FormEncoding::Other) {
            return Ok(BodyNeed::Count);
        }
        let identity = |value: &[u8]| value.eq_ignore_ascii_case(b"identity");
        if !headers.all("content-encoding").all(identity) {
            return Err(Refusal::new(&CONTENT_ENCODING));
        }
        let holds = exchange.body == BodyState::Open && self.inspection == Inspection::HoldHeaders;
        // A service that is to answer it would have to see the head first.
        if holds && headers.all("expect").next().is_some() {
            return Err(Refusal::new(&EXPECT_CONTINUE));
        }
        let most = self.max_bytes;
        Ok(BodyNeed::Bytes { most })
    }

    /// The refusal, with what was found in its place.
    fn detailed(&self, refusal: Refusal, headers: &Headers) -> Refusal {
        let code = refusal.code();
        if *code == TOO_LARGE {
            refusal.and("most", Fact::Number(self.max_bytes))
        } else if *code == MEDIA_TYPE {
            refusal.telling("content_type", headers.all("content-type").next())
        } else {
            refusal
        }
    }

    fn judge(&self, body: &RequestBody<'_>) -> Result<(), Refusal> {
        let size = body.progress.size;
        if size > self.max_bytes {
            return Err(Refusal::new(&BODY_TOO_LARGE));
        }
        // Its type is asked for once, however many pieces it comes in.
        let is_form = matches!(body.need, BodyNeed::Bytes { .. });
        if is_form && body.progress.state == BodyState::Open {
            return Ok(());
        }
        let kind = body_type(body.request)?;
        if matches!(kind, FormEncoding::Other) {
            return match self.other_types {
                Others::Refuse if size > 0 => Err(Refusal::new(&CONTENT_TYPE)),
                _ => Ok(()),
            };
        }
        if body.progress.state == BodyState::Open {
            return Ok(());
        }
        let bytes = match body.bytes() {
            Ok(bytes) => bytes,
            Err(NoBytes::TooMany) => return Err(Refusal::new(&BODY_TOO_LARGE)),
            // The first is not so, and of the other the stream takes care.
            Err(NoBytes::Incomplete | NoBytes::Unavailable) => return Ok(()),
        };
        match kind {
            FormEncoding::Multipart(boundary) if size > 0 => self.judge_parts(bytes, &boundary),
            _ => self.judge_pairs(bytes),
        }
    }

    fn judge_pairs(&self, bytes: &[u8]) -> Result<(), Refusal> {
        let pairs = pairs(bytes, Controls::Lines).map_err(malformed)?;
        let mut came = Vec::with_capacity(pairs.len());
        for Pair { name, value, .. } in pairs {
            if self.files.iter().any(|file| file.name == name) {
                return Err(self.misfit(FileError::Kind, &name));
            }
            self.vet(&name)?;
            came.push((name, value));
        }
        self.judge_fields(&came)?;
        self.judge_counts(&[], &came)
    }

    fn judge_parts(&self, bytes: &[u8], boundary: &str) -> Result<(), Refusal> {
        let pieces = multipart::parse(bytes, boundary, self.max_parts).map_err(broken)?;
        let (mut came, mut files) = (Vec::new(), Vec::new());
        for piece in &pieces {
            match (piece.filename, self.rule(piece.name)) {
                // What a browser sends where nobody has chosen a file.
                (Some(""), _) if piece.content.is_empty() => {}
                (Some(filename), Some(rule)) => {
                    let judged = rule.judge(piece, filename);
                    judged.map_err(|why| self.misfit(why, piece.name))?;
                    files.push(piece);
                }
                (Some(_), None) if self.fields.declares(piece.name) => {
                    return Err(self.misfit(FileError::Kind, piece.name));
                }
                (None, Some(_)) if !self.fields.declares(piece.name) => {
                    return Err(self.misfit(FileError::Kind, piece.name));
                }
                (None, _) => {
                    self.vet(piece.name)?;
                    let text = vetted(piece.content, Controls::Lines).map_err(malformed)?;
                    came.push((Cow::Borrowed(piece.name), Cow::Borrowed(text)));
                }
                (Some(_), None) => self.vet(piece.name)?,
            }
        }
        self.judge_fields(&came)?;
        self.judge_counts(&files, &came)
    }

    fn judge_fields(&self, came: &[(Cow<'_, str>, Cow<'_, str>)]) -> Result<(), Refusal> {
        let judged = self.fields.judge(came);
        judged.map_err(|fault| faulty(fault, self.told))
    }

    fn judge_counts(
        &self,
        files: &[&FormPart<'_>],
        came: &[(Cow<'_, str>, Cow<'_, str>)],
    ) -> Result<(), Refusal> {
        for (name, required) in &self.either {
            let files = files.iter().filter(|file| file.name == name).count();
            let fields = came.iter().filter(|(field, _)| field == name).count();
            match files.saturating_add(fields) {
                0 if *required => return Err(self.misfit(FileError::Missing, name)),
                2.. => return Err(self.misfit(FileError::Repeated, name)),
                _ => {}
            }
        }
        for rule in &self.files {
            let count = files.iter().filter(|file| file.name == rule.name).count();
            let judged = rule.judge_count(count);
            judged.map_err(|why| self.misfit(why, &rule.name))?;
        }
        Ok(())
    }

    /// Judges a name that may be declared or not. One that differs from a declared one in case
    /// alone is one to some services.
    fn vet(&self, name: &str) -> Result<(), Refusal> {
        let file = |rule: &FileRule| rule.name.eq_ignore_ascii_case(name);
        let resembles = self.fields.resembles(name) || self.files.iter().any(file);
        match self.undeclared {
            _ if self.fields.declares(name) => Ok(()),
            Others::Pass if !resembles => Ok(()),
            _ => {
                let refusal = faulty(ParameterError::undeclared(), self.told);
                Err(refusal.telling("parameter", Some(name.as_bytes())))
            }
        }
    }

    fn rule(&self, name: &str) -> Option<&FileRule> {
        self.files.iter().find(|rule| rule.name == name)
    }

    fn misfit(&self, why: FileError, name: &str) -> Refusal {
        let violation = self.rule(name).map(|rule| rule.violation(why.keyword()));
        misfit(why, violation, self.told)
    }
}

/// What the body of a request is, as its head says.
fn body_type(headers: &Headers) -> Result<FormEncoding, Refusal> {
    let refuse = |reason| Err(Refusal::new(reason));
    let Ok(sent) = headers.one("content-type") else {
        return refuse(&CONTENT_TYPE);
    };
    let Some(sent) = sent else {
        return Ok(FormEncoding::Other);
    };
    let Some(media_type) = MediaType::parse(sent) else {
        return refuse(&CONTENT_TYPE);
    };
    let is_utf8 = media_type.is_utf8();
    let body = match FormType::of_media_type(&media_type) {
        Some(FormType::UrlEncoded) => FormEncoding::UrlEncoded,
        Some(FormType::Multipart) => match media_type.parameter("boundary") {
            Some(boundary) if multipart::is_boundary(boundary) => {
                FormEncoding::Multipart(boundary.to_owned())
            }
            _ => return refuse(&BOUNDARY),
        },
        None => return Ok(FormEncoding::Other),
    };
    if is_utf8 { Ok(body) } else { refuse(&CHARSET) }
}
