//! Tokens for a mutator that would never hit upon base64url by itself.

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder};

use crate::tokens::base64url;

/// Changes what one of the parts of a token says, not how it is written. `None` when there is no
/// such part.
pub fn mutate_part(
    token: &[u8],
    which: usize,
    change: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Option<Vec<u8>> {
    let start = token
        .iter()
        .rposition(|b| *b == b' ')
        .map_or(0, |at| at + 1);
    let (scheme, token) = token.split_at(start);
    let mut parts: Vec<Vec<u8>> = token.split(|b| *b == b'.').map(<[u8]>::to_vec).collect();
    let part = parts.get_mut(which)?;
    let decoded = Base64UrlSafeNoPadding::decode_to_vec(&*part, None).ok()?;
    *part = base64url(&change(decoded)).into_bytes();
    Some([scheme, &parts.join(&b'.')].concat())
}
