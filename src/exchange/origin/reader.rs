//! How a list of origins is read, and what of it may not have been meant.

use super::allowed::Below;
use super::strangers::{Accepted, Strangers, is_cleartext};
use super::{Origin, public_suffix};
use portcullis_document::{Case, Fields, LeftOut, Node, Problems, Quoted};
use portcullis_wire::effort::TooCostly;
use portcullis_wire::headers::HeaderValue;
use portcullis_wire::regex::{self, Regex};

/// What the pages of listed origins may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Read what everybody may read.
    Read,
    /// Act as the user whose browser shows them.
    ActAsUser,
}

/// Reads one list.
pub(super) struct Reader<'n> {
    power: Power,
    /// What is valid, and may still not be what was meant.
    notes: &'n mut Vec<String>,
}

/// One item of a list.
pub(super) enum Item {
    Any,
    Null,
    Exact(HeaderValue),
    Below(Below),
    Regex(Regex),
}

impl<'n> Reader<'n> {
    pub(super) fn new(power: Power, notes: &'n mut Vec<String>) -> Self {
        Self { power, notes }
    }

    pub(super) fn item(&mut self, node: &Node<'_>, problems: &mut Problems) -> Option<Item> {
        const FORMS: &str = "needs one of \"exact\", \"wildcard\", \"regex\", such as {\"exact\": \"https://app.example.com\"}";
        if node.json().as_str().is_some() {
            node.report(problems, FORMS);
            return None;
        }
        let mut fields = node.fields(problems)?;
        let item = self.one(&mut fields, problems, FORMS);
        fields.deny_unknown(problems);
        item
    }

    fn one(
        &mut self,
        fields: &mut Fields<'_>,
        problems: &mut Problems,
        forms: &str,
    ) -> Option<Item> {
        let exact = fields.optional("exact");
        let wildcard = fields.optional("wildcard");
        let regex = fields.optional("regex");
        match (exact, wildcard, regex) {
            (Some(node), None, None) => self.exact(&node, problems),
            (None, Some(node), None) => self.wildcard(&node, problems),
            (None, None, Some(node)) => self.regex(&node, problems).map(Item::Regex),
            _ => {
                fields.lacks(&["exact", "wildcard", "regex"], problems, forms);
                None
            }
        }
    }

    fn exact(&mut self, node: &Node<'_>, problems: &mut Problems) -> Option<Item> {
        let written = node.text(problems)?;
        if written == "null" {
            if self.power == Power::ActAsUser {
                node.report(
                    problems,
                    "any page can take the origin `null`, in a sandboxed frame, and would act as the user; take it away",
                );
                return None;
            }
            return Some(Item::Null);
        }
        if written.contains('*') {
            node.report(problems, "is not one origin; write it as `wildcard`");
            return None;
        }
        match Origin::parse(written) {
            Ok(origin) => {
                if is_cleartext(&origin) {
                    self.cleartext(node, written);
                }
                HeaderValue::parse(written.as_bytes()).ok().map(Item::Exact)
            }
            Err(error) => {
                node.report(problems, error);
                None
            }
        }
    }

    fn wildcard(&mut self, node: &Node<'_>, problems: &mut Problems) -> Option<Item> {
        let written = node.text(problems)?;
        if written == "*" {
            return Some(Item::Any);
        }
        // Which names are anybody's is a long list, and left out with expressions.
        if !regex::AVAILABLE {
            node.report(problems, LeftOut::PATTERNS);
            return None;
        }
        let below = match Below::read(written) {
            Ok(below) => below,
            Err(error) => {
                node.report(problems, error);
                return None;
            }
        };
        let host = below.suffix.trim_matches('.');
        if host.contains('.') && public_suffix::suffix(host) == host {
            let host = Quoted(host);
            let why =
                format_args!("anybody can have a name below {host}, a public suffix").to_string();
            match self.power {
                Power::ActAsUser => {
                    let reason = format_args!(
                        "{why}, and would act as the user; name the domain below it that is yours"
                    );
                    node.report(problems, reason);
                    return None;
                }
                Power::Read => self.note(node, &why),
            }
        }
        if below.scheme == "http" && host != "localhost" {
            self.cleartext(node, written);
        }
        Some(Item::Below(below))
    }

    /// Everywhere in a document an expression must match the whole value. Here it must say so as
    /// well: elsewhere such expressions search, and one that was copied may have been meant to.
    fn regex(&mut self, node: &Node<'_>, problems: &mut Problems) -> Option<Regex> {
        let regex = node.regex(problems, Case::Significant);
        if !regex::AVAILABLE {
            return None;
        }
        let regex = regex?;
        let pattern = node.text(problems)?;
        if !pattern.starts_with('^') || !pattern.ends_with('$') || pattern.ends_with("\\$") {
            node.report(
                problems,
                "must begin with `^` and end with `$`: a part of an origin can be anybody's",
            );
            return None;
        }
        if has_bare_dot(pattern) {
            node.report(
                problems,
                "a `.` that is not repeated stands for any character, and so for other people's domains; write `\\.`",
            );
            return None;
        }
        self.accepted(node, &regex, pattern, problems)?;
        Some(regex)
    }

    /// Judges an expression by what it accepts.
    fn accepted(
        &mut self,
        node: &Node<'_>,
        regex: &Regex,
        pattern: &str,
        problems: &mut Problems,
    ) -> Option<()> {
        let accepted = problems.with_memory(|known: &mut Strangers| known.among(regex, pattern));
        match (accepted, self.power) {
            (Err(TooCostly), Power::Read) => {}
            (Err(TooCostly), Power::ActAsUser) => {
                let reason = "is too large to tell whether it accepts origins of strangers, who would act as the user; list the origins";
                node.report(problems, reason);
                return None;
            }
            (
                Ok(Accepted {
                    stranger: Some(stranger),
                    ..
                }),
                Power::ActAsUser,
            ) => {
                let stranger = Quoted(&stranger);
                let reason = format_args!("accepts {stranger} as well, which anybody could have, and would act as the user; write out the domains that are yours").to_string();
                node.report(problems, reason);
                return None;
            }
            (
                Ok(Accepted {
                    stranger: Some(stranger),
                    ..
                }),
                Power::Read,
            ) => {
                let stranger = Quoted(&stranger);
                let why = format_args!("accepts {stranger} as well, which anybody could have")
                    .to_string();
                self.note(node, &why);
            }
            (
                Ok(Accepted {
                    stranger: None,
                    cleartext,
                }),
                _,
            ) => {
                if let Some(origin) = cleartext {
                    self.cleartext(node, &origin);
                }
            }
        }
        Some(())
    }

    fn cleartext(&mut self, node: &Node<'_>, origin: &str) {
        if self.power == Power::ActAsUser {
            let origin = Quoted(origin);
            let why = format_args!("pages of {origin} come without TLS: whoever is on their way can write them, and act as the user").to_string();
            self.note(node, &why);
        }
    }

    fn note(&mut self, node: &Node<'_>, why: &str) {
        self.notes.push(format!("{}: {why}", node.pointer()));
    }
}

/// Whether a `.` outside a class stands for one character of any kind.
fn has_bare_dot(pattern: &str) -> bool {
    let mut characters = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '.' if !in_class && !matches!(characters.peek(), Some('*' | '+' | '?' | '{')) => {
                return true;
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_that_stand_for_anything_are_found() {
        for bare in ["^https://app.example$", "^a(.)b$", "^.$", "^\\\\.a$"] {
            assert!(has_bare_dot(bare), "{bare}");
        }
        for fine in [
            "^https://app\\.example$",
            "^.*\\.a$",
            "^[^.]+$",
            "^a.{1,3}$",
            "^[.]$",
        ] {
            assert!(!has_bare_dot(fine), "{fine}");
        }
    }
}
