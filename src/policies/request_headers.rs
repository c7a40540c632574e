//! Request header fields that the service gets besides, instead, or not at all.

use std::rc::Rc;

use crate::HAS_TRAFFIC;
use crate::written::{FieldRules, Filled, Filling, RuleSet, ValueTemplate, alike};
use portcullis_document::LeftOut;
use portcullis_document::header::{OVERRIDES, has_meaning_in_requests};
use portcullis_document::{Fields, Quoted};
use portcullis_exchange::edit::Edit;
use portcullis_exchange::exchange::Exchange;
use portcullis_exchange::host::Host;
use portcullis_exchange::plan::{Case, Draft, HeadTest, Step};
use portcullis_exchange::policy::{
    ChainPart, ChangedRequestField, Compile, Context, Declaration, Misfits, Policy, PolicyKind,
    RequestFieldChange, Role, RouteCredentials, RoutePath, Stage, Verdict,
};
use portcullis_exchange::refusal::{Blame, Code, Detail, Fact, Reason, Refusal, grpc};
use portcullis_wire::headers::{HeaderName, are_alike};

/// `request_headers: { set, add_if_absent, remove }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "request_headers",
    role: Role::Guards,
    codes: &[&UNWRITABLE],
    compile: Compile::Object(compile),
    rules: &[],
};

static UNWRITABLE: Code = Code {
    name: "request_header_unwritable",
    status: 400,
    grpc_status: grpc::INVALID_ARGUMENT,
    title: "A value of the request cannot be passed on.",
    reasons: &[&VALUE],
};

static VALUE: Reason = Reason::new("value", &UNWRITABLE, Blame::Request);

/// The block, ready to write.
struct RequestHeaders {
    rules: FieldRules,
    path: RoutePath,
    /// All that is done, where that is the same for all requests but for what is added.
    constant: Option<Rc<[Edit]>>,
}

const RULES: RuleSet = RuleSet { refuses };

fn refuses(name: &HeaderName, value: Option<&ValueTemplate>) -> Option<&'static str> {
    let is = |each: &&str| are_alike(each.as_bytes(), name.as_str().as_bytes());
    match value {
        Some(_) if OVERRIDES.iter().any(is) => Some(
            "names another method or path than those that have been judged; it can be removed alone",
        ),
        Some(value) if value.constant().is_none() && has_meaning_in_requests(name) => Some(
            "has a meaning of its own, and a client's own is removed from every request where the filter fills it; choose another name",
        ),
        _ => None,
    }
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    if !HAS_TRAFFIC {
        context.problems.report(fields.pointer(), LeftOut::TRAFFIC);
        return None;
    }
    let rules = FieldRules::read(fields, &RULES, context)?;
    if let Some(field) = rules.add.iter().find(|field| field.value.tells_caller()) {
        let name = Quoted(field.name.as_str()).to_string();
        context.problems.report(
            &fields.pointer().member("add_if_absent"),
            format_args!(
                "{name} tells who calls, and a client could send its own; write it into `set`"
            ),
        );
        return None;
    }
    let constant = rules.is_constant().then(|| rules.constant_edits());
    let policy = RequestHeaders {
        path: context.route_path(),
        constant,
        rules,
    };
    Some(ChainPart::only(Stage::Content, policy))
}

impl RequestHeaders {
    fn edits(&self, exchange: &Exchange<'_>, host: &dyn Host) -> Result<Vec<Edit>, Refusal> {
        let headers = exchange.request.headers;
        let filling = Filling {
            request: &exchange.request,
            facts: exchange.facts,
            route: exchange.route,
            path: &self.path,
            host,
        };
        let mut edits = Vec::new();
        for field in self.rules.written() {
            let is_added = self.rules.add.iter().any(|each| each.name == field.name);
            if is_added && field.is_in(headers) {
                continue;
            }
            // A client's own goes, whether or not there is a value.
            edits.extend(others(&field.name, headers));
            match field.fill(&filling) {
                Filled::Value(value) => edits.push(Edit::Set(field.name.clone(), value)),
                Filled::Absent => edits.push(Edit::Remove(field.name.clone())),
                Filled::Unwritable => {
                    let detail =
                        Detail::default().and("header", Fact::trusted(field.name.as_str()));
                    return Err(Refusal::new(&VALUE).because(detail));
                }
            }
        }
        for name in &self.rules.remove {
            edits.extend(others(name, headers));
            edits.push(Edit::Remove(name.clone()));
        }
        Ok(edits)
    }
}

/// Removes what some services read as that field, but for itself.
fn others<'h>(
    name: &'h HeaderName,
    headers: &'h portcullis_wire::headers::Headers,
) -> impl Iterator<Item = Edit> + 'h {
    alike(name, headers)
        .filter(move |each| each != name)
        .map(Edit::Remove)
}

impl Policy for RequestHeaders {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        match self.edits(exchange, host) {
            Ok(edits) => {
                exchange.edits.extend(edits);
                Verdict::Pass
            }
            Err(refusal) => Verdict::Refuse(refusal),
        }
    }

    fn misfits(&self, credentials: &RouteCredentials<'_>) -> Misfits {
        let mut telling = self.rules.written();
        let telling = telling.find(|field| field.value.tells_caller());
        let notes = match (telling, credentials.guard) {
            (Some(field), None) => vec![format!(
                "{} tells who calls, and the route asks for no credentials: it is always left out",
                field.name.as_str()
            )],
            _ => Vec::new(),
        };
        Misfits {
            notes,
            ..Misfits::default()
        }
    }

    /// What is the same for all requests is on plans. One that has a field which would be added leaves them.
    fn plan(&self, draft: &mut Draft<'_>) -> Option<()> {
        let constant = self.constant.clone()?;
        for name in self.rules.names() {
            draft.slot(name.as_str());
        }
        let mut edits: Vec<Edit> = Vec::new();
        for field in &self.rules.add {
            let slot = draft.slot(field.name.as_str());
            draft.one_of([Case::of([HeadTest::Absent(slot)])]);
            edits.push(Edit::Set(field.name.clone(), field.constant.clone()?));
        }
        // In the order in which they are made without a plan.
        let many = self.rules.set.len();
        let (set, removed) = constant.split_at_checked(many)?;
        let all = set.iter().chain(&edits).chain(removed).cloned();
        draft.steps.push(Step::Edit(all.collect()));
        Some(())
    }

    fn declares(&self) -> Declaration {
        let filled = self
            .rules
            .set
            .iter()
            .filter(|field| field.constant.is_none());
        let FieldRules {
            set, add, remove, ..
        } = &self.rules;
        let changed = |name: &HeaderName, change: RequestFieldChange| ChangedRequestField {
            name: name.clone(),
            place: self.rules.at.clone(),
            change,
        };
        let set = set
            .iter()
            .map(|field| changed(&field.name, RequestFieldChange::Set));
        let added = add.iter().map(|field| {
            let value = field.constant.clone();
            changed(&field.name, RequestFieldChange::AddIfAbsent(value))
        });
        let removed = remove
            .iter()
            .map(|name| changed(name, RequestFieldChange::Remove));
        Declaration {
            owned_request_headers: filled.map(|field| field.name.clone()).collect(),
            sets_request_headers: set.chain(added).chain(removed).collect(),
            ..Declaration::default()
        }
    }
}
