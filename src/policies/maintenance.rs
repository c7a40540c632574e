//! Refuses requests while a service is being maintained, but for those that are let through.

use portcullis_document::Fields;
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::Exchange;
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Misfits, Policy, PolicyKind, Role, RouteCredentials,
    Stage, Verdict,
};
use portcullis_exchange::refusal::{Blame, Code, Reason, Refusal, grpc};
use portcullis_wire::headers::{HeaderName, HeaderValue};

use crate::access::Exemptions;
use crate::authn::moment::{Rounding, read_moment};

/// `maintenance: { from, until, retry_after, allow }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "maintenance",
    role: Role::Guards,
    codes: &[&MAINTENANCE],
    compile: Compile::Object(compile),
    rules: &[],
};

static MAINTENANCE: Code = Code {
    name: "maintenance",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "This is being maintained. Try again later.",
    reasons: &[&WINDOW],
};

static WINDOW: Reason = Reason::new("window", &MAINTENANCE, Blame::Ourselves);

/// When clients are to come back, if the document says neither that nor when it ends.
const USUAL_WAIT: u64 = 300;

/// The block, ready to judge.
struct Maintenance {
    /// In seconds since the epoch.
    from: Option<u32>,
    until: Option<u32>,
    /// In seconds, where the end is not known.
    retry_after: u64,
    name: HeaderName,
    allow: Exemptions,
    /// Whether it stands in a route, and not in `defaults`.
    is_of_route: bool,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let from = fields.or_default("from", None, context.problems, |node, problems| {
        read_moment(node, Rounding::Up, "", problems).map(Some)
    });
    let end = fields.optional("until");
    let until = match &end {
        None => Some(None),
        Some(node) => read_moment(node, Rounding::Down, "", context.problems).map(Some),
    };
    let wait = fields.optional("retry_after");
    let retry_after = match &wait {
        None => Some(USUAL_WAIT),
        Some(node) => node
            .duration(context.problems)
            .map(|wait| wait.as_secs().max(1)),
    };
    if let (Some(_), Some(node)) = (&end, &wait) {
        node.report(
            context.problems,
            "says nothing beside `until`, which says when to come back; keep one of them",
        );
        return None;
    }
    let allow = match fields.optional("allow") {
        None => Some(Exemptions::default()),
        Some(node) => Exemptions::read(&node, context),
    };
    let (from, until) = (from?, until?);
    if let (Some(begin), Some(until), Some(node)) = (from, until, &end)
        && begin >= until
    {
        node.report(
            context.problems,
            "is not behind `from`, so there would be no maintenance",
        );
        return None;
    }
    let allow = allow?;
    let stage = match allow.needs_identity() {
        true => Stage::Access,
        false => Stage::Arrival,
    };
    let policy = Maintenance {
        from,
        until,
        retry_after: retry_after?,
        name: HeaderName::parse("retry-after").ok()?,
        allow,
        is_of_route: !context.place.starts_with("defaults"),
    };
    Some(ChainPart::only(stage, policy))
}

impl Maintenance {
    /// Whether it is under way at a time since the epoch.
    fn is_now(&self, now: u64) -> bool {
        let begun = self.from.is_none_or(|from| now >= u64::from(from));
        begun && self.until.is_none_or(|until| now < u64::from(until))
    }
}

/// Whether whoever is not refused on a route has credentials.
fn asks_everybody(credentials: &RouteCredentials<'_>) -> bool {
    let mut asked = credentials.asked.iter();
    credentials.guard == Some(Mode::Enforce) && asked.all(|asked| !asked.is_optional)
}

impl Policy for Maintenance {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let now = exchange.arrived.as_secs();
        if !self.is_now(now) || self.allow.has(exchange, host) {
            return Verdict::Pass;
        }
        let wait = match self.until {
            Some(until) => u64::from(until).saturating_sub(now).max(1),
            None => self.retry_after,
        };
        let refusal = Refusal::new(&WINDOW);
        Verdict::Refuse(refusal.with_header(self.name.clone(), HeaderValue::from(wait)))
    }

    fn misfits(&self, credentials: &RouteCredentials<'_>) -> Misfits {
        let mut problems = match (self.allow.needs_identity(), credentials.guard) {
            (true, None) => vec![
                "`allow` goes by who calls, and the route asks for no credentials; write `maintenance: off` there, go by `addresses`, `networks` or `paths`, or ask for credentials".to_owned(),
            ],
            _ => Vec::new(),
        };
        let everybody = self.allow.lets_all_callers() && asks_everybody(credentials);
        problems.extend(everybody.then(|| {
            "`allow` lets every caller through who has credentials, and the route asks everybody for some, so nobody would be held up; name who is to be let through, by `roles`, `subjects` or `clients`".to_owned()
        }));
        let unknown = self.allow.unknown_roles(credentials);
        // A block of `defaults` is for other routes as well.
        let (problems, notes) = match self.is_of_route {
            true => (problems.into_iter().chain(unknown).collect(), Vec::new()),
            false => (problems, unknown),
        };
        Misfits { problems, notes }
    }

    fn misfits_of_api(
        &self,
        api: Option<&dyn portcullis_exchange::exchange::ApiOperations>,
    ) -> Vec<String> {
        self.allow.unknown_operations(api)
    }

    fn declares(&self) -> Declaration {
        self.allow.declares()
    }
}
