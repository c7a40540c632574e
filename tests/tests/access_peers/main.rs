//! Rules beside Envoy's own RBAC filter: the same requests go through both, with the same policy in the language
//! of each, and what one lets pass the other lets pass; but for the differences, each of which is written down.

mod certificates;
mod claims;
mod differences;
mod examples;
mod proxy;

use std::path::PathBuf;

use serde_json::{Value, json};

use proxy::{Over, Proxy};

/// One policy in both languages, and requests.
struct Example {
    name: &'static str,
    /// A `RBAC` message.
    native: Value,
    /// An `access` block.
    ours: Value,
    asks: Vec<Ask>,
}

/// A request, and whether it passes.
struct Ask {
    method: &'static str,
    path: &'static str,
    /// What stands before the example's own host name.
    host: &'static str,
    after_host: &'static str,
    headers: Vec<(&'static str, String)>,
    over: Over,
    native: bool,
    ours: bool,
}

fn get(path: &'static str) -> Ask {
    Ask {
        method: "GET",
        path,
        host: "",
        after_host: "",
        headers: Vec::new(),
        over: Over::Cleartext,
        native: true,
        ours: true,
    }
}

impl Ask {
    fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    fn host(mut self, before: &'static str, after: &'static str) -> Self {
        (self.host, self.after_host) = (before, after);
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The client's address, as a proxy in front says it.
    fn from(self, address: &str) -> Self {
        self.header("x-forwarded-for", address)
    }

    fn bearer(self, claims: Value) -> Self {
        let token = proxy::token(claims);
        self.header("authorization", &format!("Bearer {token}"))
    }

    fn over(mut self, over: Over) -> Self {
        self.over = over;
        self
    }

    fn denied(self) -> Self {
        self.differs(false, false)
    }

    fn differs(mut self, native: bool, ours: bool) -> Self {
        (self.native, self.ours) = (native, ours);
        self
    }
}

/// Rules that allow, or with `DENY` refuse, by name.
fn rbac(action: &str, policies: Value) -> Value {
    json!({ "rules": { "action": action, "policies": policies } })
}

/// One of these permissions for one of these principals.
fn policy(permissions: Value, principals: Value) -> Value {
    json!({ "permissions": permissions, "principals": principals })
}

/// These permissions for everybody.
fn anybody(permissions: Value) -> Value {
    policy(permissions, json!([{ "any": true }]))
}

/// All requests of these principals.
fn anything(principals: Value) -> Value {
    policy(json!([{ "any": true }]), principals)
}

fn header(name: &str, test: Value) -> Value {
    json!({ "header": { "name": name, "string_match": test } })
}

fn url_path(test: Value) -> Value {
    json!({ "url_path": { "path": test } })
}

/// A claim that `jwt_authn` has left in the metadata.
fn claim(path: &[&str], value: Value) -> Value {
    let keys = ["payload"].iter().chain(path);
    let keys: Vec<Value> = keys.map(|key| json!({ "key": key })).collect();
    json!({ "metadata": { "filter": "envoy.filters.http.jwt_authn", "path": keys, "value": value } })
}

/// What is not as it is written.
fn mistakes(proxy: &Proxy, examples: &[Example]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for example in examples {
        for ask in &example.asks {
            let [native, ours] = proxy.verdicts(example, ask);
            if (native, ours) != (ask.native, ask.ours) {
                mistakes.push(format!(
                    "{}: {} {} {:?} {:?}: native {native}, ours {ours}",
                    example.name, ask.method, ask.path, ask.headers, ask.over
                ));
            }
        }
    }
    mistakes
}

/// All that a set of examples says, on an Envoy of the given kind.
fn assert_all(binary: Option<PathBuf>, examples: &[Example]) {
    let mistakes = mistakes(&Proxy::start(binary, examples), examples);
    assert!(mistakes.is_empty(), "\n{}\n", mistakes.join("\n"));
}

/// The examples on which both agree.
fn alike() -> Vec<Example> {
    let mut examples = examples::all();
    examples.extend(claims::all());
    examples
}

/// The examples on which both agree, and the ones on which they do not.
fn without_certificates(is_oldest: bool) -> Vec<Example> {
    let mut examples = alike();
    examples.extend(differences::all(is_oldest));
    examples
}

#[test]
fn rules_decide_as_rbac_does_but_for_what_is_written_down() {
    let mut examples = without_certificates(false);
    examples.extend(certificates::all());
    assert_all(None, &examples);
}

#[test]
fn beside_rbac_of_the_oldest_envoy_too() {
    let oldest = std::env::var_os("ENVOY_1_36").map(PathBuf::from);
    assert!(
        oldest.is_some(),
        "ENVOY_1_36 names the binary of Envoy 1.36; `make test` sets it"
    );
    assert_all(oldest, &without_certificates(true));
}

#[test]
fn what_differs_stands_among_the_differences() {
    for example in alike() {
        let agrees = example.asks.iter().all(|ask| ask.native == ask.ours);
        assert!(agrees, "{} is a difference", example.name);
    }
    for example in differences::all(true) {
        let differs = example.asks.iter().any(|ask| ask.native != ask.ours);
        assert!(differs, "{} is no difference", example.name);
    }
}
