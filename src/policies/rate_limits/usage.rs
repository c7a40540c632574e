//! On which routes limits stand, and what of them can never do anything there.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::share::Remark;
use crate::versions::VersionSchemes;
use portcullis_document::{Fields, Pointer};
use portcullis_exchange::condition::VersionTest;
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::policy::Placement;
use portcullis_exchange::section::Finishing;

/// On what kinds of routes one limit stands.
#[derive(Debug, Default)]
pub(super) struct Usage {
    is_used: Cell<bool>,
    /// Routes that ask for credentials.
    guarded: Cell<bool>,
    /// Of these, such as refuse bad ones.
    refusing: Cell<bool>,
    /// How requests of these routes name versions.
    schemes: VersionSchemes,
}

impl Usage {
    /// Notes a route that it stands on.
    pub(super) fn placed(&self, route: &Placement<'_>) {
        self.is_used.set(true);
        if let Some(scheme) = route.versions {
            self.schemes.meet(scheme);
        }
        if let Some(mode) = route.guard {
            self.guarded.set(true);
            if mode == Mode::Enforce {
                self.refusing.set(true);
            }
        }
    }
}

/// A limit as it is written, and what it needs of its routes.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) usage: Rc<Usage>,
    pub(super) place: Pointer,
    /// A field that asks who was identified.
    pub(super) identity: Option<&'static str>,
    /// Whether only refused credentials are charged.
    pub(super) needs_refusals: bool,
    /// Where the key names the version of the request, if it does.
    pub(super) key_of_version: Option<Pointer>,
    /// What conditions of tiers ask of the version.
    pub(super) version_tests: Vec<VersionTest>,
    /// What may not be what was meant, each with its field.
    pub(super) remarks: Vec<Remark>,
}

impl Written {
    pub(super) fn at(fields: &Fields<'_>) -> Self {
        Self {
            usage: Rc::default(),
            place: fields.pointer().clone(),
            identity: None,
            needs_refusals: false,
            key_of_version: None,
            version_tests: Vec::new(),
            remarks: Vec::new(),
        }
    }
}

impl Written {
    /// Reports versions that it goes by and that no request on its routes has.
    fn check_versions(&self, finishing: &mut Finishing<'_>) {
        let tests = self.version_tests.iter();
        let mut places = self
            .key_of_version
            .iter()
            .chain(tests.map(|test| &test.place));
        let Some(first) = places.next() else {
            return;
        };
        let placed = Some(&self.usage.schemes).filter(|_| self.usage.is_used.get());
        let known = VersionSchemes::known(placed, finishing);
        let known = match known {
            Ok(known) => known,
            Err(reason) => return finishing.problems.report(first, reason),
        };
        let known: Vec<&str> = known.iter().map(|name| &**name).collect();
        for test in &self.version_tests {
            if let Some(reason) = test.impossible(&known) {
                finishing.problems.report(&test.place, reason);
            }
        }
    }
}

/// All limits of a document.
#[derive(Debug, Default)]
pub(super) struct Usages {
    written: RefCell<Vec<Written>>,
    /// Whether limits of a route could not be read, so that not all is known.
    is_incomplete: Cell<bool>,
}

impl Usages {
    pub(super) fn add(&self, written: Written) {
        if let Ok(mut all) = self.written.try_borrow_mut() {
            all.push(written);
        }
    }

    /// Notes that limits of a route could not be read.
    pub(super) fn lack(&self) {
        self.is_incomplete.set(true);
    }

    /// Reports what can never do what it says, when all routes are known.
    pub(super) fn check(&self, finishing: &mut Finishing<'_>) {
        let Ok(written) = self.written.try_borrow() else {
            return;
        };
        if self.is_incomplete.get() {
            return;
        }
        for limit in &*written {
            limit.check_versions(finishing);
            let Finishing {
                notes, problems, ..
            } = finishing;
            let Written {
                usage,
                place,
                identity,
                needs_refusals,
                key_of_version: _,
                version_tests: _,
                remarks,
            } = limit;
            if !usage.is_used.get() {
                notes.push(format!("{place}: no route has this limit"));
                continue;
            }
            let remarks = remarks.iter();
            notes.extend(remarks.map(|(field, text)| format!("{place}/{field}: {text}")));
            if let Some(field) = identity.filter(|_| !usage.guarded.get()) {
                problems.report(
                    &place.member(field),
                    "no route with this limit asks for credentials, so nobody has a subject or a claim; use \"client_address\", or another part that every request has",
                );
            }
            match (*needs_refusals, usage.guarded.get(), usage.refusing.get()) {
                (true, false, _) => problems.report(
                    &place.member("charge"),
                    "no route with this limit asks for credentials, so nothing is ever charged; to count what the service refuses, write `{ \"on_status\": [401] }`",
                ),
                (true, true, false) => notes.push(format!(
                    "{place}/charge: credentials are asked for in shadow mode alone, so nothing is charged"
                )),
                _ => {}
            }
        }
    }
}
