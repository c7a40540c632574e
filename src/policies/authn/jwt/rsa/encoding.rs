//! What the public operation must yield: RFC 8017 §9. Nothing here is secret, so nothing needs to
//! take constant time.

use sha2::Digest;

/// The beginning of a `DigestInfo` (RFC 8017 §9.2, note 1), behind which the hash stands.
pub(super) type DigestInfo = [u8; 19];

pub(super) const SHA256: DigestInfo = digest_info(1, 32);
pub(super) const SHA384: DigestInfo = digest_info(2, 48);
pub(super) const SHA512: DigestInfo = digest_info(3, 64);

/// They differ in the last number of the hash's identifier and in its length.
const fn digest_info(hash: u8, length: u8) -> DigestInfo {
    let (all, oid) = (
        17 + length,
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02],
    );
    let [a, b, c, d, e, f, g, h] = oid;
    [
        0x30, all, 0x30, 0x0d, 0x06, 0x09, a, b, c, d, e, f, g, h, hash, 0x05, 0x00, 0x04, length,
    ]
}

/// EMSA-PKCS1-v1_5, §9.2: whether `encoded` is what `signed` encodes to, in every byte.
pub(super) fn is_pkcs1<D: Digest>(encoded: &[u8], signed: &[u8], info: &DigestInfo) -> bool {
    const LEAST_PADDING: usize = 8;
    let hash = D::digest(signed);
    let padding = encoded
        .strip_prefix(&[0x00, 0x01])
        .and_then(|rest| rest.strip_suffix(hash.as_slice()))
        .and_then(|rest| rest.strip_suffix(info))
        .and_then(|rest| rest.strip_suffix(&[0x00]));
    padding.is_some_and(|padding| {
        padding.len() >= LEAST_PADDING && padding.iter().all(|byte| *byte == 0xff)
    })
}

/// EMSA-PSS-VERIFY, §9.1.2, with MGF1 and a salt, both of the hash of the algorithm as RFC 7518
/// §3.5 has it. `encoded` is as long as the modulus of so many bits, and is unmasked in place.
pub(super) fn is_pss<D: Digest>(
    encoded: &mut [u8],
    signed: &[u8],
    modulus_bits: usize,
) -> Option<bool> {
    const TRAILER: u8 = 0xbc;
    let length = <D as Digest>::output_size();
    let bits = modulus_bits.checked_sub(1)?;
    let bytes = bits.div_ceil(8);
    // §8.1.2, 2c: a modulus of one bit more than whole bytes leaves a byte, which is zero.
    let (above, encoded) = encoded.split_at_mut_checked(encoded.len().checked_sub(bytes)?)?;
    let (trailer, encoded) = encoded.split_last_mut()?;
    let (block, hash) = encoded.split_at_mut_checked(encoded.len().checked_sub(length)?)?;
    let unused = bytes.checked_mul(8)?.checked_sub(bits)?;
    let used = u8::MAX.checked_shr(u32::try_from(unused).ok()?)?;
    let first = block.first()?;
    if above.iter().any(|byte| *byte != 0) || *trailer != TRAILER || first & !used != 0 {
        return Some(false);
    }
    unmask::<D>(block, hash);
    *block.first_mut()? &= used;
    let (padding, salt) = block.split_at_checked(block.len().checked_sub(length)?)?;
    let (one, zeros) = padding.split_last()?;
    if *one != 1 || zeros.iter().any(|byte| *byte != 0) {
        return Some(false);
    }
    let expected = D::new()
        .chain_update([0; 8])
        .chain_update(D::digest(signed))
        .chain_update(salt)
        .finalize();
    Some(expected.as_slice() == hash)
}

/// MGF1, §B.2.1, and its result added to `block`.
fn unmask<D: Digest>(block: &mut [u8], seed: &[u8]) {
    for (counter, part) in (0_u32..).zip(block.chunks_mut(<D as Digest>::output_size())) {
        let mask = D::new()
            .chain_update(seed)
            .chain_update(counter.to_be_bytes());
        for (byte, mask) in part.iter_mut().zip(mask.finalize()) {
            *byte ^= mask;
        }
    }
}
