//! What a document really takes of memory, against what was estimated while it was compiled.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;

use portcullis::config::{MAX_COMPILED, bound};
use portcullis::engine::Engine;
use portcullis_tests::tokens::SigningKey;
use serde_json::{Value, json};

/// Adds up what each thread has.
struct Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

fn changed(more: usize, less: usize) {
    let _ = LIVE.try_with(|live| {
        live.set(live.get().wrapping_add(more).wrapping_sub(less));
        let _ = MOST.try_with(|most| most.set(most.get().max(live.get())));
    });
}

// SAFETY: all is done by the system's allocator; adding up asks for no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        changed(layout.size(), 0);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        changed(size, layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        changed(0, layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What of a document is kept, and what it takes while it is compiled. The estimate, if it loads.
fn measure(document: &[u8]) -> (usize, usize, Option<usize>) {
    let before = LIVE.get();
    MOST.set(before);
    let engine = Engine::compile(document).map(Engine::with_plans);
    let most = MOST.get().saturating_sub(before);
    let estimated = engine.as_ref().ok().map(Engine::compiled_bytes);
    let kept = LIVE.get().saturating_sub(before);
    (kept, most, estimated)
}

fn check(name: &str, document: &Value) {
    let document = document.to_string();
    let (kept, most, estimated) = measure(document.as_bytes());
    if estimated.is_none() && name != "too many" && !name.starts_with('/') {
        panic!(
            "{name}: {:?}",
            Engine::compile(document.as_bytes())
                .unwrap_err()
                .problems
                .first()
        );
    }
    if let Some(estimated) = estimated {
        println!("{name}: kept {kept} of {estimated}");
        assert!(
            kept <= estimated,
            "{name}: {kept} bytes, estimated {estimated}"
        );
        assert!(estimated <= MAX_COMPILED, "{name}: {estimated}");
    }
    let bound = bound(document.as_bytes());
    assert!(
        most <= bound,
        "{name}: {most} bytes at a time, bound {bound}"
    );
    println!(
        "{name}: {} bytes, kept {kept}, estimated {estimated:?}, most {most}, bound {bound}",
        document.len()
    );
}

fn with(name: &str, section: Value) -> Value {
    let mut document = json!({
        "version": 1,
        "routes": [{"name": "a", "match": {}, "open": true}],
    });
    if name == "schemas" {
        // What no route names is not kept.
        let names: Vec<&String> = section.as_object().unwrap().keys().collect();
        document["routes"][0]["payload"] = json!({"max_bytes": "1MiB", "json_schema": names[0]});
    }
    document[name] = section;
    document
}

fn many<T>(count: usize, each: impl Fn(usize) -> T) -> Vec<T> {
    (0..count).map(each).collect()
}

fn named(count: usize, each: impl Fn(usize) -> Value) -> Value {
    many(count, |n| (format!("k{n}"), each(n)))
        .into_iter()
        .collect()
}

fn route(n: usize) -> Value {
    json!({"name": format!("r{n}"), "match": {"path": {"prefix": format!("/a{n}")}}, "open": true})
}

#[test]
fn large_documents_take_no_more_than_was_estimated() {
    let pattern = |n| json!({"type": "string", "pattern": format!(r"^[\p{{L}}\p{{N}}_ ,.-]{{1,66}}$|x1-{n}")});
    let people = |_| {
        json!({"type": "object", "required": ["a"], "properties": named(45, |_| {
            json!({"type": "string", "maxLength": 100, "description": "x"})
        })})
    };
    let alternatives = |count| json!({"s": {"allOf": many(count, |_| json!({"type": "null"}))}});
    let references = named(15_000, |n| match n {
        0 => json!({"type": "null"}),
        n => json!({"$ref": format!("#/$defs/k{}", n - 1)}),
    });
    let deep = |_| json!({"items": {"items": {"not": {"const": {"a": [1, 2.5, "x"]}}}}});
    let header = |n| json!({"name": format!("x-{n}"), "regex": format!("[a-z]{{1,50}}{n}")});
    let parameter =
        |n| json!({"name": format!("p{n}"), "schema": {"type": "string", "maxLength": 5}});
    let inputs = json!({"query": many(1500, parameter)});
    for (name, document) in [
        ("schemas", with("schemas", named(300, people))),
        ("patterns", with("schemas", named(150, pattern))),
        ("allOf", with("schemas", alternatives(15_000))),
        ("too many", with("schemas", alternatives(49_000))),
        (
            "true",
            with("schemas", json!({"s": {"anyOf": many(15_000, |_| true)}})),
        ),
        (
            "$ref",
            with(
                "schemas",
                json!({"s": {"$defs": references, "type": "null"}}),
            ),
        ),
        ("deep", with("schemas", named(3000, deep))),
        (
            "enum",
            with("schemas", json!({"s": {"enum": many(90_000, |n| n)}})),
        ),
        (
            "enum of texts",
            with(
                "schemas",
                json!({"s": {"enum": many(90_000, |n| n.to_string())}}),
            ),
        ),
        (
            "required",
            with(
                "schemas",
                json!({"s": {"required": many(90_000, |n| format!("k{n}"))}}),
            ),
        ),
        (
            "annotations",
            with("schemas", json!({"s": {"examples": many(90_000, |n| n)}})),
        ),
        ("routes", with("routes", json!(many(3000, route)))),
        (
            "headers",
            with(
                "routes",
                json!([{"name": "a", "open": true, "match": {"headers": many(500, header)}}]),
            ),
        ),
        (
            "parameters",
            with(
                "routes",
                json!([{"name": "a", "open": true, "match": {}, "parameters": inputs}]),
            ),
        ),
        ("plans", plans()),
    ] {
        check(name, &document);
    }
    let api = fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/vectors/openapi-adyen/LegalEntityService-v4.json"
    ));
    let mut document = with(
        "apis",
        json!({"a": serde_json::from_slice::<Value>(&api.unwrap()).unwrap()}),
    );
    document["routes"][0]["openapi"] =
        json!({"api": "a", "max_bytes": "1MiB", "responses": {"mode": "enforce"}});
    check("openapi", &document);
}

/// Routes that say little and whose plans have all that plans can have.
fn plans() -> Value {
    let keys = json!({"keys": [SigningKey::named("p256").jwk()]});
    let mut document = with(
        "routes",
        json!(many(
            2000,
            |n| json!({"name": format!("r{n}"), "match": {}})
        )),
    );
    document["providers"] = json!({"corp": {
        "issuer": "https://corp.example", "audiences": ["api"], "jwks": {"inline": keys},
    }});
    document["defaults"] = json!({
        "jwt": {"provider": "corp"},
        "security_headers": {"preset": "web"},
        "csrf": {},
        "cors": {"allow_origins": [{"exact": "https://app.example.com"}]},
        "rate_limits": [{
            "name": "all", "key": [], "headers": "both",
            "token_bucket": {"max_tokens": 1000, "tokens_per_fill": 1000, "fill_interval": "1s"},
        }],
    });
    document
}

#[test]
fn the_documents_of_the_cases_take_no_more_than_was_estimated() {
    fn visit(folder: &Path, found: &mut usize) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "json") {
                let case: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
                if let Some(document) = case.get("policy").filter(|each| each.is_object()) {
                    *found += 1;
                    check(&path.display().to_string(), document);
                }
            }
        }
    }
    let mut found = 0;
    visit(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/cases")),
        &mut found,
    );
    assert!(found > 30, "{found}");
}
