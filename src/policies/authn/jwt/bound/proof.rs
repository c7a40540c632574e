//! A DPoP proof before anything in it is believed: RFC 9449 §4.2.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::algorithm::SignatureAlgorithm;
use super::super::token::media_type;
use super::proof_key::ProofKey;
use super::refusals::{ALGORITHM, CLAIMS, FORMAT, HEADER, KEY};
use portcullis_exchange::refusal::{Detail, Fact, Refusal};
use portcullis_wire::json::compact::{Compact, Members, Value};

/// A proof taken apart.
pub(super) struct Proof<'p> {
    header: Compact,
    payload: Compact,
    /// What was signed.
    pub(super) signed: &'p [u8],
    pub(super) signature: Vec<u8>,
    pub(super) algorithm: SignatureAlgorithm,
}

/// What it claims.
pub(super) struct ProofClaims<'p> {
    /// Tells it apart from others of the same key.
    pub(super) id: &'p str,
    pub(super) method: &'p str,
    pub(super) uri: &'p str,
    /// When it was made, in seconds since the epoch.
    pub(super) issued: f64,
    /// The hash of the token that it comes with.
    pub(super) token: &'p str,
    pub(super) nonce: Option<&'p str>,
}

/// The longest proof. One with a key of 4096 bits has some 2500 bytes.
pub(super) const MOST_BYTES: usize = 8 << 10;
/// The longest `jti`: RFC 9449 §11.1.
const MOST_ID_BYTES: usize = 256;
/// How deep its JSON may nest.
const MOST_DEPTH: usize = 8;
/// The end of the year 9999.
const LATEST: f64 = 253_402_300_799.0;

/// RFC 9449 §4.2.
const TYPE: &str = "dpop+jwt";
/// Members of the header that ask for what is not done here, or lead to other keys.
const REFUSED: [&str; 6] = ["crit", "b64", "zip", "enc", "jku", "x5u"];

impl<'p> Proof<'p> {
    /// Takes a proof apart, without checking its signature.
    pub(super) fn parse(proof: &'p [u8]) -> Result<Self, Refusal> {
        if proof.len() > MOST_BYTES {
            return Err(Refusal::new(&FORMAT).and("fault", Fact::Word("too_long")));
        }
        let mut parts = proof.split(|b| *b == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::new(&FORMAT));
        };
        let length = header.len().saturating_add(1).saturating_add(payload.len());
        let signed = proof.get(..length).ok_or_else(|| Refusal::new(&FORMAT))?;
        let decode = |part: &[u8]| {
            let decoded = URL_SAFE_NO_PAD.decode(part);
            decoded.map_err(|_| Refusal::new(&FORMAT))
        };
        let object = |part: &[u8], reason| {
            let json = Compact::parse(&decode(part)?, MOST_DEPTH);
            let json = json.filter(|json| json.value().as_object().is_some());
            json.ok_or_else(|| Refusal::new(reason).and("fault", Fact::Word("unreadable")))
        };
        let header = object(header, &HEADER)?;
        let algorithm = algorithm(&header)?;
        Ok(Self {
            payload: object(payload, &CLAIMS)?,
            signed,
            signature: decode(signature)?,
            algorithm,
            header,
        })
    }

    /// The public key in its header.
    pub(super) fn key(&self) -> Result<ProofKey<'_>, Refusal> {
        let jwk = self.header.member("jwk").and_then(Value::as_object);
        let key = jwk.and_then(ProofKey::read);
        key.ok_or_else(|| Refusal::new(&KEY))
    }

    /// What it claims: RFC 9449 §4.2.
    pub(super) fn claims(&self) -> Result<ProofClaims<'_>, Refusal> {
        let members = self.payload.value().as_object();
        let members = members.ok_or_else(|| Refusal::new(&CLAIMS))?;
        let id = text(members, "jti")?;
        if id.is_empty() || id.len() > MOST_ID_BYTES {
            return Err(wrong("jti", "out_of_range"));
        }
        let nonce = match members.member("nonce") {
            None => None,
            Some(Value::String(nonce)) => Some(nonce),
            Some(_) => return Err(wrong("nonce", "kind")),
        };
        Ok(ProofClaims {
            id,
            method: text(members, "htm")?,
            uri: text(members, "htu")?,
            issued: issued(members)?,
            token: text(members, "ath")?,
            nonce,
        })
    }
}

/// The algorithm of a header that asks for nothing else.
fn algorithm(header: &Compact) -> Result<SignatureAlgorithm, Refusal> {
    let refuse = |member| Refusal::new(&HEADER).and("member", Fact::Word(member));
    if let Some(member) = REFUSED.iter().find(|name| header.member(name).is_some()) {
        return Err(refuse(member));
    }
    let text = |name| header.member(name).and_then(Value::as_str);
    let typ = text("typ").map(media_type);
    if typ.as_deref() != Some(TYPE) {
        return Err(refuse("typ"));
    }
    let name = text("alg").ok_or_else(|| refuse("alg"))?;
    SignatureAlgorithm::named(name).ok_or_else(|| Refusal::new(&ALGORITHM))
}

fn text<'p>(claims: Members<'p>, name: &'static str) -> Result<&'p str, Refusal> {
    match claims.member(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(wrong(name, "kind")),
        None => Err(wrong(name, "missing")),
    }
}

fn issued(claims: Members<'_>) -> Result<f64, Refusal> {
    const NAME: &str = "iat";
    let value = claims.member(NAME).ok_or_else(|| wrong(NAME, "missing"))?;
    let number = value.as_number().and_then(|number| number.as_f64());
    let number = number.ok_or_else(|| wrong(NAME, "kind"))?;
    match (0.0..=LATEST).contains(&number) {
        true => Ok(number),
        false => Err(wrong(NAME, "out_of_range")),
    }
}

fn wrong(claim: &'static str, fault: &'static str) -> Refusal {
    let detail = Detail::default().and("claim", Fact::Word(claim));
    Refusal::new(&CLAIMS).because(detail.and("fault", Fact::Word(fault)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER_TEXT: &str =
        r#"{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}"#;
    const CLAIMS_TEXT: &str = r#"{"jti":"1","htm":"GET","htu":"https://a/","iat":1,"ath":"x"}"#;

    fn judged(header: &str, claims: &str) -> Result<(), &'static str> {
        let [header, claims] = [header, claims].map(|text| URL_SAFE_NO_PAD.encode(text));
        let text = format!("{header}.{claims}.AA");
        let proof = Proof::parse(text.as_bytes()).map_err(|refusal| refusal.reason.name)?;
        proof.key().map_err(|refusal| refusal.reason.name)?;
        let claims = proof.claims().map_err(|refusal| refusal.reason.name)?;
        assert!(!claims.id.is_empty());
        Ok(())
    }

    #[test]
    fn rfc9449_4_3_2_a_proof_is_one_well_formed_token() {
        assert_eq!(judged(HEADER_TEXT, CLAIMS_TEXT), Ok(()));
        let good = HEADER_TEXT.replace("dpop+jwt", "application/DPoP+jwt");
        assert_eq!(judged(&good, CLAIMS_TEXT), Ok(()));
        for wrong in [
            "",
            ".",
            "a.b",
            "e30.e30.AA.AA",
            "e30.e30",
            "e3 0.e30.AA",
            "e30=.e30.AA",
        ] {
            let refusal = Proof::parse(wrong.as_bytes()).err().unwrap();
            assert!(
                ["format", "header"].contains(&refusal.reason.name),
                "{wrong}"
            );
        }
        let long = "A".repeat(MOST_BYTES + 1);
        assert_eq!(Proof::parse(long.as_bytes()).err().unwrap().reason, &FORMAT);
    }

    #[test]
    fn rfc9449_4_3_4_and_5_the_header_says_what_it_is_and_how_it_is_signed() {
        for (from, to, reason) in [
            (r#""typ":"dpop+jwt","#, "", "header"),
            ("dpop+jwt", "JWT", "header"),
            ("dpop+jwt", "at+jwt", "header"),
            (r#""dpop+jwt""#, r#"["dpop+jwt"]"#, "header"),
            (r#""alg":"ES256","#, "", "header"),
            ("ES256", "none", "algorithm"),
            ("ES256", "None", "algorithm"),
            ("ES256", "ES999", "algorithm"),
            (r#""alg""#, r#""crit":["x"],"alg""#, "header"),
            (r#""alg""#, r#""b64":true,"alg""#, "header"),
            (
                r#""alg""#,
                r#""jku":"https://evil.example/","alg""#,
                "header",
            ),
            (
                r#""alg""#,
                r#""x5u":"https://evil.example/","alg""#,
                "header",
            ),
            (r#""alg""#, r#""zip":"DEF","alg""#, "header"),
            (r#""alg""#, r#""alg":"HS256","alg""#, "header"),
            (r#""jwk""#, r#""jkw""#, "key"),
            (
                r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#,
                r#""x""#,
                "key",
            ),
            (r#""x":"AA""#, r#""x":"AA","d":"AA""#, "key"),
        ] {
            let header = HEADER_TEXT.replacen(from, to, 1);
            assert_ne!(header, HEADER_TEXT);
            assert_eq!(judged(&header, CLAIMS_TEXT), Err(reason), "{header}");
        }
    }

    #[test]
    fn rfc9449_4_3_3_every_claim_is_there() {
        for (from, to) in [
            (r#""jti":"1","#, ""),
            (r#""jti":"1""#, r#""jti":"""#),
            (r#""jti":"1""#, r#""jti":1"#),
            (r#""jti":"1""#, r#""jti":"1","jti":"2""#),
            (r#""htm":"GET","#, ""),
            (r#""htm":"GET""#, r#""htm":["GET"]"#),
            (r#""htu":"https://a/","#, ""),
            (r#""htu":"https://a/""#, r#""htu":null"#),
            (r#""iat":1,"#, ""),
            (r#""iat":1"#, r#""iat":"1""#),
            (r#""iat":1"#, r#""iat":-1"#),
            (r#""iat":1"#, r#""iat":1e300"#),
            (r#","ath":"x""#, ""),
            (r#""ath":"x""#, r#""ath":1"#),
            (r#""ath":"x""#, r#""ath":"x","nonce":1"#),
        ] {
            let claims = CLAIMS_TEXT.replacen(from, to, 1);
            assert_ne!(claims, CLAIMS_TEXT);
            assert_eq!(judged(HEADER_TEXT, &claims), Err("claims"), "{claims}");
        }
        let long = CLAIMS_TEXT.replace("\"1\"", &format!("\"{}\"", "x".repeat(257)));
        assert_eq!(judged(HEADER_TEXT, &long), Err("claims"));
    }
}
