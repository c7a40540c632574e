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
//! A kind that has to ask a service (introspection) cannot be written yet: a policy can wait for a call
//! ([`portcullis_exchange::wait`]), but [`Authenticator::authenticate`] has to answer at once. Nothing else
//! here depends on that.

pub mod api_key;
pub mod certificate;
mod challenge;
mod combination;
pub mod credentials;
mod fetched_list;
mod few;
mod forwarding;
mod grants;
mod item_list;
pub mod jwt;
mod kindred;
mod leading;
mod location;
mod member;
mod mixed;
mod moment;
mod places;
mod requirement;
pub(crate) mod revocation;
mod schedule;
mod secret;
pub mod signed_request;

use std::rc::Rc;

use self::challenge::Challenges;
use self::location::{LocationError, Locations, PresentedCredential};
use portcullis_exchange::exchange::{Edit, Exchange, Request};
use portcullis_exchange::host::Host;
use portcullis_exchange::principal::Principal;
use portcullis_exchange::refusal::{Reason, Refusal};

/// One authority that vouches for credentials of its kind, and what they must grant.
trait Authenticator {
    /// What is found out about one credential while several authorities are asked whose it is.
    type Attempt<'c>;
    /// Why a request without a credential is refused.
    const MISSING: &'static Reason;
    /// Why a request with more than one is.
    const SEVERAL: &'static Reason;

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
    ) -> Result<AcceptedCredential, Refusal>;

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
    /// Who calls.
    principal: Principal,
    /// What the service and other filters are told of it.
    edits: Rc<[Edit]>,
}

impl AcceptedCredential {
    /// Leaves it in an exchange. The first that was accepted says who calls.
    fn enter(self, exchange: &mut Exchange<'_>) {
        exchange.edits.extend(self.edits.iter().cloned());
        exchange.facts.principal.get_or_insert(self.principal);
    }
}
