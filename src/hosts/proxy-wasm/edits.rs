//! Changes of heads, as calls to the proxy.

use super::abi::{self, HostError, Map};
use portcullis_exchange::edit::Written;
use portcullis_exchange::exchange::{Change, Edit, changes};
use portcullis_exchange::plan::PlannedChange;
use portcullis_wire::headers::Headers;
use portcullis_wire::pairs::Block;

/// What host calls cost, in hundredths of a microsecond on Envoy 1.40.
mod price {
    /// To remove a field that is not there, or to replace one rather than add it.
    pub(super) const CHANGE: usize = 10;
    /// To ask for the status when the exchange is recorded.
    pub(super) const STATUS: usize = 57;
    /// To read the fields of a response.
    pub(super) const READING: usize = 71;
}

/// Whether it costs less to read the fields of a head first than to make these changes without knowing
/// them, and to ask for the status later, if that is wanted.
pub(super) fn pay_for_reading(edits: &[Edit], wants_status: bool) -> bool {
    fn count(edits: &[Edit]) -> usize {
        let each = edits.iter().map(|edit| match edit {
            Edit::Remove(_) | Edit::Set(..) => 1,
            Edit::Prepared(edits) => count(edits),
            Edit::Add(..) | Edit::SetPath(_) | Edit::FilterState(..) | Edit::HitsAddend(_) => 0,
        });
        each.fold(0, usize::saturating_add)
    }
    pays_for_reading(count(edits), wants_status)
}

/// The same for so many fields that are set or removed.
pub(super) fn pays_for_reading(changes: usize, wants_status: bool) -> bool {
    let status = if wants_status { price::STATUS } else { 0 };
    let saved = changes.saturating_mul(price::CHANGE);
    saved.saturating_add(status) > price::READING
}

/// Makes changes of a head with these fields.
pub(super) fn apply_to(fields: &Headers, map: Map, edits: &[Edit]) -> Result<(), HostError> {
    changes(edits, fields)
        .into_iter()
        .try_for_each(|change| match change {
            Change::Remove(name) => abi::remove_header(map, name.as_str()),
            Change::Replace(name, value) => {
                abi::replace_header(map, name.as_str(), value.as_bytes())
            }
            Change::Add(name, value) => abi::add_header(map, name.as_str(), value.as_bytes()),
            Change::Other(edit) => carry(map, edit),
        })
}

/// Makes changes of a head whose fields are not known.
pub(super) fn apply(map: Map, edits: &[Edit]) -> Result<(), HostError> {
    edits.iter().try_for_each(|edit| carry(map, edit))
}

fn carry(map: Map, edit: &Edit) -> Result<(), HostError> {
    match edit {
        Edit::Remove(name) => abi::remove_header(map, name.as_str()),
        Edit::Set(name, value) => abi::replace_header(map, name.as_str(), value.as_bytes()),
        Edit::Add(name, value) => abi::add_header(map, name.as_str(), value.as_bytes()),
        Edit::SetPath(value) => abi::replace_header(map, ":path", value.as_bytes()),
        Edit::FilterState(name, value) => abi::set_property(name.as_str(), value.as_bytes()),
        Edit::HitsAddend(hits) => set_hits(*hits),
        Edit::Prepared(edits) => apply(map, edits),
    }
}

/// Tells Envoy's own rate limit filter how much the request costs.
fn set_hits(hits: u32) -> Result<(), HostError> {
    // `SetEnvoyFilterStateArguments`: `path`, of 27 bytes, and `value`, of fewer than 128.
    let mut message = b"\x0a\x1benvoy.ratelimit.hits_addend\x12".to_vec();
    let value = hits.to_string();
    message.extend(u8::try_from(value.len()));
    message.extend_from_slice(value.as_bytes());
    abi::foreign_function("set_envoy_filter_state", &message).map(|_| ())
}

/// Changes of a head that come one by one, each carried out at once, until one is not.
pub(super) struct Applied<'f> {
    map: Map,
    /// The fields that it had, if they are known.
    fields: Option<&'f Block>,
    /// None before one is written.
    written: Option<Written>,
    result: Result<(), HostError>,
}

impl<'f> Applied<'f> {
    /// To a head whose fields are not known.
    pub(super) fn blindly(map: Map) -> Self {
        Self {
            map,
            fields: None,
            written: None,
            result: Ok(()),
        }
    }

    /// To a head with these fields: one that is not there need not be removed, and what is set where there
    /// is none is added, never beside one that is there.
    pub(super) fn knowing(map: Map, fields: &'f Block) -> Self {
        Self {
            fields: Some(fields),
            ..Self::blindly(map)
        }
    }

    #[inline]
    pub(super) fn change(&mut self, change: PlannedChange<'_>) {
        match change {
            PlannedChange::New(name, value) if self.result.is_ok() => {
                self.result = abi::add_header(self.map, name, value);
            }
            PlannedChange::Remove(name) if self.result.is_ok() && self.fields.is_none() => {
                self.result = abi::remove_header(self.map, name);
            }
            change => self.look_and_change(change),
        }
    }

    // Once in the code, for all its callers.
    #[inline(never)]
    fn look_and_change(&mut self, change: PlannedChange<'_>) {
        if self.result.is_ok() {
            self.result = self.carry_out(change);
        }
    }

    /// Whether all have been carried out.
    pub(super) fn result(self) -> Result<(), HostError> {
        self.result
    }

    fn carry_out(&mut self, change: PlannedChange<'_>) -> Result<(), HostError> {
        match change {
            PlannedChange::Remove(name) => {
                let may_have = |written: &Written| written.may_have(name);
                match self.is_absent(name) && !self.written.as_ref().is_some_and(may_have) {
                    true => Ok(()),
                    false => abi::remove_header(self.map, name),
                }
            }
            PlannedChange::Set(name, value)
                if self.is_absent(name) && self.written().note_new(name) =>
            {
                abi::add_header(self.map, name, value)
            }
            PlannedChange::Set(name, value) => abi::replace_header(self.map, name, value),
            PlannedChange::Add(name, value) => {
                self.written().note(name);
                abi::add_header(self.map, name, value)
            }
            PlannedChange::New(name, value) => abi::add_header(self.map, name, value),
            PlannedChange::FilterState(name, value) => abi::set_property(name, value),
        }
    }

    fn written(&mut self) -> &mut Written {
        self.written.get_or_insert_default()
    }

    /// Whether it is certain that there was no field of that name.
    #[inline]
    fn is_absent(&self, name: &str) -> bool {
        let fields = self.fields;
        fields.is_some_and(|fields| fields.first(name).is_none())
    }
}
