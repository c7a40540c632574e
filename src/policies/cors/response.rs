//! What a response tells the browser: which page may read it.

use std::rc::Rc;

use super::Sender;
use super::settings::{Credentials, Settings};
use portcullis_exchange::exchange::{Edit, Response};
use portcullis_wire::effort;
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::{HeaderName, HeaderValue};
use portcullis_wire::preflight::Preflight;

/// Grants the response to the page that asked, and takes away what the service granted.
pub(super) struct ResponseGrant {
    settings: Rc<Settings>,
    allow_origin: HeaderName,
    star: HeaderValue,
    /// For answers that may be read, beside the origin.
    granted: Edit,
    /// For answers that may not.
    withheld: Edit,
}

/// All that a server can grant, beside the origin.
const GRANTS: [&str; 6] = [
    CREDENTIALS,
    EXPOSED,
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-max-age",
    "access-control-allow-private-network",
];

const CREDENTIALS: &str = "access-control-allow-credentials";

const EXPOSED: &str = "access-control-expose-headers";

impl ResponseGrant {
    /// Nothing in it can fail; the constants are names and values.
    pub(super) fn new(settings: Rc<Settings>) -> Option<Self> {
        let value = |text: &str| HeaderValue::parse(text.as_bytes()).ok();
        let allow_origin = HeaderName::parse("access-control-allow-origin").ok()?;
        let credentials = match settings.credentials {
            Credentials::Allowed => value("true"),
            Credentials::Withheld => None,
        };
        let mut withheld = vec![Edit::Remove(allow_origin.clone())];
        let mut granted = Vec::new();
        for name in GRANTS {
            let written = match name {
                CREDENTIALS => credentials.clone(),
                EXPOSED => settings.exposed.clone(),
                _ => None,
            };
            let name = HeaderName::parse(name).ok()?;
            withheld.push(Edit::Remove(name.clone()));
            granted.push(match written {
                Some(value) => Edit::Set(name, value),
                None => Edit::Remove(name),
            });
        }
        if !settings.origins.has_all() {
            // Beside the service's own: lists in several lines are one list (RFC 9110 §5.3).
            let vary = Edit::Add(HeaderName::parse("vary").ok()?, value("origin")?);
            granted.push(vary.clone());
            withheld.push(vary);
        }
        Some(Self {
            allow_origin,
            star: value("*")?,
            granted: Edit::Prepared(granted.into()),
            withheld: Edit::Prepared(withheld.into()),
            settings,
        })
    }

    pub(super) fn shape(&self, response: &mut Response<'_>) {
        // It has all that it needs, and no page ever reads it.
        if Preflight::is(response.request) {
            return;
        }
        let origins = &self.settings.origins;
        let effort = Effort::new(effort::HEAD);
        let reader = match self.settings.sender(response.request, &effort) {
            _ if origins.has_all() => Some(self.star.clone()),
            Sender::Allowed(_) if origins.has_any() => Some(self.star.clone()),
            Sender::Allowed(origin) => HeaderValue::parse(origin).ok(),
            Sender::Unnamed | Sender::Own | Sender::Disallowed(_) => None,
        };
        match reader {
            None => response.edits.push(self.withheld.clone()),
            Some(origin) => {
                let name = self.allow_origin.clone();
                response.edits.push(Edit::Set(name, origin));
                response.edits.push(self.granted.clone());
            }
        }
    }
}
