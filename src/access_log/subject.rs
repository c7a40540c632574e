//! How a record names who asked.

use hmac_sha256::HMAC;

use crate::config::{Fields, Problems};
use crate::host::Host;

/// What is shown of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// `sub` as it is.
    Plain,
    /// A keyed hash of it: the same person is the same hash, and who lacks the key cannot find
    /// out whose it is by trying names.
    Hashed {
        /// The variable of the VM's environment with the key.
        key: String,
    },
    /// Nothing.
    Off,
}

#[derive(Clone, Copy)]
enum Form {
    Plain,
    Hashed,
    Off,
}

impl Subject {
    /// Reads `subject` and `subject_key`.
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        let forms = [
            ("plain", Form::Plain),
            ("hashed", Form::Hashed),
            ("off", Form::Off),
        ];
        let form = fields.or("subject", Form::Plain, problems, |node, problems| {
            if node.is_off() {
                return Some(Form::Off);
            }
            node.choice(problems, &forms)
        });
        let key = match fields.optional("subject_key") {
            None => Some(None),
            Some(node) => {
                let mut inner = node.fields(problems)?;
                let name = inner.required("env", problems);
                let name = name.and_then(|name| name.name(problems));
                inner.finish(problems);
                name.map(|name| Some((name.to_owned(), node)))
            }
        };
        match (form?, key?) {
            (Form::Plain, None) => Some(Self::Plain),
            (Form::Off, None) => Some(Self::Off),
            (Form::Hashed, Some((key, _))) => Some(Self::Hashed { key }),
            (Form::Hashed, None) => {
                problems.report(
                    fields.pointer(),
                    "`subject` is `hashed`, which needs a key: add `subject_key: { env: NAME }`",
                );
                None
            }
            (Form::Plain | Form::Off, Some((_, node))) => {
                node.report(problems, "is used only where `subject` is `hashed`");
                None
            }
        }
    }

    /// The hash of a subject: 128 bits of HMAC-SHA256, in hexadecimal. `None` when the environment
    /// has no key.
    pub(super) fn hash(key: &str, subject: &[u8], host: &dyn Host) -> Option<String> {
        const BYTES: usize = 16;
        let key = host.environment(key).filter(|key| !key.is_empty())?;
        let tag = HMAC::mac(subject, key);
        Some(tag.iter().take(BYTES).map(|b| format!("{b:02x}")).collect())
    }
}
