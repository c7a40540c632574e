//! The block of a route: whose signature it asks for, and what is told before that is known.

use std::rc::Rc;

use portcullis_document::Fields;
use portcullis_exchange::body::Inspection;
use portcullis_exchange::policy::{ChainPart, Context, Stage};

use super::SignedRequest;
use super::acceptance::Acceptance;
use super::refusals::INVALID;
use super::signers::Signers;
use crate::authn::challenge::{Challenges, read_realm};
use crate::authn::combination::Presence;
use crate::authn::requirement::Requirement;

/// Whether a head may go ahead of a body by which alone its sender is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeadFate {
    Held,
    Ahead,
}

/// The scheme in `WWW-Authenticate`. There is no registered one.
const SCHEME: &str = "Signature";

/// Reads the block of a route.
pub(super) fn compile(
    fields: &mut Fields<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<ChainPart>> {
    let signers = context.sections.get::<Signers>();
    let inspection = context.inspection;
    let path = context.route_path();
    let problems = &mut *context.problems;
    let realm = fields.or_default("realm", "api", problems, read_realm);
    let presence = Presence::read(fields, problems);
    let signer = fields
        .required("signer", problems)
        .and_then(|node| signers.by_name.asked(&node, problems));
    let requirement = fields.or_default(
        "require",
        Requirement::default(),
        problems,
        |node, problems| Requirement::read(node, &path, problems),
    );
    let head = fields.or_default("head", HeadFate::Held, problems, |node, problems| {
        node.choice(
            problems,
            &[("held", HeadFate::Held), ("ahead", HeadFate::Ahead)],
        )
    });
    // One whose own block is wrong has been reported there.
    let (signer, head) = (signer??, head?);
    if signer.needs_body() && inspection == Inspection::Stream {
        if head == HeadFate::Held {
            problems.report(
                fields.pointer(),
                "who signed is known from the body alone, and heads go ahead of bodies here: say `body_inspection: hold_headers` at the top of the document, or `head: ahead` where a service does nothing before it has the whole body",
            );
            return None;
        }
        if !signer.forwarding.owned_headers().is_empty() || !signer.forwarding.exports().is_empty()
        {
            problems.report(
                fields.pointer(),
                "with `head: ahead` the head would tell of a client that is not proven yet: take `claim_to_headers` and `claim_to_filter_state` out of the signer, or say `body_inspection: hold_headers`",
            );
            return None;
        }
    } else if head == HeadFate::Ahead {
        problems.report(
            &fields.pointer().member("head"),
            "says nothing here: heads are held until bodies have been judged (`body_inspection`), or tell who signed; take it out",
        );
        return None;
    }
    let policy = SignedRequest {
        signer,
        requirement: requirement?,
        presence: presence?,
        challenges: Challenges::plain(&INVALID, SCHEME, realm?)?,
        inspection,
    };
    let policy = Rc::new(policy);
    let acceptance = Acceptance(Rc::clone(&policy));
    let mut parts = vec![ChainPart {
        stage: Stage::Credentials,
        policy,
    }];
    parts.extend(ChainPart::only(Stage::Acceptance, acceptance));
    Some(parts)
}
