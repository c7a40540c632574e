//! What a schema asks of an object: which members, and what of each.

use portcullis_wire::json_gate::MemberName;

use crate::check::SchemaId;
use crate::cost::{MEMBER_STEPS, search_steps};
use crate::walk_demand::Range;
use portcullis_wire::sort::sort;

/// What is asked of an object.
pub(super) struct ObjectDemand {
    /// Whether it says anything of members by name.
    pub(super) is_named: bool,
    /// In the order of the words.
    names: Vec<NamedDemand>,
    /// What the members of other names must be like.
    pub(super) others: Option<SchemaId>,
    /// The bits of those that must be there.
    pub(super) required: u64,
    /// How many are asked for, one that is named twice being two.
    pub(super) required_count: usize,
    /// How many members it may have.
    pub(super) count: Range,
}

/// What is asked of a member of that name.
pub(super) struct NamedDemand {
    /// See [`MemberName::word`].
    word: u64,
    name: Box<[u8]>,
    pub(super) schema: Option<SchemaId>,
    /// Its bit among those that must be there, if it must.
    pub(super) bit: u64,
    /// Whether `properties` has it.
    declared: bool,
}

impl Default for ObjectDemand {
    fn default() -> Self {
        Self {
            is_named: false,
            names: Vec::new(),
            others: None,
            required: 0,
            required_count: 0,
            count: Range::ALL,
        }
    }
}

impl ObjectDemand {
    /// Up to here, looking at each is quicker than searching.
    const FEW: usize = 8;

    /// Whether it asks nothing.
    pub(super) fn is_none(&self) -> bool {
        !self.is_named && self.required_count == 0 && self.count == Range::ALL
    }

    /// Asks for members. False if they are too many.
    pub(super) fn require(&mut self, names: &[String]) -> bool {
        self.required_count = self.required_count.saturating_add(names.len());
        for name in names {
            let Some(bit) = 1u64.checked_shl(self.required.count_ones()) else {
                return false;
            };
            if let Some(named) = self.entry(name)
                && named.bit == 0
            {
                named.bit = bit;
                self.required |= bit;
            }
        }
        self.arrange();
        true
    }

    /// Says what members must be like.
    pub(super) fn name(&mut self, named: &[(String, SchemaId)], others: Option<SchemaId>) {
        self.is_named = true;
        self.others = others;
        for (name, id) in named {
            if let Some(named) = self.entry(name) {
                named.schema = Some(*id);
                named.declared = true;
            }
        }
        self.arrange();
    }

    /// Those of no such name that must be there are others all the same.
    fn arrange(&mut self) {
        let others = self.others;
        for named in self.names.iter_mut().filter(|named| !named.declared) {
            named.schema = others;
        }
        sort(&mut self.names, |one, other| {
            one.word
                .cmp(&other.word)
                .then_with(|| one.name.cmp(&other.name))
        });
    }

    /// What is said of that name.
    fn entry(&mut self, name: &str) -> Option<&mut NamedDemand> {
        let found = self
            .names
            .iter()
            .position(|each| *each.name == *name.as_bytes());
        let place = found.unwrap_or(self.names.len());
        if found.is_none() {
            self.names.push(NamedDemand {
                word: word(name.as_bytes()),
                name: name.as_bytes().into(),
                schema: None,
                bit: 0,
                declared: false,
            });
        }
        self.names.get_mut(place)
    }

    /// What is said of that name, which means itself.
    #[inline]
    pub(super) fn find(&self, name: MemberName<'_>) -> Option<&NamedDemand> {
        let plain = name.text.raw();
        let names = self.names.as_slice();
        if names.len() > Self::FEW {
            let order = |each: &NamedDemand| {
                let words = each.word.cmp(&name.word);
                words.then_with(|| (*each.name).cmp(plain))
            };
            return names.get(names.binary_search_by(order).ok()?);
        }
        let mut names = names.iter();
        names.find(|each| {
            each.word == name.word
                && each.name.len() == plain.len()
                && (plain.len() <= 8 || *each.name == *plain)
        })
    }

    /// What it costs to judge an object of so many members, apart from what judges these.
    #[inline]
    pub(super) fn steps(&self, members: usize) -> u64 {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let required = count(self.required_count).saturating_mul(search_steps(members));
        let named = match self.is_named {
            true => count(members).saturating_mul(MEMBER_STEPS),
            false => 0,
        };
        required.saturating_add(named)
    }

    /// The schemas of members.
    pub(super) fn schemas(&self) -> impl Iterator<Item = SchemaId> {
        let named = self.names.iter().filter_map(|named| named.schema);
        named.chain(self.others)
    }
}

/// As [`MemberName::word`].
fn word(name: &[u8]) -> u64 {
    let bytes = name.iter().take(8).rev();
    bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
}
