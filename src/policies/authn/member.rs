//! Credentials of different kinds beside one another: what a kind is to a route that asks for several.

use std::rc::Rc;

use super::challenge::Challenges;
use super::combination::Needed;
use super::kindred::{Kindred, check_issuers};
use super::location::Locations;
use super::{AcceptedCredential, Authenticator, Heard, NotAccepted};
use portcullis_document::Fields;
use portcullis_exchange::exchange::{ClaimedSubject, Edit, Exchange, Request, Response};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{Context, Declaration, RoleSource};
use portcullis_exchange::principal::CredentialKind;
use portcullis_exchange::refusal::Refusal;

/// A kind of credential that may be asked for beside others.
pub(super) trait Member: Authenticator + Sized + 'static {
    /// What a member of this kind is called.
    const NAME: &'static str;
    /// The least that one says.
    const EXAMPLE: &'static str;

    /// Reads a member; `Some(None)` when what it names is wrong and has been reported there.
    fn read(
        fields: &mut Fields<'_>,
        about: &About<'_>,
        context: &mut Context<'_>,
    ) -> Option<Option<Self>>;

    /// What asks a client for one; none if no header field does.
    fn challenge_alone(about: &About<'_>) -> Option<String>;

    /// The same for all that may be said of one, with the challenges of others behind it.
    fn challenges(about: &About<'_>, scopes: &str) -> Option<Challenges>;

    /// The same for all members of this kind together.
    fn challenges_of_all(members: &[Self], about: &About<'_>) -> Option<Challenges> {
        let _ = members;
        Self::challenges(about, "")
    }

    /// What asks a client for one of these members; none if no header field does.
    fn challenge_of_all(members: &[Self], about: &About<'_>) -> Option<String> {
        let _ = members;
        Self::challenge_alone(about)
    }

    /// Tells a client with the response what it is to show the next time.
    fn edit_response(response: &mut Response<'_>) {
        let _ = response;
    }

    /// Which of what stands where they look is theirs, if another kind looks there too.
    fn shape(members: &[Self]) -> TokenShape {
        let _ = members;
        TokenShape::Any
    }

    /// What the policy says of itself for its sake, but for where its credentials stand.
    fn declare(&self, declared: &mut Declaration);

    /// Who a request says it comes from, if its credentials tell before they are judged.
    fn claimants(needed: Needed, members: &[Self]) -> Option<Rc<dyn ClaimedSubject>> {
        let _ = (needed, members);
        None
    }

    /// Takes out of a request that passes what no service may see, whoever was accepted.
    fn take_out(&self, edits: &mut Vec<Edit>) {
        let _ = edits;
    }
}

/// By what credentials of a kind are known before they are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenShape {
    /// By nothing: whatever stands there may be one.
    Any,
    /// They are signed JWTs.
    SignedJwt,
    /// They are anything else.
    Opaque,
}

/// Where a member stands.
pub(super) struct About<'m> {
    /// In the block of the policy: a JSON pointer.
    pub(super) at: &'m str,
    pub(super) realm: &'m str,
    /// Where clients learn who issues tokens; nothing if that is not told.
    pub(super) metadata: &'m str,
    /// The challenges of the other kinds that would do as well.
    pub(super) beside: &'m str,
}

/// The members of one kind, whatever it is.
pub(super) trait Kin {
    /// See [`Authenticator::authority`].
    fn authorities(&self) -> Vec<(CredentialKind, Rc<str>)>;
    /// Which roles their callers may have.
    fn role_sources(&self) -> Vec<Rc<dyn RoleSource>>;
    /// Where all of them look for credentials.
    fn locations(&self) -> Vec<&Locations>;
    /// The places in the list of those for which a request has a credential.
    fn presented(&self, request: &Request<'_>, host: &dyn Host) -> Result<Vec<usize>, Refusal>;
    /// Has one of them accept what a request has for them, if it has anything; with its place in the list.
    fn any(
        &self,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<Option<(usize, AcceptedCredential)>, NotAccepted>;
    /// Has each of them accept what the request has for it.
    fn all(
        &self,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<Vec<(usize, AcceptedCredential)>, NotAccepted>;
    /// Tells them what has been asked.
    fn heard(&self, answer: &Heard<'_>, exchange: &mut Exchange<'_>, host: &dyn Host);
    /// See [`Member::shape`].
    fn shape(&self) -> TokenShape;
    /// Whether it leaves to another kind what has another form.
    fn is_told_by_form(&self) -> bool;
    /// Leaves what is not such a credential to another kind that looks in the same places.
    fn take_only(&mut self, takes: fn(&[u8]) -> bool);
    /// Whether one of them stands there in the list.
    fn has(&self, place: usize) -> bool;
    /// Why a request is refused that has none of theirs.
    fn missing(&self) -> Refusal;
    /// Why a request is refused that has something like one at that place.
    fn resembling(&self, place: &str) -> Refusal;
    /// See [`Member::challenge_of_all`].
    fn challenge(&self, about: &About<'_>) -> Option<String>;
    /// See [`Member::edit_response`].
    fn edit_response(&self, response: &mut Response<'_>);
    /// What the policy says of itself for their sake.
    fn declare(&self, needed: Needed, declared: &mut Declaration);
    /// See [`Member::take_out`].
    fn take_out(&self, edits: &mut Vec<Edit>);
}

/// The members of one kind, and where each stands in the list of all.
struct Listed<M> {
    kindred: Kindred<M>,
    places: Vec<usize>,
}

/// The members of one kind, with their places in the list of all.
pub(super) fn kin<M: Member>(members: Vec<(usize, M)>, about: &About<'_>) -> Option<Box<dyn Kin>> {
    let (places, members): (Vec<usize>, Vec<M>) = members.into_iter().unzip();
    let challenges = M::challenges_of_all(&members, about)?;
    let kindred = Kindred::new(members, challenges);
    Some(Box::new(Listed { kindred, places }))
}

impl<M> Listed<M> {
    /// The place in the list of all of the one at that place among its kind.
    fn place(&self, at: usize) -> usize {
        self.places.get(at).copied().unwrap_or(usize::MAX)
    }
}

impl<M: Member> Kin for Listed<M> {
    fn authorities(&self) -> Vec<(CredentialKind, Rc<str>)> {
        let members = self.kindred.members().iter();
        members.map(M::authority).collect()
    }

    fn role_sources(&self) -> Vec<Rc<dyn RoleSource>> {
        self.kindred.role_sources().collect()
    }

    fn locations(&self) -> Vec<&Locations> {
        self.kindred.locations().collect()
    }

    fn presented(&self, request: &Request<'_>, host: &dyn Host) -> Result<Vec<usize>, Refusal> {
        let found = self.kindred.presented(request, host)?;
        Ok(found.iter().map(|each| self.place(each.at)).collect())
    }

    fn any(
        &self,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<Option<(usize, AcceptedCredential)>, NotAccepted> {
        let request = exchange.request;
        let found = self.kindred.presented(&request, host)?;
        if found.is_empty() {
            return Ok(None);
        }
        let (at, accepted) = self.kindred.meet_any(&found, exchange, host)?;
        Ok(Some((self.place(at), accepted)))
    }

    fn all(
        &self,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<Vec<(usize, AcceptedCredential)>, NotAccepted> {
        let request = exchange.request;
        let found = self.kindred.presented(&request, host)?;
        if found.len() < self.places.len() {
            return Err(self.kindred.missing().into());
        }
        if found.len() > 1 {
            check_issuers(&found, exchange)?;
        }
        let accepted = found.iter().map(|each| {
            let accepted = each.judge(exchange, host)?;
            Ok((self.place(each.at), accepted))
        });
        accepted.collect()
    }

    fn heard(&self, answer: &Heard<'_>, exchange: &mut Exchange<'_>, host: &dyn Host) {
        self.kindred.heard(answer, exchange, host);
    }

    fn shape(&self) -> TokenShape {
        M::shape(self.kindred.members())
    }

    fn is_told_by_form(&self) -> bool {
        self.kindred.is_told_by_form()
    }

    fn take_only(&mut self, takes: fn(&[u8]) -> bool) {
        self.kindred.take_only(takes);
    }

    fn has(&self, place: usize) -> bool {
        self.places.contains(&place)
    }

    fn missing(&self) -> Refusal {
        self.kindred.missing()
    }

    fn resembling(&self, place: &str) -> Refusal {
        self.kindred.resembling(place)
    }

    fn challenge(&self, about: &About<'_>) -> Option<String> {
        M::challenge_of_all(self.kindred.members(), about)
    }

    fn edit_response(&self, response: &mut Response<'_>) {
        M::edit_response(response);
    }

    fn declare(&self, needed: Needed, declared: &mut Declaration) {
        let members = self.kindred.members();
        members.iter().for_each(|each| each.declare(declared));
        if declared.claimants.is_none() {
            declared.claimants = M::claimants(needed, members);
        }
    }

    fn take_out(&self, edits: &mut Vec<Edit>) {
        let members = self.kindred.members();
        members.iter().for_each(|each| each.take_out(edits));
    }
}
