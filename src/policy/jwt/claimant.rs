//! Who a request says it comes from, before anything of that has been proven.

use std::rc::Rc;

use super::provider::{Provider, Providers};
use super::token::{MAX_DEPTH, Token};
use crate::exchange::Request;
use crate::json::compact::Compact;

/// Reads the `sub` of a token that nobody has checked. Whoever sends the request has chosen it.
pub struct Claimants {
    providers: Vec<Rc<Provider>>,
}

impl Claimants {
    /// Looks for tokens where any of the providers does.
    pub fn of(providers: &Providers) -> Self {
        Self {
            providers: providers.read_well().cloned().collect(),
        }
    }

    /// The `sub` of the first token that can be read.
    pub fn subject(&self, request: &Request<'_>) -> Option<String> {
        self.providers.iter().find_map(|provider| {
            let found = provider.locations.find(request).ok()?;
            let token = Token::parse(found.token()).ok()?;
            let claims = Compact::parse(&token.payload, MAX_DEPTH)?;
            let subject = claims.member("sub")?.as_str()?;
            Some(subject.to_owned())
        })
    }
}

impl std::fmt::Debug for Claimants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claimants({})", self.providers.len())
    }
}
