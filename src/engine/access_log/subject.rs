//! How a record names who asked, and who says so without proof.

use hmac_sha256::HMAC;

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::host::Host;
use portcullis_exchange::refusal::Claimed;

/// What is shown of subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subjects {
    accepted: SubjectForm,
    claimed: SubjectForm,
    /// The variable of the VM's environment with the key of hashes, if something is hashed.
    key: Option<String>,
}

/// What a value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provenance {
    /// The subject of an accepted token.
    Accepted,
    /// Anything else that a token says that was not accepted.
    Claimed,
    /// Its subject, which is shown no more than one that was accepted.
    ClaimedSubject,
}

/// How a value is shown, from the whole of it to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SubjectForm {
    /// As it is.
    Plain,
    /// A keyed hash of it: the same person is the same hash, and who lacks the key cannot find
    /// out whose it is by trying names.
    Hashed,
    /// Not at all.
    Off,
}

impl SubjectForm {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        if node.is_off() {
            return Some(SubjectForm::Off);
        }
        let forms = [
            ("plain", SubjectForm::Plain),
            ("hashed", SubjectForm::Hashed),
            ("off", SubjectForm::Off),
        ];
        node.choice(problems, &forms)
    }
}

impl Subjects {
    /// Reads `subject`, `claimed` and `subject_key`.
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        let accepted =
            fields.or_default("subject", SubjectForm::Plain, problems, SubjectForm::read);
        let claimed = fields.or_default("claimed", SubjectForm::Plain, problems, SubjectForm::read);
        let key = match fields.optional("subject_key") {
            None => Some(None),
            Some(node) => {
                let mut inner = node.fields(problems)?;
                let name = inner.required("env", problems);
                let name = name.and_then(|name| name.non_empty(problems));
                inner.deny_unknown(problems);
                name.map(|name| Some((name.to_owned(), node)))
            }
        };
        let (accepted, claimed, key) = (accepted?, claimed?, key?);
        let hashed = [("subject", accepted), ("claimed", claimed)]
            .into_iter()
            .find(|(_, form)| *form == SubjectForm::Hashed);
        let key = match (hashed, key) {
            (Some(_), Some((key, _))) => Some(key),
            (None, None) => None,
            (Some((name, _)), None) => {
                problems.report(
                    fields.pointer(),
                    format_args!(
                        "`{name}` is `hashed`, which needs a key: add `subject_key: {{ env: NAME }}`"
                    ),
                );
                return None;
            }
            (None, Some((_, node))) => {
                node.report(
                    problems,
                    "is used only where `subject` or `claimed` is `hashed`",
                );
                return None;
            }
        };
        Some(Self {
            accepted,
            claimed,
            key,
        })
    }

    /// The variable of the VM's environment that it needs, if it needs one.
    pub(super) fn environment(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Whether anything is shown of tokens that are not accepted.
    pub(super) fn shows_claimed(&self) -> bool {
        self.claimed != SubjectForm::Off
    }

    fn form(&self, of: Provenance) -> SubjectForm {
        match of {
            Provenance::Accepted => self.accepted,
            Provenance::Claimed => self.claimed,
            Provenance::ClaimedSubject => self.claimed.max(self.accepted),
        }
    }

    /// Whether a value is shown as it is.
    pub(super) fn shows_plain(&self, of: Provenance) -> bool {
        self.form(of) == SubjectForm::Plain
    }

    /// The hash of a value, if hashes are shown. `None` when the environment has no key.
    pub(super) fn hashed(&self, of: Provenance, value: &[u8], host: &dyn Host) -> Option<String> {
        if self.form(of) != SubjectForm::Hashed {
            return None;
        }
        match of {
            Provenance::Accepted => self.hash(value, host),
            Provenance::Claimed | Provenance::ClaimedSubject => self.hash_whole(value, host),
        }
    }

    /// None of a text that was cut: it would be that of nothing.
    fn hash_whole(&self, text: &[u8], host: &dyn Host) -> Option<String> {
        let whole = Claimed::is_whole(text).then_some(text)?;
        self.hash(whole, host)
    }

    /// The hash of a text: 128 bits of HMAC-SHA256, in hexadecimal. `None` when the environment
    /// has no key.
    fn hash(&self, text: &[u8], host: &dyn Host) -> Option<String> {
        const BYTES: usize = 16;
        let key = host.environment(self.key.as_deref()?)?;
        if key.is_empty() {
            return None;
        }
        let tag = HMAC::mac(text, key);
        Some(tag.iter().take(BYTES).map(|b| format!("{b:02x}")).collect())
    }
}
