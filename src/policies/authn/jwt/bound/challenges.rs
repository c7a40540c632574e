//! What a client is told to do whose token needs a proof: RFC 9449 §7.1 and §9.

use super::refusals::{NONCE, PROOF, PROOF_MISSING, REPLAYED, SCHEME};
use crate::authn::challenge::{Challenges, metadata_parameter, plain_challenge};
use portcullis_exchange::refusal::{Code, Refusal};
use portcullis_wire::headers::{HeaderName, HeaderValue};

/// `WWW-Authenticate: DPoP`.
pub(in crate::authn) struct ProofChallenges {
    name: HeaderName,
    /// For a token that was sent as one that needs a proof.
    general: Challenges,
    /// For a token that needs one and was sent as one that does not; none where no token is taken so.
    scheme: Option<HeaderValue>,
    /// For the proof itself.
    invalid_proof: HeaderValue,
    use_nonce: HeaderValue,
}

/// For whom they are.
pub(in crate::authn) struct ProofAudience<'a> {
    /// With which code credentials are refused of which there are too many.
    pub(in crate::authn) several: &'static Code,
    pub(in crate::authn) realm: &'a str,
    /// Where metadata are, if that is said.
    pub(in crate::authn) metadata: &'a str,
    /// The algorithms that are taken, with blanks between them.
    pub(in crate::authn) algorithms: &'a str,
    /// The scopes that a client may lack.
    pub(in crate::authn) scopes: &'a str,
    /// The challenge for tokens without a proof; none where none is taken.
    pub(in crate::authn) bearer: Option<&'a str>,
    /// The other challenges that would do as well.
    pub(in crate::authn) beside: &'a str,
}

/// The scheme.
const DPOP: &str = "DPoP";

/// The challenge that says nothing but which algorithms are taken.
pub(in crate::authn) fn proof_challenge(realm: &str, metadata: &str, algorithms: &str) -> String {
    let (start, end) = proof_parts(realm, metadata, algorithms);
    [start, end].concat()
}

/// With what each challenge begins and ends: between them it says what was wrong.
pub(in crate::authn) fn proof_parts(
    realm: &str,
    metadata: &str,
    algorithms: &str,
) -> (String, String) {
    let start = plain_challenge(DPOP, realm);
    let metadata = metadata_parameter(metadata);
    (start, format!(", algs=\"{algorithms}\"{metadata}"))
}

impl ProofChallenges {
    /// Writes them.
    pub(in crate::authn) fn new(audience: &ProofAudience<'_>) -> Option<Self> {
        let ProofAudience {
            several,
            realm,
            metadata,
            algorithms,
            scopes,
            bearer,
            beside,
        } = *audience;
        let (start, end) = proof_parts(realm, metadata, algorithms);
        let others = Some(beside).filter(|beside| !beside.is_empty());
        let value = |challenges: &[Option<&str>]| {
            let challenges: Vec<&str> = challenges.iter().copied().flatten().collect();
            HeaderValue::parse(challenges.join(", ").as_bytes()).ok()
        };
        let with_error = |error: &str| {
            let own = format!("{start}, error=\"{error}\"{end}");
            value(&[Some(&own), bearer, others])
        };
        let plain = [&*start, &*end].concat();
        let sent = plain_challenge("Bearer", realm) + ", error=\"invalid_token\"";
        let scheme = match bearer {
            Some(_) => Some(value(&[Some(&sent), Some(&plain), others])?),
            None => None,
        };
        let general = Challenges::of_scheme(several, &start, &end, scopes)?;
        let general = general.beside(bearer.unwrap_or_default())?.beside(beside)?;
        Some(Self {
            name: HeaderName::parse("www-authenticate").ok()?,
            general,
            scheme,
            invalid_proof: with_error("invalid_dpop_proof")?,
            use_nonce: with_error("use_dpop_nonce")?,
        })
    }

    /// With what a client is to do; none if that has nothing to do with proofs and the token was not sent as one
    /// that needs one.
    pub(in crate::authn) fn attach(&self, refusal: Refusal) -> Refusal {
        match self.special(&refusal) {
            Some(value) => refusal.with_header(self.name.clone(), value.clone()),
            None => self.general.attach(refusal),
        }
    }

    fn special(&self, refusal: &Refusal) -> Option<&HeaderValue> {
        if *refusal.reason == SCHEME {
            return self.scheme.as_ref();
        }
        if *refusal.code() == NONCE {
            return Some(&self.use_nonce);
        }
        is_of_proof(refusal).then_some(&self.invalid_proof)
    }
}

/// Whether a refusal is of a proof, or for the want of one.
pub(in crate::authn) fn is_of_proof(refusal: &Refusal) -> bool {
    let codes = [&NONCE, &PROOF, &PROOF_MISSING, &REPLAYED];
    codes.contains(&refusal.code()) || *refusal.reason == SCHEME
}
