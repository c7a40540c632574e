//! What limits said of one request, as far as others may know of it.

use std::any::Any;
use std::fmt;
use std::rc::Rc;

use crate::host::Host;

/// What limits said of one request. Whatever they keep of it besides is their own.
#[derive(Default)]
pub struct Limits {
    // In a box, for what limits keep is not known here; a request without limits has none.
    kept: Option<Box<dyn LimitRecord>>,
}

/// What the policy with the limits keeps of one request.
pub trait LimitRecord: Any {
    /// The limit that refused, or else the one that is nearest to it: its name, and how the caller
    /// stands with it.
    fn tightest(&self) -> Option<(&str, LimitStatus)>;

    /// Notes that the service gets the head of the request, and can begin with what it asks for.
    fn goes_ahead(&mut self);

    /// Settles what waits for the service's response as if the request had never come to the service: it
    /// did in shadow mode alone.
    fn never_asked(&mut self, host: &dyn Host);

    /// Whether it depends on the trailers of the response what stays charged.
    fn awaits_trailers(&self) -> bool;

    /// Of limits that are in force for a share of requests, in the order in which they were asked about: what
    /// records call them, and whether each was in force for this one.
    fn shares(&self) -> &[(Rc<str>, bool)];

    /// How many bytes of memory it takes.
    fn memory(&self) -> usize;
}

/// How a caller stands with a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitStatus {
    /// The most that passes at once.
    pub quota: u64,
    /// The time in which so much passes, in nanoseconds.
    pub period: u64,
    /// How much more passes now.
    pub remaining: u64,
    /// How long until a request passes if none does now, and otherwise until all passes
    /// again; in nanoseconds.
    pub reset: u64,
}

/// Whole seconds of so many nanoseconds, rounded up: a client that waits for so long has waited long enough.
#[inline]
pub fn seconds(nanoseconds: u64) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    nanoseconds.div_ceil(SECOND)
}

impl Limits {
    /// See [`LimitRecord::tightest`].
    pub fn tightest(&self) -> Option<(&str, LimitStatus)> {
        self.kept.as_ref()?.tightest()
    }

    /// See [`LimitRecord::goes_ahead`].
    pub fn goes_ahead(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.goes_ahead();
        }
    }

    /// See [`LimitRecord::never_asked`].
    pub fn never_asked(&mut self, host: &dyn Host) {
        if let Some(kept) = &mut self.kept {
            kept.never_asked(host);
        }
    }

    /// See [`LimitRecord::awaits_trailers`].
    pub fn awaits_trailers(&self) -> bool {
        let kept = self.kept.as_ref();
        kept.is_some_and(|kept| kept.awaits_trailers())
    }

    /// See [`LimitRecord::shares`].
    pub fn shares(&self) -> &[(Rc<str>, bool)] {
        let kept = self.kept.as_ref();
        kept.map_or(&[], |kept| kept.shares())
    }

    /// How many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        let kept = self.kept.as_ref();
        kept.map_or(0, |kept| kept.memory())
    }

    /// What is kept, if something is.
    pub fn kept<T: LimitRecord>(&self) -> Option<&T> {
        let kept: &dyn Any = self.kept.as_deref()?;
        kept.downcast_ref()
    }

    /// The same, to be changed.
    pub fn kept_mut<T: LimitRecord>(&mut self) -> Option<&mut T> {
        let kept: &mut dyn Any = self.kept.as_deref_mut()?;
        kept.downcast_mut()
    }

    /// The same; at first it is empty.
    pub fn keep<T: LimitRecord + Default>(&mut self) -> Option<&mut T> {
        let kept: &mut dyn LimitRecord =
            &mut **self.kept.get_or_insert_with(|| Box::<T>::default());
        let kept: &mut dyn Any = kept;
        kept.downcast_mut()
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Limits({})", self.kept.is_some())
    }
}
