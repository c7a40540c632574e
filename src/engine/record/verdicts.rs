//! What policies said of a request.

use portcullis_policies as policy;

/// What a policy said of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyVerdict {
    /// No objection.
    Allowed,
    /// It refused.
    Denied,
    /// It answered without refusing.
    Responded,
    /// It would have refused, but is in shadow mode.
    ShadowDenied,
    /// It waits for the body.
    Waiting,
}

impl PolicyVerdict {
    /// The word in the log.
    pub fn name(self) -> &'static str {
        match self {
            PolicyVerdict::Allowed => "allowed",
            PolicyVerdict::Denied => "denied",
            PolicyVerdict::Responded => "answered",
            PolicyVerdict::ShadowDenied => "shadow_denied",
            PolicyVerdict::Waiting => "waiting",
        }
    }
}

/// Each policy has a place, and another one for what is tried beside it.
const PLACES: usize = policy::LIST.len() * 2;

/// What each policy said. It allocates nothing: every exchange is counted by it.
#[derive(Clone, Debug)]
pub struct Verdicts {
    /// By their places, as [`policy::name`] has them.
    said: [Option<PolicyVerdict>; PLACES],
    /// Their places in the order in which they were first asked, so many of them.
    order: [u8; PLACES],
    many: usize,
}

impl Default for Verdicts {
    fn default() -> Self {
        Self {
            said: [None; PLACES],
            order: [0; PLACES],
            many: 0,
        }
    }
}

impl Verdicts {
    /// Notes what the policy at a place said; what it says last counts.
    pub(crate) fn note(&mut self, place: usize, said: PolicyVerdict) {
        let Some(noted) = self.said.get_mut(place) else {
            return;
        };
        if noted.replace(said).is_none()
            && let (Ok(place), Some(next)) = (u8::try_from(place), self.order.get_mut(self.many))
        {
            *next = place;
            self.many = self.many.saturating_add(1);
        }
    }

    /// Whether nobody was asked.
    pub fn is_empty(&self) -> bool {
        self.many == 0
    }

    /// The policies that were asked, by name, in the order in which they were.
    pub fn in_order(&self) -> impl Iterator<Item = (&'static str, PolicyVerdict)> + '_ {
        let places = self.order.iter().take(self.many).map(|at| usize::from(*at));
        places.filter_map(|at| Some((policy::name(at), (*self.said.get(at)?)?)))
    }

    /// The same by their places, in the order of these.
    pub fn by_place(&self) -> impl Iterator<Item = (usize, PolicyVerdict)> + '_ {
        let all = self.said.iter().enumerate();
        all.filter_map(|(at, said)| Some((at, (*said)?)))
    }
}
