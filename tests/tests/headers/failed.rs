//! The answer in place of a module that has failed: what stands for it here traps at the first request,
//! which the filter itself never does.

use std::fs;
use std::path::PathBuf;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, FailPolicy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener,
    string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

use super::everywhere::{TIMEOUT, header, policy};

const TRAPS: &str = r#"(module
  (memory (export "memory") 2)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) unreachable))"#;

/// The module's file, removed with this.
struct Failing(PathBuf);

impl Failing {
    fn write() -> Self {
        let wasm = wat::parse_str(TRAPS).expect("the text is right");
        let name = format!("portcullis-traps-{}.wasm", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, wasm).expect("a temporary file can be written");
        Self(path)
    }

    fn filter(&self, name: &str, fail_policy: FailPolicy) -> Value {
        let options = WasmOptions {
            vm_id: name.into(),
            fail_policy,
            ..WasmOptions::default()
        };
        wasm_filter(name, &self.0, Value::Null, options)
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn the_answer_of_a_failed_module_has_what_another_filter_in_front_of_it_adds() {
    let failing = Failing::write();
    let upstream = Upstream::start().unwrap();
    let ours = || {
        let configuration = string_value(&policy().to_string());
        wasm_filter(
            "guarded",
            &module_path(),
            configuration,
            WasmOptions::default(),
        )
    };
    let alone = |name: &str, fail_policy| {
        let filters = vec![failing.filter(name, fail_policy)];
        listener(name, filters, ListenerOptions::default())
    };
    let behind = vec![ours(), failing.filter("behind", FailPolicy::Closed)];
    // In place of the service's answer there is the proxy's, and that is what goes out.
    let told = ListenerOptions {
        http_connection_manager: json!({ "local_reply_config": { "mappers": [{
            "filter": { "status_code_filter": { "comparison": {
                "op": "EQ", "value": { "default_value": 503, "runtime_key": "none" },
            } } },
            "headers_to_add": [{ "header": { "key": "x-frame-options", "value": "deny" } }],
        }] } }),
        ..ListenerOptions::default()
    };
    let helped = vec![failing.filter("helped", FailPolicy::Closed)];
    let listeners = vec![
        alone("closed", FailPolicy::Closed),
        alone("reload", FailPolicy::Reload),
        alone("open", FailPolicy::Open),
        listener("behind", behind, ListenerOptions::default()),
        listener("helped", helped, told),
    ];
    let clusters = vec![cluster("upstream", upstream.addr())];
    // One worker, so that the second request meets the VM that the first has ended.
    let options = Options {
        concurrency: 1,
        ..Options::default()
    };
    let envoy = Envoy::start(bootstrap(listeners, clusters), &options).unwrap();
    for (name, statuses, field) in [
        ("closed", [503, 503], None),
        ("reload", [503, 503], None),
        // The request that trapped is refused all the same; those after it pass unguarded.
        ("open", [503, 200], None),
        ("behind", [503, 503], Some("deny")),
        ("helped", [503, 503], Some("deny")),
    ] {
        for status in statuses {
            let request = Request {
                method: b"GET".into(),
                path: b"/".into(),
                authority: b"api.example.com".into(),
                ..Request::default()
            };
            let addr = envoy.listener_addr(name).unwrap();
            let got = client::send(addr, &request, TIMEOUT).unwrap();
            assert_eq!(got.status, status, "{name}: {got:?}");
            assert_eq!(header(&got, "x-frame-options"), field, "{name}: {got:?}");
        }
    }
}
