//! Which of the request's fields are kept for those who show them.

use crate::access_log::AccessLog;
use crate::access_log::security::SecurityEvents;

/// The request's fields that are shown and never judged, each with how many bytes of its values.
#[derive(Debug)]
pub struct ShownFields {
    fields: Vec<(String, usize)>,
    /// How many bytes of them all are kept of one request.
    all: usize,
}

impl ShownFields {
    /// What refusals, records and events show.
    pub fn new(log: Option<&AccessLog>, events: Option<&SecurityEvents>) -> Self {
        // Of the first, no more is read than what a refusal could show.
        let core = ["content-type", "x-request-id"].map(|name| (name, usize::MAX));
        let logged = log.into_iter().flat_map(AccessLog::request_fields);
        let told = events.map(|_| SecurityEvents::REQUEST_FIELDS.map(|name| (name, usize::MAX)));
        let mut fields: Vec<(String, usize)> = Vec::new();
        for (name, most) in core
            .into_iter()
            .chain(logged)
            .chain(told.into_iter().flatten())
        {
            match fields.iter_mut().find(|(each, _)| each == name) {
                Some((_, already)) => *already = most.max(*already),
                None => fields.push((name.to_owned(), most)),
            }
        }
        let all = log.map_or(0, AccessLog::longest).max(8 << 10);
        Self { fields, all }
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// How many bytes of a field's values are shown; none if it is not.
    pub(crate) fn most(&self, name: &[u8]) -> Option<usize> {
        let mut fields = self.fields.iter();
        let (_, most) = fields.find(|(each, _)| each.as_bytes() == name)?;
        Some(*most)
    }

    /// How many bytes of them all are kept of one request.
    pub(crate) fn all(&self) -> usize {
        self.all
    }
}
