//! A route that is an API as an OpenAPI document describes it: what the document does not declare
//! is refused, and what it declares is judged as it says.

mod apis;
mod compile;
mod document;
mod forms;
mod misfits;
mod operations;
mod parameters;
mod references;
mod security;
mod template;

use std::rc::Rc;

use self::compile::compile;
use self::template::Template;
use super::forms::refusals as form_refusals;
use super::forms::{FormType, Forms};
use super::parameters::NamedValue;
use super::parameters::refusals as parameter_refusals;
use super::parameters::{ParameterSet, Parameters, refusal};
use super::payload::refusals as payload_refusals;
use super::payload::{LATER_FIELDS, Payload, Responses};
use crate::authn::operation::OperationSecurity;
use crate::versions::{UpstreamFields, age_fields, reads_response, replaced, tell};
use portcullis_exchange::body::{BodyNeed, RequestBody, ResponseBody};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::{BodyState, Exchange, OperationIndex, Response};
use portcullis_exchange::host::Host;
use portcullis_exchange::lifecycle::{Lifecycle, VersionState};
use portcullis_exchange::policy::{
    ChainPart, Compile, Declaration, Misfits, Policy, PolicyKind, Role, RouteCredentials, Stage,
    Verdict,
};
use portcullis_exchange::refusal::core::{NOTHING_HERE, method_not_allowed};
use portcullis_exchange::refusal::{Fact, Refusal, Selector};
use portcullis_exchange::target::{Target, fold_case};
use portcullis_exchange::versions::refusals as version_refusals;
use portcullis_exchange::versions::{VersionScheme, refused};
use portcullis_wire::headers::Headers;

pub use self::apis::Apis;

/// `openapi: { api, base_path, … }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "openapi",
    role: Role::Guards,
    // Those of `payload`, `forms` and `parameters`, and of the core.
    codes: &[],
    compile: Compile::Object(compile),
    rules: &[
        (Selector::Code(&payload_refusals::TOO_LARGE), "max_bytes"),
        (Selector::Code(&payload_refusals::STRUCTURE), "json"),
        (Selector::Code(&form_refusals::TOO_LARGE), "max_bytes"),
        (
            Selector::Reason(&parameter_refusals::UNDECLARED),
            "undeclared",
        ),
        (Selector::Reason(&form_refusals::UNDECLARED), "undeclared"),
        (Selector::Code(&payload_refusals::RESPONSE), "responses"),
        (Selector::Reason(&version_refusals::OPERATION), "deprecated"),
    ],
};

/// The operations of a document.
struct OpenApi {
    /// What stands in front of its paths; without its last `/`.
    base: String,
    /// In the order in which they are asked.
    paths: Vec<Path>,
    /// How requests name its versions.
    versions: Option<Rc<VersionScheme>>,
    /// What becomes of what the service says itself of its age.
    upstream: UpstreamFields,
    /// Where the document says the dates and links of deprecated operations.
    age_place: Rc<str>,
}

struct Path {
    template: Template,
    /// The same for paths of upper and lower case alike.
    folded: Template,
    operations: Vec<Operation>,
}

/// What one method of one path asks for.
struct Operation {
    method: String,
    /// Its `operationId`.
    id: Option<Box<str>>,
    /// Its method and the template of its path.
    name: Box<str>,
    /// The template of its path, where the variables of that have other names.
    template: Option<Template>,
    path: ParameterSet,
    parameters: Parameters,
    payload: Payload,
    /// Who may call it; none if nobody is asked here.
    security: Option<Rc<OperationSecurity>>,
    forms: Vec<(FormType, Forms)>,
    responses: Option<Responses>,
    /// How it grows old, if clients are to leave it.
    lifecycle: Option<Rc<Lifecycle>>,
}

impl Operation {
    /// What judges a body if it is a form.
    fn form(&self, headers: &Headers) -> Option<&Forms> {
        // Most have none.
        let (first, rest) = self.forms.split_first()?;
        let sent = FormType::of_body(headers)?;
        let mut forms = std::iter::once(first).chain(rest);
        let (_, found) = forms.find(|(form_type, _)| *form_type == sent)?;
        Some(found)
    }

    /// Judges a head; what must be seen of the body.
    fn judge_head(
        &self,
        values: &[NamedValue<'_>],
        exchange: &mut Exchange<'_>,
    ) -> Result<Option<BodyNeed>, Refusal> {
        let judged = self.path.judge(values);
        judged.map_err(|fault| refusal(fault, self.parameters.told))?;
        self.parameters.judge(exchange)?;
        self.judge_head_of_body(exchange)
    }

    /// Judges what the head says of the body; what must be seen of it.
    fn judge_head_of_body(&self, exchange: &Exchange<'_>) -> Result<Option<BodyNeed>, Refusal> {
        let need = self.payload.judge_head(exchange)?;
        match self.form(exchange.request.headers) {
            Some(form) if exchange.body == BodyState::Open => form.judge_head(exchange).map(Some),
            _ => Ok(need),
        }
    }

    fn judge_body(&self, body: &mut RequestBody<'_>, host: &dyn Host) -> Verdict {
        match self.form(body.request) {
            // Whether there must be one is not for forms to say.
            Some(form) if body.progress.size > 0 => form.request_body(body, host),
            _ => self.payload.request_body(body, host),
        }
    }
}

/// What a path and a method stand for.
struct MeantOperation<'v> {
    index: OperationIndex,
    values: Vec<NamedValue<'v>>,
    /// The other paths that a server may take it for: they fit too, and say no less in some segment.
    rivals: Vec<usize>,
}

impl Path {
    fn position(&self, method: &str) -> Option<usize> {
        self.operations
            .iter()
            .position(|each| each.method == method)
    }
}

impl OpenApi {
    fn find<'v>(&'v self, path: &'v str, method: &str) -> Result<MeantOperation<'v>, Refusal> {
        let no_route = || Refusal::new(&NOTHING_HERE);
        let inner = path.strip_prefix(self.base.as_str());
        let inner = inner.and_then(|inner| inner.strip_prefix('/'));
        let segments: Vec<&str> = inner.ok_or_else(no_route)?.split('/').collect();
        let mut paths = self.paths.iter().enumerate();
        let fitting =
            paths.find_map(|(at, path)| Some((at, path, path.template.values(&segments)?)));
        let (at, path, mut values) = fitting.ok_or_else(no_route)?;
        let operation = path.position(method).ok_or_else(|| {
            let mut methods: Vec<String> = Vec::new();
            methods.extend(path.operations.iter().map(|each| each.method.clone()));
            method_not_allowed(&methods)
        })?;
        let own = path.operations.get(operation);
        if let Some(template) = own.and_then(|operation| operation.template.as_ref()) {
            values = template.values(&segments).ok_or_else(no_route)?;
        }
        let rivals = paths.filter_map(|(at, other)| {
            other.template.values(&segments)?;
            let is_meant = path.template.says_more(&other.template);
            (!is_meant).then_some(at)
        });
        Ok(MeantOperation {
            index: (at, operation),
            rivals: rivals.collect(),
            values,
        })
    }

    /// Whether another reading of the path stands for the same operation, as far as can be told.
    fn is_same(&self, meant: &MeantOperation<'_>, other: &Target, method: &str) -> bool {
        let is_rival = |at: &usize| meant.rivals.contains(at);
        if !other.any_case() {
            return self.find(other.path(), method).is_ok_and(|found| {
                found.index == meant.index && found.rivals.iter().all(is_rival)
            });
        }
        let Some(path) = self.paths.get(meant.index.0) else {
            return false;
        };
        let base = fold_case(&self.base);
        let inner = other.path().strip_prefix(base.as_str());
        let Some(inner) = inner.and_then(|inner| inner.strip_prefix('/')) else {
            return false;
        };
        let segments: Vec<&str> = inner.split('/').collect();
        // A server to which case is nothing may take it for any that fits so, but for those that say less.
        let mut fitting = self.paths.iter().enumerate();
        path.template.fits_folded(&segments)
            && fitting.all(|(at, other)| {
                at == meant.index.0
                    || path.template.says_more(&other.template)
                    || !other.template.fits_folded(&segments)
                    || is_rival(&at)
            })
    }

    /// Whether something is told of the age of one of its operations.
    fn tells_of_age(&self) -> bool {
        let mut operations = self.paths.iter().flat_map(|path| &path.operations);
        operations.any(|operation| operation.lifecycle.is_some())
    }

    fn operation(&self, (path, operation): OperationIndex) -> Option<&Operation> {
        self.paths.get(path)?.operations.get(operation)
    }

    fn judge_head(&self, exchange: &mut Exchange<'_>) -> Result<Verdict, Refusal> {
        let request = exchange.request;
        let meant = self.find(request.target.path(), request.method())?;
        // What servers may read otherwise has to be the same operation.
        let mut others = request.target.other_readings();
        if !others.all(|other| self.is_same(&meant, &other, request.method())) {
            return Err(Refusal::new(&NOTHING_HERE));
        }
        let MeantOperation {
            index,
            values,
            rivals,
        } = meant;
        exchange.facts.operation = Some(index);
        let Some(operation) = self.operation(index) else {
            return Ok(Verdict::Pass);
        };
        if let Some(lifecycle) = &operation.lifecycle {
            let state = lifecycle
                .state(exchange.arrived)
                .max(VersionState::Deprecated);
            exchange.facts.grows_old(state);
            if state.is_gone() {
                let refusal = refused(&version_refusals::OPERATION, &lifecycle.members);
                return Err(self.named(refusal, index));
            }
        }
        // Who may call each of those for which a server may take it.
        let rivals = rivals.into_iter().filter_map(|at| {
            let path = self.paths.get(at)?;
            Some((at, path.position(request.method())?))
        });
        for index in std::iter::once(index).chain(rivals) {
            let operation = self.operation(index);
            if let Some(security) = operation.and_then(|each| each.security.as_ref()) {
                let judged = security.judge(exchange.facts);
                judged.map_err(|refusal| self.named(refusal, index))?;
            }
        }
        let judged = operation.judge_head(&values, exchange);
        let need = judged.map_err(|refusal| self.named(refusal, index))?;
        Ok(need.map_or(Verdict::Pass, Verdict::AwaitBody))
    }

    /// The refusal, with the operation that it is about.
    fn named(&self, refusal: Refusal, index: OperationIndex) -> Refusal {
        let path = self.paths.get(index.0);
        let Some((path, operation)) = path.zip(self.operation(index)) else {
            return refusal;
        };
        let name = format!("{} {}{}", operation.method, self.base, path.template);
        refusal.and("operation", Fact::trusted(&name))
    }

    fn named_in(&self, verdict: Verdict, index: Option<OperationIndex>) -> Verdict {
        match (verdict, index) {
            (Verdict::Refuse(refusal), Some(index)) => Verdict::Refuse(self.named(refusal, index)),
            (verdict, _) => verdict,
        }
    }
}

impl Policy for RequestJudge {
    fn check_request(&self, exchange: &mut Exchange<'_>, _host: &dyn Host) -> Verdict {
        let judged = self.api.judge_head(exchange);
        judged.unwrap_or_else(Verdict::Refuse)
    }

    fn edit_response(&self, response: &mut Response<'_>, _: &dyn Host) {
        let operation = response.facts.operation;
        let operation = operation.and_then(|index| self.api.operation(index));
        if let Some(lifecycle) = operation.and_then(|operation| operation.lifecycle.as_ref()) {
            tell(lifecycle, self.api.upstream, response);
        }
    }

    fn misfits(&self, credentials: &RouteCredentials<'_>) -> Misfits {
        self.api.misfits_of_security(credentials)
    }

    fn declares(&self) -> Declaration {
        let operations = self.api.paths.iter().flat_map(|path| &path.operations);
        let mut all = operations.clone();
        let checks_security = all.any(|operation| operation.security.is_some());
        let names = operations.flat_map(|operation| operation.parameters.header_names());
        let operations = self.api.paths.iter().flat_map(|path| &path.operations);
        let lifecycles = operations.filter_map(|operation| operation.lifecycle.as_deref());
        let mut lifecycles = lifecycles.peekable();
        // Without any, nothing is told, nor taken away.
        let is_told = lifecycles.peek().is_some();
        let age = is_told.then(|| age_fields(lifecycles, self.api.upstream, &self.api.age_place));
        let age = age.flatten();
        Declaration {
            replaces_response_headers: age.as_ref().map(replaced).unwrap_or_default(),
            tells_age: age,
            later_request_fields: LATER_FIELDS,
            judged_request_headers: names.collect(),
            checks_security,
            operations: Some(Rc::<OpenApi>::clone(&self.api)),
            versions: self.api.versions.clone(),
            reads_response: reads_response(self.api.upstream, self.api.tells_of_age()),
            ..Declaration::default()
        }
    }

    fn request_body(&self, body: &mut RequestBody<'_>, host: &dyn Host) -> Verdict {
        let index = body.facts.operation;
        let operation = index.and_then(|index| self.api.operation(index));
        let judged = operation.map(|operation| operation.judge_body(body, host));
        self.api.named_in(judged.unwrap_or(Verdict::Pass), index)
    }
}

/// The part of it that judges answers.
struct ResponseJudge {
    api: Rc<OpenApi>,
    mode: Mode,
}

impl ResponseJudge {
    fn responses(&self, index: Option<OperationIndex>) -> Option<&Responses> {
        self.api.operation(index?)?.responses.as_ref()
    }
}

impl Policy for ResponseJudge {
    fn declares(&self) -> Declaration {
        Declaration {
            mode: self.mode,
            reads_response: true,
            ..Declaration::default()
        }
    }

    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let responses = self.responses(exchange.facts.operation);
        responses.map_or(Verdict::Pass, |responses| {
            responses.check_request(exchange, host)
        })
    }

    fn response_body_need(&self, response: &mut Response<'_>) -> Option<BodyNeed> {
        self.responses(response.facts.operation)?
            .response_body_need(response)
    }

    fn response_body(&self, body: &mut ResponseBody<'_>, host: &dyn Host) -> Verdict {
        let index = body.facts.operation;
        let responses = self.responses(index);
        let judged = responses.map(|responses| responses.response_body(body, host));
        self.api.named_in(judged.unwrap_or(Verdict::Pass), index)
    }
}

/// The part of it that judges requests.
struct RequestJudge {
    api: Rc<OpenApi>,
}

/// The parts of a route's chain.
fn parts(api: OpenApi, answers: Option<Mode>) -> Vec<ChainPart> {
    let api: Rc<OpenApi> = Rc::new(api);
    let judge = RequestJudge {
        api: Rc::clone(&api),
    };
    let mut parts = ChainPart::only(Stage::Content, judge);
    parts.extend(answers.map(|mode| ChainPart {
        stage: Stage::Response,
        policy: Rc::new(ResponseJudge { api, mode }),
    }));
    parts
}
