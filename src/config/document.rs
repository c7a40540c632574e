//! The document as a whole: its sections, and how they make an engine.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::node::{Fields, Node};
use super::observed::Observed;
use super::problem::{ConfigError, Problems, Quoted};
use super::size::{EACH, ENGINE, MAX_BYTES, MAX_VALUES, ROUTE, count_values};
use crate::body::Inspection;
use crate::budget::{SHARES, Share};
use crate::engine::{Chain, Engine, Mode, Route, Step};
use crate::headers::HeaderName;
use crate::json::Json;
use crate::metrics::{self, Gauges};
use crate::policy::jwt::{Providers, note_dotted};
use crate::policy::openapi::Apis;
use crate::policy::rate_limits::SharedLimits;
use crate::policy::{self, Compile, Context, Kind, Part, Policy, Role};
use crate::refusal::BlockPlace;
use crate::route::{PathIndex, PathTemplate, RequestMatcher};
use crate::schema::Schemas;
use crate::stream::{Overrides, ShownFields};
use crate::target::{LetterCase, PathRules, fold_case};

/// How deep a document may nest.
const MAX_DEPTH: usize = 64;

/// Compiles a document; see [`Engine::compile`].
///
/// # Errors
/// Everything that is wrong with it.
pub fn compile(document: &[u8]) -> Result<Engine, ConfigError> {
    let mut problems = Problems::default();
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
        problems.report(&place, format_args!("longer than {MAX_BYTES} bytes"));
        return None;
    }
    if count_values(document) > MAX_VALUES {
        problems.report(
            &place,
            format_args!(
                "has more than {MAX_VALUES} values; make it smaller, or split it between filters"
            ),
        );
        return None;
    }
    let parsed = Json::parse(document, MAX_DEPTH);
    if let Err(error) = parsed {
        problems.report(&place, error);
        if document.trim_ascii_start().first() != Some(&b'{') {
            problems.report(
                &place,
                "configuration must be google.protobuf.StringValue holding JSON; Envoy hands any other message, google.protobuf.Struct for one, to the filter as protobuf bytes",
            );
        }
    }
    parsed.ok()
}

/// The compiler of one document.
struct Document<'p> {
    providers: Providers,
    limits: SharedLimits,
    inspection: Inspection,
    path_rules: PathRules,
    schemas: Schemas,
    /// Of the path of the route that is being read.
    template: Option<Rc<PathTemplate>>,
    apis: &'p Apis<'p>,
    defaults: Vec<(&'static Kind, Vec<Step>)>,
    notes: &'p mut Vec<String>,
    gauges: &'p mut Gauges,
    problems: &'p mut Problems,
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
        let observed = Observed::read(&mut fields, problems);
        let providers = match fields.optional("providers") {
            None => Providers::default(),
            Some(node) => Providers::read(&node, &mut notes, problems),
        };
        let limits = match fields.optional("rate_limits") {
            None => SharedLimits::default(),
            Some(node) => SharedLimits::read(&node, &providers, problems),
        };
        let schemas = match fields.optional("schemas") {
            None => Schemas::default(),
            Some(node) => Schemas::read(&node, problems),
        };
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
            apis: &apis,
            defaults: Vec::new(),
            notes: &mut notes,
            gauges: &mut gauges,
            problems,
        };
        if let Some(node) = defaults {
            document.defaults = document.read_defaults(&node);
        }
        let routes = routes.and_then(|node| document.read_routes(&node));
        if routes.is_some() {
            document.limits.check(document.problems, document.notes);
        }
        let environment = document.providers.environment();
        let remote_keys = document.providers.remote_keys();
        let providers = std::mem::take(&mut document.providers);
        document.notes.extend(providers.unused());
        let footprints = document.limits.footprints();
        document.limits.show(document.gauges);
        let defaults = document.defaults.iter();
        let fallback = Chain::new(defaults.flat_map(|(_, steps)| steps.clone()).collect());
        version?;
        let (mode, observed, routes) = (mode?, observed?, routes?);
        observed.check_routes(&routes, problems);
        observed.show(&mut gauges);
        let (inspection, path_rules, overrides) = (inspection?, paths?, overrides?);
        notes.extend(apis.unused());
        notes.extend(note_dotted(root));
        notes.extend(note_unclaimed(&routes));
        if mode == Mode::Shadow {
            notes.push("mode is shadow: nothing is refused and nothing is changed".to_owned());
        }
        let owned_request_headers =
            gather(&routes, &fallback, |policy| policy.owned_request_headers());
        let judged_request_headers = judged_request_headers(&routes, &fallback);
        notes.extend(open_rest(&routes, path_rules));
        let guards = routes.iter().any(|route| !route.is_open);
        let usual = if guards { Overrides::Strip } else { Overrides::Pass };
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

    fn read_defaults(&mut self, node: &Node<'_>) -> Vec<(&'static Kind, Vec<Step>)> {
        let Some(mut fields) = node.fields(self.problems) else {
            return Vec::new();
        };
        let mut defaults = Vec::new();
        for kind in policy::LIST {
            let Some(block) = fields.optional(kind.name) else {
                continue;
            };
            if !block.is_off() {
                defaults.extend(
                    self.read_policy(kind, Some(&block), "defaults")
                        .map(|steps| (kind, steps)),
                );
            }
        }
        fields.finish(self.problems);
        defaults
    }

    fn read_routes(&mut self, node: &Node<'_>) -> Option<Vec<Route>> {
        let items = node.items(self.problems)?;
        if items.is_empty() {
            node.report(
                self.problems,
                "must not be empty: a request that no route is for is refused",
            );
            return None;
        }
        let mut names: BTreeSet<&str> = BTreeSet::new();
        let mut routes = Vec::with_capacity(items.len());
        for item in &items {
            let Some(mut fields) = item.fields(self.problems) else {
                continue;
            };
            let name_node = fields.required("name", self.problems);
            let name = name_node.as_ref().and_then(|node| node.name(self.problems));
            if let (Some(name), Some(node)) = (name, &name_node)
                && !names.insert(name)
            {
                let reason =
                    format_args!("another route is named {} too", Quoted(name)).to_string();
                node.report(self.problems, reason);
            }
            let size = item
                .json()
                .weight()
                .saturating_mul(EACH)
                .saturating_add(ROUTE);
            let fits = self
                .problems
                .account(item.pointer(), Share::Documents, size);
            if !fits || self.problems.is_full() {
                return None;
            }
            routes.push(self.read_route(name.unwrap_or_default(), fields));
        }
        routes.into_iter().collect()
    }

    fn read_route(&mut self, name: &str, mut fields: Fields<'_>) -> Option<Route> {
        let matcher = fields
            .required("match", self.problems)
            .and_then(|node| {
                RequestMatcher::read(&node, self.path_rules.letter_case, self.problems)
            });
        self.template = matcher.as_ref().and_then(RequestMatcher::template);
        let access = fields.or("open", Access::Guarded, self.problems, Access::read);
        let place = format!("routes/{name}");
        let mut steps = Vec::new();
        let mut authenticated = false;
        for kind in policy::LIST {
            let written = fields.optional(kind.name);
            let authenticates = kind.role == Role::Authenticates;
            let open = access == Some(Access::Open) && authenticates;
            let parts = match written {
                Some(block) if block.is_off() => self.read_policy(kind, None, &place),
                Some(block) if open => {
                    block.report(
                        self.problems,
                        "an open route asks for no credentials; remove this block, or `open`",
                    );
                    None
                }
                Some(block) => {
                    authenticated |= authenticates;
                    self.read_policy(kind, Some(&block), &place)
                }
                None if open => None,
                None => {
                    let inherited = self
                        .defaults
                        .iter()
                        .find(|(each, _)| each.name == kind.name);
                    authenticated |= authenticates && inherited.is_some();
                    match inherited {
                        Some((_, steps)) => Some(steps.clone()),
                        None => self.read_policy(kind, None, &place),
                    }
                }
            };
            steps.extend(parts.into_iter().flatten());
        }
        if access == Some(Access::Guarded) && !authenticated {
            let kinds = policy::LIST
                .iter()
                .filter(|kind| kind.role == Role::Authenticates);
            let names: Vec<String> = kinds.map(|kind| format!("`{}`", kind.name)).collect();
            self.problems.report(
                fields.pointer(),
                format_args!(
                    "asks for no credentials; add {}, or say `open: true`",
                    names.join(" or ")
                ),
            );
        }
        fields.finish(self.problems);
        let guard = guard(authenticated, &steps);
        steps.iter().for_each(|step| step.policy.placed(guard));
        access?;
        Some(Route {
            name: name.into(),
            matcher: matcher?,
            is_open: access == Some(Access::Open),
            chain: Chain::new(steps),
        })
    }

    /// The steps of a block, or those that there are without one.
    fn read_policy(
        &mut self,
        kind: &'static Kind,
        block: Option<&Node<'_>>,
        place: &str,
    ) -> Option<Vec<Step>> {
        let mut context = Context {
            providers: &self.providers,
            inspection: self.inspection,
            schemas: &self.schemas,
            template: self.template.clone(),
            apis: self.apis,
            gauges: self.gauges,
            limits: &self.limits,
            place,
            problems: self.problems,
            notes: self.notes,
        };
        let (mode, parts) = match kind.compile {
            Compile::List(read) => (Mode::Enforce, read(block, &mut context)?),
            Compile::Object(read) | Compile::Shadowed(read) => {
                let usual = match kind.compile {
                    Compile::Shadowed(_) => Mode::Shadow,
                    _ => Mode::Enforce,
                };
                let mut fields = block?.fields(context.problems)?;
                let mode = fields.or("mode", usual, context.problems, Mode::read);
                let parts = read(&mut fields, &mut context);
                fields.finish(context.problems);
                (mode?, parts?)
            }
        };
        let at = policy::LIST
            .iter()
            .position(|each| each.name == kind.name)?;
        let written = block.map(|block| (block, BlockPlace::of(block)));
        if let Some((block, place)) = &written {
            let problems = &mut *self.problems;
            problems.account(block.pointer(), Share::Documents, place.memory());
        }
        let block_place = written.map(|(_, place)| Rc::new(place));
        let step = |Part { stage, policy }| Step {
            name: kind.name,
            kind: at,
            mode: mode.over(policy.mode()),
            stage,
            policy,
            place: block_place.clone(),
        };
        Some(parts.into_iter().map(step).collect())
    }
}

/// In which mode a route asks for credentials; none if it does not.
fn guard(authenticated: bool, steps: &[Step]) -> Option<Mode> {
    let authenticates = |step: &&Step| {
        let kind = policy::LIST.get(step.kind);
        kind.is_some_and(|kind| kind.role == Role::Authenticates)
    };
    let mut modes = steps.iter().filter(authenticates).map(|step| step.mode);
    // A block that is wrong leaves no steps, and has been reported.
    let only_shadow = modes.next() == Some(Mode::Shadow) && modes.all(|mode| mode == Mode::Shadow);
    match (authenticated, only_shadow) {
        (false, _) => None,
        (true, true) => Some(Mode::Shadow),
        (true, false) => Some(Mode::Enforce),
    }
}

/// Whether a route asks for credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Guarded,
    Open,
}

impl Access {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        Some(if node.boolean(problems)? {
            Access::Open
        } else {
            Access::Guarded
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

/// A note on routes with limits that go by what a token claims, where there is to be no token.
fn note_unclaimed(routes: &[Route]) -> Option<String> {
    let counts = |route: &&Route| {
        let mut steps = route.chain.steps.iter();
        route.chain.claimants.is_none() && steps.any(|step| step.policy.counts_claimants())
    };
    let first = routes.iter().find(counts)?;
    let many = routes.iter().filter(counts).count();
    Some(format!(
        "routes that ask for no token and yet count by `claimed_subject`: {many}, the first is {}; their requests have no such key",
        Quoted(&first.name)
    ))
}

fn first_segments(route: &Route) -> impl Iterator<Item = &str> {
    route.matcher.first_segments().into_iter()
}

/// Where to look for the routes of folded paths, if there are any.
fn any_case_paths(routes: &[Route], rules: PathRules) -> PathIndex {
    if rules.letter_case == LetterCase::Significant {
        return PathIndex::default();
    }
    let segments = |route: &Route| -> Vec<String> { first_segments(route).map(fold_case).collect() };
    let folded: Vec<Vec<String>> = routes.iter().map(segments).collect();
    PathIndex::new(folded.iter().map(|each| each.iter().map(String::as_str)))
}

/// What routes and their policies judge of header fields.
fn judged_request_headers(routes: &[Route], fallback: &Chain) -> Vec<HeaderName> {
    let mut names = gather(routes, fallback, |policy| policy.judged_request_headers());
    let matchers = routes.iter().map(|route| &route.matcher);
    names.extend(matchers.flat_map(RequestMatcher::header_names).cloned());
    names.sort_unstable();
    names.dedup();
    names
}

/// Notes an open route for all that guarded ones leave: a path that a service takes for a guarded one and
/// the filter does not, comes to it.
fn open_rest(routes: &[Route], rules: PathRules) -> Option<String> {
    let rest = |route: &Route| route.is_open && route.matcher.is_for_all_paths();
    let at = routes.iter().position(rest)?;
    let guarded = |route: &&Route| !route.is_open && route.matcher.names_paths();
    let guarded = routes.iter().take(at).find(guarded)?;
    let route = routes.get(at)?;
    let cure = match rules.letter_case {
        LetterCase::Significant => {
            "; name its paths, or, if the service takes `/Admin` for `/admin`, say `paths: {\"letter_case\": \"same_route\"}`"
        }
        LetterCase::SameRoute => "; name its paths",
    };
    Some(format!(
        "/routes/{at}: the route {} is open to every path that no route before it is for, so what the service takes for a path of {} and this filter does not comes here{cure}",
        Quoted(&route.name),
        Quoted(&guarded.name),
    ))
}

/// What the policies of all routes name, each name once.
fn gather<T: Ord>(
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
