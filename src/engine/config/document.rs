//! The document as a whole: its sections, and how they make an engine.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::circles::report_circles;
use super::fields::Fields;
use super::form::Fault;
use super::lint;
use super::node::Node;
use super::problem::{ConfigError, Pointer, Problems, Quoted, Words};
use super::reach::any_case_paths;
use super::request_id::RequestId;
use super::rollout::notes_of_whole;
use super::routes::Default;
use super::sections::SECTIONS;
use super::size::{EACH, ENGINE, MAX_BYTES, MAX_VALUES, count_values};
use super::uneven;
use super::written::{note_changed, report_changed_versions};
use crate::access_log::AccessLog;
use crate::access_log::collector::OtlpExporter;
use crate::access_log::security::SecurityEvents;
use crate::engine::{
    Chain, Engine, Mode, Overrides, Requests, Route, ShownFields, StagedRollout, Step,
};
use crate::explain::Explain;
use crate::metrics;
use crate::metrics::MetricsConfig;
use crate::plan::Plans;
use portcullis_exchange::body::Inspection;
use portcullis_exchange::client_address::ClientAddress;
use portcullis_exchange::geo::Geo;
use portcullis_exchange::policy::{ChangedRequestField, Declaration};
use portcullis_exchange::rollout::{Rollout, RolloutCounts};
use portcullis_exchange::route::{PathIndex, PathTemplate, RequestMatcher};
use portcullis_exchange::section::{Entry, Finishing, Registry, Sections};
use portcullis_exchange::target::PathRules;
use portcullis_exchange::versions::VersionScheme;
use portcullis_policies as policy;
use portcullis_policies::versions::Versions;
use portcullis_wire::budget::{SHARES, Share};
use portcullis_wire::headers::{HeaderName, are_alike};
use portcullis_wire::json::Json;
use portcullis_wire::sort;

/// How deep a document may nest.
const MAX_DEPTH: usize = 64;

/// Compiles a document; see [`Engine::compile`].
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn compile(document: &[u8]) -> Result<Engine, ConfigError> {
    let mut problems = Problems::default();
    problems.teach(Words {
        blocks: policy::LIST.iter().map(|kind| kind.name).collect(),
        sections: SECTIONS.iter().filter_map(Entry::name).collect(),
    });
    let json = read_json(document, &mut problems);
    let engine = json.and_then(|json| Document::read(&Node::root(&json), &mut problems));
    let compiled_bytes = problems.need(Share::Documents);
    let needs = SHARES.map(|share| (share, problems.need(share)));
    let mut engine = problems.into_result(engine)?;
    engine.registry.memory_estimates.push(footprint(needs));
    engine.compiled_bytes = compiled_bytes;
    engine.digest = hmac_sha256::Hash::hash(document);
    metrics::show(&engine.digest, &mut engine.registry.gauges);
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
    /// The document as it is written.
    pub(super) root: &'p Node<'p>,
    pub(super) sections: &'p Sections,
    /// Of the path of the route that is being read.
    pub(super) template: Option<Rc<PathTemplate>>,
    /// Whether nothing is wrong with how it is matched.
    pub(super) is_matched: bool,
    /// How its requests name versions.
    pub(super) versions: Option<Rc<VersionScheme>>,
    pub(super) defaults: Vec<Default>,
    /// What is rolled out, by its name in metrics.
    pub(super) rollouts: Vec<(String, Rc<RolloutCounts>)>,
    pub(super) notes: &'p mut Vec<String>,
    pub(super) problems: &'p mut Problems,
}

/// What the blocks of policies make.
struct Judging {
    routes: Vec<Route>,
    fallback: Chain,
    rollout: Option<StagedRollout>,
    rollouts: Vec<(String, Rc<RolloutCounts>)>,
}

impl Document<'_> {
    fn read(root: &Node<'_>, problems: &mut Problems) -> Option<Engine> {
        let mut fields = root.fields(problems)?;
        account(root, problems)?;
        let version = read_version(&mut fields, problems);
        // For editors, which find there what may stand in the document.
        let schema = fields.optional("$schema");
        let _ = schema.and_then(|node| node.text(problems));
        let rollout = Rollout::read(&mut fields, Mode::Enforce, problems);
        let (mut sections, mut notes) = (Sections::default(), Vec::new());
        for entry in SECTIONS {
            sections.read(entry, &mut fields, &mut notes, problems);
        }
        let defaults = fields.optional("defaults");
        let routes = fields.required("routes", problems);
        fields.deny_unknown(problems);
        let mut document = Document {
            root,
            sections: &sections,
            template: None,
            is_matched: true,
            versions: None,
            defaults: Vec::new(),
            rollouts: Vec::new(),
            notes: &mut notes,
            problems,
        };
        let rollout = rollout.map(|rollout| document.staged_whole(rollout));
        if let Some(node) = defaults {
            document.read_defaults(&node);
        }
        let routes = routes.and_then(|node| document.read_routes(&node));
        document.note_unused();
        let fallback = document.fallback();
        let rollouts = std::mem::take(&mut document.rollouts);
        let routes = routes?;
        report_conditions_on_owned(&routes, &fallback, problems);
        report_written_owned(&routes, &fallback, problems);
        report_changed_versions(&routes, problems);
        report_circles(&routes, &mut notes, problems);
        notes.extend(note_changed(&routes));
        let names: Vec<&str> = routes.iter().map(|route| &*route.name).collect();
        sections.finish(&mut Finishing {
            document: root,
            routes: &names,
            is_whole: problems.count() == 0,
            notes: &mut notes,
            problems,
        });
        let rules = *sections.get::<PathRules>();
        notes.extend(lint::of_routes(&routes, rules));
        let versions = sections.find::<Versions>();
        notes.extend(uneven::notes(&routes, versions.as_deref()));
        let (mode, rollout) = version.and(rollout)?;
        notes.extend(
            rollout
                .iter()
                .flat_map(|whole| notes_of_whole(whole, &routes)),
        );
        if mode == Mode::Shadow {
            notes.push("mode is shadow: nothing is refused and nothing is changed".to_owned());
        }
        let judging = Judging {
            routes,
            fallback,
            rollout,
            rollouts,
        };
        sections
            .are_read()
            .then(|| judging.engine(mode, sections, notes))
    }
}

impl Judging {
    fn engine(self, mode: Mode, sections: Sections, notes: Vec<String>) -> Engine {
        let Self {
            routes,
            fallback,
            rollout,
            rollouts,
        } = self;
        let declared = || declared(&routes, &fallback);
        let mut registry = Registry {
            exports: once(declared().flat_map(|each| &each.exports)),
            ..Registry::default()
        };
        sections.register(&mut registry);
        for (name, counts) in &rollouts {
            RolloutCounts::show(counts, name, &mut registry.gauges);
        }
        let draws = draws(&routes, &fallback, rollout.as_ref());
        let owned_request_headers = once(declared().flat_map(|each| &each.owned_request_headers));
        let geo = sections.get::<Geo>();
        let matchers = routes.iter().map(|route| &route.matcher);
        let matched = matchers.flat_map(RequestMatcher::header_names);
        let judged = declared().flat_map(|each| &each.judged_request_headers);
        let places = geo.country_field().into_iter().chain(geo.asn_field());
        let judged_request_headers = once(judged.chain(matched).chain(places));
        let usual = match routes.iter().any(|route| !route.is_open) {
            true => Overrides::Strip,
            false => Overrides::Pass,
        };
        let scheme = sections
            .find::<Versions>()
            .map(|versions| Rc::clone(&versions.0));
        let path_rules = *sections.get::<PathRules>();
        let access_log = sections.find::<AccessLog>();
        let security_events = sections.find::<SecurityEvents>();
        Engine {
            mode,
            rollout,
            draws,
            paths: PathIndex::new(routes.iter().map(first_segments)),
            any_case_paths: any_case_paths(&routes, path_rules),
            routes,
            fallback,
            owned_request_headers,
            overrides: sections.get::<Requests>().overrides.unwrap_or(usual),
            judged_request_headers,
            shown_fields: ShownFields::new(access_log.as_deref(), security_events.as_deref()),
            access_log,
            notes,
            registry,
            client_address: *sections.get::<ClientAddress>(),
            inspection: *sections.get::<Inspection>(),
            path_rules,
            measured: *sections.get::<MetricsConfig>(),
            digest: [0; 32],
            compiled_bytes: 0,
            collector: sections.find::<OtlpExporter>(),
            security_events,
            explain: sections.find::<Explain>(),
            request_id: sections.find::<RequestId>().map(|id| id.0.clone()),
            sections,
            versions: scheme,
            plans: Plans::default(),
            memory: None,
        }
    }
}

/// Asks for the memory that the document takes. None if there is not so much.
fn account(root: &Node<'_>, problems: &mut Problems) -> Option<()> {
    for (name, section) in root.members(problems).unwrap_or_default() {
        let weight = match name {
            // These say themselves how much they are, piece by piece.
            "routes" | "schemas" | "apis" => continue,
            "api_key_stores" => without(section.json(), "keys"),
            "networks" => without(section.json(), "addresses"),
            "revocation_lists" => without(section.json(), "entries"),
            _ => section.json().weight(),
        };
        let size = weight.saturating_mul(EACH);
        problems.account(section.pointer(), Share::Documents, size);
    }
    problems.account(root.pointer(), Share::Documents, ENGINE);
    (!problems.is_full()).then_some(())
}

/// What lists of a section say beside their items, which say themselves how much they are.
fn without(section: &Json, items: &str) -> usize {
    let items = |list: &Json| list.step(items).map_or(0, Json::weight);
    let items = section.as_object().map_or(0, |lists| {
        let all = lists.iter().map(|(_, list)| items(list));
        all.fold(0, usize::saturating_add)
    });
    section.weight().saturating_sub(items)
}

fn read_version(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<u64> {
    let node = fields.required("version", problems)?;
    if let Json::Number(number) = node.json()
        && number.as_u64() != Some(1)
    {
        node.report(problems, "this filter understands version 1");
        return None;
    }
    node.integer(problems, 1..=1)
}

pub(super) fn first_segments(route: &Route) -> impl Iterator<Item = &str> {
    route.matcher.first_segments().into_iter()
}

/// Reports conditions on header fields that the filter itself sets: they would see the client's own, which is
/// removed, and not what the service gets.
fn report_conditions_on_owned(routes: &[Route], fallback: &Chain, problems: &mut Problems) {
    let owned = once(declared(routes, fallback).flat_map(|each| &each.owned_request_headers));
    if owned.is_empty() {
        return;
    }
    let mut reported = BTreeSet::new();
    let mut check = |name: &HeaderName, place: &Pointer, instead: &str| {
        let own = |each: &HeaderName| are_alike(each.as_str().as_bytes(), name.as_str().as_bytes());
        // A rule may stand on many routes.
        if owned.iter().any(own) && reported.insert(place.to_string()) {
            let name = Quoted(name.as_str());
            let reason = format_args!(
                "goes by the header field {name}, which this filter sets for the service: a client's own says nothing of what is set; use {instead}"
            );
            problems.report(place, reason);
        }
    };
    for route in routes {
        for (name, place) in route.matcher.conditions_on_headers() {
            check(
                name,
                place,
                "another field, or let rules of `access` decide by `claim`",
            );
        }
    }
    let tried = chains(routes, fallback).flat_map(|chain| &chain.beside);
    for step in steps(routes, fallback).chain(tried) {
        for (name, place) in &step.declared.conditions_on_headers {
            check(name, place, "`claim`, or another field");
        }
    }
}

/// Reports request fields that one policy sets as the document says, and that another claims for what it finds out.
fn report_written_owned(routes: &[Route], fallback: &Chain, problems: &mut Problems) {
    let mut reported = BTreeSet::new();
    for step in steps(routes, fallback) {
        for field in &step.declared.sets_request_headers {
            let ChangedRequestField { name, place, .. } = field;
            let others = steps(routes, fallback).filter(|other| other.kind != step.kind);
            let mut owned = others.flat_map(|other| &other.declared.owned_request_headers);
            let own =
                |each: &HeaderName| are_alike(each.as_str().as_bytes(), name.as_str().as_bytes());
            if owned.any(own) && reported.insert((place.to_string(), name.clone())) {
                let name = Quoted(name.as_str());
                problems.report(
                    place,
                    format_args!(
                        "names the header field {name}, which the filter sets for the service elsewhere; choose another name"
                    ),
                );
            }
        }
    }
}

/// What the policies of all routes say of themselves. What one in shadow mode would claim is left alone:
/// the request goes on as if it were absent.
fn declared<'r>(routes: &'r [Route], fallback: &'r Chain) -> impl Iterator<Item = &'r Declaration> {
    let enforced = steps(routes, fallback).filter(|step| step.mode == Mode::Enforce);
    enforced.map(|step| &*step.declared)
}

/// Whether something goes by a number that is drawn for each request.
fn draws(routes: &[Route], fallback: &Chain, whole: Option<&StagedRollout>) -> bool {
    let of_routes = routes.iter().filter_map(|route| route.rollout.as_ref());
    let of_steps = steps(routes, fallback).filter_map(|step| step.rollout.as_ref());
    let mut staged = whole.into_iter().chain(of_routes).chain(of_steps);
    let mut all =
        chains(routes, fallback).flat_map(|chain| chain.steps.iter().chain(&chain.beside));
    staged.any(|each| each.share.draws()) || all.any(|step| step.declared.draws)
}

/// What the chains of all routes are made of.
fn steps<'r>(routes: &'r [Route], fallback: &'r Chain) -> impl Iterator<Item = &'r Step> {
    chains(routes, fallback).flat_map(|chain| &chain.steps)
}

fn chains<'r>(routes: &'r [Route], fallback: &'r Chain) -> impl Iterator<Item = &'r Chain> {
    routes.iter().map(|route| &route.chain).chain([fallback])
}

/// Each of them once.
fn once<'n, T: Ord + Clone + 'n>(names: impl Iterator<Item = &'n T>) -> Vec<T> {
    sort::set(names).into_iter().cloned().collect()
}
