//! What was in force for an exchange, of what a document brings in for a share of requests.

/// The document as a whole.
pub const DOCUMENT: &str = "document";
/// The route as a whole.
pub const ROUTE: &str = "route";

/// For each part of a document that is in force for a share of requests, whether it was for this one. Parts are
/// [`DOCUMENT`], [`ROUTE`], and policies by their names.
#[derive(Debug, Default)]
pub struct RolloutState {
    /// In a box, since every open stream has one, and few documents are rolled out by shares.
    known: Option<Box<RolloutParts>>,
}

#[derive(Debug, Default)]
struct RolloutParts {
    list: Vec<(&'static str, bool)>,
}

impl RolloutState {
    /// Whether that part is in force; none if it is not for a share of requests, or nobody has asked yet.
    pub fn get(&self, part: &str) -> Option<bool> {
        let mut parts = self.in_order();
        parts
            .find(|(name, _)| *name == part)
            .map(|(_, is_in)| is_in)
    }

    /// Notes whether that part is in force.
    pub fn note(&mut self, part: &'static str, is_in: bool) {
        self.known.get_or_insert_default().list.push((part, is_in));
    }

    /// Whether no part was for a share of requests.
    pub fn is_empty(&self) -> bool {
        self.in_order().next().is_none()
    }

    /// All of them, in the order in which they were asked about.
    pub fn in_order(&self) -> impl Iterator<Item = (&'static str, bool)> + '_ {
        self.known.iter().flat_map(|parts| &parts.list).copied()
    }

    /// How many bytes of memory they take.
    pub(crate) fn memory(&self) -> usize {
        let each = size_of::<(&str, bool)>();
        self.known.as_ref().map_or(0, |parts| {
            let list = parts.list.capacity().saturating_mul(each);
            list.saturating_add(size_of::<RolloutParts>())
        })
    }
}
