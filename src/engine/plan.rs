//! The plans of a document: what most requests come to, prepared. What a plan is, and what policies put
//! on one, is [`portcullis_exchange::plan`].
//!
//! INVARIANT: a request leaves its plan before anything of it has been changed or counted, and what a plan
//! comes to is what asking every policy comes to, in every byte. So the two ways share what decides: the
//! cells of limits and the functions that charge them, the caches of tokens, and the functions that write
//! into records what comes from a request.

mod usual_answer;

use std::cell::{Cell, RefCell};

use crate::access_log::prepared::{Prepared, Shown};
use crate::refused::{FIELD, Refused};
use portcullis_exchange::host::Host;
use portcullis_exchange::plan::{Case, Fields, HeadTest, Names, Shaping, Slot, Step};
use portcullis_exchange::refusal::Reason;
use portcullis_exchange::target::Authority;
use portcullis_wire::headers::HeaderName;

pub use self::usual_answer::{UsualAnswer, is_in};

/// The plans of a document; without any, each request is judged by asking.
#[derive(Debug, Default)]
pub struct Plans {
    /// What is looked for in a request; none if no route has a plan.
    pub names: Option<Names>,
    /// By the place of the route.
    pub routes: Box<[Option<Plan>]>,
    /// Of requests that no route is for. It has no steps, and its refusal stands in [`Plan::missing`].
    pub nowhere: Option<Plan>,
    /// `x-forwarded-for`, where the document goes by that.
    pub forwarded_for: Option<Slot>,
    /// The field that asks for `explain`, which is taken away from every request.
    pub removed: Option<HeaderName>,
    /// The host that was named last, so that it is not parsed again for the next request.
    host: RefCell<KnownHost>,
    taken: Cell<u64>,
    /// For texts that are written for each request: its memory is allocated once.
    buffer: RefCell<Vec<u8>>,
}

/// The plan of one route.
#[derive(Debug)]
pub struct Plan {
    /// What is asked of a request.
    pub steps: Box<[Step]>,
    /// How its answer is shaped; none if policies are asked.
    pub shapings: Option<Box<[Shaping]>>,
    /// What they come to for most answers, if that is known.
    pub usual_answer: Option<UsualAnswer>,
    /// Whether that depends on the answer's fields.
    pub reads_response: bool,
    /// How many fields of an answer it sets or removes, at most.
    pub changes: usize,
    /// Its record if it passes; none if that is written by asking.
    pub record: Option<Prepared>,
    /// How a request without a token is refused, or one without a route. None if that is judged by
    /// asking, as where the client may get a page of HTML.
    pub missing: Option<Refused>,
    /// How a request is refused for which the limit has no room; none as above.
    pub full: Option<Refused>,
    /// How requests are refused for their token, one for each reason that is prepared.
    pub by_token: Box<[Refused]>,
    /// The record of all of these, and of requests without a token; none if that is written by asking.
    pub token_record: Option<Prepared>,
}

/// A plan has no more steps.
pub const MOST_STEPS: usize = 16;

/// How a request ends on its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It goes on.
    Passes,
    /// It has no token, or no route is for it.
    Missing,
    /// A limit has no room for it.
    Full,
    /// Its token is refused, for the reason at that place of [`Plan::by_token`].
    Token(u8),
}

impl End {
    /// More than there are ways to end.
    pub const MOST: usize = 16;

    /// A number of its own, less than [`End::MOST`].
    #[inline]
    pub fn number(self) -> usize {
        let number = match self {
            End::Passes => 0,
            End::Missing => 1,
            End::Full => 2,
            End::Token(place) => usize::from(place).saturating_add(3),
        };
        number.min(Self::MOST - 1)
    }
}

impl Plan {
    /// How much memory it takes, but for what it shares with the policies of its route.
    pub fn memory(&self) -> usize {
        let steps = self.steps.iter().map(step_memory);
        let shapings = self.shapings.iter().flatten().map(shaping_memory);
        let records = self.record.iter().map(Prepared::memory);
        let records = records.chain(self.token_record.iter().map(Prepared::memory));
        let refused = self.missing.iter().chain(&self.full);
        let refused = refused.chain(&self.by_token).map(Refused::memory);
        let usual = self.usual_answer.iter().map(UsualAnswer::memory);
        let all = steps.chain(shapings).chain(usual);
        let all = all.chain(records).chain(refused);
        let own = size_of::<Self>().saturating_add(size_of_val(&*self.by_token));
        all.fold(own, usize::saturating_add)
    }

    /// The refusal of requests that end so, if it is one.
    #[inline(always)]
    pub fn refused(&self, end: End) -> Option<&Refused> {
        match end {
            End::Passes => None,
            End::Missing => self.missing.as_ref(),
            End::Full => self.full.as_ref(),
            End::Token(place) => self.by_token.get(usize::from(place)),
        }
    }

    /// How a request ends whose token is refused for that reason, if that is prepared.
    #[inline]
    pub fn refuses_token(&self, reason: &Reason) -> Option<End> {
        let mut prepared = self.by_token.iter();
        let place = prepared.position(|each| *each.refusal.reason == *reason)?;
        u8::try_from(place).ok().map(End::Token)
    }

    /// The record of requests that end so.
    #[inline]
    pub fn record(&self, end: End) -> Option<&Prepared> {
        match end {
            End::Passes => self.record.as_ref(),
            End::Missing | End::Token(_) if self.token_record.is_some() => {
                self.token_record.as_ref()
            }
            End::Missing | End::Full => self.refused(end)?.record.as_ref(),
            End::Token(_) => self.token_record.as_ref(),
        }
    }
}

fn step_memory(step: &Step) -> usize {
    let more = match step {
        Step::OneOf(cases) => {
            let tests = cases.iter().map(|case| size_of_val(&*case.tests));
            tests.fold(size_of_val(&**cases), usize::saturating_add)
        }
        Step::Token {
            prefix,
            missing,
            refused,
            ..
        } => {
            let refusals = refused.iter().chain([missing]);
            let refusals = refusals.map(|refusal| {
                let detail = refusal.detail.iter().map(|detail| detail.memory());
                let fields = refusal.headers.len();
                let fields = fields.saturating_mul(FIELD.saturating_mul(4));
                detail.fold(fields, usize::saturating_add)
            });
            let fixed = prefix.len().saturating_add(size_of_val(&**refused));
            refusals.fold(fixed.saturating_add(FIELD), usize::saturating_add)
        }
        Step::Limit(_) | Step::Rules(_) => FIELD.saturating_mul(2),
        // Their texts are the policy's own.
        Step::Edit(edits) => size_of_val(&**edits),
        Step::Count(_) => 0,
    };
    more.saturating_add(size_of::<Step>())
}

fn shaping_memory(shaping: &Shaping) -> usize {
    let more = match shaping {
        Shaping::IfAbsent { fields, .. } => size_of_val(&**fields),
        Shaping::Revealing(names) => size_of_val(&**names),
        // Their edits are the policies' own.
        Shaping::Always(_)
        | Shaping::ByCaller { .. }
        | Shaping::ByOrigin { .. }
        | Shaping::Limits { .. } => 0,
    };
    more.saturating_add(size_of::<Shaping>())
}

/// A host as a request named it. Most name the same.
#[derive(Debug, Default)]
struct KnownHost {
    named: Vec<u8>,
    /// How much of that is its one spelling.
    length: usize,
}

impl KnownHost {
    #[cold]
    #[inline(never)]
    fn learn(&mut self, named: &[u8]) -> Option<usize> {
        /// No name is longer with its port.
        const LONGEST: usize = 300;
        let authority = Authority::parse(named).ok()?;
        let host = authority.host();
        if !named.starts_with(host.as_bytes()) || named.len() > LONGEST {
            return None;
        }
        self.named.clear();
        self.named.extend_from_slice(named);
        self.length = host.len();
        Some(self.length)
    }
}

/// `x-forwarded-proto`, which tells whether a request came over TLS where the document trusts it.
/// Every plan has this slot, as it has those of [`Shown`].
pub const FORWARDED_PROTO: Slot = Slot(Shown::NAMES.len());
/// `content-type`, which tells gRPC. Every plan has this slot.
pub const CONTENT_TYPE: Slot = Slot(Shown::NAMES.len() + 1);
/// Their names, in order.
pub const OTHER_NAMES: [&str; 2] = ["x-forwarded-proto", "content-type"];

impl Plans {
    /// Plans of routes, with the names that they look for and a field that is taken away from every
    /// request.
    pub fn new(
        names: Names,
        routes: Box<[Option<Plan>]>,
        nowhere: Option<Plan>,
        removed: Option<HeaderName>,
    ) -> Self {
        Self {
            names: Some(names),
            routes,
            nowhere,
            removed,
            ..Self::default()
        }
    }

    /// How many requests have been judged by a plan.
    pub fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// Counts one that has.
    #[inline]
    pub fn take(&self) {
        self.taken.set(self.taken.get().saturating_add(1));
    }

    /// The plan of the route at a place, or of requests without one.
    #[inline]
    pub fn of(&self, route: Option<usize>) -> Option<&Plan> {
        match route {
            Some(route) => self.routes.get(route)?.as_ref(),
            None => self.nowhere.as_ref(),
        }
    }

    /// How long the one spelling of the host is that a request names, at its beginning. None if it is
    /// written in another way, or is none.
    #[inline]
    pub fn host_length(&self, named: &[u8]) -> Option<usize> {
        let mut known = self.host.try_borrow_mut().ok()?;
        match !known.named.is_empty() && known.named == named {
            true => Some(known.length),
            false => known.learn(named),
        }
    }

    /// Does something with a buffer that is kept.
    #[inline]
    pub fn with_buffer<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        match self.buffer.try_borrow_mut() {
            Ok(mut buffer) => work(&mut buffer),
            Err(_) => work(&mut Vec::new()),
        }
    }
}

/// The path that a request names, if it is written as all servers read it: letters, digits, `-`, `_`, `~`,
/// and `.` within segments. What follows a `?` may be anything visible.
#[inline]
pub fn plain_path(target: &[u8]) -> Option<&str> {
    let mut bytes = target.iter();
    (bytes.next() == Some(&b'/')).then_some(())?;
    let mut before = b'/';
    let mut length = 1_usize;
    for byte in bytes {
        match byte {
            b'?' => break,
            b'/' | b'.' if matches!(before, b'/' | b'.') => return None,
            b'/' | b'.' | b'-' | b'_' | b'~' => {}
            byte if byte.is_ascii_alphanumeric() => {}
            _ => return None,
        }
        before = *byte;
        length = length.saturating_add(1);
    }
    let (path, query) = target.split_at_checked(length)?;
    let is_visible = |b: &u8| b.is_ascii_graphic() && *b != b'#';
    (before != b'.' && query.iter().all(is_visible)).then_some(())?;
    std::str::from_utf8(path).ok()
}

/// Whether refusals of a request are problem documents: those of gRPC are not, and are not prepared.
#[inline(always)]
pub fn is_for_programs(fields: &Fields) -> bool {
    let media_type = fields.one(CONTENT_TYPE).unwrap_or_default();
    !media_type.starts_with(b"application/grpc")
}

/// The first of these cases that a request is of.
#[inline]
pub fn find<'c>(
    cases: &'c [Case],
    fields: &Fields,
    method: &str,
    host: &dyn Host,
) -> Option<&'c Case> {
    let mut cases = cases.iter();
    cases.find(|case| {
        let mut tests = case.tests.iter();
        tests.all(|test| holds(test, fields, method, host))
    })
}

#[inline]
fn holds(test: &HeadTest, fields: &Fields, method: &str, host: &dyn Host) -> bool {
    match test {
        HeadTest::Absent(slot) => fields.one(*slot).is_none(),
        HeadTest::Is(slot, values) => fields.one(*slot).is_some_and(|value| is_in(values, value)),
        HeadTest::Method(methods) => methods.contains(&method),
        HeadTest::Proxy(property, words) => host.property(*property).is_some_and(|word| {
            let mut words = words.iter();
            words.len() == 0 || words.any(|each| *each == word)
        }),
    }
}

/// What stands behind a prefix, in any case, and blanks.
#[inline(always)]
pub fn behind<'v>(value: &'v [u8], prefix: &str) -> Option<&'v [u8]> {
    let (start, rest) = value.split_at_checked(prefix.len())?;
    let blanks = rest.iter().take_while(|b| **b == b' ').count();
    let fits = start.eq_ignore_ascii_case(prefix.as_bytes());
    fits.then_some(rest.get(blanks..)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_exchange::target::Target;

    /// A plain path is what the general reading of paths makes of it, and has no other reading.
    #[test]
    fn plain_paths_have_one_reading() {
        const PARTS: [&str; 24] = [
            "/", "a", "Z", "0", ".", "..", "-", "~", "_", "%61", "%2f", ";", "?", "#", "\\", " ",
            "//", "é", "%", ":", "@", "\t", "", "?a=/..",
        ];
        let mut plain = 0;
        for one in PARTS {
            for two in PARTS {
                for three in PARTS {
                    for four in PARTS {
                        let target = format!("/{one}{two}{three}{four}");
                        let Some(path) = plain_path(target.as_bytes()) else {
                            continue;
                        };
                        plain += 1;
                        let read = Target::parse(target.as_bytes()).unwrap();
                        assert_eq!(read.path(), path, "{target}");
                        assert_eq!(read.other_readings().count(), 0, "{target}");
                    }
                }
            }
        }
        assert!(plain > 10_000, "{plain}");
        for none in ["", "a", "*", "http://a/"] {
            assert_eq!(plain_path(none.as_bytes()), None);
        }
    }

    #[test]
    fn a_host_is_known_by_its_one_spelling() {
        let plans = Plans::default();
        for _ in 0..2 {
            for (named, length) in [
                ("a.example", Some(9)),
                ("a.example:80", Some(9)),
                ("a.example.", Some(9)),
                ("[::1]:80", Some(5)),
                ("A.example", None),
                ("[0:0::1]", None),
                ("", None),
                ("a..b", None),
            ] {
                assert_eq!(plans.host_length(named.as_bytes()), length, "{named}");
            }
        }
    }
}
