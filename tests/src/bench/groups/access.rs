//! Rules of access, against `rbac` with as many policies of the same verdict.

use std::path::Path;

use serde_json::{Value, json};

use super::super::chain::{Algorithm, Chain, Traffic, Work, answering, filter, portcullis, router};
use super::super::native::{self, TokenCache};
use super::super::{document, scratch::Scratch};
use super::{Group, aim, compare};

pub(super) const GROUP: Group = Group {
    name: "access",
    about: "rules of access, of which the last is for the request, against `rbac` with as many policies",
    chains,
    comparisons: &[
        aim(
            ("portcullis-access-1", "native-access-1"),
            "one rule of access, against `rbac`",
            1.2,
        ),
        compare("portcullis-access-10", "native-access-10"),
        compare("portcullis-access-100", "native-access-100"),
        aim(
            ("portcullis-access-1000", "native-access-1000"),
            "1000 rules of access, against `rbac`",
            1.2,
        ),
        aim(
            ("portcullis-access-1000", "portcullis-access-1"),
            "1000 rules of access, against one",
            1.1,
        ),
        aim(
            ("portcullis-access-token", "native-access-token"),
            "a token seen before and a rule on its scope, against `jwt_authn` and `rbac`",
            1.2,
        ),
        compare("portcullis-access-1", "portcullis-open"),
        compare("portcullis-access-1", "router"),
    ],
    half_load: &[],
};

fn chains(module: &Path, _: &Scratch) -> Vec<Chain> {
    let traffic = Traffic::Same(Algorithm::Rs256);
    let open = (traffic, Work::Access);
    let ours = |id, title, count| {
        let document = document::rules(count);
        portcullis(id, title, module, &document, open)
    };
    let native = |id, title, count| chain(id, title, vec![native::rbac(count)], Work::Access);
    let token = vec![
        native::jwt_authn_with_metadata(TokenCache::On),
        native::rbac_by_scope(),
    ];
    let document = document::token_and_rule();
    vec![
        router(),
        portcullis(
            "portcullis-open",
            "Portcullis, an open route without rules",
            module,
            &document::log_only(&[]),
            (traffic, Work::Nothing),
        ),
        native("native-access-1", "rbac, 1 policy", 1),
        ours("portcullis-access-1", "Portcullis, 1 rule", 1),
        native("native-access-10", "rbac, 10 policies", 10),
        ours("portcullis-access-10", "Portcullis, 10 rules", 10),
        native("native-access-100", "rbac, 100 policies", 100),
        ours("portcullis-access-100", "Portcullis, 100 rules", 100),
        native("native-access-1000", "rbac, 1000 policies", 1000),
        ours("portcullis-access-1000", "Portcullis, 1000 rules", 1000),
        chain(
            "native-access-token",
            "jwt_authn, token cache on, and rbac on its scope",
            token,
            Work::Token,
        ),
        chain(
            "portcullis-access-token",
            "Portcullis, a token seen before, and a rule on its scope",
            vec![filter(module, &document, "portcullis")],
            Work::Token,
        ),
    ]
}

fn chain(id: &'static str, title: &'static str, filters: Vec<Value>, work: Work) -> Chain {
    Chain {
        id,
        title,
        listener: answering("api", filters, json!({})),
        work,
        ..router()
    }
}
