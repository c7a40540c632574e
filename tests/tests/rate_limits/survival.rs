//! What counts outlive: new code of the module, a VM that ends in a trap, and what they do not.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{Envoy, Options, Update, bootstrap, cluster};
use portcullis_tests::module_path;
use portcullis_tests::patience::{self, wait_until};
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::Request;
use serde_json::{Value, json};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

use super::exactness::{assert_never_more, limits, load};
use super::{Proxy, limited, limited_by};

const PATIENCE: Duration = Duration::from_secs(60);

/// Three requests, and then none for weeks.
fn three() -> Value {
    json!([{
        "name": "three",
        "key": ["client_address"],
        "token_bucket": { "max_tokens": 3, "fill_interval": "1000h" },
    }])
}

/// The module with a section that says nothing: to Envoy it is other code.
fn rebuilt(directory: &Path) -> PathBuf {
    let mut module = fs::read(module_path()).unwrap();
    // A custom section: its number, its length, the length of its name, its name.
    module.extend_from_slice(b"\x00\x05\x04rele");
    let path = directory.join("rebuilt.wasm");
    fs::write(&path, module).unwrap();
    path
}

/// The module with a trap in place of what it does when a request's trailers come.
pub(crate) fn trapping(directory: &Path) -> PathBuf {
    let mut module = fs::read(module_path()).unwrap();
    let (mut imported, mut wanted, mut defined) = (0, None, 0);
    let mut body = None;
    for payload in Parser::new(0).parse_all(&module) {
        match payload.unwrap() {
            Payload::ImportSection(imports) => {
                let functions = imports
                    .into_iter()
                    .filter(|import| matches!(import.as_ref().unwrap().ty, TypeRef::Func(_)));
                imported = u32::try_from(functions.count()).unwrap();
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export.unwrap();
                    if export.name == "proxy_on_request_trailers" {
                        assert_eq!(export.kind, ExternalKind::Func);
                        wanted = export.index.checked_sub(imported);
                    }
                }
            }
            Payload::CodeSectionEntry(entry) => {
                if wanted == Some(defined) {
                    body = Some(entry.range());
                }
                defined += 1;
            }
            _ => {}
        }
    }
    let body = &mut module[body.expect("the module has the callback")];
    // No locals, `unreachable`, and as many `nop` as keep the length.
    body.fill(0x01);
    let last = body.len() - 1;
    (body[0], body[1], body[last]) = (0x00, 0x00, 0x0b);
    let path = directory.join("trapping.wasm");
    fs::write(&path, module).unwrap();
    path
}

pub(crate) fn request(trailers: &[(&str, &str)]) -> Request {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let trailers: Vec<_> = trailers
        .iter()
        .map(|(name, value)| (bytes(name), bytes(value)))
        .collect();
    Request {
        method: bytes(if trailers.is_empty() { "GET" } else { "POST" }),
        path: bytes("/"),
        authority: bytes("a"),
        body: (!trailers.is_empty()).then(|| vec![bytes("x")]),
        trailers,
        ..Request::default()
    }
}

fn get(addr: SocketAddr) -> u16 {
    client::send(addr, &request(&[]), PATIENCE).unwrap().status
}

fn use_up(addr: SocketAddr) {
    let statuses = [(); 4].map(|()| get(addr));
    assert_eq!(statuses, [200, 200, 200, 429]);
}

#[test]
fn new_code_under_load_gives_nothing_away() {
    let limits = limits(&json!([]));
    let proxy = Proxy::start_alone(2, &limits);
    let other = rebuilt(proxy.envoy.directory());
    let direct = json!({ "route": null, "direct_response": { "status": 200 } });
    let batches = load(&proxy, |proxy| {
        for module in [&other, &module_path()] {
            let listener = limited_by(module, &limits, direct.clone());
            let update = proxy.envoy.update_listeners(&[listener]);
            assert!(matches!(update, Ok(Update::Accepted)), "{update:?}");
        }
    });
    assert_never_more(&batches);
    let other: u64 = batches.iter().map(|batch| batch.other).sum();
    assert_eq!(other, 0, "something else was answered");
}

#[test]
fn counts_outlive_a_vm() {
    let upstream = Upstream::start().unwrap();
    let clusters = vec![cluster("upstream", upstream.addr())];
    let listener = |module: &Path| limited_by(module, &three(), json!({}));
    let options = Options {
        concurrency: 1,
        ..Options::default()
    };
    let proxy = Proxy::start_with(&options, clusters, &listener(&module_path()));
    assert_eq!(get(proxy.addr), 200);
    let module = trapping(proxy.envoy.directory());
    let update = proxy.envoy.update_listeners(&[listener(&module)]);
    assert!(matches!(update, Ok(Update::Accepted)), "{update:?}");
    let addr = proxy.envoy.listener_addr("limits").unwrap();
    assert_eq!(get(addr), 200);
    // The third is counted; then the VM traps.
    let third = client::send(addr, &request(&[("x", "y")]), PATIENCE);
    assert_eq!(third.unwrap().status, 503);
    let status = patience::find(|| Some(get(addr)).filter(|status| *status != 503));
    assert_eq!(status, Some(429));
    assert!(proxy.envoy.stat("wasm.limits.vm_reload_success").unwrap() > 0);
}

/// Envoy drops what is shared with the last VM of that `vm_id`.
#[test]
fn counts_go_with_the_last_listener() {
    let options = Options {
        concurrency: 1,
        drain_time: Some(Duration::from_secs(1)),
        ..Options::default()
    };
    let listeners = [limited(&three())];
    let bootstrap = bootstrap(Vec::new(), Vec::new());
    let envoy = Envoy::start_with_lds(bootstrap, &listeners, &options).unwrap();
    use_up(envoy.listener_addr("limits").unwrap());
    assert_eq!(envoy.update_listeners(&[]).unwrap(), Update::Accepted);
    wait_until("the listener is gone", || {
        envoy.stat("wasm.envoy.wasm.runtime.v8.active").unwrap() == 0
    });
    assert_eq!(
        envoy.update_listeners(&listeners).unwrap(),
        Update::Accepted
    );
    use_up(envoy.listener_addr("limits").unwrap());
}
