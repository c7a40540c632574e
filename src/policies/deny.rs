//! Refuses every request of a route.

use portcullis_exchange::exchange::Exchange;
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::refusal::{Blame, Code, Reason, Refusal, grpc};

/// `deny: true`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "deny",
    role: Role::Guards,
    codes: &[&DENIED],
    compile: Compile::Flag(compile),
    rules: &[],
};

static DENIED: Code = Code {
    name: "route_denied",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "This is not available.",
    reasons: &[&ROUTE],
};

static ROUTE: Reason = Reason::new("route", &DENIED, Blame::Request);

struct Deny;

fn compile(_: &mut Context<'_>) -> Vec<ChainPart> {
    ChainPart::only(Stage::Transport, Deny)
}

impl Policy for Deny {
    fn check_request(&self, _: &mut Exchange<'_>, _: &dyn Host) -> Verdict {
        Verdict::Refuse(Refusal::new(&ROUTE))
    }

    fn declares(&self) -> Declaration {
        Declaration {
            ends_chain: true,
            ..Declaration::default()
        }
    }
}
