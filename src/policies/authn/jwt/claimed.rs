//! What a token says that was not accepted, for the log: it helps to find out whose it is, and proves
//! nothing. So it is read leniently, and is of no use to anybody who decides.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::token::{MAX_DEPTH, MAX_TOKEN_BYTES};
use portcullis_exchange::refusal::Claimed;
use portcullis_exchange::refusal::detail::cut;
use portcullis_wire::json::compact::{Compact, Value};

/// Takes what can be read, padded or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What it says; none if nothing of it can be read.
pub(super) fn claimed(token: &[u8], signed: bool) -> Option<Claimed> {
    let token = token.get(..MAX_TOKEN_BYTES).unwrap_or(token);
    let mut parts = token.split(|b| *b == b'.');
    let mut part = || {
        let decoded = LENIENT.decode(parts.next()?).ok()?;
        Compact::parse(&decoded, MAX_DEPTH)
    };
    let (header, payload) = (part(), part());
    if header.is_none() && payload.is_none() {
        return None;
    }
    let text = |json: &Option<Compact>, name| {
        let value = json.as_ref()?.member(name)?.as_str()?;
        Some(cut(value.as_bytes()))
    };
    let audience = payload.as_ref().and_then(|claims| claims.member("aud"));
    let audiences = match audience {
        Some(Value::String(one)) => vec![cut(one.as_bytes())],
        Some(Value::Array(items)) => {
            let texts = items.iter().filter_map(Value::as_str);
            let texts = texts.take(Claimed::AUDIENCES);
            texts.map(|text| cut(text.as_bytes())).collect()
        }
        _ => Vec::new(),
    };
    Some(Claimed {
        issuer: text(&payload, "iss"),
        audiences,
        subject: text(&payload, "sub"),
        key_id: text(&header, "kid"),
        algorithm: text(&header, "alg"),
        signed,
    })
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn of(header: &str, payload: &str) -> Option<Claimed> {
        let [header, payload] = [header, payload].map(|text| URL_SAFE_NO_PAD.encode(text));
        claimed(format!("{header}.{payload}.AA").as_bytes(), false)
    }

    #[test]
    fn it_is_read_as_far_as_it_can_be() {
        let boxed = |text: &str| Some(Box::from(text.as_bytes()));
        let all = of(
            r#"{"alg":"none","kid":"k"}"#,
            r#"{"iss":"i","sub":"s","aud":["a",1,"b","c","d","e"]}"#,
        );
        let expected = Claimed {
            issuer: boxed("i"),
            audiences: ["a", "b", "c", "d"]
                .iter()
                .filter_map(|text| boxed(text))
                .collect(),
            subject: boxed("s"),
            key_id: boxed("k"),
            algorithm: boxed("none"),
            signed: false,
        };
        assert_eq!(all, Some(expected));
        let none = of("{}", r#"{"iss":1,"sub":null,"aud":{}}"#);
        assert_eq!(none, Some(Claimed::default()));
        let half = of("x", r#"{"iss":"i"}"#).unwrap();
        assert_eq!((half.issuer, half.algorithm), (boxed("i"), None));
        assert_eq!(of("x", "y"), None);
        for not_one in ["", ".", "a.b", "\u{e9}.\u{e9}", "e30"] {
            let read = claimed(not_one.as_bytes(), false);
            assert!(
                read.is_none_or(|read| read == Claimed::default()),
                "{not_one}"
            );
        }
        assert!(claimed("e30=.e30=.".as_bytes(), true).unwrap().signed);
    }

    #[test]
    fn it_is_bounded() {
        let long = "x".repeat(3000);
        let read = of("{}", &format!(r#"{{"iss":"{long}","aud":["{long}"]}}"#)).unwrap();
        assert!(read.issuer.unwrap().len() < 140 && read.audiences[0].len() < 140);
    }
}
