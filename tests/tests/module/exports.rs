//! What `envoy/finish.rs` makes of a linked module: by which names a proxy finds its functions, and which there are.

#[path = "../../../envoy/finish.rs"]
mod finish;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use portcullis_tests::module_path;
use wasmi::{Engine, Linker, Module, Store};
use wasmparser::{ExternalKind, KnownCustom, Name, Parser, Payload};

/// Every function that a proxy looks for and finds, and the one that it starts with.
const CALLED: [&str; 16] = [
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_done",
    "proxy_on_http_call_response",
    "proxy_on_log",
    "proxy_on_memory_allocate",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_body",
    "proxy_on_response_headers",
    "proxy_on_response_trailers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];

/// The exported functions by name.
fn exported(wasm: &[u8]) -> BTreeMap<String, u32> {
    let mut functions = BTreeMap::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ExportSection(exports) = payload.expect("it is a module") {
            for export in exports {
                let export = export.expect("it is a module");
                if export.kind == ExternalKind::Func {
                    let before = functions.insert(export.name.to_owned(), export.index);
                    assert_eq!(before, None, "{}", export.name);
                }
            }
        }
    }
    functions
}

/// The names of the functions by their numbers, where the module has them.
fn names(wasm: &[u8]) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::CustomSection(custom) = payload.expect("it is a module") else {
            continue;
        };
        let KnownCustom::Name(parts) = custom.as_known() else {
            continue;
        };
        for part in parts {
            if let Name::Function(functions) = part.expect("they are names") {
                for function in functions {
                    let function = function.expect("it is a name");
                    names.insert(function.index, function.name.to_owned());
                }
            }
        }
    }
    names
}

#[test]
fn a_proxy_finds_what_it_calls_and_nothing_of_the_sdk_s_for_requests() {
    let wasm = fs::read(module_path()).expect("the module is built: make build");
    let functions = exported(&wasm);
    let names: BTreeSet<&str> = functions.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(CALLED));
}

#[test]
fn what_has_its_names_already_stays_as_it_is() {
    let wasm = fs::read(module_path()).expect("the module is built: make build");
    assert!(finish::finished(&wasm).unwrap() == wasm);
}

#[test]
fn own_functions_take_names_and_what_nothing_leads_to_or_is_there_twice_is_gone() {
    // What is called most comes first, of its like the first, and what it calls is still called.
    let text = r#"(module
        (import "env" "host" (func $host (param i32) (result i32)))
        (memory (export "memory") 1)
        (table 2 funcref)
        (elem (i32.const 0) $in_table $like_in_table)
        (func $sdk_log (export "proxy_on_log") (param i32) (result i32) (call $sdk_only))
        (func $sdk_delete (export "proxy_on_delete") (param i32))
        (func $own_log (export "portcullis_on_log") (param i32) (result i32)
            (i32.add (call $outer (local.get 0)) (call $like_outer (local.get 0))))
        (func $sdk_only (result i32) (call $host (i32.const 1)))
        (func $outer (param i32) (result i32) (call $inner (local.get 0)))
        (func $like_outer (param i32) (result i32) (call $like_inner (local.get 0)))
        (func $inner (param i32) (result i32)
            (block (br_table 0 0 (local.get 0)))
            (i32.add (i32.mul (local.get 0) (i32.const 5)) (call_indirect (result i32) (i32.const 1))))
        (func $like_inner (param i32) (result i32)
            (block (br_table 0 0 (local.get 0)))
            (i32.add (i32.mul (local.get 0) (i32.const 5)) (call_indirect (result i32) (i32.const 1))))
        (func $in_table (result i32)
            (drop (f64.const 1)) (drop (i64.const -1)) (memory.copy (i32.const 0) (i32.const 0) (i32.const 0))
            (i32.const 3))
        (func $like_in_table (result i32)
            (drop (f64.const 1)) (drop (i64.const -1)) (memory.copy (i32.const 0) (i32.const 0) (i32.const 0))
            (i32.const 3))
        (func $long (export "proxy_on_tick") (result i32) (i64.store (i32.const 8) (i64.const 3)) (i32.const 3))
    )"#;
    let linked = wat::parse_str(text).unwrap();
    let finished = finish::finished(&linked).unwrap();
    wasmparser::validate(&finished).unwrap();
    let expected = BTreeMap::from([
        (0, "host".to_owned()),
        (1, "outer".to_owned()),
        (2, "inner".to_owned()),
        (3, "own_log".to_owned()),
        (4, "in_table".to_owned()),
        (5, "long".to_owned()),
    ]);
    assert_eq!(names(&finished), expected);
    let expected = BTreeMap::from([
        ("proxy_on_log".to_owned(), 3),
        ("proxy_on_tick".to_owned(), 5),
    ]);
    assert_eq!(exported(&finished), expected);
    assert_eq!(finish::finished(&finished), Some(finished.clone()));
    let engine = Engine::default();
    let mut results = Vec::new();
    for (wasm, name) in [(linked, "portcullis_on_log"), (finished, "proxy_on_log")] {
        let module = Module::new(&engine, &wasm).unwrap();
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        linker.func_wrap("env", "host", |n: i32| n).unwrap();
        let instance = linker.instantiate_and_start(&mut store, &module).unwrap();
        let log = instance.get_typed_func::<i32, i32>(&store, name).unwrap();
        results.push([0, 1, -7].map(|n| log.call(&mut store, n).unwrap()));
    }
    assert_eq!(results, [[6, 16, -64]; 2]);
}

#[test]
fn what_is_no_module_of_the_linker_s_is_not_touched() {
    let foreign = wat::parse_str(r#"(module (import "env" "memory" (memory 1)))"#).unwrap();
    let vectors = wat::parse_str("(module (func (export \"f\") (drop (v128.const i64x2 0 0))))");
    for module in [b"no module".to_vec(), foreign, vectors.unwrap()] {
        assert_eq!(finish::finished(&module), None);
    }
    let plain = wat::parse_str(r#"(module (func (export "proxy_on_delete") (param i32)))"#);
    let plain = plain.unwrap();
    assert_eq!(finish::finished(&plain), Some(plain.clone()));
}
