//! RFC 9449: tokens that the server binds to a key, and proofs that a library of others makes.

use portcullis_tests::oidc_provider::ProofOf;
use portcullis_tests::patience::wait_until;
use portcullis_tests::wire::Response;

use crate::proxy::{HOST, Proxy, outcome};

/// A proof for a request.
fn proof(proxy: &Proxy, key: &str, path: &str, token: &str, nonce: Option<&str>) -> String {
    proxy.server.proof(ProofOf {
        key,
        method: "GET",
        uri: &format!("https://{HOST}{path}"),
        token: Some(token),
        nonce,
    })
}

fn field<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    let mut fields = response.headers.iter();
    let (_, value) = fields.find(|(each, _)| each == name)?;
    str::from_utf8(value).ok()
}

/// RFC 9449 §7.1, for an opaque token (§6.2) and for a JWT (§6.1).
pub(crate) fn to_a_key(proxy: &Proxy) {
    let jwt = proxy.server.token_for_key("wallet", "urn:orders:jwt");
    wait_until("keys are found", || {
        let proof = proof(proxy, "wallet", "/issued-dpop", &jwt, None);
        outcome(&proxy.prove("/issued-dpop", &jwt, &proof)) == "200 wallet"
    });
    let opaque = proxy.server.token_for_key("wallet", "urn:orders");
    for (path, token) in [("/dpop", &opaque), ("/issued-dpop", &jwt)] {
        let send = |proof: &str| outcome(&proxy.prove(path, token, proof));
        for _ in 0..8 {
            let fresh = proof(proxy, "wallet", path, token, None);
            assert_eq!(send(&fresh), "200 wallet", "{path}");
            for _ in 0..4 {
                assert_eq!(send(&fresh), "401 dpop_replayed", "{path}");
            }
        }
        let other = proof(proxy, "thief", path, token, None);
        assert_eq!(send(&other), "401 binding_invalid", "{path}");
        let elsewhere = proof(proxy, "wallet", "/elsewhere", token, None);
        assert_eq!(send(&elsewhere), "401 dpop_invalid", "{path}");
        let of_other = proof(proxy, "wallet", path, "another", None);
        assert_eq!(send(&of_other), "401 dpop_invalid", "{path}");
        assert_eq!(proxy.send(path, token), "401 binding_invalid", "{path}");
    }
    // Nor is it a bearer token where the document asks for nothing.
    assert_eq!(proxy.send("/each", &opaque), "401 binding_invalid");
    assert_eq!(proxy.send("/issued", &jwt), "401 binding_invalid");
    // What is bound to nothing is not taken where it has to be.
    let bearer = proxy.server.token("shop-3", "urn:orders", &[]);
    let fresh = proof(proxy, "wallet", "/dpop", &bearer, None);
    let response = proxy.prove("/dpop", &bearer, &fresh);
    assert_eq!(outcome(&response), "401 binding_invalid");
    let challenge = field(&response, "www-authenticate").unwrap();
    assert!(challenge.starts_with("DPoP "), "{challenge}");
}

/// RFC 9449 §9: the client's library answers with the nonce that it is told.
pub(crate) fn with_nonces(proxy: &Proxy) {
    let token = proxy.server.token_for_key("wallet", "urn:orders");
    let first = proof(proxy, "wallet", "/nonce", &token, None);
    let response = proxy.prove("/nonce", &token, &first);
    assert_eq!(outcome(&response), "401 dpop_nonce");
    let challenge = field(&response, "www-authenticate").unwrap();
    assert!(
        challenge.contains("error=\"use_dpop_nonce\""),
        "{challenge}"
    );
    let nonce = field(&response, "dpop-nonce").unwrap();
    for _ in 0..8 {
        let fresh = proof(proxy, "wallet", "/nonce", &token, Some(nonce));
        let send = || outcome(&proxy.prove("/nonce", &token, &fresh));
        assert_eq!(send(), "200 wallet");
        assert_eq!(send(), "401 dpop_replayed");
    }
}
