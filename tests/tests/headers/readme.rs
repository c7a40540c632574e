//! The answer that the README shows is the one that Envoy gives.

use std::collections::BTreeMap;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::pages;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::Request;

use super::everywhere::TIMEOUT;

/// The text between a line and the next fence.
fn block<'p>(page: &'p str, after: &str) -> &'p str {
    let (_, rest) = page.split_once(after).expect("the README has it");
    rest.split_once("\n```").expect("and it ends").0
}

#[test]
fn the_readme_shows_what_is_answered() {
    let page = pages::read("README.md");
    let document = block(&page, "A configuration:\n\n```json\n");
    let shown = block(&page, "$ curl -i http://127.0.0.1:10000/orders\n");
    let (head, body) = shown.split_once("\n\n").expect("there is a body");
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("HTTP/1.1 401 Unauthorized"));
    let field = |line: &str| {
        let (name, value) = line.split_once(": ").expect("a field");
        (name.to_owned(), value.to_owned())
    };
    let mut shown: BTreeMap<String, String> = lines.map(field).collect();

    let upstream = Upstream::start().unwrap();
    let filter = wasm_filter(
        "guarded",
        &module_path(),
        string_value(document),
        WasmOptions::default(),
    );
    let listeners = [listener(
        "guarded",
        vec![filter],
        ListenerOptions::default(),
    )];
    let bootstrap = bootstrap(Vec::new(), vec![cluster("upstream", upstream.addr())]);
    let envoy = Envoy::start_with_lds(bootstrap, &listeners, &Options::reused()).unwrap();
    let request = Request {
        method: b"GET".to_vec(),
        path: b"/orders".to_vec(),
        authority: b"127.0.0.1:10000".to_vec(),
        ..Request::default()
    };
    let addr = envoy.listener_addr("guarded").unwrap();
    let answer = client::send(addr, &request, TIMEOUT).unwrap();
    assert_eq!(answer.status, 401);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let fields = answer.headers.iter();
    let mut real: BTreeMap<String, String> = fields
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    // The time, and the id of the request.
    for fields in [&mut shown, &mut real] {
        assert!(fields.remove("date").is_some(), "{fields:?}");
    }
    assert_eq!(shown, real);
    let without_id = |body: &str| {
        let (before, id) = body.split_once("\"instance\":\"").expect("an instance");
        (before.to_owned(), id.len())
    };
    assert_eq!(without_id(body), without_id(&text(&answer.body)));
}
