//! The members of an object of the document.

use std::fmt;

use super::foreign;
use super::node::Node;
use super::problem::{DidYouMean, Pointer, Problems, Quoted, is_near};
use crate::json::Object;

/// The members of an object, taken one by one; what nobody took is unknown.
#[derive(Debug)]
pub struct Fields<'d> {
    object: &'d Object,
    pointer: Pointer,
    known: Vec<&'static str>,
    /// Members that have been reported already.
    reported: Vec<&'d str>,
}

impl<'d> Fields<'d> {
    /// Those of an object that stands there.
    pub(super) fn of(object: &'d Object, pointer: Pointer) -> Self {
        Self {
            object,
            pointer,
            known: Vec::new(),
            reported: Vec::new(),
        }
    }

    /// The place of the object.
    pub fn pointer(&self) -> &Pointer {
        &self.pointer
    }

    /// A member that may be absent. `null` is not absence.
    pub fn optional(&mut self, name: &'static str) -> Option<Node<'d>> {
        self.known.push(name);
        let json = self.object.member(name)?;
        Some(Node::at(json, self.pointer.member(name)))
    }

    /// A member that must be there.
    pub fn required(&mut self, name: &'static str, problems: &mut Problems) -> Option<Node<'d>> {
        let node = self.optional(name);
        if node.is_none() {
            let reason = format_args!("lacks the field {}", Quoted(name)).to_string();
            self.lacks(&[name], problems, reason);
        }
        node
    }

    /// Notes that none of these members is there. One that seems to be meant is the problem then.
    pub fn lacks(&mut self, names: &[&str], problems: &mut Problems, reason: impl fmt::Display) {
        if !self.misnames(names, problems) {
            problems.report(&self.pointer, reason);
        }
    }

    /// Whether one of these members seems to be there under a wrong name. That is noted.
    pub fn misnames(&mut self, names: &[&str], problems: &mut Problems) -> bool {
        let is_meant = |written: &str| {
            let mut names = names.iter();
            names.any(|name| is_near(written, name) || foreign::stands_for(written, name))
        };
        let mut written = self.object.iter().map(|(written, _)| written);
        let meant = written.find(|written| !self.known.contains(written) && is_meant(written));
        let Some(meant) = meant else {
            return false;
        };
        if !self.reported.contains(&meant) {
            self.reported.push(meant);
            self.report_unknown(meant, problems);
        }
        true
    }

    /// A member read by `read`, or `default` when it is absent; `None` when it is there and wrong.
    pub fn or<T>(
        &mut self,
        name: &'static str,
        default: T,
        problems: &mut Problems,
        read: impl FnOnce(&Node<'d>, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        match self.optional(name) {
            None => Some(default),
            Some(node) => read(&node, problems),
        }
    }

    /// Reports every member that nobody asked for.
    pub fn finish(self, problems: &mut Problems) {
        let known = |name: &str| self.known.contains(&name) || self.reported.contains(&name);
        for (name, _) in self.object.iter().filter(|(name, _)| !known(name)) {
            if problems.is_full() {
                return;
            }
            self.report_unknown(name, problems);
        }
    }

    fn report_unknown(&self, name: &str, problems: &mut Problems) {
        let is_typo = self.known.iter().any(|known| is_near(name, known));
        match foreign::cure(name, &self.known) {
            Some(cure) if !is_typo => {
                let reason = format_args!("unknown field; {cure}").to_string();
                problems.report_misnamed(&self.pointer, name, reason);
            }
            _ => {
                let near = DidYouMean(name, self.known.iter().copied()).to_string();
                let reason = format_args!("unknown field{near}").to_string();
                match near.is_empty() {
                    true => problems.report(&self.pointer.member(name), reason),
                    false => problems.report_misnamed(&self.pointer, name, reason),
                }
            }
        }
    }
}
