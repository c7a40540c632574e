//! What a caller is: one list of roles, from wherever issuers and stores write them.
//!
//! INVARIANT: what stands where roles are looked for is read as a whole or refuses the caller. A role that
//! was left out in silence could be one by which a rule denies.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::few::read_few;
use portcullis_document::{DidYouMean, Fields, Node, Pointer, Problems, Quoted};
use portcullis_exchange::condition::ClaimPath;
use portcullis_exchange::policy::RoleSource;
use portcullis_exchange::principal::{CollectedRoles, Roles, RolesError};
use portcullis_exchange::refusal::{Detail, Fact};
use portcullis_wire::budget::Share;
use portcullis_wire::json::Json;
use portcullis_wire::json::compact::{Compact, Value};
use portcullis_wire::sort;

/// How an authority comes by the roles of its callers.
#[derive(Debug, Default)]
pub(super) struct RoleRules(Option<Rc<RoleReader>>);

#[derive(Debug)]
struct RoleReader {
    /// Where they stand, by the names of claims.
    from: Vec<ClaimPath>,
    /// What is taken away in front of a name: the first that fits.
    prefixes: Vec<Box<str>>,
    /// Which roles a name gives; nothing is looked up if it is empty.
    map: BTreeMap<Box<str>, Vec<Box<str>>>,
    unmapped: Unmapped,
}

/// What becomes of a name that is not mapped, where others are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unmapped {
    /// It is no role.
    Dropped,
    /// It is one.
    Kept,
}

/// The most names that are mapped.
const MOST_MAPPED: usize = 1000;
/// What each takes of memory, beside its bytes.
const EACH: usize = 96;

impl RoleRules {
    /// Reads `roles: { from, strip_prefix, map, unmapped }`.
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        let rules = fields.or_default("roles", None, problems, |node, problems| {
            RoleReader::read(node, problems).map(Some)
        })?;
        Some(Self(rules.map(Rc::new)))
    }

    /// Whether callers have no roles at all.
    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Which roles callers may have; none if they have none at all.
    pub(super) fn source(&self) -> Option<Rc<dyn RoleSource>> {
        let reader = Rc::clone(self.0.as_ref()?);
        Some(reader)
    }

    /// How many bytes of memory the roles of one caller take at most.
    pub(super) fn most_memory(&self) -> usize {
        /// What is counted around them.
        const AROUND: usize = 64;
        match self.0 {
            None => 0,
            Some(_) => Roles::MOST_BYTES.saturating_add(AROUND),
        }
    }

    /// The roles of whom that is known.
    ///
    /// # Errors
    /// What cannot be read, for the log; the place is within the block of the authority.
    pub(super) fn of(&self, attributes: &Compact) -> Result<Roles, Detail> {
        match &self.0 {
            None => Ok(Roles::default()),
            Some(rules) => rules.of(attributes),
        }
    }

    /// Whether the roles can be told of whom the document says that, at that place. What is wrong is reported.
    pub(super) fn tells(
        &self,
        attributes: &Compact,
        place: &Pointer,
        problems: &mut Problems,
    ) -> bool {
        let Err(detail) = self.of(attributes) else {
            return true;
        };
        let word = |wanted: &str| {
            let mut facts = detail.facts().iter().filter(|(name, _)| *name == wanted);
            facts.next().map_or("", |(_, fact)| match fact {
                Fact::Word(word) => word,
                _ => "",
            })
        };
        let (most, bytes, longest) = (Roles::MOST, Roles::MOST_BYTES, Roles::LONGEST);
        let reason = match word("fault") {
            "kind" => format!(
                "`roles` looks in it for names of roles, and finds: {}; write a list of strings, or words with blanks between them",
                word("found")
            ),
            "too_many" => format!("has more than {most} roles, or more than {bytes} bytes of them"),
            _ => {
                format!("has a role that is none: 1 to {longest} bytes without control characters")
            }
        };
        problems.report(place, reason);
        false
    }

    /// Reports a role that no caller can have.
    pub(super) fn check(&self, role: &str, place: &Pointer, problems: &mut Problems) -> Option<()> {
        let Some(rules) = &self.0 else {
            problems.report(
                place,
                "cannot be met: who vouches for these callers has no `roles`, so that none of them has any; add `roles: {\"from\": [\"…\"]}` there",
            );
            return None;
        };
        if rules.can_give(role) {
            return Some(());
        }
        let near = DidYouMean(role, rules.names().into_iter());
        let reason = format_args!(
            "cannot be met: `roles` of who vouches for these callers gives nobody the role {}{near}",
            Quoted(role)
        );
        problems.report(place, reason);
        None
    }
}

impl RoleReader {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.object(problems, "{\"from\": [\"/realm_access/roles\"]}")?;
        let from = fields
            .required("from", problems)
            .and_then(|node| read_few(&node, problems, ClaimPath::read));
        let prefixes = fields.or_default("strip_prefix", Vec::new(), problems, read_prefixes);
        let has_map = fields.optional("map");
        let map = match &has_map {
            None => Some(BTreeMap::new()),
            Some(node) => read_map(node, prefixes.as_deref().unwrap_or_default(), problems),
        };
        let says_unmapped = fields.optional("unmapped");
        let unmapped = match (&says_unmapped, &has_map) {
            (None, _) => Some(Unmapped::Dropped),
            (Some(node), None) => {
                node.report(
                    problems,
                    "says nothing here: without `map` every name is a role; take it out",
                );
                None
            }
            (Some(node), Some(_)) => node.choice(
                problems,
                &[("drop", Unmapped::Dropped), ("keep", Unmapped::Kept)],
            ),
        };
        fields.deny_unknown(problems);
        let rules = Self {
            from: from?,
            prefixes: prefixes?,
            map: map?,
            unmapped: unmapped?,
        };
        problems.account(node.pointer(), Share::Documents, rules.memory());
        Some(rules)
    }

    fn of(&self, attributes: &Compact) -> Result<Roles, Detail> {
        let mut roles = CollectedRoles::default();
        for (place, path) in self.from.iter().enumerate() {
            let fault = |fault: &'static str| {
                let detail = Detail::within(format!("/roles/from/{place}"));
                let detail = detail.and("claim", Fact::trusted(&path.to_string()));
                detail.and("fault", Fact::Word(fault))
            };
            let kind = |value: Value<'_>| fault("kind").and("found", Fact::Word(value.kind()));
            let mut add = |name| {
                self.add(name, &mut roles)
                    .map_err(|error| fault(word(error)))
            };
            match path.value(attributes) {
                None | Some(Value::Null) => {}
                Some(Value::String(words)) => {
                    let mut words = words.split(' ').filter(|word| !word.is_empty());
                    words.try_for_each(add)?;
                }
                Some(Value::Array(items)) => {
                    for item in items.iter() {
                        add(item.as_str().ok_or_else(|| kind(item))?)?;
                    }
                }
                Some(other) => return Err(kind(other)),
            }
        }
        Ok(roles.finish())
    }

    /// Adds what a name gives.
    fn add<'n>(
        &'n self,
        written: &'n str,
        collected: &mut CollectedRoles<'n>,
    ) -> Result<(), RolesError> {
        let mut prefixes = self.prefixes.iter();
        let name = prefixes.find_map(|prefix| written.strip_prefix(&**prefix));
        let name = name.unwrap_or(written);
        match self.map.get(name) {
            Some(roles) => roles.iter().try_for_each(|role| collected.add(role)),
            None if !self.map.is_empty() && self.unmapped == Unmapped::Dropped => Ok(()),
            None => collected.add(name),
        }
    }

    fn memory(&self) -> usize {
        let prefixes = self.prefixes.iter().map(|prefix| prefix.len());
        let mapped = self.map.iter().flat_map(|(name, roles)| {
            let roles = roles.iter().map(|role| role.len());
            roles.chain([name.len()])
        });
        let from = self.from.iter().map(|path| path.to_string().len());
        let texts = prefixes.chain(mapped).chain(from);
        texts.fold(size_of::<Self>(), |sum, text| {
            sum.saturating_add(text).saturating_add(EACH)
        })
    }
}

impl RoleSource for RoleReader {
    fn can_give(&self, role: &str) -> bool {
        let is_mapped = self.map.values().flatten().any(|each| **each == *role);
        let is_kept = self.map.is_empty() || self.unmapped == Unmapped::Kept;
        let mut prefixes = self.prefixes.iter();
        let is_stripped = prefixes.any(|prefix| role.starts_with(&**prefix));
        is_mapped || (is_kept && !is_stripped && !self.map.contains_key(role))
    }

    fn names(&self) -> Vec<&str> {
        let given = self.map.values().flatten();
        given.map(|role| &**role).collect()
    }
}

/// The word in the log.
fn word(error: RolesError) -> &'static str {
    match error {
        RolesError::Length => "length",
        RolesError::Characters => "characters",
        RolesError::TooMany => "too_many",
    }
}

fn read_prefixes(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<Box<str>>> {
    let read = |node: &Node<'_>, problems: &mut Problems| node.non_empty(problems).map(Box::from);
    let prefixes: Vec<Box<str>> = match node.json() {
        Json::String(_) => vec![read(node, problems)?],
        _ => read_few(node, problems, read)?,
    };
    for (place, prefix) in prefixes.iter().enumerate() {
        let mut before = prefixes.iter().take(place);
        if let Some(first) = before.find(|before| prefix.starts_with(&***before)) {
            node.report(
                problems,
                format_args!(
                    "{} is never taken away, since {} stands before it and fits; put the longer one first",
                    Quoted(prefix),
                    Quoted(first)
                ),
            );
            return None;
        }
    }
    Some(prefixes)
}

fn read_map(
    node: &Node<'_>,
    prefixes: &[Box<str>],
    problems: &mut Problems,
) -> Option<BTreeMap<Box<str>, Vec<Box<str>>>> {
    let entries = node.members(problems)?;
    if entries.is_empty() || entries.len() > MOST_MAPPED {
        node.report(
            problems,
            format_args!(
                "must have 1 to {MOST_MAPPED} members: names, each with the roles that it gives"
            ),
        );
        return None;
    }
    let count = entries.len();
    let read = entries.into_iter().filter_map(|(name, node)| {
        let mut prefixes = prefixes.iter();
        if let Some(rest) = prefixes.find_map(|prefix| name.strip_prefix(&**prefix)) {
            node.report(
                problems,
                format_args!(
                    "is for a name that begins with what `strip_prefix` takes away before names are looked up; write {}",
                    Quoted(rest)
                ),
            );
            return None;
        }
        let roles: Vec<Box<str>> = match node.json() {
            Json::String(_) => vec![read_role(&node, problems)?.into()],
            _ => read_few(&node, problems, |item, problems| {
                read_role(item, problems).map(Box::from)
            })?,
        };
        Some((Box::from(name), roles))
    });
    let map = sort::map(read);
    (map.len() == count).then_some(map)
}

/// Reads a role.
pub(crate) fn read_role<'d>(node: &Node<'d>, problems: &mut Problems) -> Option<&'d str> {
    let role = node.text(problems)?;
    if Roles::check(role).is_err() {
        let longest = Roles::LONGEST;
        node.report(
            problems,
            format_args!("is no role: 1 to {longest} bytes without control characters"),
        );
        return None;
    }
    Some(role)
}

#[cfg(test)]
mod tests;
