//! What limits may name of the rest of the document.

use std::rc::Rc;

use crate::authn::jwt::Providers;
use crate::networks::NetworkLists;
use crate::openapi::Apis;
use crate::versions::Versions;
use portcullis_exchange::geo::Geo;
use portcullis_exchange::section::Sections;

/// What keys and tiers may name, or depend on.
#[derive(Default)]
pub struct LimitNames {
    pub(crate) providers: Rc<Providers>,
    pub(super) networks: Rc<NetworkLists>,
    pub(super) geo: Rc<Geo>,
    /// Whether requests may have versions.
    pub(super) has_versions: bool,
}

impl LimitNames {
    /// What the document has of it.
    pub fn of(sections: &Sections) -> Self {
        Self {
            providers: sections.get(),
            networks: sections.get(),
            geo: sections.get(),
            // Limits that routes share are read before the APIs, which may have versions.
            has_versions: sections.find::<Versions>().is_some()
                || sections
                    .find::<Apis>()
                    .is_none_or(|apis| apis.have_versions()),
        }
    }
}
