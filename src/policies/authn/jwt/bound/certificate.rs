//! Tokens that are bound to a client certificate: RFC 8705 §3.

use std::borrow::Cow;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::reexports::ct_codecs;

use super::BindingMode;
use super::refusals::{CERTIFICATE, NO_CERTIFICATE};
use crate::authn::certificate::set::{CertificateSet, CertificateSets};
use crate::authn::certificate::unless_revoked;
use crate::authn::revocation::UsedLists;
use portcullis_document::{Node, Problems};
use portcullis_exchange::exchange::Request;
use portcullis_exchange::host::{Host, Property};
use portcullis_exchange::refusal::Refusal;
use portcullis_wire::headers::HeaderName;
use portcullis_wire::json::Json;

/// Whether certificates are asked for, and from where they are known.
#[derive(Default)]
pub(super) struct CertificateBinding {
    pub(super) mode: BindingMode,
    /// The set whose source tells of them, if it is not the connection.
    set: Option<Rc<CertificateSet>>,
}

impl CertificateBinding {
    /// That of the connection.
    pub(super) fn of(mode: BindingMode) -> Self {
        Self { mode, set: None }
    }

    /// Reads `certificate`.
    pub(super) fn read(
        node: &Node<'_>,
        sets: &CertificateSets,
        problems: &mut Problems,
    ) -> Option<Self> {
        if let Json::String(_) = node.json() {
            let mode = BindingMode::read(node, problems)?;
            return Some(Self::of(mode));
        }
        let mut fields =
            node.fields_or(problems, "\"required\", \"if_bound\", \"off\" or an object")?;
        let mode = fields.or_default("mode", BindingMode::IfBound, problems, BindingMode::read);
        let set = fields.or_default("set", Some(None), problems, |node, problems| {
            sets.by_name.asked(node, problems).map(|set| set.map(Some))
        });
        fields.deny_unknown(problems);
        let mode = mode?;
        mode.deny_unasked(node, &["set"], problems)?;
        Some(Self {
            mode,
            // One that is wrong has been reported there.
            set: set??,
        })
    }

    /// The set that it believes, if that believes anybody.
    pub(super) fn gullible(&self) -> Option<&str> {
        let asks = self.mode != BindingMode::Off;
        let set = self.set.as_ref().filter(|_| asks)?;
        set.believes_anybody().then_some(&*set.name)
    }

    /// The field that it reads.
    pub(super) fn header(&self) -> Option<&HeaderName> {
        self.set.as_ref()?.header()
    }

    /// Whether the certificate with that thumbprint is the client's, and neither the lists of its set nor those
    /// of who issued the token revoke it. To have it in a handshake is to have its key: whether anybody vouches
    /// for it does not matter here (RFC 8705 §2.2).
    pub(super) fn check(
        &self,
        thumbprint: &str,
        lists: &UsedLists,
        request: &Request<'_>,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let shown = match &self.set {
            Some(set) => set.sha256(request, host)?.map(Cow::into_owned),
            None => host
                .property(Property::PeerSha256)
                .and_then(|digits| String::from_utf8(digits).ok())
                .filter(|digits| !digits.is_empty()),
        };
        let shown = shown.ok_or_else(|| Refusal::new(&NO_CERTIFICATE))?;
        let own = bytes(&shown).map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        let fits = own.is_some_and(|own| ct_codecs::verify(own.as_bytes(), thumbprint.as_bytes()));
        if !fits {
            return Err(Refusal::new(&CERTIFICATE));
        }
        // At every request: nothing is remembered of a certificate.
        if let Some(set) = &self.set {
            set.unless_revoked(&shown, host)?;
        }
        unless_revoked(lists, &shown, host)
    }
}

/// The 32 bytes that hexadecimal digits stand for.
fn bytes(digits: &str) -> Option<[u8; 32]> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let mut bytes = [0; 32];
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        let value = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
        *byte = u8::try_from(value).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_for_bytes() {
        let digits = "00ffA1b2".repeat(8);
        let read = bytes(&digits).unwrap();
        assert_eq!(read[..4], [0, 0xff, 0xa1, 0xb2]);
        for wrong in [
            "",
            "00",
            digits.get(1..).unwrap(),
            &format!("{digits}00"),
            &digits.replace('f', "g"),
        ] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
