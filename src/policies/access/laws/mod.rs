//! What holds for all rules and requests: they come to what a plain interpreter of the same rules says, which
//! shares nothing with the one that is asked, and in whatever way they are found.

mod generated;
mod interpreter;

use std::rc::Rc;
use std::time::Duration;

use portcullis_exchange::exchange::{Facts, Request};
use portcullis_exchange::plan::{AllowedBy, Fields, Names, PlannedHead, Rules as _};
use portcullis_exchange::policy::RoutePath;
use portcullis_exchange::principal::{CredentialKind, Principal, Roles};
use portcullis_exchange::rollout::RolloutSubject;
use portcullis_exchange::target::{Ambiguous, Authority, LetterCase, PathRules, Target};
use portcullis_memory_host::MemoryHost;
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::Headers;
use portcullis_wire::json::compact::Compact;
use portcullis_wire::pairs;

use self::generated::{CallerSpec, RequestSpec, RuleSpec, below, compiled, one, request, rule};
use self::interpreter::interpreted;
use super::counts::Effect;
use super::decision::{Decision, Fallback, decide};
use super::index::{RuleIndex, RuleList};
use super::judge::Task;
use super::planned::PlannedRules;
use super::request::{Head, HeadContext};
use super::rule::AccessRule;
use super::testing::rules_by;
use crate::rate_limits::random::Random;

/// Hands the head of a request to `look`.
fn with_head<T>(
    request: &RequestSpec,
    letter_case: LetterCase,
    look: impl FnOnce(&Head<'_>, &Facts) -> T,
) -> T {
    let rules = PathRules {
        semicolons: Ambiguous::SameRoute,
        encoded_slashes: Ambiguous::SameRoute,
        letter_case,
        ..PathRules::default()
    };
    let target = Target::parse_by(request.path.as_bytes(), rules).unwrap();
    let mut headers = Headers::default();
    headers.push(b":method", request.method.as_bytes());
    headers.push(b":path", request.path.as_bytes());
    for (name, value) in &request.headers {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let principal = match request.caller {
        CallerSpec::Nobody | CallerSpec::AtTheEnd => None,
        CallerSpec::Known {
            client,
            odd_subject,
            subject,
            roles,
            scope,
        } => {
            let client = client.map_or(String::new(), |c| format!(r#""client_id": "{c}","#));
            let subject = match odd_subject {
                true => "7".to_owned(),
                false => format!("\"{subject}\""),
            };
            let scope = scope.join(" ");
            let claims = format!(r#"{{{client} "sub": {subject}, "scope": "{scope}"}}"#);
            Some(Principal {
                kind: CredentialKind::Jwt,
                authority: "corp".into(),
                attributes: Compact::parse(claims.as_bytes(), 8).unwrap(),
                roles: Roles::of(roles.iter().copied()).unwrap(),
            })
        }
    };
    let mut facts = Facts::default();
    facts.principal = principal;
    let host = MemoryHost::new();
    let known = HeadContext {
        facts: &facts,
        host: &host,
        now: Duration::from_secs(1_800_000_000),
        names_caller_late: request.caller == CallerSpec::AtTheEnd,
        path: &RoutePath::default(),
        body: None,
    };
    let effort = Effort::new(1_000_000_000);
    let request = Request {
        headers: &headers,
        authority: &Authority::default(),
        target: &target,
        effort: &effort,
    };
    look(&Head::new(request, known), &facts)
}

fn told(decision: Decision<'_>) -> (&'static str, Option<String>) {
    match decision {
        Decision::Allowed(rule) => ("allowed", rule.map(|rule| rule.name.to_string())),
        Decision::Denied(rule) => ("denied", Some(rule.name.to_string())),
        Decision::NoRule => ("no rule", None),
        Decision::Undecidable(rule, _) => ("undecidable", Some(rule.name.to_string())),
        Decision::Later => ("later", None),
    }
}

/// What rules come to where each is asked, and where those are that the index finds.
fn decided(
    rules: &[Rc<AccessRule>],
    index: &RuleIndex,
    fallback: Fallback,
    request: &RequestSpec,
    letter_case: LetterCase,
) -> [(&'static str, Option<String>); 2] {
    with_head(request, letter_case, |head, facts| {
        let host = MemoryHost::new();
        let subject = RolloutSubject::new(facts, head.request().headers, &host);
        let in_force = |rule: &&AccessRule| rule.is_met_by(&subject);
        let all = rules.iter().map(|rule| &**rule).filter(in_force);
        let slow = told(decide(all, fallback, head));
        let places = index.candidates(head);
        assert!(places.is_sorted(), "{places:?}");
        let found = places.iter().map(|place| &*rules[*place]).filter(in_force);
        [slow, told(decide(found, fallback, head))]
    })
}

/// Which rule allows a request on a plan; none if it leaves that.
fn allowed_by_plan(
    rules: &Rc<RuleList>,
    fallback: Fallback,
    request: &RequestSpec,
) -> Option<Option<String>> {
    let planned = PlannedRules {
        rules: Rc::clone(rules),
        fallback,
        task: Task::Enforce,
        effect: Effect::Enforced,
        path: RoutePath::default(),
        country: None,
        asn: None,
    };
    with_head(request, LetterCase::Significant, |_, facts| {
        let names = Names::new(std::iter::empty(), std::iter::empty()).unwrap();
        let mut fields = Fields::unread(pairs::write(std::iter::empty()));
        assert!(names.find(&mut fields));
        let head = PlannedHead {
            host_name: "",
            method: request.method,
            path: request.path,
            fields: &fields,
            principal: facts.principal.as_ref(),
            connection: &facts.connection,
            arrived: Duration::from_secs(1_800_000_000),
        };
        let name = |place: usize| rules.all()[place].name.to_string();
        match planned.allow(&head, &MemoryHost::new())? {
            AllowedBy::Rule(place) => Some(Some(name(place))),
            AllowedBy::Default => Some(None),
        }
    })
}

#[test]
fn a_plan_allows_what_rules_allow_and_names_the_same_rule() {
    let mut random = Random(11);
    let (mut allowed, mut left) = (0, 0);
    for round in 0..600 {
        let count = 1 + below(&mut random, if round % 10 == 0 { 40 } else { 12 });
        let specs: Vec<RuleSpec> = (0..count).map(|n| rule(&mut random, n)).collect();
        let rules = compiled(&specs, LetterCase::Significant);
        let looks_at_headers = specs.iter().any(|rule| !rule.when.is_empty());
        let list = Rc::new(RuleList::new(rules));
        for _ in 0..60 {
            let request = request(&mut random);
            // Others are on no plan.
            if request.path.contains(['%', ';']) || request.caller == CallerSpec::AtTheEnd {
                continue;
            }
            let fallback = one(&mut random, &FALLBACKS);
            let (what, name) = interpreted(&specs, fallback, &request, false);
            match allowed_by_plan(&list, fallback, &request) {
                Some(by) => {
                    assert_eq!((what, &name), ("allowed", &by), "{specs:#?} {request:?}");
                    allowed += 1;
                }
                // An odd subject may leave open which of several rules allows it.
                None if what == "allowed" && !looks_at_headers => {
                    let is_odd = matches!(
                        request.caller,
                        CallerSpec::Known {
                            odd_subject: true,
                            ..
                        }
                    );
                    assert!(is_odd, "{specs:#?} {request:?}");
                }
                None => left += usize::from(what == "allowed"),
            }
        }
    }
    assert!(allowed > 3000 && left > 20, "{allowed} {left}");
}

const FALLBACKS: [Fallback; 2] = [Fallback::Deny, Fallback::Allow];
const CASES: [LetterCase; 2] = [LetterCase::Significant, LetterCase::SameRoute];

#[test]
fn rules_come_to_what_a_plain_interpreter_says_however_they_are_found() {
    let mut random = Random(7);
    let mut told = std::collections::BTreeMap::new();
    for round in 0..600 {
        let count = 1 + below(&mut random, if round % 10 == 0 { 40 } else { 7 });
        let specs: Vec<RuleSpec> = (0..count).map(|n| rule(&mut random, n)).collect();
        let letter_case = CASES[round % 2];
        let rules = compiled(&specs, letter_case);
        let index = RuleIndex::new(&rules);
        for _ in 0..40 {
            let request = request(&mut random);
            let fallback = one(&mut random, &FALLBACKS);
            let any_case = letter_case == LetterCase::SameRoute;
            let expected = interpreted(&specs, fallback, &request, any_case);
            for found in decided(&rules, &index, fallback, &request, letter_case) {
                assert_eq!(found, expected, "{specs:#?} {request:?} {fallback:?}");
            }
            *told.entry(expected.0).or_insert(0) += 1;
        }
    }
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told.values().all(|count| *count > 200), "{told:?}");
}

#[test]
fn a_denial_more_never_admits_more_and_the_order_says_only_who_is_named() {
    let mut random = Random(8);
    let mut refused = 0;
    for _ in 0..400 {
        let mut specs: Vec<RuleSpec> = (0..6).map(|n| rule(&mut random, n)).collect();
        let denial = RuleSpec {
            allows: false,
            ..rule(&mut random, 6)
        };
        let case = LetterCase::Significant;
        let rules = compiled(&specs, case);
        let mut more = specs.clone();
        more.insert(below(&mut random, 7), denial);
        let more = compiled(&more, case);
        for place in (1..specs.len()).rev() {
            specs.swap(place, below(&mut random, place + 1));
        }
        let mixed = compiled(&specs, case);
        let [index, index_of_more, index_of_mixed] =
            [&rules, &more, &mixed].map(|rules| RuleIndex::new(rules));
        for _ in 0..40 {
            let request = request(&mut random);
            let fallback = one(&mut random, &FALLBACKS);
            let [(what, _), _] = decided(&rules, &index, fallback, &request, case);
            let [(with_more, _), _] = decided(&more, &index_of_more, fallback, &request, case);
            let [(in_order, _), _] = decided(&mixed, &index_of_mixed, fallback, &request, case);
            assert_eq!(what, in_order, "{request:?}");
            if with_more == "allowed" {
                assert_eq!(what, "allowed", "{request:?}");
            }
            refused += usize::from(what == "allowed" && with_more != "allowed");
        }
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn what_is_in_shadow_changes_nothing_and_all_of_a_hundred_is_all() {
    let mut random = Random(9);
    let mut differ = 0;
    for _ in 0..300 {
        let plain = |rule: RuleSpec| RuleSpec {
            percent: None,
            ..rule
        };
        let specs: Vec<RuleSpec> = (0..5).map(|n| plain(rule(&mut random, n))).collect();
        let place = below(&mut random, 5);
        let with = |change: &dyn Fn(&mut RuleSpec)| {
            let mut specs = specs.clone();
            change(&mut specs[place]);
            compiled(&specs, LetterCase::Significant)
        };
        let mut without = specs.clone();
        without.remove(place);
        let without = compiled(&without, LetterCase::Significant);
        let lists = [
            without,
            with(&|rule| rule.in_shadow = true),
            with(&|rule| rule.percent = Some(0)),
            with(&|_| ()),
            with(&|rule| rule.percent = Some(100)),
        ];
        let lists = lists.map(|rules| (RuleIndex::new(&rules), rules));
        for _ in 0..20 {
            let request = request(&mut random);
            let told = lists.each_ref().map(|(index, rules)| {
                let case = LetterCase::Significant;
                decided(rules, index, Fallback::Deny, &request, case)
            });
            let [without, shadow, zero, whole, hundred] = told;
            assert_eq!(without, shadow, "{request:?}");
            assert_eq!(without, zero, "{request:?}");
            assert_eq!(whole, hundred, "{request:?}");
            differ += usize::from(without != whole);
        }
    }
    assert!(differ > 200, "{differ}");
}

#[test]
fn few_of_many_rules_are_asked() {
    let written: Vec<String> = (0..1000)
        .map(|n| match n % 3 {
            0 => format!(r#"{{"name": "r{n}", "action": "allow", "to": {{"methods": ["GET"], "paths": [{{"prefix": "/api/p{n}"}}]}}}}"#),
            1 => format!(r#"{{"name": "r{n}", "action": "allow", "from": {{"roles": ["r{n}"]}}, "to": {{"paths": [{{"prefix": "/api"}}]}}}}"#),
            _ => format!(r#"{{"name": "r{n}", "action": "deny", "from": [{{"clients": ["c{n}"]}}, {{"clients": ["d{n}"]}}]}}"#),
        })
        .collect();
    let rules = rules_by(
        &format!("[{}]", written.join(", ")),
        LetterCase::Significant,
    );
    let index = RuleIndex::new(&rules);
    let request = RequestSpec {
        method: "GET",
        path: "/api/p30/x",
        headers: Vec::new(),
        caller: CallerSpec::Known {
            client: Some("d5"),
            odd_subject: false,
            subject: "a",
            roles: &["r4", "r7"],
            scope: &[],
        },
    };
    let found = with_head(&request, LetterCase::Significant, |head, _| {
        index.candidates(head)
    });
    assert_eq!(found, [4, 5, 7, 30]);
    // What is known at the end alone is found, all of it.
    let request = RequestSpec {
        caller: CallerSpec::AtTheEnd,
        ..request
    };
    let found = with_head(&request, LetterCase::Significant, |head, _| {
        index.candidates(head)
    });
    assert_eq!(found.len(), 667);
}
