//! Plans: what they come to is what asking every policy comes to.

use std::rc::Rc;
use std::time::Duration;

use portcullis::budget::{Share, used};
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::host::Failure;
use portcullis::memory_host::MemoryHost;
use portcullis::meter::Event;
use portcullis::stream::Stream;
use portcullis_tests::believing::{NOW, believing, good_request, whole_document};
use portcullis_tests::both::{Both, counted, left, request_headers};
use portcullis_tests::tokens;
use serde_json::{Value, json};

fn both(document: &Value) -> Both {
    let both = Both::new(document.to_string().as_bytes(), believing);
    both.unwrap_or_else(|error| panic!("{error}"))
}

fn answer() -> Headers {
    let mut headers = Headers::default();
    headers.push(b":status", b"200");
    headers.push(b"content-type", b"application/json");
    headers
}

/// How many of so many equal requests are judged by a plan.
fn planned(document: &Value, request: &Headers, many: u64) -> u64 {
    let both = both(document);
    for _ in 0..many {
        both.exchange(request, BodyState::Complete, &answer());
        both.advance(Duration::from_millis(1));
    }
    both.planned.0.planned()
}

#[test]
fn the_whole_chain_is_judged_by_its_plan_once_the_token_is_known() {
    let request = good_request("alice");
    assert_eq!(planned(&whole_document(3), &request, 5), 4);
    let mut document = whole_document(0);
    document["access_log"] = json!("off");
    assert_eq!(planned(&document, &request, 5), 4);
    document["access_log"] = json!({ "schema": "ecs", "attributes": "all", "query": "values" });
    document["metrics"] = json!({ "by_route": true, "timings": true });
    assert_eq!(planned(&document, &request, 5), 4);
}

/// A request with other fields than the good one: with an empty value, without the field.
fn with(changes: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in good_request("alice").iter() {
        let changed = changes.iter().any(|(each, _)| each.as_bytes() == name);
        if !changed {
            headers.push(name, value);
        }
    }
    for (name, value) in changes.iter().filter(|(_, value)| !value.is_empty()) {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    headers
}

#[test]
fn what_the_benchmark_asks_for_is_judged_by_plans() {
    let request = good_request("alice");
    let mut document = whole_document(0);
    for preset in ["api", "web"] {
        document["defaults"]["security_headers"] = json!({ "preset": preset });
        assert_eq!(planned(&document, &request, 3), 2, "{preset}");
    }
    document["defaults"]["security_headers"] =
        json!({ "preset": "web", "action": "if_absent", "set": { "server": "x" } });
    assert_eq!(planned(&document, &request, 3), 2);
    document["defaults"]["sanitize_errors"] = json!({});
    assert_eq!(
        planned(&document, &request, 3),
        2,
        "the answer is shaped by asking"
    );
    let open = |defaults: Value| {
        json!({
            "version": 1, "access_log": { "sinks": ["filter_state"] }, "defaults": defaults,
            "routes": [{ "name": "all", "match": { "path": { "prefix": "/" } }, "open": true }],
        })
    };
    let limit = json!([{ "name": "a", "key": ["client_address"], "headers": "both", "token_bucket": {
        "max_tokens": 9, "tokens_per_fill": 9, "fill_interval": "1s",
    } }]);
    for defaults in [
        json!({}),
        json!({ "rate_limits": limit }),
        json!({ "security_headers": { "preset": "web" } }),
        json!({ "csrf": {} }),
    ] {
        assert_eq!(
            planned(&open(defaults.clone()), &request, 3),
            3,
            "{defaults}"
        );
    }
}

/// Most answers have none of the fields that a plan minds, and get theirs without a look at each. Those that have one
/// get the same as by asking too.
#[test]
fn answers_are_shaped_alike_whatever_fields_they_have() {
    const FIELDS: [&str; 16] = [
        "vary",
        "date",
        "server",
        "x-powered-by",
        "x-frame-options",
        "x-content-type-options",
        "referrer-policy",
        "cache-control",
        "content-security-policy",
        "strict-transport-security",
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-max-age",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "ratelimit-policy",
    ];
    let headers = |preset: Value, limits: &str, credentials: bool| {
        let listed = json!([{ "exact": "https://app.example.com" }]);
        let mut document = whole_document(0);
        document["defaults"]["security_headers"] = preset;
        document["defaults"]["rate_limits"][0]["headers"] = json!(limits);
        document["defaults"]["cors"] =
            json!({ "allow_origins": listed, "allow_credentials": credentials });
        document
    };
    let mut documents = Vec::new();
    for (preset, limits) in [
        (
            json!({ "preset": "api", "remove_revealing": false }),
            "x_ratelimit",
        ),
        (json!({ "preset": "api" }), "x_ratelimit"),
        (json!({ "preset": "web", "action": "if_absent" }), "none"),
        (
            json!({ "preset": "none", "set": { "vary": "a", "x-a": "b" } }),
            "both",
        ),
    ] {
        documents.push(headers(preset, limits, limits == "none"));
    }
    for document in documents {
        let both = both(&document);
        let take = |request: &Headers, answer: &Headers| {
            // Read and unread.
            let mut planned = 0;
            for _ in 0..2 {
                planned += u32::from(both.exchange(request, BodyState::Complete, answer));
            }
            planned
        };
        let requests = [good_request("alice"), with(&[("origin", "")])];
        for request in &requests {
            let mut all = answer();
            // Its token is new.
            take(request, &all);
            assert_eq!(take(request, &all), 2, "{document}");
            for name in FIELDS {
                let mut one = answer();
                one.push(name.as_bytes(), b"the service's");
                assert_eq!(take(request, &one), 2, "{name}");
                all.push(name.as_bytes(), b"the service's");
                assert_eq!(take(request, &all), 2, "{name}");
            }
        }
    }
}

#[test]
fn refusals_that_are_the_same_for_all_are_judged_by_plans() {
    let mut document = whole_document(0);
    assert_eq!(
        planned(&document, &with(&[("authorization", "")]), 3),
        3,
        "no token"
    );
    document["routes"][0]["match"] = json!({ "path": { "prefix": "/orders" }, "methods": ["GET"] });
    assert_eq!(
        planned(&document, &with(&[(":path", "/other")]), 3),
        3,
        "no route"
    );
    assert_eq!(
        planned(&document, &with(&[(":method", "PUT")]), 3),
        0,
        "no such method"
    );
    let limit = &mut document["defaults"]["rate_limits"][0];
    limit["token_bucket"] =
        json!({ "max_tokens": 2, "tokens_per_fill": 1, "fill_interval": "10s" });
    assert_eq!(
        planned(&document, &good_request("alice"), 6),
        5,
        "over the limit"
    );
    let limit = &mut document["defaults"]["rate_limits"][0];
    limit["key"] = json!(["subject"]);
    assert_eq!(
        planned(&document, &good_request("alice"), 6),
        5,
        "over a limit by subject"
    );
    document["defaults"]["error_pages"] = json!({});
    assert_eq!(
        planned(&document, &with(&[("authorization", "")]), 3),
        0,
        "with a page"
    );
}

/// The good request with another token.
fn with_token(key: &str, claims: &Value) -> Headers {
    let mut all = json!({ "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice", "exp": NOW + 60 });
    for (name, value) in claims.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    let token = tokens::mint(&json!({ "key": key, "claims": all }), NOW);
    with(&[("authorization", &format!("Bearer {token}"))])
}

/// How many of these requests are judged by a plan, each after the other, where no signature is believed.
fn planned_without_belief(document: &Value, requests: &[Headers]) -> u64 {
    let host = || {
        let host = MemoryHost::new().at_second(NOW);
        let host = host.with_client("192.0.2.1:40000");
        host.with_variable("HASH_KEY", "a key of hashes")
    };
    let both = Both::new(document.to_string().as_bytes(), host);
    let both = both.unwrap_or_else(|error| panic!("{error}"));
    for request in requests {
        both.exchange(request, BodyState::Complete, &answer());
    }
    both.planned.0.planned()
}

#[test]
fn tokens_that_were_refused_are_refused_by_plans() {
    let logs = [
        json!({ "sinks": ["filter_state"] }),
        json!({ "sinks": ["filter_state"], "claimed": "off" }),
        json!({ "schema": "ecs", "claimed": "hashed", "subject": "hashed", "subject_key": { "env": "HASH_KEY" } }),
        json!("off"),
    ];
    let mut document = whole_document(0);
    document["security_events"] = json!({});
    for log in logs {
        document["access_log"] = log;
        for (request, planned) in [
            (with_token("p256", &json!({ "exp": NOW - 100 })), 3),
            (with_token("p256-other", &json!({})), 3),
            (
                with_token("p256-other", &json!({ "sub": "a\"b", "aud": ["x", "y\n"] })),
                3,
            ),
            (with_token("p256", &json!({ "aud": "others" })), 0),
            (with_token("p256", &json!({ "nbf": NOW + 100 })), 0),
            (with(&[("authorization", "Bearer a.b.c")]), 0),
        ] {
            let requests = vec![request; 4];
            assert_eq!(
                planned_without_belief(&document, &requests),
                planned,
                "{requests:?}"
            );
        }
    }
    document["providers"]["corp"]["jwt_cache"] = json!("off");
    let requests = vec![with_token("p256-other", &json!({})); 4];
    assert_eq!(planned_without_belief(&document, &requests), 0);
}

#[test]
fn a_token_without_the_scope_is_refused_by_plans() {
    let mut document = whole_document(0);
    for scopes in [json!(["read", "write"]), json!({ "any": ["write", "all"] })] {
        document["routes"][0]["jwt"]["require"] =
            json!({ "scopes": scopes, "claims": [{ "claim": "plan", "exact": "gold" }] });
        for (claims, expected) in [
            (json!({ "scope": "write read", "plan": "gold" }), 3),
            (json!({ "scope": "read" }), 3),
            (json!({ "scope": 7, "plan": "gold" }), 3),
            (json!({ "scp": ["a"] }), 3),
            (json!({}), 3),
            (json!({ "scope": "write read", "plan": "silver" }), 0),
        ] {
            let request = with_token("p256", &claims);
            assert_eq!(planned(&document, &request, 4), expected, "{claims}");
        }
    }
}

#[test]
fn a_limit_that_comes_first_is_charged_by_refused_tokens_too() {
    let mut document = whole_document(0);
    let limit = &mut document["defaults"]["rate_limits"][0];
    limit["key"] = json!(["client_address"]);
    limit["headers"] = json!("both");
    limit["token_bucket"] =
        json!({ "max_tokens": 3, "tokens_per_fill": 1, "fill_interval": "10s" });
    let requests = vec![with_token("p256-other", &json!({})); 6];
    assert_eq!(planned_without_belief(&document, &requests), 5);
}

#[test]
fn a_token_ends_and_begins_again_with_its_time_on_the_plan_too() {
    let both = both(&whole_document(0));
    let request = good_request("alice");
    let take = || both.exchange(&request, BodyState::Complete, &answer());
    let set = |second: u64| {
        for (_, host) in [&both.planned, &both.asked] {
            host.set_wall_clock(Duration::from_secs(second));
        }
    };
    assert!(!take() && take());
    set(NOW + 200);
    assert!(!take(), "it is forgotten");
    assert!(!take(), "it is judged again");
    assert!(take() && take(), "it is known as expired");
    set(NOW + 5000);
    assert!(take(), "for longer");
    set(NOW);
    assert!(!take() && take(), "the clock was set back");
}

#[test]
fn what_a_plan_does_not_know_leaves_it() {
    let document = whole_document(0);
    for changes in [
        &[(":path", "/orders/%31")][..],
        &[(":path", "/orders//1")],
        &[(":path", "/orders/1.")],
        &[(":path", "/orders/../1")],
        &[(":path", "/orders/1;a")],
        &[(":path", "*")],
        &[
            (":method", "OPTIONS"),
            ("access-control-request-method", "GET"),
        ],
        &[(":method", "CONNECT")],
        &[(":authority", "API.example.com")],
        &[(":authority", "a..b")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("x-http-method-override", "DELETE")],
        &[("x_http.method-override", "DELETE")],
        &[("x-original-url", "/admin")],
        &[("x-request-id", "a"), ("x-request-id", "b")],
        &[("authorization", "Basic a")],
        &[("authorization", "Bearer a.b.c")],
        &[("user-agent", &"a".repeat(513))],
    ] {
        assert_eq!(planned(&document, &with(changes), 3), 0, "{changes:?}");
    }
}

#[test]
fn spellings_that_records_show_leave_the_plan_as_others_do() {
    let mut document = whole_document(0);
    document["access_log"]["fields"] = json!({ "headers": ["x_user", "x_http_method_override"] });
    document["requests"] = json!({ "override_headers": "refuse" });
    document["providers"]["corp"]["claim_to_headers"] =
        json!([{ "header_name": "x-user", "claim_name": "sub" }]);
    let both = both(&document);
    let good = good_request("alice");
    let with = |name: &str| {
        let mut headers = good.clone();
        headers.push(name.as_bytes(), b"mallory");
        headers
    };
    let take = |request: &Headers| both.exchange(request, BodyState::Complete, &answer());
    assert!(!take(&good) && take(&good));
    for name in ["x_user", "x-user", "x_http_method_override"] {
        assert!(!take(&with(name)), "{name}");
    }
}

#[test]
fn a_token_is_on_the_plan_for_as_long_as_it_is_accepted() {
    let both = both(&whole_document(0));
    let request = good_request("alice");
    let take = || both.exchange(&request, BodyState::Complete, &answer());
    assert!(!take() && take());
    for (engine, _) in [&both.planned, &both.asked] {
        engine.forget_tokens();
    }
    assert!(!take() && take(), "verified once more");
    both.advance(Duration::from_secs(59));
    assert!(take());
    both.advance(Duration::from_secs(200));
    assert!(!take(), "it has expired");
    for (_, host) in [&both.planned, &both.asked] {
        host.set_wall_clock(Duration::from_secs(NOW));
    }
    assert!(!take() && take(), "the clock was set back");
    for (engine, _) in [&both.planned, &both.asked] {
        engine.release_caches();
    }
    assert!(!take() && take());
}

#[test]
fn requirements_are_met_on_the_plan_by_the_tokens_that_meet_them() {
    let mut document = whole_document(0);
    let jwt = &mut document["routes"][0]["jwt"];
    jwt["require"] = json!({ "claims": [{ "claim": "sub", "prefix": "al" }] });
    assert_eq!(planned(&document, &good_request("alice"), 3), 2);
    assert_eq!(planned(&document, &good_request("bob"), 3), 0);
}

#[test]
fn a_limit_whose_cells_cannot_be_had_or_change_leaves_the_plan() {
    let both = both(&whole_document(0));
    let request = good_request("alice");
    let take = || both.exchange(&request, BodyState::Complete, &answer());
    let of_both = |change: &dyn Fn(&portcullis::memory_host::MemoryHost)| {
        for (_, host) in [&both.planned, &both.asked] {
            change(host);
        }
    };
    assert!(!take() && take());
    of_both(&|host| host.lose_writes(3));
    assert!(take(), "others were quicker, and there is still room");
    // On the plan nobody hears of it: it is counted once, when asking has been in vain as well.
    const ATTEMPTS: u32 = 16;
    both.planned.1.lose_writes(2 * ATTEMPTS);
    both.asked.1.lose_writes(ATTEMPTS);
    assert!(!take());
    assert_eq!(
        both.planned.1.counted(Event::RateLimitContended.counter()),
        1
    );
    of_both(&|host| host.fail_cells(true));
    assert!(!take());
    of_both(&|host| host.fail_cells(false));
    assert!(take());
}

/// A route with a limit whose requests wait for so long at most.
fn delaying(max: &str) -> Value {
    let limit = json!({
        "name": "a", "key": ["client_address"], "headers": "both",
        "token_bucket": { "max_tokens": 2, "fill_interval": "1s" },
        "on_limit": { "delay": { "max": max, "queue": 5 } },
    });
    json!({
        "version": 1, "access_log": { "sinks": ["filter_state"] }, "defaults": { "rate_limits": [limit] },
        "routes": [{ "name": "all", "match": { "path": { "prefix": "/" } }, "open": true }],
    })
}

/// Who has not to wait is charged by the plan, whether its cell is remembered or not.
#[test]
fn who_waits_for_a_turn_leaves_the_plan() {
    let both = both(&delaying("3s"));
    let request = good_request("alice");
    let take = || both.exchange(&request, BodyState::Complete, &answer());
    let delayed = || both.planned.1.counted(Event::RateLimitDelayed.counter());
    assert!(take() && take());
    assert_eq!(delayed(), 0);
    for waited in 1..=3 {
        // It leaves before its turn, and gives it back.
        assert!(!take(), "it has no turn on the plan");
        assert_eq!(delayed(), waited);
    }
    both.advance(Duration::from_secs(1));
    assert!(take() && !take());
    assert_eq!(delayed(), 4);
    both.advance(Duration::from_secs(2));
    for (_, host) in [&both.planned, &both.asked] {
        host.lose_writes(1);
    }
    assert!(take() && take() && !take(), "others were quicker");
    assert_eq!(delayed(), 5);
}

/// Whose wait would be too long is refused, by the plan too, and has taken no turn.
#[test]
fn who_may_not_wait_is_refused_by_the_plan() {
    let both = both(&delaying("500ms"));
    let request = good_request("alice");
    let take = || both.exchange(&request, BodyState::Complete, &answer());
    let counted = |event: Event| both.planned.1.counted(event.counter());
    assert!((0..5).all(|_| take()));
    assert_eq!(counted(Event::RateLimited), 3);
    both.advance(Duration::from_millis(500));
    assert!(!take(), "it waits for half a second");
    assert_eq!(counted(Event::RateLimitDelayed), 1);
    both.advance(Duration::from_millis(500));
    assert!(take() && take());
    assert_eq!(counted(Event::RateLimitOk), 3);
    assert_eq!(counted(Event::RateLimited), 4);
}

#[test]
fn a_limit_for_a_share_of_requests_is_asked() {
    let mut document = delaying("1ms");
    let request = good_request("alice");
    let limit = |document: &mut Value, percent: u8| {
        document["defaults"]["rate_limits"][0]["percent"] = json!(percent);
    };
    limit(&mut document, 100);
    assert_eq!(planned(&document, &request, 3), 3, "in force for all");
    for percent in [0, 1, 50, 99] {
        limit(&mut document, percent);
        // Both ways come to the same, and neither is a plan's.
        assert_eq!(planned(&document, &request, 20), 0, "{percent}");
    }
}

/// Documents in which answers, records and refusals read what is kept of a large head.
fn documents_with_large_heads() -> Vec<Value> {
    let mut documents = Vec::new();
    for log in [
        json!("off"),
        json!({ "sinks": ["filter_state"] }),
        json!({ "schema": "ecs", "query": "values", "attributes": "all" }),
    ] {
        for shaped in [
            json!({ "preset": "api" }),
            json!({ "preset": "web", "action": "if_absent" }),
        ] {
            let mut document = whole_document(0);
            document["access_log"] = log.clone();
            document["request_id"] = json!({ "response_header": "x-id" });
            document["security_events"] = json!({});
            document["defaults"]["security_headers"] = shaped;
            document["defaults"]["https"] = json!({ "trust_forwarded_proto": true });
            let limit = &mut document["defaults"]["rate_limits"][0];
            limit["headers"] = json!("both");
            limit["token_bucket"] =
                json!({ "max_tokens": 3, "tokens_per_fill": 1, "fill_interval": "10s" });
            documents.push(document);
        }
    }
    documents
}

#[test]
fn what_is_kept_of_a_large_head_is_all_that_is_read_later() {
    let cookie = "a".repeat(20_000);
    for document in documents_with_large_heads() {
        for more in [
            &[][..],
            &[("authorization", "")],
            &[("origin", "")],
            &[("x-request-id", "")],
            &[(":path", "/orders/?a=b"), (":method", "PURGE")],
            &[(
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            )],
            &[("content-type", "application/grpc"), ("authorization", "")],
        ] {
            let changes = [
                &[("cookie", &*cookie), ("x-forwarded-proto", "https")],
                more,
            ]
            .concat();
            let request = with(&changes);
            planned(&document, &request, 6);
        }
    }
}

#[test]
fn a_host_that_fails_after_a_plan_has_judged_is_told_the_same() {
    let mut document = whole_document(0);
    document["security_events"] = json!({});
    let sides = both(&document);
    for cookie in [10, 5000] {
        let request = with(&[("cookie", &"a".repeat(cookie))]);
        for _ in 0..4 {
            let all = [&sides.planned, &sides.asked].map(|(engine, host)| {
                let mut stream = Stream::new(Some(Rc::clone(engine)));
                request_headers(&mut stream, request.clone(), BodyState::Complete, host);
                let failed = stream.host_failed(Failure::HostCall, host);
                stream.tell_end(host);
                (
                    format!("{failed:?}"),
                    left(&stream, host),
                    counted(engine, host),
                )
            });
            assert_eq!(all[0], all[1]);
        }
    }
    assert!(sides.planned.0.planned() > 0);
}

#[test]
fn a_request_on_a_plan_has_no_more_memory_than_what_is_kept_of_it() {
    for (cookie, authorization) in [(10, None), (50_000, None), (50_000, Some(""))] {
        let cookie = "a".repeat(cookie);
        let without_token = authorization.map(|value| ("authorization", value));
        let changes: Vec<_> = without_token
            .into_iter()
            .chain([("cookie", &*cookie)])
            .collect();
        let request = with(&changes);
        let both = both(&whole_document(0));
        both.exchange(&request, BodyState::Complete, &answer());
        let (engine, host) = &both.planned;
        let before = used(Share::Streams);
        let mut stream = Stream::new(Some(Rc::clone(engine)));
        request_headers(&mut stream, request, BodyState::Complete, host);
        assert!(stream.is_planned());
        let reserved = used(Share::Streams) - before;
        assert!(reserved < 6 << 10, "{reserved}");
    }
}

#[test]
fn a_token_in_a_field_that_resembles_another_is_judged_by_asking() {
    let request = good_request("alice");
    let token = request.text("authorization").trim_start_matches("Bearer ");
    for name in [
        "x_request_id",
        "user_agent",
        "x_forwarded_proto",
        "content_type",
    ] {
        let mut document = whole_document(0);
        document["providers"]["corp"]["from_headers"] = json!([{ "name": name }]);
        let both = both(&document);
        let resembling = name.replace('_', "-");
        for fields in [
            &[(name, token)][..],
            &[(name, token), (&*resembling, "a")],
            &[(name, token), (&*resembling, &token[..200])],
            &[(&*resembling, &token[..200])],
        ] {
            let fields = [&[("authorization", "")], fields].concat();
            for _ in 0..3 {
                both.exchange(&with(&fields), BodyState::Complete, &answer());
            }
        }
    }
}

/// The whole document with these rules on its route.
fn with_rules(rules: Value) -> Value {
    let mut document = whole_document(0);
    document["providers"]["corp"]["roles"] = json!({ "from": ["roles"] });
    document["routes"][0]["access"] = json!({ "rules": rules });
    document
}

/// A token of a reader of the tenant `orders`.
fn reader() -> Headers {
    let claims = json!({ "scope": "read", "roles": ["reader"], "client_id": "shop", "tenants": ["orders"], "level": 3 });
    with_token("p256", &claims)
}

#[test]
fn requests_that_rules_allow_stay_on_their_plan() {
    let allow = |rest: Value| {
        let mut rule = json!({ "name": "a", "action": "allow" });
        for (name, value) in rest.as_object().into_iter().flatten() {
            rule[name] = value.clone();
        }
        rule
    };
    let deny = |rest: Value| {
        let mut rule = allow(rest);
        rule["name"] = json!("d");
        rule["action"] = json!("deny");
        rule
    };
    let all = || allow(json!({ "to": { "methods": ["GET", "POST"] } }));
    for (rules, expected) in [
        (
            json!([allow(
                json!({ "from": { "roles": ["reader"] }, "to": { "methods": ["GET"], "paths": [{ "prefix": "/orders" }] } })
            )]),
            3,
        ),
        (
            json!([allow(json!({ "from": { "roles": ["writer"] } }))]),
            0,
        ),
        (
            json!([allow(
                json!({ "from": { "scopes": ["read"], "clients": ["shop"], "subjects": ["alice"], "credentials": ["jwt"], "authorities": ["corp"] } })
            )]),
            3,
        ),
        (
            json!([allow(
                json!({ "from": { "issuers": [{ "suffix": "example.com/" }], "not_roles": ["suspended"] } })
            )]),
            3,
        ),
        (
            json!([allow(
                json!({ "to": { "hosts": ["*.example.com"], "paths": [{ "regex": "/o.*" }, "/x"] } })
            )]),
            3,
        ),
        (
            json!([allow(
                json!({ "when": [{ "claim": "level", "range": { "minimum": 3 } }, { "claim": "tenants", "includes": "orders" }] })
            )]),
            3,
        ),
        (
            json!([allow(
                json!({ "when": [{ "claim": "level", "range": { "minimum": 4 } }] })
            )]),
            0,
        ),
        (
            json!([allow(
                json!({ "when": [{ "claim": "level", "includes": "a" }] })
            )]),
            0,
        ),
        (
            json!([allow(
                json!({ "not_before": "2020-01-01T00:00:00Z", "weekly": [{}] })
            )]),
            3,
        ),
        (
            json!([allow(json!({ "not_after": "2020-01-01T00:00:00Z" }))]),
            0,
        ),
        (
            json!([
                all(),
                deny(json!({ "from": { "addresses": ["203.0.113.0/24"] } }))
            ]),
            3,
        ),
        (
            json!([
                all(),
                deny(json!({ "from": { "addresses": ["192.0.2.0/24"] } }))
            ]),
            0,
        ),
        (
            json!([all(), deny(json!({ "from": { "countries": ["FR"] } }))]),
            3,
        ),
        (
            json!([all(), deny(json!({ "from": { "countries": ["DE"] } }))]),
            0,
        ),
        (
            json!([all(), deny(json!({ "from": { "asns": [64512] } }))]),
            0,
        ),
        (
            json!([all(), deny(json!({ "from": { "roles": ["suspended"] } }))]),
            3,
        ),
        (
            json!([all(), deny(json!({ "from": { "roles": ["reader"] } }))]),
            0,
        ),
        // What is in shadow mode leaves the plan where it would have said something.
        (
            json!([
                all(),
                deny(json!({ "from": { "roles": ["reader"] }, "mode": "shadow" }))
            ]),
            0,
        ),
        (
            json!([
                all(),
                deny(json!({ "from": { "roles": ["other"] }, "mode": "shadow" }))
            ]),
            3,
        ),
        (
            json!([
                all(),
                deny(json!({ "from": { "addresses": ["203.0.113.1"] }, "mode": "shadow" }))
            ]),
            3,
        ),
        (
            json!([
                all(),
                deny(json!({ "from": { "addresses": ["192.0.2.1"] }, "percent": 0 }))
            ]),
            0,
        ),
        (
            json!([
                allow(json!({ "percent": 100 })),
                deny(json!({ "from": { "roles": ["other"] } }))
            ]),
            3,
        ),
        // For whom it is in force is told by asking.
        (
            json!([
                all(),
                deny(json!({ "from": { "roles": ["other"] }, "percent": 40 }))
            ]),
            0,
        ),
        (
            json!([allow(json!({ "mode": "shadow" })), { "name": "b", "action": "allow", "from": { "roles": ["reader"] } }]),
            3,
        ),
        // Fields of the document's choice, only where the rest holds.
        (
            json!([
                all(),
                deny(
                    json!({ "to": { "methods": ["DELETE"] }, "when": [{ "header": "x-a", "exists": true }] })
                )
            ]),
            3,
        ),
        (
            json!([
                all(),
                deny(json!({ "when": [{ "header": "x-a", "exists": true }] }))
            ]),
            0,
        ),
        (
            json!([
                all(),
                deny(json!({ "when": [{ "query": "a", "exists": true }] }))
            ]),
            0,
        ),
        (
            json!([
                all(),
                deny(json!({ "when": [{ "body": "/a", "exact": "b" }] }))
            ]),
            0,
        ),
    ] {
        let mut document = with_rules(rules);
        document["geo"] = json!({ "country": "x-country", "asn": "x-asn" });
        let mut request = reader();
        request.push(b"x-country", b"de");
        assert_eq!(
            planned(&document, &request, 4),
            expected,
            "{}",
            document["routes"]
        );
    }
}

#[test]
fn rules_of_objects_and_of_all_routes_are_on_plans() {
    let mut document = with_rules(json!([{
        "name": "own", "action": "allow",
        "when": [{ "path_variable": "tenant", "in": { "claim": "tenants" } }],
    }]));
    document["routes"][0]["match"]["path"] = json!({ "template": "/{tenant}/{id}" });
    assert_eq!(planned(&document, &reader(), 4), 3);
    let others = with_token("p256", &json!({ "tenants": ["a"] }));
    assert_eq!(planned(&document, &others, 4), 0);
    let mut document = whole_document(0);
    document["access_rules"] = json!({
        "blocked": { "action": "deny", "everywhere": true, "from": { "addresses": ["203.0.113.0/24"] } },
        "stolen": { "action": "deny", "everywhere": true, "from": { "subjects": ["mallory"] } },
    });
    assert_eq!(planned(&document, &good_request("alice"), 4), 3);
    assert_eq!(planned(&document, &good_request("mallory"), 4), 0);
    let lacking = with(&[("authorization", "")]);
    assert_eq!(planned(&document, &lacking, 4), 4, "no token");
    document["access_rules"]["blocked"]["from"]["addresses"] = json!(["192.0.2.0/24"]);
    assert_eq!(planned(&document, &lacking, 4), 0, "denied before");
}

#[test]
fn what_a_limit_refuses_is_not_counted_as_allowed() {
    let rules = json!([{ "name": "readers", "action": "allow", "from": { "roles": ["reader"] } }]);
    for key in ["client_address", "subject"] {
        let mut document = with_rules(rules.clone());
        let limit = &mut document["defaults"]["rate_limits"][0];
        limit["key"] = json!([key]);
        limit["token_bucket"] =
            json!({ "max_tokens": 3, "tokens_per_fill": 1, "fill_interval": "10s" });
        let both = both(&document);
        let request = reader();
        for _ in 0..6 {
            both.exchange(&request, BodyState::Complete, &answer());
        }
        assert_eq!(both.planned.0.planned(), 5, "{key}");
        let counted = counted(&both.planned.0, &both.planned.1);
        let name = "access_rule.readers.allowed";
        let (_, allowed) = counted
            .iter()
            .find(|(each, _)| each.ends_with(name))
            .unwrap();
        assert!(allowed.contains('3'), "{allowed}");
    }
}

#[test]
fn a_block_in_shadow_mode_is_on_plans_where_it_would_allow() {
    let mut document = with_rules(json!([
        { "name": "readers", "action": "allow", "from": { "roles": ["reader"] } },
        { "name": "none", "action": "deny", "to": { "methods": ["TRACE"] } },
    ]));
    document["routes"][0]["access"]["mode"] = json!("shadow");
    assert_eq!(planned(&document, &reader(), 4), 3);
    assert_eq!(planned(&document, &good_request("alice"), 4), 0);
}

#[test]
fn the_rule_of_one_caller_among_a_thousand_is_found_on_the_plan() {
    for count in [1, 9, 1000] {
        let rules: Vec<Value> = (0..count)
            .map(|number| match number % 2 {
                0 => json!({ "name": format!("r{number}"), "action": "allow", "from": { "clients": [format!("c{number}"), "shop"] }, "to": { "paths": [{ "prefix": format!("/orders/{}", number + 1) }] } }),
                _ => json!({ "name": format!("r{number}"), "action": "deny", "from": { "roles": [format!("role-{number}")] } }),
            })
            .collect();
        assert_eq!(
            planned(&with_rules(rules.into()), &reader(), 4),
            3,
            "{count}"
        );
    }
}
