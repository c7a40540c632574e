//! Response header fields that clients get besides, instead, or not at all.

use std::rc::Rc;

use crate::HAS_TRAFFIC;
use crate::written::{FieldRules, Filled, Filling, RuleSet, ValueTemplate};
use portcullis_document::Fields;
use portcullis_document::LeftOut;
use portcullis_exchange::edit::Edit;
use portcullis_exchange::exchange::{Exchange, Response};
use portcullis_exchange::host::Host;
use portcullis_exchange::plan::{Draft, IfAbsent, Shaping};
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, RoutePath, Stage, Verdict,
};
use portcullis_wire::headers::HeaderName;

/// `response_headers: { set, add_if_absent, remove }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "response_headers",
    role: Role::Guards,
    codes: &[],
    compile: Compile::Object(compile),
    rules: &[],
};

/// The block, ready to write.
struct ResponseHeaders {
    rules: FieldRules,
    path: RoutePath,
    /// What is done with every response, but for what is added or filled.
    constant: Rc<[Edit]>,
}

const RULES: RuleSet = RuleSet { refuses };

/// Fields that other blocks write, with what to do instead.
const OF_OTHERS: [(&str, &str); 29] = [
    ("content-security-policy", SECURITY),
    ("content-security-policy-report-only", SECURITY),
    ("cross-origin-embedder-policy", SECURITY),
    ("cross-origin-opener-policy", SECURITY),
    ("cross-origin-resource-policy", SECURITY),
    ("permissions-policy", SECURITY),
    ("referrer-policy", SECURITY),
    ("strict-transport-security", SECURITY),
    ("x-content-type-options", SECURITY),
    ("x-dns-prefetch-control", SECURITY),
    ("x-frame-options", SECURITY),
    ("x-permitted-cross-domain-policies", SECURITY),
    ("x-xss-protection", SECURITY),
    (
        "set-cookie",
        "stands for every cookie that the service sets; let the service set cookies, or `security_headers.cookies` add what they lack",
    ),
    (
        "vary",
        "says what caches go by, and other blocks add to it; let the service say it",
    ),
    ("www-authenticate", OWN),
    ("retry-after", OWN),
    ("ratelimit", OWN),
    ("ratelimit-policy", OWN),
    ("x-ratelimit-limit", OWN),
    ("x-ratelimit-remaining", OWN),
    ("x-ratelimit-reset", OWN),
    ("allow", OWN),
    ("date", OWN),
    ("grpc-message", GRPC),
    ("grpc-status", GRPC),
    ("grpc-status-details-bin", GRPC),
    (
        "content-type",
        "says how the content is read, and refusals have another than the service; let the service say it",
    ),
    (
        "location",
        "says where the response leads; a redirect of one's own is `respond`",
    ),
];

const SECURITY: &str =
    "belongs to `security_headers`, whose `set`, `remove` and `keep` say what becomes of it";
const OWN: &str = "is written by the filter, or tells what the service did; leave it alone";

/// In a response without content it would be the outcome of the call, of a refusal too.
const GRPC: &str =
    "tells gRPC clients what came of the call; leave it to the service and to refusals";

fn refuses(name: &HeaderName, _: Option<&ValueTemplate>) -> Option<&'static str> {
    of_others(name)
}

/// Fields that a response of the document's own may have: it is nobody else's.
const OF_ANSWERS: [&str; 5] = [
    "allow",
    "retry-after",
    "set-cookie",
    "vary",
    "www-authenticate",
];

/// What to do instead of writing a field into a response of the document's own, if that is not for a document.
pub(super) fn refuses_in_answers(name: &HeaderName) -> Option<&'static str> {
    match name.as_str() {
        "content-type" => Some("say it in `content_type`"),
        "location" => Some("say it in `redirect`"),
        name if OF_ANSWERS.contains(&name) => None,
        _ => of_others(name),
    }
}

/// What to do instead of writing a field that belongs to somebody else.
fn of_others(name: &HeaderName) -> Option<&'static str> {
    let name = name.as_str();
    if name.starts_with("access-control-") {
        return Some("belongs to `cors`");
    }
    let mut others = OF_OTHERS.iter();
    let found = others.find(|(other, _)| *other == name);
    found.map(|(_, instead)| *instead)
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    if !HAS_TRAFFIC {
        context.problems.report(fields.pointer(), LeftOut::TRAFFIC);
        return None;
    }
    let rules = FieldRules::read(fields, &RULES, context)?;
    let policy = ResponseHeaders {
        path: context.route_path(),
        constant: rules.constant_edits(),
        rules,
    };
    Some(ChainPart::only(Stage::Response, policy))
}

impl Policy for ResponseHeaders {
    /// Fills what the request fills: later, little is left of it.
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let filling = Filling {
            request: &exchange.request,
            facts: exchange.facts,
            route: exchange.route,
            path: &self.path,
            host,
        };
        let written = self.rules.written();
        let filled = written.filter(|field| field.constant.is_none());
        let filled = filled.filter_map(|field| match field.fill(&filling) {
            Filled::Value(value) => Some((field.name.clone(), value)),
            Filled::Absent | Filled::Unwritable => None,
        });
        let filled: Vec<_> = filled.collect();
        if !filled.is_empty() {
            exchange.facts.seldom_mut().response_fields = filled;
        }
        Verdict::Pass
    }

    fn edit_response(&self, response: &mut Response<'_>, _: &dyn Host) {
        let seldom = response.facts.seldom();
        let filled = seldom.map_or(&[][..], |seldom| &seldom.response_fields);
        let value = |name: &HeaderName| {
            let mut filled = filled.iter();
            filled
                .find(|(each, _)| each == name)
                .map(|(_, value)| value.clone())
        };
        let mut edits = vec![Edit::Prepared(Rc::clone(&self.constant))];
        for field in self
            .rules
            .set
            .iter()
            .filter(|field| field.constant.is_none())
        {
            // What the service says under that name goes, whether or not there is a value.
            edits.push(match value(&field.name) {
                Some(value) => Edit::Set(field.name.clone(), value),
                None => Edit::Remove(field.name.clone()),
            });
        }
        for field in &self.rules.add {
            let is_there = response.headers.all(field.name.as_str()).next().is_some();
            let value = field.constant.clone().or_else(|| value(&field.name));
            if let (false, Some(value)) = (is_there, value) {
                edits.push(Edit::Add(field.name.clone(), value));
            }
        }
        response.edits.extend(edits);
    }

    /// What is the same for all requests is on plans.
    fn plan(&self, draft: &mut Draft<'_>) -> Option<()> {
        self.rules.is_constant().then_some(())?;
        draft
            .shapings
            .push(Shaping::Always(Rc::clone(&self.constant)));
        if !self.rules.add.is_empty() {
            let fields = self.rules.add.iter().filter_map(|field| {
                Some(IfAbsent {
                    name: field.name.clone(),
                    edit: Edit::Add(field.name.clone(), field.constant.clone()?),
                    needs_tls: false,
                    needs_caller: false,
                })
            });
            draft.shapings.push(Shaping::IfAbsent {
                minds_scheme: false,
                fields: fields.collect(),
            });
        }
        Some(())
    }

    fn declares(&self) -> Declaration {
        let replaced = self.rules.set.iter().map(|field| &field.name);
        Declaration {
            reads_response: !self.rules.add.is_empty(),
            sets_response_headers: self.rules.names().cloned().collect(),
            replaces_response_headers: replaced.chain(&self.rules.remove).cloned().collect(),
            ..Declaration::default()
        }
    }
}
