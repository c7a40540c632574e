//! The members of an object of the document.

use std::fmt;

use super::foreign;
use super::misplaced;
use super::node::Node;
use super::problem::{Pointer, Problems, Quoted, is_near, nearest};
use portcullis_wire::json::Object;

/// The members of an object, taken one by one; what nobody took is unknown.
#[derive(Debug)]
pub struct Fields<'d> {
    object: &'d Object,
    pointer: Pointer,
    known: Vec<&'static str>,
    /// Members that have been reported already.
    reported: Vec<&'d str>,
    /// What has been reported as lacking, and in what words.
    lacked: Vec<(Vec<String>, String)>,
}

impl<'d> Fields<'d> {
    /// Those of an object that stands there.
    #[inline(never)]
    pub fn of(object: &'d Object, pointer: Pointer) -> Self {
        Self {
            object,
            pointer,
            known: Vec::new(),
            reported: Vec::new(),
            lacked: Vec::new(),
        }
    }

    /// The place of the object.
    pub fn pointer(&self) -> &Pointer {
        &self.pointer
    }

    /// A member that may be absent. `null` is not absence.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn optional(&mut self, name: &'static str) -> Option<Node<'d>> {
        ask!(&self.pointer, Member(name));
        self.known.push(name);
        let json = self.object.member(name)?;
        Some(Node::at(json, self.pointer.member(name)))
    }

    /// A member that must be there.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn required(&mut self, name: &'static str, problems: &mut Problems) -> Option<Node<'d>> {
        let node = self.optional(name);
        if node.is_none() {
            let reason = format_args!("lacks the field {}", Quoted(name)).to_string();
            self.lacks(&[name], problems, reason);
        }
        node
    }

    /// Notes that none of these members is there. One that seems to be meant is the problem then.
    #[cfg_attr(feature = "record", track_caller)]
    pub fn lacks(&mut self, names: &[&str], problems: &mut Problems, reason: impl fmt::Display) {
        self.note_lack(names, problems, &reason);
    }

    #[cold]
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    fn note_lack(&mut self, names: &[&str], problems: &mut Problems, reason: &dyn fmt::Display) {
        ask!(
            &self.pointer,
            Lacks(names.iter().map(|name| (*name).to_owned()).collect())
        );
        if !self.misnames(names, problems) {
            let reason = reason.to_string();
            problems.report(&self.pointer, &reason);
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            self.lacked.push((names, reason));
        }
    }

    /// Whether one of these members seems to be there under a wrong name. That is noted.
    #[inline(never)]
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
    #[cfg_attr(feature = "record", track_caller)]
    pub fn or_default<T>(
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
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn deny_unknown(self, problems: &mut Problems) {
        ask!(&self.pointer, Closed);
        let known = |name: &str| self.known.contains(&name) || self.reported.contains(&name);
        for (name, _) in self.object.iter().filter(|(name, _)| !known(name)) {
            if problems.is_full() {
                return;
            }
            self.report_unknown(name, problems);
        }
    }

    fn report_unknown(&self, name: &str, problems: &mut Problems) {
        let is_typo = !foreign::is_word_of_others(name)
            && self.known.iter().any(|known| is_near(name, known));
        let near = nearest(name, self.known.iter().copied());
        let elsewhere = || {
            foreign::cure(name, &self.known)
                .or_else(|| misplaced::home(name, &self.known, problems.words()))
        };
        let cure = match elsewhere().filter(|_| !is_typo) {
            Some(cure) => Some(cure),
            None if foreign::is_word_of_others(name) => None,
            None => near.map(|near| format!("did you mean {}?", Quoted(near))),
        };
        let Some(cure) = cure else {
            problems.report(&self.pointer.member(name), "unknown field");
            return;
        };
        let reason = format_args!("unknown field; {cure}").to_string();
        problems.report_misnamed(&self.pointer, name, reason);
        // Now that all fields are known, it is plain for which of them it stands.
        let stands_for = |lacking: &String| {
            near == Some(lacking)
                || foreign::stands_for(name, lacking)
                || misplaced::object(name, &self.known) == Some(lacking)
        };
        for (names, reason) in &self.lacked {
            if names.iter().any(stands_for) {
                problems.retract(&self.pointer, reason);
            }
        }
    }
}
