//! Header fields that make browsers careful with a response, and none that tell what made it.

mod cookies;
mod csp;
mod permissions;
mod presets;
mod revealing;
mod rule;
mod structured;

use std::rc::Rc;

use self::cookies::Cookies;
use self::presets::PRESETS;
use self::rule::{Action, Change, Rule, Rules, When};
use portcullis_document::Fields;
use portcullis_exchange::exchange::{Author, Edit, Response, Scheme};
use portcullis_exchange::host::Host;
use portcullis_exchange::plan::{self, Draft, Shaping};
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage,
};
use portcullis_wire::headers::{HeaderName, Headers};

/// `security_headers: { preset, action, set, remove, keep, … }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "security_headers",
    role: Role::Guards,
    codes: &[],
    compile: Compile::Object(compile),
    rules: &[],
};

const STRICT_TRANSPORT_SECURITY: &str = "strict-transport-security";

/// Sets and removes response header fields, on the service's responses and on refusals.
struct SecurityHeaders {
    /// Whether something depends on it. Asking the proxy takes time.
    minds_scheme: bool,
    fixed: Fixed,
    /// Written only where the service has not.
    if_absent: Vec<IfAbsent>,
    /// Names to remove if they are there, sorted.
    revealing: Vec<&'static str>,
    cookies: Option<Cookies>,
    /// The names that it says something of.
    names: Vec<HeaderName>,
}

/// Edits that need no look at the response, prepared for each kind of response.
struct Fixed {
    https: ByCaller,
    http: ByCaller,
}

struct ByCaller {
    authenticated: Rc<[Edit]>,
    anyone: Rc<[Edit]>,
}

struct IfAbsent {
    name: HeaderName,
    edit: Edit,
    when: When,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let problems = &mut *context.problems;
    let preset = fields
        .required("preset", problems)
        .and_then(|node| node.choice(problems, PRESETS));
    let action = fields.or_default("action", Action::Overwrite, problems, Action::read);
    let set = fields.optional("set");
    let remove = fields.optional("remove");
    let keep = fields.optional("keep");
    let csp = fields.optional("content_security_policy");
    let permissions = fields.optional("permissions_policy");
    let revealing = fields.optional("remove_revealing");
    let cookies = fields.optional("cookies").filter(|node| !node.is_off());
    let cookies = match cookies {
        None => Some(None),
        Some(node) => Cookies::read(&node, problems).map(Some),
    };
    let mut rules = Rules::of_preset(preset, action.unwrap_or(Action::Overwrite));
    let mut whole = Some(());
    let mut also = |read: Option<()>| whole = whole.and(read);
    if let Some(node) = set {
        also(rules.read_set(&node, problems));
    }
    if let Some(node) = remove {
        also(rules.read_remove(&node, problems));
    }
    if let Some(node) = keep {
        also(rules.read_keep(&node, problems));
    }
    if let Some(node) = csp {
        also(structured::read(&csp::HEADER, &node, &mut rules, context));
    }
    if let Some(node) = permissions {
        also(structured::read(
            &permissions::HEADER,
            &node,
            &mut rules,
            context,
        ));
    }
    let removes_revealing = match revealing {
        None => preset.map(|preset| preset.removes_revealing),
        Some(node) => node.boolean(context.problems),
    };
    whole.and(action)?;
    let removes_revealing = removes_revealing.filter(|_| preset.is_some())?;
    let cookies = cookies?;
    let (rules, named) = rules.into_parts();
    let unnamed = |name: &&&str| !named.iter().any(|each| each.as_str() == **name);
    let revealing = match removes_revealing {
        true => revealing::NAMES.iter().filter(unnamed).copied().collect(),
        false => Vec::new(),
    };
    Some(ChainPart::only(
        Stage::Response,
        SecurityHeaders::new(&rules, &named, revealing, cookies),
    ))
}

impl SecurityHeaders {
    /// `named` are the names of which the block itself has said something, `keep` included.
    fn new(
        rules: &[Rule],
        named: &[HeaderName],
        revealing: Vec<&'static str>,
        cookies: Option<Cookies>,
    ) -> Self {
        let is_named = |name: &HeaderName| name.as_str() == STRICT_TRANSPORT_SECURITY;
        let is_left = named.iter().any(is_named);
        let by_caller = |scheme| ByCaller {
            authenticated: fixed(rules, scheme, When::Authenticated, is_left),
            anyone: fixed(rules, scheme, When::Always, is_left),
        };
        let mut names = rules.iter().map(|rule| rule.name.as_str());
        Self {
            minds_scheme: names.any(|name| name == STRICT_TRANSPORT_SECURITY),
            fixed: Fixed {
                https: by_caller(Scheme::Https),
                http: by_caller(Scheme::Http),
            },
            if_absent: rules.iter().filter_map(IfAbsent::of).collect(),
            revealing,
            cookies,
            names: rules.iter().map(|rule| rule.name.clone()).collect(),
        }
    }

    /// What of the response tells about the software behind it.
    fn betrayed(&self, headers: &Headers) -> Vec<Edit> {
        let sent = headers.iter().filter_map(|(name, _)| {
            let find = |known: &&str| known.as_bytes().cmp(name);
            self.revealing.binary_search_by(find).ok()
        });
        let names = sent.filter_map(|at| HeaderName::parse(self.revealing.get(at)?).ok());
        names.map(Edit::Remove).collect()
    }
}

/// The edits of a response to which these conditions apply, without a look at the response. The service's
/// own `Strict-Transport-Security` goes over cleartext only if it `is_left` (RFC 6797 §7.2).
fn fixed(rules: &[Rule], scheme: Scheme, caller: When, is_left: bool) -> Rc<[Edit]> {
    let is_strict = |rule: &&Rule| rule.name.as_str() == STRICT_TRANSPORT_SECURITY;
    let edit = |rule: &Rule| {
        if scheme == Scheme::Http && is_strict(&rule) {
            return Some(Edit::Remove(rule.name.clone()));
        }
        match &rule.change {
            _ if rule.when == When::Authenticated && caller == When::Always => None,
            Change::Remove => Some(Edit::Remove(rule.name.clone())),
            Change::Write(value, Action::Overwrite) => {
                Some(Edit::Set(rule.name.clone(), value.clone()))
            }
            Change::Write(_, Action::IfAbsent) => None,
        }
    };
    let unsaid = scheme == Scheme::Http && !is_left && !rules.iter().any(|rule| is_strict(&rule));
    let unsaid = unsaid.then(|| HeaderName::parse(STRICT_TRANSPORT_SECURITY).ok());
    let removed = unsaid.flatten().map(Edit::Remove);
    rules.iter().filter_map(edit).chain(removed).collect()
}

impl IfAbsent {
    fn of(rule: &Rule) -> Option<Self> {
        match &rule.change {
            Change::Write(value, Action::IfAbsent) => Some(Self {
                name: rule.name.clone(),
                edit: Edit::Add(rule.name.clone(), value.clone()),
                when: rule.when,
            }),
            _ => None,
        }
    }

    fn applies(&self, scheme: Scheme, caller: When, headers: &Headers) -> bool {
        let over_tls = self.name.as_str() != STRICT_TRANSPORT_SECURITY || scheme == Scheme::Https;
        let asked = self.when == When::Always || caller == When::Authenticated;
        over_tls && asked && headers.all(self.name.as_str()).next().is_none()
    }
}

impl Policy for SecurityHeaders {
    fn edit_response(&self, response: &mut Response<'_>, host: &dyn Host) {
        let caller = match (&response.facts.principal, response.author) {
            (None, Author::Upstream) => When::Always,
            _ => When::Authenticated,
        };
        let scheme = match self.minds_scheme {
            true => response.facts.connection.scheme(host),
            false => Scheme::Http,
        };
        if !self.revealing.is_empty() {
            response.edits.extend(self.betrayed(response.headers));
        }
        if let (Some(cookies), Author::Upstream) = (&self.cookies, response.author) {
            response.edits.extend(cookies.edits(response.headers));
        }
        let by_caller = match scheme {
            Scheme::Https => &self.fixed.https,
            Scheme::Http => &self.fixed.http,
        };
        let fixed = match caller {
            When::Authenticated => &by_caller.authenticated,
            When::Always => &by_caller.anyone,
        };
        response.edits.push(Edit::Prepared(Rc::clone(fixed)));
        let absent = self
            .if_absent
            .iter()
            .filter(|each| each.applies(scheme, caller, response.headers));
        let edits: Vec<Edit> = absent.map(|each| each.edit.clone()).collect();
        response.edits.extend(edits);
    }

    /// What is done with cookies is not on plans.
    fn plan(&self, draft: &mut Draft<'_>) -> Option<()> {
        if self.cookies.is_some() {
            draft.asks_for_answers = true;
            return Some(());
        }
        if !self.revealing.is_empty() {
            let names = self.revealing.clone().into();
            draft.shapings.push(Shaping::Revealing(names));
        }
        let by_caller = |fixed: &ByCaller| plan::ByCaller {
            authenticated: Rc::clone(&fixed.authenticated),
            anyone: Rc::clone(&fixed.anyone),
        };
        draft.shapings.push(Shaping::ByCaller {
            minds_scheme: self.minds_scheme,
            https: by_caller(&self.fixed.https),
            http: by_caller(&self.fixed.http),
        });
        if !self.if_absent.is_empty() {
            let fields = self.if_absent.iter().map(|each| plan::IfAbsent {
                name: each.name.clone(),
                edit: each.edit.clone(),
                needs_tls: each.name.as_str() == STRICT_TRANSPORT_SECURITY,
                needs_caller: each.when == When::Authenticated,
            });
            draft.shapings.push(Shaping::IfAbsent {
                minds_scheme: self.minds_scheme,
                fields: fields.collect(),
            });
        }
        Some(())
    }

    fn declares(&self) -> Declaration {
        let looks = !self.if_absent.is_empty() || !self.revealing.is_empty();
        let kept = |name: &&HeaderName| self.if_absent.iter().any(|each| each.name == **name);
        let replaced = self.names.iter().filter(|name| !kept(name));
        Declaration {
            reads_response: looks || self.cookies.is_some(),
            sets_response_headers: self.names.clone(),
            replaces_response_headers: replaced.cloned().collect(),
            ..Declaration::default()
        }
    }
}
