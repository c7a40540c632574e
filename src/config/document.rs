//! The document as a whole: its sections, and how they make an engine.

use std::rc::Rc;

use super::form::Fault;
use super::lint;
use super::node::Node;
use super::observed::Observed;
use super::problem::{ConfigError, Problems};
use super::reach::{any_case_paths, judged_request_headers};
use super::routes::Default;
use super::size::{EACH, ENGINE, MAX_BYTES, MAX_VALUES, count_values};
use crate::body::Inspection;
use crate::budget::{SHARES, Share};
use crate::engine::{Chain, Engine, Mode, Route};
use crate::json::Json;
use crate::metrics::{self, Gauges};
use crate::policy::jwt::{Providers, note_dotted};
use crate::policy::openapi::Apis;
use crate::policy::rate_limits::SharedLimits;
use crate::policy::{self, Policy};
use crate::route::{PathIndex, PathTemplate};
use crate::schema::Schemas;
use crate::stream::{Overrides, ShownFields};
use crate::target::PathRules;

/// How deep a document may nest.
const MAX_DEPTH: usize = 64;

/// Compiles a document; see [`Engine::compile`].
///
/// # Errors
/// Everything that is wrong with it.
pub fn compile(document: &[u8]) -> Result<Engine, ConfigError> {
    let mut problems = Problems::default();
    problems.name_blocks(policy::LIST.iter().map(|kind| kind.name).collect());
    let json = read_json(document, &mut problems);
    let engine = json.and_then(|json| Document::read(&Node::root(&json), &mut problems));
    let compiled_bytes = problems.need(Share::Documents);
    let needs = SHARES.map(|share| (share, problems.need(share)));
    let mut engine = problems.settle(engine)?;
    engine.footprints.push(footprint(needs));
    engine.compiled_bytes = compiled_bytes;
    engine.digest = hmac_sha256::Hash::hash(document);
    metrics::show(&engine.digest, &mut engine.gauges);
    Ok(engine)
}

/// What the document can take of a worker's memory, in words.
fn footprint(needs: [(Share, usize); SHARES.len()]) -> String {
    let needs = needs.iter().filter(|(_, bytes)| *bytes > 0);
    let parts: Vec<String> = needs
        .map(|(share, bytes)| format!("{} {} KiB", share.name(), bytes.div_ceil(1024)))
        .collect();
    format!(
        "memory of each worker that the document can take, at most: {}; streams and bodies as many as come, up to the budget",
        parts.join(", ")
    )
}

/// What to do about a document that is too large.
const SMALLER: &str = "split it between filters, or make it smaller: `make shrink` prints an OpenAPI document without descriptions and examples, which the filter does not read";

fn read_json(document: &[u8], problems: &mut Problems) -> Option<Json> {
    let place = super::Pointer::default();
    if document.is_empty() {
        problems.report(
            &place,
            "the configuration is empty; write google.protobuf.StringValue with the policy as JSON, beginning with {\"version\": 1}",
        );
        return None;
    }
    if document.len() > MAX_BYTES {
        problems.report(
            &place,
            format_args!("longer than {} MiB; {SMALLER}", MAX_BYTES >> 20),
        );
        return None;
    }
    if count_values(document) > MAX_VALUES {
        problems.report(
            &place,
            format_args!("has more than {MAX_VALUES} values; {SMALLER}"),
        );
        return None;
    }
    let parsed = Json::parse(document, MAX_DEPTH);
    if let Err(error) = parsed {
        match Fault::of(document, error) {
            Some(fault) => problems.report(&place, fault),
            None => problems.report(&place, error),
        }
    }
    parsed.ok()
}

/// The compiler of one document.
pub(super) struct Document<'p> {
    pub(super) providers: Providers,
    pub(super) limits: SharedLimits,
    pub(super) inspection: Inspection,
    pub(super) path_rules: PathRules,
    pub(super) schemas: Schemas,
    /// Of the path of the route that is being read.
    pub(super) template: Option<Rc<PathTemplate>>,
    /// Whether nothing is wrong with how it is matched.
    pub(super) is_matched: bool,
    pub(super) apis: &'p Apis<'p>,
    pub(super) defaults: Vec<Default>,
    pub(super) notes: &'p mut Vec<String>,
    pub(super) gauges: &'p mut Gauges,
    pub(super) problems: &'p mut Problems,
}

impl Document<'_> {
    fn read(root: &Node<'_>, problems: &mut Problems) -> Option<Engine> {
        let mut fields = root.fields(problems)?;
        for (name, section) in root.entries(problems).unwrap_or_default() {
            // These say themselves how much they are, piece by piece.
            if !matches!(name, "routes" | "schemas" | "apis") {
                let size = section.json().weight().saturating_mul(EACH);
                problems.account(section.pointer(), Share::Documents, size);
            }
        }
        problems.account(root.pointer(), Share::Documents, ENGINE);
        if problems.is_full() {
            return None;
        }
        let mut notes = Vec::new();
        let version = fields.required("version", problems).and_then(|node| {
            let version = node.integer(problems, 0..=u64::from(u32::MAX))?;
            if version != 1 {
                node.report(problems, "this filter understands version 1");
            }
            Some(version)
        });
        let mode = fields.or("mode", Mode::Enforce, problems, Mode::read);
        let inspection = fields.or(
            "body_inspection",
            Inspection::Stream,
            problems,
            read_inspection,
        );
        let paths = fields.or("paths", PathRules::default(), problems, PathRules::read);
        let overrides = fields.or("requests", None, problems, Overrides::read);
        let observed = Observed::read(&mut fields, &mut notes, problems);
        let providers = match fields.optional("providers") {
            None => Providers::default(),
            Some(node) => Providers::read(&node, &mut notes, problems),
        };
        let limits = match fields.optional("rate_limits") {
            None => SharedLimits::default(),
            Some(node) => SharedLimits::read(&node, &providers, problems),
        };
        let mut schemas = match fields.optional("schemas") {
            None => Schemas::default(),
            Some(node) => Schemas::read(&node, problems),
        };
        notes.extend(schemas.notes());
        let apis = match fields.optional("apis") {
            None => Apis::default(),
            Some(node) => Apis::read(&node, problems),
        };
        let defaults = fields.optional("defaults");
        let routes = fields.required("routes", problems);
        fields.finish(problems);
        let mut gauges = Gauges::default();
        providers.show(&mut gauges);
        let mut document = Document {
            providers,
            limits,
            inspection: inspection.unwrap_or_default(),
            path_rules: paths.unwrap_or_default(),
            schemas,
            template: None,
            is_matched: true,
            apis: &apis,
            defaults: Vec::new(),
            notes: &mut notes,
            gauges: &mut gauges,
            problems,
        };
        if let Some(node) = defaults {
            document.read_defaults(&node);
        }
        let routes = routes.and_then(|node| document.read_routes(&node));
        document.note_unused();
        if routes.is_some() {
            document.limits.check(document.problems, document.notes);
        }
        let environment = document.providers.environment();
        let remote_keys = document.providers.remote_keys();
        let providers = std::mem::take(&mut document.providers);
        document.notes.extend(providers.unused());
        let footprints = document.limits.footprints();
        document.limits.show(document.gauges);
        let fallback = document.fallback();
        version?;
        let (mode, observed, routes) = (mode?, observed?, routes?);
        observed.check_routes(&routes, problems);
        observed.show(&mut gauges);
        notes.extend(lint::of_routes(&routes, paths));
        let (inspection, path_rules, overrides) = (inspection?, paths?, overrides?);
        notes.extend(apis.unused());
        notes.extend(note_dotted(root));
        if mode == Mode::Shadow {
            notes.push("mode is shadow: nothing is refused and nothing is changed".to_owned());
        }
        let owned_request_headers =
            gather(&routes, &fallback, |policy| policy.owned_request_headers());
        let judged_request_headers = judged_request_headers(&routes, &fallback);
        let guards = routes.iter().any(|route| !route.is_open);
        let usual = if guards {
            Overrides::Strip
        } else {
            Overrides::Pass
        };
        let mut exports = gather(&routes, &fallback, |policy| policy.exports());
        exports.extend(observed.export());
        Some(Engine {
            mode,
            paths: PathIndex::new(routes.iter().map(first_segments)),
            any_case_paths: any_case_paths(&routes, path_rules),
            routes,
            fallback,
            owned_request_headers,
            overrides: overrides.unwrap_or(usual),
            judged_request_headers,
            shown_fields: ShownFields::new(
                observed.access_log.as_ref(),
                observed.security_events.as_ref(),
            ),
            access_log: observed.access_log,
            notes,
            footprints,
            environment,
            exports,
            providers,
            remote_keys,
            inspection,
            path_rules,
            gauges,
            measured: observed.measured,
            digest: [0; 32],
            compiled_bytes: 0,
            collector: observed.collector,
            security_events: observed.security_events,
            explain: observed.explain,
            request_id: observed.request_id,
            memory: None,
        })
    }
}

fn read_inspection(node: &Node<'_>, problems: &mut Problems) -> Option<Inspection> {
    let choices = [
        ("stream", Inspection::Stream),
        ("hold_headers", Inspection::HoldHeaders),
    ];
    node.choice(problems, &choices)
}

pub(super) fn first_segments(route: &Route) -> impl Iterator<Item = &str> {
    route.matcher.first_segments().into_iter()
}

/// What the policies of all routes name, each name once.
pub(super) fn gather<T: Ord>(
    routes: &[Route],
    fallback: &Chain,
    names: impl Fn(&dyn Policy) -> Vec<T>,
) -> Vec<T> {
    let chains = routes.iter().map(|route| &route.chain).chain([fallback]);
    // What a policy in shadow mode would claim is left alone: the request goes on as if it were absent.
    let steps = chains
        .flat_map(|chain| &chain.steps)
        .filter(|step| step.mode == Mode::Enforce);
    let mut gathered: Vec<T> = steps.flat_map(|step| names(&*step.policy)).collect();
    gathered.sort_unstable();
    gathered.dedup();
    gathered
}
