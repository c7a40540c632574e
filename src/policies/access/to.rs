//! `to`: for which requests a rule is.

use portcullis_document::{Node, Problems};
use portcullis_exchange::condition::Undecidable;
use portcullis_exchange::exchange::{ApiOperations, Facts, Request, UntoldOperation};
use portcullis_exchange::graphql::GraphqlField;
use portcullis_exchange::lifecycle::{RequestVersion, VersionFault};
use portcullis_exchange::route::{
    HostPattern, PathPattern, read_method, read_path, stands_for_every_method, with_head,
};
use portcullis_exchange::target::{LetterCase, Target};
use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::json::Json;

use super::decision::{Fault, Truth};
use super::group::{GroupField, GroupReader};
use super::rule::{FieldTest, RuleAction, Values};

/// The fields of a group of `to`.
pub(super) const FIELDS: [GroupField; 6] = [
    GroupField::new("hosts", "not_hosts", read_hosts),
    GroupField::new("methods", "not_methods", read_methods),
    GroupField::new("paths", "not_paths", read_paths),
    GroupField::new("operations", "not_operations", read_operations),
    GroupField::new("versions", "not_versions", read_versions),
    GroupField::new("graphql", "not_graphql", read_graphql),
];

/// A step of the effort is enough to compare so many bytes of a path with a pattern that is no expression.
const BYTES_COMPARED_BY_A_STEP: u64 = 16;
/// The same for operations whose paths a path is compared with.
const OPERATIONS_ASKED_BY_A_STEP: u64 = 4;

fn read_hosts(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    let hosts = node.list(reader.problems, |item, problems| {
        if item.json().as_str() == Some("*") {
            item.report(
                problems,
                "stands for every host; a rule without `hosts` is for all of them",
            );
            return None;
        }
        HostPattern::read(item, problems)
    });
    hosts.map(Values::Hosts)
}

fn read_methods(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    let methods = node.list(reader.problems, |item, problems| {
        if item.json().as_str().is_some_and(stands_for_every_method) {
            item.report(
                problems,
                "is no method; a rule without `methods` is for all of them",
            );
            return None;
        }
        read_method(item, problems)
    });
    methods.map(with_head).map(Values::Methods)
}

fn read_paths(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    let letter_case = reader.letter_case;
    let paths = node.list(reader.problems, |item, problems| {
        read_pattern(item, letter_case, problems)
    });
    paths.map(Values::Paths)
}

/// What the API has of these is known when the route is.
fn read_operations(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    let names = node.list(reader.problems, |item, problems| {
        item.non_empty(problems).map(Box::from)
    });
    names.map(Values::Operations)
}

/// Whether there are such versions is known when all of the document is.
fn read_versions(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    let names = node.list(reader.problems, |item, problems| {
        item.non_empty(problems).map(Box::from)
    });
    names.map(Values::Versions)
}

/// Fields of operations. Which there are, no schema says.
fn read_graphql(node: &Node<'_>, reader: &mut GroupReader<'_>) -> Option<Values> {
    const TYPES: [&str; 3] = ["Query", "Mutation", "Subscription"];
    let fields = node.list(reader.problems, |item, problems| {
        let field = GraphqlField::parse(item.non_empty(problems)?, &TYPES);
        if field.is_none() {
            item.report(
                problems,
                "must be a field of an operation, such as \"Mutation.deleteUser\", or all of them: \"Query.*\", \"Mutation.*\", \"Subscription.*\"",
            );
        }
        field
    });
    fields.map(Values::Graphql)
}

/// A path as a route's `match` has it, or a string: that path.
fn read_pattern(
    node: &Node<'_>,
    letter_case: LetterCase,
    problems: &mut Problems,
) -> Option<PathPattern> {
    let Json::String(path) = node.json() else {
        return PathPattern::read(node, letter_case, problems);
    };
    if path.starts_with('*') {
        node.report(
            problems,
            "`*` stands for itself here, and a path begins with \"/\"; what ends in something is {\"regex\": \"/.*…\"}",
        );
        return None;
    }
    if let Some(reason) = PathPattern::impossible_exact(path) {
        node.report(problems, reason);
        return None;
    }
    read_path(node, problems).map(|path| PathPattern::Exact(path.to_owned()))
}

/// Whether the host of a request is one of these.
pub(super) fn is_host(hosts: &[HostPattern], host: &str, effort: &Effort) -> Truth {
    match effort.spend(hosts.len() as u64) {
        Ok(()) => Truth::of(hosts.iter().any(|pattern| pattern.matches(host))),
        Err(TooCostly) => Truth::Unknown(Fault::Effort),
    }
}

/// Whether the method of a request is one of these.
pub(super) fn is_method(methods: &[String], method: &str, effort: &Effort) -> Truth {
    match effort.spend(methods.len() as u64) {
        Ok(()) if methods.iter().any(|each| each == method) => Truth::Yes,
        // Methods differ by case (RFC 9110 §9.1), and not to every service.
        Ok(()) if methods.iter().any(|each| each.eq_ignore_ascii_case(method)) => {
            Truth::Unknown(Fault::Condition(Undecidable::Spelling))
        }
        Ok(()) => Truth::No,
        Err(TooCostly) => Truth::Unknown(Fault::Effort),
    }
}

/// Whether a request is one of these operations of an API.
pub(super) fn is_operation(
    names: &[Box<str>],
    api: Option<&dyn ApiOperations>,
    request: &Request<'_>,
) -> Truth {
    // A document with such a rule where there is no API is refused.
    let Some(api) = api else {
        return Truth::Unknown(Fault::Readings);
    };
    let price =
        (api.count() as u64 / OPERATIONS_ASKED_BY_A_STEP).saturating_add(names.len() as u64);
    if request.effort.spend(price).is_err() {
        return Truth::Unknown(Fault::Effort);
    }
    match api.is_one_of(request, names) {
        Ok(is_one) => Truth::of(is_one),
        Err(UntoldOperation::Path) => Truth::Unknown(Fault::Readings),
        Err(UntoldOperation::Method) => Truth::Unknown(Fault::Condition(Undecidable::Spelling)),
        Err(UntoldOperation::Effort) => Truth::Unknown(Fault::Effort),
    }
}

/// Whether the version of a request is one of these.
pub(super) fn is_version(
    names: &[Box<str>],
    version: Result<Option<&RequestVersion>, VersionFault>,
) -> Truth {
    let version = match version {
        Ok(version) => version,
        Err(fault) => return Truth::Unknown(Fault::Condition(Undecidable::Version(fault))),
    };
    let name = version.and_then(RequestVersion::name);
    Truth::of(name.is_some_and(|name| names.iter().any(|each| **each == *name)))
}

/// Whether the fields of operations that a GraphQL request asks for are some of these: all of them where that
/// allows, and one of them where it denies, so that a field beside it changes nothing. Of a request that has not
/// been read, `unread`.
pub(super) fn asks_for(
    patterns: &[GraphqlField],
    action: RuleAction,
    test: &FieldTest,
    facts: &Facts,
    unread: Truth,
    effort: &Effort,
) -> Truth {
    let asked = match facts.graphql() {
        None => return unread,
        Some(Err(_)) => return Truth::Unknown(Fault::Graphql),
        Some(Ok(asked)) => asked,
    };
    let price = (patterns.len() as u64).saturating_mul(asked.fields().len() as u64);
    if effort.spend(price).is_err() {
        return Truth::Unknown(Fault::Effort);
    }
    let mut fields = asked.fields().iter();
    let is_listed = |field: &str| patterns.iter().any(|pattern| pattern.has(field));
    let needs_all = (action == RuleAction::Allow) != test.is_negated;
    Truth::of(match needs_all {
        true => fields.all(|field| is_listed(field)),
        false => fields.any(|field| is_listed(field)),
    })
}

/// Whether the path of a request is one of these, in all ways in which it may be read.
pub(super) fn is_path(
    paths: &[PathPattern],
    target: &Target,
    others: &[Target],
    effort: &Effort,
) -> Truth {
    let fits = |target: &Target| {
        let fits = |pattern: &PathPattern| pattern.matches(target, effort);
        fits_one(paths, target.path(), fits, effort)
    };
    let holds = match fits(target) {
        Ok(holds) => holds,
        Err(TooCostly) => return Truth::Unknown(Fault::Effort),
    };
    for other in others {
        match fits(other) {
            Ok(same) if same == holds => {}
            Ok(_) => return Truth::Unknown(Fault::Readings),
            Err(TooCostly) => return Truth::Unknown(Fault::Effort),
        }
    }
    Truth::of(holds)
}

/// The same of a path that can be read in one way alone, in which upper and lower case differ.
pub(super) fn is_plain_path(paths: &[PathPattern], path: &str, effort: &Effort) -> Truth {
    let fits = |pattern: &PathPattern| pattern.matches_path(path, effort);
    match fits_one(paths, path, fits, effort) {
        Ok(holds) => Truth::of(holds),
        Err(TooCostly) => Truth::Unknown(Fault::Effort),
    }
}

fn fits_one(
    paths: &[PathPattern],
    path: &str,
    fits: impl Fn(&PathPattern) -> Result<bool, TooCostly>,
    effort: &Effort,
) -> Result<bool, TooCostly> {
    let price = (path.len() as u64 / BYTES_COMPARED_BY_A_STEP).saturating_add(1);
    for pattern in paths {
        effort.spend(price)?;
        if fits(pattern)? {
            return Ok(true);
        }
    }
    Ok(false)
}
