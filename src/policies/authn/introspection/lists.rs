//! Whether what a server says of a token stands in a list of what is revoked.

use super::cache::Reported;
use super::form::is_signed_jwt;
use super::refusals::{NO_REVOCATIONS, REVOKED};
use super::server::IntrospectionServer;
use crate::authn::jwt::key_named_by;
use crate::authn::revocation::{Issued, Revocable, RevocationObjection, SignedBy};
use portcullis_exchange::host::Host;
use portcullis_exchange::refusal::Refusal;
use portcullis_wire::json::compact::Value;

impl IntrospectionServer {
    /// Asks the lists about a token that has passed every other check. Lists change more often than what is
    /// remembered of a token ends, so it is remembered without regard to them, and with what was the last state
    /// of them that let the token pass: in another one they are asked again.
    pub(super) fn check_lists(
        &self,
        token: &[u8],
        known: &Reported,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        if self.lists.is_empty() {
            return Ok(());
        }
        let generation = self.lists.generation(host);
        if generation.is_some() && known.cleared == generation {
            return Ok(());
        }
        // The server has vouched for every byte of it, so that its header can be believed.
        let is_signed = self.lists.name_signing_keys(host) && is_signed_jwt(token);
        let key = is_signed.then(|| key_named_by(token));
        let text = |name| known.claims.member(name).and_then(Value::as_str);
        let clients = ["client_id", "azp"];
        let is_odd = |name| known.claims.member(name).is_some() && text(name).is_none();
        let revocable = Revocable {
            token: text("jti"),
            subject: text("sub"),
            clients: clients.map(text),
            has_odd_client: clients.into_iter().any(is_odd),
            signed_by: match &key {
                None => SignedBy::Nobody,
                Some(None) => SignedBy::Unnamed,
                Some(Some(key)) => SignedBy::Key(key),
            },
            issued: known.times.issued().map_or(Issued::Unsaid, Issued::At),
            ..Revocable::default()
        };
        let checked = self.lists.check(&revocable, host);
        checked.map_err(|objection| match objection {
            RevocationObjection::Revoked(detail) => Refusal::new(&REVOKED).because(detail),
            RevocationObjection::Missing(detail) => Refusal::new(&NO_REVOCATIONS).because(detail),
        })?;
        if let Some(cache) = self.cache.as_ref().filter(|_| generation.is_some()) {
            cache.clear_by(token, generation);
        }
        Ok(())
    }
}
