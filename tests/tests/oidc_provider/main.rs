//! Tokens of a real authorization server, npm's oidc-provider, before a real Envoy: opaque ones (RFC 7662), those that
//! it takes back (RFC 7009), and those that it binds to a key (RFC 9449) or a certificate (RFC 8705).

mod bound;
mod certificates;
mod load;
mod proxy;

use portcullis_tests::patience::wait_until;

use crate::proxy::Proxy;

#[test]
fn what_the_server_says_of_a_token_counts() {
    let proxy = Proxy::start();
    verdicts(&proxy);
    revocation(&proxy);
    bound::to_a_key(&proxy);
    bound::with_nonces(&proxy);
    certificates::bound_to_one(&proxy);
    load::many_at_once(&proxy);
    load::a_server_that_fails_meanwhile(&proxy);
    let log = proxy.envoy.log();
    assert!(!log.contains("panicked") && !log.contains("s3cret"));
}

fn verdicts(proxy: &Proxy) {
    let server = &proxy.server;
    let good = server.token("shop-1", "urn:orders", &[]);
    let other = server.token("shop-1", "urn:billing", &[]);
    for path in ["/kept", "/each"] {
        for _ in 0..3 {
            assert_eq!(proxy.send(path, &good), "200 shop-1");
            assert_eq!(proxy.send(path, "made-up"), "401 introspection_invalid");
            assert_eq!(proxy.send(path, &other), "401 introspection_invalid");
        }
    }
    assert_eq!(
        proxy.send("/write", &good),
        "403 introspection_insufficient_scope"
    );
    // RFC 6750 §2.1: a JWT is not asked about.
    let jwt = server.token("shop-1", "urn:orders:jwt", &[]);
    assert_eq!(proxy.send("/each", &jwt), "401 introspection_invalid");
    wait_until("keys are found", || {
        proxy.send("/issued", &jwt) == "200 shop-1"
    });
}

/// RFC 7009: a token that is taken back opens nothing once it is asked about.
fn revocation(proxy: &Proxy) {
    let token = proxy.server.token("shop-2", "urn:orders", &[]);
    for path in ["/kept", "/brief", "/each"] {
        // A worker remembers for itself, and this connection may be another's.
        for _ in 0..16 {
            assert_eq!(proxy.send(path, &token), "200 shop-2");
        }
    }
    proxy.server.revoke("shop-2", &token);
    assert_eq!(proxy.send("/each", &token), "401 introspection_invalid");
    let mut refused = 0;
    wait_until("no worker remembers it", || {
        match proxy.send("/brief", &token).as_str() {
            "401 introspection_invalid" => refused += 1,
            "200 shop-2" => refused = 0,
            other => panic!("{other}"),
        }
        refused >= 16
    });
    // For as long as the document says, no worker that has asked asks again.
    let kept: Vec<String> = (0..16).map(|_| proxy.send("/kept", &token)).collect();
    assert!(
        kept.iter().any(|outcome| outcome == "200 shop-2"),
        "{kept:?}"
    );
}
