//! Who vouches for the callers that a rule meets: what it asks for has to be something that they may have.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use portcullis_document::{DidYouMean, Node, Pointer, Problems, Quoted};
use portcullis_exchange::policy::{RoleSource, RouteCredentials};
use portcullis_exchange::principal::CredentialKind;
use portcullis_wire::json::Json;

use super::rule::{AccessRule, FieldTest, RuleAction, Values};

/// Who vouches for callers on the routes of a rule.
#[derive(Debug, Default)]
pub(super) struct Vouchers {
    known: RefCell<KnownVouchers>,
    /// Whether the credentials of one of the routes cannot be read, which has been reported.
    is_unclear: Cell<bool>,
    /// Whether on one of the routes that ask for credentials nobody can have a role.
    is_without_roles: Cell<bool>,
}

#[derive(Debug, Default)]
struct KnownVouchers {
    /// By the kind of what they vouch for, and by name.
    authorities: Vec<(CredentialKind, Rc<str>)>,
    /// Which roles their callers may have.
    roles: Vec<Rc<dyn RoleSource>>,
}

/// The sections of the document whose members vouch for callers, by name.
const SECTIONS: [&str; 5] = [
    "providers",
    "api_key_stores",
    "certificates",
    "introspection_servers",
    "signers",
];

impl Vouchers {
    /// Takes up those of a route.
    fn take_up(&self, credentials: &RouteCredentials<'_>) {
        if credentials.guard.is_none() {
            return;
        }
        if credentials.asked.is_empty() {
            self.is_unclear.set(true);
        }
        let asked = || credentials.asked.iter();
        if asked().all(|asked| asked.roles.is_empty()) {
            self.is_without_roles.set(true);
        }
        let Ok(mut known) = self.known.try_borrow_mut() else {
            return;
        };
        for source in asked().flat_map(|asked| &asked.roles) {
            if !known.roles.iter().any(|each| Rc::ptr_eq(each, source)) {
                known.roles.push(Rc::clone(source));
            }
        }
        for authority in asked().flat_map(|asked| &asked.authorities) {
            if !known.authorities.contains(authority) {
                known.authorities.push(authority.clone());
            }
        }
    }
}

impl AccessRule {
    /// Takes up who vouches for callers on one of its routes, if it asks for what only some of them have.
    pub(super) fn meet(&self, credentials: &RouteCredentials<'_>) {
        let is_of_vouchers = |test: &FieldTest| {
            matches!(
                test.values,
                Values::Roles(_) | Values::Authorities(_) | Values::Credentials(_)
            )
        };
        if self.tests().any(is_of_vouchers) {
            self.usage.vouchers.take_up(credentials);
        }
    }

    /// Reports what nobody on the routes of the rule can have: a denial by it would let everybody pass.
    pub(super) fn check_vouchers(
        &self,
        document: &Node<'_>,
        notes: &mut Vec<String>,
        problems: &mut Problems,
    ) {
        let vouchers = &self.usage.vouchers;
        let Ok(known) = vouchers.known.try_borrow() else {
            return;
        };
        let is_known = self.usage.is_guarded.get() && !vouchers.is_unclear.get();
        for test in self.tests() {
            match &test.values {
                Values::Roles(texts) if is_known => {
                    check_roles(test, &texts.exact, &known.roles, problems);
                    let lets_pass = (self.action == RuleAction::Deny) != test.is_negated;
                    let is_partial = vouchers.is_without_roles.get() && !known.roles.is_empty();
                    if lets_pass && is_partial {
                        notes.push(format!(
                            "{}: on some routes of this rule nobody has a role, since who vouches for callers there has no `roles`: there it {}",
                            test.at,
                            match test.is_negated {
                                true => "holds for everybody",
                                false => "denies nobody",
                            }
                        ));
                    }
                }
                Values::Authorities(names) => {
                    let known = is_known.then_some(&*known);
                    for (place, name) in names.iter().enumerate() {
                        let at = test.at.item(place);
                        check_authority(&at, name, known, document, notes, problems);
                    }
                }
                Values::Credentials(kinds) if is_known => {
                    let never = kinds.iter().filter(|kind| {
                        let mut accepted = known.authorities.iter();
                        !accepted.any(|(other, _)| other == *kind)
                    });
                    notes.extend(never.map(|kind| {
                        format!(
                            "{}: no route of this rule accepts a credential of the kind {}",
                            test.at,
                            Quoted(kind.name())
                        )
                    }));
                }
                _ => {}
            }
        }
    }
}

fn check_roles(
    test: &FieldTest,
    roles: &[Box<str>],
    sources: &[Rc<dyn RoleSource>],
    problems: &mut Problems,
) {
    if sources.is_empty() {
        problems.report(
            &test.at,
            "nobody has a role here: who vouches for callers on the routes of this rule has no `roles`; add `roles: {\"from\": [\"…\"]}` there",
        );
        return;
    }
    for role in roles {
        if sources.iter().any(|source| source.can_give(role)) {
            continue;
        }
        let names = sources.iter().flat_map(|source| source.names());
        let names: Vec<&str> = names.collect();
        let near = DidYouMean(role, names.iter().copied());
        problems.report(
            &test.at,
            format_args!(
                "nobody has the role {} here: no `roles` of who vouches for callers on the routes of this rule gives it{near}",
                Quoted(role)
            ),
        );
    }
}

/// Looks at the name of who vouches, which stands there; `known` are those of its routes, if these are known.
fn check_authority(
    at: &Pointer,
    name: &str,
    known: Option<&KnownVouchers>,
    document: &Node<'_>,
    notes: &mut Vec<String>,
    problems: &mut Problems,
) {
    let sections = SECTIONS.iter().filter_map(|name| document.member(name));
    let objects = sections.filter_map(|section| match section.json() {
        Json::Object(object) => Some(object),
        _ => None,
    });
    let names = objects.flat_map(|object| object.iter().map(|(name, _)| name));
    let names: Vec<&str> = names.collect();
    let is_amiss = |section: &&str| problems.is_amiss(&Pointer::default(), section);
    if !names.contains(&name) {
        if SECTIONS.iter().any(is_amiss) {
            return;
        }
        let near = DidYouMean(name, names.iter().copied());
        problems.report(
            at,
            format_args!(
                "nobody in the document who vouches for callers is named {}{near}",
                Quoted(name)
            ),
        );
        return;
    }
    let mut accepted = known.into_iter().flat_map(|known| &known.authorities);
    if known.is_some() && !accepted.any(|(_, each)| **each == *name) {
        notes.push(format!(
            "{at}: no route of this rule accepts what {} vouches for",
            Quoted(name)
        ));
    }
}
