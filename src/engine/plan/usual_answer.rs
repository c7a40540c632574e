//! What most answers get that are shaped by a plan: fields that they lack, added one after the other. It is worked out
//! when the document is compiled, and holds for an answer that has none of the fields which the plan sets, removes or
//! looks for. Every other one is shaped step by step.

use std::rc::Rc;

use portcullis_exchange::edit::Edit;
use portcullis_exchange::limits::{LimitStatus, seconds};
use portcullis_exchange::plan::{
    ByCaller, Fields, IfAbsent, Limit, PlannedChange, Shaping, Slot, Step,
};
use portcullis_wire::digits::Digits;
use portcullis_wire::headers::{HeaderName, HeaderValue};
use portcullis_wire::pairs::{Block, length_bit};

/// The fields that an answer gets which lacks all that the plan minds.
#[derive(Debug)]
pub struct UsualAnswer {
    /// The field that names the origin of a request, and those that may read the answer; none if that is all the same.
    origin: Option<(Slot, Rc<[HeaderValue]>)>,
    /// For requests of these origins.
    granted: Box<[Addition]>,
    /// For all others.
    otherwise: Box<[Addition]>,
    /// What the plan minds.
    minded: Box<[HeaderName]>,
    /// A bit for each length that one of these has.
    lengths: u64,
}

/// A field that is added.
#[derive(Debug)]
struct Addition {
    name: HeaderName,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Fixed(HeaderValue),
    /// The origin of the request.
    Origin,
    /// How the caller stands with the limit.
    Quota,
    Remaining,
    Reset,
}

impl UsualAnswer {
    /// That of a plan. None if what an answer gets depends on more than is known here, or if one change of it minds
    /// what another one has written.
    pub fn of(steps: &[Step], shapings: &[Shaping]) -> Option<Self> {
        let mut origins = shapings.iter().filter_map(|shaping| match shaping {
            Shaping::ByOrigin { slot, listed, .. } => Some((*slot, Rc::clone(listed))),
            _ => None,
        });
        let (origin, second) = (origins.next(), origins.next());
        let usual = |is_granted| {
            let mut draft = Draft::of(steps, is_granted);
            let all = shapings.iter().try_for_each(|shaping| draft.shape(shaping));
            all.map(|()| draft)
        };
        let (granted, otherwise) = (usual(true)?, usual(false)?);
        let mut minded = granted.minded;
        for name in otherwise.minded {
            if !minded.contains(&name) {
                minded.push(name);
            }
        }
        let lengths = minded.iter().map(|name| length_bit(name.as_str().len()));
        let lengths = lengths.fold(0, |all, bit| all | bit);
        second.is_none().then(|| Self {
            granted: match &origin {
                Some(_) => granted.additions.into(),
                None => Box::default(),
            },
            origin,
            otherwise: otherwise.additions.into(),
            lengths,
            minded: minded.into(),
        })
    }

    /// How much memory it takes, but for what it shares with the policies.
    pub fn memory(&self) -> usize {
        let lists = [&self.granted, &self.otherwise];
        let lists = lists.into_iter().map(|list| size_of_val(&**list));
        lists.fold(size_of_val(&*self.minded), usize::saturating_add)
    }

    /// Names the fields that an answer gets, in order. False, and none is named, if it has one that the plan minds.
    #[inline]
    pub fn add(
        &self,
        answer: &Block,
        request: &Fields,
        standing: Option<LimitStatus>,
        each: &mut impl FnMut(PlannedChange<'_>),
    ) -> bool {
        if answer.may_have(self.lengths) && self.is_minded(answer) {
            return false;
        }
        let origin = self.origin.as_ref();
        let origin = origin.and_then(|(slot, listed)| {
            let origin = request.one(*slot)?;
            is_in(listed, origin).then_some(origin)
        });
        let (additions, origin) = match origin {
            Some(origin) => (&self.granted, origin),
            None => (&self.otherwise, &[][..]),
        };
        let standing = standing.unwrap_or_default();
        for Addition { name, value } in additions {
            let number = match value {
                Value::Fixed(_) | Value::Origin => 0,
                Value::Quota => standing.quota,
                Value::Remaining => standing.remaining,
                Value::Reset => seconds(standing.reset),
            };
            let digits;
            let value = match value {
                Value::Fixed(value) => value.as_bytes(),
                Value::Origin => origin,
                Value::Quota | Value::Remaining | Value::Reset => {
                    digits = Digits::of(number);
                    digits.as_bytes()
                }
            };
            each(PlannedChange::New(name.as_str(), value));
        }
        true
    }

    /// Whether an answer has a field that the plan minds.
    #[inline(never)]
    fn is_minded(&self, answer: &Block) -> bool {
        let mut minded = self.minded.iter();
        minded.any(|name| answer.first(name.as_str()).is_some())
    }
}

/// What an answer gets, while it is worked out.
struct Draft<'s> {
    limit: Option<&'s dyn Limit>,
    /// Whether the sender of a request is known that goes on.
    is_known: bool,
    is_granted: bool,
    additions: Vec<Addition>,
    minded: Vec<HeaderName>,
}

impl<'s> Draft<'s> {
    fn of(steps: &'s [Step], is_granted: bool) -> Self {
        let mut limits = steps.iter().filter_map(|step| match step {
            Step::Limit(limit) => Some(&**limit),
            _ => None,
        });
        Self {
            limit: limits.next(),
            is_known: steps.iter().any(|step| matches!(step, Step::Token { .. })),
            is_granted,
            additions: Vec::new(),
            minded: Vec::new(),
        }
    }

    fn shape(&mut self, shaping: &Shaping) -> Option<()> {
        match shaping {
            Shaping::Always(edits) => self.edit_all(edits),
            Shaping::ByCaller {
                minds_scheme: false,
                https: _,
                http:
                    ByCaller {
                        authenticated,
                        anyone,
                    },
            } => self.edit_all(if self.is_known { authenticated } else { anyone }),
            Shaping::IfAbsent {
                minds_scheme: false,
                fields,
            } => fields.iter().try_for_each(|field| self.add_absent(field)),
            Shaping::ByCaller { .. } | Shaping::IfAbsent { .. } => None,
            Shaping::Revealing(names) => {
                for name in names {
                    self.mind(&HeaderName::parse(name).ok()?);
                }
                Some(())
            }
            Shaping::ByOrigin {
                name,
                star,
                granted,
                withheld,
                ..
            } => {
                if !self.is_granted {
                    return self.edit(withheld);
                }
                let says = star.clone().map_or(Value::Origin, Value::Fixed);
                self.set(name, says)?;
                self.edit(granted)
            }
            Shaping::Limits { numbers, lists: _ } => {
                let [in_numbers, in_lists] = match self.limit {
                    Some(limit) => limit.is_told(),
                    None => return Some(()),
                };
                if in_lists {
                    return None;
                }
                let values = [Value::Quota, Value::Remaining, Value::Reset];
                let mut told = numbers.iter().zip(values).filter(|_| in_numbers);
                told.try_for_each(|(name, value)| self.set(name, value))
            }
        }
    }

    fn add_absent(&mut self, field: &IfAbsent) -> Option<()> {
        let IfAbsent {
            name,
            edit,
            needs_tls,
            needs_caller,
        } = field;
        // Where the scheme is not minded, it is taken for cleartext.
        if *needs_tls || *needs_caller && !self.is_known {
            return Some(());
        }
        self.mind(name);
        self.edit(edit)
    }

    fn edit_all(&mut self, edits: &[Edit]) -> Option<()> {
        edits.iter().try_for_each(|edit| self.edit(edit))
    }

    fn edit(&mut self, edit: &Edit) -> Option<()> {
        match edit {
            Edit::Remove(name) => {
                self.is_new(name).then_some(())?;
                self.mind(name);
                Some(())
            }
            Edit::Set(name, value) => self.set(name, Value::Fixed(value.clone())),
            Edit::Add(name, value) => {
                self.push(name, Value::Fixed(value.clone()));
                Some(())
            }
            Edit::Prepared(edits) => self.edit_all(edits),
            Edit::SetPath(_) | Edit::FilterState(..) | Edit::HitsAddend(_) => None,
        }
    }

    fn set(&mut self, name: &HeaderName, value: Value) -> Option<()> {
        self.is_new(name).then_some(())?;
        self.mind(name);
        self.push(name, value);
        Some(())
    }

    fn push(&mut self, name: &HeaderName, value: Value) {
        let name = name.clone();
        self.additions.push(Addition { name, value });
    }

    /// Whether no change before has written a field of that name.
    fn is_new(&self, name: &HeaderName) -> bool {
        self.additions.iter().all(|each| each.name != *name)
    }

    fn mind(&mut self, name: &HeaderName) {
        if !self.minded.contains(name) {
            self.minded.push(name.clone());
        }
    }
}

/// Whether a value is one of these.
#[inline]
pub fn is_in(values: &Rc<[HeaderValue]>, value: &[u8]) -> bool {
    values.iter().any(|each| each.as_bytes() == value)
}
