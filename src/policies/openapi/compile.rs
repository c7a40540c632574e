//! From `openapi` and the document it names to operations that judge.

use std::rc::Rc;

use super::document::{self, Reader};
use super::forms::{DeclaredForm, FileField};
use super::parameters::ParameterRules;
use super::security::Security;
use super::{Apis, OpenApi, Operation, Path, parts};
use crate::authn::operation::OperationSecurity;
use crate::forms::{FileRule, FormRules, FormType, Forms};
use crate::parameters::Undeclared;
use crate::payload::{BodyRules, Expected, Payload, Responses, USUAL_JSON, read_limits};
use crate::versions::{UpstreamFields, read_lifecycle, read_upstream};
use portcullis_document::{DidYouMean, Fields, LeftOut, Node, Pointer, Problems, Quoted};
use portcullis_exchange::body::Inspection;
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::lifecycle::Lifecycle;
use portcullis_exchange::media_type::MediaRange;
use portcullis_exchange::policy::{ChainPart, Context};
use portcullis_exchange::refusal::Disclosure;
use portcullis_exchange::section::Sections;
use portcullis_schema::{Compiled, Formats, Metaschemas, Notes};
use portcullis_wire::budget::Share;
use portcullis_wire::json_gate::Limits;

/// How many operations a document may have.
const MAX_OPERATIONS: usize = 5000;

/// What a route asks for beside the document.
struct RouteSettings<'d> {
    base: String,
    max_bytes: u64,
    json: Limits,
    undeclared: Undeclared,
    formats: Formats,
    told: Disclosure,
    answers: Option<(Mode, Option<u64>)>,
    inspection: Inspection,
    /// What the security schemes of the API stand for, if it is asked who may call.
    security: Option<Node<'d>>,
    /// How its deprecated operations grow old.
    deprecated: Rc<Lifecycle>,
    upstream: UpstreamFields,
}

pub(super) fn compile(
    fields: &mut Fields<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<ChainPart>> {
    if !portcullis_schema::AVAILABLE {
        context.problems.report(fields.pointer(), LeftOut::SCHEMAS);
        return None;
    }
    let api = fields.required("api", context.problems);
    let written = api.as_ref().and_then(|node| node.json().as_str());
    let settings = RouteSettings::read(fields, context.inspection, context.notes, context.problems);
    let api = api.and_then(|node| {
        let name = node.non_empty(context.problems)?;
        let apis = context.sections.get::<Apis>();
        let found = apis.named(name, context.document);
        if found.is_none() {
            let near = DidYouMean(name, apis.names());
            let reason = format!("no API is named {}{near}", Quoted(name));
            node.report(context.problems, reason);
        }
        found
    });
    let (api, settings) = (api?, settings?);
    let versions = written.and_then(|name| context.sections.get::<Apis>().versions(name).cloned());
    let metaschemas = Metaschemas::default();
    let mut reader = Reader::new(
        &api,
        settings.answers.is_some(),
        &metaschemas,
        context.problems,
    )?;
    reader.enforces_security = settings.security.is_some();
    let (paths, keys, anything) = (reader.paths(), reader.keys(), reader.anything());
    let securities =
        settings.securities(&paths, (context.sections, context.document), &mut reader)?;
    let count: usize = paths.iter().map(|path| path.operations.len()).sum();
    if count > MAX_OPERATIONS {
        let reason = format!("has more than {MAX_OPERATIONS} operations");
        api.report(reader.problems, reason);
        return None;
    }
    let Reader {
        requests,
        responses,
        mut notes,
        problems,
        ..
    } = reader;
    let requests = requests.finish(problems)?;
    let responses = match responses {
        None => None,
        Some(responses) => Some(responses.finish(problems)?),
    };
    for compiled in [Some(&requests), responses.as_ref()].into_iter().flatten() {
        for (place, format) in &compiled.unknown_formats {
            if settings.formats == Formats::Assert {
                notes.add_at(&format!("no format is known as {}", Quoted(format)), place);
            }
        }
    }
    for path in &paths {
        let sizes = path.operations.iter().map(size);
        let size = sizes.fold(1024, usize::saturating_add);
        if !problems.account(api.pointer(), Share::Documents, size) {
            return None;
        }
    }
    let mut compiler = Compiler {
        rules: ParameterRules {
            schemas: &requests,
            anything,
            formats: settings.formats,
            undeclared: settings.undeclared,
            told: settings.told,
        },
        settings: &settings,
        responses: responses.as_ref(),
        keys: &keys,
        notes: &mut notes,
    };
    note_deprecated(&paths, &settings, api.pointer(), compiler.notes);
    let mut securities = securities.into_iter();
    let paths = paths.into_iter().map(|path| Path {
        folded: path.template.folded(),
        template: path.template,
        operations: path
            .operations
            .iter()
            .map(|each| compiler.operation(each, securities.next().flatten()))
            .collect(),
    });
    let paths = paths.collect();
    notes.extend(requests.notes);
    if let Some(responses) = responses {
        notes.extend(responses.notes);
    }
    let who = format!("{}: openapi", context.place);
    context.notes.extend(notes.lines(&who));
    let RouteSettings {
        base,
        answers,
        upstream,
        ..
    } = settings;
    Some(parts(
        OpenApi {
            base,
            paths,
            versions,
            upstream,
            age_place: fields.pointer().member("deprecated").to_string().into(),
        },
        answers.map(|(mode, _)| mode),
    ))
}

/// RFC 9745 §2: the field is a date, and the API says none.
fn note_deprecated(
    paths: &[document::PathItem<'_>],
    settings: &RouteSettings<'_>,
    at: &Pointer,
    notes: &mut Notes,
) {
    let mut operations = paths.iter().flat_map(|path| &path.operations);
    let is_old = operations.any(|operation| operation.deprecated);
    if is_old && settings.deprecated.deprecated.is_none() {
        notes.add_at(
            "operations are `deprecated`, and since when is not known, so clients are not told: say it in `deprecated` of the block",
            at,
        );
    }
    if !is_old && !settings.deprecated.fields.is_empty() {
        notes.add_at(
            "no operation is `deprecated`, so `deprecated` of the block says nothing",
            at,
        );
    }
}

/// What an operation takes of memory, at most, apart from its schemas.
fn size(operation: &document::DeclaredOperation<'_>) -> usize {
    const OPERATION: usize = 4096;
    const PARAMETER: usize = 1024;
    const RESPONSE: usize = 256;
    /// So many times what its security requirements take.
    const SECURITY: usize = 4;
    let content = operation.body.as_ref().map_or(0, |body| {
        let forms = body.forms.iter();
        let fields = forms.map(|form| form.fields.len().saturating_add(form.files.len()));
        let fields = fields.fold(0, usize::saturating_add);
        fields.saturating_add(body.content.len())
    });
    let declared = operation.parameters.len().saturating_add(content);
    let answers = operation.responses.iter();
    let answers = answers.map(|answer| answer.content.len().saturating_add(1));
    let answers = answers
        .fold(0, usize::saturating_add)
        .saturating_mul(RESPONSE);
    let security = operation.security.as_ref();
    let security = security.map_or(0, |node| node.json().weight().saturating_mul(SECURITY));
    let declared = declared.saturating_mul(PARAMETER).saturating_add(answers);
    let declared = declared.saturating_add(security);
    declared.saturating_add(OPERATION)
}

impl<'d> RouteSettings<'d> {
    fn read(
        fields: &mut Fields<'d>,
        inspection: Inspection,
        notes: &mut Vec<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let base = fields.or_default("base_path", String::new(), problems, read_base);
        let max_bytes = fields.required("max_bytes", problems);
        let max_bytes = max_bytes.and_then(|node| node.bytes_read(problems));
        let json = fields.or_default("json", USUAL_JSON, problems, read_limits);
        let undeclared =
            fields.or_default("undeclared", Undeclared::Refuse, problems, Undeclared::read);
        let formats =
            fields.or_default("formats", Formats::Annotate, problems, |node, problems| {
                node.choice(
                    problems,
                    &[("annotate", Formats::Annotate), ("assert", Formats::Assert)],
                )
            });
        let told = fields.or_default(
            "details",
            Disclosure::CodeOnly,
            problems,
            |node, problems| {
                node.choice(
                    problems,
                    &[
                        ("none", Disclosure::CodeOnly),
                        ("pointers", Disclosure::Pointers),
                    ],
                )
            },
        );
        let answers = match fields.optional("responses").filter(|node| !node.is_off()) {
            None => Some(None),
            Some(node) => read_responses(&node, problems).map(Some),
        };
        let security = fields.optional("security");
        let deprecated = fields.optional("deprecated");
        let deprecated = match deprecated {
            None => Some((Lifecycle::default(), UpstreamFields::Replace)),
            Some(node) => read_deprecated(&node, notes, problems),
        };
        let (lifecycle, upstream) = deprecated?;
        Some(Self {
            base: base?,
            max_bytes: max_bytes?,
            json: json?,
            undeclared: undeclared?,
            formats: formats?,
            told: told?,
            answers: answers?,
            inspection,
            security,
            deprecated: Rc::new(lifecycle),
            upstream,
        })
    }

    /// What each operation asks of callers, in the order of the paths; nothing where nobody is asked.
    fn securities<'a>(
        &self,
        paths: &[document::PathItem<'a>],
        context: (&Sections, &Node<'a>),
        reader: &mut Reader<'a, '_>,
    ) -> Option<Vec<Option<Rc<OperationSecurity>>>> {
        let operations = paths.iter().flat_map(|path| &path.operations);
        let Some(node) = &self.security else {
            return Some(operations.map(|_| None).collect());
        };
        let (sections, filter) = context;
        let mut security = Security::read(node, filter, sections, reader)?;
        let root = reader.root.clone();
        let read = operations.map(|operation| {
            let own = operation.security.as_ref();
            security.of_operation(own, &root, reader.problems)
        });
        let read: Vec<Option<Rc<OperationSecurity>>> = read.collect();
        for name in security.unused() {
            let what = format!("no operation asks for the security scheme {}", Quoted(name));
            reader.notes.add_at(&what, node.pointer());
        }
        // What is wrong with one has been reported.
        read.iter().all(Option::is_some).then_some(read)
    }
}

fn read_base(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let path = portcullis_exchange::route::read_path(node, problems)?;
    Some(path.strip_suffix('/').unwrap_or(path).to_owned())
}

/// `deprecated: { deprecated, sunset, guide, … }`: what is told of operations that the API calls deprecated.
fn read_deprecated(
    node: &Node<'_>,
    notes: &mut Vec<String>,
    problems: &mut Problems,
) -> Option<(Lifecycle, UpstreamFields)> {
    let mut fields = node.object(problems, "{\"deprecated\": \"2026-11-30\"}")?;
    let upstream = fields.or_default(
        "upstream_headers",
        UpstreamFields::Replace,
        problems,
        read_upstream,
    );
    let lifecycle = read_lifecycle(&mut fields, None, false, notes, problems);
    fields.deny_unknown(problems);
    Some((lifecycle?, upstream?))
}

fn read_responses(node: &Node<'_>, problems: &mut Problems) -> Option<(Mode, Option<u64>)> {
    let mut fields = node.fields(problems)?;
    let mode = fields.or_default("mode", Mode::Shadow, problems, Mode::read);
    let most = fields.or_default("max_bytes", None, problems, |node, problems| {
        node.bytes_read(problems).map(Some)
    });
    fields.deny_unknown(problems);
    Some((mode?, most?))
}

struct Compiler<'c, 'd> {
    settings: &'c RouteSettings<'c>,
    rules: ParameterRules<'c>,
    responses: Option<&'c Compiled>,
    keys: &'c [document::DeclaredParameter<'d>],
    notes: &'c mut Notes,
}

impl Compiler<'_, '_> {
    fn operation(
        &mut self,
        operation: &document::DeclaredOperation<'_>,
        security: Option<Rc<OperationSecurity>>,
    ) -> Operation {
        let RouteSettings {
            formats,
            told,
            answers,
            ..
        } = *self.settings;
        let declared = &operation.parameters;
        let (path, parameters) = self.rules.compile(declared, self.keys, self.notes);
        let body = operation.body.as_ref();
        let content = body.map_or(&[][..], |body| body.content.as_slice());
        let content = content.iter().map(|(media_type, handle)| {
            let schema = handle.map(|handle| self.rules.schemas.schema(handle, formats));
            (media_type.clone(), schema)
        });
        let payload = Payload::declared(BodyRules {
            method: &operation.method,
            required: body.map(|body| body.required),
            content: content.collect(),
            max_bytes: self.settings.max_bytes,
            json: self.settings.json,
            told,
            inspection: self.settings.inspection,
        });
        let responses = answers.zip(self.responses).map(|((mode, most), compiled)| {
            let mut expected = Vec::new();
            for answer in &operation.responses {
                let (first, last) = answer.statuses;
                let content = answer.content.iter();
                let content = content.map(|(range, schema)| (Some(range.clone()), *schema));
                // A status that is declared without JSON is declared all the same.
                let none = answer.content.is_empty().then_some((None, None));
                expected.extend(content.chain(none).map(|(range, handle)| Expected {
                    statuses: first..=last,
                    range,
                    schema: handle.map(|handle| compiled.schema(handle, formats)),
                }));
            }
            Responses::new(mode, most, expected)
        });
        let forms = body.map_or(&[][..], |body| body.forms.as_slice());
        Operation {
            method: operation.method.clone(),
            id: operation.id.map(Box::from),
            name: operation.name.as_str().into(),
            template: operation.template.clone(),
            security,
            path,
            parameters,
            payload,
            forms: forms.iter().map(|form| self.form(form)).collect(),
            responses,
            lifecycle: operation
                .deprecated
                .then(|| Rc::clone(&self.settings.deprecated)),
        }
    }
    fn form(&mut self, form: &DeclaredForm<'_>) -> (FormType, Forms) {
        let (fields, known) = self.rules.fields(form, self.notes);
        let files = form.files.iter().map(|file| FileRule {
            name: file.name.to_owned(),
            required: file.required,
            repeated: file.repeated,
            max_bytes: self.settings.max_bytes,
            content_types: self.media_ranges(file),
            extensions: None,
            place: file.node.pointer().clone(),
        });
        let rules = FormRules {
            max_bytes: self.settings.max_bytes,
            fields,
            files: files.collect(),
            either: form
                .either
                .iter()
                .map(|(name, required)| ((*name).to_owned(), *required))
                .collect(),
            closed: form.closed && known,
            told: self.settings.told,
            inspection: self.settings.inspection,
        };
        (form.form_type, Forms::declared(rules))
    }

    /// The media types that a file may have; none if one of them cannot be told.
    fn media_ranges(&self, file: &FileField<'_>) -> Option<Vec<MediaRange>> {
        let written = file.media_types?.split(',').map(str::trim);
        written.map(MediaRange::declared).collect()
    }
}
