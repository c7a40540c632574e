//! Pages of the public network that ask a service in a private one.

use serde_json::{Value, json};

use super::stage::{APP, Network, SERVICE, Stage};

fn document() -> Value {
    let route = |name: &str, allow: bool| {
        json!({
            "name": name, "match": { "path": { "prefix": format!("/{name}") } }, "open": true,
            "cors": {
                "allow_origins": [{ "exact": APP }], "allow_methods": ["PUT"],
                "allow_private_network_access": allow,
            },
        })
    };
    json!({ "version": 1, "routes": [route("private", false), route("opened", true)] })
}

/// Releases of Chromium name the permission differently.
const PERMISSIONS: [&str; 3] = ["local-network-access", "local-network", "loopback-network"];

#[test]
fn the_user_is_asked_and_the_service_is_not() {
    let Some(stage) = Stage::set(
        "browser: private networks",
        document(),
        Network::PagesArePublic,
    ) else {
        return;
    };
    let decide = |state: &str| {
        let known = PERMISSIONS.map(|name| stage.browser.permit(name, state).is_ok());
        assert!(
            known.contains(&true),
            "no permission has a name that is known here"
        );
    };
    let version = stage.browser.version();
    let put = json!({ "method": "PUT" });
    stage.visit(APP);
    decide("denied");
    for path in ["/private/denied", "/opened/denied"] {
        let got = stage.fetch(&format!("{SERVICE}{path}"), put.clone());
        assert!(got.is_hidden(), "Chromium {version}, {path}: {got:?}");
        assert_eq!(stage.seen(path, 0), [], "Chromium {version}, {path}");
    }
    // The preflight that comes then is one like any other: the permission has taken the place of
    // the question that `allow_private_network_access` answers.
    decide("granted");
    for path in ["/private/granted", "/opened/granted"] {
        let got = stage.fetch(&format!("{SERVICE}{path}"), put.clone());
        assert_eq!(
            got.status(),
            Some(200),
            "Chromium {version}, {path}: {got:?}"
        );
        let seen = stage.seen(path, 2);
        assert_eq!(seen[0].details, "portcullis.preflight.granted", "{path}");
        assert_eq!(
            seen[0].private_network, "-",
            "Chromium {version} asks again"
        );
    }
}
