//! Webhooks: an HMAC-SHA-256 over the raw body, mostly with the time before it.

mod form;
mod mac;
mod tags;
mod template;

use portcullis_exchange::host::Host;
use portcullis_exchange::refusal::{Reason, Refusal};
use portcullis_wire::headers::{HeaderName, Headers};
use siphasher::sip128::SipHasher13;

use self::form::TimestampPlace;
use self::tags::{NoTag, parameters};
use self::template::SignedValues;
use super::period::Period;
use super::refusals::{FORMAT, NO_SIGNATURE, REPEATED};
use super::shared_secret::SharedSecret;

pub(super) use self::form::WebhookForm;
pub(super) use self::mac::{MacCheck, MacResult};

/// Webhooks of one sender.
pub(super) struct Webhook {
    pub(super) form: WebhookForm,
    pub(super) secrets: Vec<SharedSecret>,
}

/// A head whose form is right and whose time is now. It is not known to be of the sender before the body has
/// been judged.
pub(super) struct WebhookHead {
    /// All that stands before the body has been taken in.
    pub(super) check: MacCheck,
    /// The second after which its time is over; none if it has none.
    pub(super) until: Option<u64>,
}

/// The longest time and the longest name of a message, in bytes.
const LONGEST_TIME: usize = 12;
const LONGEST_ID: usize = 256;

impl Webhook {
    /// Whether a request has the field with the tags.
    pub(super) fn is_presented(&self, headers: &Headers) -> bool {
        let mut values = headers.all(self.form.header.as_str());
        values.any(|value| !value.is_empty())
    }

    /// How many bytes of memory the tags of a message take while its body comes.
    pub(super) fn memory_of_check(&self) -> usize {
        MacCheck::memory_of(self.secrets.len())
    }

    /// Judges all of a head but whether it is the sender's. `text` hashes what is signed.
    pub(super) fn judge_head(
        &self,
        headers: &Headers,
        period: &Period,
        text: Option<SipHasher13>,
        host: &dyn Host,
    ) -> Result<WebhookHead, Refusal> {
        let form = &self.form;
        let value = one(headers, &form.header)?.ok_or_else(|| Refusal::new(&NO_SIGNATURE))?;
        let malformed = |NoTag| Refusal::new(&FORMAT);
        let tags = form.tags.tags(value).map_err(malformed)?;
        let timestamp = match &form.timestamp {
            None => None,
            Some(TimestampPlace::Header(name)) => Some(there(one(headers, name)?)?),
            Some(TimestampPlace::Parameter(name)) => {
                match parameters(value, name).map_err(malformed)?[..] {
                    [one] => Some(one),
                    [] => return Err(Refusal::new(&FORMAT)),
                    _ => return Err(Refusal::new(&REPEATED)),
                }
            }
        };
        let until = match timestamp {
            None => None,
            Some(written) => {
                let time = seconds(written).ok_or_else(|| Refusal::new(&FORMAT))?;
                Some(period.until(time)?)
            }
        };
        let id = match &form.id {
            None => None,
            Some(name) => {
                let id = there(one(headers, name)?)?;
                if id.len() > LONGEST_ID {
                    return Err(Refusal::new(&FORMAT));
                }
                Some(id)
            }
        };
        let values = SignedValues {
            timestamp,
            id,
            method: one_value(headers, ":method")?,
            path: one_value(headers, ":path")?,
        };
        let secrets = self.secrets.iter().map(|secret| secret.value(host));
        let mut check = MacCheck::new(secrets, tags, text);
        let head = form.signed.head(&values, |piece| check.update(piece));
        head.ok_or_else(|| Refusal::new(&FORMAT))?;
        Ok(WebhookHead { check, until })
    }
}

/// The value of a field that may come once.
fn one<'h>(headers: &'h Headers, name: &HeaderName) -> Result<Option<&'h [u8]>, Refusal> {
    let value = headers.one(name.as_str());
    value.map_err(|_| Refusal::new(&REPEATED))
}

/// A value that has to be there.
fn there(value: Option<&[u8]>) -> Result<&[u8], Refusal> {
    let missing: &'static Reason = &FORMAT;
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Refusal::new(missing))
}

fn one_value<'h>(headers: &'h Headers, name: &str) -> Result<&'h [u8], Refusal> {
    let value = headers.one(name).ok().flatten();
    value.ok_or_else(|| Refusal::new(&FORMAT))
}

/// Seconds since 1970, in decimal digits and nothing else.
fn seconds(written: &[u8]) -> Option<u64> {
    let is_number = written.len() <= LONGEST_TIME && written.iter().all(u8::is_ascii_digit);
    let digits = std::str::from_utf8(written).ok().filter(|_| is_number)?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests;
