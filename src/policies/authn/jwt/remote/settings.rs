//! What the document says of published keys: where they are, and how often to ask.

use std::rc::Rc;
use std::time::Duration;

use super::discovery::Discovery;
use crate::authn::jwt::claims::Accepted;
use crate::remote::{CellNames, Service};
use portcullis_document::{Node, Problems};
use portcullis_exchange::credentials::Credential;
use portcullis_exchange::http_uri::Uri;

/// Where keys are published, and through which cluster of the proxy they are fetched.
pub(super) struct RemoteSource {
    pub(super) service: Service,
    pub(super) place: KeyLocation,
}

/// How it is known where the keys are.
#[derive(Debug)]
pub(super) enum KeyLocation {
    /// The document says.
    Known(Rc<Uri>),
    /// The provider says.
    Discovered(Discovery),
}

fn usual_max_stale(_: Duration) -> Duration {
    Duration::from_secs(86_400)
}

impl RemoteSource {
    /// Reads `remote: { cluster, uri, headers, timeout, cache_duration, max_stale, cooldown }`.
    pub(super) fn read_remote(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let read = Service::read(
            &mut fields,
            usual_max_stale,
            problems,
            |fields, problems| {
                let node = fields.required("uri", problems)?;
                Uri::read(&node, problems)
            },
        );
        fields.deny_unknown(problems);
        let (service, uri) = read?;
        let place = KeyLocation::Known(Rc::new(uri));
        Some(Self { service, place })
    }

    /// Reads `discovery: { cluster, issuer, uri, jwks_cluster, … }` with the limits of `remote`.
    pub(super) fn read_discovery(
        node: &Node<'_>,
        accepted: Option<&Accepted>,
        notes: &mut Vec<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let read = Service::read(
            &mut fields,
            usual_max_stale,
            problems,
            |fields, problems| Discovery::read(fields, accepted, notes, problems),
        );
        fields.deny_unknown(problems);
        let (service, discovery) = read?;
        let place = KeyLocation::Discovered(discovery);
        Some(Self { service, place })
    }

    /// The names for a source that is asked with these values.
    pub(super) fn names(&self, value: impl Fn(&Credential) -> Option<String>) -> CellNames {
        match &self.place {
            KeyLocation::Known(uri) => self.service.names(&[uri.to_string().as_bytes()], value),
            KeyLocation::Discovered(discovery) => {
                let through = discovery.keys_cluster.as_deref();
                let document = discovery.document.to_string();
                let place = [
                    discovery.issuer.as_bytes(),
                    document.as_bytes(),
                    through.unwrap_or_default().as_bytes(),
                ];
                self.service.names(&place, value)
            }
        }
    }
}
