//! Who a request says it comes from, before anything of that has been proven.

use std::rc::Rc;

use super::provider::Provider;
use super::token::{MAX_DEPTH, Token};
use crate::exchange::{ClaimedSubject, Request, Several};
use crate::json::compact::Compact;
use crate::policy::authn::combination::Needed;
use crate::policy::authn::location::{Found, LocationError};

/// Reads the `sub` of the token that a route asks for, which nobody has checked. Whoever sends the
/// request has chosen it.
pub(super) struct Claimants {
    needed: Needed,
    providers: Vec<Rc<Provider>>,
}

impl Claimants {
    /// Looks for tokens where these providers do, of which one or all are asked for.
    pub(super) fn new(needed: Needed, providers: Vec<Rc<Provider>>) -> Self {
        Self { needed, providers }
    }
}

impl ClaimedSubject for Claimants {
    /// The `sub` of the token. Where several are asked for, it is that of the first: no other is
    /// looked at before that one has been accepted.
    fn subject(&self, request: &Request<'_>) -> Result<Option<String>, Several> {
        let most = match self.needed {
            Needed::All => 1,
            Needed::Any => self.providers.len(),
        };
        let mut found: Vec<(&Provider, Found<'_>)> = Vec::new();
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

impl std::fmt::Debug for Claimants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claimants({})", self.providers.len())
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::Engine;

    fn notes(routes: &str) -> Vec<String> {
        let provider = |issuer: &str| {
            format!(r#"{{"issuer":"{issuer}","audiences":"any","hmac":[{{"env":"SECRET"}}]}}"#)
        };
        let document = format!(
            r#"{{"version":1,"providers":{{"corp":{},"other":{}}},"routes":[{routes}]}}"#,
            provider("https://a.example"),
            provider("https://b.example")
        );
        Engine::compile(document.as_bytes())
            .unwrap()
            .notes()
            .to_vec()
    }

    const LIMIT: &str = r#""rate_limits":[{"name":"l","key":["claimed_subject"],"token_bucket":{"max_tokens":2,"fill_interval":"1h"}}]"#;

    #[test]
    fn providers_that_nothing_names_are_noted() {
        let both = r#"{"name":"r","match":{},"jwt":{"any_of":[{"provider":"corp"},{"provider":"other"}]}}"#;
        assert_eq!(notes(both), [""; 0]);
        let one = r#"{"name":"r","match":{},"jwt":{"provider":"corp"}}"#;
        assert_eq!(
            notes(one),
            ["provider \"other\" is used by no `jwt` block: no route asks for its tokens"]
        );
    }

    #[test]
    fn claims_that_nobody_can_make_are_noted() {
        let guarded = format!(
            r#"{{"name":"r","match":{{}},"jwt":{{"all_of":[{{"provider":"corp"}},{{"provider":"other"}}]}},{LIMIT}}}"#
        );
        assert_eq!(notes(&guarded), [""; 0]);
        let open = |name: &str| format!(r#"{{"name":"{name}","match":{{}},"open":true,{LIMIT}}}"#);
        let found = notes(&format!("{guarded},{},{}", open("a"), open("b")));
        let note = "routes that ask for no token and yet count by `claimed_subject`: 2, the first is \"a\"; their requests have no such key";
        assert!(found.iter().any(|each| each == note), "{found:?}");
        let document = format!(r#"{{"version":1,"routes":[{}]}}"#, open("a"));
        let error = Engine::compile(document.as_bytes())
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "/routes/0/rate_limits/0/key/0: there is no token whose subject could be claimed: the document has no `providers`"
        );
    }
}
