//! Reads `bound` of an authority, and says what an operator should know of it.

use super::certificate::CertificateBinding;
use super::dpop::{ProofChecker, ProofFields};
use super::pages::note_unexposed;
use super::replay::ReplayTable;
use super::settings::{Known, ProofRules};
use super::{Binding, BindingMode, OfAuthority};
use crate::authn::certificate::set::CertificateSets;
use crate::authn::left_out::HAS_CREDENTIALS;
use crate::authn::location::Locations;
use portcullis_document::{Fields, LeftOut, Node, Problems, Quoted};
use portcullis_wire::budget::Share;
use portcullis_wire::headers::HeaderName;
use portcullis_wire::json::Json;

impl BindingMode {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let choices = [
            ("required", BindingMode::Required),
            ("if_bound", BindingMode::IfBound),
            ("off", BindingMode::Off),
        ];
        node.choice(problems, &choices)
    }
}

impl BindingMode {
    /// Reports which of these fields of an object say how something is judged that is not asked for.
    pub(super) fn deny_unasked(
        self,
        node: &Node<'_>,
        names: &[&str],
        problems: &mut Problems,
    ) -> Option<()> {
        if self != BindingMode::Off {
            return Some(());
        }
        let mut told = Some(());
        for field in names.iter().filter_map(|name| node.member(name)) {
            // Nothing is what is asked for here as well.
            if !field.is_off() {
                field.report(
                    problems,
                    "says nothing here: `mode` is \"off\", and what a token is bound to is not asked for; take it out, or say \"if_bound\" or \"required\" for `mode`",
                );
                told = None;
            }
        }
        told
    }
}

impl Binding {
    /// Reads `bound`.
    pub(in crate::authn) fn read(
        fields: &mut Fields<'_>,
        of: &OfAuthority,
        sets: &CertificateSets,
        problems: &mut Problems,
    ) -> Option<Self> {
        let known = Known {
            authority: &of.authority,
            skew: of.clock_skew,
            backend: of.backend,
        };
        let node = fields.optional("bound");
        let Some(node) = node else {
            let certificate = CertificateBinding::default();
            return Self::of(false, certificate, ProofRules::usual(&known), false);
        };
        if !HAS_CREDENTIALS && !node.is_off() {
            node.report(problems, LeftOut::CREDENTIALS);
            return None;
        }
        // Without them nothing else comes here.
        if !HAS_CREDENTIALS || matches!(node.json(), Json::String(_)) {
            let mode = BindingMode::read(&node, problems)?;
            let each = match mode {
                BindingMode::Off => BindingMode::Off,
                BindingMode::Required | BindingMode::IfBound => BindingMode::IfBound,
            };
            let certificate = CertificateBinding::of(each);
            let mut rules = ProofRules::usual(&known);
            rules.mode = each;
            let is_required = mode == BindingMode::Required;
            return Self::of(is_required, certificate, rules, is_required);
        }
        let mut fields =
            node.fields_or(problems, "\"required\", \"if_bound\", \"off\" or an object")?;
        let certificate = fields.or_default(
            "certificate",
            CertificateBinding::default(),
            problems,
            |node, problems| CertificateBinding::read(node, sets, problems),
        );
        let dpop = fields.optional("dpop");
        let rules = match &dpop {
            None => Some(ProofRules::usual(&known)),
            Some(node) => ProofRules::read(node, &known, problems),
        };
        fields.deny_unknown(problems);
        let rules = rules?;
        let tells = dpop.is_some() && rules.mode != BindingMode::Off;
        let memory = rules.memory().saturating_add(size_of::<Self>());
        problems.account(node.pointer(), Share::Documents, memory);
        Self::of(false, certificate?, rules, tells)
    }

    fn of(
        is_required: bool,
        certificate: CertificateBinding,
        rules: ProofRules,
        tells_of_proofs: bool,
    ) -> Option<Self> {
        let replay = ReplayTable::new(&rules.authority, rules.most);
        let fields = ProofFields {
            proof: HeaderName::parse("dpop").ok()?,
            nonce: HeaderName::parse("dpop-nonce").ok()?,
        };
        Some(Self {
            is_required,
            certificate,
            proofs: ProofChecker {
                rules,
                replay,
                fields,
            },
            tells_of_proofs,
        })
    }

    /// Takes tokens that come with proofs where the authority takes tokens, and notes what is not asked for.
    pub(in crate::authn) fn settle(
        &self,
        locations: &mut Locations,
        node: &Node<'_>,
        notes: &mut Vec<String>,
        problems: &mut Problems,
    ) -> Option<()> {
        let takes_proofs = self.takes_proofs() && locations.take_dpop();
        if self.tells_of_proofs && !takes_proofs {
            node.report(
                problems,
                "takes no token in `Authorization` behind `Bearer`, and tokens that come with a proof stand there, behind `DPoP` (RFC 9449 §7.1): add {\"name\": \"authorization\", \"value_prefix\": \"DPoP \"} to `from_headers`, or say \"off\" for `dpop` in `bound`",
            );
            return None;
        }
        let owner = &self.proofs.rules.authority;
        if self.tells_of_proofs && self.proofs.rules.origins.is_empty() {
            notes.push(format!(
                "{owner}: `dpop` in `bound` has no `origins`: the host of a proof is compared with the one that the request names, and in a route without `hosts` that is whatever the client says: a proof made for another service does for the same path here; write `origins`, or `hosts` in each of its routes"
            ));
        }
        if let Some(set) = self.certificate.gullible() {
            notes.push(format!(
                "{owner}: `certificate` in `bound` believes the set {}, which believes `x-forwarded-client-cert` whoever sends it: who can connect here and has a stolen token writes there what that is bound to; add `verified` or `proxies` to the set",
                Quoted(set)
            ));
        }
        if self.is_off() {
            notes.push(format!(
                "{}: `bound` is \"off\": a token that is bound to a certificate or a key passes as a bearer token, whoever sends it",
                self.proofs.rules.authority
            ));
        }
        Some(())
    }

    /// What an operator should know of how the document uses it.
    pub(in crate::authn) fn note(&self, document: &Node<'_>) -> Option<String> {
        let rules = &self.proofs.rules;
        rules.nonces.as_ref().filter(|_| HAS_CREDENTIALS)?;
        note_unexposed(&rules.authority, document)
    }

    /// What is taken up in the proxy, if proofs come.
    pub(in crate::authn) fn memory_estimate(&self) -> Option<String> {
        let rules = &self.proofs.rules;
        self.takes_proofs().then(|| {
            format!(
                "{}: at most {} KiB for {} proofs, in the proxy and for all workers together",
                rules.authority,
                self.proofs.replay.most_bytes().div_ceil(1024),
                rules.most
            )
        })
    }
}
