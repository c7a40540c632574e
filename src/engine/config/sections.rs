//! The list of the document's sections.

use super::fields::Fields;
use super::problem::Problems;
use super::request_id::RequestId;
use crate::access_log::collector::OtlpExporter;
use crate::access_log::security::SecurityEvents;
use crate::access_log::{AccessLog, Sink};
use crate::engine::Requests;
use crate::explain::Explain;
use crate::metrics::MetricsConfig;
use portcullis_exchange::body::Inspection;
use portcullis_exchange::client_address::ClientAddress;
use portcullis_exchange::geo::Geo;
use portcullis_exchange::section::{Entry, Section, Sections};
use portcullis_exchange::target::PathRules;
use portcullis_policies::access::AccessRules;
use portcullis_policies::api_key::ApiKeyStores;
use portcullis_policies::certificate::CertificateSets;
use portcullis_policies::introspection::IntrospectionServers;
use portcullis_policies::jwt::Providers;
use portcullis_policies::openapi::Apis;
use portcullis_policies::rate_limits::SharedLimits;
use portcullis_policies::signed_request::Signers;
use portcullis_policies::versions::Versions;
use portcullis_policies::{NetworkLists, RevocationLists};
use portcullis_schema::Schemas;

/// Every section, in the order in which they are read: one finds those before it. `version`, `mode`,
/// `defaults` and `routes` are no sections; they make the engine of what these say.
pub(super) const SECTIONS: &[Entry] = &[
    Entry::of::<Inspection>(),
    Entry::of::<PathRules>(),
    Entry::of::<Requests>(),
    Entry::of::<ClientAddress>(),
    Entry::of::<Geo>(),
    Entry::of::<AccessLog>(),
    Entry::of::<MetricsConfig>(),
    Entry::of::<SecurityEvents>(),
    Entry::of::<OtlpExporter>(),
    Entry::of::<Explain>(),
    Entry::of::<RequestId>(),
    Entry::Agreement(sinks_are_there),
    Entry::of::<NetworkLists>(),
    Entry::of::<RevocationLists>(),
    Entry::of::<CertificateSets>(),
    Entry::of::<Providers>(),
    Entry::of::<ApiKeyStores>(),
    Entry::of::<Signers>(),
    Entry::of::<IntrospectionServers>(),
    Entry::Agreement(secrets_are_redacted),
    Entry::of::<Versions>(),
    Entry::of::<SharedLimits>(),
    Entry::of::<AccessRules>(),
    Entry::of::<Schemas>(),
    Entry::of::<Apis>(),
];

/// What is sent to the collector needs one, and the other way round.
fn sinks_are_there(
    known: &mut Sections,
    fields: &mut Fields<'_>,
    notes: &mut Vec<String>,
    problems: &mut Problems,
) {
    let names = [AccessLog::NAME, SecurityEvents::NAME, OtlpExporter::NAME];
    if known.is_wrong(&names) {
        return;
    }
    let is_known = known.find::<OtlpExporter>().is_some();
    let log = known.find::<AccessLog>();
    let events = known.find::<SecurityEvents>();
    let sinks = [
        (AccessLog::NAME, log.as_ref().map(|log| log.sinks())),
        (
            SecurityEvents::NAME,
            events.as_ref().map(|events| events.sinks()),
        ),
    ];
    let mut is_used = false;
    for (block, sinks) in sinks {
        let sends = sinks.is_some_and(|sinks| sinks.contains(&Sink::Collector));
        is_used |= sends;
        if sends && !is_known && !fields.misnames(&[OtlpExporter::NAME], problems) {
            problems.report(
                &fields.pointer().member(block).member("sinks"),
                "`otlp_http` needs to know the collector: add `otlp_http: { cluster, uri }` to the document",
            );
        }
    }
    if is_known && !is_used {
        notes.push(format!(
            "{}: nothing is sent there: it is no sink of `access_log` or `security_events`; name it there, or remove it",
            fields.pointer().member(OtlpExporter::NAME)
        ));
    }
}

/// What asks for an explanation may be a secret, and API keys, opaque tokens and signatures are: the log does not show them.
fn secrets_are_redacted(
    known: &mut Sections,
    _: &mut Fields<'_>,
    _: &mut Vec<String>,
    _: &mut Problems,
) {
    if let Some(explain) = known.find::<Explain>() {
        known.change(|log: &mut AccessLog| log.redact(explain.header().as_str()));
    }
    if let Some(servers) = known.find::<IntrospectionServers>() {
        known.change(|log: &mut AccessLog| servers.places().for_each(|name| log.redact(name)));
    }
    if let Some(stores) = known.find::<ApiKeyStores>() {
        known.change(|log: &mut AccessLog| stores.places().for_each(|name| log.redact(name)));
    }
    if let Some(signers) = known.find::<Signers>() {
        known.change(|log: &mut AccessLog| signers.places().for_each(|name| log.redact(&name)));
    }
}
