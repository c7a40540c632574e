//! Who a request says it comes from, before anything of that has been proven.

use std::rc::Rc;

use super::provider::Provider;
use super::token::{MAX_DEPTH, Token};
use crate::authn::combination::Needed;
use crate::authn::location::LocationError;
use crate::authn::presented::PresentedCredential;
use portcullis_exchange::exchange::{ClaimedSubject, Request, Several};
use portcullis_wire::json::compact::Compact;

/// Reads the `sub` of the token that a route asks for, which nobody has checked. Whoever sends the
/// request has chosen it.
pub(super) struct UnverifiedSubject {
    needed: Needed,
    providers: Vec<Rc<Provider>>,
}

impl UnverifiedSubject {
    /// Looks for tokens where these providers do, of which one or all are asked for.
    pub(super) fn new(needed: Needed, providers: Vec<Rc<Provider>>) -> Self {
        Self { needed, providers }
    }
}

impl ClaimedSubject for UnverifiedSubject {
    /// The `sub` of the token. Where several are asked for, it is that of the first: no other is
    /// looked at before that one has been accepted.
    fn subject(&self, request: &Request<'_>) -> Result<Option<String>, Several> {
        let most = match self.needed {
            Needed::All => 1,
            Needed::Any => self.providers.len(),
        };
        let mut found: Vec<(&Provider, PresentedCredential<'_>)> = Vec::new();
        for provider in self.providers.iter().take(most) {
            match provider.locations.find(request) {
                Ok(token) => found.push((provider, token)),
                Err(LocationError::Missing) => {}
                Err(LocationError::Repeated) => return Err(Several),
            }
        }
        if let Some(((_, first), others)) = found.split_first()
            && others.iter().any(|(_, other)| !other.is_same(first))
        {
            return Err(Several);
        }
        Ok(found.iter().find_map(|(provider, found)| {
            let token = Token::parse(found.token(), &provider.form).ok()?;
            let claims = Compact::parse(&token.payload, MAX_DEPTH)?;
            let subject = claims.member("sub")?.as_str()?;
            Some(subject.to_owned())
        }))
    }
}

impl std::fmt::Debug for UnverifiedSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claimants({})", self.providers.len())
    }
}
