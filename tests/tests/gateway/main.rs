//! The gateways of `envoy/production` on real Envoys: their files are valid, an upstream or a gateway
//! that dies takes nothing with it, certificates change under load, what is cached belongs to
//! everybody, and nobody gets in by old versions of TLS.

mod behind;
mod cached;
mod client;
mod files;
mod hello;
mod lost;
mod outside;
mod renewed;
mod stage;

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use self::stage::Edge;

const TIMEOUT: Duration = Duration::from_secs(30);

const HOST: &str = "api.example.com";

#[test]
fn clients_at_the_edge() {
    check_all(&mut Edge::start("edge", None));
}

#[test]
fn clients_at_the_edge_of_the_older_release() {
    check_all(&mut Edge::start("edge-old", Some(older())));
}

fn check_all(edge: &mut Edge) {
    outside::only_the_listed_ciphers_are_agreed_on(edge, [0xc02b, 0xc02c, 0xcca9]);
    outside::old_versions_are_refused(edge);
    outside::groups_are_those_of_the_file(edge);
    outside::each_version_of_http_is_served_and_guarded(edge);
    outside::cleartext_leads_to_tls(edge);
    outside::nobody_says_where_he_is(edge);
    cached::what_is_everybodys_is_kept(edge);
    cached::what_is_somebodys_is_not(edge);
    cached::the_filter_stands_before_the_cache(edge);
    renewed::a_certificate_is_replaced_under_load(edge);
    // The other certificate has an RSA key, for which there are other suites.
    outside::only_the_listed_ciphers_are_agreed_on(edge, [0xc02f, 0xc030, 0xcca8]);
    renewed::a_bad_pair_changes_nothing(edge);
    lost::a_server_dies(edge);
}

/// The binary of the older release.
fn older() -> PathBuf {
    let path = env::var_os("ENVOY_1_36").map(PathBuf::from);
    path.expect("ENVOY_1_36 names the binary of Envoy 1.36; `make test` sets it")
}
