//! On which routes limits stand, and what of them can never do anything there.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::share::Remark;
use portcullis_document::{Fields, Pointer, Problems};
use portcullis_exchange::enforcement::Mode;

/// On what kinds of routes one limit stands.
#[derive(Debug, Default)]
pub(super) struct Usage {
    is_used: Cell<bool>,
    /// Routes that ask for credentials.
    guarded: Cell<bool>,
    /// Of these, such as refuse bad ones.
    refusing: Cell<bool>,
}

impl Usage {
    /// Notes a route that asks for credentials in that mode, or for none.
    pub(super) fn placed(&self, guard: Option<Mode>) {
        self.is_used.set(true);
        if let Some(mode) = guard {
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
            remarks: Vec::new(),
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
    pub(super) fn check(&self, problems: &mut Problems, notes: &mut Vec<String>) {
        let Ok(written) = self.written.try_borrow() else {
            return;
        };
        if self.is_incomplete.get() {
            return;
        }
        for Written {
            usage,
            place,
            identity,
            needs_refusals,
            remarks,
        } in &*written
        {
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
