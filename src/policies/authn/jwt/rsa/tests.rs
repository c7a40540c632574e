//! The crate `rsa`, which is slow and well kept, is what everything here is compared with.

use ::rsa::hazmat::rsa_encrypt;
use ::rsa::pkcs8::DecodePrivateKey as _;
use ::rsa::signature::{RandomizedSigner as _, SignatureEncoding as _, Signer as _, Verifier};
use ::rsa::traits::PublicKeyParts as _;
use ::rsa::{BigUint, RsaPrivateKey, RsaPublicKey, pkcs1v15, pss, sha2 as theirs};

use super::*;

/// A sequence that is the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// Odd numbers of so many bits: anything, next to powers of two, and long rows of one bit.
fn moduli(bits: usize, noise: &mut Noise) -> Vec<BigUint> {
    let one = || BigUint::from(1_u8);
    let any =
        BigUint::from_bytes_be(&noise.bytes(bits.div_ceil(8))) >> (bits.div_ceil(8) * 8 - bits);
    let (top, hole) = (one() << (bits - 1), noise.below(bits - 300) + 2);
    vec![
        any | top.clone() | one(),
        top.clone() | one(),
        (one() << bits) - one(),
        ((one() << bits) - one()) ^ (((one() << 250) - one()) << hole),
        (top.clone() | one()) ^ (((one() << 250) - one()) << hole),
        top | (one() << hole) | one(),
    ]
}

fn padded(number: &BigUint, length: usize) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    [vec![0; length - bytes.len()], bytes].concat()
}

fn operation(modulus: &Modulus, number: &BigUint) -> Option<BigUint> {
    let length = modulus.bits().div_ceil(8);
    let mut result = [0; MOST_BYTES];
    let result = &mut result[..length];
    modulus.public_operation(&padded(number, length), result)?;
    Some(BigUint::from_bytes_be(result))
}

#[test]
fn the_public_operation_is_that_of_the_crate_rsa() {
    let mut noise = Noise(1);
    let (one, exponent) = (BigUint::from(1_u8), BigUint::from(65537_u32));
    for bits in [
        2048, 2049, 2053, 2104, 2105, 2159, 2160, 2161, 3072, 4095, 4096,
    ] {
        for n in moduli(bits, &mut noise) {
            let modulus = Modulus::new(&n.to_bytes_be()).unwrap();
            assert_eq!(modulus.bits(), bits);
            let key = RsaPublicKey::new_unchecked(n.clone(), exponent.clone());
            let random = BigUint::from_bytes_be(&noise.bytes(bits / 8)) % &n;
            let numbers = [
                BigUint::default(),
                one.clone(),
                &n - &one,
                &n >> 1,
                &one << (bits - 1 - noise.below(200)),
                random,
            ];
            for number in numbers.iter().filter(|number| **number < n) {
                let expected = rsa_encrypt(&key, number).unwrap();
                assert_eq!(operation(&modulus, number), Some(expected), "{number} {n}");
            }
            assert_eq!(operation(&modulus, &n), None, "{n}");
            if (&n + &one).bits() == bits {
                assert_eq!(operation(&modulus, &(&n + &one)), None, "{n}");
            }
            let largest = BigUint::from_bytes_be(&vec![0xff; bits.div_ceil(8)]);
            let expected = (largest < n).then(|| rsa_encrypt(&key, &largest).unwrap());
            assert_eq!(operation(&modulus, &largest), expected, "{n}");
        }
    }
}

#[test]
fn a_modulus_is_odd_and_of_2048_to_4096_bits() {
    let is_one = |number: &BigUint| Modulus::new(&number.to_bytes_be()).is_some();
    let odd = |bits: usize| (BigUint::from(1_u8) << (bits - 1)) | BigUint::from(1_u8);
    for bits in [2048, 2049, 3000, 4096] {
        assert!(is_one(&odd(bits)), "{bits}");
        assert!(!is_one(&(odd(bits) - BigUint::from(1_u8))), "{bits}");
    }
    for bits in [1, 2, 27, 512, 1024, 2047, 4097, 8192] {
        assert!(!is_one(&odd(bits)), "{bits}");
    }
    assert!(Modulus::new(&[]).is_none());
    assert!(Modulus::new(&[0; 256]).is_none());
    let zeros = [vec![0; 300], odd(2048).to_bytes_be()].concat();
    assert_eq!(
        Modulus::new(&zeros).map(|modulus| modulus.bits()),
        Some(2048)
    );
}

/// EMSA-PSS-ENCODE of RFC 8017 §9.1.1 for SHA-256, as long as the modulus.
fn pss_encoded(signed: &[u8], salt: &[u8], bits: usize) -> Vec<u8> {
    use sha2::Digest as _;
    let hash = [&[0; 8][..], &Sha256::digest(signed), salt].concat();
    let hash = Sha256::digest(hash);
    let length = (bits - 1).div_ceil(8);
    let zeros = length - salt.len() - 32 - 2;
    let mut block = [&vec![0; zeros][..], &[1], salt].concat();
    for (counter, part) in (0_u32..).zip(block.chunks_mut(32)) {
        let mask = Sha256::digest([&hash[..], &counter.to_be_bytes()].concat());
        part.iter_mut()
            .zip(mask)
            .for_each(|(byte, mask)| *byte ^= mask);
    }
    block[0] &= 0xff >> (8 * length - (bits - 1));
    let encoded = [&block[..], &hash, &[0xbc]].concat();
    [vec![0; bits.div_ceil(8) - length], encoded].concat()
}

/// With the exponent 1, a signature is what it encodes.
fn their_pss(encoded: &[u8], signed: &[u8], bits: usize) -> bool {
    let n = (BigUint::from(1_u8) << bits) - BigUint::from(1_u8);
    let key = RsaPublicKey::new_unchecked(n, BigUint::from(1_u8));
    let key = pss::VerifyingKey::<theirs::Sha256>::new(key);
    key.verify(signed, &encoded.try_into().unwrap()).is_ok()
}

fn our_pss(encoded: &[u8], signed: &[u8], bits: usize) -> bool {
    encoding::is_pss::<Sha256>(&mut encoded.to_vec(), signed, bits) == Some(true)
}

#[test]
fn pss_is_decoded_as_by_the_crate_rsa() {
    let mut noise = Noise(2);
    let signed = b"portcullis";
    for bits in [2048, 2049, 2050, 2055, 2056, 4096] {
        let good = pss_encoded(signed, &noise.bytes(32), bits);
        assert!(
            our_pss(&good, signed, bits) && their_pss(&good, signed, bits),
            "{bits}"
        );
        assert!(!our_pss(&good, b"something else", bits), "{bits}");
        let edges = [
            0,
            1,
            2,
            good.len() - 67,
            good.len() - 66,
            good.len() - 34,
            good.len() - 33,
        ];
        let others = (0..30).map(|_| noise.below(good.len())).collect::<Vec<_>>();
        let last = good.len() - 1;
        for place in edges.into_iter().chain(others).chain([last]) {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[place] ^= 1 << bit;
                let ours = our_pss(&bad, signed, bits);
                // Theirs overlooks the byte that is above the encoded message.
                if bits % 8 == 1 && place == 0 {
                    assert!(!ours, "{bits} {bit}");
                } else if place > 0 || bit < (bits - 1) % 8 {
                    assert_eq!(ours, their_pss(&bad, signed, bits), "{bits} {place} {bit}");
                }
            }
        }
    }
}

#[test]
fn a_salt_is_as_long_as_the_hash() {
    for length in [0, 1, 20, 31, 32, 33, 64, 222] {
        let encoded = pss_encoded(b"portcullis", &vec![7; length], 2048);
        let ours = our_pss(&encoded, b"portcullis", 2048);
        assert_eq!(ours, length == 32, "{length}");
        assert_eq!(ours, their_pss(&encoded, b"portcullis", 2048), "{length}");
    }
}

#[test]
fn what_is_too_short_for_an_encoding_is_none() {
    for length in 0..70 {
        let mut encoded = vec![0xbc; length];
        let bits = length * 8;
        assert_ne!(
            encoding::is_pss::<Sha256>(&mut encoded, b"", bits),
            Some(true),
            "{length}"
        );
        assert!(
            !encoding::is_pkcs1::<Sha256>(&encoded, b"", &SHA256),
            "{length}"
        );
    }
}

#[test]
fn padding_of_pkcs1_is_complete() {
    use sha2::Digest as _;
    let encoded = |padding: usize| {
        let hash = Sha256::digest(b"portcullis");
        [&[0, 1][..], &vec![0xff; padding], &[0], &SHA256, &hash].concat()
    };
    let is_one = |encoded: &[u8]| encoding::is_pkcs1::<Sha256>(encoded, b"portcullis", &SHA256);
    assert!(is_one(&encoded(202)) && is_one(&encoded(8)));
    assert!(!is_one(&encoded(7)) && !is_one(&encoded(0)));
    let good = encoded(202);
    assert_eq!(good.len(), 256);
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 1;
        assert!(!is_one(&bad), "{place}");
    }
    // What stands behind the hash, as in forgeries of the year 2006.
    let behind = [&encoded(8)[..], &[0; 194]].concat();
    assert!(!is_one(&behind));
}

#[test]
fn signatures_of_the_crate_rsa_are_accepted_and_no_others() {
    let pem = include_str!("../../../../../tests/keys/rsa.pem");
    let private = RsaPrivateKey::from_pkcs8_pem(pem).unwrap();
    let (n, e) = (private.n().to_bytes_be(), private.e().to_bytes_be());
    let key = RsaKey::new(&n, &e).unwrap();
    let signed = b"portcullis";
    let random = &mut ::rsa::rand_core::OsRng;
    fn pkcs1<D>(key: &RsaPrivateKey) -> pkcs1v15::SigningKey<D>
    where
        D: theirs::Digest + ::rsa::pkcs8::AssociatedOid,
    {
        pkcs1v15::SigningKey::new(key.clone())
    }
    let pss256 = pss::SigningKey::<theirs::Sha256>::new(private.clone());
    let pss384 = pss::SigningKey::<theirs::Sha384>::new(private.clone());
    let pss512 = pss::SigningKey::<theirs::Sha512>::new(private.clone());
    let signatures = [
        (
            SignatureAlgorithm::Rs256,
            pkcs1::<theirs::Sha256>(&private).sign(signed).to_vec(),
        ),
        (
            SignatureAlgorithm::Rs384,
            pkcs1::<theirs::Sha384>(&private).sign(signed).to_vec(),
        ),
        (
            SignatureAlgorithm::Rs512,
            pkcs1::<theirs::Sha512>(&private).sign(signed).to_vec(),
        ),
        (
            SignatureAlgorithm::Ps256,
            pss256.sign_with_rng(random, signed).to_vec(),
        ),
        (
            SignatureAlgorithm::Ps384,
            pss384.sign_with_rng(random, signed).to_vec(),
        ),
        (
            SignatureAlgorithm::Ps512,
            pss512.sign_with_rng(random, signed).to_vec(),
        ),
    ];
    for (algorithm, signature) in &signatures {
        for (other, _) in &signatures {
            let fits = key.verify(*other, signed, signature);
            assert_eq!(fits, other == algorithm, "{algorithm:?} {other:?}");
        }
        assert!(
            !key.verify(*algorithm, b"something else", signature),
            "{algorithm:?}"
        );
        let number = BigUint::from_bytes_be(signature);
        let larger = (&number + private.n()).to_bytes_be();
        assert!(!key.verify(*algorithm, signed, &larger), "{algorithm:?}");
        let zero = [&[0], &signature[..]].concat();
        assert!(!key.verify(*algorithm, signed, &zero), "{algorithm:?}");
        assert!(
            !key.verify(*algorithm, signed, &signature[1..]),
            "{algorithm:?}"
        );
        assert!(!key.verify(*algorithm, signed, &[]), "{algorithm:?}");
    }
    assert!(!key.verify(SignatureAlgorithm::EdDsa, signed, &signatures[0].1));
}
