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

/// What names a function by its number in a place that is not changed would name another one afterwards.
#[test]
fn functions_are_named_in_known_places_alone() {
    let refused = [
        r#"(module (func $f) (global funcref (ref.func $f)) (func (export "portcullis_on_log")))"#,
        r#"(module (func $f) (elem declare func $f) (func (export "g") (drop (ref.func $f))))"#,
        r#"(module (func $f) (table 1 funcref) (elem (i32.const 0) funcref (ref.func $f)))"#,
        r#"(module (func $f) (table 1 funcref) (elem funcref (ref.null func)))"#,
        r#"(module (type $t (func)) (func (export "g") (local (ref null $t))))"#,
        r#"(module (type $t (func)) (func (export "g") (drop (block (result (ref null $t)) (ref.null $t)))))"#,
        r#"(module (memory 1) (memory $m 1) (func (export "g") (drop (i32.load $m (i32.const 0)))))"#,
    ];
    for text in refused {
        let module = wat::parse_str(text).unwrap();
        assert_eq!(finish::finished(&module), None, "{text}");
    }
}

#[test]
fn what_a_module_has_besides_stays() {
    // A start function, functions as values, a table that changes, memory that is set up in parts.
    let text = r#"(module
        (memory (export "memory") 1)
        (global $runs (export "runs") (mut i32) (i32.const 0))
        (global i64 (i64.const -9223372036854775808))
        (global f32 (f32.const 1.5))
        (global f64 (f64.const -1.5))
        (table (export "table") 4 funcref)
        (elem (i32.const 0) $one $two $also_one)
        (data $part "\2a\00\00\00")
        (func $unused (result i32) (i32.const 9))
        (func $also_one (result i32) (i32.const 1))
        (func $two (result i32) (i32.const 2))
        (func $one (result i32) (i32.const 1))
        (func $first
            (global.set $runs (i32.add (global.get $runs) (i32.const 1)))
            (memory.init $part (i32.const 8) (i32.const 0) (i32.const 4))
            (data.drop $part))
        (start $first)
        (func (export "portcullis_on_log") (param i32) (result i32)
            (table.set (i32.const 3) (ref.func $two))
            (if (ref.is_null (select (result funcref) (ref.null func) (ref.func $one) (i32.const 0)))
                (then (unreachable)))
            (i32.add (i32.load (i32.const 8)) (call_indirect (result i32) (local.get 0))))
    )"#;
    let linked = wat::parse_str(text).unwrap();
    let finished = finish::finished(&linked).unwrap();
    wasmparser::validate(&finished).unwrap();
    assert!(finished.len() < linked.len());
    assert_eq!(finish::finished(&linked), Some(finished.clone()));
    assert_eq!(finish::finished(&finished), Some(finished.clone()));
    let engine = Engine::default();
    for (wasm, name) in [(linked, "portcullis_on_log"), (finished, "proxy_on_log")] {
        let module = Module::new(&engine, &wasm).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine)
            .instantiate_and_start(&mut store, &module)
            .unwrap();
        let runs = instance.get_global(&store, "runs").unwrap();
        assert_eq!(runs.get(&store).i32(), Some(1));
        let log = instance.get_typed_func::<i32, i32>(&store, name).unwrap();
        let results = [0, 1, 2, 3].map(|place| log.call(&mut store, place).unwrap());
        assert_eq!(results, [43, 44, 43, 44]);
        let table = instance.get_table(&store, "table").unwrap();
        assert_eq!(table.size(&store), 4);
    }
}

/// Of a part of a module comes nothing that a proxy would load; whatever else is wrong ends nowhere but there.
#[test]
fn malformed_modules_are_refused_or_stay_malformed() {
    let text = r#"(module
        (import "env" "host" (func $host (param i32)))
        (memory 1) (table 1 funcref) (elem (i32.const 0) $f) (global (mut i32) (i32.const 7))
        (func $sdk (export "proxy_on_log") (param i32) (call $host (local.get 0)))
        (func $f (param i32) (block (br_if 0 (local.get 0))) (call $g (local.get 0)))
        (func $g (param i32) (local i64 f32) (i32.store (i32.const 4) (local.get 0)))
        (func (export "portcullis_on_log") (param i32) (call $f (local.get 0)))
    )"#;
    let module = wat::parse_str(text).unwrap();
    let is_valid = |wasm: &[u8]| wasmparser::validate(wasm).is_ok();
    assert!(is_valid(&finish::finished(&module).unwrap()));
    for length in 9..module.len() {
        let finished = finish::finished(&module[..length]);
        let is_module = finished.is_some_and(|finished| is_valid(&finished));
        assert!(!is_module || is_valid(&module[..length]), "{length} bytes");
    }
    for place in 0..module.len() {
        for value in 0..=u8::MAX {
            let mut changed = module.clone();
            changed[place] = value;
            let finished = finish::finished(&changed);
            if let Some(finished) = finished.filter(|finished| is_valid(finished)) {
                let again = finish::finished(&finished);
                assert!(again == Some(finished), "byte {place} is {value:#x}");
            }
        }
    }
}
