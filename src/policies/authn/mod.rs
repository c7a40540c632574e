//! Who calls: what is the same for every kind of credential, and the kinds below it.
//!
//! A kind is an [`Authenticator`]: it knows where its credentials stand ([`location`]), judges one,
//! and tells what to send instead ([`challenge`]). A route asks for one or for all of several
//! ([`combination`]); those of one kind are judged beside one another ([`kindred`]), and what they must
//! grant is a [`requirement`]. What of an accepted credential goes on to the upstream is [`forwarding`]'s
//! concern, and what only looks like one is found by [`places`].
//!
//! INVARIANT: a credential that is present and not accepted is refused, whatever else would do. Only
//! one that is absent gives way.
//!
//! A kind may have to ask a service before it can judge: then the request waits for the answer
//! ([`portcullis_exchange::wait`]), nothing is kept of what others have said of it so far, and all of it is
//! judged again when the answer is there. What was asked is not asked again: the answer stays with the request
//! until it has been judged.

pub mod api_key;
mod authority;
pub mod certificate;
mod challenge;
mod combination;
pub mod credentials;
mod exposed;
mod few;
mod forwarding;
mod grants;
pub mod introspection;
pub mod jwt;
mod kindred;
mod leading;
mod left_out;
mod location;
mod member;
mod mixed;
pub(crate) mod moment;
pub(crate) mod operation;
mod places;
mod presented;
pub(crate) mod requirement;
pub(crate) mod revocation;
pub(crate) mod roles;
mod secret;
pub mod signed_request;

use std::rc::Rc;

use self::challenge::Challenges;
use self::location::{LocationError, Locations};
use self::presented::PresentedCredential;
use self::roles::RoleRules;
use portcullis_exchange::asked::Question;
use portcullis_exchange::call::{Call, CallError, CallResponse};
use portcullis_exchange::exchange::{Edit, Exchange, Request};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::Verdict;
use portcullis_exchange::principal::{CredentialKind, Principal};
use portcullis_exchange::refusal::{Reason, Refusal};
use portcullis_exchange::wait::{Wait, Wake};

/// One authority that vouches for credentials of its kind, and what they must grant.
trait Authenticator {
    /// What is found out about one credential while several authorities are asked whose it is.
    type Attempt<'c>;
    /// Why a request without a credential is refused.
    const MISSING: &'static Reason;
    /// Why a request with more than one is.
    const SEVERAL: &'static Reason;

    /// What it is called.
    fn authority(&self) -> (CredentialKind, Rc<str>);

    /// How it comes by the roles of its callers.
    fn roles(&self) -> &RoleRules;

    /// Where its credentials stand.
    fn locations(&self) -> &Locations;

    /// The one credential of a request, if there is one.
    fn extract<'r>(
        &'r self,
        request: &Request<'r>,
        host: &dyn Host,
    ) -> Result<PresentedCredential<'r>, LocationError> {
        let _ = host;
        self.locations().find(request)
    }

    /// What is known of a credential before any of these has judged it.
    fn attempt<'c>(credential: &'c [u8], of: &mut dyn Iterator<Item = &Self>) -> Self::Attempt<'c>;

    /// Whether a credential says that it is of this authority. That is not to be believed, only to
    /// choose who judges it.
    fn may_have_issued(&self, attempt: &Self::Attempt<'_>) -> bool;

    /// Accepts the credential, or says why not, with its challenge. An accepted one is taken out of what
    /// the service will see, unless it is to be forwarded; nothing else is left in the exchange.
    fn authenticate(
        &self,
        found: &PresentedCredential<'_>,
        attempt: &Self::Attempt<'_>,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<AcceptedCredential, NotAccepted>;

    /// Hears what came of the question for which the request waits, if it has asked that.
    fn heard(&self, answer: &Heard<'_>, exchange: &mut Exchange<'_>, host: &dyn Host) {
        let _ = (answer, exchange, host);
    }

    /// Why a credential is refused that none of these has issued; without a challenge.
    fn not_issued(by: &[&Self], attempt: &Self::Attempt<'_>, exchange: &Exchange<'_>) -> Refusal;

    /// Whether of two refusals of one credential by two authorities the later is the one that counts: the one
    /// that says more. A credential that was accepted and does not suffice says more than one that was not.
    fn outweighs(later: &Refusal, earlier: &Refusal) -> bool {
        let _ = later;
        earlier.code().status == 401
    }

    /// Why what resembles a credential is refused; without a challenge.
    fn resembling(place: &str) -> Refusal;

    /// What a client is to do to be let in.
    fn challenge(&self) -> &Challenges;
}

/// What an accepted credential says.
struct AcceptedCredential {
    /// Who calls. None if that could not be found out, and the document lets such requests pass.
    principal: Option<Principal>,
    /// What the service and other filters are told of it.
    edits: Rc<[Edit]>,
}

/// The response to a question about a credential, or why there is none.
type Heard<'a> = Result<CallResponse<'a>, CallError>;

/// Why a credential is not accepted.
enum NotAccepted {
    /// It is refused.
    Refused(Refusal),
    /// It is not known yet: that has to be asked first.
    Asks(Box<Asking>),
}

/// What has to be asked, and who asks.
struct Asking {
    call: Call,
    question: Question,
}

impl From<Refusal> for NotAccepted {
    fn from(refusal: Refusal) -> Self {
        NotAccepted::Refused(refusal)
    }
}

impl AcceptedCredential {
    /// Leaves it in an exchange. The first that was accepted says who calls.
    fn enter(self, exchange: &mut Exchange<'_>) {
        exchange.edits.extend(self.edits.iter().cloned());
        if let Some(principal) = self.principal {
            exchange.facts.name(principal);
        }
    }
}

/// What judging the credentials of a request comes to. While something is asked, nothing is left in the
/// exchange but that: all is judged again when the answer is there.
fn settle(
    exchange: &mut Exchange<'_>,
    judge: impl FnOnce(&mut Exchange<'_>) -> Result<(), NotAccepted>,
) -> Verdict {
    let (edits, noted) = (exchange.edits.len(), exchange.shadow.len());
    match judge(exchange) {
        Ok(()) => {
            exchange.facts.asked.clear();
            Verdict::Pass
        }
        Err(NotAccepted::Refused(refusal)) => {
            exchange.facts.asked.clear();
            Verdict::Refuse(refusal)
        }
        Err(NotAccepted::Asks(asking)) => {
            let Asking { call, question } = *asking;
            exchange.edits.truncate(edits);
            exchange.shadow.truncate(noted);
            exchange.facts.asked.ask(question);
            Verdict::Wait(Wait::Shared(call))
        }
    }
}

/// What was asked, and has come with a wake.
fn heard<'w, 'a>(wake: &'w Wake<'a>) -> Option<&'w Heard<'a>> {
    match wake {
        Wake::Response(answer) => Some(answer),
        Wake::Time => None,
    }
}
